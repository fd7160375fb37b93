"""See trained nets remember: reads them, records them and writes their pictures."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from matplotlib.figure import Figure

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.inspection.pictures import draw_gradient_norms, draw_look, how_ended, label, reach_of
from jaxrnn.inspection.record import Look, Record, gradient_norms, look, look_at_both
from jaxrnn.outcome import Outcome
from jaxrnn.store.files import file_name, suffixes, write_figure
from jaxrnn.trained import Choice, chosen
from jaxrnn.training.parts import state_size

__all__ = [
    "Choice",
    "Look",
    "Record",
    "draw_gradient_norms",
    "draw_look",
    "gradient_norms",
    "inspect",
    "look",
    "look_at_both",
]


GRADIENTS = "gradient_norms"
"""The name of the picture of all nets' gradients, without its suffix."""


class _Net(NamedTuple):
    """A trained net to look at."""

    experiment: Experiment
    outcome: Outcome  # of the trial, with its parameters

    def __str__(self) -> str:
        return f"{label(self.experiment)} at length {self.experiment.length}"


def inspect(
    run: Path,
    choice: Choice,
    out: Path,
    own: Mapping[str, Sequence[str]] | None = None,
    formats: Iterable[str] = (),
    on_stage: Callable[[str], None] = lambda sentence: None,
) -> list[Path]:
    """Draw what goes on in trained nets whose weights a run directory keeps, and return the
    pictures' paths.

    Each CELL-NAME-LENGTH.png shows a net while it reads two sequences of its task.
    gradient_norms.png shows for all nets how far back their gradients reach. Each picture is
    written as a PNG file, and in each of the ``formats``, svg or pdf. ``own`` gives for each
    setting the names of users' own code that may be imported, as for :func:`jaxrnn.load_weights`.
    ``on_stage`` gets a sentence before each stage.

    Raises InputError if the directory keeps no such weights, for nets that would share a picture,
    for an ``out`` that cannot hold the pictures, for a trial that diverged, for other formats, and
    what :func:`jaxrnn.load_weights` raises.
    """
    found, endings = chosen(run, choice), suffixes(formats)
    names = _names([one.experiment for one in found])
    for path in (out / f"{name}.{ending}" for name in [*names, GRADIENTS] for ending in endings):
        if path.is_dir():
            raise InputError(f"{path} is a directory, but a picture has to go there: move it away")
    nets = [_Net(*one.load(own or {})) for one in found]
    for net in nets:
        if not state_size(net.experiment):
            raise InputError(f"cell {net.experiment.cell} has no state to look at: choose another")
        if net.outcome.status == "diverged":
            where = f"trial {net.outcome.trial} of {net} diverged in step {net.outcome.steps - 1}"
            raise InputError(f"{where}: choose another")
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {out}: choose another directory")

    written: list[Path] = []

    def write(name: str, figure: Figure) -> None:
        for ending in endings:
            written.append(out / f"{name}.{ending}")
            write_figure(written[-1], figure)

    reaches = {}
    for name, net in zip(names, nets, strict=True):
        on_stage(f"Drawing {net}.")
        seen = jax.device_get(look_at_both(net.experiment, net.outcome.params))
        reaches[f"{net}, {how_ended(net.outcome)}"] = reach_of(seen)
        write(name, draw_look(net.experiment, net.outcome, seen))
    on_stage("Drawing the gradients.")
    write(GRADIENTS, draw_gradient_norms(reaches))
    return written


def _names(experiments: Sequence[Experiment]) -> list[str]:
    """The name of each net's picture, without its suffix."""
    names = [f"{file_name(f'{e.cell}-{e.name}')}-{e.length}" for e in experiments]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{name}.png would show {count} nets: let name, cell or length differ")
    return names
