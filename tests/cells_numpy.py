"""Every cell in float64 NumPy: textbook equations, loops over time.

Letters: T time steps, I inputs, H hidden units, O outputs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

Gates = dict[str, np.ndarray]  # a value for each gate, by its name
State = tuple[np.ndarray, ...]


class Net(NamedTuple):
    """One net's weights, gate by gate; what a net does not have is empty."""

    U: Gates  # from the inputs, [I, H] each
    W: Gates  # from the hidden units, [H, H] each
    b: Gates  # [H] each
    own: dict[str, np.ndarray]  # whatever else it has
    V: np.ndarray  # [H, O], complex numbers in the linear recurrent unit
    b_out: np.ndarray  # [O]


class Run(NamedTuple):
    """What a net does with a sequence."""

    outputs: np.ndarray  # [T, O]
    state: State  # after the last step
    gates: Gates  # activations at every step, [T, H] each


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-a))


def layer_norm(a: np.ndarray) -> np.ndarray:
    mean = a.sum() / len(a)
    variance = ((a - mean) ** 2).sum() / len(a)
    return (a - mean) / np.sqrt(variance + 1e-5)


def pre(net: Net, gate: str, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    return of_input(net, gate, x) + h @ net.W[gate]


def of_input(net: Net, gate: str, x: np.ndarray) -> np.ndarray:
    return x @ net.U[gate] + net.b[gate]


# A step of each cell by its name: (net, x, *state, **options) -> (gates, state), and what the
# outputs see where that is not the state's first array.


def simple_rnn(net, x, h, activation=np.tanh):
    h = activation(pre(net, "candidate", x, h))
    return {"candidate": h}, (h,)


def irnn(net, x, h):
    return simple_rnn(net, x, h, lambda a: np.maximum(a, 0.0))


def ind_rnn(net, x, h):
    h = np.maximum(of_input(net, "candidate", x) + net.W["candidate"] * h, 0.0)
    return {"candidate": h}, (h,)


def lstm(net, x, h, c):
    i = sigmoid(pre(net, "input", x, h))
    f = sigmoid(pre(net, "forget", x, h))
    o = sigmoid(pre(net, "output", x, h))
    g = np.tanh(pre(net, "candidate", x, h))
    c = f * c + i * g
    return {"input": i, "forget": f, "output": o, "candidate": g}, (o * np.tanh(c), c)


def lstm_peephole(net, x, h, c):
    i = sigmoid(pre(net, "input", x, h) + net.own["input"] * c)
    f = sigmoid(pre(net, "forget", x, h) + net.own["forget"] * c)
    g = np.tanh(pre(net, "candidate", x, h))
    c = f * c + i * g
    o = sigmoid(pre(net, "output", x, h) + net.own["output"] * c)
    return {"input": i, "forget": f, "output": o, "candidate": g}, (o * np.tanh(c), c)


def lstm_no_forget(net, x, h, c):
    i = sigmoid(pre(net, "input", x, h))
    o = sigmoid(pre(net, "output", x, h))
    g = np.tanh(pre(net, "candidate", x, h))
    c = c + i * g
    return {"input": i, "output": o, "candidate": g}, (o * np.tanh(c), c)


def lstm_coupled(net, x, h, c):
    f = sigmoid(pre(net, "forget", x, h))
    o = sigmoid(pre(net, "output", x, h))
    g = np.tanh(pre(net, "candidate", x, h))
    c = f * c + (1.0 - f) * g
    return {"forget": f, "output": o, "candidate": g}, (o * np.tanh(c), c)


def lstm_layer_norm(net, x, h, c):
    # One normalisation over all four gates' elements, so they are laid end to end first.
    names = ["input", "forget", "output", "candidate"]
    of_x = layer_norm(np.concatenate([x @ net.U[name] for name in names]))
    of_h = layer_norm(np.concatenate([h @ net.W[name] for name in names]))
    a = net.own["input_gain"] * of_x + net.own["recurrent_gain"] * of_h
    i, f, o, g = (part + net.b[name] for part, name in zip(np.split(a, 4), names, strict=True))
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    c = f * c + i * g
    h = o * np.tanh(net.own["cell_gain"] * layer_norm(c) + net.own["cell_shift"])
    return {"input": i, "forget": f, "output": o, "candidate": g}, (h, c)


def slstm(net, x, h, c, n, forget_gate="sigmoid"):
    # As first written in the paper, without its stabilizer.
    i = np.exp(pre(net, "input", x, h))
    f = {"sigmoid": sigmoid, "exponential": np.exp}[forget_gate](pre(net, "forget", x, h))
    o = sigmoid(pre(net, "output", x, h))
    z = np.tanh(pre(net, "candidate", x, h))
    c, n = f * c + i * z, f * n + i
    return {"input": i, "forget": f, "output": o, "candidate": z}, (o * c / n, c, n)


def gru(net, x, h):
    r = sigmoid(pre(net, "reset", x, h))
    z = sigmoid(pre(net, "update", x, h))
    n = np.tanh(of_input(net, "candidate", x) + r * (h @ net.W["candidate"]))
    return {"reset": r, "update": z, "candidate": n}, (z * h + (1.0 - z) * n,)


def janet(net, x, h, beta=1.0):
    s = pre(net, "forget", x, h)
    g = np.tanh(pre(net, "candidate", x, h))
    h = sigmoid(s) * h + (1.0 - sigmoid(s - beta)) * g
    return {"forget": sigmoid(s), "candidate": g}, (h,)


def ugrnn(net, x, h):
    g = sigmoid(pre(net, "update", x, h))
    candidate = np.tanh(pre(net, "candidate", x, h))
    return {"update": g, "candidate": candidate}, (g * h + (1.0 - g) * candidate,)


def mgu(net, x, h):
    f = sigmoid(pre(net, "input", x, h))
    k = np.tanh(pre(net, "candidate", x, f * h))
    return {"input": f, "candidate": k}, ((1.0 - f) * h + f * k,)


def minimal_candidate(net, x, positive):
    """That of the minimal cells, with the activation of their versions in log space."""
    a = of_input(net, "candidate", x)
    return np.where(a >= 0, a + 0.5, sigmoid(a)) if positive else a


def min_gru(net, x, h, positive=False):
    z = sigmoid(of_input(net, "input", x))
    k = minimal_candidate(net, x, positive)
    return {"input": z, "candidate": k}, ((1.0 - z) * h + z * k,)


def min_lstm(net, x, h, positive=False):
    f, i = (sigmoid(of_input(net, gate, x)) for gate in ("forget", "input"))
    f, i = f / (f + i), i / (f + i)
    k = minimal_candidate(net, x, positive)
    return {"forget": f, "input": i, "candidate": k}, (f * h + i * k,)


def lru(net, x, real, imag):
    own = net.own
    decay = np.exp(-np.exp(own["nu_log"]) + 1j * np.exp(own["theta_log"]))
    B = own["B_re"] + 1j * own["B_im"]
    h = decay * (real + 1j * imag) + np.exp(own["gamma_log"]) * (x @ B)
    return {}, (h.real, h.imag), h


def co_rnn(net, x, y, z, dt=0.042, gamma=2.7, epsilon=4.7):
    W_y, W_z = np.split(net.W["force"], 2)
    force = np.tanh(of_input(net, "force", x) + y @ W_y + z @ W_z)
    z = z + dt * (force - gamma * y - epsilon * z)
    return {}, (y + dt * z, z)  # the new z


def mlstm(net, x, C, n):
    # As first written in the paper, without its stabilizer.
    q, k, v = (of_input(net, name, x) for name in ("query", "key", "value"))
    o = sigmoid(of_input(net, "output", x))
    a_i, a_f = x @ net.own["gate_weights"] + net.own["gate_bias"]
    i, f, k = np.exp(a_i), sigmoid(a_f), k / np.sqrt(len(k))
    C, n = f * C + i * np.outer(k, v), f * n + i * k
    h = o * (q @ C) / max(abs(q @ n), 1.0)
    return {"input": i[None], "forget": f[None], "output": o}, (C, n), h


def delta_net(net, x, S, num_updates=1, negative=False, decays=False):
    a = x @ net.U["all"]
    *keys_and_values, q = np.split(a * sigmoid(a), 2 * num_updates + 1)
    keys, values = keys_and_values[:num_updates], keys_and_values[num_updates:]
    sums = x @ net.own["gate_weights"] + net.own["gate_bias"]
    gates = {"input": (1 + negative) * sigmoid(sums[:num_updates])}
    if decays:
        rate = np.exp(net.own["decay_rate"]) * np.log(1.0 + np.exp(sums[num_updates:]))
        gates["forget"] = np.exp(-rate)
        S = gates["forget"] * S
    for k, v, beta in zip(keys, values, gates["input"], strict=True):
        k = k / np.sqrt(k @ k + 1e-6)
        S = (np.eye(len(k)) - beta * np.outer(k, k)) @ S + beta * np.outer(k, v)
    return gates, (S,), q / np.sqrt(q @ q + 1e-6) @ S


def gated_delta_net(net, x, S):
    return delta_net(net, x, S, decays=True)


def delta_product(net, x, S, num_updates=2, negative=True, decays=False):
    return delta_net(net, x, S, num_updates, negative, decays)


def s6(net, x, s, state_size=16, negative=False):
    own = net.own
    u = x @ net.U["units"]
    selected = u @ own["selecting_weights"]
    rank = len(selected) - 2 * state_size
    B, C = selected[rank : rank + state_size], selected[rank + state_size :]
    delta = np.log(1.0 + np.exp(selected[:rank] @ own["step_weights"] + own["step_bias"]))
    s, h = s.copy(), np.zeros(len(u))
    for d in range(len(u)):
        for n in range(state_size):
            kept = np.exp(-delta[d] * np.exp(own["log_decay"][d, n]))
            kept = 2.0 * kept - 1.0 if negative else kept
            s[d, n] = kept * s[d, n] + delta[d] * B[n] * u[d]
            h[d] += C[n] * s[d, n]
        h[d] += own["skip"][d] * u[d]
    return {"update": np.exp(-delta)}, (s,), h


def rwkv(net, x, a, b, before):
    # As first written in the paper, without its stabilizer.
    own, e = net.own, x @ net.own["embedding"]
    mixed = [mu * e + (1.0 - mu) * before for mu in own["mixing"]]
    r, k, v = (part @ W for part, W in zip(mixed, own["mixed_weights"], strict=True))
    now, decay = np.exp(own["bonus"] + k), np.exp(-np.exp(own["decay"]))
    h = sigmoid(r) * (a + now * v) / (b + now)
    return {"output": sigmoid(r)}, (decay * a + np.exp(k) * v, decay * b + np.exp(k), e), h


def skew(net, hidden_size):
    A = np.zeros((hidden_size, hidden_size))
    numbers = iter(net.own["skew"])
    for row in range(hidden_size):
        for column in range(row + 1, hidden_size):
            A[row, column] = next(numbers)
            A[column, row] = -A[row, column]
    return A


def by_rotation(net, x, h, W):
    z = x @ net.U["units"] + h @ W
    return {}, (np.sign(z) * np.maximum(np.abs(z) + net.b["units"], 0.0),)


def exp_rnn(net, x, h):
    return by_rotation(net, x, h, scipy.linalg.expm(skew(net, len(h))))


def sco_rnn(net, x, h):
    A, identity = skew(net, len(h)), np.eye(len(h))
    signs = [1.0] * (len(h) - len(h) // 2) + [-1.0] * (len(h) // 2)
    W = np.linalg.inv(identity + A) @ (identity - A) @ np.diag(signs)
    return by_rotation(net, x, h, W)


def memory_blocks(net, x, s, units, **_):
    num_blocks = len(s)
    a = pre(net, "units", x, units)
    y_in, y_out = np.split(sigmoid(a[: 2 * num_blocks]), 2)
    g = 4.0 * sigmoid(a[2 * num_blocks :]) - 2.0
    s = s + y_in[:, None] * g.reshape(s.shape)
    y_c = y_out[:, None] * (2.0 * sigmoid(s) - 1.0)
    return {}, (s, np.concatenate([y_in, y_out, y_c.ravel()])), y_c.ravel()


def one_cell(net, x, s, bipolar=False):
    g = sigmoid(x @ net.U["candidate"])
    return {}, (s + sigmoid(x @ net.U["input"]) * (2.0 * g - 1.0 if bipolar else g),)


def self_recurrent(net, x, h):
    return {}, (sigmoid(x @ net.U["units"] + h @ net.W["units"]),)


# What lies side by side in jaxrnn's matrices, gates for the most part.
SLICES = {
    **dict.fromkeys(("simple_rnn", "irnn", "ind_rnn"), ("candidate",)),
    **dict.fromkeys(
        ("lstm", "lstm_peephole", "lstm_layer_norm", "slstm"),
        ("input", "forget", "output", "candidate"),
    ),
    "lstm_no_forget": ("input", "output", "candidate"),
    "lstm_coupled": ("forget", "output", "candidate"),
    "gru": ("reset", "update", "candidate"),
    "janet": ("forget", "candidate"),
    "ugrnn": ("update", "candidate"),
    **dict.fromkeys(("mgu", "min_gru", "one_cell"), ("input", "candidate")),
    "min_lstm": ("forget", "input", "candidate"),
    "co_rnn": ("force",),
    "mlstm": ("query", "key", "value", "output"),
    **dict.fromkeys(("delta_net", "gated_delta_net", "delta_product"), ("all",)),
    **dict.fromkeys(("s6", "exp_rnn", "sco_rnn", "memory_blocks", "self_recurrent"), ("units",)),
    "lru": (),
    "rwkv": (),
}


def from_jaxrnn(name: str, params: Any) -> Net:
    """jaxrnn's parameters of one net in this layout."""
    fields = params._asdict()
    own = fields.pop("own", ())
    fields = {field: np.asarray(leaf, np.float64) for field, leaf in fields.items()}
    slices = SLICES[name]

    def by_slice(field: str) -> Gates:
        if field not in fields:
            return {}
        return dict(zip(slices, np.split(fields.pop(field), len(slices), axis=-1), strict=True))

    U, W, b = map(by_slice, ("input_weights", "recurrent_weights", "bias"))
    if name == "lru":
        fields["output_weights"] = fields.pop("C_re") + 1j * fields.pop("C_im")
    V, b_out = fields.pop("output_weights"), fields.pop("output_bias", np.zeros(()))
    own = own._asdict() if own else {}
    return Net(U, W, b, fields | {k: np.asarray(v, np.float64) for k, v in own.items()}, V, b_out)


def run(name: str, params: Any, xs: np.ndarray, state: Any, **options: Any) -> Run:
    """Run jaxrnn's parameters of a net over a sequence [T, I], of a stack layer by layer."""
    if not hasattr(params, "_fields"):
        states = []
        for layer, start in zip(params, state, strict=True):
            xs, last, gates = run(name, layer, xs, start, **options)
            states.append(last)
        return Run(xs, tuple(states), gates)
    step: Callable[..., Any] = globals()[name]  # of that name above
    net = from_jaxrnn(name, params)
    outputs, seen = [], []
    for x in xs:
        gates, state, *h = step(net, x, *state, **options)
        y = ((h[0] if h else state[0]) @ net.V).real + net.b_out
        outputs.append(y + x @ net.own["direct_weights"] if "direct_weights" in net.own else y)
        seen.append(gates)
    return Run(np.array(outputs), state, {k: np.array([one[k] for one in seen]) for k in gates})
