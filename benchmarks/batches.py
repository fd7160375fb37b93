"""How many sequences a second are trained on, by the number of them in an update?

    python benchmarks/batches.py [--hidden-sizes 16 64] [--batch-sizes 1 8 32] [--length 100]

Times ten trials of the LSTM on the adding problem on one core, by the engine. Every batch size is
timed in turn with the others, so that a busy machine slows all of them.
"""

import statistics
import time
from typing import Annotated

import jax
import tyro
from timing import REPEATS, chunks_of, machine, use_one_core

from jaxrnn import Experiment

SEQUENCES = 320
"""Of a timed call, in each lane; a call of one update takes as many as that has."""


def main(
    cell: str = "lstm",
    hidden_sizes: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT [INT ...]")] = (16, 64),
    batch_sizes: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT [INT ...]")] = (1, 8, 32),
    length: int = 100,
    trials: int = 10,
) -> None:
    """Print a table: units by batch sizes, sequences a second and how many times those of B = 1."""
    use_one_core()
    print(f"| H | {' | '.join(f'B = {size}' for size in batch_sizes)} |")
    print(f"|--:|{'--:|' * len(batch_sizes)}")
    for hidden_size in hidden_sizes:
        runs = []
        for size in batch_sizes:
            experiment = Experiment(
                cell=cell,
                task="adding",
                length=length,
                hidden_size=hidden_size,
                batch_size=size,
                learning_rate=0.01,
                trials=trials,
            )
            updates = max(1, SEQUENCES // size)
            run, state = chunks_of(experiment, updates)
            for call in range(2):  # the first compiles, the second warms up
                state, _ = jax.block_until_ready(run(state, call * updates))
            runs.append([run, state, updates * size * trials])
        seconds: list[list[float]] = [[] for _ in runs]
        for repeat in range(REPEATS):
            for one, times in zip(runs, seconds, strict=True):
                run, state, _ = one
                start = time.perf_counter()
                one[1], _ = jax.block_until_ready(run(state, (2 + repeat) * SEQUENCES))
                times.append(time.perf_counter() - start)
        rates = [one[2] / min(times) for one, times in zip(runs, seconds, strict=True)]
        medians = [
            one[2] / statistics.median(times) for one, times in zip(runs, seconds, strict=True)
        ]
        cells = [
            f"{rate:,.0f} ({median:,.0f}), {rate / rates[0]:.2f}"
            for rate, median in zip(rates, medians, strict=True)
        ]
        print(f"| {hidden_size} | {' | '.join(cells)} |", flush=True)
    print(f"\nSequences a second at the least time of {REPEATS} (at the median), and the ratio to")
    print(f"the first column, {cell}, T = {length}, {trials} trials. {machine()}")


if __name__ == "__main__":
    tyro.cli(main)
