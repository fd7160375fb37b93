"""A run's report on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from jaxrnn.results.rows import read_rows, rows_beside
from jaxrnn.results.summary import Line
from jaxrnn.sweeps.watch import console

# What needs matplotlib is imported where it is used: it is slow to import.


def show_report(directory: Path, lines: Sequence[Line], *more: RenderableType) -> None:
    """The tables of a run directory, and after ``more`` where its report is."""
    from jaxrnn.results.by_task import SHORT_HEADINGS, is_by_task, solved_table, times_rows
    from jaxrnn.results.comparisons import comparison_legend, comparison_table, comparisons
    from jaxrnn.results.other_lengths import (
        LENGTHS_HEADINGS,
        LENGTHS_LEGEND,
        lengths_rows,
        was_tested,
    )
    from jaxrnn.results.report import REPORT, legend, rules, table
    from jaxrnn.results.tables import terminal_table

    own = read_rows(directory)
    beside = rows_beside(directory, own)
    rows = [*beside, *own]
    if is_by_task(rows):
        console.print(solved_table(rows, console.width))
        if beside:  # against the first of these
            cells = {row["cell"] for row in own}
            times = [one for one in times_rows(rows) if one.cells["net"] in cells]
            console.print(terminal_table(times, SHORT_HEADINGS))
    else:
        _show(table(lines, console), legend(lines))
        if pairs := comparisons(rows):
            _show(comparison_table(pairs), comparison_legend(pairs))
        if was_tested(rows):
            _show(terminal_table(lengths_rows(rows), LENGTHS_HEADINGS), LENGTHS_LEGEND)
        for line in rules(rows):
            console.print(Text(line, style="dim"))
    for one in more:
        console.print(one)
    words = "Report, plots and what the columns mean"
    console.print(f"{words}: {directory / REPORT}", highlight=False, soft_wrap=True)


def _show(table: RenderableType, legend: str) -> None:
    """A table, and what its columns mean unless that would take more room than it does."""
    words = Text(legend, style="dim")
    console.print(table)
    if len(console.render_lines(words)) <= len(console.render_lines(table)):
        console.print(words)
