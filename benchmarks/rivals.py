"""How many updates a second do ten trials make, here and in other hands?

    pip install -e '.[bench]'
    python benchmarks/rivals.py [--cells lstm] [--lengths 10 100] [--rivals jaxrnn c] [--no-time]

Each rival (``frameworks/``) trains the same trials from jaxrnn's first weights on jaxrnn's
sequences, on one core in one thread, in a process of its own that lives through the whole run. A
rival is timed only if its errors agree with jaxrnn's over 50 steps. The table goes to
``benchmarks/results``. The whole takes ten minutes or so, half of it torch.compile at work.
"""

import importlib
import importlib.metadata
import importlib.util
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from frameworks import Problem, our_engine
from timing import REPEATS, machine, use_one_core


class Rival(NamedTuple):
    """Where a rival is built, and what has to be installed for it."""

    module: str
    build: str
    needs: str  # a package, or gcc
    description: str


RIVALS = {
    "jaxrnn": Rival("our_engine", "build", "jax", "make_program of the engine"),
    "tensorflow": Rival(
        "tensorflow_graph", "build", "tensorflow", "the notebook: a session.run a step and trial"
    ),
    "torch-vmap": Rival("pytorch_nets", "build_vmapped", "torch", "vmap of grad, eager"),
    "torch-by-hand": Rival(
        "pytorch_by_hand", "build", "torch", "batched products, backward by hand, eager"
    ),
    "torch-compile": Rival("pytorch_nets", "build_compiled", "torch", "vmap of grad, compiled"),
    "equinox": Rival(
        "equinox_cells", "build", "equinox", "vmap of filter_grad, a filter_jit call a step"
    ),
    "equinox-scan": Rival(
        "equinox_cells", "build_scanned", "equinox", "the same, steps scanned in one program"
    ),
    "c": Rival("plain_c", "build", "gcc", "plain C, one trial after another"),
}

CHECK_STEPS = 50
# Learning rate and clip bound of the check. The simple RNN is chaotic at the notebook's rate:
# rounding alone parts two traces; this one is slow enough for float32. The bounds are low enough
# to clip some gradient elements of every sequence.
CHECK_SETTINGS = {"simple_rnn": (0.1, 0.02), "lstm": (1.0, 0.005)}
# Rounding parts float32 traces by up to 3e-6 (simple RNN, T = 100; 1e-7 for the LSTM); one percent
# more learning rate or clip bound parts them by 6e-4 (simple RNN) and 1.1e-5 (LSTM) at least.
TOLERANCE = 1e-5
REPEAT_SECONDS = 0.1


class Reference(NamedTuple):
    """What a rival is given, and what it is held to."""

    problem: Problem
    coins: np.ndarray  # [C, N], the first CHECK_STEPS belong to the errors
    errors: np.ndarray  # [CHECK_STEPS, N] of jaxrnn


class Row(NamedTuple):
    """One line of the table; microseconds for one update of all trials."""

    cell: str
    length: int
    rival: str
    least: float
    median: float
    trial_steps_per_second: float
    times_jaxrnn: float | None  # its time over jaxrnn's; none where jaxrnn was left out
    first_seconds: float  # building, compiling and the first steps
    difference: float  # greatest difference of an error from jaxrnn's in the check


def reference_of(cell: str, length: int, num_trials: int) -> Reference:
    """The weights and coins of jaxrnn's trials, and their errors in the check."""
    problem, coins = our_engine.problem_of(cell, length, num_trials, num_steps=2000)
    run = our_engine.build(problem)
    errors = run(coins[:CHECK_STEPS], *CHECK_SETTINGS[cell])
    return Reference(problem, coins, errors)


def difference(errors: np.ndarray, reference: np.ndarray) -> float:
    """Greatest difference of two error traces; not finite where one of them is not."""
    return float(np.abs(errors.astype(np.float64) - reference).max())


def measure(name: str, reference: Reference, timed: bool) -> Row:
    """Check one rival and time it; ValueError where it does not compute what jaxrnn computes."""
    problem, coins, expected = reference
    rival = RIVALS[name]
    module = importlib.import_module(f"frameworks.{rival.module}")
    start = time.perf_counter()
    run = getattr(module, rival.build)(problem)
    errors = run(coins[:CHECK_STEPS], *CHECK_SETTINGS[problem.cell])
    first_seconds = time.perf_counter() - start
    parted = difference(errors, expected)
    if not parted <= TOLERANCE:
        raise ValueError(f"its errors part from jaxrnn's by {parted:.1g}; not timed")
    samples = [float("nan")]
    if timed:
        start = time.perf_counter()
        run(coins[:CHECK_STEPS], 1.0, 5.0)
        step_seconds = (time.perf_counter() - start) / CHECK_STEPS
        chosen = coins[: max(1, int(REPEAT_SECONDS / step_seconds))]
        run(chosen, 1.0, 5.0)  # warm-up; compiles where the program depends on how many steps
        samples = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            run(chosen, 1.0, 5.0)
            samples.append((time.perf_counter() - start) / len(chosen) * 1e6)
    least, median = min(samples), statistics.median(samples)
    rate = coins.shape[1] * 1e6 / least
    return Row(problem.cell, problem.length, name, least, median, rate, None, first_seconds, parted)


def is_installed(needs: str) -> bool:
    """Whether a rival's package, or its compiler, is there."""
    return bool(shutil.which(needs) if needs == "gcc" else importlib.util.find_spec(needs))


def rival_versions(names: Iterable[str]) -> str:
    """The versions of what the rivals need."""
    made = []
    for needs in dict.fromkeys(RIVALS[name].needs for name in names if name != "jaxrnn"):
        if needs == "gcc":
            answer = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True)
            made.append(f"gcc {answer.stdout.strip()}")
        else:
            made.append(f"{needs} {importlib.metadata.version(needs)}")
    return ", ".join(made)


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| net | T | rival | µs/step | (median) | trial-steps/s | x jaxrnn | first call |",
        "|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        times = "" if row.times_jaxrnn is None else f"{row.times_jaxrnn:.2f}"
        lines.append(
            f"| {row.cell} | {row.length} | {row.rival} | {row.least:,.1f} | ({row.median:,.1f}) "
            f"| {row.trial_steps_per_second:,.0f} | {times} | {row.first_seconds:.1f} s |"
        )
    return "\n".join(lines)


def save(folder: Path, rows: list[Row], num_trials: int, names: Iterable[str]) -> None:
    """Write rivals.md and rivals.json."""
    made = f"{machine()}; {rival_versions(names)}"
    command = shlex.join(["python", "benchmarks/rivals.py", *sys.argv[1:]])
    folder.mkdir(parents=True, exist_ok=True)
    about = [f"- {name}: {RIVALS[name].description}" for name in names]
    page = [
        f"Least and median of {REPEATS} repeats: microseconds for one update of all "
        f"{num_trials} trials, one core, one thread. First call: building, compiling and "
        f"{CHECK_STEPS} steps.",
        *["", table(rows), "", *about, "", f"`{command}`", "", made],
    ]
    (folder / "rivals.md").write_text("\n".join(page) + "\n")
    record = {"trials": num_trials, "command": command, "machine": made}
    record |= {"rows": [row._asdict() for row in rows]}
    (folder / "rivals.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{made}\nwritten to {folder}")


def main(
    cells: tuple[str, ...] = ("simple_rnn", "lstm"),
    lengths: tuple[int, ...] = (4, 10, 20, 50, 100),
    rivals: tuple[str, ...] = tuple(RIVALS),
    trials: int = 10,
    time: bool = True,
    results: Path = Path(__file__).parent / "results",
) -> int:
    """Time one update of all trials, the rivals against jaxrnn.

    Args:
        cells: The nets, simple_rnn and lstm.
        lengths: Lengths of the sequences.
        rivals: Who takes part, by the names in RIVALS.
        trials: Trials trained together.
        time: Time the rivals that agree; --no-time only checks them and writes no file.
        results: Folder for rivals.md and rivals.json.
    """
    use_one_core()
    # Read by the processes when they import jax, torch and TensorFlow.
    os.environ |= {"NPROC": "1", "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    # A new folder for compiled programs, so that the first call is one that compiles.
    compiled = tempfile.TemporaryDirectory(prefix="rivals-")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = compiled.name
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    unknown = set(rivals) - set(RIVALS)
    if unknown:
        raise SystemExit(f"unknown rival {', '.join(unknown)}; there are {', '.join(RIVALS)}")
    names = []
    for name in rivals:
        if is_installed(RIVALS[name].needs):
            names.append(name)
        else:
            print(f"{name} is left out: {RIVALS[name].needs} is not installed")
    pools = {
        name: ProcessPoolExecutor(1, mp_context=get_context("spawn")) for name in {"jaxrnn", *names}
    }
    rows: list[Row] = []
    disagreed = False
    for cell in cells:
        for length in lengths:
            reference = pools["jaxrnn"].submit(reference_of, cell, length, trials).result()
            ours: float | None = None
            for name in names:
                try:
                    row = pools[name].submit(measure, name, reference, time).result()
                except ValueError as error:
                    print(f"{cell} T={length} {name}: {error}", flush=True)
                    disagreed = True
                    continue
                ours = row.least if name == "jaxrnn" else ours
                row = row._replace(times_jaxrnn=row.least / ours if ours else None)
                rows.append(row)
                found = f"{row.least:,.1f} µs, " if time else ""
                parted = f"errors part by {row.difference:.1g}"
                print(f"{cell} T={length} {name}: {found}{parted}", flush=True)
    for pool in pools.values():
        pool.shutdown()
    compiled.cleanup()
    if time:
        print("\n" + table(rows))
        save(results, rows, trials, names)
    return int(disagreed)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
