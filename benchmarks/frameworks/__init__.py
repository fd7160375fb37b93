"""The rivals of ``rivals.py``: the notebook's update in other hands, a module each.

Each gives ``build(problem) -> run``, and ``run(coins, learning_rate, clip) -> errors`` trains every
trial from wherever the last call left it. Letters: N trials, T symbols of a sequence, H hidden
units, G gates (1 or 4), C updates of a call.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Problem(NamedTuple):
    """A net at one length and its first weights, float32, gates side by side in jaxrnn's order."""

    cell: str  # simple_rnn or lstm
    length: int  # T, also the size of the alphabet
    weights: dict[str, np.ndarray]  # the names and shapes of WEIGHTS


WEIGHTS = {
    "input_weights": "[N, T, G H]",
    "recurrent_weights": "[N, H, G H]",
    "bias": "[N, G H]",
    "output_weights": "[N, H, T]",
    "output_bias": "[N, T]",
}

Run = Callable[[np.ndarray, float, float], np.ndarray]
"""``run(coins [C, N], learning_rate, clip) -> errors [C, N]``; a coin says which sequence."""


def symbols(coins: np.ndarray, length: int) -> np.ndarray:
    """The notebook's sequences [..., T] of the coins [...]: T-2+coin, 0, 1, ..., T-3, T-2+coin."""
    ends = (length - 2 + coins)[..., None]
    middle = np.broadcast_to(np.arange(length - 2), (*coins.shape, length - 2))
    return np.concatenate([ends, middle, ends], axis=-1)
