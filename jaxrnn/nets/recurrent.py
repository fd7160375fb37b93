"""The skeleton of a cell: what happens before, in and after its recurrence."""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.nets.base import (
    Cell,
    Mask,
    Params,
    Reset,
    State,
    after_step,
    before_step,
    given,
    without_outputs,
)
from jaxrnn.nets.initializers import Initializer, require_initializer
from jaxrnn.nets.products import add_bias, product


def sums(params: Params, x: jax.Array) -> jax.Array:
    """p = x U + b, of one time step or of all of them."""
    return add_bias(product(x, params.input_weights), params.bias)


def outputs(params: Params, h: jax.Array, projected: Any) -> jax.Array:
    """y = h V + output bias, of one time step or of all of them."""
    return add_bias(h @ params.output_weights, params.output_bias)


Readout = Callable[[Params, Any, Any], jax.Array]


def recurrent(
    init: Callable[[jax.Array, Initializer], Params],
    initial_state: Callable[[Params], State],
    project: Callable[[Params, jax.Array], Any],
    advance: Callable[[Any, State, Any], tuple[State, Any]],
    readout: Readout = outputs,
    *,
    scan: Callable[..., tuple[State, Any]] | None = None,
    scan_together: Callable[[Params, State, Any], Any] | None = None,
    advance_shared: Callable[[Params, State, Any], tuple[State, Any]] | None = None,
    gates: tuple[str, ...] = (),
    look: Callable[[Any, State, Any], Any] | None = None,
    prepare: Callable[[Params], Any] = lambda params: params,
    before_joining: Callable[[Params], Params] = without_outputs,
) -> Cell:
    """Build a cell from its equations: p(t) = project(x(t)), (s(t), h(t)) = advance(s(t-1), p(t)),
    y(t) = readout(h(t), p(t)).

    Every function gets the parameters first. ``project`` and ``readout`` take one time step or all
    of them (with ``scan_together`` those of B sequences, [T, B, ...], too), and the fast path does
    each for all time steps at once; ``advance`` alone stays in the scan.
    ``scan(params, state, all p, steps_at_once)`` may compute (last state, all h) faster than that
    scan, see :func:`jaxrnn.unroll`; it may take ``mask`` and ``reset`` as keywords.
    ``scan_together(params, states [B, ...], all p)`` may compute all h [T, B, ...] of B sequences.
    With ``advance_shared``, which computes what ``advance`` does, the cell has a fast path for
    sequences that share the weights; its readout is then :func:`outputs`.
    ``look(params, s(t-1), p(t))`` gives the activations of the ``gates``, in their order.
    ``advance`` and ``look`` get ``prepare(params)`` in place of the parameters, which is computed
    once, before the scan. ``init`` and ``before_joining`` are the :class:`Cell`'s.
    """

    def checked_init(key: jax.Array, initializer: Initializer) -> Params:
        require_initializer(initializer)
        return init(key, initializer)

    def plain(
        params: Params,
        state: State,
        projected: Any,
        at_once: int,
        mask: Mask = None,
        reset: Reset = None,
    ) -> tuple[State, Any]:
        prepared = prepare(params)
        first = state if reset is None else initial_state(params)

        def one(state: State, at: tuple[Any, Any, Any]) -> tuple[State, Any]:
            state = before_step(at[2], first, state)
            after, h = advance(prepared, state, at[0])
            return after_step(at[1], after, state), h

        return lax.scan(one, state, (projected, mask, reset), unroll=at_once)

    of_batches = partial(_of_batches, initial_state, project, advance_shared, scan_together)
    scan = scan or plain
    takes = signature(scan).parameters.keys()

    activations = None
    if look is not None:

        def activations(params: Params, state: State, x: jax.Array) -> dict[str, jax.Array]:
            return dict(zip(gates, look(prepare(params), state, project(params, x)), strict=True))

    def with_outputs(readout: Readout, readout_shared: Readout) -> Cell:
        shared, together = of_batches(readout, readout_shared)

        def step(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
            projected = project(params, x)
            state, h = advance(prepare(params), state, projected)
            return state, readout(params, h, projected)

        def unroll(
            params: Params,
            state: State,
            xs: jax.Array,
            steps_at_once: int = 1,
            mask: Mask = None,
            reset: Reset = None,
        ) -> tuple[State, jax.Array]:
            projected, marks = project(params, xs), given(mask, reset)
            run = scan if marks.keys() <= takes else plain
            last, hs = run(params, state, projected, steps_at_once, **marks)
            return last, readout(params, hs, projected)

        return Cell(
            checked_init,
            initial_state,
            step,
            unroll,
            gates,
            activations,
            before_joining,
            together=together if scan_together or advance_shared else None,
            shared=shared if advance_shared else None,
        )

    def passed_on(params: Params, h: Any, projected: Any) -> Any:
        return h

    # JAX's own derivative of a plain product sums over all sequences at once.
    cell = with_outputs(readout, outputs if advance_shared is not None else readout)
    return cell._replace(hidden=with_outputs(passed_on, passed_on))


def _of_batches(
    initial_state: Callable[[Params], State],
    project: Callable[[Params, jax.Array], Any],
    advance_shared: Callable[[Params, State, Any], tuple[State, Any]] | None,
    scan_together: Callable[[Params, State, Any], Any] | None,
    readout: Readout,
    readout_shared: Readout,
) -> tuple[Callable[..., tuple[State, jax.Array]], Callable[[Params, jax.Array], jax.Array]]:
    """``shared`` and ``together`` of a :class:`Cell`, by the functions of :func:`recurrent`."""

    def shared(
        params: Params, state: State, xs: jax.Array, mask: Mask = None, reset: Reset = None
    ) -> tuple[State, jax.Array]:
        # With the projection inside of the scan: to keep that of all time steps in memory takes
        # longer than to compute it in many small products.
        assert advance_shared is not None
        first = state if reset is None else initial_state(params)

        def one(state: State, at: tuple[jax.Array, Any, Any]) -> tuple[State, Any]:
            state = before_step(at[2], first, state)
            after, h = advance_shared(params, state, project(params, at[0]))
            return after_step(at[1], after, state), h

        last, hs = lax.scan(one, state, (xs, mask, reset))
        return last, readout_shared(params, hs, None)

    def together(params: Params, xs: jax.Array) -> jax.Array:
        if scan_together is None:
            return jax.vmap(lambda xs: shared(params, initial_state(params), xs)[1])(xs)
        first = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (len(xs), *leaf.shape)), initial_state(params)
        )
        # Time first, as the scan has it.
        projected = project(params, xs.swapaxes(0, 1))
        hs = scan_together(params, first, projected)
        return readout(params, hs, projected).swapaxes(0, 1)

    return shared, together
