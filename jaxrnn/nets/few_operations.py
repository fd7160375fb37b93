"""Scans in few operations, which an accelerator takes longer to start than to compute."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.flatten_util import ravel_pytree


def scan_in_one(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    over: Any,
    steps_at_once: int,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """``lax.scan``, on accelerators with what it carries in one array: each of several would be an
    operation an iteration."""
    if steps_at_once == 1:
        return lax.scan(step, carry, over, reverse=reverse)
    flat, unravel = ravel_pytree(carry)

    def in_one(flat: jax.Array, at: Any) -> tuple[jax.Array, Any]:
        carry, out = step(unravel(flat), at)
        return ravel_pytree(carry)[0], out

    last, outs = lax.scan(in_one, flat, over, reverse=reverse, unroll=steps_at_once)
    return unravel(last), outs


def in_one_operation(row: jax.Array) -> jax.Array:
    """A concatenation that an accelerator computes in one operation, however its parts are used:
    of parts apart XLA would make one each."""
    return lax.optimization_barrier(row)
