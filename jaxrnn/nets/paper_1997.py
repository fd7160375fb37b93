"""The nets of the 1997 LSTM paper, which have no forget gates.

Memory blocks with a truncated gradient, and the two nets of experiments 2a and 2b, whose outputs
see the inputs, too.
"""

from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.errors import InputError
from jaxrnn.nets.base import Cell
from jaxrnn.nets.elementary import SHORT, sigmoid, tanh
from jaxrnn.nets.initializers import Initializer
from jaxrnn.nets.products import barrier, join, product, split, vector_product
from jaxrnn.nets.recurrent import recurrent as skeleton
from jaxrnn.options import Count, Numbers, OneOf, Positive, checked


class BlockParams(NamedTuple):
    """Parameters of :func:`memory_blocks`; M = 2B + BS: input gates, output gates, cells.

    A parameter that the net does not have is an array of size 0.
    """

    input_weights: jax.Array  # U [I, M]
    recurrent_weights: jax.Array  # W [M, M], [BS, M] from cells alone, or [0, 0]
    bias: jax.Array  # b [M], [2B] where only gates have one, or [0]
    output_weights: jax.Array  # V [BS, O]
    output_bias: jax.Array  # [O] or [0]


class BlockState(NamedTuple):
    """State of :func:`memory_blocks`."""

    cell: jax.Array  # s [B, S]
    units: jax.Array  # y [M], the activations of the step before: gates and cell outputs


def _project(params: BlockParams, x: jax.Array) -> jax.Array:
    """Everything of a(t) but y(t-1) W, for one step [I] or all of them [T, I]."""
    projected = product(x, params.input_weights)
    missing = projected.shape[-1] - params.bias.shape[0]
    return projected + jnp.broadcast_to(jnp.pad(params.bias, (0, missing)), projected.shape)


# A block's cells are a short axis. From jax 0.12 on XLA's CPU back end may or may not round a
# product over so short an axis before something is added to it, depending on the number of lanes.
# Between barriers it always rounds it. It treats the gradient of a matrix product with few outputs
# in the same way, so a sum stands in place of that product.


def _gates_and_writes(
    num_blocks: int, g_bound: float, a: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """y_in, y_out [..., B] and what is added to s [..., B, S]."""
    y_in, y_out = split(sigmoid(a[..., : 2 * num_blocks]), 2)
    g = g_bound * tanh(a[..., 2 * num_blocks :] / 2)
    g = g.reshape(*g.shape[:-1], num_blocks, -1)
    return y_in, y_out, barrier(y_in[..., None] * g)


def _cells_out(y_out: jax.Array, s: jax.Array, h_bound: float) -> jax.Array:
    """y_c [..., BS]."""
    gate, h = y_out[..., None], tanh(s / 2)
    y_c = barrier(gate * (h if h_bound == 1 else h_bound * h))
    return y_c.reshape(*y_c.shape[:-2], -1)


def _readout(params: BlockParams, y_c: jax.Array, projected: jax.Array) -> jax.Array:
    weights = params.output_weights
    if weights.shape[1] <= SHORT:
        each = (*y_c.shape, weights.shape[1])
        # The barrier is for the gradient of y_c, whose products come through it before their sum.
        of_each = barrier(jnp.broadcast_to(y_c[..., None], each))
        outputs = jnp.sum(of_each * jnp.broadcast_to(weights, each), -2)
    else:
        outputs = y_c @ weights
    if not params.output_bias.size:
        return outputs
    return outputs + jnp.broadcast_to(params.output_bias, outputs.shape)


def _seen(params: BlockParams, units: jax.Array) -> jax.Array:
    """What W sees of the activations [..., M]: all of them, or the cells' alone."""
    return units[..., units.shape[-1] - params.recurrent_weights.shape[0] :]


def _advance(
    params: BlockParams,
    state: BlockState,
    projected: jax.Array,
    truncated: bool,
    bounds: tuple[float, float],
) -> tuple[BlockState, jax.Array]:
    before = lax.stop_gradient(state.units) if truncated else state.units
    a = projected
    if params.recurrent_weights.size:
        a = a + vector_product(_seen(params, before), params.recurrent_weights)
    y_in, y_out, write = _gates_and_writes(len(state.cell), bounds[0], a)
    s = state.cell + write
    units = join(y_in, y_out, _cells_out(y_out, s, bounds[1]))
    return BlockState(s, units), units[2 * len(s) :]


@checked
def memory_blocks(
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    block_size: Count,
    input_biases: Annotated[tuple[float, ...], Numbers()] | None = None,
    output_biases: Annotated[tuple[float, ...], Numbers()] | None = None,
    hidden_bias: Annotated[str, OneOf(("all", "gates", "none"))] = "all",
    output_bias: bool = True,
    truncated: bool = True,
    recurrent: bool = True,
    gates_seen: bool = True,
    g_bound: Positive = 2.0,
    h_bound: Positive = 1.0,
) -> Cell:
    """The 1997 net: B blocks of S memory cells that share two gates, no forget gate.

    With B = ``hidden_size`` and S = ``block_size``:
    a(t) = x(t) U + y(t-1) W + b for all M hidden units, y(t-1) their activations one step before;
    y_in = sigmoid(a_in), y_out = sigmoid(a_out) of each block, and for each of its cells
    s(t) = s(t-1) + y_in g(a_c), y_c(t) = y_out h(s(t)) with g(a) = 2 tanh(a/2), in [-2, 2], and
    h(s) = tanh(s/2), in [-1, 1]. The outputs see the cells alone: y_c(t) V + output bias, before
    the squashing that belongs to the objective.

    ``input_biases`` and ``output_biases`` are the first biases of the gates, one per block; if
    None, they are drawn like the weights; ``hidden_bias`` is "all", "gates" or "none". With
    ``truncated`` no error flows back through y(t-1): it changes the weights into a unit and stops,
    and only s carries it through time. Gradients of the plain scan and of the fast path are the
    same then; the fast path scans once for the activations, without gradient, and is differentiated
    as one product and a cumulative sum over all time steps.

    Without ``recurrent`` there is no W: gates and cells see the inputs alone, as in experiments 2a
    and 2b, and the fast path has no scan. With W, y(t-1) adds to every a_c(t). The gates in y(t-1)
    are near 1/2 from the beginning, so s moves in the same direction at each step, and after 1,000
    steps tanh(s/2) has no slope left (experiment 2c).

    Three more options are for other readings of the paper. Without ``gates_seen``, what W sees of
    y(t-1) are the cells alone, not the gates. ``g_bound`` and ``h_bound`` are the ends of g and h.

    Raises InputError for biases that are not one per block.

    Source: Hochreiter & Schmidhuber 1997, equations 3 to 9 and appendix A.1.
    """
    num_blocks = hidden_size
    for given in (input_biases, output_biases):
        if given is not None and hidden_bias == "none":
            raise InputError(f"gate biases {given} need a hidden_bias: choose from all, gates")
        if given is not None and len(given) != num_blocks:
            raise InputError(f"gate biases {given} must be one for each of {num_blocks} blocks")
    bounds = g_bound, h_bound
    num_units = num_blocks * (2 + block_size)
    num_seen = num_units if gates_seen else num_blocks * block_size
    num_biases = {"all": num_units, "gates": 2 * num_blocks, "none": 0}[hidden_bias]

    def init(key: jax.Array, initializer: Initializer) -> BlockParams:
        keys = jax.random.split(key, 7)  # two are not used; with another number all would change
        bias = initializer.weights(keys[2], 1, 1, num_biases)[0] if num_biases else jnp.zeros(0)
        for start, given in ((0, input_biases), (num_blocks, output_biases)):
            if given is not None:
                bias = bias.at[start : start + num_blocks].set(jnp.array(given, bias.dtype))
        return BlockParams(
            initializer.weights(keys[0], 1, num_inputs, num_units),
            initializer.recurrent(keys[1], 1, num_seen, num_units)
            if recurrent
            else jnp.zeros((0, 0)),
            bias,
            initializer.weights(keys[3], 1, num_blocks * block_size, num_outputs),
            initializer.weights(keys[4], 1, 1, num_outputs)[0] if output_bias else jnp.zeros(0),
        )

    def initial_state(params: BlockParams) -> BlockState:
        dtype = params.input_weights.dtype
        return BlockState(jnp.zeros((num_blocks, block_size), dtype), jnp.zeros(num_units, dtype))

    advance = partial(_advance, truncated=truncated, bounds=bounds)

    def scan(params: BlockParams, state: BlockState, projected: Any, at_once: int) -> Any:
        # With ``truncated`` only the values of the scan are used, not its gradient.
        fixed = lax.stop_gradient if truncated else lambda tree: tree

        def one(state: BlockState, projected: jax.Array) -> tuple[BlockState, jax.Array]:
            state, _ = advance(fixed(params), state, projected)
            return state, state.units

        if recurrent:
            last, units = lax.scan(one, fixed(state), fixed(projected), unroll=at_once)
            if not truncated:
                return last, units[:, 2 * num_blocks :]
            before = jnp.concatenate([lax.stop_gradient(state.units)[None], units[:-1]])
            projected = projected + _seen(params, before) @ params.recurrent_weights
        y_in, y_out, write = _gates_and_writes(num_blocks, bounds[0], projected)
        s = jnp.cumsum(write, axis=0) + jnp.broadcast_to(state.cell, write.shape)
        y_c = _cells_out(y_out, s, bounds[1])
        last = BlockState(s[-1], jnp.concatenate([y_in[-1], y_out[-1], y_c[-1]]))
        return last, y_c

    return skeleton(init, initial_state, _project, advance, _readout, scan=scan)


class OneCellParams(NamedTuple):
    """Parameters of :func:`one_cell`: input gates and cells side by side."""

    input_weights: jax.Array  # W [I, 2H]
    output_weights: jax.Array  # V [H, O]
    direct_weights: jax.Array  # D [I, O]


class SelfRecurrentParams(NamedTuple):
    """Parameters of :func:`self_recurrent`."""

    input_weights: jax.Array  # U [I, H]
    recurrent_weights: jax.Array  # W [H, H]
    output_weights: jax.Array  # V [H, O]
    direct_weights: jax.Array  # D [I, O]


def _direct_readout(params: Any, h: jax.Array, projected: Any) -> jax.Array:
    return projected[1] + h @ params.output_weights


@checked
def one_cell(num_inputs: int, hidden_size: int, num_outputs: int, *, bipolar: bool = False) -> Cell:
    """Memory cells with an input gate each that see the inputs alone, as the outputs do, too.

    (a_in, a_c)(t) = x(t) W, y_in = sigmoid(a_in), s(t) = s(t-1) + y_in g(a_c) from s(0) = 0, and
    the outputs x(t) D + s(t) V, before the squashing that belongs to the objective: no output
    gate, no squashing of s, no bias, no weight from one step to the next. g = sigmoid, so that s
    only grows, or with ``bipolar`` 2 sigmoid(a) - 1, in [-1, 1], so that it can stay. Nothing
    needs a scan: s is a cumulative sum. Before the cells join, V is 0.

    Source: Hochreiter & Schmidhuber 1997, experiments 2a and 2b, with H = 1.
    """

    def init(key: jax.Array, initializer: Initializer) -> OneCellParams:
        input_key, output_key, direct_key = jax.random.split(key, 3)
        return OneCellParams(
            initializer.weights(input_key, 1, num_inputs, 2 * hidden_size),
            initializer.weights(output_key, 1, hidden_size, num_outputs),
            initializer.weights(direct_key, 1, num_inputs, num_outputs),
        )

    def initial_state(params: OneCellParams) -> jax.Array:
        return jnp.zeros_like(params.output_weights, shape=hidden_size)

    def project(params: OneCellParams, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What is added to s, [H] or [T, H], and x D, [O] or [T, O]."""
        a_in, a_c = split(product(x, params.input_weights), 2)
        write = sigmoid(a_in) * (tanh(a_c / 2) if bipolar else sigmoid(a_c))
        return write, product(x, params.direct_weights)

    def advance(params: OneCellParams, s: jax.Array, projected: Any) -> Any:
        s = s + projected[0]
        return s, s

    def scan(params: OneCellParams, s: jax.Array, projected: Any, at_once: int) -> Any:
        writes, _ = projected
        s_all = jnp.broadcast_to(s, writes.shape) + jnp.cumsum(writes, axis=0)
        return s_all[-1], s_all

    return skeleton(init, initial_state, project, advance, _direct_readout, scan=scan)


def self_recurrent(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """Logistic units with full recurrence, the net of RTRL and BPTT; outputs see the inputs, too.

    h(t) = sigmoid(x(t) U + h(t-1) W) from h(0) = 0, and the outputs x(t) D + h(t) V, before the
    squashing that belongs to the objective; no biases. The gradient is the full one; RTRL and BPTT
    both compute it.

    Source: Hochreiter & Schmidhuber 1997, experiment 2a, with H = 1.
    """

    def init(key: jax.Array, initializer: Initializer) -> SelfRecurrentParams:
        keys = jax.random.split(key, 4)
        return SelfRecurrentParams(
            initializer.weights(keys[0], 1, num_inputs, hidden_size),
            initializer.recurrent(keys[1], 1, hidden_size, hidden_size),
            initializer.weights(keys[2], 1, hidden_size, num_outputs),
            initializer.weights(keys[3], 1, num_inputs, num_outputs),
        )

    def initial_state(params: SelfRecurrentParams) -> jax.Array:
        return jnp.zeros_like(params.output_weights, shape=hidden_size)

    def project(params: SelfRecurrentParams, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return product(x, params.input_weights), product(x, params.direct_weights)

    def advance(params: SelfRecurrentParams, h: jax.Array, projected: Any) -> Any:
        h = sigmoid(projected[0] + h @ params.recurrent_weights)
        return h, h

    return skeleton(init, initial_state, project, advance, _direct_readout)


CELLS = (memory_blocks, one_cell, self_recurrent)
