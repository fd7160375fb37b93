"""The optimizers: plain optax chains. Add one here and a line to ``OPTIMIZERS``."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxrnn.errors import look_up
from jaxrnn.nets.products import barrier


def _clip_norm(bound: ArrayLike) -> optax.GradientTransformation:
    """Like ``optax.clip_by_global_norm``, but with a single factor: XLA computes optax's quotient
    and product on several devices in another way than on one."""

    def clipped(gradients: optax.Updates, _: optax.Params | None) -> optax.Updates:
        factor = jnp.minimum(1, jnp.asarray(bound) / optax.tree.norm(gradients))
        return jax.tree.map(lambda g: g * factor, gradients)

    return optax.stateless(clipped)


CLIPPINGS: dict[str, Callable[[ArrayLike], optax.GradientTransformation]] = {
    "element": optax.clip,
    "norm": _clip_norm,
    "none": lambda bound: optax.identity(),
}
"""What the bound limits: each element of the gradient, its norm over all weights, or nothing."""


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
    return optax.chain(
        bound, _scale_by_adam(), optax.scale_by_learning_rate(jnp.asarray(learning_rate))
    )


def _scale_by_adam() -> optax.GradientTransformation:
    """Like ``optax.scale_by_adam``, but rounded in the same way for any split of the lanes over
    devices.

    XLA may divide by two numbers in turn, or by their product. So here values are multiplied by the
    inverse of each. Barriers separate products from their sums, as in a trial's update.
    """
    decay_1, decay_2, eps = 0.9, 0.999, 1e-8

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        def mean(decay: float, old: optax.Updates, new: optax.Updates) -> optax.Updates:
            parts = optax.tree.scale(decay, old), optax.tree.scale(1 - decay, new)
            return optax.tree.add(*barrier(parts))

        mu = mean(decay_1, state.mu, updates)
        nu = mean(decay_2, state.nu, jax.tree.map(jnp.square, updates))
        count = optax.safe_increment(state.count)
        t = jnp.asarray(count, jnp.result_type(float))
        by_1, by_2 = barrier((1 / (1 - decay_1**t), 1 / (1 - decay_2**t)))
        updates = jax.tree.map(lambda m, v: m * by_1 / (jnp.sqrt(v * by_2) + eps), mu, nu)
        return updates, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)


OPTIMIZERS: dict[str, Callable[[ArrayLike, ArrayLike, str], optax.GradientTransformation]] = {
    "clipped_sgd": clipped_sgd,
    "clipped_adam": clipped_adam,
}
