"""The sweep on Dask distributed: each experiment a job on a worker, every file the driver's."""

import asyncio
import logging
import pickle
import queue
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.machine import device, versions
from jaxrnn.names import Sources, carried, sources
from jaxrnn.outcome import Outcome
from jaxrnn.sweeps.work import Job, Jobs
from jaxrnn.trained import arrays_of
from jaxrnn.training.members import Tally
from jaxrnn.training.runner import run_trials

CONNECT_SECONDS = 8.0
TALLY_SECONDS = 0.2  # between two tallies of a job, to spare the scheduler
SAVED, ENDED = "saved", "ended"

is_driving = False
"""Whether this process has something on a scheduler that it has to delete before it goes."""

_one_job = Lock()  # a worker process has one set of devices, however many threads


@dataclass
class _Submitted:
    """A job that a worker has, or will have."""

    job: Job
    variable: Any  # Dask's, with its checkpoint
    future: Any
    has_saved: bool = False  # since it was last submitted


def train_on_dask(
    jobs: Jobs, address: str, lanes: int | None, keep_weights: bool, until: int | None = None
) -> None:
    """Train all jobs on the workers of the scheduler at ``address``; ``on_start`` is not called.

    All jobs are submitted at once and wait on the scheduler, so they end in any order. One whose
    worker dies goes on elsewhere from its last checkpoint. Files of users' own parts
    (``file.py:name``) are sent to the workers as they are here. Files that they import, and the
    modules of ``module:name``, have to be there already. Raises InputError where no scheduler
    answers at ``address`` (``tcp://host:port``), where it goes away, where worker after worker dies
    under a job, and for a job's InputError.
    """
    global is_driving
    if (job := jobs.next()) is None:
        return
    with _connected(address) as client:
        from distributed import KilledWorker, Variable

        sweep = f"jaxrnn-{uuid.uuid4().hex}"
        news: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()  # number of a job, what
        client.subscribe_topic(sweep, lambda event: news.put(event[1]))

        files: dict[str, bytes] = {}  # as they were when they were first sent

        def submit(number: int, job: Job) -> Any:
            with carried(files):
                own = sources([job.experiment])
            files.update(own)
            sent = job.experiment, job.trials, str(job.checkpoint.path), own
            asked = lanes, keep_weights, until
            future = client.submit(_train, *sent, *asked, sweep, number, pure=False)
            future.add_done_callback(lambda _: news.put((number, ENDED)))
            return future

        variables: list[Any] = []
        under_way: dict[int, _Submitted] = {}
        is_driving = True
        try:
            while job is not None or under_way:
                while job is not None:
                    number, variable = len(variables), Variable(f"{sweep}-{len(variables)}", client)
                    variables.append(variable)
                    variable.set(pickle.dumps(job.checkpoint.load()))
                    under_way[number] = _Submitted(job, variable, submit(number, job))
                    job = jobs.next()
                waiting = [news.get(), *(news.get() for _ in range(news.qsize()))]
                for number, what in dict.fromkeys(waiting):  # of many checkpoints the last counts
                    if (one := under_way.get(number)) is None:
                        continue  # a straggler of a job that has ended
                    if what == SAVED:
                        one.job.checkpoint.save(pickle.loads(one.variable.get()))
                        one.has_saved = True
                    elif what != ENDED:
                        jobs.on_chunk(one.job, Tally(*what))
                    elif not isinstance(one.future.exception(), KilledWorker):
                        outcomes, *others = one.future.result()
                        if len(outcomes) < len(one.job.trials):  # and the news may come late
                            one.job.checkpoint.save(pickle.loads(one.variable.get()))
                        jobs.on_end(one.job, outcomes, *others)
                        del under_way[number]
                        job = job or jobs.next()
                    elif one.has_saved:  # Dask gives up after some deaths
                        one.has_saved, one.future = False, submit(number, one.job)
                    else:
                        own = one.job.experiment
                        raise InputError(
                            f"{own.cell} at length {own.length} is given up, too many workers died "
                            "before its next checkpoint: see their logs"
                        )
        finally:
            is_driving = False
            for variable in variables:
                variable.delete()


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
    experiment: Experiment,
    only: tuple[int, ...],
    path: str,
    files: Sources,
    lanes: int | None,
    keep_weights: bool,
    until: int | None,
    sweep: str,
    job: int,
) -> tuple[list[Outcome], dict[str, np.ndarray] | None, tuple[dict[str, str], str]]:
    """Run a job on this worker, from its newest checkpoint; its outcomes and weights, and the
    worker's versions and device.

    The weights are sent as arrays by name, so the driver does not need the classes of their tree.
    """
    with _one_job, carried(files):
        line = _Line(sweep, job, path)
        outcomes = run_trials(
            experiment,
            only=only,
            lanes=lanes,
            keep_params=keep_weights,
            on_chunk=line.on_chunk,
            checkpoint=line,
            until=until,
        )
        if line.tally is not None:  # as where every trial had ended in the checkpoint already
            line.tell(line.tally)
        weights = arrays_of(outcomes) if keep_weights else None
        made_on = versions(), device()
        return [replace(one, params=None) for one in outcomes], weights, made_on


class _Line:
    """A job's line to its driver: tallies as events, the checkpoint in a Dask Variable."""

    def __init__(self, sweep: str, job: int, path: str) -> None:
        from distributed import Variable, get_client, get_worker

        self.sweep, self.job, self.path = sweep, job, path  # path: the driver's
        self.worker, self.client = get_worker(), get_client()
        self.key = self.worker.get_current_task()
        self.variable = Variable(f"{sweep}-{job}", self.client)
        self.tally: Tally | None = None  # after the newest chunk
        self.told = 0.0  # when

    def on_chunk(self, tally: Tally) -> None:
        self.tally = tally
        if time.monotonic() - self.told >= TALLY_SECONDS:
            self.tell(tally)
            self.told = time.monotonic()

    def tell(self, what: Any) -> None:
        self.worker.log_event(self.sweep, (self.job, what))

    def load(self) -> Mapping[str, np.ndarray] | None:
        self.stop_if_unwanted()
        return pickle.loads(self.variable.get("30 s"))

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.stop_if_unwanted()
        self.variable.set(pickle.dumps(arrays))
        self.tell(SAVED)

    def stop_if_unwanted(self) -> None:
        """End this job if its driver is gone or another worker has it now: Dask cannot do this."""
        from distributed import Reschedule

        if self.key not in self.client.processing().get(self.worker.address, ()):
            raise Reschedule
