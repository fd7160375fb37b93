"""The checkpoint of an experiment in flight: one .npz file."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrnn.errors import InputError, corrupt, fault_of_whole_number, shown
from jaxrnn.experiment import Experiment
from jaxrnn.results.files import read_arrays, write_arrays
from jaxrnn.results.rows import EXPERIMENT, experiment_in

_RUNNING = "running"
_ADVICE = "delete it to begin this length anew"

Owner = tuple[Experiment, tuple[int, ...]]
"""The canonical experiment that a checkpoint belongs to, and those of its trials."""


class CheckpointFile:
    """A runner's arrays in one .npz file, with the experiment and the trials they belong to."""

    def __init__(self, path: Path, owner: Owner) -> None:
        """Remember the place; nothing is read or written yet."""
        self.path, self.owner = path, owner

    def load(self) -> dict[str, np.ndarray] | None:
        """The arrays of the last save, None before the first."""
        if not self.path.exists():
            return None
        arrays = read_arrays(self.path, _ADVICE, [EXPERIMENT])
        if _owner_in(self.path, arrays) != self.owner:
            raise InputError(
                f"{self.path} belongs to other settings or trials: delete it or use another --out"
            )
        del arrays[EXPERIMENT]
        return arrays

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the arrays as a whole."""
        experiment, trials = self.owner
        owner = json.dumps(dataclasses.asdict(experiment) | {_RUNNING: trials})
        write_arrays(self.path, {EXPERIMENT: np.array(owner), **arrays})

    def delete(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)


def owner_of(path: Path) -> Owner:
    """What the checkpoint in a file belongs to; InputError if it is none, or has changed."""
    return _owner_in(path, read_arrays(path, _ADVICE, [EXPERIMENT], rest=False))


def _owner_in(path: Path, arrays: Mapping[str, np.ndarray]) -> Owner:
    try:
        experiment, settings = experiment_in(arrays)
        running = settings.get(_RUNNING, range(experiment.trials))
        _check_trials(running, experiment.trials)
    except InputError as fault:
        raise corrupt(path, _ADVICE, fault.sentence) from None
    return experiment.canonical(), tuple(running)


def _check_trials(running: Any, num_trials: int) -> None:
    """Raise where these are not some of the trials, each once."""
    if not isinstance(running, list | range):
        raise InputError(f"{EXPERIMENT} names {shown(running)} as its trials")
    for trial in running:
        rule = fault_of_whole_number(trial, 0)
        if rule is None and trial >= num_trials:
            rule = f"must be below {num_trials}"
        if rule:
            raise InputError(f"{EXPERIMENT} names trial {shown(trial)}, which {rule}")
    if len({*running}) < len(running):
        raise InputError(f"{EXPERIMENT} names a trial twice")
