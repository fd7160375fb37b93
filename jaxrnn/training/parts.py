"""The parts of a trial, looked up by name, with every rule that they have to keep."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxrnn.errors import InputError, look_up
from jaxrnn.experiment import Experiment
from jaxrnn.nets import CELLS, INITIALIZERS, Cell, Initializer, stack, unroll
from jaxrnn.nets.base import taking_symbols
from jaxrnn.tasks import TASKS, Sequence, Task
from jaxrnn.training.objectives import MEASURES, OBJECTIVES, REDUCTIONS, Goal
from jaxrnn.training.optimizers import CLIPPINGS, OPTIMIZERS

Built = TypeVar("Built")


class Parts(NamedTuple):
    """What a trial is put together from."""

    task: Task
    cell: Cell  # of all layers; takes the task's inputs, symbols or vectors
    initializer: Initializer
    goal: Goal
    # optimizer(learning rate, clip bound)
    optimizer: Callable[[Any, Any], optax.GradientTransformation]


def parts_of(experiment: Experiment) -> Parts:
    """Look up the experiment's parts by name.

    Raises InputError for an unknown name, options that a builder does not take or cannot do
    without, a length that the task refuses, the bias of a gate that the cell lacks, ``join_at``
    with a cell that has nothing to join, a ``test_size`` that is not that of the task's own test
    set, and a task or a cell that gives other shapes than its sizes say.
    """
    task = _build(TASKS, "task", experiment.task, experiment.task_options, experiment.length)
    measure = look_up(MEASURES, "measure", task.measure) if task.measure else None
    objective = look_up(OBJECTIVES, "objective", experiment.objective)
    reduction = look_up(REDUCTIONS, "loss-reduction", experiment.loss_reduction)
    optimizer = look_up(OPTIMIZERS, "optimizer", experiment.optimizer)
    look_up(CLIPPINGS, "clipping", experiment.clipping)
    initializer = look_up(INITIALIZERS, "initializer", experiment.initializer)(task.num_steps)
    cell = _cell(experiment, task)
    _check_test_set(experiment, task)

    def optimizer_of(learning_rate: ArrayLike, clip: ArrayLike) -> optax.GradientTransformation:
        return optimizer(learning_rate, clip, experiment.clipping)

    goal = Goal(objective, reduction, measure)
    parts = Parts(task, cell, initializer, goal, optimizer_of)
    _check_shapes(experiment, parts)
    return parts


def _cell(experiment: Experiment, task: Task) -> Cell:
    """The experiment's net, all layers of it."""
    fans_in = [task.num_inputs] + [task.num_outputs] * (experiment.layers - 1)
    layers = [
        _build(
            CELLS,
            "cell",
            experiment.cell,
            experiment.cell_options,
            fan_in,
            experiment.hidden_size,
            task.num_outputs,
        )
        for fan_in in fans_in
    ]
    cell = stack(*layers)
    for gate in ("input", "forget", "output"):
        biases = experiment.per_trial(f"{gate}_bias")
        if any(biases) and gate not in cell.gates:
            raise InputError(
                f"{gate}-bias {max(biases, key=abs)} needs a cell with that gate: "
                f"{experiment.cell} has {', '.join(cell.gates) or 'none'}"
            )
    if experiment.join_at and cell.before_joining is None:
        raise InputError(
            f"join-at {experiment.join_at} needs a cell whose hidden units can join later: "
            f"{experiment.cell}{f' of {len(layers)} layers' * (len(layers) > 1)} cannot"
        )
    return taking_symbols(cell, task.num_inputs)


def _build(
    table: Mapping[str, Callable[..., Built]],
    kind: str,
    name: str,
    options: Iterable[tuple[str, Any]],
    *sizes: int,
) -> Built:
    """Call the builder of a name; one sentence for options that are not the builder's."""
    builder, given = look_up(table, kind, name), dict(options)
    parameters = list(inspect.signature(builder).parameters.values())[len(sizes) :]
    known = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
    for option in given:
        if option not in known and len(known) == len(parameters):
            choices = f"no option {option!r}: choose from {', '.join(known)}"
            raise InputError(f"{kind} {name} takes {choices if known else 'no options'}")
    for one in parameters:
        if one.name in known and one.name not in given and one.default is one.empty:
            raise InputError(
                f"{kind} {name} needs its option {one.name}: take an experiment that gives it, "
                f"or Experiment's {kind}_options"
            )
    return builder(*sizes, **given)


def _check_test_set(experiment: Experiment, task: Task) -> None:
    if experiment.test_size and task.test_set is not None:
        size = jax.tree.leaves(jax.eval_shape(task.test_set))[0].shape[0]
        if experiment.test_size != size:
            raise InputError(
                f"test-size {experiment.test_size} is not that of the test set of task "
                f"{experiment.task}: choose {size}"
            )


def _check_shapes(experiment: Experiment, parts: Parts) -> None:
    """Hold what a task and a cell give against the sizes that they name."""
    task, cell = parts.task, parts.cell

    def run(key: jax.Array) -> tuple[Sequence, jax.Array]:
        sequence, params = task.draw(key), cell.init(key, parts.initializer)
        return sequence, unroll(cell, params, sequence.inputs)[1]

    sequence = jax.eval_shape(task.draw, jax.random.key(0))
    is_symbols = jnp.issubdtype(sequence.inputs.dtype, jnp.integer)
    steps = (task.num_steps,)
    owner, rule = f"task {experiment.task}", "its num_steps and num_inputs say"
    _require(owner, "inputs", sequence.inputs, steps + (task.num_inputs,) * (not is_symbols), rule)
    for name in ("mask", "judged_mask"):
        if getattr(sequence, name) is not None:
            _require(owner, name, getattr(sequence, name), steps, "its num_steps says")
    _, outputs = jax.eval_shape(run, jax.random.key(0))
    rule = f"task {experiment.task} says"
    _require(f"cell {experiment.cell}", "outputs", outputs, (*steps, task.num_outputs), rule)


def _require(owner: str, what: str, array: jax.Array, shape: tuple[int, ...], rule: str) -> None:
    import chex  # a tenth of a second, which the help need not take

    try:
        chex.assert_shape(array, shape)
    except AssertionError:
        raise InputError(f"{owner} gives {what} of shape {array.shape}: {rule} {shape}") from None
