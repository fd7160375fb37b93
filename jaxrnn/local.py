"""Many experiments on this process's devices, as many at a time as there are devices for."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from threading import Event, Lock
from typing import Any, NamedTuple

import jax

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.results.checkpoint import CheckpointFile
from jaxrnn.training.runner import Tally, run_trials


class Job(NamedTuple):
    """What is left of an experiment."""

    experiment: Experiment
    missing: Sequence[int]  # its trials
    checkpoint: CheckpointFile


def train(
    jobs: Sequence[Job],
    *,
    on_start: Callable[[Job], None],
    on_chunk: Callable[[Job, Tally], None],
    on_end: Callable[[Job, list[Outcome]], None],
    **options: Any,
) -> None:
    """Train the trials of every job, each on devices of its own, with options of ``run_trials``.

    A batch of ten small nets takes a core less time than two of five, and while a job's program is
    compiled the other devices train. So a job gets one device as long as there is another job for
    each of the rest, and longer sequences come first, since what is begun last should be short. The
    callbacks are called one at a time, ``on_chunk`` by the thread that trains. What one of them
    raises, or a job, ends the others after the chunks that they are in.
    """
    idle, running = list(jax.devices()), dict[Future[list[Outcome]], tuple[Job, list[Any]]]()
    waiting = list(jobs)
    if len(idle) > 1:
        waiting.sort(key=lambda job: -job.experiment.length)
    one_at_a_time, stop, caller = Lock(), Event(), _numerics()

    def train_one(job: Job, devices: Sequence[jax.Device]) -> list[Outcome]:
        def told(tally: Tally) -> None:
            with one_at_a_time:
                if stop.is_set():
                    raise CancelledError  # nobody asks for it
                on_chunk(job, tally)

        experiment, missing, checkpoint = job
        with _with_numerics(caller):
            return run_trials(
                experiment,
                only=missing,
                devices=devices,
                on_chunk=told,
                checkpoint=checkpoint,
                **options,
            )

    with ThreadPoolExecutor(len(idle)) as threads:
        try:
            while waiting or running:
                while waiting and idle:
                    share = max(1, len(idle) // len(waiting))
                    job = waiting.pop(0)
                    devices, idle = idle[:share], idle[share:]
                    with one_at_a_time:
                        on_start(job)
                    running[threads.submit(train_one, job, devices)] = job, devices
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job, devices = running.pop(future)
                    idle += devices
                    outcomes = future.result()
                    with one_at_a_time:
                        on_end(job, outcomes)
        finally:
            stop.set()


# What JAX does with numbers that a context may have changed, which holds in its thread alone.
_CONTEXTS: dict[str, Callable[[Any], Any]] = {
    "enable_x64": jax.enable_x64,
    "default_matmul_precision": jax.default_matmul_precision,
    "numpy_dtype_promotion": jax.numpy_dtype_promotion,
    "numpy_rank_promotion": jax.numpy_rank_promotion,
}


def _numerics() -> dict[str, Any]:
    """This thread's."""
    return {name: getattr(jax.config, f"jax_{name}") for name in _CONTEXTS}


@contextmanager
def _with_numerics(values: dict[str, Any]) -> Iterator[None]:
    """As in another thread."""
    with ExitStack() as stack:
        for name, value in values.items():
            stack.enter_context(_CONTEXTS[name](value))
        yield
