"""Jobs that are trained side by side, in batches, each on a share of the devices."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jax

from jaxrnn.machine import all_devices
from jaxrnn.outcome import Outcome
from jaxrnn.sweeps.work import Job, Jobs
from jaxrnn.trained import arrays_of
from jaxrnn.training.host_loop import Run
from jaxrnn.training.members import Tally

# To trace a second net takes about as long as to read the first one's program from the cache. With
# this head start the first net trains meanwhile. If the first net has to be compiled, the second is
# begun after the head start.
HEAD_START_SECONDS = 0.5

# A batch may be so much larger than an even share of what there is to do, or a small one would be
# left over.
LARGER = 1.5


@dataclass(eq=False)
class _UnderWay:
    """Jobs that are trained in one batch, or compiled while those before them are trained."""

    jobs: list[Job]
    devices: Sequence[jax.Device]
    last: bool  # whether they and those after them are taken from the end
    run: Run | None = None  # if they are begun before their turn
    ahead: "_UnderWay | None" = None  # what comes after them


class SideBySide:
    """Trains jobs on all devices of the process, as many batches at a time as there are devices.

    A batch is one job, or several that differ only in what may differ from lane to lane. Ten lanes
    on one device take less device time than five lanes on each of two devices. One share of the
    devices takes jobs from the front, so that there is something to see soon; the others take them
    from the end, where the longest are as a rule. No batch is so large that the other shares would
    have to wait for it in the end. If there are fewer batches than devices, each gets several
    devices. Devices without a job stay idle: to compile another job's program for them, too, takes
    about as long as they would save (docs/tried.md).
    """

    def __init__(
        self,
        jobs: Jobs,
        begin: Callable[[list[Job], Sequence[jax.Device]], Run],
        in_batches: bool = True,
    ) -> None:
        """``begin`` begins to compile a batch for some devices; unless ``in_batches``, it is always
        one job."""
        self.jobs, self.begin, self.in_batches = jobs, begin, in_batches
        self.under_way: list[_UnderWay] = []
        self.idle = list(all_devices())

    def run(self) -> None:
        """Train them all.

        This thread does all the work of the host, since a context that sets something in JAX holds
        only for its own thread; the other threads only wait.
        """
        threads = ThreadPoolExecutor(len(self.idle), "wait")
        waits: dict[Future[Any], Iterator[Callable[[], Any]]] = {}
        begun = self._begun()
        ready, others = begun[:1], begun[1:]
        try:
            while ready or waits:
                while ready:
                    one, *ready = ready
                    if (function := next(one, None)) is not None:
                        waits[threads.submit(function)] = one
                    # If a job has ended, there may be idle devices or new jobs.
                    ready = [*self._begun(), *ready]
                head_start = HEAD_START_SECONDS if others else None
                done = wait(waits, head_start, FIRST_COMPLETED).done
                ready, others = [*map(waits.pop, done), *others], []
        finally:
            threads.shutdown(wait=False)  # an interruption need not wait for a compiler

    def _begun(self) -> list[Iterator[Callable[[], Any]]]:
        """Share the idle devices out among the jobs that wait."""
        begun: list[_UnderWay] = []
        while len(begun) < len(self.idle):
            last = any(not one.last for one in [*self.under_way, *begun])
            if not (jobs := self._next(last, begun)):
                break
            begun.append(_UnderWay(jobs, (), last))
        if begun:
            for k, one in enumerate(begun):
                one.devices = self.idle[k :: len(begun)]
            self.idle = []
        self.under_way += begun
        return [self._train(one) for one in begun]

    def _next(self, last: bool, begun: Sequence[_UnderWay]) -> list[Job]:
        """A batch that waits, or one that is compiled ahead for its turn after another; beside
        those that are under way and those just ``begun``."""
        if jobs := self._waiting(last, [*self.under_way, *begun]):
            return jobs
        for other in self.under_way:
            if other.ahead is not None:
                jobs, other.ahead = other.ahead.jobs, None
                return jobs
        return []

    def _waiting(self, last: bool, others: Sequence[_UnderWay]) -> list[Job]:
        """The first batch that waits, or the last one, beside what the ``others`` train."""
        if (job := self.jobs.next(last)) is None or not self.in_batches:
            return [job] if job else []
        theirs = [*others, *(one.ahead for one in others if one.ahead)]
        under_way = sum(job.most_steps for one in theirs for job in one.jobs)
        num_others = len(all_devices()) - 1

        def fits(size: float, left: float) -> bool:
            return num_others * size <= LARGER * (under_way + left)

        return [job, *self.jobs.beside(job, fits)]

    def _train(self, one: _UnderWay) -> Iterator[Callable[[], Any]]:
        """Train a batch and those that come after it; yields as :meth:`Run.train` does."""
        while True:
            for job in one.jobs:
                self.jobs.on_start(job)
            run = one.run or self.begin(one.jobs, one.devices)
            self.idle += [device for device in one.devices if device not in run.devices]
            one.devices = run.devices

            def on_chunk(k: int, tally: Tally, one: _UnderWay = one) -> None:
                self._look_ahead(one)
                self.jobs.on_chunk(one.jobs[k], tally)

            def on_end(
                k: int, outcomes: list[Outcome], one: _UnderWay = one, run: Run = run
            ) -> None:
                weights = arrays_of(outcomes) if run.keep_params else None
                self.jobs.on_end(one.jobs[k], outcomes, weights)

            yield from run.train(on_chunk, on_end)
            self.under_way.remove(one)
            if one.ahead is None:
                break
            one = one.ahead
            self.under_way.append(one)
        self.idle += run.devices

    def _look_ahead(self, one: _UnderWay) -> None:
        """Begin to compile what comes after it, so that it need not wait for that."""
        others = [other for other in self.under_way if other is not one]
        if one.ahead is None and (jobs := self._waiting(one.last, others)):
            one.ahead = _UnderWay(jobs, one.devices, one.last)
            with suppress(Exception):  # it is raised again when its turn has come
                one.ahead.run = self.begin(jobs, one.devices)
