"""The nets: cells, and how their first weights are drawn.

Every name in ``CELLS`` is a builder such as ``lstm(num_inputs, hidden_size, num_outputs,
**options)``. Every name in ``INITIALIZERS`` is a builder that takes the number of time steps. To
add one, write a function in a family's file or in a new file, and add it to the table at the file's
end.
"""

from collections.abc import Callable

from jaxrnn.nets import (
    delta,
    gru,
    linear,
    lstm,
    orthogonal,
    paper_1997,
    selective,
    simple,
    xlstm,
)
from jaxrnn.nets.base import Cell, bidirectional, unroll
from jaxrnn.nets.initializers import INITIALIZERS, Initializer, xavier
from jaxrnn.nets.layers import stack

__all__ = [
    "CELLS",
    "INITIALIZERS",
    "Cell",
    "Initializer",
    "bidirectional",
    "stack",
    "unroll",
    "xavier",
]

_FAMILIES = (
    simple,
    lstm,
    gru,
    xlstm,
    linear,
    selective,
    delta,
    orthogonal,
    paper_1997,
)

CELLS: dict[str, Callable[..., Cell]] = {
    build.__name__: build for family in _FAMILIES for build in family.CELLS
}
