"""The options of builders, and the values that each may have. This module needs no JAX.

A builder is a function of a table, such as the cells' or the schedules'. The type of an option says
its range, and :func:`checked` makes the builder keep to it::

    @checked
    def steps(*, every: Annotated[int, Whole(1)], factor: Fraction = 0.1) -> Schedule:
"""

import functools
import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from types import NoneType
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeVar, get_args

from jaxrnn.errors import InputError, shown, whole_number

Given = ParamSpec("Given")
Built = TypeVar("Built")

Rule = Callable[[str, Any], Any]
"""``rule(name of an option, value) -> value``, in Python's own type; raises InputError."""


class Whole(NamedTuple):
    """A whole number from ``least`` on. Without it the builder knows the least."""

    least: int | None = None
    below: int = 2**31  # JAX counts in int32

    def __call__(self, name: str, value: Any) -> int:
        """The value; raises InputError."""
        number = whole_number(name, value, self.least)
        if number >= self.below:
            raise InputError(f"{name} {shown(value)} must be below {self.below}")
        return number

    def __repr__(self) -> str:
        """For the help and the site, which show the types of options."""
        return repr("a whole number" + ("" if self.least is None else f" from {self.least} on"))


class Number(NamedTuple):
    """A number from ``least`` to ``most``, both included; "a number ..." in words."""

    words: str
    least: float = -sys.float_info.max
    most: float = sys.float_info.max

    def __call__(self, name: str, value: Any) -> float:
        """The value; raises InputError."""
        if not self.holds(value):
            raise InputError(f"{name} {shown(value)} must be {self.words}")
        return float(value)

    def holds(self, value: Any) -> bool:
        """Whether a value is such a number."""
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        try:
            return self.least <= float(value) <= self.most
        except OverflowError:  # an integer of more than 308 digits
            return False

    def __repr__(self) -> str:
        """The words, as above."""
        return repr(self.words)


class Numbers(NamedTuple):
    """Finite numbers, as many as ``size`` says if it is given."""

    size: int | None = None

    def __call__(self, name: str, value: Any) -> tuple[float, ...]:
        """The values; raises InputError."""
        is_several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
        numbers = tuple(value) if is_several else (value,)
        if not (is_several and all(map(FINITE.holds, numbers))) or self.size not in (
            None,
            len(numbers),
        ):
            several = "" if self.size is None else f"{self.size} "
            raise InputError(f"{name} {shown(value)} must be {several}finite numbers")
        return tuple(map(float, numbers))


class OneOf(NamedTuple):
    """One of some words."""

    choices: tuple[str, ...]

    def __call__(self, name: str, value: Any) -> str:
        """The word; raises InputError."""
        if value not in self.choices:
            raise InputError(
                f"unknown {name} {shown(value)}: choose from {', '.join(self.choices)}"
            )
        return value


def _true_or_false(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} {shown(value)} must be True or False")
    return value


FINITE = Number("a finite number")
ABOVE_0, BELOW_1 = math.ulp(0.0), math.nextafter(1.0, 0.0)
"""The least number above 0, and the greatest below 1."""

Count = Annotated[int, Whole(1)]
AnyNumber = Annotated[float, FINITE]
Positive = Annotated[float, Number("a positive number", ABOVE_0)]
NotNegative = Annotated[float, Number("a number of at least 0", 0.0)]
FromZeroToOne = Annotated[float, Number("a number from 0 to 1", 0.0, 1.0)]
FromZeroToBelowOne = Annotated[float, Number("a number from 0 to below 1", 0.0, BELOW_1)]
BetweenZeroAndOne = Annotated[float, Number("a number between 0 and 1", ABOVE_0, BELOW_1)]


def rule_of(annotation: Any) -> Rule | None:
    """The rule that a type has for an option's values; None if it has none.

    ``Annotated[int, Whole(1)]`` has the rule in its brackets, and ``bool`` has one, too. With
    ``| None`` the option may be None.
    """
    if annotation is bool:
        return _true_or_false
    kinds = (annotation, *get_args(annotation))
    found = (one for kind in kinds for one in getattr(kind, "__metadata__", ()) if callable(one))
    rule: Rule | None = next(found, None)
    if rule is None or NoneType not in kinds:
        return rule
    return lambda name, value: None if value is None else rule(name, value)


def checked(build: Callable[Given, Built]) -> Callable[Given, Built]:
    """The builder, which now raises InputError for an option that breaks the rule of its type."""
    signature = inspect.signature(build)
    types = {name: one.annotation for name, one in signature.parameters.items()}
    rules = {name: rule for name, kind in types.items() if (rule := rule_of(kind)) is not None}

    @functools.wraps(build)
    def checking(*args: Given.args, **kwargs: Given.kwargs) -> Built:
        given = signature.bind(*args, **kwargs)
        for name, value in given.arguments.items():
            if name in rules:
                given.arguments[name] = rules[name](name, value)
        return build(*given.args, **given.kwargs)

    return checking


# The values of an experiment's settings


def real(flag: str, value: Any) -> float:
    """A number of any library as Python's own; later rules check for NaN and infinity."""
    if type(value) is float:
        return value
    # An array of no dimension, NumPy's or JAX's, is a number.
    if getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{flag} {shown(value)} must be a number")
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{flag} {shown(value)} must be a finite number") from None


def number_or_each(flag: str, value: Any, any_sign: bool) -> float | tuple[float, ...]:
    """One number, or one a trial."""
    if getattr(value, "shape", None) == () or not isinstance(value, Iterable):
        return _in_range(flag, real(flag, value), any_sign)
    if isinstance(value, str | bytes | Mapping | set):
        raise InputError(f"{flag} {shown(value)} must be a number or one a trial")
    return tuple(_in_range(flag, real(flag, one), any_sign) for one in value)


def _in_range(flag: str, value: float, any_sign: bool) -> float:
    rule = "must be a finite number" if any_sign else "must be a positive number"
    if not (math.isfinite(value) and (any_sign or value > 0)):
        raise InputError(f"{flag} {value} {rule}")
    return value


def named(flag: str, value: Any) -> tuple[tuple[str, Any], ...]:
    """Options as pairs of a name and a value that can be a key."""
    try:
        pairs = dict(value)
    except (TypeError, ValueError):
        pairs = {None: None}
    for name in pairs:
        if not (isinstance(name, str) and name.isidentifier()):
            raise InputError(f"{flag} {shown(value)} must be a dict of options by name")
    try:
        return tuple((name, _as_key(one)) for name, one in pairs.items())
    except (TypeError, ValueError):
        raise InputError(f"{flag} {shown(value)} must hold numbers, words and tuples") from None


def lengths(flag: str, value: Any) -> tuple[int, ...]:
    """Some lengths, each once."""
    if isinstance(value, str | bytes | Mapping | set) or not isinstance(value, Iterable):
        raise InputError(f"{flag} {shown(value)} must be one or more whole numbers")
    lengths = dict.fromkeys(whole_number(flag, one, 1) for one in value)
    if too_long := [one for one in lengths if one >= 2**31]:
        raise InputError(f"{flag} {too_long[0]} must be below 2147483648")
    return tuple(lengths)


def _as_key(value: Any) -> Any:
    """Lists as tuples and NumPy's numbers as Python's, so that an experiment can be a key and a row
    read back gives the same; TypeError for what JSON has not."""
    if isinstance(value, list | tuple):
        return tuple(map(_as_key, value))
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if value is not None and not isinstance(value, str | bool | int | float):
        raise TypeError
    return value
