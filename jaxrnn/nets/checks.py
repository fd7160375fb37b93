"""Checks of what :func:`jaxrnn.unroll` is given: each fault is one sentence."""

from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxrnn.errors import InputError, shown


def checked_inputs(xs: ArrayLike) -> jax.Array:
    """One sequence, vectors [T, I] or symbols [T]; InputError for anything else."""
    xs = jnp.asarray(xs)
    symbols = jnp.issubdtype(xs.dtype, jnp.integer)
    if not symbols and not jnp.issubdtype(xs.dtype, jnp.floating):
        raise InputError(f"xs are {described(xs)}: they have to be real numbers or symbols")
    if xs.ndim > (1 if symbols else 2):
        raise InputError(
            f"xs are {described(xs)}, but unroll takes one sequence, real vectors [T, I] or "
            "symbols [T]: for a batch take jax.vmap(lambda xs: unroll(cell, params, xs))(batch)"
        )
    if xs.ndim < (1 if symbols else 2):
        raise InputError(f"xs are {described(xs)}: they have to be vectors [T, I] or symbols [T]")
    return xs


def checked_state(cell: Any, params: Any, xs: jax.Array, state: Any) -> Any:
    """The state before the first step; InputError where a step cannot go on from it."""
    try:
        first = jax.eval_shape(cell.initial_state, params)
    except Exception as error:
        raise InputError(
            f"params are {described(params)}, from which the cell cannot make its first state: "
            "take those of its init, or like them"
        ) from error
    if state is None:
        state = cell.initial_state(params)
    elif described(state) != described(first):
        raise InputError(f"state is {described(state)}: the cell's is {described(first)}")
    x = jax.ShapeDtypeStruct(xs.shape[1:], xs.dtype)
    try:
        after, _ = jax.eval_shape(cell.step, params, state, x)
    except InputError:
        raise
    except Exception as error:
        if (width := _width_of_inputs(cell, params, state, x)) is not None:
            raise InputError(
                f"xs have {x.shape[0]} inputs at each step: the cell's params are for {width}"
            ) from error
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"a step of the cell fails with inputs {described(x)} and params "
            f"{described(params)}: {what}"
        ) from error
    if described(after) != described(first):
        raise InputError(
            f"a step makes the state {described(after)} of {described(first)}: give params, "
            f"state and xs ({described(x)}) one type"
        )
    return state


def _width_of_inputs(cell: Any, params: Any, state: Any, x: jax.ShapeDtypeStruct) -> int | None:
    """The number of inputs with which a step runs: one of the sizes of its weights, if any."""
    if x.ndim != 1:
        return None  # a symbol
    for width in sorted({leaf.shape[0] for leaf in jax.tree.leaves(params) if jnp.ndim(leaf)}):
        with suppress(Exception):
            jax.eval_shape(cell.step, params, state, jax.ShapeDtypeStruct((width,), x.dtype))
            return int(width)
    return None


def checked_marks(name: str, marks: ArrayLike, num_steps: int) -> jax.Array:
    """The mask or the reset; InputError for one that is not bool [T]."""
    marks = jnp.asarray(marks)
    if marks.shape != (num_steps,) or marks.dtype != bool:
        raise InputError(
            f"{name} is {described(marks)}: it has to be bool[{num_steps}], one for each time step"
        )
    return marks


def described(tree: Any) -> str:
    """The types and shapes of arrays: "float32[20]", or "LSTMState(hidden=float32[20], ...)"."""

    def one(leaf: Any) -> str:
        shape = ", ".join(map(str, jnp.shape(leaf)))
        return f"{jnp.result_type(leaf)}[{shape}]"

    if hasattr(tree, "shape"):
        return one(tree)
    if names := getattr(tree, "_fields", ()):
        parts = (f"{name}={described(getattr(tree, name))}" for name in names)
        return f"{type(tree).__name__}({', '.join(parts)})"
    if isinstance(tree, tuple | list):
        return f"({', '.join(map(described, tree))})"
    if isinstance(tree, dict):
        return f"{{{', '.join(f'{name}: {described(part)}' for name, part in tree.items())}}}"
    return shown(tree)
