"""The sweep on Dask distributed: each experiment a job on a worker, every file the driver's."""

import asyncio
import logging
import pickle
import queue
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Ticket
from jaxrnn.machine import device
from jaxrnn.names import Sources, carried, sources
from jaxrnn.outcome import Outcome
from jaxrnn.rounding import made_with
from jaxrnn.store.archives import CheckpointFile
from jaxrnn.sweeps.queue import Queue
from jaxrnn.trained import arrays_of
from jaxrnn.training.runner import prepare
from jaxrnn.training.tickets import Arrays, Ended, Tally, Tickets

CONNECT_SECONDS = 8.0
TALLY_SECONDS = 0.2  # between two tallies of a job, to spare the scheduler
SAVED, ENDED = "saved", "ended"

is_driving = False
"""Whether this process has something on a scheduler that it has to delete before it goes."""

_one_job = Lock()  # a worker process has one set of devices, however many threads


class _State(NamedTuple):
    """How far a job is."""

    under_way: Mapping[Ticket, Arrays]  # its checkpoint
    ended: dict[Ticket, Outcome]  # without the parameters
    weights: dict[Ticket, dict[str, np.ndarray]]  # of those that have ended, if they are kept
    made_on: tuple[dict[str, str], str] | None = None  # the worker's versions and device


@dataclass
class _Job:
    """Tickets that a worker has, or will have."""

    tickets: list[Ticket]
    checkpoint: CheckpointFile
    variable: Any  # Dask's, with its state
    future: Any = None
    has_saved: bool = False  # since it was last submitted


def train_on_dask(tickets: Queue, address: str, options: Mapping[str, Any]) -> None:
    """Train all tickets of a queue on the workers of the scheduler at ``address``; the ``options``
    are those of :func:`jaxrnn.training.runner.prepare`.

    The tickets of an experiment are a job. All jobs are submitted at once and wait on the
    scheduler, so they end in any order. One whose worker dies goes on elsewhere from its last
    checkpoint. Files of users' own parts (``file.py:name``) are sent to the workers as they are
    here. Files that they import, and the modules of ``module:name``, have to be there already.
    Raises InputError where no scheduler answers at ``address`` (``tcp://host:port``), where it goes
    away, where worker after worker dies under a job, and for a job's InputError.
    """
    global is_driving
    if not (new := list(tickets.jobs())):
        return
    with _connected(address) as client:
        from distributed import KilledWorker, Variable

        sweep = f"jaxrnn-{uuid.uuid4().hex}"
        news: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()  # number of a job, what
        client.subscribe_topic(sweep, lambda event: news.put(event[1]))

        files: dict[str, bytes] = {}  # as they were when they were first sent

        def submit(number: int, job: _Job) -> Any:
            with carried(files):
                own = sources([job.tickets[0].experiment])
            files.update(own)
            sent = job.tickets, str(job.checkpoint.path), own, options
            future = client.submit(_train, *sent, sweep, number, pure=False)
            future.add_done_callback(lambda _: news.put((number, ENDED)))
            return future

        def take(job: _Job, state: _State) -> None:
            if state.ended and state.made_on is not None:  # before their rows are written
                tickets.directory.made_on(*state.made_on)
            tickets.add(state.ended, state.weights)
            if state.under_way:
                job.checkpoint.save(state.under_way)

        jobs: list[_Job] = []
        under_way: dict[int, _Job] = {}
        is_driving = True
        try:
            while new or under_way:
                for some, checkpoint in new:
                    number = len(jobs)
                    job = _Job(some, checkpoint, Variable(f"{sweep}-{number}", client))
                    saved = {one: at for one, at in checkpoint.load().items() if one in some}
                    job.variable.set(pickle.dumps(_State(saved, {}, {})))
                    jobs.append(job)
                    under_way[number], job.future = job, submit(number, job)
                waiting = [news.get(), *(news.get() for _ in range(news.qsize()))]
                for number, what in dict.fromkeys(waiting):  # of many checkpoints the last counts
                    if (one := under_way.get(number)) is None:
                        continue  # a straggler of a job that has ended
                    if what == SAVED:
                        take(one, pickle.loads(one.variable.get()))
                        one.has_saved = True
                    elif what != ENDED:
                        tickets.shown(one.tickets[0], Tally(*what))
                    elif not isinstance(one.future.exception(), KilledWorker):
                        take(one, one.future.result())
                        tickets.stopped(one.tickets[0], one.checkpoint)
                        del under_way[number]
                    elif one.has_saved:  # Dask gives up after some deaths
                        one.has_saved, one.future = False, submit(number, one)
                    else:
                        own = one.tickets[0].experiment
                        raise InputError(
                            f"{own.cell} at length {own.length} is given up, too many workers died "
                            "before its next checkpoint: see their logs"
                        )
                new = list(tickets.jobs())
        finally:
            is_driving = False
            for job in jobs:
                job.variable.delete()


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """A client of the scheduler; InputError if there is none or it goes away."""
    try:
        from distributed import CancelledError, Client
        from distributed.comm import CommClosedError
    except ImportError:
        raise InputError(
            "the sweep on Dask needs distributed: in jaxrnn's clone, pip install -e '.[dask]'"
        ) from None
    with ThreadPoolExecutor(1) as thread:  # whose event loop is ours, in a notebook too
        fault = thread.submit(lambda: asyncio.run(_fault(address))).result()
    if fault:
        raise InputError(f"no Dask scheduler at {address!r}: {fault}")
    log = logging.getLogger("distributed.client")
    level = log.level
    # A client that loses its scheduler logs a traceback; here it is one sentence instead.
    log.setLevel(logging.CRITICAL)
    try:
        with Client(address, timeout=CONNECT_SECONDS, set_as_default=False) as client:
            yield client
    except (CancelledError, CommClosedError):
        raise InputError(
            f"lost the Dask scheduler at {address!r}: the same command goes on from here"
        ) from None
    finally:
        log.setLevel(level)


async def _fault(address: str) -> str | None:
    """Why an address is not a scheduler's; a Client would wait for a silent one without end."""
    from distributed import Security, rpc

    try:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as peer:
            identity = await asyncio.wait_for(peer.identity(), CONNECT_SECONDS)
    except TimeoutError:
        return f"nobody answered for {CONNECT_SECONDS:.0f} s"
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        return str(error)
    return None if identity["type"] == "Scheduler" else f"it is a {identity['type']}'s address"


def _train(
    tickets: list[Ticket],
    path: str,
    files: Sources,
    options: Mapping[str, Any],
    sweep: str,
    number: int,
) -> _State:
    """Run a job on this worker, from its newest checkpoint; its state."""
    with _one_job, carried(files):
        line = _Line(sweep, number, path, options["keep_params"])
        if left := [one for one in tickets if one not in line.state.ended]:
            job = Tickets(deque(left), line.on_chunk, line.on_end, line)
            for _ in prepare(job, **options).train():
                pass  # there is nothing else to do meanwhile
        if line.tally is not None:  # as where every trial had ended in the checkpoint already
            line.tell(line.tally)
        return line.state


class _Line:
    """A job's line to its driver: tallies as events, the checkpoint in a Dask Variable."""

    def __init__(self, sweep: str, number: int, path: str, keeps_weights: bool) -> None:
        from distributed import Variable, get_client, get_worker

        self.sweep, self.number, self.path = sweep, number, path  # path: the driver's
        self.keeps_weights = keeps_weights
        self.worker, self.client = get_worker(), get_client()
        self.key = self.worker.get_current_task()
        self.variable = Variable(f"{sweep}-{number}", self.client)
        self.tally: Tally | None = None  # after the newest chunk
        self.told = 0.0  # when
        self.stop_if_unwanted()
        state: _State = pickle.loads(self.variable.get("30 s"))
        self.state = state._replace(made_on=(made_with(), device()))

    def on_chunk(self, tally: Tally) -> None:
        self.tally = tally
        if time.monotonic() - self.told >= TALLY_SECONDS:
            self.tell(tally)
            self.told = time.monotonic()

    def on_end(self, ended: Ended) -> None:
        """Keep the outcomes. The weights are sent as arrays by name, so the driver does not need
        the classes of their tree."""
        for ticket, outcome in ended:
            self.state.ended[ticket] = replace(outcome, params=None)
            if self.keeps_weights:
                self.state.weights[ticket] = arrays_of(outcome.params)
        self.state = self.state._replace(under_way={})  # until the next save

    def tell(self, what: Any) -> None:
        self.worker.log_event(self.sweep, (self.number, what))

    def load(self) -> Mapping[Ticket, Arrays]:
        return self.state.under_way

    def save(self, under_way: Mapping[Ticket, Arrays]) -> None:
        self.stop_if_unwanted()
        self.state = self.state._replace(under_way=under_way)
        self.variable.set(pickle.dumps(self.state))
        self.tell(SAVED)

    def stop_if_unwanted(self) -> None:
        """End this job if its driver is gone or another worker has it now: Dask cannot do this."""
        from distributed import Reschedule

        if self.key not in self.client.processing().get(self.worker.address, ()):
            raise Reschedule
