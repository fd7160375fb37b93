"""The optimizers and the schedules, plain optax's. Add one here and a line to its table.

A schedule gives the factor of the learning rate for the number of an update, from 0 on. A builder
that has a parameter ``updates`` or ``warmup`` is given the number of updates after the warm-up, or
of the warm-up itself, unless ``schedule_options`` says otherwise.
"""

from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxrnn.errors import InputError, look_up, shown
from jaxrnn.experiment import CONSTANT, Experiment
from jaxrnn.names import called, check_options, options_of
from jaxrnn.nets.products import barrier
from jaxrnn.options import (
    BetweenZeroAndOne,
    Count,
    FromZeroToBelowOne,
    FromZeroToOne,
    NotNegative,
    Whole,
    checked,
)


def _clip_norm(bound: ArrayLike) -> optax.GradientTransformation:
    """Like ``optax.clip_by_global_norm``, but with a single factor: XLA computes optax's quotient
    and product on several devices in another way than on one. A finite gradient whose squares
    overflow is bounded, too, up to a norm of 1e37 times the bound; from there on it is 0."""

    def clipped(gradients: optax.Updates, _: Any) -> optax.Updates:
        factor = jnp.minimum(1, jnp.asarray(bound) / jnp.sqrt(_sum_of_squares(gradients)))
        usual = barrier(jax.tree.map(lambda g: g * factor, gradients))
        # Between barriers, so that the lines above are rounded as if they stood alone. In batches
        # of 32 even another form of the lines below rounds them otherwise (jax 0.10.2).
        same, bound_here = barrier((gradients, jnp.asarray(bound)))
        # So small that no square overflows, and a power of two, so that nothing is rounded.
        dtype = jax.tree.leaves(gradients)[0].dtype
        exponent = jnp.finfo(dtype).maxexp
        power = 5 * exponent // 8
        small = np.array(2.0**-power, dtype)
        of_small = _sum_of_squares(jax.tree.map(lambda g: g * small, same))
        least = 2.0 ** (exponent - 1 - 2 * power)
        overflows = jnp.isfinite(of_small) & (of_small > least)
        root = jnp.sqrt(jnp.where(overflows, of_small, np.ones_like(small)))
        great = jnp.minimum(1 / small, bound_here / root)
        return jax.tree.map(
            lambda g, usual: jnp.where(overflows, g * small * great, usual), same, usual
        )

    return optax.stateless(clipped)


def _sum_of_squares(gradients: optax.Updates) -> Any:
    return optax.tree.sum(jax.tree.map(_squares, gradients))


def _squares(g: jax.Array) -> jax.Array:
    squares = jnp.square(g)
    # XLA's CPU back end adds 5 to 8 squares, those of a bias of 8 outputs for example, in vectors
    # if there are 4, 8 or 16 lanes, and then rounds each square first. With 1, 3 or 12 lanes it
    # does not (jax 0.10.2). No square is below 0, but the maximum has each rounded.
    return jnp.maximum(squares, 0) if 5 <= g.size <= 8 else squares


CLIPPINGS: dict[str, Callable[[ArrayLike], optax.GradientTransformation]] = {
    "element": optax.clip,
    "norm": _clip_norm,
    "none": lambda bound: optax.identity(),
}
"""What the bound limits: each element of the gradient, its norm over all weights, or nothing."""


@checked
def clipped_sgd(
    learning_rate: ArrayLike,
    clip: ArrayLike,
    clipping: str = "element",
    *,
    momentum: FromZeroToBelowOne = 0.0,
    nesterov: bool = False,
    weight_decay: NotNegative = 0.0,
) -> optax.GradientTransformation:
    """Gradient descent on gradients kept within a bound, with momentum if asked.

    w <- w - learning_rate * (d + weight_decay * w). Without momentum d = g', where
    g' = min(max(g, -clip), clip) of each element, or for ``clipping`` "norm"
    g' = g min(1, clip / |g|) of the whole gradient, or for "none" g' = g. With ``momentum`` mu,
    from u = 0: u <- mu u + g', d = u, or with ``nesterov`` d = g' + mu u. The weight decay is
    decoupled: neither the bound nor the momentum applies to it. All weights decay, biases too.

    Raises InputError for another ``clipping``, a momentum not from 0 to below 1, and a weight decay
    below 0.

    Source: the notebook's ``RNN_train`` (element); Pascanu, Mikolov & Bengio 2013 (norm); Sutskever
    et al. 2013 (momentum, with the rate outside, as in Torch); Loshchilov & Hutter 2019 (decay).
    """
    rules = _momentum(momentum, nesterov)
    return _descent(learning_rate, clip, clipping, rules, weight_decay)


@checked
def clipped_rmsprop(
    learning_rate: ArrayLike,
    clip: ArrayLike,
    clipping: str = "element",
    *,
    decay: FromZeroToBelowOne = 0.9,
    eps: NotNegative = 1e-8,
    initial_scale: NotNegative = 0.0,
    eps_in_sqrt: bool = True,
    momentum: FromZeroToBelowOne = 0.0,
    nesterov: bool = False,
    weight_decay: NotNegative = 0.0,
) -> optax.GradientTransformation:
    """RMSprop on gradients kept within a bound.

    With g' as in :func:`clipped_sgd`, for each weight and from v = ``initial_scale``:
    v <- decay v + (1 - decay) g'^2, r = g' / sqrt(v + eps), or r = g' / (sqrt(v) + eps) without
    ``eps_in_sqrt``. Momentum and weight decay are :func:`clipped_sgd`'s, with r in place of g'. So
    the learning rate stands outside of the momentum; TensorFlow has it inside, which is the same
    unless a schedule changes it.

    The options of others: TensorFlow 1 ``eps=1e-10 initial_scale=1``; Torch ``decay=0.99
    eps_in_sqrt=False``; Theano, by Lasagne, ``eps=1e-6``.

    Raises InputError as :func:`clipped_sgd` does, and for a decay not from 0 to below 1, and an eps
    or a first v below 0.

    Source: Tieleman & Hinton 2012, lecture 6.5; names of the options: optax's ``rmsprop``.
    """
    means = _scale_by_rms(decay, eps, initial_scale, eps_in_sqrt)
    rules = optax.chain(means, _momentum(momentum, nesterov))
    return _descent(learning_rate, clip, clipping, rules, weight_decay)


@checked
def clipped_adam(
    learning_rate: ArrayLike,
    clip: ArrayLike,
    clipping: str = "element",
    *,
    b1: FromZeroToBelowOne = 0.9,
    b2: FromZeroToBelowOne = 0.999,
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0.0,
) -> optax.GradientTransformation:
    """Adam on gradients kept within a bound.

    With g' as in :func:`clipped_sgd`, for each weight and from m = v = 0: at step t = 1, 2, ...
    m <- b1 m + (1 - b1) g', v <- b2 v + (1 - b2) g'^2,
    d = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps),
    w <- w - learning_rate * (d + weight_decay * w).

    Raises InputError as :func:`clipped_sgd` does, and for a b1 or b2 not from 0 to below 1, and an
    eps below 0.

    Source: Kingma & Ba 2015, algorithm 1.
    """
    rules = _scale_by_adam(b1, b2, eps)
    return _descent(learning_rate, clip, clipping, rules, weight_decay)


@checked
def clipped_adamw(
    learning_rate: ArrayLike,
    clip: ArrayLike,
    clipping: str = "element",
    *,
    b1: FromZeroToBelowOne = 0.9,
    b2: FromZeroToBelowOne = 0.999,
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0.01,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay: :func:`clipped_adam` with another default, which is
    Torch's.

    Source: Loshchilov & Hutter 2019, algorithm 2.
    """
    return clipped_adam(
        learning_rate, clip, clipping, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay
    )


def _descent(
    learning_rate: ArrayLike,
    clip: ArrayLike,
    clipping: str,
    direction: optax.GradientTransformation,
    weight_decay: float,
) -> optax.GradientTransformation:
    """w <- w - learning_rate * (direction of the bounded gradient + weight_decay * w)."""
    rules = [look_up(CLIPPINGS, "clipping", clipping)(clip), direction]
    if weight_decay:
        rules.append(_decayed(weight_decay))
    return optax.chain(*rules, optax.scale_by_learning_rate(jnp.asarray(learning_rate)))


# What follows is optax's, but rounded in the same way for any split of the lanes over devices:
# barriers separate products from their sums, as in a trial's update.


def _decayed(weight_decay: float) -> optax.GradientTransformation:
    """Like ``optax.add_decayed_weights``."""

    def decayed(updates: optax.Updates, params: optax.Params | None) -> optax.Updates:
        return optax.tree.add(updates, barrier(optax.tree.scale(weight_decay, params)))

    return optax.stateless(decayed)


def _momentum(momentum: float, nesterov: bool) -> optax.GradientTransformation:
    """Like ``optax.trace``."""
    if not momentum:
        if nesterov:
            raise InputError("nesterov needs a momentum above 0")
        return optax.identity()

    def add(updates: optax.Updates, trace: optax.Updates) -> optax.Updates:
        return optax.tree.add(updates, barrier(optax.tree.scale(momentum, trace)))

    def update(updates: optax.Updates, state: Any, params: Any = None) -> tuple[Any, Any]:
        trace = add(updates, state.trace)
        return add(updates, trace) if nesterov else trace, optax.TraceState(trace)

    return optax.GradientTransformation(optax.trace(momentum).init, update)


def _mean(decay: float, old: optax.Updates, new: optax.Updates) -> optax.Updates:
    parts = optax.tree.scale(decay, old), optax.tree.scale(1 - decay, new)
    return optax.tree.add(*barrier(parts))


def _scale_by_rms(
    decay: float, eps: float, initial_scale: float, eps_in_sqrt: bool
) -> optax.GradientTransformation:
    """Like ``optax.scale_by_rms``."""

    def scaled(g: jax.Array, v: jax.Array) -> jax.Array:
        # A weight without a gradient so far stays as it is, with an eps of 0, too.
        root = jnp.sqrt(v + eps) if eps_in_sqrt else jnp.sqrt(v) + eps
        return jnp.where(g == 0, jnp.zeros_like(g), g / jnp.where(g == 0, jnp.ones_like(g), root))

    def update(updates: optax.Updates, state: Any, params: Any = None) -> tuple[Any, Any]:
        nu = _mean(decay, state.nu, jax.tree.map(jnp.square, updates))
        return jax.tree.map(scaled, updates, nu), optax.ScaleByRmsState(nu)

    return optax.GradientTransformation(
        optax.scale_by_rms(decay, initial_scale=initial_scale).init, update
    )


def _scale_by_adam(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Like ``optax.scale_by_adam``.

    XLA may divide by two numbers in turn, or by their product. So here values are multiplied by the
    inverse of each.
    """

    def update(updates: optax.Updates, state: Any, params: Any = None) -> tuple[Any, Any]:
        mu = _mean(b1, state.mu, updates)
        nu = _mean(b2, state.nu, jax.tree.map(jnp.square, updates))
        count = optax.safe_increment(state.count)
        t = jnp.asarray(count, jnp.result_type(float))
        by_1, by_2 = barrier((1 / (1 - b1**t), 1 / (1 - b2**t)))
        updates = jax.tree.map(lambda m, v: m * by_1 / (jnp.sqrt(v * by_2) + eps), mu, nu)
        return updates, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "clipped_sgd": clipped_sgd,
    "clipped_rmsprop": clipped_rmsprop,
    "clipped_adam": clipped_adam,
    "clipped_adamw": clipped_adamw,
}
"""``optimizer(learning rate, clip bound, clipping, **options)``."""


Schedule = Callable[[ArrayLike], ArrayLike]
"""``schedule(number of the update) -> factor of the learning rate``."""


def constant() -> Schedule:
    """The factor 1 at every update.

    Source: the usual training without a schedule.
    """
    return optax.constant_schedule(1.0)


@checked
def steps(*, every: Count, factor: BetweenZeroAndOne = 0.1, least: FromZeroToOne = 0.0) -> Schedule:
    """The rate falls in steps: at update k after the warm-up max(least, factor^floor(k / every)).

    Source: the usual step decay; Li et al. 2018 train the IndRNN by it.
    """
    return optax.exponential_decay(1.0, every, factor, staircase=True, end_value=least)


@checked
def cosine(*, updates: Count, final: FromZeroToOne = 0.0) -> Schedule:
    """Half a cosine: at update k of K = ``updates`` after the warm-up
    final + (1 - final) (1 + cos(pi min(k, K) / K)) / 2.

    By default it ends where a trial is given up.

    Source: Loshchilov & Hutter 2017, equation 5, without restarts.
    """
    return optax.cosine_decay_schedule(1.0, updates, final)


@checked
def inverse_root(*, warmup: Annotated[int, Whole(0)]) -> Schedule:
    """The rate falls with the root: at update k after a warm-up of W updates sqrt(W / (W + k)),
    W at least 1.

    Source: Vaswani et al. 2017, equation 3, relative to the rate at the end of the warm-up.
    """
    scale = max(1, warmup)
    return lambda number: jnp.sqrt(scale / (scale + jnp.asarray(number)))


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "steps": steps,
    "cosine": cosine,
    "inverse_root": inverse_root,
}


def schedule_of(experiment: Experiment, builder: Callable[..., Schedule]) -> Schedule | None:
    """The experiment's schedule, its warm-up included; None where the rate never changes.

    In a warm-up of W updates the factor is 1 / W, 2 / W, ..., 1; then the schedule begins. Raises
    InputError for options that the builder does not take or lacks, for a warm-up as long as the
    training that the schedule has to fill, and for what is no schedule.
    """
    owner, warmup = f"schedule {experiment.schedule}", experiment.warmup
    if experiment.schedule == CONSTANT and not warmup and not experiment.schedule_options:
        return None
    filled = {"updates": experiment.updates(experiment.max_steps) - warmup, "warmup": warmup}
    taken = {one.name for one in options_of(owner, builder)} & set(filled)
    given = dict(experiment.schedule_options)
    if "updates" in taken - set(given) and filled["updates"] < 1:
        raise InputError(
            f"warmup {warmup} must be below the {experiment.updates(experiment.max_steps)} updates "
            f"that a trial has, since {owner} comes after it"
        )
    options = {name: filled[name] for name in taken} | given
    check_options(owner, builder, options)
    after = called(owner, builder, **options)
    if not callable(after):
        raise InputError(f"{owner} gives {shown(after)}: it has to give a schedule, as optax does")
    if warmup:
        rising = optax.linear_schedule(1 / warmup, 1.0, max(1, warmup - 1))
        after = optax.join_schedules([rising, after], [warmup])

    def factor(number: ArrayLike) -> ArrayLike:
        # Barriers, so that the factor is rounded in the same way whatever it is multiplied by.
        with jax.numpy_dtype_promotion("standard"):  # which optax's own code relies on
            made = called(owner, after, barrier(jnp.asarray(number)))
        return barrier(jnp.asarray(made, jnp.result_type(float)))

    shape = jax.eval_shape(factor, jax.ShapeDtypeStruct((), jnp.int32)).shape
    if shape:
        raise InputError(f"{owner} gives factors of shape {shape}: it has to give one number")
    return factor
