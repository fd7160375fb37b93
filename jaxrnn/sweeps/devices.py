"""The devices of this process: which of them trains the tickets of which program, and when."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jax

from jaxrnn.experiment import Ticket
from jaxrnn.machine import all_devices
from jaxrnn.sweeps.queue import Program, Queue
from jaxrnn.sweeps.watch import Watch
from jaxrnn.training.loop import Loop, Waits
from jaxrnn.training.tickets import Tally

# To trace a second net takes about as long as to read the first one's program from the cache. With
# this head start the first net trains meanwhile. If the first net has to be compiled, the second is
# begun after the head start.
HEAD_START_SECONDS = 0.5


@dataclass(eq=False)
class _Share:
    """Some devices, and the program that they train."""

    program: Program
    devices: Sequence[jax.Device]
    last: bool  # whether this one and those after it are taken from the end
    loop: Loop | None = None  # if it is begun before its turn
    ahead: "_Share | None" = None  # what comes after it


class Devices:
    """Trains the tickets of a queue, as many programs at a time as there are devices.

    Ten lanes on one device take less device time than five lanes on each of two devices. One share
    of the devices takes programs from the front, so that there is something to see soon; the others
    take them from the end, where the longest are as a rule. If there are fewer programs than
    devices, each gets several devices. Devices without a program stay idle: to compile another's
    for them, too, takes about as long as they would save (docs/tried.md).
    """

    def __init__(
        self,
        queue: Queue,
        begin: Callable[[Program, Sequence[jax.Device]], Loop],
        watch: Watch | None = None,
    ) -> None:
        """``begin`` begins to compile a program for some devices."""
        self.queue, self.begin, self.watch = queue, begin, watch
        self.shares: list[_Share] = []  # that are trained
        self.idle = list(all_devices())

    def train(self) -> None:
        """Train all.

        This thread does all the work of the host, since a context that sets something in JAX holds
        only for its own thread; the other threads only wait.
        """
        threads = ThreadPoolExecutor(len(self.idle), "wait")
        waits: dict[Future[Any], Waits] = {}
        begun = self._begun()
        ready, others = begun[:1], begun[1:]
        try:
            while ready or waits:
                while ready:
                    one, *ready = ready
                    if (function := next(one, None)) is not None:
                        waits[threads.submit(function)] = one
                    # If a program is over, there may be idle devices; there may be new ones.
                    others += self._begun()
                head_start = HEAD_START_SECONDS if others else None
                done = wait(waits, head_start, FIRST_COMPLETED).done
                ready, others = [*map(waits.pop, done), *others], []
        finally:
            threads.shutdown(wait=False)  # an interruption need not wait for a compiler

    def _begun(self) -> list[Waits]:
        """Share the idle devices out among the programs that wait."""
        begun: list[_Share] = []
        while len(begun) < len(self.idle):
            last = any(not one.last for one in [*self.shares, *begun])
            if (program := self._next(last)) is None:
                break
            begun.append(_Share(program, (), last))
        if begun:
            for k, one in enumerate(begun):
                one.devices = self.idle[k :: len(begun)]
            self.idle = []
        self.shares += begun
        return [self._train(one) for one in begun]

    def _next(self, last: bool) -> Program | None:
        """A program that waits, or one that is compiled ahead for its turn after another."""
        if (program := self.queue.next(last)) is not None:
            return program
        for other in self.shares:
            if other.ahead is not None:
                program, other.ahead = other.ahead.program, None
                return program
        return None

    def _train(self, one: _Share) -> Waits:
        """Train a program, and what is compiled ahead meanwhile; yields as :meth:`Loop.train`
        does."""
        while True:
            first = one.program.waiting[0]
            if self.watch is not None:
                self.watch.on_start(first)
            loop = one.loop or self.begin(one.program, one.devices)
            self.idle += [device for device in one.devices if device not in loop.devices]
            one.devices = loop.devices

            def on_chunk(tally: Tally, one: _Share = one, first: Ticket = first) -> None:
                # What comes after it need not wait for the compiler then.
                if one.ahead is None and (program := self.queue.next(one.last)) is not None:
                    one.ahead = _Share(program, one.devices, one.last)
                    with suppress(Exception):  # it is raised again when its turn has come
                        one.ahead.loop = self.begin(program, one.devices)
                if self.watch is not None:
                    self.watch.on_chunk(first, tally)

            one.program.on_chunk = on_chunk
            yield from loop.train()
            if self.watch is not None:
                self.watch.on_stop(first)
            self.queue.over(one.program)
            self.shares.remove(one)
            if one.ahead is None:
                break
            one = one.ahead
            self.shares.append(one)
        self.idle += one.devices
