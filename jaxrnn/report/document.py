"""The report of a run: its tables and pictures, as files and on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from jaxrnn.errors import InputError
from jaxrnn.report.by_experiment import curves_by_task, sequences_to_success
from jaxrnn.report.by_length import curves_by_length, nets_of, steps_to_solution_figure
from jaxrnn.report.card import (
    HEADINGS,
    SHORT_HEADINGS,
    is_by_task,
    solved_picture,
    solved_table,
    times_legend,
    times_picture,
    times_rows,
)
from jaxrnn.report.drawing import COLORS
from jaxrnn.report.grid import heat_map, nets_and_lengths
from jaxrnn.report.other_lengths import (
    LENGTHS_HEADINGS,
    LENGTHS_LEGEND,
    lengths_picture,
    lengths_rows,
    was_tested,
)
from jaxrnn.report.render import (
    console,
    escaped,
    markdown_table,
    terminal_table,
)
from jaxrnn.report.rivals import (
    comparison_legend,
    comparison_markdown,
    comparison_table,
    comparisons,
    write_curves,
)
from jaxrnn.report.summary import (
    Line,
    source_of,
    summarize,
)
from jaxrnn.report.table import legend, markdown, rules, table
from jaxrnn.store.config import read_config, spelled
from jaxrnn.store.files import write_figure, write_whole
from jaxrnn.store.rows import ROWS, Row, rows_beside, typed_rows

REPORT = "report.md"
NOTES = "notes.md"
"""What a run's report says after its tables, in Markdown."""


def write_report(directory: Path | str) -> list[Line]:
    """Write ``report.md`` and the plots of a run directory from what it holds alone: its rows,
    behind those in its ``beside``, its configuration and its :data:`NOTES`.

    Raises InputError for rows or a configuration that are not what they should be, and where there
    are no rows.
    """
    directory = Path(directory)
    rows, config = typed_rows(directory), read_config(directory)
    if not rows:
        raise InputError(f"{directory / ROWS} holds no rows yet: run its sweep first")
    rows = [*rows_beside(directory, rows), *rows]
    lines = summarize(rows)
    pictures = write_plots(rows, directory)
    if was_tested(rows):
        write_figure(directory / "test_lengths.png", lengths_picture(rows))
        pictures.append(("Sequences right at other lengths", "test_lengths.png"))
    if is_by_task(rows):
        tables = f"{markdown_table(times_rows(rows), HEADINGS)}\n{times_legend(rows)}\n"
    else:
        pictures += write_curves(rows, directory)
        tables = markdown(lines) + f"\n{legend(lines)}\n"
        if pairs := comparisons(rows):
            tables += f"\n{comparison_markdown(pairs)}\n{comparison_legend(pairs)}\n"
    text = "# jaxrnn: report of a run\n\n"
    if config is not None:
        settings = ", ".join(
            f"{name.replace('_', ' ')} {spelled(value)}"
            for name, value in config["settings"].items()
        )
        text += f"Settings: {escaped(settings)}.\n\n"
        for verb, one in [
            ("Made", config),
            *(("Gone on", one) for one in config.get("resumed", [])),
        ]:
            made = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
            on = f"{made} on {one['device']}"
            text += f"{verb} with {escaped(on)}.\n\n"
    text += tables
    if was_tested(rows):
        text += f"\n{markdown_table(lengths_rows(rows), LENGTHS_HEADINGS)}\n{LENGTHS_LEGEND}\n"
    text += "".join(f"\n{escaped(line)}\n" for line in rules(rows))
    if (directory / NOTES).exists():
        text += "\n" + (directory / NOTES).read_text("utf-8", errors="replace")
    for caption, name in pictures:
        text += f"\n![{caption}]({name})\n"
    write_whole(directory / REPORT, text.encode())
    return lines


def write_plots(rows: Sequence[Row], directory: Path) -> list[tuple[str, str]]:
    """Write every plot that the rows allow and return (caption, file name) of each."""
    if not rows:
        return []
    lines = summarize(rows)
    by_length = any(source_of(line.experiment).by_length for line in lines)
    if is_by_task(rows):
        pictures = {
            "Trials solved of each cell on each task": ("solved_by_task.png", solved_picture(rows)),
            "Times to success": ("times_to_success.png", times_picture(rows)),
        }
    elif any(line.settings for line in lines):
        pictures = {"Every combination": ("grid.png", heat_map(rows, lines))}
    elif by_length and len(nets_of(rows)) > len(COLORS):
        table = heat_map(rows, nets_and_lengths(lines))
        pictures = {"Every net and length": ("steps_to_solution.png", table)}
    elif by_length:
        steps = steps_to_solution_figure(rows)
        pictures = {
            "Steps to solution against length": ("steps_to_solution.png", steps),
            "Learning curves": ("learning_curves.png", curves_by_length(rows)),
        }
    else:
        sequences = "sequences_to_success.png", sequences_to_success(rows)
        pictures = {"Sequences to success": sequences, **curves_by_task(rows)}
    for name, figure in pictures.values():
        write_figure(directory / name, figure)
    return [(caption, name) for caption, (name, _) in pictures.items()]


def show_report(directory: Path, lines: Sequence[Line], *more: RenderableType) -> None:
    """The tables of a run directory, and after ``more`` where its report is."""
    own = typed_rows(directory)
    beside = rows_beside(directory, own)
    rows = [*beside, *own]
    if is_by_task(rows):
        console.print(solved_table(rows, console.width))
        if beside:  # against the first of these
            cells = {row.experiment.cell for row in own}
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
