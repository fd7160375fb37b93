"""What experiments are likely to cost on this machine, before they are run."""

import time
import warnings

import jax

from jaxrnn.errors import Note
from jaxrnn.experiment import Experiment
from jaxrnn.problems import SUITES, Suite, settled
from jaxrnn.training.lanes import GPU_PAYS_FROM
from jaxrnn.training.parts import parts_of
from jaxrnn.training.runner import run_trials

# Of a time step of a trial, in those of the timed experiment, tests included; roughly, as once
# measured: of the LSTM by its units, of other nets by the task.
_TIMED, _TRIALS, _STEPS = "6a", 20, 1500
_LSTM_COST = {2: 1.3, 8: 2.1, 20: 6.0, 128: 77.0}
_COST = {
    "embedded_reber": 6.0,
    "noise_free": 2.0,
    "no_regularities": 2.3,
    "very_long_lag": 0.7,
    "two_sequence": 2.6,
    "two_sequence_noise": 2.6,
    "two_sequence_target_noise": 2.6,
    "temporal_order_three": 1.7,
}


def seconds_a_time_step() -> float:
    """Time of one time step of one trial of experiment 6a, its training included; some seconds."""
    experiment = SUITES[_TIMED].at(trials=_TRIALS, max_steps=_STEPS, window=_STEPS)
    seen: list[tuple[float, int]] = []
    run_trials(
        experiment, on_chunk=lambda tally: seen.append((time.monotonic(), tally.trial_steps))
    )
    (start, first), (end, last) = seen[0], seen[-1]  # the first chunk was compiled before
    return (end - start) / (last - first) / parts_of(experiment).task.num_steps


def expected_seconds(suite: Suite, length: int, seconds: float) -> float:
    """Duration of an experiment whose trials end as the published ones did on average.

    ``seconds`` is what :func:`seconds_a_time_step` gave. Where no published trial succeeded, all
    run to their cap.
    """
    experiment = settled(suite.at(length=length))
    published = suite.published_at(experiment.cell, length)
    steps: float = experiment.max_steps
    if published is not None and published.mean is not None:
        steps = published.mean + suite.not_counted(experiment.window)
    time_steps = parts_of(experiment).task.num_steps * steps * experiment.trials
    return seconds * _relative_cost(experiment) * time_steps


def _relative_cost(experiment: Experiment) -> float:
    if experiment.cell == "lstm":
        return _LSTM_COST[min(_LSTM_COST, key=lambda size: abs(size - experiment.hidden_size))]
    return _COST.get(experiment.task, 1.0)


def warn_if_small(trials: int, device: jax.Device) -> None:
    """Say so where an accelerator has too few trials of a net at once to be faster than a CPU."""
    if device.platform != "cpu" and trials < GPU_PAYS_FROM:
        some = "1 trial of a net is" if trials == 1 else f"{trials} trials of a net are"
        warnings.warn(
            f"{some} few for {device.device_kind}, which is likely to be "
            f"faster than CPU cores from {GPU_PAYS_FROM} or so on: JAX_PLATFORMS=cpu runs it there",
            Note,
            stacklevel=2,
        )
