"""The report: our rows beside the published ones, as text for a terminal and Markdown."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from jaxrnn.results.files import write_whole
from jaxrnn.results.plots import write_plots
from jaxrnn.results.rows import read_rows
from jaxrnn.results.run_directory import read_config, spelled
from jaxrnn.results.summary import Line, median, summarize
from jaxrnn.suites.paper_1997 import PAPER
from jaxrnn.suites.published import PaperResult

REPORT = "report.md"


def net_name(experiment: str, cell: str) -> str:
    """A net's name in tables and on the terminal.

    The notebook's settings go without saying, the paper's experiments by their names alone.
    """
    if experiment in PAPER:
        return experiment
    return cell if experiment in ("notebook", "grid") else f"{cell} ({experiment})"


_PUBLISHED = "published"
# The columns of a table, those of settings that differ apart, which come after T.
_HEADINGS = (
    *("net", "T", "solved", "95%", "mean", "median", "best", "worst", "ST1", "its mean", "wrong"),
    *("notebook", "its median", "p"),
)
# What a terminal that is too narrow does without; report.md has them all.
_DISPENSABLE = ("best", "median", "worst", "ST1", "95%", "its mean")


class _Row(NamedTuple):
    """A row of the table."""

    cells: dict[str, str]  # by heading
    section: object  # what rows share that stand together


def _rows(lines: Sequence[Line]) -> list[_Row]:
    """The table's rows; a row of the paper's stands above ours of the same length."""
    rows: list[_Row] = []
    for line in lines:
        section = line.length if line.paper is None else (PAPER[line.experiment].row, line.length)
        if line.paper is not None and (not rows or rows[-1].section != section):
            rows.append(_Row(_paper_cells(line.length, line.paper), section))
        rows.append(_Row(_cells(line), section))
    return rows


def _headings(rows: Sequence[_Row]) -> list[str]:
    """Those that any row has something for, in order."""
    found = list(dict.fromkeys(heading for row in rows for heading in row.cells))
    settings = [heading for heading in found if heading not in _HEADINGS]
    net, length, *others = _HEADINGS
    return [net, length, *settings, *(heading for heading in others if heading in found)]


def _cells(line: Line) -> dict[str, str]:
    cells = {"net": net_name(line.experiment, line.cell), "T": str(line.length)}
    cells |= {name.replace("_", " "): f"{value:g}" for name, value in line.settings.items()}
    cells |= {
        "solved": _solved(line.solved, line.trials, line.diverged),
        "95%": "{:.0f}-{:.0f}".format(*(100 * x for x in line.interval)),
        "mean": "-" if math.isnan(line.mean) else _steps(line.mean),
        "median": _steps(line.median),
        "worst": _steps(line.most),
    }
    if line.experiment in PAPER:
        cells["best"] = _steps(line.least)
    if line.num_correct is not None:
        cells["ST1"] = _solved(line.num_correct, line.trials)
        cells["its mean"] = steps_or_dash(line.correct)
    if line.wrong is not None:
        cells["wrong"] = percent(line.wrong)
    if line.published is not None:
        theirs = _published(line)
        cells |= dict(zip(("notebook", "its median", "p"), theirs, strict=True))
    return cells


def _paper_cells(length: int, paper: PaperResult) -> dict[str, str]:
    cells = {"net": _PUBLISHED, "T": str(length), "mean": steps_or_dash(paper.sequences)}
    if paper.success is not None:
        cells["solved"] = percent(paper.success)
    if paper.correct is not None:
        cells["its mean"] = steps_or_dash(paper.correct)
    if paper.wrong is not None:
        cells["wrong"] = percent(paper.wrong)
    return cells


def _solved(solved: int, trials: int, diverged: int = 0) -> str:
    return f"{solved}/{trials}" + (f" ({diverged} diverged)" if diverged else "")


def _published(line: Line) -> tuple[str, str, str]:
    if line.published is None:
        return "-", "-", "-"
    theirs = [math.inf if s is None else float(s) for s in line.published]
    solved = _solved(sum(map(math.isfinite, theirs)), len(theirs))
    return solved, _steps(median(theirs)), f"{line.p_value:.3f}"


def sentence(lines: Sequence[Line]) -> str:
    """What came out for one net at one length, for printing as it comes."""
    line = lines[0]
    text = f"{net_name(line.experiment, line.cell):<10} T={line.length:<4} "
    if len(lines) > 1:
        return text + f"{len(lines)} combinations of settings"
    solved = _solved(line.solved, line.trials, line.diverged)
    text += f"{solved:>7} solved, median {_steps(line.median):>6}"
    if line.published is not None:
        theirs, their_median, _ = _published(line)
        text += f"  (notebook {theirs:>5}, {their_median:>6})"
    return text


def table(lines: Sequence[Line], console: Console) -> Table:
    """The lines as a table for the terminal, without some columns where it is too narrow."""
    rows = _rows(lines)
    headings = _headings(rows)
    unbounded = console.options.update(max_width=sys.maxsize)
    for dispensable in (None, *_DISPENSABLE):
        headings = [heading for heading in headings if heading != dispensable]
        result = _table(rows, headings)
        if Measurement.get(console, unbounded, result).maximum <= console.width:
            break
    return result


def _table(rows: Sequence[_Row], headings: Sequence[str]) -> Table:
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    for heading in headings:
        left = heading == "net"
        result.add_column(
            heading.replace(" ", "\n"), justify="left" if left else "right", no_wrap=True
        )
    for previous, row in zip((None, *rows), rows, strict=False):
        if previous is not None and previous.section != row.section:
            result.add_section()
        style = "dim" if row.cells["net"] == _PUBLISHED else None
        result.add_row(*(row.cells.get(heading, "-") for heading in headings), style=style)
    return result


PAPER_LEGEND = (
    "T is the length. Solved: trials that met the paper's criterion before the run's cap (if none "
    "was given, ten times the published mean, at most 5 million); 95%: confidence interval of "
    "their percentage (Clopper-Pearson). Mean, median, best and worst: training sequences until "
    "then; the mean is that of the solved trials, in median and worst an unsolved trial counts as "
    "never. Published: the 1997 paper's means. A dash: nothing there."
)


def legend(lines: Sequence[Line]) -> str:
    """What the columns mean."""
    text = (
        "T is the length. Solved: trials that were; 95%: confidence interval of their percentage "
        "(Clopper-Pearson). Mean, median and worst: index of the training step (one sequence each, "
        "counted from 0) of solution, the window of steps without a failure included; the mean is "
        "that of the solved trials, in median and worst an unsolved trial counts as never."
    )
    headings = _headings(_rows(lines))
    if any(line.experiment in PAPER for line in lines):
        text = PAPER_LEGEND
        if "ST1" in headings:
            text += " ST1: trials that came to criterion ST1, and after how many sequences."
        if "wrong" in headings:
            text += (
                " Wrong: share of the final test's fresh sequences that the solved trials get "
                "wrong."
            )
    if "notebook" in headings:
        text += (
            " Then the notebook's solved and median. p: two-sided Mann-Whitney p-value of our "
            "steps against the notebook's; a small one says that the two differ. A dash: not "
            "published."
        )
    return text


def markdown(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table."""
    rows = _rows(lines)
    headings = _headings(rows)
    rule = ["---" if heading == "net" else "--:" for heading in headings]
    cells = [[row.cells.get(heading, "-") for heading in headings] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (headings, rule, *cells))


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
    text += markdown(lines) + f"\n{legend(lines)}\n"
    for caption, name in pictures:
        text += f"\n![{caption}]({name})\n"
    write_whole(directory / REPORT, text.encode())
    return lines


def _steps(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "never"


def steps_or_dash(value: float | None) -> str:
    """A number of steps, a dash where there is none."""
    return "-" if value is None else _steps(value)


def percent(share: float | None) -> str:
    """A share in percent, a dash where there is none."""
    return "-" if share is None else f"{100 * share:.3g}%"
