"""From how many trials on does an accelerator pay? One command, under ten minutes.

    python benchmarks/accelerator.py [--cells lstm] [--lengths 10 100] [--trials 10 1000]

Times an update of both nets on the CPU's cores and on every device that there is: one
accelerator, all of them together where there are several, and one of NVIDIA's with its loops in
command buffers, too. Each of these is a process of its own with its share of the time, so that one
that fails or hangs loses only itself, and each figure is on disk as soon as it is taken. The table,
the number of trials from which on the accelerator is faster, what the host loop takes, device,
versions and date go to ``benchmarks/results/accelerator.md``. Without an accelerator the CPU is
timed alone.
"""

import itertools
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro
from timing import chunks_of, machine, time_steps

from jaxrnn import Experiment
from jaxrnn.machine import usable_cores
from jaxrnn.problems import settled
from jaxrnn.training import stopping
from jaxrnn.training.lanes import CHUNK_SEQUENCES, enough, most_lanes, round_up
from jaxrnn.training.memory import check_memory
from jaxrnn.training.trial import build

RESULTS = Path(__file__).parent / "results"
SECONDS = 570.0  # for all parts

# A chunk of so many time steps of all trials: a quarter of a second on one core. On accelerators it
# is as long as a run's for up to a thousand trials, so that what a chunk costs once weighs as much.
STEPS_A_CHUNK, TRIAL_STEPS_A_CHUNK = 1_500_000, 250_000

Row = dict[str, Any]


class Part(NamedTuple):
    """What is timed in one process."""

    name: str
    platform: str = ""  # of JAX, which finds an accelerator by itself
    devices: int | None = None  # how many, by default all
    flags: str = ""  # of XLA


CPU = Part("all cores", "cpu")
HERE = Part("here")  # what JAX finds: asked, not timed


def accelerated(found: Row) -> list[Part]:
    """The parts for what was found."""
    platform, count = found["platform"], found["count"]
    if platform == "cpu":
        return []
    parts = [Part("one accelerator", devices=1)]
    if platform == "gpu" and "nvidia" in found["machine"].lower():
        flag = "--xla_gpu_enable_command_buffer=+WHILE"
        parts.append(Part("one, loops in command buffers", devices=1, flags=flag))
    if count > 1:
        parts.append(Part(f"all {count}"))
    return parts


def time_step(experiment: Experiment, devices: Sequence[jax.Device]) -> Row:
    """Microseconds for one update of all trials, and seconds for the first call.

    CPUs take as many trials at a time as a run has lanes there, one batch after another.
    """
    trial = build(experiment, devices[0].platform)
    trials, wanted = experiment.trials, TRIAL_STEPS_A_CHUNK / experiment.trials
    if devices[0].platform == "cpu":
        trials = most_lanes(check_memory(experiment, devices=devices), trials, devices)
        wanted = STEPS_A_CHUNK / trials / trial.num_steps
    devices = enough(devices, trials)
    width = round_up(trials, len(devices))
    chunk_steps = math.ceil(min(CHUNK_SEQUENCES, max(5, wanted)))
    batch = replace(experiment, trials=width)
    timing = time_steps(*chunks_of(batch, chunk_steps, devices), chunk_steps)
    batches = max(1.0, experiment.trials / width)
    return {"us": timing.least * batches, "first_seconds": timing.first_seconds}


def time_fold(experiment: Experiment) -> Row:
    """Milliseconds in which the host loop folds a chunk of all trials."""
    rule = stopping.rule_of(settled(experiment))
    errors = np.random.default_rng(0).random((CHUNK_SEQUENCES, experiment.trials))
    seconds = []
    for _ in range(3):
        progress, start = stopping.start(experiment.trials, rule), time.perf_counter()
        stopping.fold(progress, errors, rule, None)
        seconds.append(time.perf_counter() - start)
    return {"ms": min(seconds) * 1e3}


def measure(
    part: Part, cells: Iterable[str], lengths: Iterable[int], trials: Iterable[int]
) -> None:
    """Time a part in this process; a row for each figure is printed as it is taken."""

    def tell(row: Row) -> None:
        print(json.dumps({"part": part.name} | row), flush=True)

    def taken(time_it: Callable[..., Row], experiment: Experiment, *others: Any) -> None:
        case = {name: getattr(experiment, name) for name in ("cell", "length", "trials")}
        try:
            tell(case | time_it(experiment, *others))
        except Exception as error:  # such as one that does not fit the device's memory
            tell(case | {"error": f"{type(error).__name__}: {error}"[:300]})

    devices = jax.devices()
    if part == HERE:
        platform, count = devices[0].platform, len(devices)
        tell({"platform": platform, "count": count, "machine": machine()})
        return
    for number, cell in itertools.product(trials, cells):
        for length in lengths:
            experiment = Experiment(cell=cell, length=length, trials=number)
            taken(time_step, experiment, devices[: part.devices])
    if part == CPU:
        for number in trials:
            taken(time_fold, Experiment(cell="any", length=10, trials=number))


def run(part: Part, arguments: Sequence[str], log: Path, seconds: float) -> list[Row]:
    """The rows of a part, measured in a process of its own; what went wrong is a row, too."""
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": str(usable_cores()),
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {part.flags}".strip(),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if part.platform:
        environment["JAX_PLATFORMS"] = part.platform
    command = [sys.executable, __file__, *arguments, "--part", json.dumps(part)]
    fault = None
    with log.open("w") as output, log.with_suffix(".err").open("w+") as errors:
        try:
            ran = subprocess.run(
                command, env=environment, timeout=seconds, stdout=output, stderr=errors
            )
            if code := ran.returncode:
                errors.seek(0)
                last = errors.read().strip().splitlines()[-1:]
                fault = f"ended with {code}: {' '.join(last)}"[:300]
        except subprocess.TimeoutExpired:
            fault = f"stopped after {seconds:.0f} s"
    rows = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [*rows, {"part": part.name, "error": fault}] if fault else rows


def crossing(cpu: dict[int, float], accelerator: dict[int, float]) -> str:
    """From how many trials on the accelerator is faster, between two by their logarithms."""
    both = sorted(set(cpu) & set(accelerator))
    ahead = [math.log(accelerator[number] / cpu[number]) for number in both]
    for place, (number, gap) in enumerate(zip(both, ahead, strict=True)):
        if gap > 0:
            continue
        if place == 0:
            return f"{number:,} or fewer"
        before, share = both[place - 1], ahead[place - 1] / (ahead[place - 1] - gap)
        return f"{before * (number / before) ** share:,.0f}"
    return f"more than {both[-1]:,}" if both else "-"


def page(rows: list[Row], made: str, command: str) -> str:
    """The rows in Markdown."""
    timed = [row for row in rows if "us" in row]
    parts = [p for p in dict.fromkeys(r["part"] for r in timed) if p != CPU.name]
    us = {(r["part"], r["cell"], r["length"], r["trials"]): r["us"] for r in timed}
    cases = sorted(dict.fromkeys(key[1:] for key in us))
    lines = ["Microseconds for one update of all trials, least of several repeats.", ""]
    lines += [f"| net | T | trials | {' | '.join([CPU.name, *parts])} |"]
    lines += ["|---|--:|--:" + "|--:" * (1 + len(parts)) + "|"]
    for case in cases:
        figures = [us.get((part, *case)) for part in (CPU.name, *parts)]
        told = ["-" if figure is None else f"{figure:,.1f}" for figure in figures]
        lines.append(f"| {case[0]} | {case[1]} | {case[2]:,} | {' | '.join(told)} |")
    if parts:
        lines += ["", "Trials from which on it is faster than all cores:", ""]
        lines += [f"| net | T | {' | '.join(parts)} |", "|---|--:" + "|--:" * len(parts) + "|"]
    nets = dict.fromkeys((cell, length) for cell, length, _ in cases)
    for cell, length in nets if parts else ():
        figures_of = {
            part: {key[3]: value for key, value in us.items() if key[:3] == (part, cell, length)}
            for part in (CPU.name, *parts)
        }
        told = [crossing(figures_of[CPU.name], figures_of[part]) for part in parts]
        lines.append(f"| {cell} | {length} | {' | '.join(told)} |")
    folds = [f"{row['ms']:.1f} ms for {row['trials']:,} trials" for row in rows if "ms" in row]
    if folds:
        words = f"the errors of {CHUNK_SEQUENCES} sequences in {', '.join(folds)}"
        lines += ["", f"The host loop folds {words}."]
    faults = [row for row in rows if "error" in row]
    if faults:
        lines += ["", "Not measured:", ""]
    for row in faults:
        of = ", ".join(str(row[name]) for name in ("cell", "length", "trials") if name in row)
        lines.append(f"- {row['part']}{f' ({of})' if of else ''}: {row['error']}")
    return "\n".join([*lines, "", f"`{command}`", "", made, ""])


def main(
    cells: tuple[str, ...] = ("simple_rnn", "lstm"),
    lengths: tuple[int, ...] = (10, 100, 20, 50),
    trials: tuple[int, ...] = (10, 1000, 100, 10_000),
    seconds: float = SECONDS,
    results: Path = RESULTS,
    part: str | None = None,
) -> None:
    """Time every device and write the table.

    Args:
        cells: The nets.
        lengths: Lengths of the sequences, timed in this order in case time runs out.
        trials: Numbers of trials trained together, likewise.
        seconds: For all of it.
        results: Folder for accelerator.md and accelerator.json.
        part: One part, in this process; for the command itself.
    """
    if part is not None:
        measure(Part(*json.loads(part)), cells, lengths, trials)
        return
    start = time.monotonic()
    results.mkdir(parents=True, exist_ok=True)
    arguments, (here, *faults) = sys.argv[1:], run(HERE, sys.argv[1:], results / "here.log", 60)
    if faults or "error" in here:
        sys.exit(f"JAX does not start: {(faults or [here])[0]['error']}")
    rows: list[Row] = []
    parts = [*accelerated(here), CPU]
    for place, one in enumerate(parts):
        left = seconds - (time.monotonic() - start)
        rows += run(one, arguments, results / "part.log", left / (len(parts) - place))
        text = json.dumps({"machine": here["machine"], "rows": rows}, indent=1) + "\n"
        (results / "accelerator.json").write_text(text)
    for name in ("here", "part"):
        for ending in (".log", ".err"):
            (results / name).with_suffix(ending).unlink()
    command = " ".join(["python", "benchmarks/accelerator.py", *arguments])
    text = page(rows, here["machine"], command)
    (results / "accelerator.md").write_text(text)
    print(text)


if __name__ == "__main__":
    tyro.cli(main)
