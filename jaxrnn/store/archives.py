"""What a run directory keeps as .npz files: checkpoints, and the weights that trials ended with."""

import dataclasses
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrnn.errors import InputError, Note, corrupt
from jaxrnn.experiment import PER_TRIAL, Experiment, Ticket
from jaxrnn.store.files import name_of, read_arrays, write_arrays

_TICKETS = "tickets"
_BEGIN_ANEW = "its trials are begun anew"

Arrays = Mapping[str, np.ndarray]


class CheckpointFile:
    """The trials under way of one program in an .npz file: an entry each of all arrays, and their
    tickets."""

    def __init__(
        self,
        path: Path,
        part: str = "",
        is_wanted: Callable[[Ticket], bool] = lambda ticket: True,
        before_save: Callable[[], None] = lambda: None,
    ) -> None:
        """Remember the place; nothing is read or written yet. Where several processes train parts
        of the trials, each ``part`` has a file of its own. ``is_wanted`` says which trials are
        still to be run."""
        self._all, self.path = path, path.with_stem(f"{path.stem}-{part}") if part else path
        self._is_wanted, self._before_save = is_wanted, before_save

    def load(self) -> dict[Ticket, Arrays]:
        """The trials of the last save, in whatever parts; none before the first. A damaged file
        counts as none, and a warning says so."""
        loaded: dict[Ticket, Arrays] = {}
        for path in sorted(self._all.parent.glob(f"{self._all.stem}*.npz")):
            try:
                arrays = read_arrays(path, _BEGIN_ANEW, [_TICKETS])
                tickets = _tickets_in(path, arrays)
            except InputError as damage:
                warnings.warn(str(damage), Note, stacklevel=2)
                continue
            del arrays[_TICKETS]
            for k, ticket in enumerate(tickets):
                if self._is_wanted(ticket):
                    loaded[ticket] = {name: array[k] for name, array in arrays.items()}
        return loaded

    def save(self, under_way: Mapping[Ticket, Arrays]) -> None:
        """Replace the trials as a whole; the rows of those that have ended are written before."""
        self._before_save()
        rows = [one.as_row() | {"trial": trial} for one, trial in under_way]
        first, *_ = under_way.values()
        arrays = {name: np.stack([one[name] for one in under_way.values()]) for name in first}
        write_arrays(self.path, {_TICKETS: np.array(json.dumps(rows)), **arrays})

    def sweep(self) -> None:
        """Delete the file if it holds no trial that is still to be run."""
        if self.path.exists() and not any(map(self._is_wanted, tickets_of(self.path))):
            self.path.unlink()


def tickets_of(path: Path) -> list[Ticket]:
    """The tickets of the trials in a checkpoint's file; InputError if it is damaged."""
    return _tickets_in(path, read_arrays(path, _BEGIN_ANEW, [_TICKETS], rest=False))


def _tickets_in(path: Path, arrays: Arrays) -> list[Ticket]:
    try:
        rows = json.loads(str(arrays[_TICKETS]))
        return [Ticket(Experiment.from_row(row), int(row["trial"])) for row in rows]
    except (InputError, KeyError, TypeError, ValueError, RecursionError):
        raise corrupt(path, _BEGIN_ANEW) from None


# Weights

PARAMS = "params"
"""What the names of the weights' arrays begin with; a tree path follows."""

_EXPERIMENT, _TRIALS = "experiment", "trials"  # the other arrays
_LOST = "the weights in it are lost, move it away"


class Weights(NamedTuple):
    """What a file holds of N trials, in the order of their rows."""

    experiment: Experiment  # of N trials: alone(k) is what the k-th was trained under
    trials: tuple[int, ...]  # the number of each, which its row has
    arrays: dict[str, np.ndarray]  # [N, ...] by tree path

    def tickets(self) -> list[Ticket]:
        """The trials as a run directory knows them."""
        return list(map(Ticket, self.experiment.each_alone(), self.trials))


def weights_path(directory: Path, experiment: Experiment) -> Path:
    """The weights file of this experiment; trials that differ only in per-trial settings share
    it."""
    usual = {one.name: one.default for one in dataclasses.fields(Experiment)}
    shared: dict[str, Any] = {name: usual[name] for name in PER_TRIAL}
    one = dataclasses.replace(experiment.canonical(), trials=1, note={}, **shared)
    return directory / name_of("weights", one)


def read_weights(path: Path, arrays: bool = True) -> Weights:
    """Read a file, without its ``arrays`` if these are not wanted; InputError if it is damaged."""
    params = read_arrays(path, _LOST, [_EXPERIMENT, _TRIALS], rest=arrays)
    trials = tuple(params.pop(_TRIALS).tolist())
    try:
        settings = json.loads(str(params.pop(_EXPERIMENT)))
        experiment = Experiment.from_settings({"note": {}} | settings)
    except InputError as error:
        raise corrupt(path, _LOST, f"{_EXPERIMENT} breaks a rule, {error}") from None
    except (TypeError, ValueError, RecursionError):
        fault = f"{_EXPERIMENT} is not an experiment's settings as JSON"
        raise corrupt(path, _LOST, fault) from None
    return Weights(experiment, trials, params)


def weights_held(directory: Path, experiment: Experiment) -> dict[Ticket, dict[str, np.ndarray]]:
    """The weights, by trial, in the file that a directory has for this experiment's trials."""
    path = weights_path(directory, experiment)
    if not path.exists():
        return {}
    held = read_weights(path)
    if weights_path(directory, held.experiment) != path:
        raise InputError(f"{path} holds the weights of another net: move it away")
    return {
        trial: {name: array[k] for name, array in held.arrays.items()}
        for k, trial in enumerate(held.tickets())
    }


def write_weights(path: Path, of_trials: Mapping[Ticket, Mapping[str, np.ndarray]]) -> None:
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
    arrays[_EXPERIMENT] = np.array(json.dumps(dataclasses.asdict(experiment)))
    arrays[_TRIALS] = np.array([trial for _, trial in of_trials])
    write_arrays(path, arrays)


def _plain(array: np.ndarray) -> np.ndarray:
    return array.view(f"V{array.dtype.itemsize}") if array.dtype.kind == "V" else array
