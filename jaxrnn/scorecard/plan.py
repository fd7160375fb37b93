"""What a horizon is about to train, and how long that may take."""

from collections.abc import Mapping
from typing import NamedTuple

from rich.text import Text

from jaxrnn.experiment import Experiment
from jaxrnn.names import own_names
from jaxrnn.report.render import TableRow, console, terminal_table
from jaxrnn.scorecard.nets import sizes
from jaxrnn.sweeps.watch import roughly
from jaxrnn.training.runner import seconds_a_time_step

HEADINGS = ("net", "units", "weights", "state", "trials", "time")


class Left(NamedTuple):
    """What is still to be trained of a net."""

    trials: int
    time_steps: float  # of all of them
    like: Experiment  # what is timed for it


def show_plan(
    left: Mapping[Experiment, Left], how: str, lanes: int | None, timed: bool = True
) -> None:
    """Show on the terminal what will be trained of each cell and, if ``timed``, about how long
    that takes, ``how`` the steps are counted. For this a net of each cell is timed for a few
    seconds."""
    if not left:
        return
    rows, whole = [], 0.0
    for cell in dict.fromkeys(net.cell for net in left):
        of_cell = {net: one for net, one in left.items() if net.cell == cell}
        trials = sum(one.trials for one in of_cell.values())
        shown = {"net": cell} | sizes(of_cell, own_names(of_cell)) | {"trials": f"{trials:,}"}
        if timed:
            first, *_ = of_cell.values()
            steps = sum(one.time_steps for one in of_cell.values())
            seconds = seconds_a_time_step(first.like, lanes=lanes) * steps
            shown["time"], whole = roughly(seconds), whole + seconds
        rows.append(TableRow(shown, None))
    words = "State: the numbers that a net carries from one time step to the next."
    if timed:
        words += f" Time: about {roughly(whole)} in all {how}, by a short timing on this machine."
    console.print(terminal_table(rows, HEADINGS[: len(HEADINGS) - (not timed)]))
    console.print(Text(words, style="dim"))
