"""The nets whose recurrent matrix is orthogonal, whatever training does: expRNN and scoRNN.

A function turns any skew-symmetric matrix A = -A^T into an orthogonal matrix. Training changes A.
The orthogonal matrix is computed once an update, before the scan.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.nets.base import Cell
from jaxrnn.nets.initializers import Initializer
from jaxrnn.nets.products import product, vector_product
from jaxrnn.nets.recurrent import recurrent
from jaxrnn.options import OneOf, Positive, Whole, checked


class OrthogonalParams(NamedTuple):
    """Parameters of :func:`exp_rnn` and :func:`sco_rnn`."""

    input_weights: jax.Array  # U [I, H]
    skew: jax.Array  # what A has above its diagonal, row by row [H (H - 1) / 2]
    bias: jax.Array  # b [H]
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


def _henaff(key: jax.Array, size: int) -> jax.Array:
    return jax.random.uniform(key, (size,), minval=-math.pi, maxval=math.pi)


def _cayley(key: jax.Array, size: int) -> jax.Array:
    angles = jnp.cos(jax.random.uniform(key, (size,), minval=0.0, maxval=math.pi / 2))
    return -jnp.sqrt((1 - angles) / (1 + angles))


_ANGLES = {"cayley": _cayley, "henaff": _henaff}
Angles = Annotated[str, OneOf(tuple(_ANGLES))]


@checked
def exp_rnn(
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    first_angles: Angles = "henaff",
    skew_rate: Positive = 0.1,
) -> Cell:
    """expRNN: a net whose recurrent matrix is the exponential of a skew-symmetric matrix.

    W = exp(A), z = x(t) U + h(t-1) W, h(t) = sign(z) max(|z| + b, 0), y(t) = h(t) V + output bias.
    The state is h [H], 0 at first. At first A has blocks of 2 x 2 on its diagonal and is 0
    elsewhere. The number in a block is uniform in [-pi, pi] for ``first_angles`` "henaff", else,
    for "cayley", -sqrt((1 - cos c) / (1 + cos c)) with c uniform in [0, pi/2]. U is normal with
    variance 2 / I, b uniform in [-0.01, 0.01]; the initializer draws V. The learning rate of A is
    ``skew_rate`` times that of the others.

    W is NaN, and the trial has diverged, once a column of |A| sums up to more than 100.

    Source: Lezcano-Casado & Martinez-Rubio 2019 (1901.08428), section 4; first weights and rates:
    section 5 and their code.
    """

    def first(keys: Any) -> tuple[jax.Array, jax.Array]:
        scale = (2 / max(num_inputs, 1)) ** 0.5
        weights = scale * jax.random.normal(keys[0], (num_inputs, hidden_size))
        return weights, jax.random.uniform(keys[1], (hidden_size,), minval=-0.01, maxval=0.01)

    return _orthogonal(hidden_size, num_outputs, _exponential, first, first_angles, skew_rate)


@checked
def sco_rnn(
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    num_negative: Annotated[int, Whole(0)] | None = None,
    first_angles: Angles = "cayley",
    skew_rate: Positive = 0.1,
) -> Cell:
    """scoRNN: a net whose recurrent matrix is the scaled Cayley transform of a skew-symmetric one.

    W = (I + A)^-1 (I - A) D, with D a diagonal of H - ``num_negative`` times 1, then -1; half of
    them are -1 by default. The other equations, ``first_angles`` and ``skew_rate`` are those of
    :func:`exp_rnn`. At first U is uniform in [-0.01, 0.01], and b is 0.

    Raises InputError for a ``num_negative`` above H.

    Source: Helfrich, Willmott & Ye 2018 (1707.09520), section 3; first weights and rates: their
    code.
    """
    negative = hidden_size // 2 if num_negative is None else num_negative
    if negative > hidden_size:
        raise InputError(f"num_negative {negative} must not be above {hidden_size} hidden units")
    signs = np.where(np.arange(hidden_size) < hidden_size - negative, 1.0, -1.0)

    def rotation(A: jax.Array) -> jax.Array:
        identity = jnp.eye(hidden_size, dtype=A.dtype)
        # (I + A)^-1 (I - A) = 2 (I + A)^-1 - I
        return (2 * _inverse(identity + A) - identity) * jnp.asarray(signs, A.dtype)[None]

    def first(keys: Any) -> tuple[jax.Array, jax.Array]:
        shape = (num_inputs, hidden_size)
        weights = jax.random.uniform(keys[0], shape, minval=-0.01, maxval=0.01)
        return weights, jnp.zeros(hidden_size)

    return _orthogonal(hidden_size, num_outputs, rotation, first, first_angles, skew_rate)


@jax.custom_jvp
def _inverse(matrix: jax.Array) -> jax.Array:
    """The inverse of a matrix M with x^T M x >= x^T x, as I plus a skew-symmetric one: by
    Gauss-Jordan elimination, of a large one by halves, with the Schur complement.

    No pivot is below 1, so no rows are exchanged. It is not left to LAPACK: XLA splits a batch of
    its calls over its threads, and on several CPU devices at once these wait for each other forever
    (jax 0.10.2).
    """
    size = len(matrix)
    if size > 32:  # then the products of halves are faster than row after row
        half = size // 2
        above, below = matrix[:half, half:], matrix[half:, :half]
        first = _inverse(matrix[:half, :half])
        right, left = first @ above, below @ first
        last = _inverse(matrix[half:, half:] - below @ right)
        return jnp.block([[first + right @ last @ left, -right @ last], [-last @ left, last]])

    def eliminate(k: int, rows: jax.Array) -> jax.Array:
        row = rows[k] / rows[k, k]
        return (rows - rows[:, k, None] * row[None]).at[k].set(row)

    rows = jnp.concatenate([matrix, jnp.eye(size, dtype=matrix.dtype)], axis=1)
    return jax.lax.fori_loop(0, size, eliminate, rows)[:, size:]


@_inverse.defjvp
def _change_of_inverse(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    inverse = _inverse(*primals)
    return inverse, -inverse @ tangents[0] @ inverse


def _exponential(A: jax.Array) -> jax.Array:
    """exp(A) of a skew-symmetric matrix: Taylor's polynomial of degree 9 of A / 64, to the 64th
    power.

    With jax.scipy.linalg.expm an update takes 1.6 to 2.8 times as long, see docs/tried.md: under a
    ``vmap`` it computes every order that it could choose, and squares eight times or more.
    """
    B = A / 64  # with a norm of at most 1.6 its 10th term is below 3e-5
    B_2 = B @ B
    B_3 = B @ B_2
    of_degree = [1 / math.factorial(degree) for degree in range(10)]
    identity = jnp.eye(len(A), dtype=A.dtype)
    a, b, c = (
        of_degree[low] * identity + of_degree[low + 1] * B + of_degree[low + 2] * B_2
        for low in (0, 3, 6)
    )
    W = a + B_3 @ (b + B_3 @ (c + of_degree[9] * B_3))
    for _ in range(6):
        W = W @ W
    is_exact = jnp.max(jnp.sum(jnp.abs(A), axis=0)) <= 100
    return jnp.where(is_exact, W, jnp.nan)


def _orthogonal(
    hidden_size: int,
    num_outputs: int,
    rotation: Callable[[jax.Array], jax.Array],
    first: Callable[[Any], tuple[jax.Array, jax.Array]],
    first_angles: str,
    skew_rate: float,
) -> Cell:
    angles_of = _ANGLES[first_angles]
    above = tuple(one.astype(np.int32) for one in np.triu_indices(hidden_size, 1))
    blocks = np.arange(0, hidden_size - 1, 2, dtype=np.int32)

    def init(key: jax.Array, initializer: Initializer) -> OrthogonalParams:
        *keys, skew_key, output_key = jax.random.split(key, 4)
        weights, bias = first(keys)
        A = jnp.zeros((hidden_size, hidden_size))
        A = A.at[blocks, blocks + 1].set(angles_of(skew_key, len(blocks)))
        return OrthogonalParams(
            weights,
            A[above],
            bias,
            initializer.weights(output_key, 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def prepare(params: OrthogonalParams) -> tuple[jax.Array, jax.Array]:
        A = jnp.zeros_like(params.skew, shape=(hidden_size, hidden_size))
        A = A.at[above].set(params.skew)
        # bfloat16 has too few digits for it.
        enough = jnp.float64 if A.dtype == jnp.float64 else jnp.float32
        return rotation((A - A.T).astype(enough)).astype(A.dtype), params.bias

    def advance(prepared: Any, h: jax.Array, projected: jax.Array) -> tuple[jax.Array, jax.Array]:
        W, b = prepared
        z = projected + vector_product(h, W)
        h = jnp.sign(z) * jax.nn.relu(jnp.abs(z) + b)
        return h, h

    cell = recurrent(
        init,
        lambda params: jnp.zeros_like(params.bias),
        lambda params, x: product(x, params.input_weights),
        advance,
        prepare=prepare,
    )

    def rate_factors(params: OrthogonalParams) -> Any:
        return jax.tree.map(lambda _: 1.0, params)._replace(skew=skew_rate)

    return cell._replace(rate_factors=rate_factors)


CELLS = (exp_rnn, sco_rnn)
