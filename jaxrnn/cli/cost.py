"""What the experiments of the paper are likely to cost on this machine, before they are run."""

import time

from jaxrnn.suites.base import Suite
from jaxrnn.suites.paper_1997 import PAPER
from jaxrnn.suites.published import PAPER_RESULTS
from jaxrnn.training.runner import run_trials
from jaxrnn.training.trial import build

_TIMED, _TRIALS, _STEPS = "6a", 20, 1500


def seconds_a_time_step() -> float:
    """Time of one time step of one trial of experiment 6a, its training included; some seconds."""
    suite = PAPER[_TIMED]
    experiment = suite.at(
        suite.cells[0], suite.lengths[0], trials=_TRIALS, max_steps=_STEPS, window=_STEPS
    )
    seen: list[tuple[float, int]] = []
    run_trials(
        experiment, on_chunk=lambda tally: seen.append((time.monotonic(), tally.trial_steps))
    )
    (start, first), (end, last) = seen[0], seen[-1]  # the first chunk was compiled before
    return (end - start) / (last - first) / build(experiment).num_steps


def expected_seconds(suite: Suite, length: int, seconds: float) -> float:
    """Duration of an experiment whose trials end as those of the paper did on average.

    ``seconds`` is what :func:`seconds_a_time_step` gave. Where no trial of the paper succeeded,
    all run to their cap.
    """
    experiment = suite.at(suite.cells[0], length)
    mean = PAPER_RESULTS[suite.row][length].sequences
    steps = suite.caps[length] if mean is None else mean + suite.proof
    return seconds * suite.cost * build(experiment).num_steps * steps * experiment.trials
