"""The error for wrong input, which the caller can correct, and checks that every module shares."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, TypeVar

Entry = TypeVar("Entry")

SHOWN = 60  # characters of a value that a sentence shows


class InputError(ValueError):
    """A value from outside breaks a rule: one sentence with the value, the rule and the choices.

    The sentence has settings as ``{name}``, and their values are keyword arguments:
    ``InputError("{window} must not be above {max_steps}", window=50, max_steps=10)`` reads "window
    50 must not be above max-steps 10". Without settings the sentence stands as it is.
    """

    def __init__(self, sentence: str, **settings: Any) -> None:
        """Put the settings into the sentence."""
        named = {name: f"{name.replace('_', '-')} {value}" for name, value in settings.items()}
        super().__init__(sentence.format(**named) if settings else sentence)


def corrupt(where: Any, advice: str, fault: str = "") -> InputError:
    """The error for a damaged file of arrays; ``fault`` begins with the array's name."""
    fault = fault if fault.isprintable() else ascii(fault)
    return InputError(f"{where} is corrupt{fault and ', its array '}{fault}: {advice}")


class Note(UserWarning):
    """Something that a user should know but does not have to correct."""


def look_up(table: Mapping[str, Entry], kind: str, name: str, *others: str) -> Entry:
    """Return ``table[name]``, or raise an error that lists the names, and the ``others``
    allowed."""
    if name not in table:
        choices = " or ".join([", ".join(sorted(table)), *others])
        raise InputError(f"unknown {kind} {shown(name)}: choose from {choices}")
    return table[name]


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """Return a whole number, from ``least`` on; raise InputError for anything else."""
    if rule := fault_of_whole_number(value, least):
        raise InputError(f"{name} {shown(value)} {rule}")
    return int(value)


def fault_of_whole_number(value: Any, least: int | None = None) -> str | None:
    """The rule that a value breaks if it is no whole number from ``least`` on."""
    is_int = type(value) is int  # asked first, since the question for Integral takes its time
    if not is_int and (isinstance(value, bool) or not isinstance(value, Integral)):
        return "must be a whole number"
    if least is not None and value < least:
        return "must not be negative" if least == 0 else f"must be at least {least}"
    return None


def shown(value: Any) -> str:
    """A value as text for a sentence: on one line, and cut if it is long."""
    text = repr(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
