"""What does the 1997 net cost beside the standard LSTM with as many cells?

    python benchmarks/paper_cell.py

Times, on one core, one update of ten trials on the tasks of the 1997 paper: memory blocks,
whose truncated gradient needs no backward scan, as the paper's experiments train them, and the
standard LSTM with as many cells under the same task, objective and optimizer.
"""

from dataclasses import replace

import tyro
from timing import REPEATS, Timing, chunks_of, machine, time_steps, use_one_core

from jaxrnn.experiment import Experiment
from jaxrnn.problems import SUITES
from jaxrnn.training.trial import build


def measure(experiment: Experiment) -> Timing:
    """Time one update of all trials."""
    chunk_steps = max(20, 20_000 // build(experiment).num_steps)
    return time_steps(*chunks_of(experiment, chunk_steps), chunk_steps)


def main(names: tuple[str, ...] = ("4", "2c", "6a"), length: int = 100, trials: int = 10) -> None:
    """Time one update of all trials with both nets.

    Args:
        names: Experiments of the paper with memory blocks.
        length: Length of the sequences.
        trials: Trials trained together.
    """
    use_one_core()
    print(f"Microseconds for one update of {trials} trials, least (median) of {REPEATS}.\n")
    print("| experiment | T | time steps | cells | 1997 net | standard LSTM | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name in names:
        paper = SUITES[name].at(length=length, trials=trials)
        cells = paper.hidden_size * dict(paper.cell_options)["block_size"]
        lstm = replace(paper, cell="lstm", cell_options=(), hidden_size=cells)
        ours, theirs = measure(paper), measure(lstm)
        columns = [f"{t.least:,.1f} ({t.median:,.1f})" for t in (ours, theirs)]
        steps, ratio = build(paper).num_steps, f"{ours.least / theirs.least:.2f}"
        print(f"| {name} | {length} | {steps} | {cells} | {' | '.join([*columns, ratio])} |")
    print(f"\n{machine()}")


if __name__ == "__main__":
    tyro.cli(main)
