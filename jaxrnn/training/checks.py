"""Checks that the parts of a trial fit together, by their shapes, before anything is compiled."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrnn.errors import InputError, Note, shown
from jaxrnn.experiment import Experiment
from jaxrnn.machine import compiler_options
from jaxrnn.names import called
from jaxrnn.nets import Cell, Initializer
from jaxrnn.nets.base import Params, run
from jaxrnn.problems.task import Sequence, Task, are_symbols
from jaxrnn.training.objectives import OBJECTIVES, Goal, Objective

LOOKED_AT = 256
"""Sequences whose symbols are looked at."""


def check_shapes(
    experiment: Experiment, task: Task, cell: Cell, initializer: Initializer
) -> Params:
    """Check that the arrays of a task and of a cell have the sizes that they declare.

    Returns the parameters, as shapes. Raises InputError.
    """
    owner, steps = f"task {experiment.task}", (task.num_steps,)
    sequence = drawn_shapes(experiment.task, task)
    for name, size in (("inputs", "num_inputs"), ("targets", "num_outputs")):
        array = getattr(sequence, name)
        shape = steps if are_symbols(array) else (*steps, getattr(task, size))
        # Symbols that are no integers look like vectors of the wrong shape.
        what = name if are_symbols(array) else f"{name} of type {array.dtype} and"
        _require(owner, what, array, shape, f"its num_steps and {size} say")
        _require_type(owner, name, array, jnp.integer, jnp.floating)
    for name in ("mask", "judged_mask"):
        if (array := getattr(sequence, name)) is not None:
            _require(owner, name, array, steps, "its num_steps says")
            _require_type(owner, name, array, jnp.bool_)
    owner, rule = f"cell {experiment.cell}", f"task {experiment.task} says"

    def trained(key: jax.Array, inputs: jax.Array) -> tuple[Params, jax.Array]:
        def loss(params: Params) -> tuple[jax.Array, jax.Array]:
            outputs = run(cell, params, inputs, cell.initial_state(params))[1]
            return jnp.sum(outputs.astype(jnp.result_type(float))), outputs

        params = cell.init(key, initializer)
        _, outputs = jax.grad(loss, has_aux=True, allow_int=True)(params)
        return params, outputs

    params, outputs = called(owner, jax.eval_shape, trained, jax.random.key(0), sequence.inputs)
    first = jax.make_jaxpr(lambda key: cell.init(key, initializer))(jax.random.key(0)).jaxpr
    if not any(first.invars[0] is used for equation in first.eqns for used in equation.invars):
        warnings.warn(
            f"{owner} begins with the same weights in every trial: draw them with its initializer, "
            "or with jax.random from its key",
            Note,
            stacklevel=2,
        )
    _require(owner, "outputs", outputs, (*steps, task.num_outputs), rule)
    for name, hook in (("rate_factors", cell.rate_factors), ("project", cell.project)):
        # A factor may be one number for all elements of a weight.
        if hook is not None and not _is_like(
            called(owner, jax.eval_shape, hook, params), params, or_number=name == "rate_factors"
        ):
            raise InputError(f"{owner} has a {name} that does not give one value for each weight")
    _require_type(owner, "outputs", outputs, jnp.floating)
    for leaf in jax.tree.leaves(params):
        _require_type(owner, "weights", leaf, jnp.floating)
    return params


def _is_like(one: Any, other: Any, or_number: bool = False) -> bool:
    """Whether two trees have the same structure, and their leaves the same shapes and types; or
    those of the first may be a number each, of any type."""
    import chex  # a tenth of a second, which the help need not take

    if or_number and len({jax.tree.structure(one), jax.tree.structure(other)}) == 1:
        pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
        return all(factor.shape in ((), weight.shape) for factor, weight in pairs)
    try:
        chex.assert_trees_all_equal_shapes_and_dtypes(one, other)
    except AssertionError:
        return False
    return True


def check_optimizer(
    experiment: Experiment,
    optimizer: Callable[[Any, Any], optax.GradientTransformation],
    params: Params,
) -> None:
    """Check that an optimizer fits the parameters, given as shapes; raises InputError."""
    owner = f"optimizer {experiment.optimizer}"

    def step(params: Params, number: jax.Array) -> tuple[Any, Any]:
        rule = optimizer(number, number)
        if not isinstance(rule, optax.GradientTransformation):
            raise TypeError(f"it gives {shown(rule)}, not a GradientTransformation of optax")
        before = params, rule.init(params)
        updates, state = rule.update(params, before[1], params)
        return before, (optax.apply_updates(params, updates), state)

    number = jax.ShapeDtypeStruct((), jnp.result_type(float))
    with jax.numpy_dtype_promotion("standard"):  # which optax's own code relies on
        before, after = called(owner, jax.eval_shape, step, params, number)
    state = jax.tree.leaves(before[1])
    if any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in state):
        raise InputError(
            f"{owner} has a typed key in its state, which no file holds: keep its "
            "jax.random.key_data there"
        )
    for what, old, new in zip(("parameters", "state"), before, after, strict=True):
        if not _is_like(old, new):
            raise InputError(f"{owner} changes the shapes or types of its {what}")


def check_goal(experiment: Experiment, task: Task, goal: Goal) -> None:
    """Check that objective and measure take a task's targets; raises InputError."""
    sequence, steps = drawn_shapes(experiment.task, task), (task.num_steps,)
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
        owner = f"measure {experiment.measure or getattr(goal.measure, '__name__', 'of the task')}"
        errors = called(owner, jax.eval_shape, goal.measure, outputs, judged)
        _require(owner, "errors", errors, steps, "the task's num_steps says")


@lru_cache(maxsize=64)  # a task is looked at once, whatever is trained on it
def check_draws(name: str, task: Task) -> None:
    """Look at some sequences of a task; raises InputError.

    Without this check, JAX would silently read a symbol beyond the alphabet as the largest one, or
    as none. And a task that draws with NumPy draws only once, while it is traced, so all keys give
    the same sequence.
    """
    alphabets = {"inputs": task.num_inputs, "targets": task.num_outputs}
    keys = jax.random.split(jax.random.key(0), LOOKED_AT)
    # This is done on the host. If sequences share a part, XLA would compute it while it compiles;
    # with long sequences this takes seconds, and XLA says so on the terminal.
    quick = compiler_options(xla_backend_optimization_level=0)  # it is run once
    draw = jax.jit(jax.vmap(task.draw), compiler_options=quick)
    # Compiled by hand: JAX would hold the program.
    drawn = jax.device_get(draw.lower(keys).compile()(keys))
    if all((array == array[:1]).all() for array in (drawn.inputs, drawn.targets)):
        raise InputError(
            f"task {name} draws one and the same sequence from {LOOKED_AT} keys: draw it with "
            "jax.random from the key"
        )
    for kind, size in alphabets.items():
        array = getattr(drawn, kind)
        for symbol in (array.min(), array.max()) if are_symbols(array) else ():
            if not 0 <= symbol < size:
                raise InputError(
                    f"task {name} draws {kind} with the symbol {symbol}: its alphabet of "
                    f"{size} has 0 to {size - 1}"
                )


@lru_cache(maxsize=64)
def drawn_shapes(name: str, task: Task) -> Sequence:
    """The shapes of a sequence."""
    return called(f"task {name}", jax.eval_shape, task.draw, jax.random.key(0))


def _require(owner: str, what: str, array: jax.Array, shape: tuple[int, ...], rule: str) -> None:
    if array.shape != shape:
        raise InputError(f"{owner} gives {what} of shape {array.shape}: {rule} {shape}")


def _require_type(owner: str, what: str, array: jax.Array, *kinds: Any) -> None:
    if not any(jnp.issubdtype(array.dtype, kind) for kind in kinds):
        names = " or ".join(getattr(kind, "__name__", str(kind)).strip("_") for kind in kinds)
        raise InputError(f"{owner} gives {what} of type {array.dtype}: it has to be {names}")
