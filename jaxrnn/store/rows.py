"""A row: one trial's outcome with every setting it ran under."""

import dataclasses
import gc
import json
import lzma
import marshal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import orjson  # reads a row in a quarter of the time that json takes

from jaxrnn.errors import InputError, Note, shown, whole_number
from jaxrnn.experiment import OPTIONS, Experiment, flag_name
from jaxrnn.outcome import ENDINGS, SIZE_AT_LENGTHS, Outcome, curve_edges
from jaxrnn.problems import LEFT_TO_TASK
from jaxrnn.store.files import path_of

ROWS = "trials.jsonl"
PACKED = "trials.jsonl.xz"
"""The same file packed by xz, read if the other is not there: about an eightieth of the size."""

BESIDE = "beside"
"""The directory, inside a run's, with rows of other runs; the report shows them before its own."""

_SETTINGS = tuple(field.name for field in dataclasses.fields(Experiment))
_OF_A_TRIAL = tuple(name for name in _SETTINGS if name != "trials")
_OF_ROWS = tuple({"name": "experiment"}.get(name, name) for name in _OF_A_TRIAL)
_in_order = itemgetter(*_OF_ROWS)
_RESULTS = tuple(field.name for field in dataclasses.fields(Outcome) if field.name != "params")
_FIELDS = dict.fromkeys((*_OF_ROWS, *_RESULTS))

EXPERIMENT = "experiment"
"""The array, in files of arrays, that has the settings of the experiment that they belong to."""


def make_settings(experiment: Experiment) -> dict[str, Any]:
    """An experiment's settings, its options as dicts; one value for all trials or one each."""
    settings = {name: getattr(experiment, name) for name in _SETTINGS}
    for name in OPTIONS:
        settings[name] = {option: _as_json(value) for option, value in settings[name]}
    return settings | {"test_lengths": list(experiment.test_lengths)}


def _as_json(value: Any) -> Any:
    """An option's value as it is read back."""
    return [*map(_as_json, value)] if isinstance(value, tuple) else value


Values = dict[str, Any]
"""What a line of the file says of a trial."""


Trial = tuple[Experiment, int]
"""A trial is known by its experiment alone and its number."""


@dataclass(frozen=True, slots=True)
class Row:
    """A trial of an experiment, and how it ended."""

    experiment: Experiment  # of this trial alone
    outcome: Outcome  # without the parameters

    @property
    def net(self) -> tuple[str, str]:
        """The experiment's name and the cell."""
        return self.experiment.name, self.experiment.cell

    @property
    def net_at_length(self) -> tuple[str, str, int]:
        """What tells the groups of a table apart."""
        return *self.net, self.experiment.length

    @property
    def trial(self) -> Trial:
        """What tells it from every other row: its settings, and which of their trials it is."""
        return self.experiment, self.outcome.trial

    @property
    def solved(self) -> bool:
        """Whether the trial was solved."""
        return self.outcome.solved_at is not None

    def __getitem__(self, name: str) -> Any:
        """As its line has it."""
        return self.values()[name]

    def values(self) -> Values:
        """Its outcome with every setting that it ran under, ready for JSON."""
        settings = make_settings(self.experiment)
        del settings["trials"]
        results = {name: getattr(self.outcome, name) for name in _RESULTS}
        curve, wrong = results.pop("curve"), results["wrong_at_lengths"]
        results["wrong_at_lengths"] = None if wrong is None else list(wrong)
        first = {"experiment": settings.pop("name")}
        first |= {name: settings.pop(name) for name in ("cell", "length")}
        first |= {"trial": results.pop("trial"), "seed": settings.pop("seed")}
        return first | results | settings | {"curve": list(curve)}


def make_row(experiment: Experiment, outcome: Outcome) -> Row:
    """The row of one of an experiment's trials."""
    return Row(experiment.alone(outcome.trial), replace(outcome, params=None))


def row_from(values: Any) -> Row:
    """The row that a line describes. Raises InputError that begins with the field that is missing
    or breaks its rule."""
    if not isinstance(values, dict):
        raise InputError("it is not a JSON object")
    experiment = _check(values)
    given = {name: values[name] for name in _RESULTS}
    given["curve"] = tuple(given["curve"])
    if (wrong := given["wrong_at_lengths"]) is not None:
        given["wrong_at_lengths"] = tuple(wrong)
    return Row(experiment, Outcome(**given))


def experiment_from(settings: Mapping[str, Any]) -> Experiment:
    """The experiment with these settings, which were read back. Raises InputError as Experiment
    does, for a setting that is missing, and for one that was left to the task."""
    for name in _SETTINGS:
        if name not in settings:
            raise InputError(f"{flag_name(name)} is missing")
    for name in LEFT_TO_TASK:
        if settings[name] is None:
            raise InputError(f"{flag_name(name)} must not be null")
    return Experiment(**{name: settings[name] for name in _SETTINGS})


def experiment_in(arrays: Mapping[str, np.ndarray]) -> tuple[Experiment, dict[str, Any]]:
    """The experiment that a file of arrays belongs to, and all that stands with its settings.

    Raises InputError that begins with the name of the array.
    """
    try:
        settings = json.loads(str(arrays[EXPERIMENT]))
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise InputError(f"{EXPERIMENT} is not an experiment's settings as JSON")
    try:
        return experiment_from(settings), settings
    except InputError as error:
        raise InputError(f"{EXPERIMENT} breaks a rule, {error}") from None


def experiment_of(row: Mapping[str, Any]) -> Experiment:
    """The experiment of a row's trial alone; raises InputError for a value against its rule."""
    try:
        # As bytes, in which 1 and true differ, so that the same settings are checked only once.
        return _experiment_of(marshal.dumps(_in_order(row), 2))
    except ValueError as error:
        raise InputError(f"it holds a value that JSON cannot store: {error}") from None


@lru_cache(maxsize=4096)
def _experiment_of(settings: bytes) -> Experiment:
    given = dict(zip(_OF_A_TRIAL, marshal.loads(settings), strict=True))
    return experiment_from(given | {"trials": 1}).alone(0)


def read_rows(directory: Path | str) -> list[Values]:
    """Read the rows of a run directory, a dict a trial.

    As a data frame: ``pandas.DataFrame(jaxrnn.read_rows(directory))``, or
    ``polars.DataFrame(jaxrnn.read_rows(directory), infer_schema_length=None)``, since polars
    otherwise assumes that a field which is empty in the first rows is always empty. Tried with
    pandas 3.1.1 and polars 2.1.0.

    Raises InputError if there is no file of rows. Raises it, too, for the first line that is not a
    row of a trial, with the file, the line and the field that breaks its rule, and for the second
    of two lines of the same trial.
    """
    return [row.values() for row in typed_rows(directory)]


def typed_rows(directory: Path | str) -> list[Row]:
    """:func:`read_rows`, typed."""
    path = path_of(directory)
    if not any((path / name).exists() for name in (ROWS, PACKED)):
        raise InputError(f"{path} holds no {ROWS}: name a run directory")
    return [row for row, _ in read_lines(path).values()]


def rows_beside(directory: Path, own: Sequence[Row]) -> list[Row]:
    """The rows of other runs that a run directory's report shows before its ``own``. They are only
    of nets that ``own`` lacks; the list may be empty."""
    run = {row.net for row in own}
    beside = (row for row, _ in read_lines(directory / BESIDE).values())
    return [row for row in beside if row.net not in run]


def read_lines(directory: Path) -> dict[Trial, tuple[Row, str]]:
    """As :func:`read_rows`, by trial, each row with the text of its line.

    If the last line has no end and is not JSON, a kill has cut it off. It then does not count as a
    row, and a warning says so.
    """
    path = directory / ROWS
    if path.exists():
        data = path.read_bytes()
    elif (path := directory / PACKED).exists():
        try:
            data = lzma.decompress(path.read_bytes())
        except lzma.LZMAError as error:
            raise InputError(f"{path} is damaged: {error}") from None
    else:
        return {}
    with _no_garbage():
        return _read(path, data.split(b"\n"))


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Within it Python looks for no garbage: all that is read stays, and to look takes a tenth of
    the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(path: Path, lines: Sequence[bytes]) -> dict[Trial, tuple[Row, str]]:
    """The rows of the lines of a file."""
    read: dict[Trial, tuple[Row, str]] = {}
    for number, line in enumerate(lines[:-1] if lines[-1] == b"" else lines, 1):
        try:
            text = line.decode()
            row = row_from(_parsed(line))
        except (ValueError, RecursionError) as error:
            where, why = f"{path} line {number}", str(error)
            if isinstance(error, UnicodeDecodeError):
                why = "it is not UTF-8"
            elif not isinstance(error, InputError):
                reason = getattr(error, "msg", "a number or a nesting without end")
                why = f"it is not JSON ({reason})"
                if number == len(lines):  # and so without an end
                    told = f"{where} has no end, as after a kill: this trial counts as not run"
                    warnings.warn(told, Note, stacklevel=3)
                    break
            raise InputError(f"{where} is not a row of a trial: {why}") from None
        if read.setdefault(row.trial, (row, text))[0] is not row:
            one, before = row.experiment, list(read).index(row.trial) + 1
            again = f"trial {row.outcome.trial} of {one.cell} at length {one.length} again"
            raise InputError(
                f"{path} line {number} is {again}, which stands in line {before}: delete one of "
                "them"
            )
    return read


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)  # which knows NaN and 1e400, so that their field can be named


def _check(row: Values) -> Experiment:
    """Hold a row against the rules of experiments and outcomes; its experiment."""
    if not _FIELDS.keys() <= row.keys():
        raise InputError(f"its {next(name for name in _FIELDS if name not in row)!r} is missing")
    if row["status"] not in ENDINGS:
        *first, last = ENDINGS
        choices = f"{', '.join(first)} or {last}"
        raise InputError(f"its status {shown(row['status'])} is not {choices}")
    for name in ("solved_at", "correct_at"):
        _whole(row, name, none=True)
    for name in ("trial", "last_above", "steps"):
        _whole(row, name)
    experiment = experiment_of(row)
    steps, solved_at = row["steps"], row["solved_at"]
    if (row["status"] == "solved") != (solved_at is not None):
        raise InputError("its status and solved_at contradict each other")
    if not 1 <= steps <= experiment.max_steps:
        raise InputError(f"its steps {shown(steps)} are not from 1 to its max_steps")
    for name in ("solved_at", "correct_at", "last_above"):
        if (step := row[name]) is not None and step >= steps:
            raise InputError(f"its {name} {shown(step)} must be below its steps {steps}")
    _check_numbers(row, experiment)
    return experiment


def _check_numbers(row: Values, experiment: Experiment) -> None:
    """Hold a row's errors, and what the final test counted, against their rules."""
    wrong, curve = row["final_wrong"], row["curve"]
    _whole(row, "final_wrong", none=True)
    if wrong is not None and wrong > experiment.final_test:
        raise InputError(f"its final_wrong {shown(wrong)} is above its final_test")
    if wrong is None and experiment.final_test and row["status"] == "solved":
        raise InputError("its final_wrong is missing, though it had a final_test")
    _check_lengths(row["wrong_at_lengths"], row["status"], experiment)
    if not isinstance(curve, list) or len(curve) > len(curve_edges(experiment.max_steps)):
        raise InputError("its curve is not a list of the errors in bins of its max_steps")
    final = row["final_error"]
    if final is None and _are_errors(curve):
        return
    for name, errors in (("curve", curve), ("final_error", [] if final is None else [final])):
        for error in errors:
            # 1e308, since an int may be greater than every float.
            if type(error) not in (float, int) or not 0 <= error <= 1e308:
                raise InputError(f"its {name} {shown(error)} must be an error, a number from 0 on")


def _are_errors(numbers: Sequence[Any]) -> bool:
    """Whether they are surely errors, without a look at each in Python."""
    if {*map(type, numbers)} != {float}:
        return False
    return min(numbers) >= 0 and sum(numbers) <= 1e308


def _check_lengths(wrong: Any, status: str, experiment: Experiment) -> None:
    """Hold what the tests at other lengths counted against its rule."""
    lengths = experiment.test_lengths
    if wrong is None and (not lengths or status != "solved"):
        return
    if not isinstance(wrong, list) or len(wrong) != len(lengths):
        raise InputError("its wrong_at_lengths is not a list of a number for each of test_lengths")
    for one in wrong:
        if whole_number("its wrong_at_lengths", one, 0) > SIZE_AT_LENGTHS:
            raise InputError(f"its wrong_at_lengths {shown(one)} is above {SIZE_AT_LENGTHS}")


def _whole(row: Values, name: str, none: bool = False) -> None:
    """Raise where it is not a whole number from 0 on, or None where there may be none."""
    value = row[name]
    if not (none and value is None) and not (type(value) is int and value >= 0):
        whole_number(f"its {name}", value, 0)
