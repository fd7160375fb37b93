"""Cells of gates: one matrix product of all of them, on the fast path."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.nets.base import Cell, State, without_outputs
from jaxrnn.nets.initializers import Initializer, require_initializer


class GatedParams(NamedTuple):
    """Parameters of a cell built by :func:`gated`, its G gates side by side."""

    input_weights: jax.Array  # U [I, G H]
    recurrent_weights: jax.Array  # W [H, G H]
    bias: jax.Array  # b [G H]
    own: Any  # whatever else the cell's equations need, () for most
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


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
) -> Cell:
    """Build a cell from what happens between one matrix product of all gates and the hidden units.

    With sizes (I, H, O): a(t) = x(t) U + h(t-1) W + b [G H], the gates' activations
    g(t) = activate(own, state(t-1), a(t)), [H] each, state(t) = update(own, state(t-1), *g(t)),
    h(t) = hidden(state(t)) [H], y(t) = h(t) V + output bias [O]; see :class:`GatedParams`.
    ``initial_state`` and ``own`` get H. The step takes x [I], or a symbol (an integer below I),
    whose product is a row of U. A cell whose equations need the summands of a(t) apart has
    ``adds_up`` False, and its ``activate`` gets (own, state, x U, h W, b).

    The fast path does x U and h V for all time steps in one product each, forward and backward,
    and so the gradient of W, unless the cell does not add up; only h W, ``activate`` and ``update``
    stay in the scan. It has reverse-mode derivatives only: for others differentiate a scan of
    ``step``.
    """
    num_inputs, hidden_size, num_outputs = sizes

    def init(key: jax.Array, initializer: Initializer) -> GatedParams:
        require_initializer(initializer)
        input_key, recurrent_key, output_key, bias_key = jax.random.split(key, 4)
        return GatedParams(
            initializer.weights(input_key, len(gates), num_inputs, hidden_size),
            initializer.recurrent(recurrent_key, len(gates), hidden_size, hidden_size),
            initializer.biases(bias_key, gates, hidden_size),
            own(hidden_size),
            initializer.weights(output_key, 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def first_state(params: GatedParams) -> State:
        zeros = initial_state(hidden_size)
        return jax.tree.map(lambda leaf: leaf.astype(params.bias.dtype), zeros)

    def project(params: GatedParams, x: jax.Array) -> jax.Array:
        is_symbol = jnp.issubdtype(x.dtype, jnp.integer)
        product = params.input_weights[x] if is_symbol else _product(x, params.input_weights)
        return product + jnp.broadcast_to(params.bias, product.shape) if adds_up else product

    def look(params: GatedParams, state: State, projected: jax.Array) -> list[jax.Array]:
        product = hidden(state) @ params.recurrent_weights
        if adds_up:
            return activate(params.own, state, projected + product)
        return activate(params.own, state, projected, product, params.bias)

    def advance(own: Any, state: State, a: jax.Array) -> State:
        return update(own, state, *activate(own, state, a))

    def readout(params: GatedParams, h: jax.Array) -> jax.Array:
        product = _product(h, params.output_weights)
        return product + jnp.broadcast_to(params.output_bias, product.shape)

    def step(params: GatedParams, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        state = update(params.own, state, *look(params, state, project(params, x)))
        return state, readout(params, hidden(state))

    def fast(params: GatedParams, state: State, xs: jax.Array) -> tuple[State, jax.Array]:
        def one(state: State, projected: jax.Array) -> tuple[State, jax.Array]:
            state = update(params.own, state, *look(params, state, projected))
            return state, hidden(state)

        projected = project(params, xs)
        if adds_up:
            weights = params.recurrent_weights
            state, hs = _scan(advance, hidden, weights, params.own, state, projected)
        else:
            state, hs = lax.scan(one, state, projected)
        return state, readout(params, hs)

    def activations(params: GatedParams, state: State, x: jax.Array) -> dict[str, jax.Array]:
        return dict(zip(gates, look(params, state, project(params, x)), strict=True))

    return Cell(init, first_state, step, fast, gates, activations, without_outputs)


def _product(x: jax.Array, weights: jax.Array) -> jax.Array:
    """x W of one vector [K] or of all time steps' [T, K]."""
    return x @ weights if x.ndim == 1 else _product_of_rows(x, weights)


@jax.custom_vjp
def _product_of_rows(x: jax.Array, weights: jax.Array) -> jax.Array:
    return x @ weights


def _product_backward(
    operands: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    # XLA's CPU back end compiles a plain product of two small matrices, but calls a library for
    # one of transposed matrices, which takes up to eight times as long; the barrier keeps XLA
    # from folding the transpositions into the products.
    x_t, weights_t = lax.optimization_barrier((operands[0].T, operands[1].T))
    return cotangent @ weights_t, x_t @ cotangent


_product_of_rows.defvjp(lambda x, weights: (x @ weights, (x, weights)), _product_backward)


def _plain_scan(
    advance: Callable[[Any, State, jax.Array], State],
    hidden: Callable[[State], jax.Array],
    weights: jax.Array,
    own: Any,
    state: State,
    pre: jax.Array,
) -> tuple[State, jax.Array]:
    """The scan of a gated cell over ``pre`` [T, G H]: (last state, hidden units [T, H])."""

    def step(state: State, pre: jax.Array) -> tuple[State, jax.Array]:
        state = advance(own, state, pre + hidden(state) @ weights)
        return state, hidden(state)

    return lax.scan(step, state, pre)


# Differentiating the scan by the pre-activations alone and taking the gradient of W from theirs in
# one product afterwards spares the backward scan a sum into a matrix at every step.
_scan = jax.custom_vjp(_plain_scan, nondiff_argnums=(0, 1))


def _scan_forward(advance: Any, hidden: Any, weights: jax.Array, *rest: Any) -> Any:
    (last, hs), pullback = jax.vjp(partial(_plain_scan, advance, hidden, weights), *rest)
    _, state, _ = rest
    before = jnp.concatenate([hidden(state)[None], hs[:-1]])
    return (last, hs), (pullback, before)


def _scan_backward(advance: Any, hidden: Any, residuals: Any, cotangents: Any) -> Any:
    pullback, before = residuals
    d_own, d_state, d_pre = pullback(cotangents)
    return lax.optimization_barrier(before.T) @ d_pre, d_own, d_state, d_pre


_scan.defvjp(_scan_forward, _scan_backward)
