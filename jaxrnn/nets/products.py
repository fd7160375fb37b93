"""Products with weights, and barriers, so that XLA always fuses and rounds them in the same way."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxrnn.errors import InputError
from jaxrnn.nets import accelerators
from jaxrnn.nets.elementary import SHORT


def product(x: jax.Array, weights: jax.Array) -> jax.Array:
    """x W of one step or of all of them: [I] or [T, I], or symbols, whose product is a row.

    Raises InputError for a symbol that is no row, unless it is traced: JAX would take another row.
    """
    if not jnp.issubdtype(x.dtype, jnp.integer):
        return x @ weights
    if not isinstance(x, jax.core.Tracer):
        symbols = np.asarray(x)
        for symbol in symbols[(symbols < 0) | (symbols >= len(weights))]:
            raise InputError(
                f"symbol {symbol} is not of the alphabet of {len(weights)}: 0 to {len(weights) - 1}"
            )
    return _rows(weights, x)


@jax.custom_jvp
def _rows(weights: jax.Array, symbols: jax.Array) -> jax.Array:
    return weights[symbols]


@_rows.defjvp
def _rows_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    weights, symbols = primals

    tangent = lax.platform_dependent(
        tangents[0],
        symbols,
        cpu=lambda tangent, symbols: tangent[symbols],
        default=accelerators.rows,
    )
    return weights[symbols], tangent


# XLA's CPU back end sometimes fuses a concatenation along the last axis with the products and sums
# around it, and then rounds in other places. From jax 0.12.0 on it does so only if the
# concatenation has less than 2,048 bytes for all lanes of a device, or less than 64 for one lane;
# before, the size does not matter. Between barriers it is not fused, for any number of lanes. On
# jax 0.10.2 the barriers change no bit.
_ALWAYS_FUSED_BELOW = 64


def barrier(tree: Any) -> Any:
    """The same arrays, which XLA's CPU back end does not fuse with later computations.

    Other back ends may fuse them. An accelerator has to, since it is fast only with few kernels.
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
    """The P parts [..., K] that lie side by side in a [..., P K]; the gradient joins them again."""
    return jnp.split(a, num_parts, axis=-1)


@split.defjvp
def _split_jvp(num_parts: int, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (a,), (tangent,) = primals, tangents
    if a.shape[-1] * a.dtype.itemsize < _ALWAYS_FUSED_BELOW:
        return split(a, num_parts), jnp.split(tangent, num_parts, axis=-1)
    parts = jnp.split(barrier(tangent), num_parts, axis=-1)
    return split(a, num_parts), barrier(parts)


def affine(x: jax.Array, weights: jax.Array, bias: jax.Array) -> jax.Array:
    """x W + b for one vector [K], for those of all time steps [T, K], or of B sequences [T, B,
    K]."""
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
    """The gradients of W and b in x W + b, from those of its rows, [T, K] or [T, B, K]."""

    def by_one_product(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        # A column of ones gives the gradient of b, since sums of rows are slow on XLA's CPU back
        # end.
        ones = jnp.ones((x.shape[0], 1), x.dtype)
        gradients = barrier(jnp.concatenate([x, ones], axis=1).T) @ cotangent
        return gradients[:-1], gradients[-1]

    if x.ndim == 3:
        # There are thousands of rows. To transpose them takes as long as the product, so the
        # product sums over their first axis. Barriers around it: with few columns XLA would gather
        # x again for each.
        x, cotangent = barrier(tuple(a.reshape(-1, a.shape[-1]) for a in (x, cotangent)))
        product = lax.dot_general(x, cotangent, (((0,), (0,)), ((), ())))
        return barrier((product, jnp.ones(len(x), x.dtype) @ cotangent))
    return lax.platform_dependent(x, cotangent, cpu=by_one_product, default=accelerators.by_weights)


_affine_of_rows.defvjp(_affine_forward, _affine_backward)


def add_bias(products: jax.Array, bias: jax.Array) -> jax.Array:
    """A bias [K] added to [T, K]."""
    return products + jnp.broadcast_to(bias, products.shape)


def vector_product(x: jax.Array, weights: jax.Array) -> jax.Array:
    """x W [K] of a vector [J], as the step of a scan needs it."""
    # XLA's CPU back end computes this sum along with what comes after it, which for a short K takes
    # less time than the product alone.
    return jnp.sum(x[:, None] * weights, 0) if weights.shape[1] <= SHORT else x @ weights
