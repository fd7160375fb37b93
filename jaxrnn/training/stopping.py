"""When a trial ends: NumPy folds of the per-step errors, as they stream in."""

import math
from typing import NamedTuple

import numpy as np

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import curve_edges

RUNNING, SOLVED, UNSOLVED, DIVERGED = range(4)


# Sums over a window are taken in integers, of this unit, so that they are exact and do not depend
# on where the stream is cut. No error counts as more than the greatest.
_UNIT, _GREATEST = 2.0**-32, 2.0**14


class Rule(NamedTuple):
    """When a trial is solved or given up; see :class:`jaxrnn.experiment.Experiment`."""

    threshold: float
    window: int
    max_steps: int
    max_failures: int = 0
    mean_error: float = math.inf
    by_test: bool = False


class Progress(NamedTuple):
    """How far each trial has come; arrays of one entry a trial [N]."""

    status: np.ndarray  # int64, one of the four above
    steps: np.ndarray  # int64, training steps that count
    last_above: np.ndarray  # int64, index of the last step with error above the threshold
    correct_at: np.ndarray  # int64, index of the first step with few enough failures, else -1
    solved_at: np.ndarray  # int64, index of the step at which it was solved, else -1
    recent: (
        np.ndarray
    )  # float64 [N, window], the last errors, where the rule needs them, else [N, 0]
    curve_sum: np.ndarray  # float64 [N, bins], sum of the errors in each bin of steps
    curve_count: np.ndarray  # int64 [N, bins], steps in each bin


def rule_of(experiment: Experiment) -> Rule:
    """The rule that an experiment's trials end by."""
    mean_error = math.inf if experiment.mean_error is None else experiment.mean_error
    return Rule(
        experiment.threshold,
        experiment.window,
        experiment.max_steps,
        experiment.max_failures,
        mean_error,
        by_test=experiment.test_size > 0,
    )


def start(num_trials: int, rule: Rule) -> Progress:
    """Every trial before its first step; ``last_above`` starts at 0 as in the notebook."""
    zeros = np.zeros(num_trials, np.int64)
    bins = (num_trials, len(curve_edges(rule.max_steps)))
    remembered = rule.window if _needs_recent(rule) else 0
    return Progress(
        np.full(num_trials, RUNNING, np.int64),
        zeros,
        zeros.copy(),
        zeros - 1,
        zeros - 1,
        np.zeros((num_trials, remembered)),
        np.zeros(bins),
        np.zeros(bins, np.int64),
    )


def fold(
    progress: Progress, errors: np.ndarray, rule: Rule, tests: np.ndarray | None = None
) -> Progress:
    """Fold the next chunk of errors [C, N] into the progress of N trials.

    Step k of a trial fails if its error is above the threshold or not finite. The trial is solved

    - by the window, if no failure is allowed and the mean error is free: at the first k with
      k - (last failure, 0 before any) >= window;
    - by the window else: at the first k >= window - 1 with at most ``max_failures`` failures among
      steps k-window+1 to k, and a mean of their errors below ``mean_error``;
    - by test: at the last step k of the first chunk for whose ``tests`` [N, M], the errors on the
      M test sequences of the weights after it, the same holds.

    It is diverged at the first error that is not finite, unsolved after step max_steps - 1. What
    follows the end of a trial is ignored, so the outcome does not depend on where the stream is
    cut into chunks, tests apart.

    Source: the notebook's ``run_experiment_1``; Hochreiter & Schmidhuber 1997, experiments 1 to 6.
    # Differs from the notebook in that a NaN error counts as above the threshold.
    """
    num_steps, num_trials = errors.shape
    index = progress.steps + np.arange(num_steps)[:, None]
    finite = np.isfinite(errors)
    above = ~finite | (errors > rule.threshold)
    last_above = np.maximum.accumulate(np.where(above, index, progress.last_above), axis=0)
    recent = progress.recent
    if rule.by_test:
        assert tests is not None
        wrong = (~(tests <= rule.threshold)).sum(1)
        is_correct, is_solved = np.zeros((2, *errors.shape), bool)
        is_correct[-1] = wrong <= rule.max_failures
        is_solved[-1] = is_correct[-1] & (tests.mean(1) < rule.mean_error)
    elif _needs_recent(rule):
        # [window + C, N]; before the first step stands what is not looked at.
        stream = np.concatenate([recent.T, np.where(finite, errors, _GREATEST)])
        recent = stream[num_steps:].T  # only where no trial ends, then nobody asks again
        units = np.rint(np.minimum(stream, _GREATEST) / _UNIT).astype(np.int64)
        is_correct = _sums(stream > rule.threshold, num_steps) <= rule.max_failures
        is_correct &= index >= rule.window - 1
        limit = rule.mean_error * rule.window / _UNIT
        is_solved = is_correct & (_sums(units, num_steps) < limit)
    else:
        is_correct = is_solved = index - last_above >= rule.window

    def first(condition: np.ndarray) -> np.ndarray:
        """Row of each column's first True, ``num_steps`` where there is none."""
        return np.where(condition.any(0), condition.argmax(0), num_steps)

    solved = first(is_solved)
    diverged = first(~finite)
    capped = first(index == rule.max_steps - 1)
    # A trial may be solved at its last step, but not diverge at the step that solves it.
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
    bins = np.searchsorted(curve_edges(rule.max_steps), index[rows, trials], side="right") - 1
    np.add.at(curve_sum, (trials, bins), errors[rows, trials])
    np.add.at(curve_count, (trials, bins), 1)

    columns = np.arange(num_trials)
    correct = first(is_correct)
    newly_correct = running & (progress.correct_at < 0) & (correct <= last_row)
    newly_correct &= correct < np.minimum(diverged, num_steps)
    correct_at = index[np.minimum(correct, num_steps - 1), columns]
    return Progress(
        np.where(running, status, progress.status),
        np.where(running, index[last_row, columns] + 1, progress.steps),
        np.where(running, last_above[last_row, columns], progress.last_above),
        np.where(newly_correct, correct_at, progress.correct_at),
        np.where(running & (status == SOLVED), index[last_row, columns], progress.solved_at),
        recent,
        curve_sum,
        curve_count,
    )


def _needs_recent(rule: Rule) -> bool:
    limits = rule.max_failures > 0 or math.isfinite(rule.mean_error)
    return limits and not rule.by_test


def _sums(stream: np.ndarray, num_steps: int) -> np.ndarray:
    """Sums [C, N] over the windows of a stream [window + C, N] that end with each new step."""
    window = len(stream) - num_steps
    total = np.cumsum(np.pad(stream.astype(np.int64), ((1, 0), (0, 0))), axis=0)
    return total[window + 1 :] - total[1 : num_steps + 1]
