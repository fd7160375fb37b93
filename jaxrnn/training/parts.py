"""The parts of a trial, looked up by name, with every rule that they have to keep."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import jax
import optax
from jax.typing import ArrayLike

from jaxrnn.errors import InputError, look_up, shown
from jaxrnn.experiment import Experiment, Options
from jaxrnn.nets import CELLS, INITIALIZERS, Cell, Initializer, stack
from jaxrnn.nets.base import taking_symbols
from jaxrnn.tasks import TASKS, Task
from jaxrnn.training.fit import called, check_goal, check_shapes
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
    set, a task or a cell that gives other shapes than its sizes say, and an objective that does not
    take the task's targets.
    """
    task = _task(experiment)
    measure = look_up(MEASURES, "measure", task.measure) if task.measure else None
    objective = look_up(OBJECTIVES, "objective", experiment.objective or task.objective)
    reduction = look_up(REDUCTIONS, "loss-reduction", experiment.loss_reduction)
    optimizer = look_up(OPTIMIZERS, "optimizer", experiment.optimizer)
    look_up(CLIPPINGS, "clipping", experiment.clipping)
    draws = look_up(INITIALIZERS, "initializer", experiment.initializer)
    owner = f"initializer {experiment.initializer}"
    initializer = _build(Initializer, owner, draws, (), task.num_steps)
    cell = _cell(experiment, task)
    _check_test_set(experiment, task)

    def optimizer_of(learning_rate: ArrayLike, clip: ArrayLike) -> optax.GradientTransformation:
        return optimizer(learning_rate, clip, experiment.clipping)

    check_shapes(experiment, task, cell, initializer)
    goal = Goal(objective, reduction, measure)
    check_goal(experiment, task, goal)
    return Parts(task, cell, initializer, goal, optimizer_of)


def settled(experiment: Experiment) -> Experiment:
    """The experiment with what it leaves to its task filled in; raises what parts_of raises."""
    if experiment.objective is not None:
        return experiment
    return replace(experiment, objective=_task(experiment).objective)


def cell_of(experiment: Experiment) -> Cell:
    """The experiment's net alone; raises what parts_of raises of the task and the cell."""
    return _cell(experiment, _task(experiment))


def _task(experiment: Experiment) -> Task:
    builder = look_up(TASKS, "task", experiment.task)
    owner, options = f"task {experiment.task}", experiment.task_options
    return _build(Task, owner, builder, options, experiment.length)


def _cell(experiment: Experiment, task: Task) -> Cell:
    """The experiment's net, all layers of it."""
    builder = look_up(CELLS, "cell", experiment.cell)
    fans_in = [task.num_inputs] + [task.num_outputs] * (experiment.layers - 1)
    layers = [
        _build(
            Cell,
            f"cell {experiment.cell}",
            builder,
            experiment.cell_options,
            fan_in,
            experiment.hidden_size,
            task.num_outputs,
        )
        for fan_in in fans_in
    ]
    cell = stack(*layers)
    for gate in ("input", "forget", "output"):
        value = getattr(experiment, f"{gate}_bias")
        biases = value if isinstance(value, tuple) else (value,)
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


@lru_cache(maxsize=256)  # so that equal experiments have equal parts
def _build(
    kind: type[Built], owner: str, builder: Callable[..., Built], options: Options, *sizes: int
) -> Built:
    """Call a builder; one sentence for options that are not its own, and what is not its kind."""
    if not callable(builder):
        raise InputError(f"{owner} is {shown(builder)}: it has to be a function that builds it")
    given = dict(options)
    parameters = list(inspect.signature(builder).parameters.values())[len(sizes) :]
    known = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
    for option in given:
        if option not in known and len(known) == len(parameters):
            choices = f"no option {option!r}: choose from {', '.join(known)}"
            raise InputError(f"{owner} takes {choices if known else 'no options'}")
    for one in parameters:
        if one.name in known and one.name not in given and one.default is one.empty:
            raise InputError(
                f"{owner} needs its option {one.name}: take an experiment that gives it, "
                f"or Experiment's {owner.split()[0]}_options"
            )
    built = called(owner, builder, *sizes, **given)
    if not isinstance(built, kind):
        raise InputError(f"{owner} gives {shown(built)}, not a {kind.__name__}")
    return built


def _check_test_set(experiment: Experiment, task: Task) -> None:
    if experiment.test_size and task.test_set is not None:
        size = jax.tree.leaves(jax.eval_shape(task.test_set))[0].shape[0]
        if experiment.test_size != size:
            raise InputError(
                f"test-size {experiment.test_size} is not that of the test set of task "
                f"{experiment.task}: choose {size}"
            )
