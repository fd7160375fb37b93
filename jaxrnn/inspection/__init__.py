"""See trained nets remember: trains or reads them, records them and writes their pictures."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxrnn.errors import InputError, whole_number
from jaxrnn.experiment import PER_TRIAL, Experiment
from jaxrnn.inspection.pictures import draw_gradient_norms, draw_record, ending, label
from jaxrnn.inspection.record import (
    Look,
    Record,
    gradient_norms,
    look,
    look_at_both,
    trained_params,
)
from jaxrnn.inspection.sequences import draw_look, reach_of
from jaxrnn.outcome import Outcome
from jaxrnn.problems import settled
from jaxrnn.store.files import file_name, write_figure
from jaxrnn.trained import Choice, chosen
from jaxrnn.training.parts import state_size
from jaxrnn.training.runner import check, run_trials

__all__ = [
    "Choice",
    "Look",
    "Record",
    "draw_gradient_norms",
    "draw_look",
    "draw_record",
    "gradient_norms",
    "inspect",
    "inspect_run",
    "look",
    "look_at_both",
    "trained_params",
]

OnStage = Callable[[str], None]
"""Gets a sentence before each stage."""


class _Net(NamedTuple):
    """A trained net to look at."""

    experiment: Experiment
    outcome: Outcome  # of the trial, with its parameters

    def __str__(self) -> str:
        return f"{label(self.experiment)} at length {self.experiment.length}"


def inspect(
    experiments: Sequence[Experiment],
    trial: int,
    out: Path,
    on_stage: OnStage = lambda sentence: None,
) -> list[Path]:
    """Train one trial of each experiment, draw what goes on in it, and return the pictures' paths.

    Each CELL-NAME-LENGTH.png shows a net while it reads two sequences of its task.
    gradient_norms.png shows for all nets how far back their gradients reach. A trial's weights are
    those at the step where it was solved, or after its last step.

    Raises InputError for nets that would share a picture, for an ``out`` that cannot hold the
    pictures, for a trial that diverged, and what :func:`jaxrnn.run_trials` raises.
    """
    if whole_number("trial", trial, 0) >= 2**31 - 1:
        raise InputError(f"trial {trial} must be below 2147483647")
    pictures = _paths(experiments, out)
    experiments = [_up_to(experiment, trial) for experiment in experiments]
    for experiment in experiments:
        check(experiment, num_trials=1, keep_params=True)
        _check_state(experiment)
    _make(out)

    def trained(experiment: Experiment) -> _Net:
        net = f"{label(experiment)} at length {experiment.length}"
        on_stage(f"Training trial {trial} of {net}.")
        return _Net(experiment, *run_trials(experiment, only=[trial], keep_params=True))

    return _draw(map(trained, experiments), pictures, on_stage)


def inspect_run(
    run: Path,
    choice: Choice,
    out: Path,
    own: Mapping[str, Sequence[str]] | None = None,
    on_stage: OnStage = lambda sentence: None,
) -> list[Path]:
    """Like :func:`inspect`, but for a trial whose weights a run directory keeps; nothing is
    trained.

    ``own`` gives for each setting the names of users' own code that may be imported, as for
    :func:`jaxrnn.load_weights`.

    Raises InputError if the directory keeps no such weights, and whatever these two functions
    raise.
    """
    found = chosen(run, choice)
    pictures = _paths([one.experiment for one in found], out)
    nets = [_Net(*one.load(own or {})) for one in found]
    for net in nets:
        _check_state(net.experiment)
        _check_ended(net)
    _make(out)
    return _draw(iter(nets), pictures, on_stage)


def _paths(experiments: Sequence[Experiment], out: Path) -> list[Path]:
    """The path of each net's picture, and at the end that of the picture of all nets."""
    names = [f"{file_name(f'{e.cell}-{e.name}')}-{e.length}.png" for e in experiments]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{name} would show {count} nets: let name, cell or length differ")
    pictures = [out / name for name in [*names, "gradient_norms.png"]]
    for path in pictures:
        if path.is_dir():
            raise InputError(f"{path} is a directory, but a picture has to go there: move it away")
    return pictures


def _make(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {out}: choose another directory")


def _check_state(experiment: Experiment) -> None:
    if not state_size(experiment):
        raise InputError(f"cell {experiment.cell} has no state to look at: choose another")


def _check_ended(net: _Net) -> None:
    outcome = net.outcome
    if outcome.status == "diverged":
        step = outcome.steps - 1
        raise InputError(f"trial {outcome.trial} of {net} diverged in step {step}: choose another")


def _draw(nets: Any, pictures: Sequence[Path], on_stage: OnStage) -> list[Path]:
    reaches, is_pair, lengths = {}, True, set()
    for path, net in zip(pictures, nets, strict=False):  # the last is of all
        _check_ended(net)
        on_stage(f"Drawing {net}.")
        experiment, outcome = net
        seen = jax.device_get(look_at_both(experiment, outcome.params))
        if experiment.task == "noise_free":
            write_figure(path, draw_record(experiment, outcome, seen.record))
        else:
            is_pair = False
            write_figure(path, draw_look(experiment, outcome, seen))
        reaches[f"{net}, {ending(outcome)}"] = reach_of(seen)
        lengths.add(experiment.length)
        is_pair = is_pair and settled(experiment).objective == "cross_entropy" and len(lengths) == 1
    on_stage("Drawing the gradients.")
    write_figure(pictures[-1], draw_gradient_norms(reaches, from_end=not is_pair))
    return list(pictures)


def _up_to(experiment: Experiment, trial: int) -> Experiment:
    """The experiment with no trials after ``trial``, all as they were."""
    settings = {name: getattr(experiment, name) for name in PER_TRIAL}
    cut: dict[str, Any] = {n: v[: trial + 1] for n, v in settings.items() if isinstance(v, tuple)}
    return replace(experiment, trials=trial + 1, **cut)
