"""Rows of text as tables, for a terminal and in Markdown."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from jaxrnn.store.config import spelled

console = Console()

PUBLISHED = "published"
"""The name of a row that is a source's."""

NAME_WIDTH = 28
"""Of a net's name on the terminal."""

_NETS = ("net", "against")
_LEFT = (*_NETS, "task", "optimizer")


class TableRow(NamedTuple):
    """A row of the table."""

    cells: dict[str, str]  # by heading
    section: object  # what rows share that stand together


def terminal_table(rows: Sequence[TableRow], headings: Sequence[str]) -> Table:
    """Rows as a table for the terminal, published ones dim; names are folded before a number is
    cut off."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    for heading in headings:
        is_name = heading in _LEFT
        justify: JustifyMethod = "left" if is_name else "right"
        title = heading.replace(" ", "\n")
        result.add_column(title, justify=justify, no_wrap=not is_name, overflow="fold")
    nets = (row.cells[heading] for row in rows for heading in _NETS if heading in row.cells)
    names = all_shortened(nets, NAME_WIDTH)
    for previous, row in zip((None, *rows), rows, strict=False):
        if previous is not None and previous.section != row.section:
            result.add_section()
        style = "dim" if row.cells["net"] == PUBLISHED else None
        cells = row.cells | {name: names[row.cells[name]] for name in _NETS if name in row.cells}
        result.add_row(*(Text(cells.get(heading, "-")) for heading in headings), style=style)
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


def short(value: Any) -> str:
    """A setting's value in a table or a picture."""
    return f"{value:g}" if isinstance(value, int | float) else spelled(value)


def shortened(text: str, width: int) -> str:
    """A net's name in at most ``width`` letters: of ``directory/file.py:name`` the directory goes
    first, then the middle, since one's own cells are told apart by their ends."""
    if len(text) > width:
        text = text.rpartition("/")[2]
    if len(text) <= width:
        return text
    end = width // 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"


def all_shortened(texts: Iterable[str], width: int) -> dict[str, str]:
    """Each :func:`shortened`, with a number where several would come out alike."""
    short_of: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        short, number = shortened(text, width), 1
        while short in short_of.values():
            number += 1
            end = f" {number}"
            short = shortened(text, width - len(end)) + end
        short_of[text] = short
    return short_of
