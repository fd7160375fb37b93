"""The final test: every trial on fresh sequences, with the weights that it ended with."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.training.engine import Program, lanes_of
from jaxrnn.training.kept import Kept
from jaxrnn.training.sizes import round_up


def with_final_test(
    experiment: Experiment,
    program: Program,
    kept: Kept,
    outcomes: Sequence[Outcome],
    num_devices: int,
) -> list[Outcome]:
    """The outcomes, in the order of what is kept, with what the final test says of each trial.

    Those that diverged are not tested.
    """
    places = np.flatnonzero([outcome.status != "diverged" for outcome in outcomes])
    if not places.size:
        return list(outcomes)
    assert program.final_test is not None
    ride = np.resize(places, round_up(len(places), num_devices))
    lanes = lanes_of(experiment, kept.trials[ride])
    errors = program.final_test(program.place(kept.params(ride)), lanes)
    results = list(outcomes)
    for place, of_trial in zip(places.tolist(), np.asarray(errors, float), strict=False):
        wrong = int((~(of_trial <= experiment.threshold)).sum())
        error = round(float(of_trial.mean()), 6)
        known = error if np.isfinite(error) else None  # the last update may have been the one
        results[place] = replace(results[place], final_wrong=wrong, final_error=known)
    return results
