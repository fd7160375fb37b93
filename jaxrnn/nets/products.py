"""Products of weights, and what XLA must not fuse with them or round in other places."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.nets.elementary import SHORT


def product(x: jax.Array, weights: jax.Array) -> jax.Array:
    """x W of one step or of all of them: [I] or [T, I], or symbols, whose product is a row."""
    return _rows(weights, x) if jnp.issubdtype(x.dtype, jnp.integer) else x @ weights


@jax.custom_jvp
def _rows(weights: jax.Array, symbols: jax.Array) -> jax.Array:
    return weights[symbols]


@_rows.defjvp
def _rows_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    weights, symbols = primals

    def by_product(tangent: jax.Array) -> jax.Array:
        return jax.nn.one_hot(symbols, weights.shape[0], dtype=weights.dtype) @ tangent

    # The gradient of W, rows that are added to, which an accelerator does faster by a product.
    tangent = lax.platform_dependent(
        tangents[0], cpu=lambda tangent: tangent[symbols], default=by_product
    )
    return weights[symbols], tangent


# XLA's CPU back end fuses a concatenation along the last axis with the products and sums around it,
# and so rounds in other places, only where all lanes of a device have less than 2,048 bytes in it,
# or one lane less than 64 (from jax 0.12.0 on; before, it looks at no size). Between barriers it
# is done apart, whatever the number of lanes; on jax 0.10.2 they change no bit.
_ALWAYS_FUSED_BELOW = 64


def barrier(tree: Any) -> Any:
    """The arrays, which XLA's CPU back end computes apart from what comes of them.

    Other back ends may fuse the two, as an accelerator has to, for which few kernels count.
    """
    return lax.platform_dependent(tree, cpu=lax.optimization_barrier, default=lambda tree: tree)


@jax.custom_jvp
def join(*parts: jax.Array) -> jax.Array:
    """The parts [..., K] side by side."""
    width = sum(part.shape[-1] * part.dtype.itemsize for part in parts)
    if width < _ALWAYS_FUSED_BELOW:
        return jnp.concatenate(parts, axis=-1)
    return barrier(jnp.concatenate(barrier(parts), axis=-1))


@join.defjvp
def _join_jvp(parts: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    return join(*parts), jnp.concatenate(tangents, axis=-1)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def split(a: jax.Array, num_parts: int) -> list[jax.Array]:
    """What lies side by side in a [..., P K], P parts [..., K]; its gradient joins them."""
    return jnp.split(a, num_parts, axis=-1)


@split.defjvp
def _split_jvp(num_parts: int, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (a,), (tangent,) = primals, tangents
    if a.shape[-1] * a.dtype.itemsize < _ALWAYS_FUSED_BELOW:
        return split(a, num_parts), jnp.split(tangent, num_parts, axis=-1)
    parts = jnp.split(barrier(tangent), num_parts, axis=-1)
    return split(a, num_parts), barrier(parts)


def affine(x: jax.Array, weights: jax.Array, bias: jax.Array) -> jax.Array:
    """x W + b of one vector [K], of all time steps' [T, K], or of those of sequences [T, B, K]."""
    if x.ndim == 1:
        return x @ weights + bias
    return _affine_of_rows(x, weights, bias)


@jax.custom_vjp
def _affine_of_rows(x: jax.Array, weights: jax.Array, bias: jax.Array) -> jax.Array:
    return add_bias(x @ weights, bias)


def _affine_forward(x: jax.Array, weights: jax.Array, bias: jax.Array) -> Any:
    # Written out: a rule that called the function again would have no forward-mode derivative.
    return add_bias(x @ weights, bias), (x, weights)


def _affine_backward(
    operands: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    # XLA's CPU back end compiles a plain product of two small matrices, but calls a library for
    # one of transposed matrices, which takes up to eight times as long; the barrier keeps XLA
    # from folding the transposition into the product.
    x, weights = operands
    return cotangent @ barrier(weights.T), *by_weights(x, cotangent)


def by_weights(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The gradients of W and b of x W + b, [T, K] or [T, B, K] each row's."""

    def by_one_product(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        # A column of ones gives that of b, since XLA's CPU back end takes long for sums of rows.
        ones = jnp.ones((x.shape[0], 1), x.dtype)
        gradients = barrier(jnp.concatenate([x, ones], axis=1).T) @ cotangent
        return gradients[:-1], gradients[-1]

    def apart(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        return x.T @ cotangent, cotangent.sum(0)

    if x.ndim == 3:
        # Thousands of rows: to transpose them takes as long as the product, so it is one over their
        # first axis. Apart, or XLA gathers x anew for each column of few.
        x, cotangent = barrier(tuple(a.reshape(-1, a.shape[-1]) for a in (x, cotangent)))
        product = lax.dot_general(x, cotangent, (((0,), (0,)), ((), ())))
        return barrier((product, jnp.ones(len(x), x.dtype) @ cotangent))
    # An accelerator would start one operation more for the column.
    return lax.platform_dependent(x, cotangent, cpu=by_one_product, default=apart)


_affine_of_rows.defvjp(_affine_forward, _affine_backward)


def add_bias(products: jax.Array, bias: jax.Array) -> jax.Array:
    """A bias [K] added to [T, K]."""
    return products + jnp.broadcast_to(bias, products.shape)


def vector_product(x: jax.Array, weights: jax.Array) -> jax.Array:
    """x W [K] of a vector [J], as the step of a scan needs it."""
    # XLA's CPU back end computes this sum along with what comes after it, which for a short K takes
    # less time than the product alone.
    return jnp.sum(x[:, None] * weights, 0) if weights.shape[1] <= SHORT else x @ weights
