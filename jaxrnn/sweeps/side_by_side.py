"""Jobs that are trained side by side, in batches, each on a share of the devices."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import jax

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
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

# A batch may be so much larger than the others' share of the work, or one job may be left over.
LARGER = 1.2


@dataclass(eq=False)
class _UnderWay:
    """Jobs that are trained in one batch, or compiled while those before them are trained."""

    jobs: list[Job]
    devices: Sequence[jax.Device]
    last: bool  # whether they and those after them are taken from the end
    run: Run | None = None  # if they are begun before their turn
    ahead: "_UnderWay | None" = None  # what comes after them
    over: int = 0  # time steps of those that have ended
    is_trained: bool = False  # whether a chunk has been read
    # Those that were announced: one before it is compiled, the others with their first chunk.
    begun: set[int] = field(default_factory=set)

    @property
    def most_steps(self) -> int:
        """The time steps that are left if each trial goes on to its cap, about."""
        return sum(job.most_steps for job in self.jobs) - self.over


class SideBySide:
    """Trains jobs on all devices of the process, as many batches at a time as there are devices.

    A batch is one job, or several that differ only in what may differ from lane to lane. Ten lanes
    on one device take less device time than five lanes on each of two devices. One share of the
    devices takes jobs from the front, so that there is something to see soon; the others take them
    from the end, where the longest are as a rule. No batch is much larger than what the other
    shares have to do, if every trial goes on to its cap. If there are fewer batches than devices,
    each gets several devices. Devices without a job stay idle: to compile another job's program for
    them, too, takes about as long as they would save (docs/tried.md).
    """

    def __init__(
        self,
        jobs: Jobs,
        begin: Callable[[list[Job], Sequence[jax.Device]], Run],
        most_trials: Callable[[Experiment], int],
    ) -> None:
        """``begin`` begins to compile a batch for some devices. Jobs are put together up to
        ``most_trials`` of an experiment."""
        self.jobs, self.begin, self.most_trials = jobs, begin, most_trials
        self.under_way: list[_UnderWay] = []
        self.apart: list[Job] = []  # of batches that were refused, to be trained one by one
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
        if self.apart:
            return [self.apart.pop(0)]
        if (job := self.jobs.next(last)) is None:
            return []
        most_trials = self.most_trials(job.experiment)
        theirs = [*others, *(one.ahead for one in others if one.ahead)]
        under_way = sum(one.most_steps for one in theirs)
        num_others = len(all_devices()) - 1

        def fits(jobs: Sequence[Job], left: float) -> bool:
            steps = sum(one.most_steps for one in jobs)
            return sum(
                len(one.trials) for one in jobs
            ) <= most_trials and num_others * steps <= LARGER * (under_way + left)

        return [job, *self.jobs.beside(job, fits)]

    def _train(self, one: _UnderWay) -> Iterator[Callable[[], Any]]:
        """Train a batch and those that come after it; yields as :meth:`Run.train` does."""
        while True:
            if not one.begun:
                self._begin(one, 0)
            try:
                yield from self._trained(one)
            except InputError:
                if one.is_trained or len(one.jobs) == 1:
                    raise
                # One of them may be bad, or all together need too much memory.
                self.apart += one.jobs[1:]
                one.jobs, one.run = one.jobs[:1], None
                continue
            self.under_way.remove(one)
            if one.ahead is None:
                break
            one = one.ahead
            self.under_way.append(one)
        self.idle += one.devices

    def _begin(self, one: _UnderWay, k: int) -> None:
        one.begun.add(k)
        self.jobs.on_start(one.jobs[k])

    def _trained(self, one: _UnderWay) -> Iterator[Callable[[], Any]]:
        """Train a batch."""
        run = one.run or self.begin(one.jobs, one.devices)
        self.idle += [device for device in one.devices if device not in run.devices]
        one.devices = run.devices

        def on_chunk(k: int, tally: Tally) -> None:
            one.is_trained = True
            self._look_ahead(one)
            if k not in one.begun:
                self._begin(one, k)
            self.jobs.on_chunk(one.jobs[k], tally)

        def on_end(k: int, outcomes: list[Outcome]) -> None:
            one.over += one.jobs[k].most_steps
            weights = arrays_of(outcomes) if run.keep_params else None
            self.jobs.on_end(one.jobs[k], outcomes, weights)

        yield from run.train(on_chunk, on_end)

    def _look_ahead(self, one: _UnderWay) -> None:
        """Begin to compile what comes after it, so that it need not wait for that."""
        others = [other for other in self.under_way if other is not one]
        if one.ahead is None and (jobs := self._waiting(one.last, others)):
            one.ahead = _UnderWay(jobs, one.devices, one.last)
            with suppress(Exception):  # it is raised again when its turn has come
                one.ahead.run = self.begin(jobs, one.devices)
