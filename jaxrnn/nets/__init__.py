"""The nets: cells, and how their first weights are drawn.

Every name in ``CELLS`` is a builder such as ``lstm(num_inputs, hidden_size, num_outputs,
**options)``. Every name in ``INITIALIZERS`` is a builder that takes the number of time steps. To
add one, write a function in a family's file or in a new file, and add it to the table at the file's
end.
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
