"""The parts of a trial, looked up by name, with every rule that they have to keep."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxrnn.errors import InputError, look_up
from jaxrnn.experiment import Experiment, Options, flag_name
from jaxrnn.names import build, called, check_options, find
from jaxrnn.nets import CELLS, INITIALIZERS, Cell, Initializer, stack, xavier
from jaxrnn.nets.base import Params, taking_symbols
from jaxrnn.nets.initializers import zero_biases
from jaxrnn.nets.layers import convolved
from jaxrnn.outcome import SIZE_AT_LENGTHS
from jaxrnn.problems import Sequence, Task, builder_of, settled, task_of
from jaxrnn.problems.task import SHORTEST
from jaxrnn.training.checks import check_goal, check_optimizer, check_shapes
from jaxrnn.training.objectives import MEASURES, OBJECTIVES, REDUCTIONS, Goal
from jaxrnn.training.optimizers import CLIPPINGS, OPTIMIZERS, SCHEDULES, Schedule, schedule_of

GATE_BIASES = {
    "input": "input_bias",
    "forget": "forget_bias",
    "update": "forget_bias",
    "output": "output_bias",
}
"""The setting of the first bias of each gate; an update gate, as the GRU's, keeps what is there as
a forget gate does."""

FORGET_AFTER = 10
"""After this many looks at the parts of new experiments JAX is made to forget its traces."""

OF_UPDATES: dict[str, Any] = {
    **{"optimizer": "any", "optimizer_options": (), "clipping": "any"},
    **{"schedule": "any", "schedule_options": (), "warmup": 0, "max_steps": 2**31 - 1},
}
"""The settings of a net's updates, which no other part depends on; any valid values."""

OptimizerOf = Callable[[Any, Any], optax.GradientTransformation]
"""``optimizer(learning rate, bound of the gradient)``."""

_looks = itertools.count(1)

DECIDING, FINAL = "test", "final_test"
"""The names of the test whose outcome solves a trial, and of the final test."""

_LAST = 2**32 - 1
"""First weights and tests use the numbers that count down from here. Those of training sequences
stay below, so they share no random numbers with them."""
WEIGHTS, _TEST, _FINAL, _LENGTHS = (np.uint32(_LAST - k) for k in range(4))


class Test(NamedTuple):
    """Sequences that a trial is tested on and never trained on.

    The test that decides is run every ``test_every`` sequences. The other tests are run once, with
    the final weights of a trial.
    """

    name: str
    task: Task  # at the length of the test
    size: int  # M, sequences
    folds: tuple[np.uint32, ...]  # what is folded into a trial's key to draw fresh ones
    # Or the task's own test set, the same for every trial.
    test_set: Callable[[], Sequence] | None = None


class Parts(NamedTuple):
    """What a trial is put together from."""

    task: Task
    cell: Cell  # of all layers; takes the task's inputs, symbols or vectors
    initializer: Initializer
    goal: Goal
    optimizer: OptimizerOf
    tests: tuple[Test, ...]
    schedule: Schedule | None = None  # None: the learning rate never changes


def parts_of(experiment: Experiment) -> Parts:
    """Look up the experiment's parts by name.

    Raises InputError for an unknown name, options that a builder does not take or cannot do
    without, a length that the task refuses, the bias of a gate that the cell lacks, ``join_at``
    with a cell that has nothing to join, a task or a cell that gives other shapes or types than its
    sizes say, an objective that does not take the task's targets, an optimizer that does not give
    back what it was given, and what :func:`tests_of` and
    :func:`jaxrnn.training.optimizers.schedule_of` refuse.
    """
    tables: dict[str, Mapping[str, Any]] = {
        "cell": CELLS,
        "initializer": INITIALIZERS,
        "optimizer": OPTIMIZERS,
        "schedule": SCHEDULES,
    }
    others = [find(table, kind, getattr(experiment, kind)) for kind, table in tables.items()]
    parts = _parts(settled(experiment).net(), (builder_of(experiment.task), *others))
    _check_biases(experiment, parts.cell)
    return parts


@lru_cache(maxsize=256)
def _parts(experiment: Experiment, builders: tuple[Any, ...]) -> Parts:
    """The parts of a net, each looked at only once. ``builders`` change if a user's own file
    changes."""
    *others, optimizer, scheduled = builders
    optimizer_of = _optimizer_of(
        optimizer, experiment.optimizer, experiment.clipping, experiment.optimizer_options
    )
    schedule = _schedule_of(replace(experiment, initializer="any"), scheduled)
    parts, params = _but_the_optimizer(replace(experiment, **OF_UPDATES), tuple(others))
    check_optimizer(experiment, optimizer_of, params)
    return parts._replace(optimizer=optimizer_of, schedule=schedule)


@lru_cache(maxsize=256)  # the same for every net
def _optimizer_of(optimizer: Any, name: str, clipping: str, options: Options) -> OptimizerOf:
    look_up(CLIPPINGS, "clipping", clipping)
    given = dict(options)
    check_options(f"optimizer {name}", optimizer, given, num_sizes=3)

    def optimizer_of(learning_rate: ArrayLike, clip: ArrayLike) -> optax.GradientTransformation:
        return optimizer(learning_rate, clip, clipping, **given)

    return optimizer_of


_schedule_of = lru_cache(maxsize=256)(schedule_of)


@lru_cache(maxsize=256)
def _but_the_optimizer(experiment: Experiment, builders: tuple[Any, ...]) -> tuple[Parts, Params]:
    """All parts but the optimizer, which nets with other optimizers share; and the parameters'
    shapes."""
    # JAX keeps a trace of its own functions, such as jnp.add, for every shape that it meets, until
    # the process ends. That is about 1 MB for each experiment of other sizes. The traces belong
    # to no program, so they stay when a run ends, and JAX can only drop all of them. Tracing them
    # again takes no time that could be measured, and a run holds the programs that it still needs.
    if next(_looks) % FORGET_AFTER == 0:
        jax.clear_caches()
    *others, draws = builders
    parts = _but_the_weights(replace(experiment, initializer="any"), tuple(others))
    task, cell, goal = parts.task, parts.cell, parts.goal
    owner = f"initializer {experiment.initializer}"
    initializer = build(Initializer, owner, draws, (), task.num_steps)
    params = check_shapes(experiment, task, cell, initializer)
    check_goal(experiment, task, goal)
    for other in {test.task: None for test in parts.tests if test.task is not task}:
        check_shapes(experiment, other, cell, initializer)
        check_goal(experiment, other, goal)
    return parts._replace(initializer=initializer), params


@lru_cache(maxsize=256)
def _but_the_weights(experiment: Experiment, builders: tuple[Any, ...]) -> Parts:
    """All parts but the optimizer and the initializer, unchecked."""
    of_task = {name: getattr(experiment, name) for name in ("task", "task_options", "length")}
    task = _task_of(Experiment(**of_task), builders[0])
    measure = task.measure if experiment.measure is None else experiment.measure
    if isinstance(measure, str):
        measure = find(MEASURES, "measure", measure)
    objective = find(OBJECTIVES, "objective", str(experiment.objective))
    goal = Goal(
        objective, look_up(REDUCTIONS, "loss-reduction", experiment.loss_reduction), measure
    )
    cell = _cell(experiment, task, builders[1])
    return Parts(task, cell, xavier(), goal, optax.sgd, tests_of(experiment, task))


@lru_cache(maxsize=256)  # the same for every net, so that one program draws their sequences
def _task_of(experiment: Experiment, builder: Callable[..., Task]) -> Task:
    return task_of(experiment)


def tests_of(experiment: Experiment, task: Task) -> tuple[Test, ...]:
    """The tests of a settled experiment on its task.

    Raises InputError for a ``test_size`` that is not that of the task's own test set, and for a
    length in ``test_lengths`` at which the task has other inputs or outputs.
    """
    tests = []
    for setting, name, fold in (("test_size", DECIDING, _TEST), ("final_test", FINAL, _FINAL)):
        if not (size := getattr(experiment, setting)):
            continue
        if task.test_set is not None:
            has = jax.tree.leaves(jax.eval_shape(task.test_set))[0].shape[0]
            if size != has:
                raise InputError(
                    f"{flag_name(setting)} {size} is not that of the test set of task "
                    f"{experiment.task}: choose {has}, or 0 for no such test"
                )
        tests.append(Test(name, task, size, (fold,), test_set=task.test_set))
    for length in experiment.test_lengths:
        # All of that length, even if training draws its lengths.
        options = {k: v for k, v in dict(experiment.task_options).items() if k != SHORTEST}
        other = task_of(replace(experiment, length=length, task_options=options))
        before, after = ((one.num_inputs, one.num_outputs) for one in (task, other))
        if before != after:
            raise InputError(
                f"test-lengths {length} needs a task with as many inputs and outputs there: "
                f"{experiment.task} has {before[0]} and {before[1]} at length {experiment.length}, "
                f"{after[0]} and {after[1]} at {length}; see its task_options"
            )
        folds = _LENGTHS, np.uint32(length)
        tests.append(Test(at_length(length), other, SIZE_AT_LENGTHS, folds))
    return tuple(tests)


def at_length(length: int) -> str:
    """The name of the test at one of ``test_lengths``."""
    return f"length {length}"


def cell_of(experiment: Experiment) -> Cell:
    """The experiment's net alone; raises what parts_of raises of the task and the cell."""
    cell = _cell(experiment, task_of(experiment), find(CELLS, "cell", experiment.cell))
    _check_biases(experiment, cell)
    return cell


def _cell(experiment: Experiment, task: Task, builder: Callable[..., Cell]) -> Cell:
    """The experiment's net, all layers of it."""
    owner, options = f"cell {experiment.cell}", experiment.cell_options

    units, width = experiment.hidden_size, experiment.convolution

    def layer(num_inputs: int, num_outputs: int) -> Cell:
        if not width:
            return build(Cell, owner, builder, options, num_inputs, units, num_outputs)
        cell = build(Cell, owner, builder, options, units, units, num_outputs)
        return convolved(cell, num_inputs, units, width)

    def width_of(cell: Cell, num_inputs: int) -> int:
        if (net := cell.hidden) is None:
            raise InputError(
                "stack-hidden needs a cell that has its hidden units as one array of real numbers: "
                f"{owner} does not"
            )

        def hidden(params: Params, x: jax.Array) -> jax.Array:
            return net.step(params, cell.initial_state(params), x)[1]

        x = jax.ShapeDtypeStruct((num_inputs,), jnp.result_type(float))
        params = first_params(experiment.cell, cell)
        return called(owner, jax.eval_shape, hidden, params, x).shape[-1]

    fan_in, layers = task.num_inputs, []
    for _ in range(experiment.layers - 1):
        if experiment.stack_hidden:
            layers.append(layer(fan_in, 0))
            fan_in = width_of(layers[-1], fan_in)
        else:
            layers.append(layer(fan_in, task.num_outputs))
            fan_in = task.num_outputs
    cell = stack(*layers, layer(fan_in, task.num_outputs), hidden=experiment.stack_hidden)
    if experiment.join_at and cell.before_joining is None:
        raise InputError(
            f"join-at {experiment.join_at} needs a cell whose hidden units can join later: "
            f"{experiment.cell}{f' of {experiment.layers} layers' * (experiment.layers > 1)} cannot"
        )
    return taking_symbols(cell, task.num_inputs)


def _check_biases(experiment: Experiment, cell: Cell) -> None:
    """Refuse a first bias for a gate that the cell lacks, or whose bias it does not draw."""
    has = {GATE_BIASES.get(gate) for gate in cell.gates}
    for name in dict.fromkeys(GATE_BIASES.values()):
        bias = max(experiment.per_trial(name), key=abs)
        if not bias or name in drawn_biases(experiment.cell, cell):
            continue
        if name in has:
            raise InputError(
                f"{flag_name(name)} {bias} needs a cell that draws the bias of that gate by "
                f"initializer.biases: {experiment.cell} does not"
            )
        raise InputError(
            f"{flag_name(name)} {bias} needs a cell with that gate: "
            f"{experiment.cell} has {', '.join(cell.gates) or 'none'}"
        )


def drawn_biases(name: str, cell: Cell) -> set[str]:
    """The settings of :data:`GATE_BIASES` that make a difference to the cell of this name: those of
    the gates whose biases its ``init`` draws by the initializer."""
    return _drawn(name, cell) & {*GATE_BIASES.values()}


def draws_recurrent(name: str, cell: Cell) -> bool:
    """Whether the ``init`` of the cell of this name draws recurrent matrices by the initializer."""
    return "recurrent" in _drawn(name, cell)


@lru_cache(maxsize=256)
def _drawn(name: str, cell: Cell) -> set[str]:
    drawn: set[str] = set()

    def biases(key: jax.Array, gates: tuple[str, ...], hidden_size: int) -> jax.Array:
        drawn.update(GATE_BIASES[gate] for gate in gates if gate in GATE_BIASES)
        return zero_biases(key, gates, hidden_size)

    def recurrent(*sizes: Any) -> jax.Array:
        drawn.add("recurrent")
        return _ZEROS.recurrent(*sizes)

    first_params(name, cell, Initializer(_ZEROS.weights, recurrent, biases))
    return drawn


def _zeros(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
    return jnp.zeros((fan_in, num_gates * fan_out))


_ZEROS = Initializer(_zeros, _zeros)
"""Where only shapes are asked for: it takes JAX twice as long to trace what draws numbers."""


def first_params(name: str, cell: Cell, initializer: Initializer = _ZEROS) -> Params:
    """The shapes of the first weights of the cell of this name; InputError where it gives none."""

    def init(key: jax.Array) -> Params:
        return cell.init(key, initializer)

    key = jax.eval_shape(jax.random.key, 0)  # its shape, without a device
    return called(f"cell {name}", jax.eval_shape, init, key)


def num_weights(experiment: Experiment) -> int:
    """How many trainable numbers a net of the experiment has."""
    params, _ = _sized(experiment, find(CELLS, "cell", experiment.cell))
    return _count(params)


def state_size(experiment: Experiment) -> int:
    """How many numbers a net of the experiment carries from one time step to the next."""
    params, cell = _sized(experiment, find(CELLS, "cell", experiment.cell))
    state = called(f"cell {experiment.cell}", jax.eval_shape, cell.initial_state, params)
    return _count(state)


@lru_cache(maxsize=4096)
def _sized(experiment: Experiment, builder: Any) -> tuple[Params, Cell]:
    """The shapes of a net's weights, and the net; ``builder`` as for :func:`_parts`."""
    cell = cell_of(experiment)
    return first_params(experiment.cell, cell), cell


def _count(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
