"""How many sequences a second are trained on, by the number of them in an update?

    python benchmarks/batches.py [--hidden-sizes 16 64] [--batch-sizes 1 4 8 32] [--length 100]

Times ten trials of the LSTM on the adding problem on one core, by the engine. Every batch size is
timed in turn with the others, so that a busy machine slows all of them.
"""

import statistics
from typing import Annotated

import tyro
from timing import REPEATS, machine, time_in_turn, use_one_core

from jaxrnn import Experiment

SEQUENCES = 320
"""Of a timed call, in each lane; a call of one update takes as many as that has."""


def main(
    cell: str = "lstm",
    hidden_sizes: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT [INT ...]")] = (16, 64),
    batch_sizes: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT [INT ...]")] = (1, 4, 8, 32),
    length: int = 100,
    trials: int = 10,
) -> None:
    """Print a table: units by batch sizes, sequences a second and how many times those of B = 1."""
    use_one_core()
    print(f"| H | {' | '.join(f'B = {size}' for size in batch_sizes)} |")
    print(f"|--:|{'--:|' * len(batch_sizes)}")
    for hidden_size in hidden_sizes:
        experiments = {
            str(size): (
                Experiment(
                    cell=cell,
                    task="adding",
                    length=length,
                    hidden_size=hidden_size,
                    batch_size=size,
                    learning_rate=0.01,
                    trials=trials,
                ),
                max(1, SEQUENCES // size),
            )
            for size in batch_sizes
        }
        samples = time_in_turn(experiments).items()
        rates = [1e6 * int(size) * trials / min(times) for size, times in samples]
        medians = [1e6 * int(size) * trials / statistics.median(times) for size, times in samples]
        cells = [
            f"{rate:,.0f} ({median:,.0f}), {rate / rates[0]:.2f}"
            for rate, median in zip(rates, medians, strict=True)
        ]
        print(f"| {hidden_size} | {' | '.join(cells)} |", flush=True)
    print(f"\nSequences a second at the least time of {REPEATS} (at the median), and the ratio to")
    print(f"the first column, {cell}, T = {length}, {trials} trials. {machine()}")


if __name__ == "__main__":
    tyro.cli(main)
