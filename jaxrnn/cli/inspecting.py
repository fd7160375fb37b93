"""The command ``jaxrnn inspect``."""

from collections.abc import Sequence
from pathlib import Path

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.report.render import console


def inspect(
    run: Path,
    cells: Sequence[str] | None = None,
    *,
    experiment: Sequence[str] | None = None,
    tasks: Sequence[str] = ("",),
    objective: str = "",
    measure: str = "",
    length: int | None = None,
    trial: int = 0,
    out: Path | None = None,
    compile_cache: bool = True,
) -> None:
    """Draw what happens inside the trained nets of a run directory that kept its weights.

    For each net, one picture shows the states, gates and hidden units over time, for two sequences
    of its task. A state that is a matrix is drawn as one, at a few steps. One more picture shows
    how far back in time the gradient of the last step that counts reaches.
    """
    set_up_jax(compile_cache)
    from jaxrnn import inspection

    with console.status("") as status:
        choice = inspection.Choice(experiment, cells, length, trial)
        own = {"cell": cells or (), "task": tasks, "objective": [objective], "measure": [measure]}
        pictures = inspection.inspect_run(run, choice, out or run / "inspect", own, status.update)
    for picture in pictures:
        console.print(str(picture), highlight=False, soft_wrap=True)
