"""See a trained net remember: its states and gates over time, and how far its gradient reaches."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxrnn.experiment import Experiment
from jaxrnn.machine import compiler_options
from jaxrnn.nets.base import Cell, Params
from jaxrnn.problems import Sequence, Task
from jaxrnn.training.compiling import in_full_precision
from jaxrnn.training.objectives import loss_and_error
from jaxrnn.training.parts import parts_of


class Record(NamedTuple):
    """What happens inside a net while it reads one sequence."""

    states: dict[str, jax.Array]  # [T, H] each, after every step: "hidden", "cell", ...
    gates: dict[str, jax.Array]  # [T, H] each, in every step; none if the cell does not show them
    outputs: jax.Array  # y [T, O]


def look(cell: Cell, params: Params, xs: jax.Array) -> Record:
    """Run the cell's step over ``xs`` [T, I] (or [T] symbols, if its step takes them); keep all
    steps.

    States get names: a single array is "hidden", a NamedTuple gives the names of its fields, and
    for a tuple, as :func:`jaxrnn.nets.stack` has, "layer 1", "layer 2", ... stands before these
    names.
    """

    def step(state: Any, x: jax.Array) -> tuple[Any, Record]:
        gates = cell.activations(params, state, x) if cell.activations else {}
        state, y = cell.step(params, state, x)
        states = {}
        for path, leaf in jax.tree_util.tree_leaves_with_path(state):
            words, is_number = [], False
            for key in path:
                is_number = isinstance(key, jax.tree_util.SequenceKey)
                name = getattr(key, "name", getattr(key, "key", ""))
                words.append(f"layer {key.idx + 1}" if is_number else str(name))
            states[" ".join(words if words and not is_number else [*words, "hidden"])] = leaf
        return state, Record(states, gates, y)

    return lax.scan(step, cell.initial_state(params), xs)[1]


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
    return norms_of(cell, params, xs, lambda ys: jax.nn.log_softmax(ys[-1])[target])


def norms_of(
    cell: Cell, params: Params, xs: jax.Array, number: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """Like :func:`gradient_norms`, but for any ``number`` computed from the outputs ys [T, O].

    For a cell that truncates its gradient, this is the truncated gradient, which trains the net.
    """

    def forward(state: Any, x: jax.Array) -> tuple[Any, tuple[Any, jax.Array]]:
        after, y = cell.step(params, state, x)
        return after, (state, y)

    def backward(d_after: Any, at: Any) -> tuple[Any, jax.Array]:
        state, x, d_y = at
        _, pullback = jax.vjp(lambda state: cell.step(params, state, x), state)
        (d_state,) = pullback((d_after, d_y))
        flat = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(d_state)])
        # Squares of vanished gradients would be 0 long before the gradients are.
        greatest = jnp.max(jnp.abs(flat))
        scale = jnp.where(greatest > 0, greatest, jnp.ones_like(greatest))
        return d_state, scale * jnp.linalg.norm(flat / scale)

    last, (states, ys) = lax.scan(forward, cell.initial_state(params), xs)
    d_ys = jax.grad(number)(ys)
    zeros = jax.tree.map(jnp.zeros_like, last)
    return lax.scan(backward, zeros, (states, xs, d_ys), reverse=True)[1]


class Look(NamedTuple):
    """What a net makes of two sequences; every array has an axis for them in front."""

    record: Record
    norms: jax.Array  # [2, T], see look_at_both
    sequences: Sequence
    errors: jax.Array  # [2], as the task judges them


DRAWN = 32  # sequences; two of them are looked at


def look_at_both(experiment: Experiment, params: Params) -> Look:
    """What a net makes of two sequences of its task, see :func:`two_drawn`.

    Norm t is that of the derivative of the loss at the last step that counts, by the state before
    step t. After that last step the norms are 0.
    """
    parts = parts_of(experiment)
    sequences = two_drawn(parts.task)

    @partial(jax.jit, compiler_options=compiler_options())
    @in_full_precision
    @jax.vmap
    def look_at(sequence: Sequence) -> tuple[Record, jax.Array, jax.Array]:
        xs = sequence.inputs

        def last_loss(ys: jax.Array) -> jax.Array:
            last = jnp.asarray(xs.shape[0] - 1)  # of the steps that count
            if sequence.mask is not None:
                last = jnp.max(jnp.where(sequence.mask, jnp.arange(len(sequence.mask)), 0))
            return parts.goal.objective(ys, sequence.targets)[0][last]

        record = look(parts.cell, params, xs)
        _, error = loss_and_error(parts.goal, record.outputs, sequence)
        return record, norms_of(parts.cell, params, xs, last_loss), error

    record, norms, errors = look_at(sequences)
    return Look(record, norms, sequences, errors)


def two_drawn(task: Task) -> Sequence:
    """Two sequences of a task, the same ones for every net: [2, ...].

    A few sequences are drawn. One result is the first of these. The other is the one whose targets,
    read back from the end, differ soonest from those of the first. If the task is to tell classes
    apart, it is of another class.
    """
    draw = jax.jit(jax.vmap(task.draw), compiler_options=compiler_options())
    drawn = draw(jax.random.split(jax.random.key(0), DRAWN))
    targets = np.asarray(drawn.targets)
    masks = np.ones(targets.shape[:2], bool) if drawn.mask is None else np.asarray(drawn.mask)
    first, *others = (one[mask][::-1] for one, mask in zip(targets, masks, strict=True))

    def parts_at(other: np.ndarray) -> int:
        """How far from the end the first target differs."""
        shared = min(len(first), len(other))
        differs = (first[:shared] != other[:shared]).reshape(shared, -1).any(axis=1)
        return int(differs.argmax()) if differs.any() else shared

    second = 1 + min(range(len(others)), key=lambda k: parts_at(others[k]))
    return jax.tree.map(lambda leaf: leaf[np.array([0, second])], drawn)
