"""What a run directory keeps as .npz files: checkpoints, and the weights that trials ended with."""

import dataclasses
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrnn.errors import InputError, Note, corrupt
from jaxrnn.experiment import PER_TRIAL, Experiment
from jaxrnn.store.files import name_of, read_arrays, write_arrays
from jaxrnn.store.rows import EXPERIMENT, Trial, experiment_in

_RUNNING = "running"
_BEGIN_ANEW = "this length is begun anew"

Owner = tuple[Experiment, tuple[int, ...]]
"""The canonical experiment that a checkpoint belongs to, and those of its trials."""


class CheckpointFile:
    """A runner's arrays in one .npz file, with the experiment and the trials they belong to."""

    def __init__(self, path: Path, owner: Owner) -> None:
        """Remember the place; nothing is read or written yet."""
        self.path, self.owner = path, owner

    def load(self) -> dict[str, np.ndarray] | None:
        """The arrays of the last save, None before the first; a damaged file counts as none, and a
        warning says so."""
        if not self.path.exists():
            return None
        try:
            arrays = read_arrays(self.path, _BEGIN_ANEW, [EXPERIMENT])
            owner = _owner_in(self.path, arrays)
        except InputError as damage:
            warnings.warn(str(damage), Note, stacklevel=2)
            return None
        if owner != self.owner:
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
    """The owner of the checkpoint in a file; InputError if it is damaged."""
    return _owner_in(path, read_arrays(path, _BEGIN_ANEW, [EXPERIMENT], rest=False))


def _owner_in(path: Path, arrays: Mapping[str, np.ndarray]) -> Owner:
    try:
        experiment, settings = experiment_in(arrays)
        return experiment.canonical(), tuple(settings[_RUNNING])
    except (InputError, KeyError, TypeError):
        raise corrupt(path, _BEGIN_ANEW) from None


# Weights

PARAMS = "params"
"""What the names of the weights' arrays begin with; a tree path follows."""

_TRIALS = "trials"
_LOST = "the weights in it are lost, move it away"


class Weights(NamedTuple):
    """What a file holds of N trials, in the order of their rows."""

    experiment: Experiment  # of N trials: alone(k) is what the k-th was trained under
    trials: tuple[int, ...]  # the number of each, which its row has
    arrays: dict[str, np.ndarray]  # [N, ...] by tree path

    def known(self) -> list[Trial]:
        """The trials as a run directory knows them."""
        return list(zip(self.experiment.each_alone(), self.trials, strict=True))


def weights_path(directory: Path, experiment: Experiment) -> Path:
    """The weights file of this experiment; trials that differ only in per-trial settings share
    it."""
    usual = {one.name: one.default for one in dataclasses.fields(Experiment)}
    shared: dict[str, Any] = {name: usual[name] for name in PER_TRIAL}
    one = dataclasses.replace(experiment.canonical(), trials=1, note={}, **shared)
    return directory / name_of("weights", one)


def read_weights(path: Path, arrays: bool = True) -> Weights:
    """Read a file, without its ``arrays`` if these are not wanted; InputError if it is damaged."""
    read = read_arrays(path, _LOST, [EXPERIMENT, _TRIALS], rest=arrays)
    try:
        experiment, _ = experiment_in(read)
    except InputError as fault:
        raise corrupt(path, _LOST, str(fault)) from None
    params = {name: array for name, array in read.items() if name not in (EXPERIMENT, _TRIALS)}
    return Weights(experiment, tuple(read[_TRIALS].tolist()), params)


def weights_held(directory: Path, experiment: Experiment) -> dict[Trial, dict[str, np.ndarray]]:
    """The weights, by trial, in the file that a directory has for this experiment's trials."""
    path = weights_path(directory, experiment)
    if not path.exists():
        return {}
    held = read_weights(path)
    if weights_path(directory, held.experiment) != path:
        raise InputError(f"{path} holds the weights of another net: move it away")
    return {
        trial: {name: array[k] for name, array in held.arrays.items()}
        for k, trial in enumerate(held.known())
    }


def write_weights(path: Path, of_trials: Mapping[Trial, Mapping[str, np.ndarray]]) -> None:
    """Replace a file as a whole: it then has the weights of these trials, in their order."""
    alone = [experiment for experiment, _ in of_trials]
    each = {name: tuple(getattr(one, name) for one in alone) for name in PER_TRIAL}
    settings: dict[str, Any] = {
        name: all_[0] if len({*all_}) == 1 else all_ for name, all_ in each.items()
    }
    experiment = dataclasses.replace(alone[0], trials=len(alone), note={}, **settings)
    # As they are read back, since NumPy's files know no bfloat16.
    plain = [{name: _plain(a) for name, a in one.items()} for one in of_trials.values()]
    first, *others = plain
    for other in others:
        if {n: (a.shape, a.dtype) for n, a in other.items()} != {
            n: (a.shape, a.dtype) for n, a in first.items()
        }:
            raise InputError(f"{path} holds weights of other shapes: use another --out")
    arrays = {name: np.stack([one[name] for one in plain]) for name in first}
    arrays[EXPERIMENT] = np.array(json.dumps(dataclasses.asdict(experiment)))
    arrays[_TRIALS] = np.array([trial for _, trial in of_trials])
    write_arrays(path, arrays)


def _plain(array: np.ndarray) -> np.ndarray:
    return array.view(f"V{array.dtype.itemsize}") if array.dtype.kind == "V" else array
