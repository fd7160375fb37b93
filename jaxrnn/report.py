"""The report: our rows beside the published ones, as text for a terminal and Markdown."""

import math
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from jaxrnn.paper import PAPER
from jaxrnn.plots import write_plots
from jaxrnn.published import PaperResult
from jaxrnn.statistics import Line, median, summarize
from jaxrnn.store import read_config, read_rows, spelled, write_whole

REPORT = "report.md"


def net_name(experiment: str, cell: str) -> str:
    """A net's name in tables and on the terminal.

    The notebook's settings go without saying, the paper's experiments by their names alone.
    """
    if experiment in PAPER:
        return experiment
    return cell if experiment in ("notebook", "grid") else f"{cell} ({experiment})"


def columns(lines: Sequence[Line]) -> dict[str, list[str]]:
    """The table's columns by heading; those that no line has anything for are left out."""
    settings = dict.fromkeys(name for line in lines for name in line.settings)
    result = {
        "net": [net_name(line.experiment, line.cell) for line in lines],
        "T": [str(line.length) for line in lines],
        **{
            name.replace("_", " "): [_number(line.settings.get(name)) for line in lines]
            for name in settings
        },
        "solved": [_solved(line.solved, line.trials, line.diverged) for line in lines],
        "95%": ["{:.0f}-{:.0f}".format(*(100 * x for x in line.interval)) for line in lines],
        "mean": ["-" if math.isnan(line.mean) else _steps(line.mean) for line in lines],
        "median": [_steps(line.median) for line in lines],
        "best": [_steps(line.least) for line in lines if line.experiment in PAPER],
        "worst": [_steps(line.most) for line in lines],
    }
    if any(line.num_correct is not None for line in lines):
        result["ST1"] = [
            "-" if line.num_correct is None else _solved(line.num_correct, line.trials)
            for line in lines
        ]
        result["its mean"] = [steps_or_dash(line.correct) for line in lines]
    if any(line.wrong is not None for line in lines):
        result["wrong"] = [percent(line.wrong) for line in lines]
    if any(line.paper is not None for line in lines):
        result |= _paper_columns([line.paper for line in lines])
    if any(line.published is not None for line in lines):
        result["notebook"], result["its median"], result["p"] = map(
            list, zip(*map(_published, lines), strict=True)
        )
    return {heading: cells for heading, cells in result.items() if cells}


def _solved(solved: int, trials: int, diverged: int = 0) -> str:
    return f"{solved}/{trials}" + (f" ({diverged} diverged)" if diverged else "")


def _published(line: Line) -> tuple[str, str, str]:
    if line.published is None:
        return "-", "-", "-"
    theirs = [math.inf if s is None else float(s) for s in line.published]
    solved = _solved(sum(map(math.isfinite, theirs)), len(theirs))
    return solved, _steps(median(theirs)), f"{line.p_value:.3f}"


def _paper_columns(rows: Sequence[PaperResult | None]) -> dict[str, list[str]]:
    """The published columns that any of the rows has."""
    columns: dict[str, list[str]] = {
        "published mean": [steps_or_dash(row and row.sequences) for row in rows],
        "published solved": [percent(row and row.success) for row in rows],
        "published ST1": [steps_or_dash(row and row.correct) for row in rows],
        "published wrong": [percent(row and row.wrong) for row in rows],
    }
    return {heading: cells for heading, cells in columns.items() if {*cells} != {"-"}}


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


def table(lines: Sequence[Line], title: str | None = None) -> Table:
    """The lines as a table for the terminal."""
    result = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
        title=title,
        title_justify="left",
    )
    cells = columns(lines)
    for heading in cells:
        left = heading == "net"
        result.add_column(
            heading.replace(" ", "\n"), justify="left" if left else "right", no_wrap=True
        )
    rows = zip(*cells.values(), strict=True)
    for previous, line, row in zip((None, *lines), lines, rows, strict=False):
        if previous is not None and _section(line) != _section(previous):
            result.add_section()
        result.add_row(*row)
    return result


def _section(line: Line) -> object:
    """What lines share that stand together in the table."""
    return PAPER[line.experiment].row if line.experiment in PAPER else line.length


PAPER_LEGEND = (
    "T is the length. Solved: trials that met the paper's criterion within ten times its published "
    "mean; 95%: confidence interval of their percentage (Clopper-Pearson). Mean, median, best and "
    "worst: training sequences until then; the mean is that of the solved trials, in median and "
    "worst an unsolved trial counts as never. Published: means in the 1997 paper. A dash: nothing "
    "there."
)


def legend(lines: Sequence[Line]) -> str:
    """What the columns mean."""
    text = (
        "T is the length. Solved: trials that were; 95%: confidence interval of their percentage "
        "(Clopper-Pearson). Mean, median and worst: index of the training step (one sequence each, "
        "counted from 0) of solution, the window of steps without a failure included; the mean is "
        "that of the solved trials, in median and worst an unsolved trial counts as never."
    )
    headings = columns(lines)
    if any(line.paper is not None for line in lines):
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
    cells = columns(lines)
    rule = ["---" if heading == "net" else "--:" for heading in cells]
    rows = [list(cells), rule, *zip(*cells.values(), strict=True)]
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


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
