"""Chunks of time steps: a matrix memory is read and written for several of them in one product.

Within a chunk of C steps a step's share in a later one is a number, so that all shares are a matrix
[C, C]. Only the memory between chunks needs a scan. What this wins is in docs/speed.md.
"""

from typing import Any

import jax
import jax.numpy as jnp

STEPS = 16
"""Time steps of a chunk: 8 and 32 take longer, see docs/speed.md."""

FROM = 24
"""The least number of units for which chunks are faster than a step after the other."""


def in_chunks(a: jax.Array, size: int, value: float = 0.0) -> jax.Array:
    """The steps [T, ...] as chunks [T / size, size, ...], the last one filled up by a value."""
    missing = -len(a) % size
    filled = jnp.pad(a, ((0, missing), *((0, 0),) * (a.ndim - 1)), constant_values=value)
    return filled.reshape(-1, size, *a.shape[1:])


def of_steps(chunks: jax.Array, num_steps: int) -> jax.Array:
    """The steps [T, ...] of chunks."""
    return chunks.reshape(-1, *chunks.shape[2:])[:num_steps]


def times(vectors: jax.Array, numbers: jax.Array) -> jax.Array:
    """Vectors [..., K], each times its number [...]."""
    return vectors * numbers[..., None]


def inverse(lower: jax.Array) -> jax.Array:
    """(I + L)^-1 of matrices L [..., C, C] that are 0 on and above the diagonal.

    By blocks: those on the diagonal of twice the size are the inverses A^-1 and D^-1 of two blocks,
    and -D^-1 B A^-1 below. Each is a sum of few products, unlike the powers of L, whose sum loses
    all digits where keys repeat. A triangular solve of LAPACK is slower, and on two cores it may
    take a hundred times as long (jax 0.10.2).
    """
    num_rows = lower.shape[-1]
    missing = (1 << (num_rows - 1).bit_length()) - num_rows
    lower = jnp.pad(lower, (*((0, 0),) * (lower.ndim - 2), (0, missing), (0, missing)))
    num, batch = num_rows + missing, lower.shape[:-2]
    diagonal = jnp.ones((*batch, num, 1, 1), lower.dtype)
    size = 1
    while size < num:
        below = jnp.stack(
            [lower[..., k + size : k + 2 * size, k : k + size] for k in range(0, num, 2 * size)],
            axis=-3,
        )
        first, second = diagonal[..., ::2, :, :], diagonal[..., 1::2, :, :]
        left = jnp.concatenate([first, -second @ below @ first], axis=-2)
        right = jnp.concatenate([jnp.zeros_like(second), second], axis=-2)
        diagonal = jnp.concatenate([left, right], axis=-1)
        size *= 2
    return diagonal[..., 0, :num_rows, :num_rows]


def shares(logarithms: Any, is_later: Any) -> jax.Array:
    """e^differences [..., C, D] where a step is not later, else 0: no exponent is above 0."""
    return jnp.where(is_later, 0, jnp.exp(jnp.minimum(logarithms, 0)))
