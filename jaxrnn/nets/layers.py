"""Cells on top of each other, and a short causal convolution in front of a cell."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn.errors import InputError, shown, whole_number
from jaxrnn.nets.base import Cell, Mask, Params, Reset, State, given, run, unroll_together
from jaxrnn.nets.initializers import Initializer, uniform_by
from jaxrnn.nets.products import product


class ConvolvedParams(NamedTuple):
    """Parameters of :func:`convolved`, with W = ``width`` and D channels."""

    embedding: jax.Array  # E [I, D]
    kernel: jax.Array  # K [W, D], the last row for the present step
    bias: jax.Array  # b [D]
    cell: Any  # those of the cell


class ConvolvedState(NamedTuple):
    """State of :func:`convolved`."""

    before: jax.Array  # e(t-W+2), ..., e(t) [W - 1, D], the latest last
    cell: Any  # that of the cell


def _convolve(
    params: ConvolvedParams, before: jax.Array, xs: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """What is kept of the inputs, and c [T, D], of inputs [T, I] or symbols [T]."""
    all_e = jnp.concatenate([before, product(xs, params.embedding)])
    num_steps, width = len(xs), len(params.kernel)
    parts = [all_e[j : j + num_steps] * params.kernel[j][None] for j in range(width)]
    return all_e[num_steps:], jax.nn.silu(sum(parts, params.bias[None]))


def convolved(cell: Cell, num_inputs: int, num_channels: int, width: int = 4) -> Cell:
    """A cell that sees the last ``width`` inputs, through a convolution of each channel.

    e(t) = x(t) E [D], c(t) = silu(b + sum_j K[W-1-j] e(t-j)) for j = 0, ..., W-1, and the cell's
    step with c(t) as its input; W is ``width``, D ``num_channels``, the cell's number of inputs.
    e is 0 before the first step. States are :class:`ConvolvedState`. The initializer draws E; K and
    b are uniform in +-W^(-1/2).

    Raises InputError for a ``width`` below 2.

    Source: Mamba's block, Gu & Dao 2023, section 3.4; first weights: those of their code.
    """
    width = whole_number("width", width, 2)

    def init(key: jax.Array, initializer: Initializer) -> ConvolvedParams:
        embedding_key, kernel_key, bias_key, cell_key = jax.random.split(key, 4)
        return ConvolvedParams(
            initializer.weights(embedding_key, 1, num_inputs, num_channels),
            uniform_by(kernel_key, width, width, num_channels),
            uniform_by(bias_key, width, num_channels),
            cell.init(cell_key, initializer),
        )

    def initial_state(params: ConvolvedParams) -> ConvolvedState:
        before = jnp.zeros_like(params.kernel, shape=(width - 1, num_channels))
        return ConvolvedState(before, cell.initial_state(params.cell))

    def step(
        params: ConvolvedParams, state: ConvolvedState, x: jax.Array
    ) -> tuple[ConvolvedState, jax.Array]:
        before, c = _convolve(params, state.before, x[None])
        after, y = cell.step(params.cell, state.cell, c[0])
        return ConvolvedState(before, after), y

    def unroll(
        params: ConvolvedParams, state: ConvolvedState, xs: jax.Array, steps_at_once: int = 1
    ) -> tuple[ConvolvedState, jax.Array]:
        before, c = _convolve(params, state.before, xs)
        last, ys = run(cell, params.cell, c, state.cell, steps_at_once=steps_at_once)
        return ConvolvedState(before, last), ys

    def shared(
        params: ConvolvedParams, state: ConvolvedState, xs: jax.Array
    ) -> tuple[ConvolvedState, jax.Array]:
        assert cell.shared is not None
        before, c = _convolve(params, state.before, xs)
        last, ys = cell.shared(params.cell, state.cell, c)
        return ConvolvedState(before, last), ys

    def together(params: ConvolvedParams, xs: jax.Array) -> jax.Array:
        nothing = initial_state(params).before
        cs = jax.vmap(lambda xs: _convolve(params, nothing, xs)[1])(xs)
        return unroll_together(cell, params.cell, cs)

    def activations(
        params: ConvolvedParams, state: ConvolvedState, x: jax.Array
    ) -> dict[str, jax.Array]:
        assert cell.activations is not None
        return cell.activations(
            params.cell, state.cell, _convolve(params, state.before, x[None])[1][0]
        )

    def of_cell(change: Any) -> Any:
        """A change of the cell's parameters as one of all; None if there is none."""
        return change and (lambda params: params._replace(cell=change(params.cell)))

    def rate_factors(params: ConvolvedParams) -> Any:
        assert cell.rate_factors is not None
        ones = jax.tree.map(lambda _: 1.0, params)
        return ones._replace(cell=cell.rate_factors(params.cell))

    hidden = cell.hidden and convolved(cell.hidden, num_inputs, num_channels, width)
    return Cell(
        init,
        initial_state,
        step,
        unroll,
        cell.gates,
        activations if cell.activations else None,
        of_cell(cell.before_joining),
        hidden,
        together if cell.together else None,
        shared if cell.shared else None,
        rate_factors if cell.rate_factors else None,
        of_cell(cell.project),
    )


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
        params: Params,
        state: State,
        xs: jax.Array,
        steps_at_once: int = 1,
        mask: Mask = None,
        reset: Reset = None,
        shared: bool = False,
    ) -> tuple[State, jax.Array]:
        new_state = []
        for cell, layer, layer_state in zip(cells, params, state, strict=True):
            own = cell.shared if shared else cell.unroll
            options: Any = given(mask, reset) | {"own": own, "steps_at_once": steps_at_once}
            layer_state, xs = run(cell, layer, xs, layer_state, **options)
            new_state.append(layer_state)
        return tuple(new_state), xs

    def all_together(params: Params, xs: jax.Array) -> jax.Array:
        for cell, layer in zip(cells, params, strict=True):
            xs = unroll_together(cell, layer, xs)
        return xs

    def factors(params: Params) -> Params:
        return tuple(
            cell.rate_factors(layer) if cell.rate_factors else jax.tree.map(lambda _: 1.0, layer)
            for cell, layer in zip(cells, params, strict=True)
        )

    def projected(params: Params) -> Params:
        return tuple(
            cell.project(layer) if cell.project else layer
            for cell, layer in zip(cells, params, strict=True)
        )

    of_last = cells[-1].hidden
    # A whole layer at a time lets each layer take its cell's own fast path.
    return Cell(
        init,
        initial_state,
        step,
        fast if all(cell.unroll for cell in cells) else None,
        tuple(dict.fromkeys(gate for cell in cells for gate in cell.gates)),
        hidden=of_last and stack(*cells[:-1], of_last),
        together=all_together if all(cell.together for cell in cells) else None,
        shared=partial(fast, shared=True) if all(cell.shared for cell in cells) else None,
        rate_factors=factors if any(cell.rate_factors for cell in cells) else None,
        project=projected if any(cell.project for cell in cells) else None,
    )


def _passing_on_hidden(cell: Cell) -> Cell:
    """The cell with its hidden units as its outputs."""
    if cell.hidden is None:
        raise InputError(
            "stack can pass on the hidden units of cells that recurrent builds, real numbers [H]: "
            "this cell has none"
        )
    of_hidden = cell.hidden
    return cell._replace(
        step=of_hidden.step,
        unroll=of_hidden.unroll,
        together=of_hidden.together,
        shared=of_hidden.shared,
    )
