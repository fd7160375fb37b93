"""Jobs that are trained side by side, each on a share of the devices."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jax

from jaxrnn.machine import all_devices
from jaxrnn.sweeps.work import Job, Jobs
from jaxrnn.trained import arrays_of
from jaxrnn.training.host_loop import Run, Tally

# To trace a second net takes about as long as to read the first one's program from the cache. With
# this head start the first net trains meanwhile. If the first net has to be compiled, the second is
# begun after the head start.
HEAD_START_SECONDS = 0.5


@dataclass(eq=False)
class _UnderWay:
    """A job that is trained, or is compiled while the one before it is trained."""

    job: Job
    devices: Sequence[jax.Device]
    last: bool  # whether it and those after it are taken from the end
    run: Run | None = None  # if it is begun before its turn
    ahead: "_UnderWay | None" = None  # what comes after it


class SideBySide:
    """Trains jobs on all devices of the process, as many at a time as there are devices.

    Ten lanes on one device take less device time than five lanes on each of two devices. One share
    of the devices takes jobs from the front, so that there is something to see soon; the others
    take them from the end, where the longest are as a rule. If there are fewer jobs than devices,
    each job gets several devices. Devices without a job stay idle: to compile another job's program
    for them, too, takes about as long as they would save (docs/tried.md).
    """

    def __init__(self, jobs: Jobs, begin: Callable[[Job, Sequence[jax.Device]], Run]) -> None:
        """``begin`` begins to compile a job for some devices."""
        self.jobs, self.begin = jobs, begin
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
                    # If this job has ended, there may be idle devices or new jobs.
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
            if (job := self._next(last)) is None:
                break
            begun.append(_UnderWay(job, (), last))
        if begun:
            for k, one in enumerate(begun):
                one.devices = self.idle[k :: len(begun)]
            self.idle = []
        self.under_way += begun
        return [self._train(one) for one in begun]

    def _next(self, last: bool) -> Job | None:
        """A waiting job, or one that is compiled ahead for its turn after another."""
        if (job := self.jobs.next(last)) is not None:
            return job
        for other in self.under_way:
            if other.ahead is not None:
                job, other.ahead = other.ahead.job, None
                return job
        return None

    def _train(self, one: _UnderWay) -> Iterator[Callable[[], Any]]:
        """Train a job and those that come after it; yields as :meth:`Run.train` does."""
        while True:
            self.jobs.on_start(one.job)
            run = one.run or self.begin(one.job, one.devices)
            self.idle += [device for device in one.devices if device not in run.devices]
            one.devices = run.devices

            def on_tally(tally: Tally, one: _UnderWay = one, run: Run = run) -> None:
                self._look_ahead(one)
                self.jobs.on_chunk(one.job, tally)

            yield from run.train(on_tally)
            outcomes = run.outcomes()
            weights = arrays_of(outcomes) if run.keep_params else None
            self.jobs.on_end(one.job, outcomes, weights)
            self.under_way.remove(one)
            if one.ahead is None:
                break
            one = one.ahead
            self.under_way.append(one)
        self.idle += run.devices

    def _look_ahead(self, one: _UnderWay) -> None:
        """Begin to compile what comes after it, so that it need not wait for that."""
        if one.ahead is None and (job := self.jobs.next(one.last)) is not None:
            one.ahead = _UnderWay(job, one.devices, one.last)
            with suppress(Exception):  # it is raised again when its turn has come
                one.ahead.run = self.begin(job, one.devices)
