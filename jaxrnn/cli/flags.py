"""The flags that commands share."""

from dataclasses import fields
from typing import Annotated, Any

import tyro

from jaxrnn.experiment import Experiment

# The settings that are flags; the cell and the length have flags of their own.
_SETTINGS = {field.name for field in fields(Experiment)} - {"name", "cell", "length"}


def _flag(metavar: str, hint: str = "(default: the experiment's)") -> Any:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint)


Names = Annotated[tuple[str, ...] | None, _flag("NAME [NAME ...]")]

Integers = Annotated[tuple[int, ...] | None, _flag("INT [INT ...]")]

Numbers = Annotated[tuple[float, ...] | None, _flag("NUMBER [NUMBER ...]")]

Name = Annotated[str | None, _flag("NAME")]

Integer = Annotated[int | None, _flag("INT")]

Number = Annotated[float | None, _flag("NUMBER")]

Lanes = Annotated[int | None, _flag("INT", "(default: what fits the cache, at most 32 a core)")]
