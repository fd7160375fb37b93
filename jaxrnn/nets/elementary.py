"""Elementary functions, fast where XLA's are slow: arrays with a short last axis.

For these XLA's CPU back end calls tanh and exp once per number, since LLVM unrolls the loop over
such an axis before it can vectorise it. Written out as float32 arithmetic they take, for [10, 20],
0.4 of the time (tanh) and 0.5 (exp); for [10, 80] nothing is gained.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

SHORT = 32
"""The longest axis that counts as short."""


def tanh(x: jax.Array) -> jax.Array:
    """Hyperbolic tangent of each element, to 5 units in the last place as jnp.tanh.

    Written out: x P(x^2) / Q(x^2) for 0.0004 <= |x| <= 7.9988; x below, +-1 above.

    Source: the approximation of the Eigen library (``generic_fast_tanh_float``), XLA's as well.
    """
    return _tanh(x) if _is_short(x) else jnp.tanh(x)


def exp(x: jax.Array) -> jax.Array:
    """Exponential of each element, to 1 unit in the last place.

    Written out: 2^n (1 + r + r^2 P(r)) with n = round(x / ln 2) and r = x - n ln 2 in two parts;
    0 where e^x is below the least normal number.

    Source: ``expf`` of the Cephes library, Moshier 1992.
    """
    return _exp(x) if _is_short(x) else jnp.exp(x)


def sigmoid(x: jax.Array) -> jax.Array:
    """Logistic function of each element, to 3 units in the last place as jax.nn.sigmoid.

    Written out: 1 / (1 + e^-x), its derivative y (1 - y).
    """
    return _sigmoid(x) if _is_short(x) else jax.nn.sigmoid(x)


def _is_short(x: jax.Array) -> bool:
    return x.dtype == jnp.float32 and x.ndim > 0 and x.shape[-1] <= SHORT


# Coefficients, the highest powers first.
_TANH_NUMERATOR = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_TANH_DENOMINATOR = (
    1.19825839466702e-06,
    1.18534705686654e-04,
    2.26843463243900e-03,
    4.89352518554385e-03,
)
_EXP = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
_TANH_SMALLEST, _TANH_LARGEST = np.float32(4e-4), np.float32(7.99881172180175781)
_EXP_SMALLEST, _EXP_LARGEST = np.float32(-87.33654), np.float32(88.72283)
_LOG2_E = np.float32(1.44269504088896341)
_LN_2_HIGH, _LN_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)


def _polynomial(coefficients: Sequence[float], x: jax.Array) -> jax.Array:
    value = jnp.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + np.float32(coefficient)
    return value


def _bounded(x: jax.Array, least: np.float32, most: np.float32) -> jax.Array:
    return jnp.where(x > most, most, jnp.where(x < least, least, x))  # NaN stays NaN


@jax.custom_jvp
def _tanh(x: jax.Array) -> jax.Array:
    inside = _bounded(x, -_TANH_LARGEST, _TANH_LARGEST)
    square = inside * inside
    numerator = inside * _polynomial(_TANH_NUMERATOR, square)
    ratio = numerator / _polynomial(_TANH_DENOMINATOR, square)
    return jnp.where(jnp.abs(x) < _TANH_SMALLEST, x, ratio)


@_tanh.defjvp
def _tanh_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y = _tanh(primals[0])
    return y, tangents[0] * (1 - y * y)


@jax.custom_jvp
def _exp(x: jax.Array) -> jax.Array:
    inside = _bounded(x, _EXP_SMALLEST, _EXP_LARGEST)
    n = lax.round(inside * _LOG2_E, lax.RoundingMethod.TO_NEAREST_EVEN)
    r = (inside - n * _LN_2_HIGH) - n * _LN_2_LOW
    # 2^n in two factors, since n may be 128
    half = (n * np.float32(0.5)).astype(jnp.int32)
    value = _polynomial(_EXP, r) * (r * r) + r + np.float32(1)
    value = value * _power_of_2(half) * _power_of_2(n.astype(jnp.int32) - half)
    return jnp.where(x < _EXP_SMALLEST, 0, jnp.where(x > _EXP_LARGEST, jnp.inf, value))


@_exp.defjvp
def _exp_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y = _exp(primals[0])
    return y, tangents[0] * y


@jax.custom_jvp
def _sigmoid(x: jax.Array) -> jax.Array:
    return 1 / (1 + _exp(-x))


@_sigmoid.defjvp
def _sigmoid_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    y = _sigmoid(primals[0])
    return y, tangents[0] * (y * (1 - y))


def _power_of_2(n: jax.Array) -> jax.Array:
    """2^n of integers between -126 and 127, by their bits."""
    return lax.bitcast_convert_type((n + 127) << 23, jnp.float32)
