"""The command ``jaxrnn inspect``."""

from typing import Annotated

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.words import Count, Integer, Name, Names, Out, Runs, flag
from jaxrnn.errors import InputError
from jaxrnn.report.render import console


def inspect(
    runs: Runs = (),
    experiment: Names = None,
    cells: Names = None,
    tasks: Names = None,
    length: Integer = None,
    trial: Count = 0,
    objective: Name = None,
    measure: Name = None,
    format: Annotated[tuple[str, ...], flag("NAME [NAME ...]", "")] = (),
    out: Out = None,
    compile_cache: bool = True,
) -> None:
    """Draw what happens inside the nets of a run directory that keeps their weights.

    For each net, one picture shows the states, gates and hidden units over time, for two sequences
    of its task. A state that is a matrix is drawn as one, at a few steps. One more picture shows
    how far back in time the gradient of the last step that counts reaches. Nothing is trained.

    Args:
        runs: A run directory made with `sweep --keep-weights`.
        experiment: Draw only the nets of these experiments.
        cells: Draw only these cells. A cell that is your own code is imported only if you name it.
        tasks: Draw only the nets of these tasks. A task that is your own code is imported only if
            you name it.
        length: Length of the sequences; by default each net's longest.
        trial: Which of the trials.
        objective: The objective, if it is your own code, which is imported only if you name it.
        measure: The measure of errors, if it is your own code.
        format: Write each picture in this format, too, for papers: svg, pdf or both.
        out: Directory for the pictures; by default inspect in the run directory.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    if len(runs) != 1:
        words = (
            f"not {len(runs)}: {' '.join(map(str, runs))}"
            if runs
            else ("made by jaxrnn sweep --keep-weights, such as: jaxrnn inspect runs/look")
        )
        raise InputError(f"name one run directory, {words}")
    (run,) = runs
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
