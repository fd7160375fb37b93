"""What config.json says: versions, device, which code of the user's own, what was asked for."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrnn.errors import InputError, Note
from jaxrnn.machine import processor_of

CONFIG = "config.json"

SOURCES = "sources"
"""The entry that identifies users' own code, see :func:`jaxrnn.names.digests`."""

ASKED = "asked"
"""The entry that says what was asked for: lists of an experiment's name, a cell, a length and the
number of trials. A report says which of them are still to end."""


def read_config(directory: Path) -> dict[str, Any] | None:
    """Read a run directory's versions and device; None where it has none yet."""
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
    fault = _fault(config)
    for one in [] if fault else config.get("resumed", []):  # what else it went on with
        fault = fault or _fault(one)
    if not fault and not _is_text(config.get(SOURCES, {})):
        fault = f"its {SOURCES!r} are not all text"
    fault = fault or (None if _are_nets(config.get(ASKED, [])) else f"its {ASKED!r} are no nets")
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
    changed = [name for name in made_now if made_now[name] != begun.get(name, made_now[name])]
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


def _fault(config: Any) -> str | None:
    """What is wrong with a part of config.json, if anything is."""
    for name, kind in (("versions", dict), ("device", str)):
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


def _are_nets(asked: Any) -> bool:
    return isinstance(asked, list) and all(
        isinstance(net, list) and [*map(type, net)] == [str, str, int, int] for net in asked
    )


def spelled(value: Any) -> str:
    """A setting's value as the command line takes it."""
    if isinstance(value, dict):
        return " ".join(f"{name} {spelled(v)}" for name, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return " ".join(spelled(v) for v in value)
    return "none" if value is None else str(value)
