"""The run directory: rows, settings and the checkpoint of what is in flight."""

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import OPTIONS, PER_TRIAL, Experiment, flag_name
from jaxrnn.machine import device, versions
from jaxrnn.results.files import write_whole
from jaxrnn.results.rows import ROWS, Row, read_rows

CONFIG, LOCK = "config.json", ".lock"


def read_config(directory: Path) -> dict[str, Any] | None:
    """Read a run directory's settings, versions and device; None where it has none yet."""
    path = directory / CONFIG
    if not path.exists():
        return None
    try:
        config = json.loads(path.read_text("utf-8"))
        if not isinstance(config["settings"], dict):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is not a run's configuration: move it away") from None
    return config


class RunDirectory:
    """A run directory held by this process alone; use it in a ``with`` block.

    Entering makes the directory, takes its lock and writes ``config.json``, or, where there is one
    already, insists on the same settings. Raises InputError if the directory cannot be written, is
    in use, belongs to other settings, or holds something corrupt; nothing is overwritten then.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Remember where to write and what for."""
        from filelock import FileLock  # which the help does not need

        self.path = path
        self.settings = json.loads(json.dumps(settings))  # as it will be read back
        self.rows: list[Row] = []
        self._lock = FileLock(path / LOCK)

    def __enter__(self) -> "RunDirectory":
        """Take the directory."""
        from filelock import Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"{self.path} is in use by another sweep: wait, or use another --out"
            ) from None
        except OSError as error:
            raise InputError(f"cannot write to {self.path}: {error.strerror or error}") from None
        try:
            self._check_settings()
            self.rows = read_rows(self.path)
            self._write_config()
        except OSError as error:
            self._lock.release()
            raise InputError(f"cannot write to {self.path}: {error.strerror or error}") from None
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Give the directory back."""
        self._lock.release()

    def _check_settings(self) -> None:
        config = read_config(self.path)
        if config is None:
            if (self.path / ROWS).exists():
                raise InputError(f"{self.path} holds {ROWS} but no {CONFIG}: use another --out")
            return
        for name in sorted(self.settings.keys() | config["settings"].keys()):
            old, new = config["settings"].get(name), self.settings.get(name)
            if old != new:
                raise InputError(
                    f"{self.path} was begun with {flag_name(name)} {spelled(old)}, "
                    f"not {spelled(new)}: use another --out or the same settings"
                )

    def _write_config(self) -> None:
        if not (self.path / CONFIG).exists():
            config = {"settings": self.settings, "versions": versions(), "device": device()}
            write_whole(self.path / CONFIG, json.dumps(config, indent=2).encode() + b"\n")

    def rows_of(self, experiment: Experiment) -> list[Row]:
        """The rows of an experiment, one a trial, none while it is unfinished."""
        wanted = (experiment.name, experiment.cell, experiment.length)
        rows = [r for r in self.rows if (r["experiment"], r["cell"], r["length"]) == wanted]
        if rows and sorted(row["trial"] for row in rows) != list(range(experiment.trials)):
            raise InputError(
                f"{self.path / ROWS} does not hold each of the {experiment.trials} trials of "
                f"{experiment.cell} at length {experiment.length} once: delete its lines of that "
                "length to run them anew"
            )
        return rows

    def add(self, rows: Sequence[Row], experiments: Sequence[Experiment] = ()) -> None:
        """Add an experiment's rows to ``trials.jsonl``, all or none.

        All rows are put in the order of ``experiments``, which may end in another.
        """
        places = {(e.name, e.cell, e.length): place for place, e in enumerate(experiments)}
        self.rows += rows
        self.rows.sort(key=lambda r: places.get((r["experiment"], r["cell"], r["length"]), -1))
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_whole(self.path / ROWS, text.encode())

    def checkpoint(self, experiment: Experiment) -> "CheckpointFile":
        """The place for the checkpoint of an unfinished experiment."""
        name = f"checkpoint-{experiment.name}-{experiment.cell}-{experiment.length}.npz"
        return CheckpointFile(self.path / name, experiment)


class CheckpointFile:
    """A runner's arrays in one .npz file, with the experiment they belong to."""

    def __init__(self, path: Path, experiment: Experiment) -> None:
        """Remember the place; nothing is read or written yet."""
        self.path = path
        self._owner = json.dumps(dataclasses.asdict(experiment))

    def load(self) -> dict[str, np.ndarray] | None:
        """The arrays of the last save, None before the first."""
        if not self.path.exists():
            return None
        try:
            with np.load(self.path) as file:
                arrays = {name: file[name] for name in file.files}
            owner = str(arrays.pop("experiment"))
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
            raise InputError(
                f"{self.path} is corrupt: delete it to begin this length anew"
            ) from None
        if owner != self._owner:
            raise InputError(
                f"{self.path} belongs to other settings: delete it or use another --out"
            )
        return arrays

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the arrays as a whole."""
        buffer = io.BytesIO()
        np.savez(buffer, experiment=np.array(self._owner), **arrays)  # type: ignore[arg-type]
        write_whole(self.path, buffer.getvalue())

    def delete(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)


def spelled(value: Any) -> str:
    """A setting's value as the command line takes it."""
    if isinstance(value, dict):
        return " ".join(f"{name} {spelled(v)}" for name, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return " ".join(spelled(v) for v in value)
    return "none" if value is None else str(value)


def settings_in_words(experiments: Sequence[Experiment]) -> dict[str, Any]:
    """Every setting of the experiments, a list where they differ: what config.json keeps."""
    config: dict[str, Any] = {}
    for field in dataclasses.fields(Experiment):
        values = dict.fromkeys(
            value
            for experiment in experiments
            for value in (
                experiment.per_trial(field.name)
                if field.name in PER_TRIAL
                else (getattr(experiment, field.name),)
            )
        )
        plural = {"name": "experiment", "cell": "cells", "length": "lengths"}
        always_list = field.name in plural
        config[plural.get(field.name, field.name)] = (
            list(values) if always_list or len(values) > 1 else next(iter(values))
        )
    for name in OPTIONS:
        options = config[name]
        several = isinstance(options, list)
        config[name] = [dict(one) for one in options] if several else dict(options)
    return config
