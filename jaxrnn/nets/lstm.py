"""The LSTM and its relatives: equations, as builders of the sizes (I, H, O).

In every docstring the letters are those of :class:`jaxrnn.nets.gated.GatedParams`: a gate's
activation is a function of its slice of a(t) = x(t) U + h(t-1) W + b, and y(t) = h(t) V + output
bias. States start at 0, and so do all biases unless the initializer or an experiment says
otherwise.
"""

from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.nets.base import Cell
from jaxrnn.nets.elementary import sigmoid, tanh
from jaxrnn.nets.gated import GatedParams, gated
from jaxrnn.nets.products import join, split


class LSTMState(NamedTuple):
    """State of the cells of the LSTM family."""

    hidden: jax.Array  # h [H]
    cell: jax.Array  # c [H]


def _lstm_zeros(hidden_size: int) -> LSTMState:
    return LSTMState(jnp.zeros(hidden_size), jnp.zeros(hidden_size))


_with_memory_cells = partial(gated, initial_state=_lstm_zeros, hidden=attrgetter("hidden"))


def _lstm_update(
    own: Any, state: LSTMState, i: jax.Array, f: jax.Array, o: jax.Array, g: jax.Array
) -> LSTMState:
    c = f * state.cell + i * g
    return LSTMState(o * tanh(c), c)


def sigmoids_and_tanh(a: jax.Array, num_gates: int) -> list[jax.Array]:
    """Sigmoid of every gate but the last, the candidate, which gets tanh; each [H]."""
    # sigmoid(a) = (1 + tanh(a / 2)) / 2, so one tanh serves all of them.
    scale = np.repeat(np.array([0.5] * (num_gates - 1) + [1.0], a.dtype), a.shape[0] // num_gates)
    return split(scale * tanh(a * scale) + (1 - scale), num_gates)


def slope_of_sigmoids_and_tanh(gates: jax.Array, num_gates: int) -> jax.Array:
    """The derivative of :func:`sigmoids_and_tanh` by its values, both [G H]."""
    # g (1 - g) of the sigmoids, (1 + g) (1 - g) of the tanh
    is_tanh = np.repeat(np.arange(num_gates) == num_gates - 1, gates.shape[0] // num_gates)
    return (gates + is_tanh.astype(gates.dtype)) * (1 - gates)


@jax.custom_jvp
def _lstm_advance(own: Any, state: LSTMState, a: jax.Array) -> LSTMState:
    """One step of the LSTM from the sums a [4 H] of its gates."""
    return _lstm_update(own, state, *sigmoids_and_tanh(a, 4))


@_lstm_advance.defjvp
def _lstm_advance_jvp(primals: Any, tangents: Any) -> tuple[LSTMState, LSTMState]:
    # For the gradient JAX keeps what a tangent is multiplied by: here f and five products of H
    # numbers, where its own derivative keeps thirteen.
    (own, state, a), (_, d_state, d_a) = primals, tangents
    i, f, o, g = sigmoids_and_tanh(a, 4)
    new = _lstm_update(own, state, i, f, o, g)
    squashed = tanh(new.cell)
    by_i, by_f, by_g = g * i * (1 - i), state.cell * f * (1 - f), i * (1 - g * g)
    by_o, by_cell = squashed * o * (1 - o), o * (1 - squashed * squashed)
    d_i, d_f, d_o, d_g = jnp.split(d_a, 4)
    d_cell = f * d_state.cell + (by_i * d_i + by_f * d_f + by_g * d_g)
    return new, LSTMState(by_o * d_o + by_cell * d_cell, d_cell)


def lstm(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell[GatedParams, LSTMState]:
    """The long short-term memory with input, forget and output gates, no peepholes.

    i, f, o = sigmoid(a(t)), g = tanh(a(t)) of their slices, c(t) = f c(t-1) + i g,
    h(t) = o tanh(c(t)); the state is an :class:`LSTMState`, as that of all cells of its family.

    Source: the notebook's ``LSTM``; Hochreiter & Schmidhuber 1997, the forget gate of Gers,
    Schmidhuber & Cummins 2000.
    """
    return _with_memory_cells(
        (num_inputs, hidden_size, num_outputs),
        gates=("input", "forget", "output", "candidate"),
        activate=lambda own, state, a: sigmoids_and_tanh(a, 4),
        update=_lstm_update,
        slope=partial(slope_of_sigmoids_and_tanh, num_gates=4),
        advance=_lstm_advance,
    )


class Peepholes(NamedTuple):
    """Weights from each memory cell to its own gates, all 0 at first."""

    input: jax.Array  # p_i [H]
    forget: jax.Array  # p_f [H]
    output: jax.Array  # p_o [H]


def lstm_peephole(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The LSTM with peephole connections: gates see their own memory cell.

    i = sigmoid(a_i + p_i c(t-1)), f = sigmoid(a_f + p_f c(t-1)), g = tanh(a_g),
    c(t) = f c(t-1) + i g, o = sigmoid(a_o + p_o c(t)), h(t) = o tanh(c(t)); see :class:`Peepholes`.

    Source: Gers, Schraudolph & Schmidhuber 2002.

    Differs from it in that a memory cell has gates of its own (blocks of one).
    """

    def activate(own: Peepholes, state: LSTMState, a: jax.Array) -> list[jax.Array]:
        # All gates but the output gate look at the old cell: one pass for these, and then one for
        # o.
        a_i, a_f, a_o, a_g = split(a, 4)
        i, f, g = sigmoids_and_tanh(
            join(a_i + own.input * state.cell, a_f + own.forget * state.cell, a_g), 3
        )
        c = f * state.cell + i * g
        return [i, f, sigmoid(a_o + own.output * c), g]

    return _with_memory_cells(
        (num_inputs, hidden_size, num_outputs),
        gates=("input", "forget", "output", "candidate"),
        activate=activate,
        update=_lstm_update,
        own=lambda hidden_size: Peepholes(*(jnp.zeros(hidden_size) for _ in Peepholes._fields)),
    )


def lstm_no_forget(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The LSTM without forget gate: 1997's constant error carousel with standard gates.

    i, o = sigmoid(a(t)), g = tanh(a(t)) of their slices, c(t) = c(t-1) + i g, h(t) = o tanh(c(t)).

    Source: Hochreiter & Schmidhuber 1997, equations 7 to 9; "NFG" of Greff et al. 2017.

    Differs from 1997's in its squashing functions, its full gradient and the gates' inputs.
    """

    def update(own: Any, state: LSTMState, i: jax.Array, o: jax.Array, g: jax.Array) -> LSTMState:
        c = state.cell + i * g
        return LSTMState(o * tanh(c), c)

    return _with_memory_cells(
        (num_inputs, hidden_size, num_outputs),
        gates=("input", "output", "candidate"),
        activate=lambda own, state, a: sigmoids_and_tanh(a, 3),
        update=update,
        slope=partial(slope_of_sigmoids_and_tanh, num_gates=3),
    )


def lstm_coupled(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The LSTM with coupled gates: the input gate is one minus the forget gate.

    f, o = sigmoid(a(t)), g = tanh(a(t)) of their slices, c(t) = f c(t-1) + (1 - f) g,
    h(t) = o tanh(c(t)).

    Source: "CIFG" of Greff et al. 2017, without its peepholes.
    """

    def update(own: Any, state: LSTMState, f: jax.Array, o: jax.Array, g: jax.Array) -> LSTMState:
        c = f * state.cell + (1 - f) * g
        return LSTMState(o * tanh(c), c)

    return _with_memory_cells(
        (num_inputs, hidden_size, num_outputs),
        gates=("forget", "output", "candidate"),
        activate=lambda own, state, a: sigmoids_and_tanh(a, 3),
        update=update,
        slope=partial(slope_of_sigmoids_and_tanh, num_gates=3),
    )


class LayerNorms(NamedTuple):
    """Gains (1 at first) and the memory cell's shift (0 at first) of the normalised LSTM."""

    input_gain: jax.Array  # [4H], of x U
    recurrent_gain: jax.Array  # [4H], of h W
    cell_gain: jax.Array  # [H]
    cell_shift: jax.Array  # [H]


def _layer_norms(hidden_size: int) -> LayerNorms:
    ones = jnp.ones(4 * hidden_size)
    return LayerNorms(ones, ones, jnp.ones(hidden_size), jnp.zeros(hidden_size))


def _normalised(a: jax.Array) -> jax.Array:
    # jax.nn.standardize divides by sqrt(variance + epsilon), so a vector of zeros stays one.
    return jax.nn.standardize(a, epsilon=1e-5)


def lstm_layer_norm(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The layer-normalised LSTM.

    With LN(v) = (v - mean v) / sqrt(variance of v + 1e-5) over all elements and gains k (see
    :class:`LayerNorms`): a(t) = k_x LN(x(t) U) + k_h LN(h(t-1) W) + b; i, f, o = sigmoid(a(t)),
    g = tanh(a(t)) of their slices; c(t) = f c(t-1) + i g; h(t) = o tanh(k_c LN(c(t)) + shift). The
    variance is that of ``jax.nn.standardize``, mean v^2 - (mean v)^2, which in float32 loses all
    its digits if the mean is a thousand times the spread.

    Source: Ba, Kiros & Hinton 2016, equations 20 to 22. Their two shifts of a(t) are one bias here.
    """

    def activate(
        own: LayerNorms, state: LSTMState, x_product: jax.Array, h_product: jax.Array, b: jax.Array
    ) -> list[jax.Array]:
        a = own.input_gain * _normalised(x_product) + own.recurrent_gain * _normalised(h_product)
        return sigmoids_and_tanh(a + b, 4)

    def update(
        own: LayerNorms, state: LSTMState, i: jax.Array, f: jax.Array, o: jax.Array, g: jax.Array
    ) -> LSTMState:
        c = f * state.cell + i * g
        return LSTMState(o * tanh(own.cell_gain * _normalised(c) + own.cell_shift), c)

    return _with_memory_cells(
        (num_inputs, hidden_size, num_outputs),
        gates=("input", "forget", "output", "candidate"),
        activate=activate,
        update=update,
        own=_layer_norms,
        adds_up=False,  # the two products are normalised apart
    )


CELLS = (lstm, lstm_peephole, lstm_no_forget, lstm_coupled, lstm_layer_norm)
