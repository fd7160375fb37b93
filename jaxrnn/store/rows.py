"""A row: one trial's outcome with every setting it ran under."""

import copy
import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from jaxrnn.errors import InputError, shown, whole_number
from jaxrnn.experiment import OPTIONS, PER_TRIAL, Experiment, flag_name
from jaxrnn.outcome import ENDINGS, SIZE_AT_LENGTHS, Outcome, curve_edges
from jaxrnn.problems import settled

ROWS = "trials.jsonl"
BESIDE = "beside"
"""The directory, within a run's, of rows of other runs that its report lays before its own."""

Row = dict[str, Any]

_SETTINGS = tuple(field.name for field in dataclasses.fields(Experiment))

_NEEDED = (
    *("experiment", "cell", "length", "trial", "seed"),
    *("status", "solved_at", "last_above", "steps", "curve"),
)
"""What a row of every version has."""

EXPERIMENT = "experiment"
"""The array, in files of arrays, that has the settings of the experiment that they belong to."""

_OF_FILES = ("cell", "length", "trials")
"""The settings that such a file of every version has."""


def make_settings(experiment: Experiment) -> dict[str, Any]:
    """An experiment's settings, its options as dicts; one value for all trials or one each."""
    settings = dataclasses.asdict(experiment)
    for name in OPTIONS:
        settings[name] = dict(settings[name])
    return settings | {"test_lengths": list(experiment.test_lengths)}


_DEFAULTS = make_settings(settled(Experiment()))
del _DEFAULTS["name"], _DEFAULTS["trials"]  # which a row calls its experiment, and has not
"""The settings of a row of an older version that does not name them."""


def make_row(experiment: Experiment, outcome: Outcome) -> Row:
    """One trial's outcome with every setting it ran under, ready for JSON."""
    settings = make_settings(experiment)
    del settings["trials"]
    for name in PER_TRIAL:
        if isinstance(settings[name], tuple):
            settings[name] = settings[name][outcome.trial]
    results = {one.name: getattr(outcome, one.name) for one in dataclasses.fields(Outcome)}
    del results["params"]
    curve, wrong = results.pop("curve"), results["wrong_at_lengths"]
    results["wrong_at_lengths"] = None if wrong is None else list(wrong)
    first = {"experiment": settings.pop("name")}
    first |= {name: settings.pop(name) for name in ("cell", "length")}
    first |= {"trial": results.pop("trial"), "seed": settings.pop("seed")}
    return first | results | settings | {"curve": list(curve)}


def outcome_of(row: Row) -> Outcome:
    """The outcome that a row was made of, without the parameters."""
    names = (field.name for field in dataclasses.fields(Outcome))
    given = {name: row[name] for name in names if name in row}
    wrong = given.get("wrong_at_lengths")
    lists = {"curve": tuple(row["curve"]), "wrong_at_lengths": wrong and tuple(wrong)}
    return Outcome(**given | lists)


def experiment_from(settings: Mapping[str, Any]) -> Experiment:
    """The experiment of settings that were read back, those of older versions filled in; raises
    InputError as Experiment does."""
    given = _DEFAULTS | {name: settings[name] for name in _SETTINGS if name in settings}
    for name, default in _DEFAULTS.items():
        if given[name] is None and default is not None:  # which an experiment may leave to its task
            raise InputError(f"{flag_name(name)} must not be null")
    return Experiment(**given)


def experiment_in(arrays: Mapping[str, np.ndarray]) -> tuple[Experiment, dict[str, Any]]:
    """The experiment that a file of arrays belongs to, and all that stands with its settings.

    Raises InputError that begins with the name of the array.
    """
    try:
        settings = json.loads(str(arrays[EXPERIMENT]))
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict) or any(name not in settings for name in _OF_FILES):
        raise InputError(f"{EXPERIMENT} is not an experiment's settings as JSON")
    try:
        return experiment_from(settings), settings
    except InputError as error:
        raise InputError(f"{EXPERIMENT} breaks a rule, {error}") from None


def experiment_of(row: Row) -> Experiment:
    """The experiment of a row's trial alone; raises InputError for a value against its rule."""
    settings = {name: row[name] for name in _SETTINGS if name in row}
    # As text, in which 1 and true differ, so that what was checked once need not be again.
    return _experiment_of(json.dumps(settings | {"name": row["experiment"]}))


@lru_cache(maxsize=4096)
def _experiment_of(settings: str) -> Experiment:
    return experiment_from(json.loads(settings) | {"trials": 1}).alone(0)


def read_rows(directory: Path | str) -> list[Row]:
    """Read the rows of a run directory, a dict a trial.

    As a data frame: ``pandas.DataFrame(jaxrnn.read_rows(directory))``, or
    ``polars.DataFrame(jaxrnn.read_rows(directory), infer_schema_length=None)``, since polars
    otherwise takes a field that is empty in the first rows for one that is always empty. Tried with
    pandas 3.1.1 and polars 2.1.0.

    Raises InputError where there is no file of rows, or that names the file and the first line that
    is not a row of a trial, with the field that breaks its rule, and the second of two lines of the
    same trial.
    """
    if not (Path(directory) / ROWS).exists():
        raise InputError(f"{directory} holds no {ROWS}: name a run directory")
    return [row for row, _ in read_lines(Path(directory))]


def rows_beside(directory: Path, own: Sequence[Row]) -> list[Row]:
    """The rows that a run directory's report lays before its ``own``: of nets that these are not
    of; none where it has none."""
    run = {net_at_length(row) for row in own}
    return [row for row, _ in read_lines(directory / BESIDE) if net_at_length(row) not in run]


def net_at_length(row: Row) -> tuple[str, str, int]:
    """What tells the nets of a table apart: experiment, cell and length."""
    return row["experiment"], row["cell"], row["length"]


def read_lines(directory: Path) -> list[tuple[Row, str]]:
    """As :func:`read_rows`, each row with the text of its line."""
    path = directory / ROWS
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    read: list[tuple[Row, str]] = []
    numbers: dict[tuple[Experiment, int], int] = {}
    for number, line in enumerate(lines[:-1] if lines[-1] == b"" else lines, 1):
        where = f"{path} line {number}"
        try:
            text = line.decode()
            row = _filled(json.loads(text))
            trial = _check(row)
        except UnicodeDecodeError:
            raise InputError(f"{where} is not a row of a trial: it is not UTF-8") from None
        except InputError as error:
            raise InputError(f"{where} is not a row of a trial: {error}") from None
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", "a number or a nesting without end")
            raise InputError(f"{where} is not a row of a trial: it is not JSON ({why})") from None
        if (before := numbers.setdefault(trial, number)) != number:
            raise InputError(
                f"{where} is trial {row['trial']} of {row['cell']} at length {row['length']} "
                f"again, which stands in line {before}: delete one of them"
            )
        read.append((row, text))
    return read


def _filled(row: Any) -> Any:
    """A row with the settings that it does not name; what is no row, or lacks what it needs, as it
    is."""
    if not isinstance(row, dict):
        return row
    missing = {n: v for n, v in _DEFAULTS.items() if n not in row and n not in _NEEDED}
    return row | copy.deepcopy(missing)


def _check(row: Any) -> tuple[Experiment, int]:
    """Hold a row against the rules of experiments and outcomes; the experiment and the trial."""
    if not isinstance(row, dict):
        raise InputError("it is not a JSON object")
    for name in _NEEDED:
        if name not in row:
            raise InputError(f"its {name!r} is missing")
    if row["status"] not in ENDINGS:
        *first, last = ENDINGS
        choices = f"{', '.join(first)} or {last}"
        raise InputError(f"its status {shown(row['status'])} is not {choices}")
    for name in ("solved_at", "correct_at"):
        _whole(row, name, 0, none=True)
    for name in ("trial", "last_above", "steps"):
        _whole(row, name, 0)
    experiment = experiment_of(row)
    steps, solved_at = row["steps"], row["solved_at"]
    if (row["status"] == "solved") != (solved_at is not None):
        raise InputError("its status and solved_at contradict each other")
    if not 1 <= steps <= experiment.max_steps:
        raise InputError(f"its steps {shown(steps)} are not from 1 to its max_steps")
    for name in ("solved_at", "correct_at", "last_above"):
        if (step := row.get(name)) is not None and step >= steps:
            raise InputError(f"its {name} {shown(step)} must be below its steps {steps}")
    _check_numbers(row, experiment)
    return experiment, row["trial"]


def _check_numbers(row: Row, experiment: Experiment) -> None:
    """Hold a row's errors, and what the final test counted, against their rules."""
    wrong, curve = row.get("final_wrong"), row["curve"]
    _whole(row, "final_wrong", 0, none=True)
    if wrong is not None and wrong > experiment.final_test:
        raise InputError(f"its final_wrong {shown(wrong)} is above its final_test")
    if wrong is None and experiment.final_test and row["status"] == "solved":
        raise InputError("its final_wrong is missing, though it had a final_test")
    _check_lengths(row.get("wrong_at_lengths"), row["status"], experiment)
    if not isinstance(curve, list) or len(curve) > len(curve_edges(experiment.max_steps)):
        raise InputError("its curve is not a list of the errors in bins of its max_steps")
    final = row.get("final_error")
    for name, errors in (("curve", curve), ("final_error", [] if final is None else [final])):
        for error in errors:
            # 1e308, since an int may be greater than every float.
            if type(error) not in (int, float) or not 0 <= error <= 1e308:
                raise InputError(f"its {name} {shown(error)} must be an error, a number from 0 on")


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


def _whole(row: Row, name: str, least: int, none: bool = False) -> None:
    if not (none and row.get(name) is None):
        whole_number(f"its {name}", row[name], least)
