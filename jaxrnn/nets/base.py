"""A cell, and a cell run over a sequence.

Letters used for shapes everywhere: N trials, T time steps, I inputs, H hidden units, O outputs,
B sequences of an update, C updates of a chunk. Nothing in this package has a trial axis.
"""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.errors import InputError, shown
from jaxrnn.nets.initializers import Initializer

Params = Any
State = Any


class Cell(NamedTuple):
    """A recurrent net of fixed sizes as pure functions of one time step of one sequence.

    ``init(key, initializer) -> params``
        The first weights.
    ``initial_state(params) -> state``
        The state before the first step.
    ``step(params, state, x) -> (state, y)``
        One time step, x ``[I]`` (or a symbol, an integer below I; all cells of the package take
        both), y ``[O]``. ``lax.scan(partial(cell.step, params), state, xs)`` runs it.
    ``unroll(params, state, xs) -> (state, ys)``
        Optional: a faster way to compute the same as that scan, for symbols and for vectors. If it
        uses a scan, too, it may take ``steps_at_once`` as a keyword, see :func:`unroll`.
    ``gates``
        The gates by name, in the order in which they lie side by side in the weights.
    ``activations(params, state, x) -> {gate: [H]}``
        Optional: the gates' activations in the step from ``state``, for those who want to look.
    ``before_joining(params) -> params``
        Optional: the parameters that are used before the hidden units join the net.
    ``hidden``
        Optional: the same net without its output layer. Its outputs are its hidden units [H], which
        a stack may pass on.
    ``together(params, xs [B, T, ...]) -> ys [B, T, O]``
        Optional: the outputs of ``unroll`` for B sequences, each from the initial state; faster on
        a CPU.
    """

    init: Callable[[jax.Array, Initializer], Params]
    initial_state: Callable[[Params], State]
    step: Callable[[Params, State, jax.Array], tuple[State, jax.Array]]
    unroll: Callable[[Params, State, jax.Array], tuple[State, jax.Array]] | None = None
    gates: tuple[str, ...] = ()
    activations: Callable[[Params, State, jax.Array], dict[str, jax.Array]] | None = None
    before_joining: Callable[[Params], Params] | None = None
    hidden: "Cell | None" = None
    together: Callable[[Params, jax.Array], jax.Array] | None = None


def unroll(
    cell: Cell,
    params: Params,
    xs: jax.Array,
    state: State | None = None,
    *,
    steps_at_once: int = 1,
) -> tuple[State, jax.Array]:
    """Run ``cell`` over ``xs`` ([T, I], or [T] symbols) and return (last state, ys [T, O]).

    Takes the cell's own fast path where it has one, else ``lax.scan`` of its step. ``state`` is
    the state before the first step, by default the cell's initial state. One iteration of the
    compiled loop does ``steps_at_once`` time steps, like the ``unroll`` of ``lax.scan``. With a
    larger number the result is the same but for rounding, and the compilation takes longer. It is
    faster where starting a kernel takes longer than running it, as on an accelerator.

    The fast path of the cells that :func:`jaxrnn.gated` builds has reverse-mode derivatives only
    (``grad``, ``vjp``, ``jacrev``; and ``hessian``, which is forward over reverse). ``jvp`` and
    ``jacfwd`` of it raise InputError, or jax's TypeError inside a ``jit`` or ``linearize`` of your
    own; they work on ``unroll(cell._replace(unroll=None), ...)``, its plain scan.
    """
    if state is None:
        state = cell.initial_state(params)
    if cell.unroll is None:
        return lax.scan(partial(cell.step, params), state, xs, unroll=steps_at_once)
    own: Callable[..., tuple[State, jax.Array]] = cell.unroll
    if steps_at_once > 1 and "steps_at_once" in signature(own).parameters:
        own = partial(own, steps_at_once=steps_at_once)
    try:
        return own(params, state, xs)
    except TypeError as error:
        if "forward-mode" not in str(error):
            raise
        raise InputError(
            "the fast path of a cell has no forward-mode derivative (jvp, jacfwd): take that of "
            "unroll(cell._replace(unroll=None), ...), its plain scan"
        ) from error


def unroll_together(
    cell: Cell, params: Params, xs: jax.Array, *, steps_at_once: int = 1
) -> jax.Array:
    """The outputs [B, T, O] of B sequences, [B, T, I] or symbols [B, T], from the initial state."""
    if cell.together is not None and steps_at_once == 1:
        return cell.together(params, xs)

    def one(xs: jax.Array) -> jax.Array:
        return unroll(cell, params, xs, steps_at_once=steps_at_once)[1]

    return jax.vmap(one)(xs)


def stack(*cells: Cell, hidden: bool = False) -> Cell:
    """Put cells on top of each other.

    The first layer sees x. By default the input of every other one is the OUTPUT y [O] (the logits)
    of the layer below, so each cell above has the O of the one below as its I. With ``hidden`` the
    input is the hidden units of the layer below, as in papers. Then only the last cell has an
    output layer, and the cells below it are built with 0 outputs. Parameters and state are tuples,
    with one entry per layer. A single cell is returned unchanged.

    Raises InputError for anything that is not a cell, if there is no cell, and with ``hidden`` for
    a cell whose hidden units are not one array.

    Source: the notebook's ``multi_layer_RNN``; with ``hidden`` Graves 2013, equations 1 to 3,
    without its connections that skip layers.
    """
    for cell in cells or (None,):
        if not isinstance(cell, Cell):
            raise InputError(f"stack takes cells, such as lstm(10, 20, 10), not {shown(cell)}")
    if len(cells) == 1:
        return cells[0]
    if hidden:
        cells = (*map(_passing_on_hidden, cells[:-1]), cells[-1])

    def init(key: jax.Array, initializer: Initializer) -> Params:
        keys = jax.random.split(key, len(cells))
        return tuple(cell.init(k, initializer) for cell, k in zip(cells, keys, strict=True))

    def initial_state(params: Params) -> State:
        layers = zip(cells, params, strict=True)
        return tuple(cell.initial_state(layer) for cell, layer in layers)

    def step(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        new_state = []
        for cell, layer, layer_state in zip(cells, params, state, strict=True):
            layer_state, x = cell.step(layer, layer_state, x)
            new_state.append(layer_state)
        return tuple(new_state), x

    def fast(
        params: Params, state: State, xs: jax.Array, steps_at_once: int = 1
    ) -> tuple[State, jax.Array]:
        new_state = []
        for cell, layer, layer_state in zip(cells, params, state, strict=True):
            layer_state, xs = unroll(cell, layer, xs, layer_state, steps_at_once=steps_at_once)
            new_state.append(layer_state)
        return tuple(new_state), xs

    def all_together(params: Params, xs: jax.Array) -> jax.Array:
        for cell, layer in zip(cells, params, strict=True):
            xs = unroll_together(cell, layer, xs)
        return xs

    # A whole layer at a time lets each layer take its cell's own fast path.
    all_fast = all(cell.unroll is not None for cell in cells)
    gates = tuple(dict.fromkeys(gate for cell in cells for gate in cell.gates))
    have_together = all(cell.together is not None for cell in cells)
    together = all_together if have_together else None
    return Cell(init, initial_state, step, fast if all_fast else None, gates, together=together)


def _passing_on_hidden(cell: Cell) -> Cell:
    """The cell with its hidden units as its outputs."""
    if cell.hidden is None:
        raise InputError(
            "stack can pass on the hidden units of cells that recurrent builds, real numbers [H]: "
            "this cell has none"
        )
    of_hidden = cell.hidden
    return cell._replace(step=of_hidden.step, unroll=of_hidden.unroll, together=of_hidden.together)


def without_outputs(params: Params) -> Params:
    """The parameters, changed so that no output sees the hidden units: most cells need this before
    they join."""
    return params._replace(output_weights=jnp.zeros_like(params.output_weights))


def taking_symbols(cell: Cell, num_inputs: int) -> Cell:
    """The cell, changed so that it takes symbols below I, too. If it can only multiply vectors, as
    a cell with only a ``step`` does, it gets them as one-hot vectors [I]."""
    if cell.unroll is not None:
        return cell
    activations = cell.activations

    def plain(
        params: Params, state: State, xs: jax.Array, steps_at_once: int = 1
    ) -> tuple[State, jax.Array]:
        return unroll(cell, params, vectors(xs), state, steps_at_once=steps_at_once)

    def vectors(xs: jax.Array) -> jax.Array:
        return jax.nn.one_hot(xs, num_inputs) if jnp.issubdtype(xs.dtype, jnp.integer) else xs

    return cell._replace(
        step=lambda params, state, x: cell.step(params, state, vectors(x)),
        unroll=plain,
        activations=activations and (lambda p, state, x: activations(p, state, vectors(x))),
    )
