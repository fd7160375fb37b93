"""The cells: equations and first weights, unbatched. Add one here and a line to ``CELLS``.

In every docstring the letters are those of :class:`jaxrnn.nets.gated.GatedParams`: a gate's activation
is a function of its slice of a(t) = x(t) U + h(t-1) W + b, and y(t) = h(t) V + output bias. States
start at 0, and so do all biases unless the initializer or an experiment says otherwise.
"""

from operator import attrgetter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.nets.gated import gated


class LSTMState(NamedTuple):
    """State of the cells of the LSTM family."""

    hidden: jax.Array  # h [H]
    cell: jax.Array  # c [H]


def _lstm_zeros(hidden_size: int) -> LSTMState:
    return LSTMState(jnp.zeros(hidden_size), jnp.zeros(hidden_size))


def _sigmoids_and_tanh(a: jax.Array, num_gates: int) -> list[jax.Array]:
    """Sigmoid of every gate but the last, the candidate, which gets tanh; each [H]."""
    # sigmoid(a) = (1 + tanh(a / 2)) / 2, so one tanh serves all of them.
    scale = np.repeat(np.array([0.5] * (num_gates - 1) + [1.0], a.dtype), a.shape[0] // num_gates)
    return jnp.split(scale * jnp.tanh(scale * a) + (1 - scale), num_gates)


# The simple recurrent net


def _simple_rnn_activations(own: tuple[()], h: jax.Array, a: jax.Array) -> list[jax.Array]:
    return [jnp.tanh(a)]


simple_rnn = gated(
    gates=("candidate",),
    advance=lambda own, h, a: jnp.tanh(a),
    initial_state=jnp.zeros,
    hidden=lambda h: h,
    activations=_simple_rnn_activations,
    description="tanh units, fully recurrent",
    source="notebook simple_RNN; Elman 1990",
)
"""The simple (Elman) recurrent net.

h(t) = tanh(a(t)); the state is h [H].

Source: the notebook's ``simple_RNN``; Elman 1990.
"""


# The LSTM family


def _lstm_activations(own: tuple[()], state: LSTMState, a: jax.Array) -> list[jax.Array]:
    return _sigmoids_and_tanh(a, 4)


def _lstm_advance(own: tuple[()], state: LSTMState, a: jax.Array) -> LSTMState:
    i, f, o, g = _lstm_activations(own, state, a)
    c = f * state.cell + i * g
    return LSTMState(o * jnp.tanh(c), c)


lstm = gated(
    gates=("input", "forget", "output", "candidate"),
    advance=_lstm_advance,
    initial_state=_lstm_zeros,
    hidden=attrgetter("hidden"),
    activations=_lstm_activations,
    description="input, forget and output gates, no peepholes",
    source="notebook LSTM; Hochreiter & Schmidhuber 1997; Gers et al. 2000 (forget gate)",
)
"""The long short-term memory with input, forget and output gates and no peepholes.

i, f, o = sigmoid(a(t)), g = tanh(a(t)) of their slices, c(t) = f c(t-1) + i g,
h(t) = o tanh(c(t)).

Source: the notebook's ``LSTM``; Hochreiter & Schmidhuber 1997, the forget gate of Gers,
Schmidhuber & Cummins 2000.
"""


class Peepholes(NamedTuple):
    """Weights from each memory cell to its own gates, all 0 at first."""

    input: jax.Array  # p_i [H]
    forget: jax.Array  # p_f [H]
    output: jax.Array  # p_o [H]


def _peephole_zeros(hidden_size: int) -> Peepholes:
    return Peepholes(jnp.zeros(hidden_size), jnp.zeros(hidden_size), jnp.zeros(hidden_size))


def _peephole_activations(own: Peepholes, state: LSTMState, a: jax.Array) -> list[jax.Array]:
    # All but the output gate look at the cell as it was, so one pass with it, and o once more.
    a_i, a_f, a_o, a_g = jnp.split(a, 4)
    i, f, g = _sigmoids_and_tanh(
        jnp.concatenate([a_i + own.input * state.cell, a_f + own.forget * state.cell, a_g]), 3
    )
    c = f * state.cell + i * g
    return [i, f, jax.nn.sigmoid(a_o + own.output * c), g]


def _peephole_advance(own: Peepholes, state: LSTMState, a: jax.Array) -> LSTMState:
    i, f, o, g = _peephole_activations(own, state, a)
    c = f * state.cell + i * g
    return LSTMState(o * jnp.tanh(c), c)


lstm_peephole = gated(
    gates=lstm.gates,
    advance=_peephole_advance,
    initial_state=_lstm_zeros,
    hidden=attrgetter("hidden"),
    own=_peephole_zeros,
    activations=_peephole_activations,
    description="lstm whose gates see their own memory cell",
    source="Gers, Schraudolph & Schmidhuber 2002",
)
"""The LSTM with peephole connections.

i = sigmoid(a_i + p_i c(t-1)), f = sigmoid(a_f + p_f c(t-1)), g = tanh(a_g),
c(t) = f c(t-1) + i g, o = sigmoid(a_o + p_o c(t)), h(t) = o tanh(c(t)); see :class:`Peepholes`.

Source: Gers, Schraudolph & Schmidhuber 2002.
# Differs from it in that a memory cell has gates of its own (blocks of one).
"""


def _no_forget_activations(own: tuple[()], state: LSTMState, a: jax.Array) -> list[jax.Array]:
    return _sigmoids_and_tanh(a, 3)


def _no_forget_advance(own: tuple[()], state: LSTMState, a: jax.Array) -> LSTMState:
    i, o, g = _no_forget_activations(own, state, a)
    c = state.cell + i * g
    return LSTMState(o * jnp.tanh(c), c)


lstm_no_forget = gated(
    gates=("input", "output", "candidate"),
    advance=_no_forget_advance,
    initial_state=_lstm_zeros,
    hidden=attrgetter("hidden"),
    activations=_no_forget_activations,
    description="lstm without forget gate: the constant error carousel, standard gates",
    source="Hochreiter & Schmidhuber 1997; Greff et al. 2017 (NFG)",
)
"""The LSTM without forget gate: 1997's constant error carousel with standard gates.

i, o = sigmoid(a(t)), g = tanh(a(t)) of their slices, c(t) = c(t-1) + i g, h(t) = o tanh(c(t)).

Source: Hochreiter & Schmidhuber 1997, equations 7 to 9; "NFG" of Greff et al. 2017.
# Differs from 1997's in its squashing functions, its full gradient and the gates' inputs.
"""


def _coupled_activations(own: tuple[()], state: LSTMState, a: jax.Array) -> list[jax.Array]:
    return _sigmoids_and_tanh(a, 3)


def _coupled_advance(own: tuple[()], state: LSTMState, a: jax.Array) -> LSTMState:
    f, o, g = _coupled_activations(own, state, a)
    c = f * state.cell + (1 - f) * g
    return LSTMState(o * jnp.tanh(c), c)


lstm_coupled = gated(
    gates=("forget", "output", "candidate"),
    advance=_coupled_advance,
    initial_state=_lstm_zeros,
    hidden=attrgetter("hidden"),
    activations=_coupled_activations,
    description="lstm whose input gate is one minus the forget gate",
    source="Greff et al. 2017 (CIFG)",
)
"""The LSTM with coupled input and forget gate.

f, o = sigmoid(a(t)), g = tanh(a(t)) of their slices, c(t) = f c(t-1) + (1 - f) g,
h(t) = o tanh(c(t)).

Source: "CIFG" of Greff et al. 2017, without its peepholes.
"""


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


def _layer_norm_activations(
    own: LayerNorms, state: LSTMState, x_product: jax.Array, h_product: jax.Array, bias: jax.Array
) -> list[jax.Array]:
    a = own.input_gain * _normalised(x_product) + own.recurrent_gain * _normalised(h_product)
    return _sigmoids_and_tanh(a + bias, 4)


def _layer_norm_advance(own: LayerNorms, state: LSTMState, *products: jax.Array) -> LSTMState:
    i, f, o, g = _layer_norm_activations(own, state, *products)
    c = f * state.cell + i * g
    return LSTMState(o * jnp.tanh(own.cell_gain * _normalised(c) + own.cell_shift), c)


lstm_layer_norm = gated(
    gates=lstm.gates,
    advance=_layer_norm_advance,
    initial_state=_lstm_zeros,
    hidden=attrgetter("hidden"),
    own=_layer_norms,
    activations=_layer_norm_activations,
    adds_up=False,  # the two products are normalised apart
    description="lstm with layer normalisation",
    source="Ba, Kiros & Hinton 2016",
)
"""The layer-normalised LSTM.

With LN(v) = (v - mean v) / sqrt(variance of v + 1e-5) over all elements and gains k (see
:class:`LayerNorms`): a(t) = k_x LN(x(t) U) + k_h LN(h(t-1) W) + b; i, f, o = sigmoid(a(t)),
g = tanh(a(t)) of their slices; c(t) = f c(t-1) + i g; h(t) = o tanh(k_c LN(c(t)) + shift).

Source: Ba, Kiros & Hinton 2016, equations 20 to 22. Their two shifts of a(t) are one bias here.
"""


# The gated recurrent unit


def _gru_activations(
    own: tuple[()], h: jax.Array, x_product: jax.Array, h_product: jax.Array, bias: jax.Array
) -> list[jax.Array]:
    x_r, x_z, x_n = jnp.split(x_product + bias, 3)
    h_r, h_z, h_n = jnp.split(h_product, 3)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    return [r, z, jnp.tanh(x_n + r * h_n)]


def _gru_advance(own: tuple[()], h: jax.Array, *products: jax.Array) -> jax.Array:
    _, z, n = _gru_activations(own, h, *products)
    return z * h + (1 - z) * n


gru = gated(
    gates=("reset", "update", "candidate"),
    advance=_gru_advance,
    initial_state=jnp.zeros,
    hidden=lambda h: h,
    activations=_gru_activations,
    adds_up=False,  # the reset gate acts on the recurrent product alone
    description="gated recurrent unit",
    source="Cho et al. 2014; reset after the product",
)
"""The gated recurrent unit, its reset gate acting on the recurrent product.

r, z = sigmoid(x(t) U + h(t-1) W + b) of their slices, n = tanh(x(t) U_n + b_n + r (h(t-1) W_n)),
h(t) = z h(t-1) + (1 - z) n; the state is h [H].

Source: Cho et al. 2014, equations 5 to 8.
# Differs from it in that r multiplies h W_n and not h, so that one product serves all gates.
"""
