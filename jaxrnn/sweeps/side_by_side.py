"""Experiments that are trained side by side, each on a share of the devices."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

import jax

from jaxrnn.experiment import Experiment
from jaxrnn.machine import all_devices
from jaxrnn.training.host_loop import Run, Tally

# To trace a second net takes about as long as to read the first one's program from the cache: with
# a head start the first one trains meanwhile. Where it has to be compiled, the second is begun.
HEAD_START_SECONDS = 0.5


class SideBySide:
    """Trains experiments on all devices of the process, as many at a time as there are devices.

    Ten lanes on one device take less of its time than five on each of two do. The first share of
    the devices takes experiments from the front of the list, so that there is something to see
    soon; the others take them from its end, where the longest are as a rule. A share that finds no
    more hands its devices to one that is still at work.
    """

    def __init__(
        self,
        experiments: Sequence[Experiment],
        begin: Callable[[Experiment, Sequence[jax.Device]], Run],
        on_start: Callable[[Experiment], None],
        on_chunk: Callable[[Experiment, Tally], None],
        on_end: Callable[[Experiment, Run], None],
    ) -> None:
        """``begin`` begins to compile an experiment for some devices. ``on_start`` is told of it
        before, or when its turn has come where it is compiled while another trains."""
        self.begin, self.on_start, self.on_chunk, self.on_end = begin, on_start, on_chunk, on_end
        self.waiting, devices = deque(experiments), all_devices()
        num_shares = min(len(devices), len(experiments))
        self.shares = [devices[share::num_shares] for share in range(num_shares)]
        # By share, what it trains next; None where that could not be begun ahead of its turn.
        self.ahead: dict[int, tuple[Experiment, Run | None]] = {}
        self.idle: list[jax.Device] = []
        self.idle_since = 0.0

    def run(self) -> None:
        """Train them all.

        This thread does whatever the host has to do, since what a user sets in JAX by a context is
        the thread's own; the others only wait.
        """
        shares = [self._train(share) for share in range(len(self.shares))]
        ready, others = shares[:1], shares[1:]
        waits: dict[Future[Any], Iterator[Callable[[], Any]]] = {}
        threads = ThreadPoolExecutor(len(shares) or 1, "wait")
        try:
            while ready or waits:
                for one in ready:
                    if (function := next(one, None)) is not None:
                        waits[threads.submit(function)] = one
                head_start = HEAD_START_SECONDS if others else None
                done = wait(waits, head_start, FIRST_COMPLETED).done
                ready, others = [*map(waits.pop, done), *others], []
        finally:
            threads.shutdown(wait=False)  # an interruption need not wait for a compiler

    def _train(self, share: int) -> Iterator[Callable[[], Any]]:
        """Train one experiment after another; yields as :meth:`Run.train` does."""
        devices = self.shares[share]
        while (following := self._next(share)) is not None:
            experiment, run = following
            self.on_start(experiment)
            run = run or self.begin(experiment, self.shares[share])
            self._leave([device for device in self.shares[share] if device not in run.devices])

            def on_tally(tally: Tally, experiment: Experiment = experiment, run: Run = run) -> None:
                self._look_ahead(share)
                self._hand_idle_to(run)
                self.on_chunk(experiment, tally)

            yield from run.train(on_tally)
            self.on_end(experiment, run)
            devices = [*dict.fromkeys([*devices, *run.devices])]
        self._leave(devices)

    def _leave(self, devices: Sequence[jax.Device]) -> None:
        """Have nothing to do for these devices from now on."""
        if devices:
            self.idle, self.idle_since = [*dict.fromkeys([*self.idle, *devices])], time.monotonic()

    def _next(self, share: int) -> tuple[Experiment, Run | None] | None:
        if share in self.ahead:
            return self.ahead.pop(share)
        if self.waiting:
            return self._take(share), None
        for other in self.ahead:  # which has not come to it yet
            return self.ahead.pop(other)[0], None
        return None

    def _take(self, share: int) -> Experiment:
        return self.waiting.popleft() if share == 0 else self.waiting.pop()

    def _look_ahead(self, share: int) -> None:
        """Begin to compile what the share trains next, so that it need not wait for that."""
        if self.waiting and share not in self.ahead:
            experiment, run = self._take(share), None
            with suppress(Exception):  # it is raised again when its turn has come
                run = self.begin(experiment, self.shares[share])
            self.ahead[share] = experiment, run

    def _hand_idle_to(self, run: Run) -> None:
        """Let a run have the devices that nothing is left for."""
        if self.idle:
            run.widen(self.idle, time.monotonic() - self.idle_since)
            self.idle = [device for device in self.idle if device not in run.devices]
