"""The checkpoint of an experiment in flight: one .npz file."""

import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.results.files import arrays_in, write_whole
from jaxrnn.results.rows import experiment_from

_OWNER, _RUNNING = "experiment", "running"

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
        arrays = _arrays(self.path)
        if _owner_in(self.path, arrays) != self.owner:
            raise InputError(
                f"{self.path} belongs to other settings or trials: delete it or use another --out"
            )
        del arrays[_OWNER]
        return arrays

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the arrays as a whole."""
        experiment, trials = self.owner
        owner = json.dumps(dataclasses.asdict(experiment) | {_RUNNING: trials})
        buffer = io.BytesIO()
        np.savez(buffer, **{_OWNER: np.array(owner)}, **arrays)  # type: ignore[arg-type]
        write_whole(self.path, buffer.getvalue())

    def delete(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)


def owner_of(path: Path) -> Owner:
    """What the checkpoint in a file belongs to; InputError if it is none."""
    return _owner_in(path, _arrays(path, [_OWNER]))


def _arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, by default all."""
    with arrays_in(path, _corrupt(path)) as file:
        return {name: file[name] for name in names or file.files}


def _owner_in(path: Path, arrays: Mapping[str, np.ndarray]) -> Owner:
    try:
        settings = json.loads(str(arrays[_OWNER]))
        experiment = experiment_from(settings).canonical()
        return experiment, tuple(settings.get(_RUNNING, range(experiment.trials)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _corrupt(path) from None


def _corrupt(path: Path) -> InputError:
    return InputError(f"{path} is corrupt: delete it to begin this length anew")
