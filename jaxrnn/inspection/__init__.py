"""See a trained net remember: its states and gates over time, and how far its gradient reaches."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrnn.errors import InputError, whole_number
from jaxrnn.experiment import PER_TRIAL, Experiment
from jaxrnn.inspection.pictures import draw_gradient_norms, draw_record, ending, label
from jaxrnn.inspection.record import (
    Record,
    gradient_norms,
    look,
    look_at_both,
    trained_params,
)
from jaxrnn.results.files import write_figure
from jaxrnn.tasks import settled
from jaxrnn.training.runner import check, run_trials

__all__ = [
    "Record",
    "draw_gradient_norms",
    "draw_record",
    "gradient_norms",
    "inspect",
    "look",
    "look_at_both",
    "trained_params",
]


def inspect(
    experiments: Sequence[Experiment],
    trial: int,
    out: Path,
    on_stage: Callable[[str], None] = lambda sentence: None,
) -> list[Path]:
    """Train one trial of each experiment, draw what goes on in it, and return the pictures' paths.

    CELL-NAME-LENGTH.png shows a net while it reads each of the two sequences of noise_free,
    gradient_norms.png how far back the gradients of all of them reach. A trial is taken where it
    was solved, or after its last step. ``on_stage`` gets a sentence before each stage.

    Raises InputError for another task than noise_free or objective than cross_entropy, for nets
    that would share a picture, for an ``out`` that cannot hold the pictures, for a trial that
    diverged, and what :func:`jaxrnn.run_trials` raises.
    """
    if whole_number("trial", trial, 0) >= 2**31 - 1:
        raise InputError(f"trial {trial} must be below 2147483647")
    if trial >= 2**31 - 1:
        raise InputError(f"trial {trial} must be below 2147483647")
    for experiment in experiments:
        if experiment.task != "noise_free":
            raise InputError(f"task {experiment.task} cannot be inspected: choose noise_free")
        objective = settled(experiment).objective
        if objective != "cross_entropy":  # its softmax is what the pictures show
            raise InputError(f"objective {objective} cannot be inspected: choose cross_entropy")
    names = [f"{one.cell}-{one.name}-{one.length}.png" for one in experiments]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{name} would show {count} nets: let name, cell or length differ")
    pictures = [out / name for name in [*names, "gradient_norms.png"]]
    for path in pictures:
        if path.is_dir():
            raise InputError(f"{path} is a directory and a picture is to go there: move it away")
    experiments = [_up_to(experiment, trial) for experiment in experiments]
    for experiment in experiments:
        check(experiment, num_trials=1)
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {out}: choose another directory")
    reaches = {}
    for path, experiment in zip(pictures, experiments, strict=False):  # the last is of all
        net = f"{label(experiment)} at length {experiment.length}"
        on_stage(f"Training trial {trial} of {net} to find where it ends.")
        (outcome,) = run_trials(experiment, only=[trial])
        if outcome.status == "diverged":
            step = outcome.steps - 1
            raise InputError(f"trial {trial} of {net} diverged in step {step}: choose another")
        on_stage(f"Training it again for {outcome.steps:,} steps, when it is {outcome.status}.")
        params = trained_params(experiment, trial, outcome.steps)
        on_stage(f"Drawing {net}.")
        record, norms = jax.device_get(look_at_both(experiment, params))
        write_figure(path, draw_record(experiment, outcome, record))
        reaches[f"{net}, {ending(outcome)}"] = norms.astype(np.float64)
    on_stage("Drawing the gradients.")
    write_figure(pictures[-1], draw_gradient_norms(reaches))
    return pictures


def _up_to(experiment: Experiment, trial: int) -> Experiment:
    """The experiment with no trials after ``trial``, all as they were."""
    settings = {name: getattr(experiment, name) for name in PER_TRIAL}
    cut: dict[str, Any] = {n: v[: trial + 1] for n, v in settings.items() if isinstance(v, tuple)}
    return replace(experiment, trials=trial + 1, **cut)
