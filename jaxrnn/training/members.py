"""The experiments that are trained in one run, and the progress of each."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.training.saved import Checkpoint


class Member(NamedTuple):
    """Trials of one experiment that are trained in a run."""

    experiment: Experiment  # settled
    trials: Sequence[int]
    checkpoint: Checkpoint | None = None


class Tally(NamedTuple):
    """The progress of an experiment in a run, for a display."""

    step: int  # training sequences that the furthest running trial has seen
    solved: int
    unsolved: int
    diverged: int
    running: int  # in a lane or waiting for one
    trial_steps: int  # training sequences of all trials so far
    lane_steps: int  # its share of those that all lanes have had time for, idle or not
    steps_taken: int  # updates of each lane of the run
    steps_left: int  # updates of the lane that is busy longest, if every trial runs to its cap


OnTally = Callable[[int, Tally], None]
"""Is told of the progress of a member, by its number."""

OnEnd = Callable[[int, list[Outcome]], None]
"""Is told how the trials of a member, by its number, have ended."""
