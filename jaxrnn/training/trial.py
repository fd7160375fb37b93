"""One trial: its keys, its first weights and its update, as pure functions without a trial axis."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxrnn.errors import InputError, look_up
from jaxrnn.experiment import Experiment
from jaxrnn.nets import CELL_BUILDERS, CELLS
from jaxrnn.nets.base import Cell, stack, unroll
from jaxrnn.nets.initializers import INITIALIZERS, Initializer, Matrix
from jaxrnn.tasks import TASKS, Sequence, Task
from jaxrnn.training.objectives import OBJECTIVES, REDUCTIONS, ranking_error
from jaxrnn.training.optimizers import CLIPPINGS, OPTIMIZERS


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
    # (state, settings, sequence, step index) -> (state after the step, error before it)
    update: Callable[[TrainState, Settings, Sequence, jax.Array], tuple[TrainState, jax.Array]]
    test: Callable[[jax.Array, Any], jax.Array]  # (key, params) -> errors of the test set
    final_test: Callable[[jax.Array, Any], jax.Array]  # the same of the final test's sequences
    num_steps: int  # T of the task


# Steps stay below them, so the first weights, and the tests, share no random numbers with any
# sequence that is trained on.
_WEIGHTS, _TEST, _FINAL_TEST = (np.uint32(2**32 - k) for k in (1, 2, 3))
TEST_BATCH = 32  # sequences of a test that are run at once: memory for long ones


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


def cell_of(experiment: Experiment) -> Cell:
    """The experiment's cell, built where it takes options; InputError for an unknown name."""
    options = dict(experiment.cell_options)
    if experiment.cell in CELL_BUILDERS:
        return CELL_BUILDERS[experiment.cell](**options)
    cell = look_up({**CELLS, **CELL_BUILDERS}, "cell", experiment.cell)
    assert isinstance(cell, Cell)
    if options:
        raise InputError(f"cell {experiment.cell} takes no options")
    return cell


def build(experiment: Experiment) -> Trial:
    """Look up the experiment's parts by name and put one trial together.

    ``update`` measures the sequence's error with the weights before the step, then takes one
    gradient step on its loss, as the notebook's ``run_experiment_1`` does. Raises InputError for
    an unknown name, a length that the task refuses, or the bias of a gate that the cell lacks.
    """
    cell = stack(cell_of(experiment), experiment.layers)
    make_task: Callable[..., Task] = look_up(TASKS, "task", experiment.task)
    task = make_task(experiment.length, **dict(experiment.task_options))
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

    def loss_and_error(params: Any, sequence: Sequence) -> tuple[jax.Array, jax.Array]:
        inputs = sequence.inputs
        if cell.unroll is None and jnp.issubdtype(inputs.dtype, jnp.integer):
            # A cell that is only a step multiplies vectors; the others look symbols up.
            inputs = jax.nn.one_hot(inputs, task.num_inputs)
        _, outputs = unroll(cell, params, inputs)
        _, targets, mask, judged_mask, judged_targets = sequence
        loss, error = objective(outputs, targets, mask, experiment.loss_reduction)
        judged_mask = mask if judged_mask is None else judged_mask
        if judged_targets is not None and judged_targets.dtype == jnp.bool_:
            error = ranking_error(outputs, judged_targets, judged_mask)
        elif judged_targets is not None or judged_mask is not mask:
            judged_targets = targets if judged_targets is None else judged_targets
            # XLA drops the second loss.
            _, error = objective(outputs, judged_targets, judged_mask, experiment.loss_reduction)
        return loss, error

    def update(
        state: TrainState, settings: Settings, sequence: Sequence, step: jax.Array
    ) -> tuple[TrainState, jax.Array]:
        def joined(params: Any) -> Any:
            """The parameters as they are seen at this step."""
            if not experiment.join_at:
                return params
            is_joined = step >= experiment.join_at
            weights = jnp.where(
                is_joined, params.output_weights, jnp.zeros_like(params.output_weights)
            )
            return params._replace(output_weights=weights)

        gradients, error = jax.grad(
            lambda params: loss_and_error(joined(params), sequence), has_aux=True
        )(state.params)
        updates, opt_state = optimizer_of(settings).update(gradients, state.opt_state, state.params)
        return TrainState(optax.apply_updates(state.params, updates), opt_state), error

    def errors_of(params: Any, sequence_of: Callable[[Any], Sequence], items: Any) -> jax.Array:
        return jax.lax.map(
            lambda item: loss_and_error(params, sequence_of(item))[1], items, batch_size=TEST_BATCH
        )

    def fresh_errors(params: Any, key: jax.Array, num_sequences: int) -> jax.Array:
        return errors_of(params, partial(draw, key), jnp.arange(num_sequences, dtype=jnp.int32))

    def test(key: jax.Array, params: Any) -> jax.Array:
        if task.test_set is not None:
            return errors_of(params, lambda sequence: sequence, task.test_set())
        return fresh_errors(params, jax.random.fold_in(key, _TEST), experiment.test_size)

    def final_test(key: jax.Array, params: Any) -> jax.Array:
        key = jax.random.fold_in(key, _FINAL_TEST)
        return fresh_errors(params, key, experiment.final_test)

    return Trial(init, draw, update, test, final_test, task.num_steps)
