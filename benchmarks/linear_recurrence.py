"""What does a linear recurrence cost by a scan and by an associative scan?

    python benchmarks/linear_recurrence.py [--cells min_gru] [--lengths 100] [--hidden-sizes 20]

Times, on one core, one update of ten trials at the temporal order task, the cells whose
recurrence h(t) = a(t) h(t-1) + b(t) is linear: as they are, by a loop over time; by the same loop
and jax's own derivative of it; and by ``jax.lax.associative_scan``, whose tree of log2 T levels
needs few steps and more products, with the derivative that it takes least time with. All are built
in one process, have to agree over four updates, and take turns. The ratios are medians over
the turns.
"""

import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import lax
from timing import chunks_of, machine, use_one_core

from jaxrnn import Experiment
from jaxrnn.nets import linear as recurrences
from jaxrnn.training import parts

REPEATS = 25  # short ones, so that some are not disturbed on a busy machine

_SCAN, _VARYING = recurrences._scan, recurrences._varying_recurrence


def by_associative_scan(steps_at_once: int, a: Any, b: Any, h: Any) -> tuple[Any, Any]:
    """What ``recurrences._scan`` computes, in a tree."""
    a = jax.tree.map(lambda a, b: jnp.broadcast_to(a, b.shape), a, b)
    first = recurrences._times(jax.tree.map(lambda a: a[0], a), h)
    b = jax.tree.map(lambda b, first: b.at[0].add(first), b, first)

    def after(one: Any, other: Any) -> tuple[Any, Any]:
        (a_1, b_1), (a_2, b_2) = one, other
        times, plus = recurrences._times, recurrences._plus
        return times(a_2, a_1), plus(times(a_2, b_1), b_2)

    _, hs = lax.associative_scan(after, (a, b))
    return jax.tree.map(lambda hs: hs[-1], hs), hs


# What stands in for recurrences._scan, which its own derivative uses, and for what has that.
WAYS = {
    "scan": (_SCAN, _VARYING),
    "scan, jax's derivative": (_SCAN, _SCAN),
    "associative scan": (by_associative_scan, _VARYING),
}


def ready(way: str, experiment: Experiment, chunk_steps: int) -> list[Any]:
    """The engine's run of a way, compiled, its state and first errors, and no times yet."""
    recurrences._scan, recurrences._varying_recurrence = WAYS[way]  # type: ignore[assignment]
    parts._parts.cache_clear()
    jax.clear_caches()
    run, state = chunks_of(experiment, chunk_steps)
    state, errors = run(state, 0)
    return [run, state, np.asarray(errors), []]


def measure(experiment: Experiment) -> list[str]:
    """The columns of a row: least (median) of the scan, and the ratios of the others to it."""
    chunk_steps = max(4, 10_000 // (experiment.length * experiment.hidden_size // 20))
    contestants = {way: ready(way, experiment, chunk_steps) for way in WAYS}
    for contestant in contestants.values():
        np.testing.assert_allclose(contestant[2][:4], contestants["scan"][2][:4], atol=1e-3)
    for repeat in range(REPEATS):
        for contestant in contestants.values():
            start = time.perf_counter()
            result = contestant[0](contestant[1], (repeat + 1) * chunk_steps)
            contestant[1], _ = jax.block_until_ready(result)
            contestant[3].append((time.perf_counter() - start) / chunk_steps * 1e6)
    times = [contestant[3] for contestant in contestants.values()]
    columns = [f"{min(times[0]):,.0f} ({statistics.median(times[0]):,.0f})"]
    ratios = (np.divide(other, times[0]) for other in times[1:])
    return [*columns, *(f"{np.median(ratio):.2f}" for ratio in ratios)]


def main(
    cells: tuple[str, ...] = ("min_gru", "min_lstm", "lru"),
    lengths: tuple[int, ...] = (100, 1000),
    hidden_sizes: tuple[int, ...] = (20, 64, 128),
    trials: int = 10,
) -> None:
    """Time one update of all trials, the recurrence by a scan and otherwise.

    Args:
        cells: Cells with a linear recurrence.
        lengths: Lengths of the task; its sequences are up to a tenth longer.
        hidden_sizes: Hidden units.
        trials: Trials trained together.
    """
    use_one_core()
    print(f"Microseconds for one update of {trials} trials, least (median) of {REPEATS}.\n")
    print(f"| net | T | H | scan | {' | '.join(list(WAYS)[1:])} |")
    print("|---|--:|--:|--:|--:|--:|")
    for cell in cells:
        for length in lengths:
            for hidden_size in hidden_sizes:
                experiment = Experiment(
                    task="temporal_order",
                    objective="cross_entropy",
                    cell=cell,
                    length=length,
                    hidden_size=hidden_size,
                    learning_rate=0.001,  # else rounding alone parts them, at T = 1000
                    trials=trials,
                )
                columns = [cell, length, hidden_size, *measure(experiment)]
                print(f"| {' | '.join(map(str, columns))} |", flush=True)
    print(f"\n{machine()}")


if __name__ == "__main__":
    tyro.cli(main)
