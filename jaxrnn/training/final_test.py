"""The final test: every trial on fresh sequences, with the weights that it ended with."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrnn.experiment import Experiment
from jaxrnn.training.engine import Lanes, Program, lanes_of, round_up
from jaxrnn.training.trial import TrainState


class Result(NamedTuple):
    """What the final test says of one trial."""

    wrong: int  # sequences with error above the threshold
    error: float  # the mean error


class FinalTest:
    """Keeps what the trials of a run end with, and tests them when all have ended."""

    def __init__(self, experiment: Experiment, program: Program, params: Any) -> None:
        """``params`` are those of a batch, for their shapes; the program's chunk is replayable."""
        self.experiment, self.program = experiment, program
        leaves, self.treedef = jax.tree.flatten(params)
        # On the host, a leaf [trials, ...] each.
        self.kept = [np.zeros((experiment.trials, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]

    def keep(self, before: TrainState, lanes: Lanes, ended: np.ndarray, steps: np.ndarray) -> None:
        """Keep what the trials in the ``ended`` lanes ended with, after their ``steps``.

        Their last chunk, which began with ``before``, is run again up to the end.
        """
        stop = np.array(lanes.stop)
        stop[ended] = steps
        state, _ = self.program.chunk(before, lanes._replace(stop=stop))
        for kept, leaf in zip(self.kept, jax.tree.leaves(state.params), strict=True):
            kept[lanes.trial[ended]] = np.asarray(leaf)[ended]

    def results(self, trials: np.ndarray, num_devices: int) -> dict[int, Result]:
        """Test these trials, int32 [M]."""
        if not trials.size:
            return {}
        assert self.program.final_test is not None
        lanes = lanes_of(self.experiment, np.resize(trials, round_up(len(trials), num_devices)))
        params = jax.tree.unflatten(self.treedef, [leaf[lanes.trial] for leaf in self.kept])
        tested = self.program.final_test(self.program.place(params), lanes)
        results = {}
        for trial, errors in zip(trials, np.asarray(tested, np.float64), strict=False):
            wrong = int((~(errors <= self.experiment.threshold)).sum())
            results[int(trial)] = Result(wrong, round(float(errors.mean()), 6))
        return results

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps of it."""
        return {f"final_{k}": leaf for k, leaf in enumerate(self.kept)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what a checkpoint kept."""
        self.kept = [np.array(arrays[f"final_{k}"]) for k in range(len(self.kept))]
