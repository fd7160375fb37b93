"""What a checkpoint holds: named arrays, which have to be of the run that goes on from it."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.training.last_params import as_typed

Arrays = Mapping[str, np.ndarray]


class Checkpoint(Protocol):
    """Where a run keeps what it needs to go on: named arrays, replaced as a whole.

    What it loads is what was saved: this is its own to see to, as a file's digest does. A sentence
    about it names its ``path``, if it has one.
    """

    def load(self) -> Arrays | None:
        """The arrays of the last save, None before the first."""

    def save(self, arrays: Arrays) -> None:
        """Replace the arrays, so that a kill leaves either the old ones or the new."""


def fitted(arrays: Arrays, usual: Arrays, where: Any) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, after a check that they have names, types and shapes as the
    ``usual`` ones, which its run would save at its start.

    There may be another number of lanes. There need be no parameters that trials ended with.
    Raises InputError with ``where`` and the first array that differs.
    """
    num_lanes = np.size(arrays.get("lane_trial", ()))
    finals = {name for name in usual if name.startswith("final_")}
    optional = set() if finals & arrays.keys() else finals
    typed = {}
    for name in dict.fromkeys((*usual, *arrays)):
        expected, found = usual.get(name), arrays.get(name)
        shape = () if expected is None else expected.shape
        if shape and name.startswith(("lane_", "state_")):
            shape = (num_lanes, *shape[1:])
        if expected is not None and found is not None:
            typed[name] = found = as_typed(np.asarray(found), expected.dtype)
            if (found.dtype, found.shape) == (expected.dtype, shape):
                continue
        elif name in optional:
            continue
        has = "missing" if found is None else f"{found.dtype} {list(found.shape)}"
        wanted = "none of its run's" if expected is None else f"{expected.dtype} {list(shape)}"
        raise InputError(
            f"{where} has a state of other shapes or types, as under another precision or another "
            f"optax ({name} is {has}, not {wanted}): go on as it was begun, or delete it to begin "
            "this length anew"
        )
    return typed
