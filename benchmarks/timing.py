"""What the benchmarks share: how an update is timed and what is said of the machine."""

import datetime
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrnn import Experiment
from jaxrnn.machine import device, usable_cores, versions
from jaxrnn.training.engine import lanes_of, make_program
from jaxrnn.training.trial import build

REPEATS = 7


class Timing(NamedTuple):
    """Microseconds for one update of all trials; seconds for the first call."""

    least: float
    median: float
    first_seconds: float


def time_steps(
    run: Callable[[Any, int], tuple[Any, jax.Array]], state: Any, chunk_steps: int
) -> Timing:
    """Time ``run(state, first_step) -> (state, errors)``, ``chunk_steps`` updates a call.

    The first call, which compiles, and a second one to warm up are not counted.
    """
    start = time.perf_counter()
    state, _ = jax.block_until_ready(run(state, 0))
    first_seconds = time.perf_counter() - start
    state, _ = jax.block_until_ready(run(state, chunk_steps))
    samples = []
    for repeat in range(REPEATS):
        start = time.perf_counter()
        state, _ = jax.block_until_ready(run(state, (repeat + 2) * chunk_steps))
        samples.append((time.perf_counter() - start) / chunk_steps * 1e6)
    return Timing(min(samples), statistics.median(samples), first_seconds)


def time_in_turn(
    experiments: Mapping[Any, tuple[Experiment, int]],
    repeats: int = REPEATS,
    devices: Sequence[jax.Device] | None = None,
) -> dict[Any, list[float]]:
    """Microseconds for one update of all trials of each experiment, each of its repeats; on each of
    the devices at the same time, by default on the first.

    A call of an experiment has the number of updates beside it. They take turns, so that a busy
    machine slows all of them; a first call of each, which compiles, and a second do not count.
    """
    each = devices or jax.devices()[:1]
    ready = {}
    for name, (experiment, updates) in experiments.items():
        runs, states = zip(*(chunks_of(experiment, updates, [one]) for one in each), strict=True)
        for first in (0, updates):
            states = _on_all(runs, states, first)
        ready[name] = runs, states
    samples: dict[Any, list[float]] = {name: [] for name in experiments}
    for repeat in range(repeats):
        for name, (runs, states) in ready.items():
            updates = experiments[name][1]
            start = time.perf_counter()
            states = _on_all(runs, states, (repeat + 2) * updates)
            samples[name].append((time.perf_counter() - start) / updates * 1e6)
            ready[name] = runs, states
    return samples


def _on_all(runs: Sequence[Any], states: Sequence[Any], first: int) -> tuple[Any, ...]:
    """The states after a chunk of each, once all have ended."""
    launched = [run(state, first) for run, state in zip(runs, states, strict=True)]
    return tuple(jax.block_until_ready([state for state, _ in launched]))


def chunks_of(
    experiment: Experiment, chunk_steps: int, devices: Sequence[jax.Device] | None = None
) -> tuple[Callable[[Any, int], tuple[Any, jax.Array]], Any]:
    """The engine's ``run(state, first_step)`` of all trials on the devices, by default the first,
    and its first state."""
    devices = devices or jax.devices()[:1]
    trial = build(experiment, devices[0].platform)
    program = make_program(trial, chunk_steps, devices)
    lanes = lanes_of(experiment)

    def run(state: Any, first_step: int) -> tuple[Any, jax.Array]:
        return program.chunk(state, lanes._replace(update=lanes.update + np.int32(first_step)))

    return run, program.first_state(trial.init, lanes)


def use_one_core() -> None:
    """Keep this process on one core, so that rivals differ in work and not in threads.

    To be called before the first array is made; does nothing where the system cannot.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def driver() -> str:
    """NVIDIA's driver, on which it depends what a command buffer may hold; "" without one."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    version = re.match(r"[\d.]+", ran.stdout)  # or words, where it finds no device
    return f"driver {version[0]}" if version else ""


def machine() -> str:
    """Processor, device, its driver, versions and date, for the line under a table."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    cores = usable_cores()
    first = f"{processor}, {cores} core{'s' * (cores != 1)} used"
    made = ", ".join(f"{name} {number}" for name, number in versions().items())
    on_gpu = driver() if jax.default_backend() == "gpu" else ""
    today = datetime.date.today().isoformat()
    return "; ".join(part for part in (first, device(), on_gpu, made, today) if part)
