"""The command ``jaxrnn list``: tables of all names and experiments, 80 columns wide."""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from jaxrnn.errors import InputError, shown
from jaxrnn.experiment import OPTIONS, SETTINGS, Experiment, flag_name
from jaxrnn.nets import CELLS, INITIALIZERS
from jaxrnn.problems import GROUPS, PAPER, SUITES, TASKS, Suite, settled, task_of
from jaxrnn.problems.claim import PREFIX, PUBLISHED
from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.render import console
from jaxrnn.report.table import percent, steps_or_dash
from jaxrnn.store.config import spelled
from jaxrnn.sweeps.watch import roughly
from jaxrnn.training.objectives import MEASURES, OBJECTIVES
from jaxrnn.training.optimizers import OPTIMIZERS, SCHEDULES
from jaxrnn.training.parts import num_weights, state_size
from jaxrnn.yardstick import HORIZON, SUITES as HORIZON_SUITES

SECONDS_A_TIME_STEP = 0.15e-6
"""Of one trial of experiment 6a, on two cores of an AMD EPYC server."""

# Rough cost of one time step of one trial, tests included, as a multiple of that, as once measured:
# for the LSTM by its number of units, for other nets by the task.
_LSTM_COST = {2: 1.3, 8: 2.1, 20: 6.0, 128: 77.0}
_COST = {
    "embedded_reber": 6.0,
    "noise_free": 2.0,
    "no_regularities": 2.3,
    "very_long_lag": 0.7,
    "two_sequence": 2.6,
    "two_sequence_noise": 2.6,
    "two_sequence_target_noise": 2.6,
    "temporal_order_three": 1.7,
}


def list_(what: str = "") -> None:
    """Show all names that the commands take, with their sources, and the experiments."""
    if what in ("1997", "claims"):
        console.print(published_tables() if what == "1997" else claims_table())
        return
    if what:
        console.print(suites_table(suites_of([what])))
        if what.startswith(PREFIX) and what in GROUPS:
            console.print(CLAIMS[what.removeprefix(PREFIX)].differs, style="dim", highlight=False)
        return
    console.print(cells_table())
    console.print(builders_table())
    alone = [suite for suite in SUITES.values() if suite.source not in (PAPER, PUBLISHED)]
    console.print(suites_table(alone))
    names = ", ".join(HORIZON_SUITES)
    console.print(f"The experiments of {HORIZON.title}: {names}", style="dim")
    console.print("Published claims: jaxrnn list claims", style="dim")
    console.print(f"The experiments of {PAPER.title}: jaxrnn list 1997", style="dim")


def cells_table() -> RenderableType:
    """Every cell: its weights and its state at one size, what it is and where it comes from."""
    table = table_of(("cell",), ("weights", "state"), ("what it is, and its source",))
    for name, builder in CELLS.items():
        sizes = "-", "-"
        with suppress(InputError):
            # The notebook's task has as many inputs and outputs as time steps.
            net = Experiment(cell=name, length=8, hidden_size=16)
            sizes = f"{num_weights(net):,}", f"{state_size(net):,}"
        table.add_row(f"  {name}", *sizes, _described(builder))
    legend = (
        "Weights and state of a net with 8 inputs, 16 units and 8 outputs. State: the numbers that "
        "it carries from one time step to the next. A dash: the cell needs other sizes or options."
    )
    return Group(table, Text(legend, style="dim"))


def builders_table() -> RenderableType:
    """Every other name that an experiment may give, what it is and where it comes from."""
    table = table_of(("name",), (), ("what it is, and its source",))
    kinds: dict[str, Mapping[str, object]] = {
        "initializers": INITIALIZERS,
        "tasks": TASKS,
        "objectives": OBJECTIVES,
        "measures": MEASURES,
        "optimizers": OPTIMIZERS,
        "schedules": SCHEDULES,
    }
    for kind, builders in kinds.items():
        table.add_row(Text(kind, style="bold"), "")
        for name, builder in builders.items():
            table.add_row(f"  {name}", _described(builder))
        table.add_section()
    return table


def _described(builder: object) -> Text:
    what, source = _docs(builder)
    return Text.assemble(what, (source and f" ({source})", "dim"))


def suites_table(suites: Sequence[Suite]) -> RenderableType:
    """Experiments that can be run by name: their nets, lengths, and settings other than the
    defaults."""
    table = table_of(("experiment",), (), ("what it consists of, and its source",))
    usual = Experiment()
    for suite in suites:
        what = f"cells {' '.join(suite.cells)}; lengths {' '.join(map(str, suite.lengths))}"
        for name in SETTINGS:
            value = getattr(suite.base, name)
            if name not in ("name", "cell", "length") and value != getattr(usual, name):
                shown = dict(value) if name in OPTIONS else value
                what += f"; {flag_name(name)} {spelled(shown)}"
        table.add_row(suite.base.name, Text.assemble(what, (f" ({suite.source.title})", "dim")))
    return table


def published_tables() -> RenderableType:
    """The 1997 paper's experiments by task with their published results, then those that depart
    from the published ones; and the likely time of both."""
    by_task: dict[str, list[tuple[Suite, int]]] = {}
    for suite in GROUPS["1997"]:
        at_lengths = [(suite, length) for length in suite.lengths]
        by_task.setdefault(suite.base.task, []).extend(at_lengths)
    departures = table_of(("name",), ("T", "time"), ("departs from the published in",))
    header = _published_table()
    header.show_header = True
    parts: list[RenderableType] = [header]
    for task, of_task in by_task.items():
        as_written = _published_table()
        for suite, length in of_task:
            is_first = length == suite.lengths[0]
            shown = suite.base.name if is_first else ""
            time = roughly(expected_seconds(suite, length))
            row = suite.published_at(suite.cells[0], length)
            if suite.beside is not None or row is None:
                departures.add_row(shown, str(length), time, suite.departure if is_first else "")
                continue
            numbers = steps_or_dash(row.mean), percent(row.solved), steps_or_dash(row.st1)
            trials = str(suite.base.trials)
            as_written.add_row(shown, str(length), trials, *numbers, percent(row.wrong), time)
        if as_written.row_count:
            what = Text.assemble((task, "bold"), f": {_docs(TASKS[task])[0]}")
            parts += [Padding(what, (0, 0, 0, 1)), as_written]
    legend = (
        "T: length. Then as published: mean number of training sequences until success, trials "
        "solved, sequences until criterion ST1, fresh sequences that are wrong afterwards. Time: "
        "likely on two cores of an AMD EPYC server, if trials end as published (at the cap where "
        "none was solved). An unsolved trial takes ten times as long. Run one: jaxrnn sweep "
        "--experiment 6a --lengths 100."
    )
    return Group(*parts, departures, Text(legend, style="dim"))


def _published_table() -> Table:
    """A table of published results; its columns have the same width for every task."""
    table = table_of(("name",), ("T", "trials", "mean", "solved", "ST1", "wrong", "time"), ())
    for column, width in zip(table.columns, (10, 4, 6, 9, 6, 7, 7, 7), strict=False):
        column.min_width = width
    table.show_header = False
    return table


def table_of(left: Sequence[str], right: Sequence[str], last: Sequence[str]) -> Table:
    """An empty table: names at the left, numbers at the right, then words on several lines."""
    columns = [Column(name, no_wrap=True) for name in left]
    columns += [Column(name, justify="right", no_wrap=True) for name in right]
    columns += [Column(name, overflow="fold") for name in last]
    return Table(*columns, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)


def _docs(builder: object) -> tuple[str, str]:
    """First line and source of a builder's docstring."""
    text = (inspect.getdoc(builder) or "").replace("`", "")
    source = text.partition("Source:")[2].partition("\n\n")[0]
    return text.partition("\n")[0].rstrip("."), " ".join(source.split()).rstrip(".")


def expected_seconds(suite: Suite, length: int) -> float:
    """Duration of an experiment whose trials end as the published ones did on average. Where no
    published trial succeeded, all run to their cap."""
    experiment = settled(suite.at(length=length))
    published = suite.published_at(experiment.cell, length)
    steps: float = experiment.max_steps
    if published is not None and published.mean is not None:
        steps = published.mean + suite.not_counted(experiment.window)
    time_steps = task_of(experiment).num_steps * steps * experiment.trials
    cost = _COST.get(experiment.task, 1.0)
    if experiment.cell == "lstm":
        cost = _LSTM_COST[min(_LSTM_COST, key=lambda size: abs(size - experiment.hidden_size))]
    return SECONDS_A_TIME_STEP * cost * time_steps


def claims_table() -> RenderableType:
    """All published claims: their nets, their trials, and how long each took."""
    table = table_of(("experiment",), ("nets", "trials", "time"), ("statement, as printed",))
    for claim in CLAIMS.values():
        every = [suite.base for suite in claim.suites]
        trials = str(sum(one.trials for one in every))
        took = "-" if claim.minutes is None else roughly(60 * claim.minutes)
        what = Text.assemble(claim.statement, (f" ({claim.source})", "dim"))
        table.add_row(f"{PREFIX}{claim.name}", str(len(every)), trials, took, what)
    legend = (
        "Time: on two cores of an AMD EPYC server; a dash: no rows are kept. How the conditions of "
        "one differ from its paper's: jaxrnn list claim-chrono_adding. Run it: jaxrnn sweep "
        "--experiment claim-chrono_adding. Its report has a verdict by 95 % intervals: supported, "
        "not supported or undecided."
    )
    return Group(table, Text(legend, style="dim"))


def suites_of(names: Sequence[str]) -> list[Suite]:
    """The suites of some experiments and groups of them, each once."""
    suites: dict[str, Suite] = {}
    alone = SUITES | HORIZON_SUITES
    for name in names:
        if name not in GROUPS and name not in alone:
            near = difflib.get_close_matches(name, [*GROUPS, *alone], 3)
            advice = f"did you mean {' or '.join(near)}? " if near else ""
            raise InputError(
                f"unknown experiment {shown(name)}: {advice}see jaxrnn list, list 1997 and list "
                "claims"
            )
        found = GROUPS[name] if name in GROUPS else (alone[name],)
        suites |= {suite.base.name: suite for suite in found}
    return list(suites.values())
