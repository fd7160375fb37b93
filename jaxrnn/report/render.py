"""What a report is made of, and how a terminal and Markdown show it."""

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from rich import box
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from jaxrnn.experiment import OPTIONS, SETTINGS, Experiment
from jaxrnn.store.config import spelled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

console = Console()

PUBLISHED = "published"
"""The name of a row with published results."""

NAME_WIDTH = 28
"""Width of a net's name on the terminal."""

_NETS = ("net", "against", "cell")
NAMES = (*_NETS, "task", "optimizer", "setting", "claim", "says", "verdict", "as printed")
"""The headings of names, which stand at the left of their column."""


class TableRow(NamedTuple):
    """A row of a table."""

    cells: dict[str, str]  # by heading
    section: object  # rows with the same section stand together
    about: Mapping[str, str] = {}  # the trials that it sums up, by columns of the page's table


class Table(NamedTuple):
    """A table, and what its columns mean."""

    title: str
    headings: Sequence[str]
    rows: Sequence[TableRow]
    legend: str = ""
    dispensable: Sequence[str] = ()  # headings that a narrow terminal does without, in this order
    brief: Sequence[TableRow] | None = None  # those that a terminal shows, by default all


class Words(NamedTuple):
    """A paragraph."""

    text: str
    brief: bool = True  # whether a terminal shows it


class Verdict(NamedTuple):
    """The answer in words, a paragraph each, which stands before everything else."""

    paragraphs: Sequence[str]


class Picture(NamedTuple):
    """A figure, drawn when it is needed."""

    caption: str
    stem: str  # of its files' names
    draw: "Callable[[], Figure]"
    is_map: bool = False  # whether it shows what a Map does


class Field(NamedTuple):
    """A net's place on a map."""

    large: str
    small: str  # below it
    color: str  # of its ground, as CSS; empty for a net that has no result yet
    details: Mapping[str, Any] = {}  # what the page shows of the net when it is clicked


class Map(NamedTuple):
    """Nets as fields of a table, cells by tasks; only the page shows it, other forms a picture."""

    title: str
    cells: Sequence[str]
    tasks: Mapping[str, str]  # by the name of their experiment
    fields: Mapping[tuple[str, str], Field]  # by task and cell
    legend: str
    roles: Mapping[str, str]  # why trials were run, by the role in their note, in words
    fresh: str  # the role of the trials that a click on a field shows first


Part = Verdict | Table | Words | Picture | Map


class Document(NamedTuple):
    """A report, before it is shown in any format."""

    settings: Mapping[str, str]  # of the run, in words
    made: Sequence[str]  # with which versions and on which devices
    parts: Sequence[Part]
    notes: str  # Markdown that the run itself left

    @property
    def verdict(self) -> list[str]:
        """Its paragraphs."""
        verdicts = (part for part in self.parts if isinstance(part, Verdict))
        return [paragraph for one in verdicts for paragraph in one.paragraphs]

    @property
    def pictures(self) -> list[Picture]:
        """They come last."""
        return [part for part in self.parts if isinstance(part, Picture)]


def terminal(parts: Iterable[Part], width: int) -> RenderableType:
    """Parts of a report for a terminal of ``width`` columns. The legend of a table is left out if
    it needs more room than the table."""
    shown: list[RenderableType] = []
    unbounded = console.options.update(max_width=sys.maxsize)  # nothing is cut or folded
    for part in parts:
        if isinstance(part, Verdict):
            shown += [Text(paragraph, style="bold") for paragraph in part.paragraphs]
        if isinstance(part, Words) and part.brief:
            shown.append(Text(part.text, style="dim"))
        if not isinstance(part, Table):
            continue
        rows = part.rows if part.brief is None else part.brief
        if not rows:
            continue
        drawn = terminal_table(rows, headings := part.headings)
        for left_out in part.dispensable:
            if Measurement.get(console, unbounded, drawn).maximum <= width:
                break
            headings = [heading for heading in headings if heading != left_out]
            drawn = terminal_table(rows, headings)
        shown.append(drawn)
        words = Text(part.legend, style="dim")
        height = len(console.render_lines(drawn))
        if part.legend and len(console.render_lines(words)) <= height:
            shown.append(words)
    return Group(*shown)


MOST_NUMBERS = 12

PLURAL = {"name": "experiment", "cell": "cells", "length": "lengths"}
"""How a run's settings name these, of which it may have several as a rule."""


def settings_in_words(experiments: Iterable[Experiment]) -> dict[str, str]:
    """Every setting of the experiments, each of its values once, numbers in order; of many numbers
    only the least and the greatest."""
    made, words = [*dict.fromkeys(experiments)], {}
    for name in SETTINGS:
        if name == "trials":  # of which a row knows nothing; the tables count them
            continue
        values: Iterable[Any] = dict.fromkeys(getattr(one, name) for one in made)
        if name == "test_lengths":
            values = dict.fromkeys(length for lengths in values for length in lengths)
        values = [dict(value) if name in OPTIONS else value for value in values]
        if all(isinstance(one, int | float) for one in values):
            values.sort()
            if len(values) > MOST_NUMBERS:
                values = [f"{short(values[0])} to {short(values[-1])} ({len(values)} values)"]
        words[PLURAL.get(name, spaced(name))] = spelled(values) or "none"
    return words


def markdown(document: Document) -> str:
    """A report in Markdown, its pictures as PNG files beside it."""
    named = ", ".join(f"{name} {words}" for name, words in document.settings.items())
    text = "".join(f"**{escaped(paragraph)}**\n\n" for paragraph in document.verdict)
    text += f"Settings: {escaped(named)}.\n\n"
    text += "".join(f"{escaped(line)}\n\n" for line in document.made)
    for part in document.parts:
        if isinstance(part, Words):
            text += f"{escaped(part.text)}\n\n"
        elif isinstance(part, Table):
            text += f"## {escaped(part.title)}\n\n{markdown_table(part.rows, part.headings)}\n"
            text += f"{part.legend}\n\n" if part.legend else ""
    text += f"{document.notes.strip()}\n\n" if document.notes else ""
    text += "\n\n".join(f"![{escaped(one.caption)}]({one.stem}.png)" for one in document.pictures)
    return f"# jaxrnn: report of a run\n\n{text.rstrip()}\n"


def terminal_table(rows: Sequence[TableRow], headings: Sequence[str]) -> RichTable:
    """Rows as a table for the terminal, published ones dim; names are folded before a number is
    cut off."""
    result = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    for heading in headings:
        is_left = heading in NAMES
        justify: JustifyMethod = "left" if is_left else "right"
        title = re.sub("[ _]", "\n", heading)
        result.add_column(title, justify=justify, no_wrap=not is_left, overflow="fold")
    nets = (row.cells[heading] for row in rows for heading in _NETS if heading in row.cells)
    names = all_shortened(nets, NAME_WIDTH)
    for previous, row in zip((None, *rows), rows, strict=False):
        if previous is not None and previous.section != row.section:
            result.add_section()
        style = "dim" if row.cells.get("net") == PUBLISHED else None
        cells = row.cells | {name: names[row.cells[name]] for name in _NETS if name in row.cells}
        result.add_row(*(Text(cells.get(heading, "-")) for heading in headings), style=style)
    return result


def markdown_table(rows: Sequence[TableRow], headings: Sequence[str]) -> str:
    """Rows as a Markdown table, with a dash if a row has nothing under a heading."""
    rule = ["---" if heading in NAMES else "--:" for heading in headings]
    cells = [[escaped(row.cells.get(heading, "-")) for heading in headings] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (headings, rule, *cells))


def html_of(statistic: Any) -> str:
    """A named tuple of numbers as a notebook's table, a line a number, with four digits."""

    def words(value: Any) -> str:
        if isinstance(value, tuple):
            return " and ".join(map(words, value))
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = (
        f"<tr><th>{escape(spaced(name))}</th><td>{escape(words(value))}</td></tr>"
        for name, value in statistic._asdict().items()
    )
    return f"<table>{''.join(lines)}</table>"


def listed(words: Sequence[str]) -> str:
    """Words with commas and an "and"."""
    *some, last = words
    return f"{', '.join(some)} and {last}" if some else last


def between(low: object | None, high: object | None) -> str:
    """An interval, which None leaves open at one end or at both."""
    sides = [f"at least {low}"] * (low is not None) + [f"below {high}"] * (high is not None)
    return " and ".join(sides)


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


def spaced(name: str) -> str:
    """A setting's name in words."""
    return name.replace("_", " ")


def short(value: Any) -> str:
    """A setting's value in a table or a picture."""
    return f"{value:g}" if isinstance(value, int | float) else spelled(value)


def shortened(text: str, width: int) -> str:
    """A net's name in at most ``width`` letters: for ``directory/file.py:name`` the directory is
    dropped first, then the middle, since users' own cells differ at their ends."""
    if len(text) > width:
        text = text.rpartition("/")[2]
    if len(text) <= width:
        return text
    end = width // 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"


def all_shortened(texts: Iterable[str], width: int) -> dict[str, str]:
    """Each name :func:`shortened`, with a number if several would become the same."""
    short_of: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        short, number = shortened(text, width), 1
        while short in short_of.values():
            number += 1
            end = f" {number}"
            short = shortened(text, width - len(end)) + end
        short_of[text] = short
    return short_of
