"""The nets: cells, and how their first weights are drawn.

Every name in ``CELLS`` is a builder, ``lstm(num_inputs, hidden_size, num_outputs, **options)``, and
every name in ``INITIALIZERS`` one of the number of time steps. Add a function and a line here.
"""

from collections.abc import Callable

from jaxrnn.nets.adapters import from_equinox, from_linen, from_nnx
from jaxrnn.nets.base import Cell, stack, unroll
from jaxrnn.nets.gated import gated
from jaxrnn.nets.gru import gru, janet, mgu, ugrnn
from jaxrnn.nets.initializers import (
    Initializer,
    chrono,
    long_memory,
    notebook_xavier,
    orthogonal,
    uniform,
    xavier,
)
from jaxrnn.nets.linear import lru, min_gru, min_lstm
from jaxrnn.nets.lstm import lstm, lstm_coupled, lstm_layer_norm, lstm_no_forget, lstm_peephole
from jaxrnn.nets.oscillators import co_rnn
from jaxrnn.nets.paper_1997 import memory_blocks, one_cell, self_recurrent
from jaxrnn.nets.simple import ind_rnn, irnn, simple_rnn
from jaxrnn.nets.xlstm import slstm

__all__ = [
    "CELLS",
    "INITIALIZERS",
    "Cell",
    "Initializer",
    "chrono",
    "co_rnn",
    "from_equinox",
    "from_linen",
    "from_nnx",
    "gated",
    "gru",
    "ind_rnn",
    "irnn",
    "janet",
    "long_memory",
    "lru",
    "lstm",
    "lstm_coupled",
    "lstm_layer_norm",
    "lstm_no_forget",
    "lstm_peephole",
    "memory_blocks",
    "mgu",
    "min_gru",
    "min_lstm",
    "notebook_xavier",
    "one_cell",
    "orthogonal",
    "self_recurrent",
    "simple_rnn",
    "slstm",
    "stack",
    "ugrnn",
    "uniform",
    "unroll",
    "xavier",
]

CELLS: dict[str, Callable[..., Cell]] = {
    "simple_rnn": simple_rnn,
    "lstm": lstm,
    "lstm_peephole": lstm_peephole,
    "lstm_no_forget": lstm_no_forget,
    "lstm_coupled": lstm_coupled,
    "lstm_layer_norm": lstm_layer_norm,
    "gru": gru,
    "memory_blocks": memory_blocks,
    "one_cell": one_cell,
    "self_recurrent": self_recurrent,
    "irnn": irnn,
    "janet": janet,
    "ugrnn": ugrnn,
    "mgu": mgu,
    "slstm": slstm,
    "co_rnn": co_rnn,
    "min_gru": min_gru,
    "min_lstm": min_lstm,
    "ind_rnn": ind_rnn,
    "lru": lru,
}

INITIALIZERS: dict[str, Callable[[int], Initializer]] = {
    "notebook_xavier": notebook_xavier,
    "xavier": xavier,
    "uniform": uniform,
    "orthogonal": orthogonal,
    "chrono": chrono,
    "long_memory": long_memory,
}
