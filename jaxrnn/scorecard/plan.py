"""What a scorecard is about to train, and how long that may take."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.text import Text

from jaxrnn.experiment import Experiment
from jaxrnn.problems import settled
from jaxrnn.report.render import TableRow, console, terminal_table
from jaxrnn.scorecard.nets import sizes
from jaxrnn.scorecard.protocol import Protocol, searches
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.watch import roughly
from jaxrnn.training.parts import parts_of
from jaxrnn.training.runner import run_trials

HEADINGS = ("net", "units", "weights", "state", "trials", "time")

NUM_TIMED, TIMED_UPDATES = 8, 10  # chunks, and updates of each


def trials_left(
    nets: Sequence[Experiment], protocol: Protocol, search: RunDirectory, report: RunDirectory
) -> dict[Experiment, int]:
    """The nets of which trials are still to be trained, and how many these are: those of the search
    and those that are reported."""
    held = [(row.experiment.cell, row.experiment.task) for row in report.rows]
    left = {}
    for net in nets:
        sought = (len(search.missing(settled(one))) for one in searches(net, protocol))
        left[net] = sum(sought) + max(0, protocol.trials - held.count((net.cell, net.task)))
    return {net: trials for net, trials in left.items() if trials}


def show_plan(
    left: Mapping[Experiment, int], protocol: Protocol, lanes: int | None, timed: bool = True
) -> None:
    """Show on the terminal what will be trained of each cell and, if ``timed``, about how long
    that takes if no trial is solved. For this a net of each cell is timed for a few seconds."""
    if not left:
        return
    rows, whole = [], 0.0
    for cell in dict.fromkeys(net.cell for net in left):
        nets = [net for net in left if net.cell == cell]
        shown = {"net": cell} | sizes(nets) | {"trials": f"{sum(left[net] for net in nets):,}"}
        if timed:
            of_one = seconds_a_time_step(searches(nets[0], protocol)[-1], lanes)
            seconds = sum(of_one * _time_steps(net, protocol) * left[net] for net in nets)
            shown["time"], whole = roughly(seconds), whole + seconds
        rows.append(TableRow(shown, None))
    words = "State: the numbers that a net carries from one time step to the next."
    if timed:
        words += (
            f" Time: about {roughly(whole)} in all if no trial is solved, by a short timing on "
            "this machine. Trials that are solved end sooner."
        )
    console.print(terminal_table(rows, HEADINGS[: len(HEADINGS) - (not timed)]))
    console.print(Text(words, style="dim"))


def _time_steps(net: Experiment, protocol: Protocol) -> int:
    """Of one trial, if it is not solved."""
    return parts_of(net).task.num_steps * protocol.max_steps


def seconds_a_time_step(experiment: Experiment, lanes: int | None = None) -> float:
    """Seconds that a time step of one trial takes in training, if all are trained at once; compiles
    its program."""
    sequences = NUM_TIMED * TIMED_UPDATES * experiment.batch_size
    seen = [(time.monotonic(), 0)]
    run_trials(
        replace(experiment, max_steps=sequences, window=sequences),
        lanes=lanes,
        chunk_steps=TIMED_UPDATES,
        on_chunk=lambda tally: seen.append((time.monotonic(), tally.trial_steps)),
    )
    # The first chunk waits for the compiler, unless there is only one.
    (start, first), (end, last) = seen[min(1, len(seen) - 2)], seen[-1]
    return (end - start) / (last - first) / parts_of(experiment).task.num_steps
