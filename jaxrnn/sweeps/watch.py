"""A sweep on the terminal."""

import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from jaxrnn.experiment import Experiment, Ticket
from jaxrnn.problems import settled
from jaxrnn.report.render import console, shortened
from jaxrnn.report.summary import net_name, summarize
from jaxrnn.report.table import sentence
from jaxrnn.store.rows import Row
from jaxrnn.training.tickets import Tally

NAME_WIDTH = 28
"""Width of a net's name in the live view; in 80 columns this leaves room for bar and time left."""


MOST_BARS = 8
"""Programs under way that have a bar in the live view."""


class _Bars(Progress):
    """Bars, and below them a line of words as wide as the terminal."""

    words = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        shown = self.tasks[: 1 + MOST_BARS]
        yield self.make_tasks_table(shown)
        if len(shown) < len(self.tasks):
            yield Text(f"and {len(self.tasks) - len(shown)} more")
        if self.words:
            yield Text(self.words, no_wrap=True, overflow="ellipsis")


class _Seen(NamedTuple):
    """A program under way, one of several as a rule."""

    bar: TaskID
    tallies: tuple[tuple[float, Tally], ...] = ()  # the first and the last one, and their times

    def since_first(self) -> tuple[float, int, int]:
        """From the first tally to the last: seconds, steps of each lane, steps of all trials."""
        if not self.tallies:
            return 0, 0, 0
        (then, before), (now, tally) = self.tallies[0], self.tallies[-1]
        steps = tally.trial_steps - before.trial_steps
        return now - then, tally.steps_taken - before.steps_taken, steps


LINE_SECONDS = 60.0
"""Time between two lines about the progress, if there is no terminal."""


class Watch:
    """Shows a sweep on the terminal: one row per finished net and length, live lines below.

    If the output is not a terminal, there are no live lines, but these rows and one line per
    minute.
    """

    def __init__(self) -> None:
        """Nothing is shown yet, and nothing expected."""
        self.expected = self.done = 0
        self.of = "nets and lengths"  # what it counts
        self.over = threading.Event()
        self.progress = _Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[status]}"),
            console=console,
            transient=True,
        )
        self.whole = self.progress.add_task("whole sweep", total=0, status=self._how_far())
        self.seen: dict[Ticket, _Seen] = {}  # by the first ticket of the program
        self.begun: dict[Experiment, float] = {}  # when each program was, by Experiment.batch()
        self.since = time.monotonic()

    def __enter__(self) -> "Watch":
        """Begin to show it."""
        self.progress.start()
        if not (console.is_terminal or console.is_jupyter):
            threading.Thread(target=self._say_each_minute, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Take the live lines away."""
        self.over.set()
        self.progress.stop()

    def expect(self, number: int, of: str = "") -> None:
        """Add to the number of experiments, or of other things."""
        self.expected += number
        self.of = of or self.of
        self.progress.update(self.whole, total=self.expected, status=self._how_far())

    def _how_far(self) -> str:
        return f"{self.done} of {self.expected} {self.of}"

    def _say_each_minute(self) -> None:
        while not self.over.wait(LINE_SECONDS):
            words = [self._how_far(), *filter(None, [self.progress.words])]
            self.progress.console.print("; ".join(words), style="dim", highlight=False)

    def on_start(self, first: Ticket) -> None:
        """The program of this ticket and others is about to be compiled, until its first chunk is
        read."""
        # Without a total its bar shows that it lives.
        bar = self.progress.add_task(_shown(first.experiment), total=None, status="compiling")
        self.seen[first] = _Seen(bar)
        self.begun[first.experiment.batch()] = time.monotonic()

    def on_chunk(self, first: Ticket, tally: Tally) -> None:
        """A chunk of a program has been read."""
        if first not in self.seen:
            self.on_start(first)
        seen = self.seen[first]
        seen = seen._replace(tallies=(*seen.tallies[:1], (time.monotonic(), tally)))
        self.seen[first] = seen
        seconds, steps, _ = seen.since_first()
        status = f"step {tally.step:,}"
        if seconds > 0.2 and steps:
            # Steps do not become slower, since the number of lanes only falls.
            status += f", at most {duration(tally.steps_left * seconds / steps)} left"
        self.progress.update(
            seen.bar,
            total=tally.steps_taken + tally.steps_left,
            completed=tally.steps_taken,
            status=status,
        )
        self._sum_up()

    def on_stop(self, first: Ticket) -> None:
        """A program is not trained any more."""
        if (seen := self.seen.pop(first, None)) is not None:
            self.progress.remove_task(seen.bar)
        self._sum_up()

    def _sum_up(self) -> None:
        """The line of words: trials and speed of all programs under way."""
        tallies = [seen.tallies[-1][1] for seen in self.seen.values() if seen.tallies]
        solved, running, diverged = (
            sum(getattr(tally, name) for tally in tallies)
            for name in ("solved", "running", "diverged")
        )
        words = f"{solved} solved, {running} running" + f", {diverged} diverged" * (diverged > 0)
        measured = [seen.since_first() for seen in self.seen.values()]
        if speed := sum(steps / seconds for seconds, _, steps in measured if seconds > 0.2):
            words += f"; {speed:,.0f} steps a second"
        self.progress.words = words if tallies else ""

    def on_rows(self, experiment: Experiment, rows: list[Row], is_new: bool) -> None:
        """An experiment has ended, or had before this call."""
        took = "from an earlier call"
        if is_new:
            begun = self.begun.get(settled(experiment).batch(), self.since)
            took, self.since = duration(time.monotonic() - begun), time.monotonic()
        room = self.progress.console.width - len(took) - 2
        text = sentence(summarize(rows), room) if rows else f"{_shown(experiment)} goes on"
        line = Text.assemble(text, (f"  {took}", "dim"))
        self.progress.console.print(line, no_wrap=True, overflow="ellipsis")
        self._count()

    def on_found(self, words: str, is_new: bool) -> None:
        """A search has ended; it is shown unless it had before this call, or has nothing to say."""
        if words and is_new:
            self.progress.console.print(Text(words), no_wrap=True, overflow="ellipsis")
        self._count()

    def _count(self) -> None:
        self.done += 1
        self.progress.update(self.whole, advance=1, status=self._how_far())


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


def roughly(seconds: float) -> str:
    """A duration to two digits."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            count = seconds / size
            return f"{count:.0f} {unit}" if count >= 9.5 else f"{count:.1f} {unit}"
    return f"{seconds:.0f} s"
