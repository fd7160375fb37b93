"""The cells: equations and first weights, unbatched. Add one here and a line to ``CELLS``."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.initializers import Initializer
from jaxrnn.unroll import Cell, in_halves


def _input_product(weights: jax.Array, x: jax.Array) -> jax.Array:
    """x W; for a symbol the product of its one-hot vector with W, which is a row of W."""
    return weights[x] if jnp.issubdtype(x.dtype, jnp.integer) else x @ weights


class SimpleRNNParams(NamedTuple):
    """Parameters of :data:`simple_rnn`."""

    input_weights: jax.Array  # W [I, H]
    recurrent_weights: jax.Array  # U [H, H]
    bias: jax.Array  # b1 [H]
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # b2 [O]


def _simple_rnn() -> Cell:
    def init(
        key: jax.Array,
        num_inputs: int,
        hidden_size: int,
        num_outputs: int,
        initializer: Initializer,
    ) -> SimpleRNNParams:
        input_key, recurrent_key, output_key = jax.random.split(key, 3)
        return SimpleRNNParams(
            initializer(input_key, 1, num_inputs, hidden_size),
            initializer(recurrent_key, 1, hidden_size, hidden_size),
            jnp.zeros(hidden_size),
            initializer(output_key, 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def initial_state(params: SimpleRNNParams) -> jax.Array:
        return jnp.zeros_like(params.bias)

    def project(params: SimpleRNNParams, x: jax.Array) -> jax.Array:
        return _input_product(params.input_weights, x) + params.bias

    def advance(
        params: SimpleRNNParams, h: jax.Array, pre: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh(pre + h @ params.recurrent_weights)
        return h, h

    def readout(params: SimpleRNNParams, h: jax.Array) -> jax.Array:
        return h @ params.output_weights + params.output_bias

    return in_halves(
        init,
        initial_state,
        project,
        advance,
        readout,
        description="tanh units, fully recurrent",
        source="notebook simple_RNN; Elman 1990",
    )


simple_rnn = _simple_rnn()
"""The simple (Elman) recurrent net.

h(t) = tanh(x(t) W + h(t-1) U + b1), y(t) = h(t) V + b2, h(0) = 0; state h [H].

Source: the notebook's ``simple_RNN``; Elman 1990.
"""


class LSTMParams(NamedTuple):
    """Parameters of :data:`lstm`, gates side by side: input, forget, output, candidate."""

    input_weights: jax.Array  # U [I, 4H]
    recurrent_weights: jax.Array  # W [H, 4H]
    bias: jax.Array  # bi, bf, bo, bc [4H]
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # bl [O]


class LSTMState(NamedTuple):
    """State of :data:`lstm`."""

    hidden: jax.Array  # h [H]
    cell: jax.Array  # c [H]


def _lstm() -> Cell:
    def init(
        key: jax.Array,
        num_inputs: int,
        hidden_size: int,
        num_outputs: int,
        initializer: Initializer,
    ) -> LSTMParams:
        input_key, recurrent_key, output_key = jax.random.split(key, 3)
        return LSTMParams(
            initializer(input_key, 4, num_inputs, hidden_size),
            initializer(recurrent_key, 4, hidden_size, hidden_size),
            jnp.zeros(4 * hidden_size),
            initializer(output_key, 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def initial_state(params: LSTMParams) -> LSTMState:
        zeros = jnp.zeros_like(params.output_weights[:, 0])
        return LSTMState(zeros, zeros)

    def project(params: LSTMParams, x: jax.Array) -> jax.Array:
        return _input_product(params.input_weights, x) + params.bias

    def advance(
        params: LSTMParams, state: LSTMState, pre: jax.Array
    ) -> tuple[LSTMState, jax.Array]:
        # sigmoid(a) = (1 + tanh(a / 2)) / 2, so one tanh serves all four gates.
        scale = np.repeat(np.array([0.5, 0.5, 0.5, 1.0], pre.dtype), pre.shape[0] // 4)
        gates = scale * jnp.tanh(scale * (pre + state.hidden @ params.recurrent_weights))
        i, f, o, g = jnp.split(gates + (1 - scale), 4)
        c = f * state.cell + i * g
        h = jnp.tanh(c) * o
        return LSTMState(h, c), h

    def readout(params: LSTMParams, h: jax.Array) -> jax.Array:
        return h @ params.output_weights + params.output_bias

    return in_halves(
        init,
        initial_state,
        project,
        advance,
        readout,
        description="input, forget and output gates, no peepholes, all biases start at 0",
        source="notebook LSTM; Hochreiter & Schmidhuber 1997; Gers et al. 2000 (forget gate)",
    )


lstm = _lstm()
"""The long short-term memory with input, forget and output gates and no peepholes.

i, f, o = sigmoid(x(t) U + h(t-1) W + b) of each gate, g = tanh(x(t) U + h(t-1) W + b),
c(t) = f c(t-1) + i g, h(t) = o tanh(c(t)), y(t) = h(t) V + bl, h(0) = c(0) = 0;
every bias starts at 0, the forget gate's too. State: :class:`LSTMState`.

Source: the notebook's ``LSTM``; Hochreiter & Schmidhuber 1997, the forget gate of Gers,
Schmidhuber & Cummins 2000.
"""


CELLS: dict[str, Cell] = {"simple_rnn": simple_rnn, "lstm": lstm}
