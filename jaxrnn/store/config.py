"""What config.json says: a run's settings in words, the versions and the device."""

import itertools
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxrnn.errors import InputError, Note
from jaxrnn.experiment import OPTIONS, SETTINGS, Experiment
from jaxrnn.machine import processor_of

CONFIG = "config.json"

SOURCES = "sources"
"""The entry that identifies users' own code, see :func:`jaxrnn.names.digests`."""

PLURAL = {"name": "experiment", "cell": "cells", "length": "lengths"}
"""The settings that are always lists there, even with one value, and their names there."""

LENGTHS = "test_lengths"
"""A setting that has several values, or none; there it is the list of all of them."""


def read_config(directory: Path) -> dict[str, Any] | None:
    """Read a run directory's settings, versions and device; None where it has none yet."""
    path = directory / CONFIG
    if not path.exists():
        return None
    try:
        config = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "a number or a nesting without end")
        raise InputError(
            f"{path} is not a run's configuration: it is not JSON ({reason})"
        ) from None
    fault = _fault(config, {"settings": dict} | _MADE_WITH)
    for one in [] if fault else config.get("resumed", []):  # what else it went on with
        fault = fault or _fault(one, _MADE_WITH)
    if not fault and not _is_text(config.get(SOURCES, {})):
        fault = f"its {SOURCES!r} are not all text"
    if fault:
        raise InputError(f"{path} is not a run's configuration: {fault}; move it away")
    return config


def gone_on(
    directory: Path, config: dict[str, Any], versions: Mapping[str, str], device: str
) -> dict[str, Any]:
    """The configuration of a directory whose next rows are made with these versions on this device.

    If they differ from those that it was begun with in more than the number of devices, both are
    kept and a warning says so.
    """

    def made(one: Mapping[str, Any]) -> dict[str, str]:
        return one["versions"] | {"processor": processor_of(one["device"])}

    now = {"versions": versions, "device": device}
    resumed = config.get("resumed", [])
    begun, made_now = made(config), made(now)
    changed = [name for name in made_now if made_now[name] != begun.get(name)]
    if changed:
        old, new = (
            ", ".join(f"{name} {spelled(of.get(name))}" for name in changed)
            for of in (begun, made_now)
        )
        warnings.warn(
            f"{directory} was begun with {old} and goes on with {new}: it has rows of both",
            Note,
            stacklevel=4,
        )
    is_known = made_now in [begun, *map(made, resumed)]
    return config if is_known else config | {"resumed": [*resumed, now]}


_MADE_WITH: dict[str, type] = {"versions": dict, "device": str}


def _fault(config: Any, kinds: Mapping[str, type]) -> str | None:
    """What is wrong with a part of config.json, if anything is."""
    for name, kind in kinds.items():
        if not isinstance(config, dict) or not isinstance(config.get(name), kind):
            return f"its {name!r} is missing or of the wrong type"
    if not _is_text(config["versions"]):
        return "its 'versions' are not all text"
    if not isinstance(config.get("resumed", []), list):
        return "its 'resumed' is no list"
    return None


def _is_text(named: Any) -> bool:
    return isinstance(named, dict) and all(
        isinstance(one, str) and one.isprintable() for one in named.values()
    )


def spelled(value: Any) -> str:
    """A setting's value as the command line takes it."""
    if isinstance(value, dict):
        return " ".join(f"{name} {spelled(v)}" for name, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return " ".join(spelled(v) for v in value)
    return "none" if value is None else str(value)


def settings_in_words(experiments: Iterable[Experiment]) -> dict[str, Any]:
    """Every setting of the experiments, a list where they differ: what config.json keeps."""
    experiments = list(experiments)
    config: dict[str, Any] = {}
    for name in SETTINGS:
        found: list[Any] = []
        for experiment in experiments:
            value = getattr(experiment, name)
            if name in OPTIONS:
                value = dict(value)
            found += value if isinstance(value, tuple) else [value]  # one a trial, or test lengths
        config |= _in_words(name, found)
    return json.loads(json.dumps(config))  # as it is read back


def _in_words(name: str, values: Iterable[Any]) -> dict[str, Any]:
    """A setting's values, each once, under its name in config.json."""
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    is_list = name in PLURAL or name in PLURAL.values() or name == LENGTHS or len(distinct) != 1
    return {PLURAL.get(name, name): distinct if is_list else distinct[0]}


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of what a directory held and of what was added to it. Their values are sorted,
    so that they do not depend on how often this was interrupted."""
    both: dict[str, Any] = {}
    for name, value in new.items():
        lists = (one if isinstance(one, list) else [one] for one in (old.get(name, []), value))
        both |= _in_words(name, sorted(itertools.chain(*lists), key=_rank))
    return both


def _rank(value: Any) -> tuple[Any, ...]:
    """What values of one setting are sorted by, whatever types they have: numbers by size."""
    is_number = isinstance(value, int | float)
    return (not is_number, value if is_number else json.dumps(value))
