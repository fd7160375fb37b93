"""What does a horizon cost: how long, how much of it is compiling, how many sequences a second?

    python benchmarks/horizon.py [--cells lstm] [--tasks adding_halves] [--quick]

It runs the whole protocol in a new directory, without a cache of compiled programs. Tracing and
lowering run on one thread while devices train, so the share of compiling is of the processor time
that all cores had. Idle lanes are those of the lanes' updates that belong to no trial.
"""

import os
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import jax
import tyro
from timing import machine

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.problems import settled, task_of
from jaxrnn.store.rows import typed_rows
from jaxrnn.training.loop import Loop
from jaxrnn.yardstick.run import run_horizon
from jaxrnn.yardstick.search import HorizonProtocol

COMPILING = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "XLA",
}


def main(
    cells: tuple[str, ...] = ("lstm",),
    tasks: tuple[str, ...] = ("adding_halves",),
    quick: bool = False,
) -> None:
    """Print the figures, for all nets together."""
    set_up_jax(False)
    seconds: defaultdict[str, float] = defaultdict(float)
    programs = Counter[str]()

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event in COMPILING:
            seconds[COMPILING[event]] += duration_secs
            programs[COMPILING[event]] += 1

    jax.monitoring.register_event_duration_secs_listener(listen)
    lanes, launch = Counter[str](), Loop._launch

    def counting(loop: Loop) -> Any:
        busy = loop._busy()
        lanes["idle"] += loop.chunk_updates * int((~busy).sum())
        lanes["all"] += loop.chunk_updates * len(busy)
        return launch(loop)

    Loop._launch = counting  # type: ignore[method-assign, assignment]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        run_horizon(cells, tasks, out, HorizonProtocol(quick=quick), progress=True)
        rows = typed_rows(Path(out))
    wall = time.monotonic() - start
    sequences = sum(row.outcome.steps for row in rows)
    length = {one: task_of(settled(one)).num_steps for one in {row.experiment for row in rows}}
    time_steps = sum(row.outcome.steps * length[row.experiment] for row in rows)
    cores = len(os.sched_getaffinity(0))
    shares = ", ".join(f"{name} {seconds[name] / (cores * wall):.0%}" for name in seconds)
    print(f"{len(cells)} cells on {len(tasks)} tasks: {wall:.0f} s, {len(rows)} trials")
    print(f"{sequences:,} sequences, {sequences / wall:,.0f} a second")
    print(f"{time_steps:,} time steps, {time_steps / wall:,.0f} a second")
    print(f"{programs['XLA']} programs; of the time of {cores} cores: {shares}")
    print(f"idle lanes: {lanes['idle'] / lanes['all']:.0%}")
    print(machine())


if __name__ == "__main__":
    tyro.cli(main)
