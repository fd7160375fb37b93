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
    num_lanes: int,
    num_devices: int,
) -> list[Outcome]:
    """The outcomes, in the order of what is kept, with what the final test says of each trial.

    No more are tested at once than were trained, ``num_lanes``, for which there is the memory;
    those that diverged are not tested.
    """
    places = np.flatnonzero([outcome.status != "diverged" for outcome in outcomes])
    if not places.size:
        return list(outcomes)
    assert program.final_test is not None
    results = list(outcomes)
    width = round_up(min(num_lanes, len(places)), num_devices)
    for batch in np.resize(places, (-(-len(places) // width), width)):  # the last is filled up
        lanes = lanes_of(experiment, kept.trials[batch])
        errors = program.final_test(program.place(kept.params(batch)), lanes)
        for place, of_trial in zip(batch.tolist(), np.asarray(errors, float), strict=True):
            results[place] = _with_errors(results[place], of_trial, experiment.threshold)
    return results


def _with_errors(outcome: Outcome, of_trial: np.ndarray, threshold: float) -> Outcome:
    wrong = int((~(of_trial <= threshold)).sum())
    error = round(float(of_trial.mean()), 6)
    known = error if np.isfinite(error) else None  # the last update may have been the one
    return replace(outcome, final_wrong=wrong, final_error=known)
