"""What does the 1997 net cost beside the standard LSTM with as many cells?

    python benchmarks/paper_cell.py

Times, on one core, one training step of ten trials on the tasks of the 1997 paper: memory blocks,
whose truncated gradient needs no backward scan, as the paper's experiments train them, and the
standard LSTM with as many cells under the same task, objective and optimizer.
"""

from dataclasses import replace

import jax
import numpy as np
import tyro
from timing import REPEATS, Timing, machine, time_steps, use_one_core

from jaxrnn.experiment import Experiment
from jaxrnn.suites.paper_1997 import PAPER
from jaxrnn.training.engine import Lanes, empty_state, make_chunk
from jaxrnn.training.trial import build, settings_of


def measure(experiment: Experiment) -> Timing:
    """Time one training step of all trials."""
    trial, count = build(experiment), experiment.trials
    zeros = np.zeros(count, np.int32)
    lanes = Lanes(np.arange(count, dtype=np.int32), zeros, settings_of(experiment))
    one = jax.devices()[:1]
    chunk_steps = max(20, 20_000 // trial.num_steps)
    chunk = make_chunk(trial, experiment.seed, chunk_steps, one)
    return time_steps(
        lambda state, first: chunk(state, lanes._replace(step=zeros + np.int32(first))),
        empty_state(trial, experiment.seed, lanes, one),
        chunk_steps,
    )


def main(names: tuple[str, ...] = ("4", "2c", "6a"), length: int = 100, trials: int = 10) -> None:
    """Time one training step of all trials with both nets.

    Args:
        names: Experiments of the paper with memory blocks.
        length: Length of the sequences.
        trials: Trials trained together.
    """
    use_one_core()
    print(f"Microseconds for one training step of {trials} trials, least (median) of {REPEATS}.\n")
    print("| experiment | T | time steps | cells | 1997 net | standard LSTM | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name in names:
        paper = PAPER[name].at("memory_blocks", length, trials=trials)
        cells = paper.hidden_size * dict(paper.cell_options)["block_size"]
        lstm = replace(paper, cell="lstm", cell_options=(), hidden_size=cells)
        ours, theirs = measure(paper), measure(lstm)
        columns = [f"{t.least:,.1f} ({t.median:,.1f})" for t in (ours, theirs)]
        steps, ratio = build(paper).num_steps, f"{ours.least / theirs.least:.2f}"
        print(f"| {name} | {length} | {steps} | {cells} | {' | '.join([*columns, ratio])} |")
    print(f"\n{machine()}")


if __name__ == "__main__":
    tyro.cli(main)
