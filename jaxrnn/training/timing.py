"""How long training takes on this machine, by a short try."""

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
    of them. All chunks but the first count together: alone, one that is read late seems long, and
    the next one short.
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
    (start, before), *_, (end, after) = seen[len(seen) > 2 :]
    return (end - start) / (after - before) / parts_of(experiment).task.num_steps
