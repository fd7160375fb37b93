"""One trial: its keys, its first weights and its update, as pure functions without a trial axis."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxrnn.experiment import Experiment
from jaxrnn.nets import Cell, Initializer, xavier
from jaxrnn.nets.base import run, unroll_together
from jaxrnn.nets.initializers import Matrix
from jaxrnn.nets.products import barrier
from jaxrnn.problems import Sequence, settled
from jaxrnn.training.checks import check_draws
from jaxrnn.training.lanes import steps_at_once, together_from
from jaxrnn.training.objectives import loss_and_error
from jaxrnn.training.parts import GATE_BIASES, WEIGHTS, OptimizerOf, Parts, Test, parts_of

Measured = Callable[[Any, Sequence], tuple[jax.Array, jax.Array]]
"""``measure(params, sequence) -> (loss, error)``."""


class Settings(NamedTuple):
    """The settings that may differ from trial to trial; a number each, arrays [N] in a batch."""

    learning_rate: jax.Array | np.ndarray
    clip: jax.Array | np.ndarray
    initial_scale: jax.Array | np.ndarray
    input_bias: jax.Array | np.ndarray
    forget_bias: jax.Array | np.ndarray
    output_bias: jax.Array | np.ndarray


class TrainState(NamedTuple):
    """What training changes."""

    params: Any
    opt_state: optax.OptState


Init = Callable[[jax.Array, Settings], TrainState]
"""``init(key, settings) -> first state``."""


class Trial(NamedTuple):
    """The functions of one trial; ``key`` is always the trial's own key."""

    init: Init  # all else is the same for every initializer
    draw: Callable[[jax.Array, jax.Array], Sequence]  # (key, number) -> that training sequence
    # (state, settings, sequences, number of the update) -> (state after the update, errors before
    # it): of the B sequences of a batch, [B, ...] and [B], or of a single one without that axis
    update: Callable[[TrainState, Settings, Sequence, jax.Array], tuple[TrainState, jax.Array]]
    num_steps: int  # time steps T of the task
    batch_size: int  # B
    in_turn: bool  # whether a device is to train its lanes one after another
    # the name of each test, and its function: (key, params) -> errors [M] of its sequences
    tests: tuple[tuple[str, Callable[[jax.Array, Any], jax.Array]], ...]


TEST_BATCH = 32  # sequences of a test that are run at once: memory for long ones


def trial_key(seed: ArrayLike, trial: ArrayLike) -> jax.Array:
    """Key of one trial: fold_in(seed key, trial), Threefry whatever the global setting."""
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), trial)


def settings_of(experiment: Experiment, trials: ArrayLike | None = None) -> Settings:
    """These trials' settings, by default all trials', arrays [N] on the host."""
    trial = np.arange(experiment.trials) if trials is None else np.asarray(trials)
    dtype = jnp.result_type(float)  # float64 where the user has asked jax for it

    def values(name: str) -> np.ndarray:
        value = getattr(experiment, name)
        one_each = isinstance(value, tuple)
        return np.array(value, dtype)[trial] if one_each else np.full(trial.shape, value, dtype)

    return Settings(*map(values, Settings._fields))


def with_settings(initializer: Initializer, settings: Settings) -> Initializer:
    """The initializer with its matrices scaled and the gates' constant biases added."""

    def scaled(matrix: Matrix) -> Matrix:
        return lambda *sizes: jnp.asarray(settings.initial_scale) * matrix(*sizes)

    def biases(key: jax.Array, gates: tuple[str, ...], hidden_size: int) -> jax.Array:
        zero = jnp.zeros_like(settings.forget_bias)
        names = [GATE_BIASES.get(gate) for gate in gates]
        constants = [zero if name is None else getattr(settings, name) for name in names]
        return initializer.biases(key, gates, hidden_size) + jnp.repeat(
            jnp.stack(constants), hidden_size
        )

    return Initializer(scaled(initializer.weights), scaled(initializer.recurrent), biases)


def build(experiment: Experiment, platform: str = "cpu") -> Trial:
    """Put one trial of an experiment together, for a device of this platform.

    Raises what :func:`parts_of` raises, and InputError for a task that draws a symbol beyond its
    alphabet, or the same sequence every time.
    """
    experiment = settled(experiment)
    parts = parts_of(experiment)
    check_draws(experiment.task, parts.task)
    with_xavier = replace(experiment.net(), initializer="xavier")
    trial = _make_trial(with_xavier, parts._replace(initializer=xavier()), platform)
    return trial._replace(init=_init_of(parts.cell.init, parts.initializer, parts.optimizer))


@lru_cache(maxsize=256)  # so that one program draws a net's first weights, whatever its task
def _init_of(
    draw: Callable[[jax.Array, Initializer], Any], initializer: Initializer, optimizer: OptimizerOf
) -> Init:
    def init(key: jax.Array, settings: Settings) -> TrainState:
        key = jax.random.fold_in(key, WEIGHTS)
        params = draw(key, with_settings(initializer, settings))
        return TrainState(params, optimizer(settings.learning_rate, settings.clip).init(params))

    return init


@lru_cache(maxsize=256)  # so that one program draws the sequences of a task, whatever the cell
def _draw_of(draw: Callable[[jax.Array], Sequence]) -> Callable[[jax.Array, jax.Array], Sequence]:
    return lambda key, number: draw(jax.random.fold_in(key, number))


@lru_cache(maxsize=256)  # so that equal nets have one program
def _make_trial(experiment: Experiment, parts: Parts, platform: str = "cpu") -> Trial:
    """One trial of a net (:meth:`jaxrnn.Experiment.net`) of these parts.

    ``update`` measures each sequence's error with the weights before it, then takes one gradient
    step on their mean loss; with a single sequence as the notebook's ``run_experiment_1`` does.
    Update k is by the sequences k B to k B + B - 1. If the first of them comes before ``join_at``,
    it uses the parameters from the cell's ``before_joining``. The learning rate of an update is
    that of the settings times the schedule's factor, and times the cell's ``rate_factors`` of each
    weight; after it the weights are those that the cell's ``project`` gives.
    """
    task, cell, batch_size = parts.task, parts.cell, experiment.batch_size
    together = batch_size >= together_from(platform, cell.together is not None)
    gradients_of = _gradient if batch_size == 1 else _together if together else _one_by_one
    to_measure = partial(
        _measure_together if together else _measure,
        parts,
        steps_at_once(task.num_steps, platform),
    )

    def update(
        state: TrainState, settings: Settings, sequences: Sequence, number: jax.Array
    ) -> tuple[TrainState, jax.Array]:
        def measure_seen(params: Any, sequence: Sequence) -> tuple[jax.Array, jax.Array]:
            return to_measure(seen(experiment, cell, params, number), sequence)

        gradients, errors = gradients_of(measure_seen, state.params, sequences)
        if parts.schedule is not None:
            rate = settings.learning_rate * parts.schedule(number)
            settings = settings._replace(learning_rate=barrier(rate))
        optimizer = parts.optimizer(settings.learning_rate, settings.clip)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        if cell.rate_factors is not None:
            factors = cell.rate_factors(state.params)
            updates = jax.tree.map(lambda one, factor: one * factor, updates, factors)
        # With a barrier: otherwise XLA may or may not round their last product before the sum,
        # depending on the lanes (jax 0.12.0.1, short axes, learning rates that are not a power of
        # two).
        params = optax.apply_updates(state.params, barrier(updates))
        if cell.project is not None:
            params = cell.project(params)
        return TrainState(params, opt_state), errors

    def errors_of(test: Test, key: jax.Array, params: Any) -> jax.Array:
        measure = partial(_measure, parts, steps_at_once(test.task.num_steps, platform))
        for number in test.folds:
            key = jax.random.fold_in(key, number)

        def error(item: Any) -> jax.Array:
            if test.test_set is None:
                item = test.task.draw(jax.random.fold_in(key, item))
            return measure(params, item)[1]

        numbers = jnp.arange(test.size, dtype=jnp.int32)
        items = numbers if test.test_set is None else test.test_set()
        return jax.lax.map(error, items, batch_size=TEST_BATCH)

    return Trial(
        _init_of(cell.init, parts.initializer, parts.optimizer),
        _draw_of(task.draw),
        update,
        task.num_steps,
        batch_size,
        in_turn=together and platform == "cpu",
        tests=tuple((test.name, partial(errors_of, test)) for test in parts.tests),
    )


def _measure(
    parts: Parts, at_once: int, params: Any, sequence: Sequence
) -> tuple[jax.Array, jax.Array]:
    """Loss and error of one sequence, so many of its time steps at once."""
    first = parts.cell.initial_state(params)
    _, outputs = run(parts.cell, params, sequence.inputs, first, steps_at_once=at_once)
    return loss_and_error(parts.goal, outputs, sequence)


def _measure_together(
    parts: Parts, at_once: int, params: Any, sequences: Sequence
) -> tuple[jax.Array, jax.Array]:
    """Losses and errors [B] of sequences [B, ...]."""
    outputs = unroll_together(parts.cell, params, sequences.inputs, steps_at_once=at_once)
    return jax.vmap(partial(loss_and_error, parts.goal))(outputs, sequences)


def seen(experiment: Experiment, cell: Cell, params: Any, number: jax.Array) -> Any:
    """The parameters as they are seen at an update."""
    if cell.before_joining is None or not experiment.join_at:
        return params
    has_joined = number >= experiment.updates(experiment.join_at)
    return jax.tree.map(
        lambda new, old: new if new is old else jnp.where(has_joined, new, old),
        params,
        cell.before_joining(params),
    )


def _gradient(measure: Measured, params: Any, sequence: Sequence) -> tuple[Any, jax.Array]:
    """The gradient of a sequence's loss, and its error."""
    # It has no axis of sequences, so that XLA multiplies vectors with the weights, not matrices.
    return jax.grad(measure, has_aux=True)(params, sequence)


def _together(measure: Measured, params: Any, sequences: Sequence) -> tuple[Any, jax.Array]:
    """The gradient of the mean loss of sequences [B, ...], and their errors [B]."""

    def mean(params: Any) -> tuple[jax.Array, jax.Array]:
        losses, errors = measure(params, sequences)
        return jnp.mean(losses), errors

    return jax.grad(mean, has_aux=True)(params)


def _one_by_one(measure: Measured, params: Any, sequences: Sequence) -> tuple[Any, jax.Array]:
    """The same, as the mean of the sequences' gradients."""

    def add(total: Any, sequence: Sequence) -> tuple[Any, jax.Array]:
        gradient, error = _gradient(measure, params, sequence)
        return jax.tree.map(jnp.add, total, gradient), error

    total, errors = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), sequences)
    return jax.tree.map(lambda leaf: leaf / len(errors), total), errors
