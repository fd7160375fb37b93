"""Tables of all names and experiments, 80 columns wide, and the likely cost of experiments."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from jaxrnn.errors import InputError
from jaxrnn.experiment import OPTIONS, Experiment, flag_name
from jaxrnn.nets import CELLS, INITIALIZERS
from jaxrnn.problems import SUITES, TASKS, Suite, settled
from jaxrnn.report.table import percent, steps_or_dash
from jaxrnn.store.config import spelled
from jaxrnn.sweeps.watch import roughly
from jaxrnn.training.objectives import MEASURES, OBJECTIVES
from jaxrnn.training.optimizers import OPTIMIZERS, SCHEDULES
from jaxrnn.training.parts import num_weights, parts_of, state_size
from jaxrnn.training.runner import seconds_a_time_step

# Rough cost of one time step of one trial, tests included, as a multiple of that of the timed
# experiment, as once measured: for the LSTM by its number of units, for other nets by the task.
_TIMED, _TRIALS, _STEPS, _CHUNK = "6a", 20, 1500, 150
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


def cells_table() -> RenderableType:
    """Every cell: its weights and its state at one size, what it is and where it comes from."""
    table = table_of(("cell",), ("weights", "state"), ("what it is, and its source",))
    for name, builder in CELLS.items():
        table.add_row(f"  {name}", *_sizes(name), _described(builder))
    legend = (
        "Weights and state of a net with 8 inputs, 16 units and 8 outputs. State: the numbers that "
        "it carries from one time step to the next. A dash: the cell needs other sizes or options."
    )
    return Group(table, Text(legend, style="dim"))


def _sizes(cell: str) -> tuple[str, str]:
    """The weights and the state of a cell at the size of the list."""
    try:
        # The notebook's task has as many inputs and outputs as time steps.
        net = Experiment(cell=cell, length=8, hidden_size=16)
        return f"{num_weights(net):,}", f"{state_size(net):,}"
    except InputError:
        return "-", "-"


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
    for suite in suites:
        what = f"cells {' '.join(suite.cells)}; lengths {' '.join(map(str, suite.lengths))}"
        for field in fields(Experiment):
            value = getattr(suite.base, field.name)
            is_own = field.compare and value != field.default  # a note is no setting
            if field.name not in ("name", "cell", "length") and is_own:
                shown = dict(value) if field.name in OPTIONS else value
                what += f"; {flag_name(field.name)} {spelled(shown)}"
        table.add_row(suite.base.name, Text.assemble(what, (f" ({suite.source.title})", "dim")))
    return table


def published_tables(suites: Sequence[Suite], seconds: float | None = None) -> RenderableType:
    """Experiments by task with their published results, then those that depart from the published
    ones; and the likely cost of both on this machine.

    ``seconds`` is what :func:`seconds_of_the_timed` gave, None for no costs.
    """
    cost = () if seconds is None else ("likely\ncost",)
    by_task: dict[str, list[Suite]] = {}
    for suite in suites:
        by_task.setdefault(suite.base.task, []).append(suite)
    departures = table_of(("name",), ("T", *cost), ("departs from the published in",))
    header = _published_table(cost)
    header.show_header = True
    parts: list[RenderableType] = [header]
    for task, of_task in by_task.items():
        as_written = _published_table(cost)
        for suite in of_task:
            _add_suite(suite, seconds, as_written, departures)
        if as_written.row_count:
            what = Text.assemble((task, "bold"), f": {_docs(TASKS[task])[0]}")
            parts += [Padding(what, (0, 0, 0, 1)), as_written]
    legend = (
        "T: length; the first is the default, the others by --length. Then as published: mean "
        "number of training sequences until success, trials solved, sequences until criterion "
        "ST1, fresh sequences that are wrong afterwards. "
    )
    if seconds is None:
        legend += "What each is likely to cost on this machine: jaxrnn paper --cost."
    else:
        legend += (
            "Likely cost: on this machine, as timed just now, if trials end as published (at the "
            "cap where none was solved). An unsolved trial takes ten times as long."
        )
    return Group(*parts, departures, Text(legend, style="dim"))


def _published_table(cost: Sequence[str]) -> Table:
    """A table of published results; its columns have the same width for every task."""
    table = table_of(("name",), ("T", "trials", "mean", "solved", "ST1", "wrong", *cost), ())
    for column, width in zip(table.columns, (10, 4, 6, 9, 6, 7, 7, 7), strict=False):
        column.min_width = width
    table.show_header = False
    return table


def _add_suite(suite: Suite, seconds: float | None, as_written: Table, departures: Table) -> None:
    """Add the suite's lengths as rows to one of the two tables."""
    for length in suite.lengths:
        is_first = length == suite.lengths[0]
        shown = suite.base.name if is_first else ""
        cost = () if seconds is None else (roughly(expected_seconds(suite, length, seconds)),)
        row = suite.published_at(suite.cells[0], length)
        if suite.beside is not None or row is None:
            departures.add_row(shown, str(length), *cost, suite.departure if is_first else "")
            continue
        numbers = steps_or_dash(row.mean), percent(row.solved), steps_or_dash(row.st1)
        trials = str(suite.base.trials)
        as_written.add_row(shown, str(length), trials, *numbers, percent(row.wrong), *cost)


def table_of(left: Sequence[str], right: Sequence[str], last: Sequence[str]) -> Table:
    """An empty table: names at the left, numbers at the right, then words on several lines."""
    columns = [Column(name, no_wrap=True) for name in left]
    columns += [Column(name, justify="right", no_wrap=True) for name in right]
    return Table(*columns, *last, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)


def _docs(builder: object) -> tuple[str, str]:
    """First line and source of a builder's docstring."""
    text = (inspect.getdoc(builder) or "").replace("`", "")
    source = text.partition("Source:")[2].partition("\n\n")[0]
    return text.partition("\n")[0].rstrip("."), " ".join(source.split()).rstrip(".")


def seconds_of_the_timed() -> float:
    """Seconds that a time step of a trial of experiment 6a takes in training; measures for a
    while."""
    timed = SUITES[_TIMED].at(trials=_TRIALS)
    return seconds_a_time_step(timed, updates=_STEPS, chunk=_CHUNK)


def expected_seconds(suite: Suite, length: int, seconds: float) -> float:
    """Duration of an experiment whose trials end as the published ones did on average.

    ``seconds`` is what :func:`seconds_of_the_timed` gave. Where no published trial succeeded, all
    run to their cap.
    """
    experiment = settled(suite.at(length=length))
    published = suite.published_at(experiment.cell, length)
    steps: float = experiment.max_steps
    if published is not None and published.mean is not None:
        steps = published.mean + suite.not_counted(experiment.window)
    time_steps = parts_of(experiment).task.num_steps * steps * experiment.trials
    return seconds * _relative_cost(experiment) * time_steps


def _relative_cost(experiment: Experiment) -> float:
    if experiment.cell == "lstm":
        return _LSTM_COST[min(_LSTM_COST, key=lambda size: abs(size - experiment.hidden_size))]
    return _COST.get(experiment.task, 1.0)
