"""The nets: cells, and how their first weights are drawn.

Every name in ``CELLS`` is a builder, ``lstm(num_inputs, hidden_size, num_outputs, **options)``, and
every name in ``INITIALIZERS`` one of the number of time steps. Add a function to a family's file,
or as a new file, and to the table at its end.
"""

from collections.abc import Callable

from jaxrnn.nets import gru, linear, lstm, oscillators, paper_1997, simple, xlstm
from jaxrnn.nets.base import Cell, stack, unroll
from jaxrnn.nets.initializers import INITIALIZERS, Initializer, xavier

__all__ = ["CELLS", "INITIALIZERS", "Cell", "Initializer", "stack", "unroll", "xavier"]

CELLS: dict[str, Callable[..., Cell]] = {
    build.__name__: build
    for family in (simple, lstm, gru, xlstm, oscillators, linear, paper_1997)
    for build in family.CELLS
}
