"""When a trial ends: NumPy folds of the per-step errors, as they stream in."""

from typing import NamedTuple

import numpy as np

RUNNING, SOLVED, UNSOLVED, DIVERGED = range(4)
STATUS_NAMES = ("running", "solved", "unsolved", "diverged")

BINS_PER_DECADE = 20  # of the learning curves' logarithmic step axis


class Progress(NamedTuple):
    """How far each trial has come; arrays of one entry a trial [N]."""

    status: np.ndarray  # int64, one of the four above
    steps: np.ndarray  # int64, training steps that count
    last_above: np.ndarray  # int64, index of the last step with error above the threshold
    solved_at: np.ndarray  # int64, index of the step at which it was solved, else -1
    curve_sum: np.ndarray  # float64 [N, bins], sum of the errors in each bin of steps
    curve_count: np.ndarray  # int64 [N, bins], steps in each bin


def curve_edges(max_steps: int) -> np.ndarray:
    """First step index of each bin of a learning curve, about 20 bins a decade of (index + 1)."""
    num_edges = max(1, int(np.log10(max_steps) * BINS_PER_DECADE))
    edges = 10.0 ** (np.arange(num_edges) / BINS_PER_DECADE)
    return np.unique(np.floor(edges).astype(np.int64)) - 1


def start(num_trials: int, max_steps: int) -> Progress:
    """Every trial before its first step; ``last_above`` starts at 0 as in the notebook."""
    zeros = np.zeros(num_trials, np.int64)
    bins = (num_trials, len(curve_edges(max_steps)))
    return Progress(
        np.full(num_trials, RUNNING, np.int64),
        zeros,
        zeros.copy(),
        zeros - 1,
        np.zeros(bins),
        np.zeros(bins, np.int64),
    )


def fold(
    progress: Progress, errors: np.ndarray, threshold: float, window: int, max_steps: int
) -> Progress:
    """Fold the next chunk of errors [C, N] into the progress of N trials.

    Step k of a trial fails if its error is above the threshold or not finite. The trial is solved
    at the first k with k - (last failure, 0 before any) >= window, diverged at the first error
    that is not finite, unsolved after step max_steps - 1. What follows the end of a trial is
    ignored, so the outcome does not depend on where the stream is cut into chunks.

    Source: the notebook's ``run_experiment_1``.
    # Differs from the notebook in that a NaN error counts as above the threshold.
    """
    num_steps, num_trials = errors.shape
    index = progress.steps + np.arange(num_steps)[:, None]
    finite = np.isfinite(errors)
    above = ~finite | (errors > threshold)
    last_above = np.maximum.accumulate(np.where(above, index, progress.last_above), axis=0)

    def first(condition: np.ndarray) -> np.ndarray:
        """Row of each column's first True, ``num_steps`` where there is none."""
        return np.where(condition.any(0), condition.argmax(0), num_steps)

    solved = first(index - last_above >= window)
    diverged = first(~finite)
    capped = first(index == max_steps - 1)
    # Solving and diverging exclude each other at one step; a trial may be solved at its last.
    end = np.minimum(np.minimum(solved, diverged), capped)
    ending = end < num_steps
    status = np.where(
        ending,
        np.where(end == diverged, DIVERGED, np.where(end == solved, SOLVED, UNSOLVED)),
        RUNNING,
    )
    last_row = np.minimum(end, num_steps - 1)
    counted = np.arange(num_steps)[:, None] <= last_row
    running = progress.status == RUNNING
    counted &= running & finite

    curve_sum, curve_count = progress.curve_sum.copy(), progress.curve_count.copy()
    rows, trials = np.nonzero(counted)
    bins = np.searchsorted(curve_edges(max_steps), index[rows, trials], side="right") - 1
    np.add.at(curve_sum, (trials, bins), errors[rows, trials])
    np.add.at(curve_count, (trials, bins), 1)

    columns = np.arange(num_trials)
    return Progress(
        np.where(running, status, progress.status),
        np.where(running, index[last_row, columns] + 1, progress.steps),
        np.where(running, last_above[last_row, columns], progress.last_above),
        np.where(running & (status == SOLVED), index[last_row, columns], progress.solved_at),
        curve_sum,
        curve_count,
    )
