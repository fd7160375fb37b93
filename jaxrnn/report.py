"""The report: our rows beside the published ones, as text for a terminal and Markdown."""

import math
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from jaxrnn.plots import write_plots
from jaxrnn.statistics import Line, median, summarize
from jaxrnn.store import read_config, read_rows, spelled, write_whole

REPORT = "report.md"

HEADINGS = (
    "net",
    "T",
    "solved",
    "median",
    "least to most",
    "notebook",
    "median",
    "p",
)


def cells_of(line: Line) -> tuple[str, ...]:
    """A line of the table, column by column under ``HEADINGS``."""
    solved = f"{line.solved}/{line.trials}"
    if line.diverged:
        solved += f" ({line.diverged} diverged)"
    spread = f"{_steps(line.least)} to {_steps(line.most)}" if line.solved else "never"
    ours = (line.cell, str(line.length), solved, _steps(line.median), spread)
    if line.published is None:
        return (*ours, "-", "-", "-")
    theirs = [math.inf if s is None else float(s) for s in line.published]
    solved = f"{sum(map(math.isfinite, theirs))}/{len(theirs)}"
    return (*ours, solved, _steps(median(theirs)), f"{line.p_value:.3f}")


def sentence(line: Line) -> str:
    """A line of the table in words, for printing as it comes."""
    cell, length, solved, middle, *_, theirs, their_median, _ = cells_of(line)
    text = f"{cell:<10} T={length:<3} {solved:>7} solved, median {middle:>6}"
    if line.published is not None:
        text += f"  (notebook {theirs:>5}, {their_median:>6})"
    return text


def table(lines: Sequence[Line], title: str | None = None) -> Table:
    """The lines as a table for the terminal."""
    result = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=title,
        title_justify="left",
    )
    for number, heading in enumerate(HEADINGS):
        result.add_column(heading, justify="left" if number == 0 else "right", no_wrap=True)
    for previous, line in zip((None, *lines), lines, strict=False):
        if previous is not None and line.length != previous.length:
            result.add_section()
        result.add_row(*cells_of(line))
    return result


LEGEND = (
    "T is the length. Ours: trials solved, median and range of the index of the training step (one "
    "sequence each, counted from 0) at which they were, unsolved trials counting as never. "
    "Then the notebook's solved and median. p: two-sided Mann-Whitney p-value of our steps against "
    "the notebook's; a small one says that the two differ. A dash: not published."
)


def markdown(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table."""
    rows = [HEADINGS, ("---",) + ("--:",) * (len(HEADINGS) - 1), *map(cells_of, lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write_report(directory: Path) -> list[Line]:
    """Write ``report.md`` and the plots of a run directory from its rows alone."""
    rows, config = read_rows(directory), read_config(directory)
    lines = summarize(rows)
    pictures = write_plots(rows, directory)
    text = "# jaxrnn: report of a run\n\n"
    if config is not None:
        settings = ", ".join(
            f"{name.replace('_', ' ')} {spelled(value)}"
            for name, value in config["settings"].items()
        )
        made = ", ".join(f"{name} {number}" for name, number in config["versions"].items())
        text += f"Settings: {settings}.\n\nMade with {made} on {config['device']}.\n\n"
    text += markdown(lines) + f"\n{LEGEND}\n"
    for caption, name in pictures:
        text += f"\n![{caption}]({name})\n"
    write_whole(directory / REPORT, text.encode())
    return lines


def _steps(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "never"
