"""How many lanes are fastest for long sequences, when every core trains?

    python benchmarks/long_sequences.py [--cells lstm min_gru] [--lengths 512 1024] [--lanes 4 16]

Times the engine's chunk of the horizon's nets (16 units, or as many weights) on temporal order, the
same number of lanes on every core at the same time. What is kept of a sequence for the gradient has
to fit the cache that the cores share, for all lanes. Microseconds for one time step of one trial,
least (median) of seven; the last column is for the number of lanes that a run takes by itself.
"""

import statistics
from dataclasses import replace

import jax
import tyro
from timing import machine, time_in_turn

from jaxrnn.machine import usable_cores
from jaxrnn.problems import settled, task_of
from jaxrnn.training.lanes import most_lanes
from jaxrnn.training.memory import check_memory
from jaxrnn.yardstick.run import suite_of
from jaxrnn.yardstick.search import SINGLE, default_of

TASK, MANY = "temporal_order", 1000
TIME_STEPS = 60_000  # of all lanes, in one timing


def main(
    cells: tuple[str, ...] = ("lstm", "gru", "min_gru", "lru"),
    lengths: tuple[int, ...] = (512, 1024),
    lanes: tuple[int, ...] = (3, 6, 9, 15, 27),
) -> None:
    """Print a table: cells and lengths by lanes.

    Args:
        cells: The nets.
        lengths: Lags.
        lanes: Lanes of each core.
    """
    jax.config.update("jax_num_cpu_devices", usable_cores())
    print(f"| cell | T | kB a lane | {' | '.join(map(str, lanes))} | *a run's own* |")
    print("|---|--:|--:|" + "--:|" * len(lanes) + "--:|")
    for cell in cells:
        for length in lengths:
            experiment = replace(
                default_of(suite_of(TASK), cell, SINGLE), length=length, trials=MANY
            )
            size = check_memory(experiment)
            own = most_lanes(size, MANY, jax.devices()[:1])
            num_steps = task_of(settled(experiment)).num_steps
            timed = {
                width: (replace(experiment, trials=width), max(1, TIME_STEPS // width // num_steps))
                for width in (*lanes, own)
            }
            samples = time_in_turn(timed, devices=jax.devices())
            times = [
                f"{min(samples[width]) / width / num_steps:.2f} "
                f"({statistics.median(samples[width]) / width / num_steps:.2f})"
                for width in (*lanes, own)
            ]
            times[-1] += f", {own} lanes"
            kept = size.residuals / 1000
            print(f"| {cell} | {length} | {kept:,.0f} | {' | '.join(times)} |", flush=True)
    print(f"\n{machine()}")


if __name__ == "__main__":
    tyro.cli(main)
