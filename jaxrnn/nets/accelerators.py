"""Forms that only accelerators take, with few operations.

An operation takes about as long to start as to run. So a time step is one product and one other
operation, forward and backward.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.flatten_util import ravel_pytree


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    over: Any,
    steps_at_once: int,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """``lax.scan`` with several steps in one iteration. It carries a single array, since each array
    costs one operation in every iteration."""
    if steps_at_once == 1:  # on a CPU
        return lax.scan(step, carry, over, reverse=reverse)
    flat, unravel = ravel_pytree(carry)

    def in_one(flat: jax.Array, at: Any) -> tuple[jax.Array, Any]:
        carry, out = step(unravel(flat), at)
        return ravel_pytree(carry)[0], out

    last, outs = lax.scan(in_one, flat, over, reverse=reverse, unroll=steps_at_once)
    return unravel(last), outs


def in_one_operation(tree: Any) -> Any:
    """The same arrays, computed as one row in one operation, however they are used. Otherwise XLA
    would use one operation for each."""
    row, unravel = ravel_pytree(tree)
    return unravel(lax.optimization_barrier(row))


def rows(tangent: jax.Array, symbols: jax.Array) -> jax.Array:
    """Rows of a matrix by a product, so that their gradient is a product and no sum of rows."""
    return jax.nn.one_hot(symbols, tangent.shape[0], dtype=tangent.dtype) @ tangent


def by_weights(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The gradients of W and b in x W + b. A column of ones in x would be one operation more."""
    return x.T @ cotangent, cotangent.sum(0)
