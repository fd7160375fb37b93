"""A cell, and a cell run over a sequence.

Letters used for shapes everywhere: N trials, T time steps, I inputs, H hidden units, O outputs,
B sequences of an update, C updates of a chunk. Nothing in this package has a trial axis.
"""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jax.typing import ArrayLike

from jaxrnn.errors import InputError, shown
from jaxrnn.machine import all_devices
from jaxrnn.nets.checks import checked_inputs, checked_marks, checked_state, described
from jaxrnn.nets.initializers import Initializer

Params = Any
State = Any
Mask = jax.Array | None
"""Which time steps count [T], or one of these; None: all of them."""
Reset = jax.Array | None
"""The time steps at which a new episode begins [T], or one of these; None: none of them."""
if TYPE_CHECKING:  # where a TypeVar may have a default, as in Python since 3.13: Cell is of any
    from typing_extensions import TypeVar

    P = TypeVar("P", default=Any)
    S = TypeVar("S", default=Any)
else:
    from typing import TypeVar

    P = TypeVar("P")
    """The parameters of a cell, such as :class:`jaxrnn.nets.gated.GatedParams`."""
    S = TypeVar("S")
    """The state of a cell, such as an array or :class:`jaxrnn.nets.lstm.LSTMState`."""


class Cell(NamedTuple, Generic[P, S]):
    """A recurrent net of fixed sizes as pure functions of one time step of one sequence.

    ``init(key, initializer) -> params``
        The first weights.
    ``initial_state(params) -> state``
        The state before the first step.
    ``step(params, state, x) -> (state, y)``
        One time step, x ``[I]`` (or a symbol, an integer below I; all cells of the package take
        both), y ``[O]``. ``lax.scan(partial(cell.step, params), state, xs)`` runs it.
    ``unroll(params, state, xs) -> (state, ys)``
        Optional: a faster way to compute the same as that scan, for symbols and for vectors. It may
        take the keywords ``steps_at_once``, ``mask`` and ``reset``, see :func:`unroll`; without the
        latter two a mask or a reset takes the scan.
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
    ``shared(params, state, xs) -> (state, ys)``
        Optional: what ``unroll`` computes, faster under a ``vmap`` over sequences that share the
        weights; it may take ``mask`` and ``reset``, too.
    ``rate_factors(params) -> factors``
        Optional: the factor of the learning rate of each weight, a tree as the parameters, each
        leaf a number or an array of the weights' shape.
    ``project(params) -> params``
        Optional: the parameters after each update, such as with weights kept within a bound.
    """

    init: Callable[[jax.Array, Initializer], P]
    initial_state: Callable[[P], S]
    step: Callable[[P, S, jax.Array], tuple[S, jax.Array]]
    unroll: Callable[[P, S, jax.Array], tuple[S, jax.Array]] | None = None
    gates: tuple[str, ...] = ()
    activations: Callable[[P, S, jax.Array], dict[str, jax.Array]] | None = None
    before_joining: Callable[[P], P] | None = None
    hidden: "Cell[P, S] | None" = None
    together: Callable[[P, jax.Array], jax.Array] | None = None
    shared: Callable[[P, S, jax.Array], tuple[S, jax.Array]] | None = None
    rate_factors: Callable[[P], Any] | None = None
    project: Callable[[P], P] | None = None


def unroll(
    cell: Cell[P, S],
    params: P,
    xs: ArrayLike,
    state: S | None = None,
    *,
    mask: ArrayLike | None = None,
    reset: ArrayLike | None = None,
    reverse: bool = False,
    states: bool = False,
    steps_at_once: int = 1,
) -> tuple[S, jax.Array]:
    """Run ``cell`` over one sequence ``xs`` and return (last state, ys [T, O]).

    ``xs`` are real vectors [T, I] or symbols [T], integers below I. A batch takes a ``jax.vmap``:
    ``jax.vmap(lambda xs: unroll(cell, params, xs))(batch)``.

    ``state`` is the state before the first step, by default the cell's initial state. With
    ``reverse`` the sequence is read from its end; ys keep the order of xs. ``mask`` [T] says with
    True which steps count. All others are skipped: their xs are not read, they leave the state as
    it is, and their ys are 0. So a padded sequence gives the state after its last real step; with
    ``reverse`` it begins there. NaN, or a symbol that is none, may stand in skipped steps.
    ``reset`` [T] is True at the first step of each episode where several stand in one sequence: the
    state before it is the cell's initial state again. With ``reverse`` that is so before an
    episode's last step. With ``states`` the hidden states [T, H] of all steps come in place of ys.

    This takes a fast path of the cell where it has one, else ``lax.scan`` of its step; with a mask
    or a reset a path that takes it, as those of most cells do. A cell that :func:`jaxrnn.gated`
    builds has two: one for a ``vmap`` over sequences that share the weights, and one for all else.
    (A ``vmap`` around a ``jit`` of your own cannot be seen; put the ``jit`` around the ``vmap``.)
    One iteration of the compiled loop does ``steps_at_once`` time steps, like the ``unroll`` of
    ``lax.scan``. With a larger number the result is the same but for rounding, and the compilation
    takes longer. It is faster where starting a kernel takes longer than running it, as on an
    accelerator.

    Raises InputError for a batch, for ``states`` of a cell without ``hidden``, for a mask, a reset,
    a state or inputs of the wrong shape or type, for parameters that are not the cell's, and for a
    symbol beyond the alphabet. (The last cannot be seen inside of a ``jit``, where JAX would read
    it as the last symbol.)

    Without such a ``vmap`` the cells that :func:`jaxrnn.gated` builds have reverse-mode
    derivatives only (``grad``, ``vjp``, ``jacrev``; and ``hessian``, which is forward over
    reverse). ``jvp`` and ``jacfwd`` raise InputError, or jax's TypeError inside a ``jit`` or
    ``linearize`` of your own; they work on ``unroll(cell._replace(unroll=None), ...)``.
    """
    if not isinstance(cell, Cell):
        raise InputError(f"unroll takes a cell, such as lstm(10, 20, 10), not {shown(cell)}")
    if states:
        if cell.hidden is None:
            raise InputError(
                "states are the hidden units [H] of a cell, and this cell has none apart from its "
                "outputs: give it its hidden, the same net without an output layer"
            )
        cell = cell.hidden
    inputs = checked_inputs(xs)
    first: S = checked_state(cell, params, inputs, state)
    counts = None if mask is None else checked_marks("mask", mask, len(inputs))
    begins = None if reset is None else checked_marks("reset", reset, len(inputs))
    if counts is not None:
        # A skipped step is computed, too, and a NaN in it times 0 would be NaN in the gradient.
        inputs = _or_zero(counts, inputs)
    if reverse:
        if begins is not None:
            begins = jnp.roll(begins, -1).at[-1].set(False)  # read first, the state is given
        inputs, counts, begins = jax.tree.map(partial(jnp.flip, axis=0), (inputs, counts, begins))
    own = cell.unroll
    if cell.shared is not None and steps_at_once == 1 and _share_weights(params, inputs):
        own = cell.shared
    last, ys = run(
        *(cell, params, inputs, first),
        own=own,
        mask=counts,
        reset=begins,
        steps_at_once=steps_at_once,
    )
    if counts is not None:
        ys = _or_zero(counts, ys)
    return last, jnp.flip(ys, 0) if reverse else ys


def bidirectional(
    cell: Cell[P, S],
    params: tuple[P, P],
    xs: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    reset: ArrayLike | None = None,
) -> jax.Array:
    """The outputs of a cell that reads a sequence from its begin, and of one that reads it from its
    end, side by side: ys [T, 2 O].

        ys(t) = [y(t) given x(1), ..., x(t), y'(t) given x(t), ..., x(T)]

    ``params`` are those of the first and of the second. All else is as in :func:`unroll`: a batch
    takes a ``jax.vmap``, skipped steps have outputs of 0, and a fast path is taken where there is
    one. Raises what it raises, and InputError if the params are no pair.

    Source: Schuster & Paliwal 1997, IEEE Transactions on Signal Processing 45(11).
    """
    if not isinstance(params, tuple | list) or len(params) != 2:
        raise InputError(f"params are {described(params)}: give a pair, one for each direction")
    _, ahead = unroll(cell, params[0], xs, mask=mask, reset=reset)
    _, back = unroll(cell, params[1], xs, mask=mask, reset=reset, reverse=True)
    return jnp.concatenate([ahead, back], axis=-1)


def _or_zero(mask: jax.Array, rows: jax.Array) -> jax.Array:
    """Rows [T, ...], those of skipped steps 0."""
    counts = mask.reshape(-1, *(1,) * (rows.ndim - 1))
    return jnp.where(counts, rows, jnp.zeros_like(rows))


def after_step(counts: Mask, new: S, old: S) -> S:
    """The state after a step, which a skipped step does not change."""
    if counts is None:
        return new
    return jax.tree.map(lambda new, old: jnp.where(counts, new, old), new, old)


def before_step(begins: Reset, first: S, state: S) -> S:
    """The state before a step, which is the first one where an episode begins."""
    if begins is None:
        return state
    return jax.tree.map(lambda first, old: jnp.where(begins, first, old), first, state)


def _share_weights(params: Params, xs: jax.Array) -> bool:
    """Whether the innermost ``vmap`` maps the inputs, but not the parameters, on a CPU."""
    if all_devices()[0].platform != "cpu":
        return False  # there few and large operations count
    mapped: list[Any] = []

    @custom_vmap
    def look(xs: jax.Array, params: Params) -> jax.Array:
        return jnp.zeros(())

    @look.def_vmap
    def note(size: int, is_mapped: Any, *arguments: Any) -> tuple[jax.Array, bool]:
        mapped.append(is_mapped)
        return jnp.zeros(()), False

    # JAX calls the rule while it traces the vmap. What is computed is used nowhere.
    look(*lax.stop_gradient((xs, params)))
    return any(inputs and not any(jax.tree.leaves(weights)) for inputs, weights in mapped[:1])


def run(
    cell: Cell[P, S],
    params: P,
    xs: jax.Array,
    state: S,
    *,
    own: Callable[..., tuple[S, jax.Array]] | None = None,
    mask: Mask = None,
    reset: Reset = None,
    steps_at_once: int = 1,
) -> tuple[S, jax.Array]:
    """:func:`unroll` of what is known to fit, by ``own``, a form of the cell, or its ``unroll``.

    The ys of skipped steps are any finite numbers, if their xs are.
    """
    form: Callable[..., tuple[S, jax.Array]] | None = own or cell.unroll
    takes = signature(form).parameters if form is not None else {}
    marks = given(mask, reset)
    if form is None or not marks.keys() <= takes.keys():
        first = state if reset is None else cell.initial_state(params)

        def step(state: S, at: tuple[jax.Array, Mask, Reset]) -> tuple[S, jax.Array]:
            state = before_step(at[2], first, state)
            after, y = cell.step(params, state, at[0])
            return after_step(at[1], after, state), y

        return lax.scan(step, state, (xs, mask, reset), unroll=steps_at_once)
    if marks:
        form = partial(form, **marks)
    if steps_at_once > 1 and "steps_at_once" in takes:
        form = partial(form, steps_at_once=steps_at_once)
    try:
        return form(params, state, xs)
    except TypeError as error:
        if "forward-mode" not in str(error):
            raise
        raise InputError(
            "the fast path of a cell has no forward-mode derivative (jvp, jacfwd): take that of "
            "unroll(cell._replace(unroll=None), ...), its plain scan"
        ) from error


def given(mask: Mask, reset: Reset) -> dict[str, jax.Array]:
    """Those that there are, as keywords."""
    marks = {"mask": mask, "reset": reset}
    return {name: one for name, one in marks.items() if one is not None}


def unroll_together(
    cell: Cell, params: Params, xs: jax.Array, *, steps_at_once: int = 1
) -> jax.Array:
    """The outputs [B, T, O] of B sequences, [B, T, I] or symbols [B, T], from the initial state."""
    if cell.together is not None and steps_at_once == 1:
        return cell.together(params, xs)

    def one(xs: jax.Array) -> jax.Array:
        return run(cell, params, xs, cell.initial_state(params), steps_at_once=steps_at_once)[1]

    return jax.vmap(one)(xs)


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
        return run(cell, params, vectors(xs), state, steps_at_once=steps_at_once)

    def vectors(xs: jax.Array) -> jax.Array:
        return jax.nn.one_hot(xs, num_inputs) if jnp.issubdtype(xs.dtype, jnp.integer) else xs

    return cell._replace(
        step=lambda params, state, x: cell.step(params, state, vectors(x)),
        unroll=plain,
        activations=activations and (lambda p, state, x: activations(p, state, vectors(x))),
    )
