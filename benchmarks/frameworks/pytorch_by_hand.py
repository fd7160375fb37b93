"""PyTorch as fast as it goes eagerly: trials in batched products, backward through time by hand.

Every tensor is allocated once and every view of it made once, since at this size a step costs
what its calls cost: seven a time step forward and five backward for the LSTM, two and two for the
simple RNN; all that needs no state is done for all time steps in one call.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from frameworks import WEIGHTS, Problem, Run, symbols

torch.set_num_threads(1)
torch.set_flush_denormal(True)  # as XLA, TensorFlow and -ffast-math do


class Tape(NamedTuple):
    """What the two passes read and write; S = T-1 predictions, h[t + 1] follows input t."""

    recurrent: Any  # [N, H, G H], the LSTM's gates in the order output, input, forget, candidate
    a: Any  # [S, N, G H] pre-activations, then gates
    da: Any  # [S, N, G H] gradient of the pre-activations
    h: Any  # [S+1, N, H]
    dh: Any  # [N, S, H] gradient of h[1:]: from the logits, and once t+1 is done in full


Pass = Callable[[], None]


def simple_rnn_passes(tape: Tape) -> tuple[Pass, Pass]:
    """The simple RNN: from a to h, and from dh to da."""
    one = torch.ones(())
    slope = torch.empty_like(tape.h[1:])
    transposed = tape.recurrent.transpose(1, 2)
    rows = [row.unsqueeze(1) for row in tape.a]
    h = [h.unsqueeze(1) for h in tape.h]
    da = [row.unsqueeze(1) for row in tape.da]
    dh = [dh.unsqueeze(1) for dh in tape.dh.unbind(1)]
    slopes = [row.unsqueeze(1) for row in slope]

    def forward() -> None:
        for t, row in enumerate(rows):
            torch.tanh(row.baddbmm_(h[t], tape.recurrent), out=h[t + 1])

    def backward() -> None:
        torch.addcmul(one, tape.h[1:], tape.h[1:], value=-1, out=slope)
        torch.mul(dh[-1], slopes[-1], out=da[-1])
        for t in range(len(da) - 2, -1, -1):
            torch.mul(dh[t].baddbmm_(da[t + 1], transposed), slopes[t], out=da[t])

    return forward, backward


def lstm_passes(tape: Tape) -> tuple[Pass, Pass]:
    """The LSTM: from a to h, and from dh to da."""
    num_steps, num_trials, hidden_size = tape.h[1:].shape
    one = torch.ones(())
    transposed = tape.recurrent.transpose(1, 2)
    c = torch.zeros_like(tape.h)
    tanh_c, by_c, by_o = (torch.empty_like(tape.h[1:]) for _ in range(3))
    dc = torch.empty(num_trials, hidden_size)
    dc_row = dc.unsqueeze(1)
    # d(input, forget and candidate pre-activation) / dc
    by_gate = torch.empty(num_steps, num_trials, 3, hidden_size)
    sigmoids, o, i, f, g = (
        tape.a[..., first * hidden_size : last * hidden_size]
        for first, last in ((0, 3), (0, 1), (1, 2), (2, 3), (3, 4))
    )
    sigmoid_slope = torch.empty_like(sigmoids)
    o_slope, i_slope, f_slope = sigmoid_slope.split(hidden_size, dim=2)
    h = [h.unsqueeze(1) for h in tape.h]
    da = [row.unsqueeze(1) for row in tape.da]
    dh_row = [dh.unsqueeze(1) for dh in tape.dh.unbind(1)]
    forward_views = list(
        zip(
            [row.unsqueeze(1) for row in tape.a],
            h[:-1],
            *(x.unbind(0) for x in (sigmoids, o, i, f, g, c[:-1], c[1:], tanh_c, tape.h[1:])),
            strict=True,
        )
    )
    backward_views = [
        (
            da[t + 1] if t + 1 < num_steps else None,
            dh_row[t],
            tape.dh[:, t],
            f[t + 1] if t + 1 < num_steps else None,
            by_c[t],
            by_o[t],
            by_gate[t],
            tape.da[t, :, :hidden_size],
            tape.da[t, :, hidden_size:].unflatten(1, (3, hidden_size)),
        )
        for t in range(num_steps - 1, -1, -1)
    ]

    def forward() -> None:
        for (
            row,
            h_t,
            sigmoids_t,
            o_t,
            i_t,
            f_t,
            g_t,
            c_t,
            c_next,
            tanh_c_t,
            h_next,
        ) in forward_views:
            row.baddbmm_(h_t, tape.recurrent)
            sigmoids_t.sigmoid_()
            g_t.tanh_()
            torch.mul(f_t, c_t, out=c_next)
            c_next.addcmul_(i_t, g_t)
            torch.tanh(c_next, out=tanh_c_t)
            torch.mul(o_t, tanh_c_t, out=h_next)

    def backward() -> None:
        torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1, out=sigmoid_slope)
        torch.mul(g, i_slope, out=by_gate[:, :, 0])
        torch.mul(c[:-1], f_slope, out=by_gate[:, :, 1])
        torch.addcmul(one, g, g, value=-1, out=by_gate[:, :, 2])
        by_gate[:, :, 2].mul_(i)
        torch.mul(tanh_c, o_slope, out=by_o)
        torch.addcmul(one, tanh_c, tanh_c, value=-1, out=by_c)
        by_c.mul_(o)
        dc.zero_()
        for (
            da_next,
            dh_row_t,
            dh_t,
            f_next,
            by_c_t,
            by_o_t,
            by_gate_t,
            do_t,
            dgates_t,
        ) in backward_views:
            if da_next is not None:
                dh_row_t.baddbmm_(da_next, transposed)
                dc.mul_(f_next)
            dc.addcmul_(dh_t, by_c_t)
            torch.mul(dh_t, by_o_t, out=do_t)
            torch.mul(dc_row, by_gate_t, out=dgates_t)

    return forward, backward


def output_gate_first(weights: np.ndarray) -> np.ndarray:
    """The LSTM's gates (input, forget, output, candidate) as this module orders them."""
    i, f, o, g = np.split(weights, 4, axis=-1)
    return np.concatenate([o, i, f, g], axis=-1)


def flat_and_views(values: list[np.ndarray]) -> tuple[Any, list[Any]]:
    """One vector that holds all ``values``, and a view of it in the shape of each."""
    flat = torch.tensor(np.concatenate([value.ravel() for value in values]))
    parts = flat.split([value.size for value in values])
    return flat, [part.view(value.shape) for part, value in zip(parts, values, strict=True)]


def build(problem: Problem) -> Run:
    """The step by hand; all weights lie in one vector, so that one call updates them."""
    values = [problem.weights[name] for name in WEIGHTS]
    if problem.cell == "lstm":
        values[:3] = [output_gate_first(value) for value in values[:3]]
    num_trials, hidden_size, gates_size = values[1].shape
    num_steps, length = problem.length - 1, problem.length
    w, (inputs, recurrent, bias, outputs, output_bias) = flat_and_views(values)
    d, (d_inputs, d_recurrent, d_bias, d_outputs, d_output_bias) = flat_and_views(values)
    a, da = (torch.empty(num_steps, num_trials, gates_size) for _ in range(2))
    h = torch.zeros(num_steps + 1, num_trials, hidden_size)
    dh = torch.empty(num_trials, num_steps, hidden_size)
    passes = lstm_passes if problem.cell == "lstm" else simple_rnn_passes
    forward, backward = passes(Tape(recurrent, a, da, h, dh))
    logits, p = (torch.empty(num_trials, num_steps, length) for _ in range(2))
    minus_one = torch.full((num_trials, num_steps, 1), -1.0)
    by_row, d_by_row = inputs.flatten(0, 1), d_inputs.flatten(0, 1)
    a_rows, da_rows = a.flatten(0, 1), da.flatten(0, 1)
    hs, da_by_trial = h[1:].transpose(0, 1), da.transpose(0, 1)
    h_columns, hs_columns = (x.permute(1, 2, 0) for x in (h[:-1], h[1:]))
    outputs_transposed, output_bias_row = outputs.transpose(1, 2), output_bias.unsqueeze(1)

    def step(rows: Any, targets: Any, learning_rate: float, clip: float) -> Any:
        torch.index_select(by_row, 0, rows, out=a_rows)
        a.add_(bias)
        forward()
        torch.baddbmm(output_bias_row, hs, outputs, out=logits)
        torch.softmax(logits, 2, out=p)
        error = 1 - p.gather(2, targets).amin((1, 2))
        p.scatter_add_(2, targets, minus_one).mul_(1 / num_steps)
        torch.bmm(p, outputs_transposed, out=dh)
        backward()
        torch.bmm(hs_columns, p, out=d_outputs)
        torch.bmm(h_columns, da_by_trial, out=d_recurrent)
        torch.sum(p, 1, out=d_output_bias)
        torch.sum(da, 0, out=d_bias)
        d_inputs.zero_()
        d_by_row.index_add_(0, rows, da_rows)
        w.sub_(d.clamp_(-clip, clip), alpha=learning_rate)
        return error

    @torch.inference_mode()
    def run(coins: np.ndarray, learning_rate: float, clip: float) -> np.ndarray:
        sequences = torch.tensor(symbols(coins, length))
        # Rows of all trials' input weights laid one under the other, [C, S N].
        first_rows = length * torch.arange(num_trials)
        rows = (sequences[..., :-1].transpose(1, 2) + first_rows).flatten(1)
        targets = sequences[..., 1:, None]
        steps = zip(rows.unbind(0), targets.unbind(0), strict=True)
        return torch.stack([step(r, t, learning_rate, clip) for r, t in steps]).numpy()

    return run
