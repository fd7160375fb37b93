"""The skeleton of a cell: what happens before, in and after its recurrence."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from jaxrnn.nets.base import Cell, Params, State, without_outputs
from jaxrnn.nets.initializers import Initializer, require_initializer
from jaxrnn.nets.products import add_bias, product


def sums(params: Params, x: jax.Array) -> jax.Array:
    """p = x U + b, of one time step or of all of them."""
    return add_bias(product(x, params.input_weights), params.bias)


def outputs(params: Params, h: jax.Array, projected: Any) -> jax.Array:
    """y = h V + output bias, of one time step or of all of them."""
    return add_bias(h @ params.output_weights, params.output_bias)


def recurrent(
    init: Callable[[jax.Array, Initializer], Params],
    initial_state: Callable[[Params], State],
    project: Callable[[Params, jax.Array], Any],
    advance: Callable[[Any, State, Any], State],
    readout: Callable[[Params, Any, Any], jax.Array] = outputs,
    *,
    hidden: Callable[[State], Any] = lambda state: state,
    scan: Callable[[Params, State, Any, int], tuple[State, Any]] | None = None,
    gates: tuple[str, ...] = (),
    look: Callable[[Any, State, Any], Any] | None = None,
    prepare: Callable[[Params], Any] = lambda params: params,
    before_joining: Callable[[Params], Params] = without_outputs,
) -> Cell:
    """Build a cell from its equations: p(t) = project(x(t)), s(t) = advance(s(t-1), p(t)),
    h(t) = hidden(s(t)), y(t) = readout(h(t), p(t)).

    Every function gets the parameters first. ``project`` and ``readout`` take one time step or all
    of them, and the fast path does each for all time steps at once; ``advance`` alone stays in the
    scan. ``scan(params, state, all p, steps_at_once)`` may compute (last state, all h) faster than
    that scan, see :func:`jaxrnn.unroll`. ``look(params, s(t-1), p(t))`` gives the activations of
    the ``gates``, in their order. ``advance`` and ``look`` get ``prepare(params)`` in place of the
    parameters, which is computed once, before the scan. ``init`` and ``before_joining`` are the
    :class:`Cell`'s.
    """

    def checked_init(key: jax.Array, initializer: Initializer) -> Params:
        require_initializer(initializer)
        return init(key, initializer)

    def plain(params: Params, state: State, projected: Any, at_once: int) -> tuple[State, Any]:
        prepared = prepare(params)

        def one(state: State, projected: Any) -> tuple[State, Any]:
            state = advance(prepared, state, projected)
            return state, hidden(state)

        return lax.scan(one, state, projected, unroll=at_once)

    activations = None
    if look is not None:

        def activations(params: Params, state: State, x: jax.Array) -> dict[str, jax.Array]:
            return dict(zip(gates, look(prepare(params), state, project(params, x)), strict=True))

    def with_outputs(readout: Callable[[Params, Any, Any], jax.Array]) -> Cell:
        def step(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
            projected = project(params, x)
            state = advance(prepare(params), state, projected)
            return state, readout(params, hidden(state), projected)

        def unroll(
            params: Params, state: State, xs: jax.Array, steps_at_once: int = 1
        ) -> tuple[State, jax.Array]:
            projected = project(params, xs)
            last, hs = (scan or plain)(params, state, projected, steps_at_once)
            return last, readout(params, hs, projected)

        return Cell(checked_init, initial_state, step, unroll, gates, activations, before_joining)

    of_hidden = with_outputs(lambda params, h, projected: h)
    return with_outputs(readout)._replace(hidden=of_hidden)
