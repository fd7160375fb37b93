"""The command ``jaxrnn inspect``."""

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.words import Count, Integer, Name, Names, Out, Runs
from jaxrnn.errors import InputError
from jaxrnn.report.render import console


def inspect(
    runs: Runs,
    experiment: Names = None,
    cells: Names = None,
    task: Name = None,
    objective: Name = None,
    measure: Name = None,
    length: Integer = None,
    trial: Count = 0,
    out: Out = None,
    format: Names = (),
    compile_cache: bool = True,
) -> None:
    """Draw what happens inside the trained nets of a run directory that kept its weights.

    For each net, one picture shows the states, gates and hidden units over time, for two sequences
    of its task. A state that is a matrix is drawn as one, at a few steps. One more picture shows
    how far back in time the gradient of the last step that counts reaches.

    Args:
        runs: A run directory made with --keep-weights.
        experiment: Draw the nets of these experiments; by default all of the run.
        cells: Draw only these of their nets.
        task: The task that is your own code, which is imported only if you name it here.
        objective: The objective that is your own code, named in the same way.
        measure: The measure of errors that is your own code, named in the same way.
        length: Length of the sequences; by default the longest of each net.
        trial: Which of the trials.
        out: Directory for the pictures; by default inspect in the run directory.
        format: Write the pictures in these formats, too: svg, pdf.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    if len(runs) != 1:
        raise InputError(f"name one run directory, not {len(runs)}: {' '.join(map(str, runs))}")
    set_up_jax(compile_cache)
    from jaxrnn import inspection

    run = runs[0]
    choice = inspection.Choice(experiment, cells, length, trial)
    own = {"cell": cells or (), "task": [task or ""], "objective": [objective or ""]}
    own["measure"] = [measure or ""]
    with console.status("") as status:
        pictures = inspection.inspect(
            run, choice, out or run / "inspect", own, format or (), status.update
        )
    for picture in pictures:
        console.print(str(picture), highlight=False, soft_wrap=True)
