"""A row: one trial's outcome with every setting it ran under."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from jaxrnn.errors import InputError
from jaxrnn.experiment import OPTIONS, PER_TRIAL, Experiment
from jaxrnn.outcome import ENDINGS, Outcome

ROWS = "trials.jsonl"

Row = dict[str, Any]

# What a row says besides the experiment's settings, with the types it may have.
RESULT_FIELDS: dict[str, tuple[type, ...]] = {
    "experiment": (str,),
    "cell": (str,),
    "length": (int,),
    "trial": (int,),
    "seed": (int,),
    "status": (str,),
    "solved_at": (int, type(None)),
    "last_above": (int,),
    "steps": (int,),
    "curve": (list,),
}


def make_settings(experiment: Experiment) -> dict[str, Any]:
    """An experiment's settings, its options as dicts; one value for all trials or one each."""
    settings = dataclasses.asdict(experiment)
    for name in OPTIONS:
        settings[name] = dict(settings[name])
    return settings


def make_row(experiment: Experiment, outcome: Outcome) -> Row:
    """One trial's outcome with every setting it ran under, ready for JSON."""
    settings = make_settings(experiment)
    del settings["trials"]
    for name in PER_TRIAL:
        settings[name] = experiment.per_trial(name)[outcome.trial]
    results = dataclasses.asdict(outcome)
    curve = results.pop("curve")
    first = {"experiment": settings.pop("name")}
    first |= {name: settings.pop(name) for name in ("cell", "length")}
    first |= {"trial": results.pop("trial"), "seed": settings.pop("seed")}
    return first | results | settings | {"curve": list(curve)}


def read_rows(directory: Path) -> list[Row]:
    """Read the rows of a run directory; InputError names the first line that is not a row."""
    path = directory / ROWS
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        try:
            row = json.loads(line)
            fault = None if isinstance(row, dict) else "it is not a JSON object"
        except json.JSONDecodeError as error:
            row, fault = {}, f"it is not JSON ({error.msg})"
        for name, types in RESULT_FIELDS.items():
            if fault is None and not (name in row and isinstance(row[name], types)):
                fault = f"its {name!r} is missing or of the wrong type"
        if fault is None and row["status"] not in ENDINGS:
            *first, last = ENDINGS
            fault = f"its status {row['status']!r} is not {', '.join(first)} or {last}"
        if fault is None and (row["status"] == "solved") != (row["solved_at"] is not None):
            fault = "its status and solved_at contradict each other"
        if fault is not None:
            raise InputError(f"{path} line {number} is not a row of a trial: {fault}")
        rows.append(row)
    return rows
