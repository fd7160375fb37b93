"""One trial: its keys, its first weights and its update, as pure functions without a trial axis."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxrnn.cells import CELLS
from jaxrnn.errors import InputError, look_up
from jaxrnn.experiments import Experiment
from jaxrnn.initializers import INITIALIZERS, Initializer, Matrix
from jaxrnn.objectives import OBJECTIVES, REDUCTIONS
from jaxrnn.optimizers import CLIPPINGS, OPTIMIZERS
from jaxrnn.tasks import TASKS, Sequence
from jaxrnn.unroll import stack, unroll


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


class Trial(NamedTuple):
    """The functions of one trial; ``key`` is always the trial's own key."""

    init: Callable[[jax.Array, Settings], TrainState]
    draw: Callable[[jax.Array, jax.Array], Sequence]  # (key, step index) -> that step's sequence
    update: Callable[[TrainState, Settings, Sequence], tuple[TrainState, jax.Array]]


# Steps stay below it, so the first weights share no random numbers with any sequence.
_WEIGHTS = np.uint32(2**32 - 1)


def trial_key(seed: int, trial: ArrayLike) -> jax.Array:
    """Key of one trial: fold_in(seed key, trial), Threefry whatever the global setting."""
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), trial)


def settings_of(experiment: Experiment) -> Settings:
    """Every trial's settings, arrays [N] on the host."""
    dtype = jnp.result_type(float)  # float64 where the user has asked jax for it
    return Settings(*(np.array(experiment.per_trial(name), dtype) for name in Settings._fields))


def with_settings(initializer: Initializer, settings: Settings) -> Initializer:
    """The initializer with its matrices scaled and the gates' constant biases added."""

    def scaled(matrix: Matrix) -> Matrix:
        return lambda *sizes: jnp.asarray(settings.initial_scale) * matrix(*sizes)

    def biases(key: jax.Array, gates: tuple[str, ...], hidden_size: int) -> jax.Array:
        zero = jnp.zeros_like(settings.forget_bias)
        constants = [settings._asdict().get(f"{gate}_bias", zero) for gate in gates]
        return initializer.biases(key, gates, hidden_size) + jnp.repeat(
            jnp.stack(constants), hidden_size
        )

    return Initializer(scaled(initializer.weights), scaled(initializer.recurrent), biases)


def build(experiment: Experiment) -> Trial:
    """Look up the experiment's parts by name and put one trial together.

    ``update`` measures the sequence's error with the weights before the step, then takes one
    gradient step on its loss, as the notebook's ``run_experiment_1`` does. Raises InputError for
    an unknown name, a length that the task refuses, or the bias of a gate that the cell lacks.
    """
    cell = stack(look_up(CELLS, "cell", experiment.cell), experiment.layers)
    task = look_up(TASKS, "task", experiment.task)(experiment.length)
    objective = look_up(OBJECTIVES, "objective", experiment.objective)
    optimizer = look_up(OPTIMIZERS, "optimizer", experiment.optimizer)
    initializer = look_up(INITIALIZERS, "initializer", experiment.initializer)(task.num_steps)
    look_up(REDUCTIONS, "loss-reduction", experiment.loss_reduction)
    look_up(CLIPPINGS, "clipping", experiment.clipping)
    for gate in ("input", "forget", "output"):
        biases = experiment.per_trial(f"{gate}_bias")
        if any(biases) and gate not in cell.gates:
            raise InputError(
                f"{gate}-bias {max(biases, key=abs)} needs a cell with that gate: "
                f"{experiment.cell} has {', '.join(cell.gates) or 'none'}"
            )

    def optimizer_of(settings: Settings) -> optax.GradientTransformation:
        return optimizer(settings.learning_rate, settings.clip, experiment.clipping)

    def init(key: jax.Array, settings: Settings) -> TrainState:
        params = cell.init(
            jax.random.fold_in(key, _WEIGHTS),
            task.num_inputs,
            experiment.hidden_size,
            task.num_outputs,
            with_settings(initializer, settings),
        )
        return TrainState(params, optimizer_of(settings).init(params))

    def draw(key: jax.Array, step: jax.Array) -> Sequence:
        return task.draw(jax.random.fold_in(key, step))

    def update(
        state: TrainState, settings: Settings, sequence: Sequence
    ) -> tuple[TrainState, jax.Array]:
        inputs = sequence.inputs
        if cell.unroll is None and jnp.issubdtype(inputs.dtype, jnp.integer):
            # A cell that is only a step multiplies vectors; the others look symbols up.
            inputs = jax.nn.one_hot(inputs, task.num_inputs)

        def loss_and_error(params: Any) -> tuple[jax.Array, jax.Array]:
            _, outputs = unroll(cell, params, inputs)
            reduction = experiment.loss_reduction
            loss, error = objective(outputs, sequence.targets, sequence.mask, reduction)
            if sequence.judged is not None:
                _, error = objective(outputs, sequence.targets, sequence.judged, reduction)
            return loss, error

        gradients, error = jax.grad(loss_and_error, has_aux=True)(state.params)
        updates, opt_state = optimizer_of(settings).update(gradients, state.opt_state, state.params)
        return TrainState(optax.apply_updates(state.params, updates), opt_state), error

    return Trial(init, draw, update)
