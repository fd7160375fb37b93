"""What there is, as tables."""

from dataclasses import fields

from rich import box
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from jaxrnn.cli.watch import console
from jaxrnn.experiment import Experiment
from jaxrnn.suites.paper_1997 import PAPER
from jaxrnn.suites.published import PAPER_RESULTS


def list_() -> None:
    """List the cells, tasks and experiments, each with its source."""
    from jaxrnn import CELLS, EXPERIMENTS, TASKS
    from jaxrnn.nets import CELL_BUILDERS

    table = Table("kind", Column("name", no_wrap=True), "what it is", "source")
    for name, cell in CELLS.items():
        table.add_row("cell", name, cell.description, cell.source)
    for name, builder in CELL_BUILDERS.items():
        table.add_row("cell builder", name, *_docs(builder))
    table.add_section()
    for name, task in TASKS.items():
        what, source = _docs(task)
        table.add_row("task", name, what, source)
    table.add_section()
    for name, suite in EXPERIMENTS.items():
        what = f"cells {' '.join(suite.cells)}; lengths {' '.join(map(str, suite.lengths))}"
        for field in fields(Experiment):
            value = getattr(suite.base, field.name)
            if field.name not in ("name", "cell", "length") and value != field.default:
                what += f"; {field.name.replace('_', '-')} {value}"
        table.add_row("experiment", name, what, suite.source)
    console.print(table)
    console.print("The experiments of the 1997 paper: jaxrnn paper", style="dim")


def _paper_tables() -> Group:
    """The paper's experiments and what was published, the departures; what both cost here."""
    from jaxrnn.cli.cost import expected_seconds, seconds_a_time_step
    from jaxrnn.results.report import percent, steps_or_dash

    with console.status("timing a training step"):
        seconds = seconds_a_time_step()

    def table(left: tuple[str, ...], right: tuple[str, ...], last: tuple[str, ...]) -> Table:
        columns = [Column(name, no_wrap=name == "name") for name in left]
        columns += [Column(name, justify="right", no_wrap=True) for name in right]
        return Table(*columns, *last, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)

    published = ("mean", "solved", "ST1", "wrong")
    as_written = table(("name", "task"), ("T", "trials", *published, "likely\ncost"), ())
    departures = table(("name",), ("T", "likely\ncost"), ("departs from the paper in",))
    for name, suite in PAPER.items():
        for length in suite.lengths:
            is_first = length == suite.lengths[0]
            shown = name if is_first else ""
            cost = _roughly(expected_seconds(suite, length, seconds))
            if suite.departure:
                departures.add_row(shown, str(length), cost, suite.departure if is_first else "")
                continue
            row = PAPER_RESULTS[suite.row][length]
            as_written.add_row(
                shown,
                suite.base.task.replace("_", " ") if is_first else "",
                str(length),
                str(suite.base.trials),
                steps_or_dash(row.sequences),
                percent(row.success),
                steps_or_dash(row.correct),
                percent(row.wrong),
                cost,
            )
    legend = (
        "T: length; the first is the default, the others by --length. Then as published: mean "
        "number of training sequences until success, trials solved, sequences until criterion "
        "ST1, fresh sequences that are wrong afterwards. Likely cost: on this machine, as timed "
        "just now, if trials end as in the paper (where none was solved: at the cap); one that "
        "does not goes on for ten times as long."
    )
    return Group(as_written, departures, Text(legend, style="dim"))


def _roughly(seconds: float) -> str:
    """A duration to two digits."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            count = seconds / size
            return f"{count:.0f} {unit}" if count >= 9.5 else f"{count:.1f} {unit}"
    return f"{seconds:.0f} s"


def _docs(function) -> tuple[str, str]:
    """First line and source of a docstring."""
    text = function.__doc__ or ""
    source = " ".join(text.partition("Source:")[2].replace("`", "").split())
    return text.strip().partition("\n")[0], source
