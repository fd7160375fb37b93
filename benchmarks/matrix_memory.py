"""What do chunks of time steps win for cells whose memory is a matrix?

    pip install -e '.[bench]'
    python benchmarks/matrix_memory.py [--cells delta_net mlstm] [--hidden-sizes 16 32 64]

The gradient of the mean squared output by all weights, for a batch that shares its weights: one
step after the other, and in chunks of 8, 16 and 32 steps. They take turns, and the least of ten
repeats counts.
"""

import jax
import tyro
from shared_weights import INPUTS, REPEATS, Call, Ints, milliseconds, ours
from timing import machine, use_one_core

from jaxrnn.nets import chunks

SIZES = (8, 16, 32)


def contender(cell: str, hidden_size: int, xs: jax.Array, steps: int | None) -> tuple[Call, int]:
    """The gradient in chunks of so many steps, or without chunks; and its temporary memory."""
    before = chunks.FROM, chunks.STEPS
    chunks.FROM, chunks.STEPS = (1, steps) if steps else (hidden_size + 1, 1)
    try:
        return ours(cell, hidden_size, xs)
    finally:
        chunks.FROM, chunks.STEPS = before


def main(
    cells: tuple[str, ...] = ("delta_net", "gated_delta_net", "mlstm"),
    hidden_sizes: Ints = (16, 24, 32, 64),
    lengths: Ints = (100, 256, 1000),
    batch_size: int = 32,
    one_core: bool = False,
) -> None:
    """Print a table: milliseconds of each, and chunks of 16 steps as a multiple of the loop."""
    if one_core:
        use_one_core()
    shown = " | ".join(f"chunks of {size}" for size in SIZES)
    print(f"| cell | H | T | step by step | {shown} | 16 to step by step | memory |")
    print(f"|---|--:|--:|--:|{'--:|' * len(SIZES)}--:|--:|")
    for cell in cells:
        for hidden_size in hidden_sizes:
            for length in lengths:
                xs = jax.random.normal(jax.random.key(1), (batch_size, length, INPUTS))
                made = {size: contender(cell, hidden_size, xs, size) for size in (None, *SIZES)}
                calls = {str(size): call for size, (call, _) in made.items()}
                least = {size: min(times) for size, times in milliseconds(calls).items()}
                times = " | ".join(f"{least[str(size)]:.2f}" for size in (None, *SIZES))
                ratio = least["16"] / least["None"]
                memory = made[16][1] / made[None][1]
                print(
                    f"| {cell} | {hidden_size} | {length} | {times} | {ratio:.2f} | {memory:.2f} |",
                    flush=True,
                )
    print(f"\nMilliseconds for one gradient, least of {REPEATS}, B = {batch_size}.")
    print(machine())


if __name__ == "__main__":
    tyro.cli(main)
