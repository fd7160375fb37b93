"""A cell, and a cell run over a sequence.

Letters used for shapes everywhere: N trials, T time steps, I inputs, H hidden units, O outputs,
C training steps of a chunk. Nothing in this module has a trial axis.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from jax import lax

from jaxrnn.nets.initializers import Initializer

Params = Any
State = Any


class Cell(NamedTuple):
    """A recurrent net as pure functions of one time step of one sequence.

    ``init(key, num_inputs, hidden_size, num_outputs, initializer) -> params``
        The first weights.
    ``initial_state(params) -> state``
        The state before the first step.
    ``step(params, state, x) -> (state, y)``
        One time step, x ``[I]`` (or a symbol, an integer below I, where the cell was built by
        :func:`gated`), y ``[O]``. ``lax.scan(partial(cell.step, params), state, xs)`` runs it.
    ``unroll(params, state, xs) -> (state, ys)``
        Optional: what that scan computes, done faster.
    ``description``, ``source``
        A line each for ``jaxrnn list``: what it is, and where the equations come from.
    ``gates``
        The gates by name, in the order in which they lie side by side in the weights.
    ``activations(params, state, x) -> {gate: [H]}``
        Optional: the gates' activations in the step from ``state``, for those who want to look.
    """

    init: Callable[[jax.Array, int, int, int, Initializer], Params]
    initial_state: Callable[[Params], State]
    step: Callable[[Params, State, jax.Array], tuple[State, jax.Array]]
    unroll: Callable[[Params, State, jax.Array], tuple[State, jax.Array]] | None = None
    description: str = ""
    source: str = ""
    gates: tuple[str, ...] = ()
    activations: Callable[[Params, State, jax.Array], dict[str, jax.Array]] | None = None


def unroll(
    cell: Cell, params: Params, xs: jax.Array, state: State | None = None
) -> tuple[State, jax.Array]:
    """Run ``cell`` over ``xs`` ([T, I], or [T] symbols) and return (last state, ys [T, O]).

    Takes the cell's own fast path where it has one, else ``lax.scan`` of its step. ``state`` is
    the state before the first step, by default the cell's initial state.
    """
    if state is None:
        state = cell.initial_state(params)
    if cell.unroll is not None:
        return cell.unroll(params, state, xs)
    return lax.scan(partial(cell.step, params), state, xs)


def stack(cell: Cell, num_layers: int) -> Cell:
    """Put ``num_layers`` copies of ``cell`` on top of each other, each with its own parameters.

    A layer's input at each step is the OUTPUT y [O] (the logits) of the layer below, not its
    hidden state; the first layer sees x. Parameters and state are tuples, one entry a layer.

    Source: the notebook's ``multi_layer_RNN``.
    """
    if num_layers == 1:
        return cell

    def init(
        key: jax.Array,
        num_inputs: int,
        hidden_size: int,
        num_outputs: int,
        initializer: Initializer,
    ) -> Params:
        keys = jax.random.split(key, num_layers)
        fans_in = [num_inputs] + [num_outputs] * (num_layers - 1)
        return tuple(
            cell.init(k, fan_in, hidden_size, num_outputs, initializer)
            for k, fan_in in zip(keys, fans_in, strict=True)
        )

    def initial_state(params: Params) -> State:
        return tuple(cell.initial_state(layer) for layer in params)

    def step(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        new_state = []
        for layer, layer_state in zip(params, state, strict=True):
            layer_state, x = cell.step(layer, layer_state, x)
            new_state.append(layer_state)
        return tuple(new_state), x

    def fast(params: Params, state: State, xs: jax.Array) -> tuple[State, jax.Array]:
        new_state = []
        for layer, layer_state in zip(params, state, strict=True):
            layer_state, xs = unroll(cell, layer, xs, layer_state)
            new_state.append(layer_state)
        return tuple(new_state), xs

    # A whole layer at a time lets each layer take its cell's own fast path.
    return Cell(init, initial_state, step, fast if cell.unroll else None, gates=cell.gates)
