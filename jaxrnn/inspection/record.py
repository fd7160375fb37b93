"""See a trained net remember: its states and gates over time, and how far its gradient reaches."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxrnn.experiment import Experiment
from jaxrnn.nets.base import Cell, Params
from jaxrnn.tasks import noise_free
from jaxrnn.training.engine import lanes_of, make_program, round_up
from jaxrnn.training.parts import parts_of
from jaxrnn.training.trial import build


class Record(NamedTuple):
    """What happens inside a net while it reads one sequence."""

    states: dict[str, jax.Array]  # [T, H] each, after every step: "hidden", "cell", ...
    gates: dict[str, jax.Array]  # [T, H] each, in every step; none if the cell does not show them
    outputs: jax.Array  # y [T, O]


def trained_params(experiment: Experiment, trial: int, num_steps: int) -> Params:
    """Return one trial's parameters after exactly ``num_steps`` training steps.

    To the bit what the runner trains on the same machine. ``trial`` is below experiment.trials.
    """
    devices = jax.devices()[:1]
    program = make_program(build(experiment), experiment.seed, num_steps, devices)
    # The same trial in every lane: what the others hold would make no difference.
    lanes = lanes_of(experiment, np.full(round_up(1, len(devices)), trial))
    state, _ = program.chunk(program.init(lanes), lanes)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), jax.device_get(state.params))


def look(cell: Cell, params: Params, xs: jax.Array) -> Record:
    """Run the cell's step over ``xs`` [T, I] (or [T] symbols, as its step takes) and keep it all.

    States go by their names: a bare array is "hidden", a NamedTuple goes by its fields, and a
    tuple, as :func:`jaxrnn.nets.stack` has, by "layer 1", "layer 2", ... and these.
    """

    def step(state: Any, x: jax.Array) -> tuple[Any, Record]:
        gates = cell.activations(params, state, x) if cell.activations else {}
        state, y = cell.step(params, state, x)
        return state, Record(_by_name(state), gates, y)

    return lax.scan(step, cell.initial_state(params), xs)[1]


def _by_name(state: Any) -> dict[str, jax.Array]:
    """The arrays of a state, each with its name."""
    named = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        is_number = [isinstance(key, jax.tree_util.SequenceKey) for key in path]
        words = [
            f"layer {key.idx + 1}" if number else str(getattr(key, "name", getattr(key, "key", "")))
            for key, number in zip(path, is_number, strict=True)
        ]
        named[" ".join(words if words and not is_number[-1] else [*words, "hidden"])] = leaf
    return named


def gradient_norms(cell: Cell, params: Params, xs: jax.Array, target: int | jax.Array) -> jax.Array:
    """How strongly the last prediction depends on the state that each step starts from, [T].

    With (s(t+1), y(t)) = step(s(t), x(t)), so that s(t) is the whole state (hidden and cell
    together) before step t and s(0) the initial one, and p = softmax(y(T-1)):

        g(T-1) = (dy(T-1) / ds(T-1))' d log p[target] / dy(T-1)
        g(t)   = (ds(t+1) / ds(t))' g(t+1)

    and the result is |g(t)| = |d log p[target] / ds(t)| for t = 0..T-1. ``xs`` as for
    :func:`look`.

    Source: Hochreiter 1991; Bengio, Simard & Frasconi 1994.
    """

    def forward(state: Any, x: jax.Array) -> tuple[Any, tuple[Any, jax.Array]]:
        after, y = cell.step(params, state, x)
        return after, (state, y)

    def backward(d_after: Any, at: Any) -> tuple[Any, jax.Array]:
        state, x, d_y = at
        _, pullback = jax.vjp(lambda state: cell.step(params, state, x), state)
        (d_state,) = pullback((d_after, d_y))
        return d_state, _norm(d_state)

    last, (states, ys) = lax.scan(forward, cell.initial_state(params), xs)
    d_ys = jax.grad(lambda ys: jax.nn.log_softmax(ys[-1])[target])(ys)  # 0 but for the last step
    zeros = jax.tree.map(jnp.zeros_like, last)
    return lax.scan(backward, zeros, (states, xs, d_ys), reverse=True)[1]


def _norm(tree: Any) -> jax.Array:
    flat = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])
    # Squares of vanished gradients would be 0 long before the gradients are.
    greatest = jnp.max(jnp.abs(flat))
    scale = jnp.where(greatest > 0, greatest, jnp.ones_like(greatest))
    return scale * jnp.linalg.norm(flat / scale)


def look_at_both(experiment: Experiment, params: Params) -> tuple[Record, jax.Array]:
    """The record and the gradient norms of the two sequences of noise_free.

    Each has an axis for the sequences in front, that which begins with T-2 first.
    """
    cell, length = parts_of(experiment).cell, experiment.length
    symbols = noise_free(length).draw(jax.random.key(0)).inputs

    @jax.jit
    @jax.vmap
    def look_at(first: jax.Array) -> tuple[Record, jax.Array]:
        xs = symbols.at[0].set(first)
        return look(cell, params, xs), gradient_norms(cell, params, xs, first)

    return look_at(jnp.array([length - 2, length - 1], jnp.int32))
