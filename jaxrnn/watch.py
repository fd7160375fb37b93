"""A sweep on the terminal."""

import time
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from jaxrnn.experiment import Experiment
from jaxrnn.results.config import shortened
from jaxrnn.results.rows import Row
from jaxrnn.results.summary import net_name, summarize
from jaxrnn.training.runner import Tally

console = Console()

NAME_WIDTH = 32
"""Of a net in the live view; bar and time left stand beside it in 80 columns."""


class _Bars(Progress):
    """Bars, and below them a line of words as wide as the terminal."""

    words = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.words:
            yield Text(self.words, no_wrap=True, overflow="ellipsis")


class Watch:
    """Shows a sweep on the terminal: a row a finished net and length, live lines below."""

    def __init__(self, num_experiments: int) -> None:
        """Nothing is shown yet."""
        self.num_experiments, self.done = num_experiments, 0
        self.progress = _Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[status]}"),
            console=console,
            transient=True,
        )
        status = f"0 of {num_experiments} nets and lengths"
        self.whole = self.progress.add_task("whole sweep", total=num_experiments, status=status)
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
        """Take the live lines away."""
        self.progress.stop()

    def on_start(self, experiment: Experiment) -> None:
        """An experiment's program is about to be compiled, until its first chunk is read."""
        self.progress.remove_task(self.one)
        # Without a total its bar shows that it lives.
        name = _shown(experiment)
        self.one = self.progress.add_task(name, total=None, status="compiling")

    def on_chunk(self, experiment: Experiment, tally: Tally) -> None:
        """A chunk of an experiment has been read."""
        now = time.monotonic()
        then, first = self.first.setdefault(experiment, (now, tally))
        self.last[experiment] = tally
        words = f"step {tally.step:,}: {tally.solved} solved, {tally.running} running"
        words += f", {tally.diverged} diverged" if tally.diverged else ""
        seconds, steps, status = now - then, tally.steps_taken - first.steps_taken, ""
        if seconds > 0.2 and steps:
            words += f"; {(tally.trial_steps - first.trial_steps) / seconds:,.0f} steps a second"
            # No step takes longer than those before: lanes only become fewer.
            status = f"at most {duration(tally.steps_left * seconds / steps)} left"
        self.progress.words = words
        self.progress.update(
            self.one,
            description=_shown(experiment),
            total=tally.steps_taken + tally.steps_left,
            completed=tally.steps_taken,
            status=status,
            visible=True,
        )

    def on_rows(self, experiment: Experiment, rows: list[Row], is_new: bool) -> None:
        """An experiment has ended, or had before this call."""
        from jaxrnn.results.report import sentence  # matplotlib is slow to import

        took = "kept from an earlier call"
        if is_new:
            now = time.monotonic()
            took = duration(now - self.since)
            self.since = now
        last = self.last.pop(experiment, None)
        if last and len(rows) > 20:  # with few there is nothing to hand on
            took += f", lanes {last.trial_steps / last.lane_steps:.0%} busy"
        text = sentence(summarize(rows), self.progress.console.width - len(took) - 2)
        line = Text.assemble(text, (f"  {took}", "dim"))
        self.progress.console.print(line, no_wrap=True, overflow="ellipsis")
        self.progress.words = ""
        self.progress.update(self.one, visible=False)
        self.done += 1
        status = f"{self.done} of {self.num_experiments} nets and lengths"
        self.progress.update(self.whole, advance=1, status=status)


def _shown(experiment: Experiment) -> str:
    """Net and length in the live view."""
    length = f" T={experiment.length}"
    return shortened(net_name(experiment.name, experiment.cell), NAME_WIDTH - len(length)) + length


def duration(seconds: float) -> str:
    """A duration in words."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 600:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes / 60:.0f} h"
