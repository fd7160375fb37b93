"""Whether the parts of a trial fit together: by shapes, before anything is compiled."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.nets import Cell, Initializer, unroll
from jaxrnn.tasks import Sequence, Task
from jaxrnn.training.objectives import OBJECTIVES, Goal, Objective

Built = TypeVar("Built")

LOOKED_AT = 256
"""Sequences whose symbols are looked at."""


def called(owner: str, function: Callable[..., Built], *arguments: Any, **options: Any) -> Built:
    """What somebody's function gives, its exception as one sentence that says whose it is."""
    try:
        return function(*arguments, **options)
    except (InputError, MemoryError, OverflowError):  # the last two are jaxrnn.training.memory's
        raise
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{owner} fails with {what}") from error


def check_shapes(experiment: Experiment, task: Task, cell: Cell, initializer: Initializer) -> None:
    """Hold what a task and a cell give against the sizes that they name; raises InputError."""
    owner, steps = f"task {experiment.task}", (task.num_steps,)
    sequence = _drawn(experiment.task, task)
    for name, size in (("inputs", "num_inputs"), ("targets", "num_outputs")):
        array = getattr(sequence, name)
        shape = steps if _are_symbols(array) else (*steps, getattr(task, size))
        _require(owner, name, array, shape, f"its num_steps and {size} say")
    for name in ("mask", "judged_mask"):
        if getattr(sequence, name) is not None:
            _require(owner, name, getattr(sequence, name), steps, "its num_steps says")

    def run(key: jax.Array, inputs: jax.Array) -> jax.Array:
        return unroll(cell, cell.init(key, initializer), inputs)[1]

    owner, rule = f"cell {experiment.cell}", f"task {experiment.task} says"
    outputs = called(owner, jax.eval_shape, run, jax.random.key(0), sequence.inputs)
    _require(owner, "outputs", outputs, (*steps, task.num_outputs), rule)


def check_goal(experiment: Experiment, task: Task, goal: Goal) -> None:
    """Hold a task's targets against what objective and measure take; raises InputError."""
    sequence, steps = _drawn(experiment.task, task), (task.num_steps,)
    outputs = jax.ShapeDtypeStruct((*steps, task.num_outputs), jnp.result_type(float))
    judged = sequence.targets if sequence.judged_targets is None else sequence.judged_targets
    targets = [sequence.targets] if goal.measure else [sequence.targets, judged]

    def fault_of(objective: Objective) -> str | None:
        try:
            for one in targets:
                numbers = called("it", jax.eval_shape, objective, outputs, one)
                for what, array in zip(("losses", "errors"), numbers, strict=True):
                    _require("it", what, array, steps, "the task's num_steps says")
        except (InputError, TypeError, ValueError) as error:
            return str(error)
        return None

    if fault := fault_of(goal.objective):
        choices = ", ".join(name for name, one in OBJECTIVES.items() if not fault_of(one))
        name = experiment.objective or task.objective
        raise InputError(
            f"objective {name} does not fit task {experiment.task}: {fault}; choose from {choices}"
        )
    if goal.measure is not None:
        owner = f"measure {task.measure}"
        errors = called(owner, jax.eval_shape, goal.measure, outputs, judged)
        _require(owner, "errors", errors, steps, "the task's num_steps says")


@lru_cache(maxsize=64)  # a task is looked at once, whatever is trained on it
def check_symbols(name: str, task: Task) -> None:
    """Look for symbols beyond the alphabet in some sequences of a task; raises InputError.

    Without it a symbol too large would be taken for the largest, or for none, without a word.
    """
    alphabets = {"inputs": task.num_inputs, "targets": task.num_outputs}
    sequence = _drawn(name, task)
    kinds = [kind for kind in alphabets if _are_symbols(getattr(sequence, kind))]

    def least_and_greatest(keys: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        sequences = jax.vmap(task.draw)(keys)
        arrays = [getattr(sequences, kind) for kind in kinds]
        return [(array.min(), array.max()) for array in arrays]

    keys = jax.random.split(jax.random.key(0), LOOKED_AT)
    ends = jax.jit(least_and_greatest)(keys) if kinds else []
    for kind, (low, high) in zip(kinds, jax.device_get(ends), strict=True):
        for symbol in (low, high):
            if not 0 <= symbol < alphabets[kind]:
                raise InputError(
                    f"task {name} draws {kind} with the symbol {symbol}: its alphabet of "
                    f"{alphabets[kind]} has 0 to {alphabets[kind] - 1}"
                )


def _drawn(name: str, task: Task) -> Sequence:
    """The shapes of a sequence."""
    return called(f"task {name}", jax.eval_shape, task.draw, jax.random.key(0))


def _are_symbols(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.integer))


def _require(owner: str, what: str, array: jax.Array, shape: tuple[int, ...], rule: str) -> None:
    import chex  # a tenth of a second, which the help need not take

    try:
        chex.assert_shape(array, shape)
    except AssertionError:
        raise InputError(f"{owner} gives {what} of shape {array.shape}: {rule} {shape}") from None
