"""How long training takes on this machine, by a short try."""

import itertools
import time
from dataclasses import replace

from jaxrnn.experiment import Experiment
from jaxrnn.training.parts import parts_of
from jaxrnn.training.runner import run_trials


def seconds_a_time_step(
    experiment: Experiment, *, updates: int = 80, chunk: int = 10, lanes: int | None = None
) -> float:
    """Seconds that a time step of one trial takes in training, if all are trained at once.

    It compiles the program and trains for so many ``updates``. The host reads after every ``chunk``
    of them, and the fastest chunk counts, since other work may slow some down.
    """
    sequences = updates * experiment.batch_size
    seen = [(time.monotonic(), 0)]
    run_trials(
        replace(experiment, max_steps=sequences, window=sequences),
        lanes=lanes,
        chunk_steps=chunk,
        on_chunk=lambda tally: seen.append((time.monotonic(), tally.trial_steps)),
    )
    # The first chunk waits for the compiler: it only counts where there is no other.
    chunks = itertools.pairwise(seen)
    least = min((end - start) / (last - first) for (start, first), (end, last) in chunks)
    return least / parts_of(experiment).task.num_steps
