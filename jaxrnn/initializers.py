"""Initial weights.

``initializer(key, num_gates, fan_in, fan_out) -> [fan_in, num_gates * fan_out]`` draws one weight
matrix, or ``num_gates`` of one size side by side.
"""

from collections.abc import Callable

import jax

Initializer = Callable[[jax.Array, int, int, int], jax.Array]


def xavier(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
    """Xavier uniform for each gate by itself: limit sqrt(6 / (fan_in + fan_out)).

    Source: Glorot & Bengio 2010, equation 16.
    """
    limit = (6.0 / (fan_in + fan_out)) ** 0.5
    shape = (fan_in, num_gates * fan_out)
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


def notebook_xavier(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
    """Xavier uniform as TensorFlow 1 computes it for a stacked ``[num_gates, fan_in, fan_out]``.

    The leading axis multiplies both fans, so the limit is sqrt(6 / (num_gates (fan_in + fan_out))):
    for the four gates of the LSTM half of what :func:`xavier` gives; for one gate the same.

    Source: the notebook's ``xavier_initializer`` on its tensors ``W`` and ``U``.
    """
    return xavier(key, num_gates, fan_in, fan_out) / num_gates**0.5


INITIALIZERS: dict[str, Initializer] = {"notebook_xavier": notebook_xavier, "xavier": xavier}
