"""Cells as their papers set them up for remembering over some hundred steps, for the horizon.

``jaxrnn horizon examples/claims.py:lstm_chrono --tasks adding copying`` tunes and trains
one as the others were, but for its own constants and first biases, which stay what they are here.
"""

import jax

from jaxrnn import Cell, Initializer, co_rnn, ind_rnn, janet, lstm
from jaxrnn.nets.initializers import chrono

STEPS = 100


def co_rnn_adding(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """coRNN with the constants that its authors' program takes for adding at T = 100."""
    return co_rnn(num_inputs, hidden_size, num_outputs, dt=0.06, gamma=66.0, epsilon=15.0)


def ind_rnn_long(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """IndRNN with the first recurrent weights of its authors' last layer, for an output at T."""
    around_1 = (2 ** (-1 / STEPS), 2 ** (1 / STEPS))
    return ind_rnn(num_inputs, hidden_size, num_outputs, recurrent_range=around_1)


def lstm_chrono(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The LSTM with chrono's gate biases."""
    return _with_chrono(lstm(num_inputs, hidden_size, num_outputs))


def janet_chrono(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """JANET as its paper has it, with chrono's gate biases."""
    return _with_chrono(janet(num_inputs, hidden_size, num_outputs))


def _with_chrono(cell: Cell) -> Cell:
    def init(key: jax.Array, initializer: Initializer) -> object:
        return cell.init(key, initializer._replace(biases=chrono(STEPS).biases))

    return cell._replace(init=init, gates=())  # no gate whose bias the search could set
