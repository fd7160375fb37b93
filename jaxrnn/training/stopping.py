"""When a trial ends: NumPy folds of its training sequences' errors, as they stream in."""

import math
from typing import NamedTuple

import numpy as np

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import ENDINGS, Outcome, curve_edges

RUNNING, SOLVED, UNSOLVED, DIVERGED = range(4)


# Sums over a window are integers in this unit. So they are exact and do not depend on where the
# stream is cut. A larger error counts as the greatest.
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
    steps: np.ndarray  # int64, training sequences that count
    last_above: np.ndarray  # int64, index of the last sequence with error above the threshold
    correct_at: np.ndarray  # int64, index of the first sequence with few enough failures, else -1
    solved_at: np.ndarray  # int64, index of the sequence at which it was solved, else -1
    recent: np.ndarray  # float64 [N, window], the last errors if the rule needs them, else [N, 0]
    curve_sum: np.ndarray  # float64 [N, bins], sum of the errors in each bin of sequences
    curve_count: np.ndarray  # int64 [N, bins], sequences in each bin


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
    """Every trial before its first sequence; ``last_above`` starts at 0 as in the notebook."""
    bins = (num_trials, len(curve_edges(rule.max_steps)))
    return Progress(
        status=np.full(num_trials, RUNNING, np.int64),
        steps=np.zeros(num_trials, np.int64),
        last_above=np.zeros(num_trials, np.int64),
        correct_at=np.full(num_trials, -1, np.int64),
        solved_at=np.full(num_trials, -1, np.int64),
        recent=np.zeros((num_trials, rule.window if needs_recent(rule) else 0)),
        curve_sum=np.zeros(bins),
        curve_count=np.zeros(bins, np.int64),
    )


def fold(
    progress: Progress, errors: np.ndarray, rule: Rule, tests: np.ndarray | None = None
) -> Progress:
    """Fold the next errors [C, N], of C sequences of each of N trials, into their progress.

    Sequence k of a trial fails if its error is above the threshold or not finite. The trial is
    solved

    - by the window, if no failure is allowed and the mean error is free: at the first k with
      k - (last failure, 0 before any) >= window;
    - by the window else: at the first k >= window - 1 with at most ``max_failures`` failures among
      sequences k-window+1 to k, and a mean of their errors below ``mean_error``;
    - by test: at the last sequence k of the first chunk whose ``tests`` [N, M] meet the same
    condition; these are the errors of the weights after the chunk on the M test sequences.

    It is diverged at the first error that is not finite, unsolved after sequence max_steps - 1.
    Errors after the end of a trial are ignored. So the outcome does not depend on where the stream
    is cut into chunks, except with tests.

    Source: the notebook's ``run_experiment_1``; Hochreiter & Schmidhuber 1997, experiments 1 to 6.

    Differs from the notebook in that a NaN error counts as above the threshold.
    """
    index = progress.steps + np.arange(len(errors))[:, None]
    above = ~np.isfinite(errors) | (errors > rule.threshold)
    last_above = np.maximum.accumulate(np.where(above, index, progress.last_above), axis=0)
    recent = progress.recent
    if rule.by_test:
        assert tests is not None
        is_correct, is_solved = np.zeros((2, *errors.shape), bool)
        is_correct[-1] = (~(tests <= rule.threshold)).sum(1) <= rule.max_failures
        is_solved[-1] = is_correct[-1] & (tests.mean(1) < rule.mean_error)
    elif needs_recent(rule):
        is_correct, is_solved, recent = _by_window(recent, errors, index, rule)
    else:
        is_correct = is_solved = index - last_above >= rule.window
    solved, diverged = _first(is_solved), _first(~np.isfinite(errors))
    # A trial may be solved at its last sequence, but not diverge at the one that solves it.
    end = np.minimum(np.minimum(solved, diverged), _first(index == rule.max_steps - 1))
    ending = np.where(end == diverged, DIVERGED, np.where(end == solved, SOLVED, UNSOLVED))
    status = np.where(end < len(errors), ending, RUNNING)
    last_row = np.minimum(end, len(errors) - 1)
    running = progress.status == RUNNING
    columns = np.arange(errors.shape[1])

    correct = _first(is_correct)
    newly_correct = running & (progress.correct_at < 0) & (correct <= last_row)
    newly_correct &= (status != DIVERGED) | (correct < last_row)
    correct_at = index[np.minimum(correct, last_row), columns]

    counted = (np.arange(len(errors))[:, None] <= last_row) & running & np.isfinite(errors)
    curve_sum, curve_count = progress.curve_sum.copy(), progress.curve_count.copy()
    rows, trials = np.nonzero(counted)
    bins = np.searchsorted(curve_edges(rule.max_steps), index[rows, trials], side="right") - 1
    np.add.at(curve_sum, (trials, bins), errors[rows, trials])
    np.add.at(curve_count, (trials, bins), 1)
    last = index[last_row, columns]
    return Progress(
        status=np.where(running, status, progress.status),
        steps=np.where(running, last + 1, progress.steps),
        last_above=np.where(running, last_above[last_row, columns], progress.last_above),
        correct_at=np.where(newly_correct, correct_at, progress.correct_at),
        solved_at=np.where(running & (status == SOLVED), last, progress.solved_at),
        recent=recent,
        curve_sum=curve_sum,
        curve_count=curve_count,
    )


def outcomes(progress: Progress, trials: np.ndarray, has_two: bool) -> list[Outcome]:
    """How the trials [N] ended; with ``has_two`` there are two criteria, and the first is reported,
    too."""

    def or_none(index: int) -> int | None:
        return int(index) if index >= 0 else None

    def outcome(trial: int, of_trial: Progress) -> Outcome:
        assert of_trial.status != RUNNING, f"trial {trial} has not ended"
        bins = zip(of_trial.curve_sum, of_trial.curve_count, strict=True)
        return Outcome(
            trial=trial,
            status=ENDINGS[int(of_trial.status) - SOLVED],
            solved_at=or_none(int(of_trial.solved_at)),
            last_above=int(of_trial.last_above),
            steps=int(of_trial.steps),
            curve=tuple(round(float(total / count), 5) for total, count in bins if count),
            correct_at=or_none(int(of_trial.correct_at)) if has_two else None,
        )

    return [
        outcome(int(trial), Progress(*(array[position] for array in progress)))
        for position, trial in enumerate(trials)
    ]


def _by_window(
    recent: np.ndarray, errors: np.ndarray, index: np.ndarray, rule: Rule
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether the window that ends at each sequence has few enough failures, and whether its mean
    error is low enough, too; and the last window."""
    count = len(errors)
    # [window + C, N]; entries before the first sequence are never used.
    stream = np.concatenate([recent.T, np.where(np.isfinite(errors), errors, _GREATEST)])
    units = np.rint(np.minimum(stream, _GREATEST) / _UNIT).astype(np.int64)
    is_correct = _sums(stream > rule.threshold, count) <= rule.max_failures
    is_correct &= index >= rule.window - 1
    limit = rule.mean_error * rule.window / _UNIT
    is_solved = is_correct & (_sums(units, count) < limit)
    return is_correct, is_solved, stream[count:].T  # only where no trial ends is it asked for again


def _first(condition: np.ndarray) -> np.ndarray:
    """Row of each column's first True, the number of rows where there is none."""
    return np.where(condition.any(0), condition.argmax(0), len(condition))


def needs_recent(rule: Rule) -> bool:
    """Whether the errors of the last window are kept."""
    limits = rule.max_failures > 0 or math.isfinite(rule.mean_error)
    return limits and not rule.by_test


def _sums(stream: np.ndarray, count: int) -> np.ndarray:
    """Sums [C, N] over the windows of a stream [window + C, N] that end with each new entry."""
    window = len(stream) - count
    total = np.cumsum(np.pad(stream.astype(np.int64), ((1, 0), (0, 0))), axis=0)
    return total[window + 1 :] - total[1 : count + 1]
