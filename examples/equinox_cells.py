"""Cells of Equinox for the horizon, beside those of the package.

``jaxrnn horizon examples/equinox_cells.py:gru --tasks two_sequence adding`` tunes and
trains one as it did the others. Equinox is installed by ``pip install equinox``.
"""

import equinox as eqx

from jaxrnn import Cell, from_equinox


def gru(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The gated recurrent unit as Equinox has it, its first weights included."""
    sizes = num_inputs, hidden_size, num_outputs
    return from_equinox(lambda key: eqx.nn.GRUCell(num_inputs, hidden_size, key=key), *sizes)


def lstm(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The LSTM as Equinox has it, its first weights included."""
    sizes = num_inputs, hidden_size, num_outputs
    return from_equinox(lambda key: eqx.nn.LSTMCell(num_inputs, hidden_size, key=key), *sizes)
