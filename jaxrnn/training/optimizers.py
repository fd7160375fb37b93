"""The optimizers: plain optax chains. Add one here and a line to ``OPTIMIZERS``."""

from collections.abc import Callable

import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxrnn.errors import look_up

CLIPPINGS: dict[str, Callable[[ArrayLike], optax.GradientTransformation]] = {
    "element": optax.clip,
    "norm": optax.clip_by_global_norm,
    "none": lambda bound: optax.identity(),
}
"""What of the gradient the bound holds for: each element, the norm over all weights, nothing."""


def clipped_sgd(
    learning_rate: ArrayLike, clip: ArrayLike, clipping: str = "element"
) -> optax.GradientTransformation:
    """Gradient descent on gradients kept within a bound.

    w <- w - learning_rate * g' with g' = min(max(g, -clip), clip) of each element, or for
    ``clipping`` "norm" g' = g min(1, clip / |g|) of the whole gradient, or for "none" g' = g.
    Raises InputError for another word.

    Source: the notebook's ``RNN_train`` (element); Pascanu, Mikolov & Bengio 2013 (norm).
    """
    bound = look_up(CLIPPINGS, "clipping", clipping)(clip)
    return optax.chain(bound, optax.sgd(jnp.asarray(learning_rate)))


def clipped_adam(
    learning_rate: ArrayLike, clip: ArrayLike, clipping: str = "element"
) -> optax.GradientTransformation:
    """Adam on gradients kept within a bound.

    With g' as in :func:`clipped_sgd`, for each weight and from m = v = 0: at step t = 1, 2, ...
    m <- 0.9 m + 0.1 g', v <- 0.999 v + 0.001 g'^2,
    w <- w - learning_rate * (m / (1 - 0.9^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8).
    Raises InputError for another word than "element", "norm" or "none".

    Source: Kingma & Ba 2015, algorithm 1.
    """
    bound = look_up(CLIPPINGS, "clipping", clipping)(clip)
    return optax.chain(bound, optax.adam(jnp.asarray(learning_rate)))


OPTIMIZERS: dict[str, Callable[[ArrayLike, ArrayLike, str], optax.GradientTransformation]] = {
    "clipped_sgd": clipped_sgd,
    "clipped_adam": clipped_adam,
}
