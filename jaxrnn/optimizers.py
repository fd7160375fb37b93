"""The optimizers: plain optax chains. Add one here and a line to ``OPTIMIZERS``."""

from collections.abc import Callable

import jax.numpy as jnp
import optax
from jax.typing import ArrayLike


def clipped_sgd(learning_rate: ArrayLike, clip: ArrayLike) -> optax.GradientTransformation:
    """Gradient descent on gradients whose every element is clipped to [-clip, clip].

    w <- w - learning_rate * min(max(g, -clip), clip); a clip bound of infinity leaves g as it is.

    Source: the notebook's ``RNN_train``.
    """
    return optax.chain(optax.clip(clip), optax.sgd(jnp.asarray(learning_rate)))


OPTIMIZERS: dict[str, Callable[[ArrayLike, ArrayLike], optax.GradientTransformation]] = {
    "clipped_sgd": clipped_sgd
}
