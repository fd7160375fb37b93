"""Cells of gates: one matrix product of all of them, on the fast path."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn.nets.base import Cell, Mask, Reset, State
from jaxrnn.nets.gated_scan import Equations, gated_scan
from jaxrnn.nets.initializers import Initializer
from jaxrnn.nets.products import affine, product
from jaxrnn.nets.recurrent import recurrent


class GatedParams(NamedTuple):
    """Parameters of a cell built by :func:`gated`, its G gates side by side."""

    input_weights: jax.Array  # U [I, G H]
    recurrent_weights: jax.Array  # W [H, G H]
    bias: jax.Array  # b [G H]
    own: Any  # whatever else the cell's equations need, () for most
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


def first_weights(
    sizes: tuple[int, int, int],
    gates: tuple[str, ...],
    own: Callable[[int], Any] = lambda hidden_size: (),
) -> Callable[[jax.Array, Initializer], GatedParams]:
    """The ``init`` of a cell that has :class:`GatedParams`."""
    num_inputs, hidden_size, num_outputs = sizes

    def init(key: jax.Array, initializer: Initializer) -> GatedParams:
        input_key, recurrent_key, output_key, bias_key = jax.random.split(key, 4)
        return GatedParams(
            initializer.weights(input_key, len(gates), num_inputs, hidden_size),
            initializer.recurrent(recurrent_key, len(gates), hidden_size, hidden_size),
            initializer.biases(bias_key, gates, hidden_size),
            own(hidden_size),
            initializer.weights(output_key, 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    return init


def _two_sums(own: Any, state: Any, x: jax.Array, h: jax.Array, b: jax.Array) -> Any:
    """x U + b and h W, which :func:`gated`'s ``advance`` gets in place of gates."""
    return x + b, h


def _readout(params: GatedParams, h: jax.Array, projected: jax.Array) -> jax.Array:
    return affine(h, params.output_weights, params.output_bias)


def gated(
    sizes: tuple[int, int, int],
    gates: tuple[str, ...],
    activate: Callable[..., list[jax.Array]],
    update: Callable[..., State],
    initial_state: Callable[[int], State],
    hidden: Callable[[State], jax.Array],
    *,
    own: Callable[[int], Any] = lambda hidden_size: (),
    adds_up: bool = True,
    slope: Callable[[jax.Array], jax.Array] | None = None,
    pull_back: Callable[..., tuple[jax.Array, jax.Array]] | None = None,
    advance: Callable[..., State] | None = None,
) -> Cell[GatedParams, Any]:
    """Build a cell from the equations between one matrix product for all gates and the hidden
    units.

    With sizes (I, H, O): a(t) = x(t) U + h(t-1) W + b [G H], the gates' activations
    g(t) = activate(own, state(t-1), a(t)), [H] each, state(t) = update(own, state(t-1), *g(t)),
    h(t) = hidden(state(t)) [H], y(t) = h(t) V + output bias [O]; see :class:`GatedParams`.
    ``initial_state`` and ``own`` get H. The step takes x [I], or a symbol (an integer below I),
    whose product is a row of U. A cell whose equations need the summands of a(t) apart has
    ``adds_up`` False, and its ``activate`` gets (own, state, x U, h W, b). If each activation
    depends only on its own element of a(t), ``slope`` may give its derivative, computed from the
    activation itself: from all gates' g [G H] side by side it gives dg/da [G H], which is 1 - g^2
    for tanh. A cell that does not add up may have ``pull_back`` instead, if its activations depend
    only on x U + b and h W: from all gates' g [G H], h W and the gradient by g it gives those by
    x U + b and by h W. ``advance`` may be given, too: state(t) = advance(own, state(t-1), a(t)),
    or of (x U + b, h W) in place of a(t), with a derivative that keeps fewer numbers than JAX's
    own.

    The fast path computes x U and h V for all time steps in one product each, forward and backward.
    It computes the gradient of W in one product, too. Only h W, ``activate`` and ``update`` stay in
    the scan. With ``slope`` only states and activations are kept for the backward pass, with
    ``pull_back`` h W, too. It has reverse-mode derivatives only: for others differentiate a scan of
    ``step``. Sequences that share weights take a scan that JAX itself differentiates.
    """
    back: Callable[..., tuple[jax.Array, ...]] | None = pull_back
    if adds_up:  # otherwise there is no a(t) whose slope it could be
        back = slope and (lambda gates, _, d_gates: (d_gates * slope(gates),))
    equations = Equations(activate, update, hidden, adds_up, back)
    of_batches = equations._replace(together=True)
    if not adds_up and advance:
        of_batches = of_batches._replace(activate=_two_sums, update=advance, pull_back=None)

    def first_state(params: GatedParams) -> State:
        zeros = initial_state(sizes[1])
        return jax.tree.map(lambda leaf: leaf.astype(params.bias.dtype), zeros)

    def project(params: GatedParams, x: jax.Array) -> jax.Array:
        if jnp.issubdtype(x.dtype, jnp.integer):
            return product(x, params.input_weights)
        return affine(x, params.input_weights, jnp.zeros_like(params.bias))

    def look(params: GatedParams, state: State, projected: jax.Array) -> list[jax.Array]:
        return activate(params.own, state, *sums_of(params, state, projected))

    def sums_of(params: GatedParams, state: State, projected: jax.Array) -> tuple[jax.Array, ...]:
        h_product = hidden(state) @ params.recurrent_weights
        if adds_up:
            return (projected + params.bias + h_product,)
        return projected, h_product, params.bias

    def advance_once(params: GatedParams, state: State, projected: jax.Array) -> Any:
        state = update(params.own, state, *look(params, state, projected))
        return state, hidden(state)

    def advance_shared(params: GatedParams, state: State, projected: jax.Array) -> Any:
        if advance is None:
            return advance_once(params, state, projected)
        operands = sums_of(params, state, projected)
        if not adds_up:
            operands = _two_sums(params.own, state, *operands)
        state = advance(params.own, state, *operands)
        return state, hidden(state)

    def scan(
        params: GatedParams,
        state: State,
        projected: jax.Array,
        at_once: int,
        mask: Mask = None,
        reset: Reset = None,
    ) -> Any:
        episodes = None if reset is None else (reset, first_state(params))
        operands = (params.recurrent_weights, params.bias, params.own, state, projected)
        return gated_scan(equations._replace(steps_at_once=at_once), *operands, mask, episodes)

    def scan_together(params: GatedParams, states: State, projected: jax.Array) -> jax.Array:
        operands = (params.recurrent_weights, params.bias, params.own, states, projected)
        return gated_scan(of_batches, *operands, None, None)[1]

    return recurrent(
        first_weights(sizes, gates, own),
        first_state,
        project,
        advance_once,
        _readout,
        scan=scan,
        scan_together=scan_together if advance or (adds_up and slope) else None,
        advance_shared=advance_shared,
        gates=gates,
        look=look,
    )
