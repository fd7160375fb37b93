"""What is gained by handing the lane of a finished trial to the next one?

    python benchmarks/lanes.py [--trials 200] [--length 8]

Trains the same number of LSTM trials to their ends twice, on every core: in one call, whose lanes
are kept full, and in blocks of ten, one call after another, each waiting for its slowest trial.
Both find their programs in a compile cache that was warmed before, so compiling is in neither time.
Occupancy: updates of trials over those that the lanes had time for.
"""

import tempfile
import time
from collections.abc import Callable
from unittest import mock

import jax
import tyro
from timing import machine

from jaxrnn import Experiment, run_trials
from jaxrnn.machine import usable_cores
from jaxrnn.training.compiling import Lanes
from jaxrnn.training.engine import Chunk
from jaxrnn.training.tickets import Tally
from jaxrnn.training.trial import TrainState

BLOCK = 10


def occupancy_of(run: Callable[[Callable[[Tally], None]], object]) -> tuple[int, int]:
    """Updates of the trials of one call, and of its lanes."""
    tallies: list[Tally] = []
    lane_steps = [0]

    def counting(chunk: Chunk, state: TrainState, lanes: Lanes) -> tuple[TrainState, jax.Array]:
        new, errors = launch(chunk, state, lanes)
        lane_steps[0] += len(errors) * len(lanes.trial)
        return new, errors

    launch = Chunk.__call__
    with mock.patch.object(Chunk, "__call__", counting):
        run(tallies.append)
    return tallies[-1].trial_steps, lane_steps[0]


def main(trials: int = 200, length: int = 8, repeats: int = 3) -> None:
    """Time one call for all trials against blocks of ten.

    Args:
        trials: Trials, a multiple of ten.
        length: Length of the sequences.
        repeats: How often each is timed; the least counts.
    """
    jax.config.update("jax_num_cpu_devices", usable_cores())
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

    def together(on_chunk: Callable[[Tally], None]) -> None:
        run_trials(Experiment(length=length, trials=trials), on_chunk=on_chunk)

    def block(seed: int) -> Callable[[Callable[[Tally], None]], object]:
        experiment = Experiment(length=length, trials=BLOCK, seed=seed)
        return lambda on_chunk: run_trials(experiment, on_chunk=on_chunk)

    with tempfile.TemporaryDirectory() as cache:
        jax.config.update("jax_compilation_cache_dir", cache)
        print("| how | trials | steps a trial | lanes busy | least s | trial-steps/s |")
        print("|---|--:|--:|--:|--:|--:|")
        rates = []
        for name, runs in (
            ("one call", [together]),
            ("blocks of ten", [block(seed) for seed in range(trials // BLOCK)]),
        ):
            seconds = []
            for _ in range(repeats + 1):  # the first fills the compile cache
                start = time.perf_counter()
                counts = [occupancy_of(run) for run in runs]
                seconds.append(time.perf_counter() - start)
            least = min(seconds[1:])
            steps, lane_steps = (sum(column) for column in zip(*counts, strict=True))
            rates.append(steps / least)
            print(
                f"| {name} | {trials} | {steps / trials:,.0f} | {steps / lane_steps:.0%} "
                f"| {least:.1f} | {rates[-1]:,.0f} |",
                flush=True,
            )
    print(f"\nGain in trial-steps a second: {rates[0] / rates[1]:.2f}\n\n{machine()}")


if __name__ == "__main__":
    tyro.cli(main)
