"""The one kind of error that is the caller's to mend."""

from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


class InputError(ValueError):
    """A value from outside breaks a rule: one sentence with the value, the rule and the choices."""


def look_up(table: Mapping[str, Entry], kind: str, name: str) -> Entry:
    """Return ``table[name]``, or say which names there are."""
    if name not in table:
        raise InputError(f"unknown {kind} {name!r}: choose from {', '.join(sorted(table))}")
    return table[name]
