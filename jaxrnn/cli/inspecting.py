"""The command ``jaxrnn inspect``."""

from collections.abc import Sequence
from pathlib import Path

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.errors import InputError
from jaxrnn.report.render import console


def inspect(
    run: Path,
    cells: Sequence[str] | None = None,
    *,
    experiment: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    length: int | None = None,
    trial: int = 0,
    objective: str | None = None,
    measure: str | None = None,
    format: Sequence[str] = (),
    out: Path | None = None,
    compile_cache: bool = True,
) -> None:
    """Draw what happens inside the nets of a run directory that keeps their weights.

    For each net, one picture shows the states, gates and hidden units over time, for two sequences
    of its task. A state that is a matrix is drawn as one, at a few steps. One more picture shows
    how far back in time the gradient of the last step that counts reaches. Nothing is trained.
    """
    for name, value in (("objective", objective), ("measure", measure)):
        if value is not None and ":" not in value:
            raise InputError(
                f"{name} {value} is not your own code, such as file.py:name: leave it out, "
                f"{run} says what its nets have"
            )
    set_up_jax(compile_cache)
    from jaxrnn import inspection

    choice = inspection.Choice(experiment, cells, tasks, length, trial)
    own = {"cell": cells or (), "task": tasks or ()}
    own |= {"objective": (objective or "",), "measure": (measure or "",)}
    with console.status("") as status:
        pictures = inspection.inspect(
            run, choice, out or run / "inspect", own, format, status.update
        )
    for picture in pictures:
        console.print(str(picture), highlight=False, soft_wrap=True)
