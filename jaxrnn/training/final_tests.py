"""The tests of a trial at its end, with the weights after its last update."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.training.compiling import Lanes, some_lanes
from jaxrnn.training.engine import Program
from jaxrnn.training.lanes import round_up
from jaxrnn.training.parts import DECIDING, FINAL, at_length


def with_tests(
    experiment: Experiment,
    program: Program,
    lanes: Lanes,
    outcomes: list[Outcome],
    num_devices: int,
) -> list[Outcome]:
    """The outcomes, which have their parameters, with those of the tests at the end; the ``lanes``
    say which trials these are of.

    Few are tested at once, so one program serves any number. Those that diverged are not tested.
    """
    results = list(outcomes)
    positions = np.flatnonzero([outcome.status != "diverged" for outcome in outcomes])
    if not positions.size:
        return results
    width = round_up(1, num_devices)
    # The last batch is filled up.
    for batch in np.resize(positions, (-(-len(positions) // width), width)):
        stacked = jax.tree.map(lambda *of: np.stack(of), *(outcomes[k].params for k in batch))
        params, some = program.put(stacked), some_lanes(lanes, batch)
        tested = {
            name: np.asarray(test(params, some), float)
            for name, test in program.tests.items()
            if name != DECIDING
        }
        wrong = {
            name: (~(errors <= experiment.threshold)).sum(1) for name, errors in tested.items()
        }
        for lane, position in enumerate(batch.tolist()):
            said: dict[str, Any] = {}
            if FINAL in tested:
                error = round(float(tested[FINAL][lane].mean()), 6)
                # An error is not finite where the last update made it infinite.
                known = error if np.isfinite(error) else None
                said |= {"final_wrong": int(wrong[FINAL][lane]), "final_error": known}
            if lengths := experiment.test_lengths:
                counts = (int(wrong[at_length(length)][lane]) for length in lengths)
                said["wrong_at_lengths"] = tuple(counts)
            results[position] = replace(outcomes[position], **said)
    return results
