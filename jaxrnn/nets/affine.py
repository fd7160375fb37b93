"""An affine map of all time steps at once, x W + b, as XLA's CPU back end does it fastest."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.nets.base import barrier


def affine(x: jax.Array, weights: jax.Array, bias: jax.Array) -> jax.Array:
    """x W + b of one vector [K] or of all time steps' [T, K]."""
    return x @ weights + bias if x.ndim == 1 else _affine_of_rows(x, weights, bias)


@jax.custom_vjp
def _affine_of_rows(x: jax.Array, weights: jax.Array, bias: jax.Array) -> jax.Array:
    return add_bias(x @ weights, bias)


def _affine_forward(x: jax.Array, weights: jax.Array, bias: jax.Array) -> Any:
    return _affine_of_rows(x, weights, bias), (x, weights)


def _affine_backward(
    operands: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    # XLA's CPU back end compiles a plain product of two small matrices, but calls a library for
    # one of transposed matrices, which takes up to eight times as long; the barrier keeps XLA
    # from folding the transposition into the product.
    x, weights = operands
    return cotangent @ barrier(weights.T), *by_weights(x, cotangent)


def by_weights(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The gradients of W and b of x W + b, [T, K] each row's."""

    def by_one_product(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        # A column of ones gives that of b, since XLA's CPU back end takes long for sums of rows.
        ones = jnp.ones((x.shape[0], 1), x.dtype)
        gradients = barrier(jnp.concatenate([x, ones], axis=1).T) @ cotangent
        return gradients[:-1], gradients[-1]

    def apart(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        return x.T @ cotangent, cotangent.sum(0)

    # An accelerator would start one operation more for the column.
    return lax.platform_dependent(x, cotangent, cpu=by_one_product, default=apart)


_affine_of_rows.defvjp(_affine_forward, _affine_backward)


def add_bias(products: jax.Array, bias: jax.Array) -> jax.Array:
    """A bias [K] added to [T, K]."""
    return products + jnp.broadcast_to(bias, products.shape)
