"""Rows of text as tables, for a terminal and in Markdown."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

PUBLISHED = "published"
"""The name of a row that is a source's."""

_LEFT = ("net", "against", "task", "optimizer")


class TableRow(NamedTuple):
    """A row of the table."""

    cells: dict[str, str]  # by heading
    section: object  # what rows share that stand together


def terminal_table(rows: Sequence[TableRow], headings: Sequence[str]) -> Table:
    """Rows as a table for the terminal; published ones are dim."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    for heading in headings:
        justify: JustifyMethod = "left" if heading in _LEFT else "right"
        result.add_column(heading.replace(" ", "\n"), justify=justify, no_wrap=True)
    for previous, row in zip((None, *rows), rows, strict=False):
        if previous is not None and previous.section != row.section:
            result.add_section()
        style = "dim" if row.cells["net"] == PUBLISHED else None
        result.add_row(*(Text(row.cells.get(heading, "-")) for heading in headings), style=style)
    return result


def markdown_table(rows: Sequence[TableRow], headings: Sequence[str]) -> str:
    """Rows as a Markdown table, a dash where one has nothing under a heading."""
    rule = ["---" if heading in _LEFT else "--:" for heading in headings]
    cells = [[escaped(row.cells.get(heading, "-")) for heading in headings] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (headings, rule, *cells))


def steps_in_words(value: float) -> str:
    """A number of steps, which may be infinite."""
    return f"{value:,.0f}" if math.isfinite(value) else "never"


def bounds_in_percent(interval: tuple[float, float]) -> str:
    """An interval of a share."""
    return "{:.0f}-{:.0f}".format(*(100 * bound for bound in interval))


def p_in_words(p: float) -> str:
    """A p-value."""
    return f"{p:.3f}" if p >= 0.0005 else "<0.001"


def escaped(text: str) -> str:
    """A text from a file as Markdown shows it unchanged, on one line."""
    text = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", text)
