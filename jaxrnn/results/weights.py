"""The weights that trials ended with: one .npz file a net and length, arrays only."""

import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import PER_TRIAL, Experiment
from jaxrnn.results.files import arrays_in, name_of, write_whole
from jaxrnn.results.rows import experiment_from

PARAMS = "params"
"""What the names of the weights' arrays begin with; a tree path follows."""

_EXPERIMENT, _TRIALS = "experiment", "trials"

Trial = tuple[Experiment, int]
"""A trial is known by its experiment alone and its number."""


class Weights(NamedTuple):
    """What a file holds of N trials, in the order of their rows."""

    experiment: Experiment  # of N trials: alone(k) is what the k-th was trained under
    trials: tuple[int, ...]  # the number of each, which its row has
    arrays: dict[str, np.ndarray]  # [N, ...] by tree path

    def known(self) -> list[Trial]:
        """The trials as a run directory knows them."""
        return list(zip(self.experiment.each_alone(), self.trials, strict=True))


def weights_path(directory: Path, experiment: Experiment) -> Path:
    """The file of all trials that share with this experiment what may not differ by trial."""
    usual = {one.name: one.default for one in dataclasses.fields(Experiment)}
    shared: dict[str, Any] = {name: usual[name] for name in PER_TRIAL}
    one = dataclasses.replace(experiment.canonical(), trials=1, **shared)
    return directory / name_of("weights", one)


def read_weights(path: Path, arrays: bool = True) -> Weights:
    """Read a file, without its ``arrays`` if these are not wanted; InputError if it is damaged."""
    with arrays_in(path, _corrupt(path)) as file:
        experiment = experiment_from(json.loads(str(file[_EXPERIMENT])))
        trials = tuple(int(trial) for trial in file[_TRIALS])
        names = [name for name in file.files if name.startswith(PARAMS)] if arrays else []
        read = {name: file[name] for name in names}
    counts = {experiment.trials, len(trials), *(len(a) if a.ndim else 0 for a in read.values())}
    if len(counts) != 1 or bool(read) != arrays:
        raise _corrupt(path)
    return Weights(experiment, trials, read)


def write_weights(path: Path, of_trials: Mapping[Trial, Mapping[str, np.ndarray]]) -> None:
    """Replace a file as a whole by these trials, which share it, in their order."""
    alone = [experiment for experiment, _ in of_trials]
    each = {name: tuple(getattr(one, name) for one in alone) for name in PER_TRIAL}
    settings: dict[str, Any] = {
        name: all_[0] if len({*all_}) == 1 else all_ for name, all_ in each.items()
    }
    experiment = dataclasses.replace(alone[0], trials=len(alone), **settings)
    # As they are read back, since NumPy's files know no bfloat16.
    plain = [{name: _plain(a) for name, a in one.items()} for one in of_trials.values()]
    first, *others = plain
    for other in others:
        if {n: (a.shape, a.dtype) for n, a in other.items()} != {
            n: (a.shape, a.dtype) for n, a in first.items()
        }:
            raise InputError(f"{path} holds weights of other shapes: use another --out")
    buffer = io.BytesIO()
    arrays = {name: np.stack([one[name] for one in plain]) for name in first}
    arrays[_EXPERIMENT] = np.array(json.dumps(dataclasses.asdict(experiment)))
    arrays[_TRIALS] = np.array([trial for _, trial in of_trials])
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_whole(path, buffer.getvalue())


def of_each(weights: Weights) -> dict[Trial, dict[str, np.ndarray]]:
    """The arrays of each trial apart."""
    return {
        trial: {name: array[k] for name, array in weights.arrays.items()}
        for k, trial in enumerate(weights.known())
    }


def _plain(array: np.ndarray) -> np.ndarray:
    return array.view(f"V{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _corrupt(path: Path) -> InputError:
    return InputError(f"{path} is corrupt: the weights in it are lost, move it away")
