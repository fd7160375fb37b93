"""A row: one trial's outcome with every setting it ran under."""

import dataclasses
import json
import lzma
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson  # reads a row in a quarter of the time that json takes

from jaxrnn.errors import InputError, Note, shown, whole_number
from jaxrnn.experiment import OPTIONS, Experiment, Ticket
from jaxrnn.outcome import ENDINGS, SIZE_AT_LENGTHS, Outcome, curve_edges
from jaxrnn.store.files import path_of

if TYPE_CHECKING:
    import pandas as pd

ROWS = "trials.jsonl"
PACKED = "trials.jsonl.xz"
"""The same file packed by xz, read if the other is not there: about a hundredth of the size. In it
an experiment may leave out settings that it shares with the one before it."""

BESIDE = "beside"
"""The directory, inside a run's, with rows of other runs; the report shows them before its own."""

_RESULTS = tuple(field.name for field in dataclasses.fields(Outcome) if field.name != "params")

Values = dict[str, Any]
"""A row's fields by name."""


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
    def ticket(self) -> Ticket:
        """What tells it from every other row: its settings, and which of their trials it is."""
        return Ticket(self.experiment, self.outcome.trial)

    @property
    def solved(self) -> bool:
        """Whether the trial was solved."""
        return self.outcome.solved_at is not None

    def __getitem__(self, name: str) -> Any:
        """As :func:`read_rows` has it."""
        return self.values()[name]

    def values(self) -> Values:
        """Its outcome with every setting that it ran under, ready for JSON."""
        settings, results = self.experiment.as_row(), self.results()
        first = {name: settings.pop(name) for name in ("experiment", "cell", "length")}
        first |= {"trial": results.pop("trial"), "seed": settings.pop("seed")}
        curve = results.pop("curve")
        return first | results | settings | {"curve": curve}

    def results(self) -> Values:
        """Its outcome, ready for JSON."""
        results = {name: getattr(self.outcome, name) for name in _RESULTS}
        wrong = results["wrong_at_lengths"]
        results["wrong_at_lengths"] = None if wrong is None else list(wrong)
        return results | {"curve": list(results["curve"])}


def make_row(experiment: Experiment, outcome: Outcome) -> Row:
    """The row of one of an experiment's trials."""
    return Row(experiment.alone(outcome.trial), replace(outcome, params=None))


def row_from(values: Any) -> Row:
    """The row with these fields. Raises InputError that begins with the field that is missing or
    breaks its rule."""
    if not isinstance(values, dict):
        raise InputError("it is not a JSON object")
    return _row(Experiment.from_row(values), values)


NESTED = (*OPTIONS, "note")
"""Fields with fields of their own."""


class Trials(list[Values]):
    """Rows, a dict a trial, with what pandas and a notebook need to show them."""

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Trials":
        """The rows of a run directory."""
        return cls(row.values() for row in rows)

    def to_frame(self) -> "pd.DataFrame":
        """A line a trial, as a pandas data frame.

        An option has a column of its own: ``task_options.num_symbols``. Learning curves are left
        out, see :meth:`curves_to_frame`. Whole numbers that a trial may lack, such as
        ``solved_at``, are pandas' ``Int64``. Raises InputError if pandas is not installed.
        """
        flat = [*map(_flat, self)]
        types: dict[str, set[type]] = {}
        for row in flat:
            for name, value in row.items():
                types.setdefault(name, set()).add(type(value))
        whole = [name for name, of in types.items() if int in of and of <= {int, type(None)}]
        return _pandas().DataFrame(flat).astype(dict.fromkeys(whole, "Int64"))

    def curves_to_frame(self) -> "pd.DataFrame":
        """A line a bin of a learning curve: ``sequence``, the index of the bin's first training
        sequence, and ``error``, the mean error in the bin; before them ``row``, the number of the
        trial's line in :meth:`to_frame`. Raises as that does."""
        lines = [
            (k, sequence, error)
            for k, row in enumerate(self)
            for sequence, error in zip(
                curve_edges(row["max_steps"]).tolist(), row["curve"], strict=False
            )
        ]
        return _pandas().DataFrame(lines, columns=["row", "sequence", "error"])

    def _repr_html_(self) -> str | None:
        """A notebook's table, of what differs between the trials; None without pandas."""
        try:
            made = self.to_frame()
        except InputError:
            return None
        return str(made.loc[:, made.nunique(dropna=False) > 1].to_html(max_rows=60))


def _flat(row: Values) -> Values:
    flat: Values = {}
    for name, value in row.items():
        if name in NESTED:
            flat |= {f"{name}.{option}": one for option, one in value.items()}
        elif name != "curve":
            flat[name] = tuple(value) if isinstance(value, list) else value
    return flat


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise InputError("a data frame needs pandas: pip install 'jaxrnn[frames]'") from None
    return pd


def read_rows(directory: Path | str) -> Trials:
    """Read the rows of a run directory, a dict a trial.

    As a data frame: ``jaxrnn.read_rows(directory).to_frame()``, which needs pandas, or
    ``polars.DataFrame(jaxrnn.read_rows(directory), infer_schema_length=None)``, since polars
    otherwise assumes that a field which is empty in the first rows is always empty. Tried with
    pandas 3.1.1 and polars 2.1.0.

    In the file the settings of an experiment are a line, and its trials follow, a line each.

    Raises InputError if there is no file of rows. Raises it, too, for the first line that is
    neither, with the file, the line and the field that breaks its rule, and for the second of two
    lines of the same trial.
    """
    return Trials.of(typed_rows(directory))


def typed_rows(directory: Path | str) -> list[Row]:
    """:func:`read_rows`, typed."""
    path = path_of(directory)
    if not any((path / name).exists() for name in (ROWS, PACKED)):
        raise InputError(f"{path} holds no {ROWS}: name a run directory")
    return list(read_trials(path).values())


def rows_beside(directory: Path, own: Sequence[Row]) -> list[Row]:
    """The rows of other runs that a run directory's report shows before its ``own``. They are only
    of nets that ``own`` lacks; the list may be empty."""
    run = {row.net for row in own}
    return [row for row in read_trials(directory / BESIDE).values() if row.net not in run]


def lines_of(rows: Iterable[Row], after: Experiment | None = None, in_full: bool = True) -> bytes:
    """The lines of a file for these rows: the settings of an experiment once, unless they stand
    last in the file, as those of ``after`` do; then its trials. If not ``in_full``, settings that
    an experiment shares with the one before it are left out, which only a packed file may do."""
    lines: list[str] = []
    before: Values = {}
    for row in rows:
        one = row.experiment
        if after is None or one != after or one.note != after.note:
            settings = one.as_row()
            new = (name for name in settings if in_full or settings[name] != before.get(name, ...))
            lines.append(json.dumps({name: settings[name] for name in new}))
            before = settings
        after = one
        lines.append(json.dumps(row.results()))
    return "".join(f"{line}\n" for line in lines).encode()


def read_trials(directory: Path) -> dict[Ticket, Row]:
    """As :func:`read_rows`, by trial; empty where there is no file.

    If the last line has no end and is not JSON, a kill has cut it off. It then does not count, and
    a warning says so.
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
    return _read(path, data.split(b"\n"))


def _read(path: Path, lines: Sequence[bytes]) -> dict[Ticket, Row]:
    """The rows of the lines of a file."""
    before: Values = {}
    read: dict[Ticket, Row] = {}
    line_of: dict[Ticket, int] = {}
    experiment: Experiment | None = None
    for number, line in enumerate(lines[:-1] if lines[-1] == b"" else lines, 1):
        where, kind = f"{path} line {number}", "a row of a trial"
        try:
            line.decode()
            try:
                values = orjson.loads(line)
            except orjson.JSONDecodeError:
                values = json.loads(line)  # knows NaN and 1e400, so that their field can be named
            if not isinstance(values, dict):
                raise InputError("it is not a JSON object")
            if "status" not in values:
                kind = "an experiment's settings"
                before = before | values if path.name == PACKED else values
                experiment = Experiment.from_row(before)
                continue
            if experiment is None:
                raise InputError("no settings stand before it")
            row = _row(experiment, values)
        except (ValueError, RecursionError) as error:
            why = str(error)
            if isinstance(error, UnicodeDecodeError):
                why = "it is not UTF-8"
            elif not isinstance(error, InputError):
                reason = getattr(error, "msg", "a number or a nesting without end")
                why = f"it is not JSON ({reason})"
                if number == len(lines):  # and so without an end
                    told = f"{where} has no end, as after a kill: this trial counts as not run"
                    warnings.warn(told, Note, stacklevel=3)
                    break
            raise InputError(f"{where} is not {kind}: {why}") from None
        if read.setdefault(row.ticket, row) is not row:
            one = row.experiment
            raise InputError(
                f"{where} is trial {row.outcome.trial} of {one.cell} at length {one.length} again, "
                f"which stands in line {line_of[row.ticket]}: delete one of them"
            )
        line_of[row.ticket] = number
    return read


def _row(experiment: Experiment, values: Values) -> Row:
    """An experiment's row with these results, which are held against the rules of outcomes."""
    for name in _RESULTS:
        if name not in values:
            raise InputError(f"its {name!r} is missing")
    status, steps, solved_at = values["status"], values["steps"], values["solved_at"]
    if status not in ENDINGS:
        *first, last = ENDINGS
        choices = f"{', '.join(first)} or {last}"
        raise InputError(f"its status {shown(status)} is not {choices}")
    for name in ("solved_at", "correct_at"):
        _whole(values, name, none=True)
    for name in ("trial", "last_above", "steps"):
        _whole(values, name)
    if (status == "solved") != (solved_at is not None):
        raise InputError("its status and solved_at contradict each other")
    if not 1 <= steps <= experiment.max_steps:
        raise InputError(f"its steps {shown(steps)} are not from 1 to its max_steps")
    for name in ("solved_at", "correct_at", "last_above"):
        if (step := values[name]) is not None and step >= steps:
            raise InputError(f"its {name} {shown(step)} must be below its steps {steps}")
    _whole(values, "final_wrong", none=True)
    if (wrong := values["final_wrong"]) is not None and wrong > experiment.final_test:
        raise InputError(f"its final_wrong {shown(wrong)} is above its final_test")
    if wrong is None and experiment.final_test and status == "solved":
        raise InputError("its final_wrong is missing, though it had a final_test")
    counts, lengths = values["wrong_at_lengths"], experiment.test_lengths
    if counts is not None or (lengths and status == "solved"):
        if not isinstance(counts, list) or len(counts) != len(lengths):
            raise InputError(
                "its wrong_at_lengths is not a list of a number for each of test_lengths"
            )
        for one in counts:
            if whole_number("its wrong_at_lengths", one, 0) > SIZE_AT_LENGTHS:
                raise InputError(f"its wrong_at_lengths {shown(one)} is above {SIZE_AT_LENGTHS}")
    curve, final = values["curve"], values["final_error"]
    if not isinstance(curve, list) or len(curve) > len(curve_edges(experiment.max_steps)):
        raise InputError("its curve is not a list of the errors in bins of its max_steps")
    # Most curves are seen to be errors without a look at each of their numbers in Python.
    are_errors = {*map(type, curve)} == {float} and min(curve) >= 0 and sum(curve) <= 1e308
    ends = [] if final is None else [final]
    for name, errors in (("curve", [] if are_errors else curve), ("final_error", ends)):
        for error in errors:
            # 1e308, since an int may be greater than every float.
            if type(error) not in (float, int) or not 0 <= error <= 1e308:
                raise InputError(f"its {name} {shown(error)} must be an error, a number from 0 on")
    tuples = {"curve": tuple(curve), "wrong_at_lengths": None if counts is None else tuple(counts)}
    return Row(experiment, Outcome(**{name: values[name] for name in _RESULTS} | tuples))


def _whole(row: Values, name: str, none: bool = False) -> None:
    """Raise where it is not a whole number from 0 on, or None where there may be none."""
    value = row[name]
    if not (none and value is None) and not (type(value) is int and value >= 0):
        whole_number(f"its {name}", value, 0)
