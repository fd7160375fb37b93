"""A sweep on the terminal."""

import time

from rich.console import Console
from rich.markup import escape

from jaxrnn.experiment import Experiment
from jaxrnn.results.rows import Row
from jaxrnn.results.summary import net_name, summarize
from jaxrnn.training.runner import Tally

console = Console()


class Watch:
    """Shows a sweep on the terminal: a row a finished net and length, a live line below."""

    def __init__(self, num_experiments: int) -> None:
        """Nothing is shown yet."""
        from rich.progress import BarColumn, Progress, TextColumn  # which the help does not need

        self.num_experiments, self.done = num_experiments, 0
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[status]}"),
            console=console,
            transient=True,
        )
        self.whole = self.progress.add_task("whole sweep", total=num_experiments, status="")
        self.one = self.progress.add_task("", total=1, status="", visible=False)
        # Of each experiment under way; on a cluster there are several at once.
        self.first: dict[Experiment, tuple[float, Tally]] = {}
        self.last: dict[Experiment, Tally] = {}
        self.since = time.monotonic()

    def __enter__(self) -> "Watch":
        """Begin to show it."""
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Take the live line away."""
        self.progress.stop()

    def on_chunk(self, experiment: Experiment, tally: Tally) -> None:
        """A chunk of an experiment has been read."""
        now = time.monotonic()
        then, first = self.first.setdefault(experiment, (now, tally))
        self.last[experiment] = tally
        seconds = now - then
        status = f"step {tally.step:,}  {tally.solved} solved {tally.running} running "
        status += f"{tally.diverged} diverged"
        if seconds > 0.2 and tally.step > first.step:
            left = (experiment.max_steps - tally.step) * seconds / (tally.step - first.step)
            status += f"  {(tally.trial_steps - first.trial_steps) / seconds:,.0f}/s"
            status += f"  < {duration(left)} left"
        self.progress.update(
            self.one,
            description=f"{net_name(experiment.name, experiment.cell)} T={experiment.length}",
            total=experiment.max_steps,
            completed=tally.step,
            status=status,
            visible=True,
        )

    def on_rows(self, experiment: Experiment, rows: list[Row], is_new: bool) -> None:
        """An experiment has ended, or had before this call."""
        from jaxrnn.results.report import sentence  # matplotlib is slow to import

        lines = summarize(rows)
        took = "kept from an earlier call"
        if is_new:
            now = time.monotonic()
            took = duration(now - self.since)
            self.since = now
        last = self.last.pop(experiment, None)
        if last and len(rows) > 20:  # with few there is nothing to hand on
            took += f", lanes {last.trial_steps / last.lane_steps:.0%} busy"
        self.progress.console.print(
            f"{escape(sentence(lines))}  [dim]{took}[/dim]", highlight=False
        )
        self.progress.update(self.one, visible=False)
        self.done += 1
        status = f"{self.done} of {self.num_experiments} nets and lengths"
        self.progress.update(self.whole, advance=1, status=status)


def duration(seconds: float) -> str:
    """A duration in words."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s"
