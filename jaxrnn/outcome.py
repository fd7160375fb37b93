"""What comes out: how a trial ended, and the bins of its learning curve. Plain data."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

ENDINGS = ("solved", "unsolved", "diverged")
"""How a trial ends."""

SIZE_AT_LENGTHS = 1000
"""Fresh sequences of a trial at each of its experiment's ``test_lengths``."""

BINS_PER_DECADE = 20  # of the learning curves' logarithmic axis of sequences


@dataclass(frozen=True)
class Outcome:
    """How one trial ended."""

    trial: int
    status: str  # solved | unsolved | diverged
    solved_at: int | None  # index of the training sequence, counted from 0
    last_above: int  # index of the last sequence with error above the threshold, 0 if there is none
    steps: int  # training sequences until it ended
    curve: tuple[float, ...]  # mean error in each bin of curve_edges
    # For test sets with a limit on the mean error: index of the first sequence with few enough
    # failures.
    correct_at: int | None = None
    # In the final test: the number of sequences with error above the threshold, and the mean error,
    # None if that is not finite.
    final_wrong: int | None = None
    final_error: float | None = None
    # Of each of the experiment's test_lengths: sequences with error above the threshold.
    wrong_at_lengths: tuple[int, ...] | None = None
    # The parameters after the last update, a tree of arrays, if they are kept. They are not part of
    # a row, and a comparison of outcomes ignores them.
    params: Any = field(default=None, compare=False, repr=False)


@lru_cache(maxsize=64)
def curve_edges(max_steps: int) -> np.ndarray:
    """Index of the first sequence in each bin of a learning curve; about 20 bins a decade of
    (index + 1)."""
    num_edges = max(1, int(np.log10(max_steps) * BINS_PER_DECADE))
    edges = 10.0 ** (np.arange(num_edges) / BINS_PER_DECADE)
    firsts = np.unique(np.floor(edges).astype(np.int64)) - 1
    firsts.flags.writeable = False  # every caller has the same array
    return firsts
