"""See trained nets remember: reads a run directory's nets, records them and draws pictures."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import jax

from jaxrnn.errors import InputError
from jaxrnn.inspection.pictures import draw_gradient_norms, draw_look, ending, label, reach_of
from jaxrnn.inspection.record import Look, Record, gradient_norms, look, look_at_both
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
    "reach_of",
]


def inspect(
    run: Path,
    choice: Choice,
    out: Path,
    own: Mapping[str, Sequence[str]] | None = None,
    formats: Iterable[str] = (),
    on_stage: Callable[[str], None] = lambda sentence: None,
) -> list[Path]:
    """Draw what goes on in the chosen nets of a run directory, and return the pictures' paths.

    Each CELL-NAME-LENGTH.png shows a net while it reads two sequences of its task; of nets that
    differ in other settings the second one's ends in -2. gradient_norms.png shows for all nets how
    far back their gradients reach. Each is written in the ``formats``, too: svg or pdf. A trial's
    weights are those at the step where it was solved, or after its last step.

    ``own`` gives for each setting the names of users' own code that may be imported, as for
    :func:`jaxrnn.load_weights`. ``on_stage`` gets a sentence before each picture.

    Raises InputError if the directory keeps no such weights, for a net without a state, for a trial
    that diverged, for an ``out`` that cannot hold the pictures, and what
    :func:`jaxrnn.load_weights` raises.
    """
    endings = suffixes(formats)
    stems: list[str] = []
    trials = chosen(run, choice)
    for experiment, *_ in trials:
        words = f"{file_name(f'{experiment.cell}-{experiment.name}')}-{experiment.length}"
        numbered = (words, *(f"{words}-{number}" for number in range(2, len(trials) + 1)))
        stems.append(next(one for one in numbered if one not in stems))
    pictures = {
        stem: [out / f"{stem}.{ending}" for ending in endings]
        for stem in (*stems, "gradient_norms")
    }
    paths = [path for of in pictures.values() for path in of]
    for path in paths:
        if path.is_dir():
            raise InputError(f"{path} is a directory, but a picture has to go there: move it away")
    nets = [one.load(own or {}) for one in trials]
    for experiment, outcome in nets:
        if not state_size(experiment):
            raise InputError(f"cell {experiment.cell} has no state to look at: choose another")
        if outcome.status == "diverged":
            raise InputError(
                f"trial {outcome.trial} of {label(experiment)} at length {experiment.length} "
                f"diverged in step {outcome.steps - 1}: choose another"
            )
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {out}: choose another directory")
    reaches = {}
    for stem, (experiment, outcome) in zip(stems, nets, strict=True):
        net = f"{label(experiment)} at length {experiment.length}"
        on_stage(f"Drawing {net}.")
        seen = jax.device_get(look_at_both(experiment, outcome.params))
        figure = draw_look(experiment, outcome, seen)
        for path in pictures[stem]:
            write_figure(path, figure)
        words = f"{net}, {ending(outcome)}"
        reaches[f"{words} ({stem})" if words in reaches else words] = reach_of(seen)
    on_stage("Drawing the gradients.")
    figure = draw_gradient_norms(reaches)
    for path in pictures["gradient_norms"]:
        write_figure(path, figure)
    return paths
