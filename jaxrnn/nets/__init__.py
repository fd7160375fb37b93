"""The nets: cells and how their first weights are drawn."""

from collections.abc import Callable

from jaxrnn.nets.base import Cell
from jaxrnn.nets.cells import (
    gru,
    lstm,
    lstm_coupled,
    lstm_layer_norm,
    lstm_no_forget,
    lstm_peephole,
    simple_rnn,
)
from jaxrnn.nets.memory_blocks import memory_blocks
from jaxrnn.nets.shortcut import one_cell, self_recurrent

CELLS: dict[str, Cell] = {
    "simple_rnn": simple_rnn,
    "lstm": lstm,
    "lstm_peephole": lstm_peephole,
    "lstm_no_forget": lstm_no_forget,
    "lstm_coupled": lstm_coupled,
    "lstm_layer_norm": lstm_layer_norm,
    "gru": gru,
}

CELL_BUILDERS: dict[str, Callable[..., Cell]] = {
    "memory_blocks": memory_blocks,
    "one_cell": one_cell,
    "self_recurrent": self_recurrent,
}
"""The nets of the 1997 paper, whose shape is an option of theirs, by name."""
