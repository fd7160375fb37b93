"""The cells: equations and first weights, unbatched. Add one here and a line to ``CELLS``."""

from operator import attrgetter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.unroll import Cell, gated


class LSTMState(NamedTuple):
    """State of :data:`lstm`."""

    hidden: jax.Array  # h [H]
    cell: jax.Array  # c [H]


def _zeros(hidden_size: int) -> LSTMState:
    return LSTMState(jnp.zeros(hidden_size), jnp.zeros(hidden_size))


def _activations(a: jax.Array, num_gates: int) -> list[jax.Array]:
    """Sigmoid of every gate but the last, the candidate, which gets tanh; each [H]."""
    # sigmoid(a) = (1 + tanh(a / 2)) / 2, so one tanh serves all of them.
    scale = np.repeat(np.array([0.5] * (num_gates - 1) + [1.0], a.dtype), a.shape[0] // num_gates)
    return jnp.split(scale * jnp.tanh(scale * a) + (1 - scale), num_gates)


simple_rnn = gated(
    gates=("candidate",),
    advance=lambda own, h, a: jnp.tanh(a),
    initial_state=jnp.zeros,
    hidden=lambda h: h,
    description="tanh units, fully recurrent",
    source="notebook simple_RNN; Elman 1990",
)
"""The simple (Elman) recurrent net.

h(t) = tanh(x(t) U + h(t-1) W + b), y(t) = h(t) V + b', h(0) = 0; state h [H].

Source: the notebook's ``simple_RNN`` (whose letters U and W are the other way round); Elman 1990.
"""


def _lstm_advance(own: tuple[()], state: LSTMState, a: jax.Array) -> LSTMState:
    i, f, o, g = _activations(a, 4)
    c = f * state.cell + i * g
    return LSTMState(o * jnp.tanh(c), c)


lstm = gated(
    gates=("input", "forget", "output", "candidate"),
    advance=_lstm_advance,
    initial_state=_zeros,
    hidden=attrgetter("hidden"),
    description="input, forget and output gates, no peepholes, all biases start at 0",
    source="notebook LSTM; Hochreiter & Schmidhuber 1997; Gers et al. 2000 (forget gate)",
)
"""The long short-term memory with input, forget and output gates and no peepholes.

i, f, o = sigmoid(x(t) U + h(t-1) W + b) of each gate, g = tanh(x(t) U + h(t-1) W + b),
c(t) = f c(t-1) + i g, h(t) = o tanh(c(t)), y(t) = h(t) V + b', h(0) = c(0) = 0;
every bias starts at 0, the forget gate's too. State: :class:`LSTMState`.

Source: the notebook's ``LSTM``; Hochreiter & Schmidhuber 1997, the forget gate of Gers,
Schmidhuber & Cummins 2000.
"""


CELLS: dict[str, Cell] = {"simple_rnn": simple_rnn, "lstm": lstm}
