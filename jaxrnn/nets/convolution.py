"""A short causal convolution in front of a cell."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn.errors import whole_number
from jaxrnn.nets.base import Cell, run, unroll_together
from jaxrnn.nets.initializers import Initializer
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
        limit, shape = width**-0.5, (width, num_channels)
        return ConvolvedParams(
            initializer.weights(embedding_key, 1, num_inputs, num_channels),
            jax.random.uniform(kernel_key, shape, minval=-limit, maxval=limit),
            jax.random.uniform(bias_key, (num_channels,), minval=-limit, maxval=limit),
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
