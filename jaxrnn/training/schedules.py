"""The schedules: factors of the learning rate. Add one here and a line to ``SCHEDULES``.

A schedule is optax's: a function of the number of an update, from 0 on. A builder that has a
parameter ``updates`` or ``warmup`` is given the number of updates after the warm-up, or of the
warm-up itself, unless ``schedule_options`` says otherwise.
"""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxrnn.errors import InputError, shown
from jaxrnn.experiment import CONSTANT, Experiment
from jaxrnn.names import called, check_options, options_of
from jaxrnn.nets.products import barrier
from jaxrnn.options import BetweenZeroAndOne, Count, FromZeroToOne, Whole, checked

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
