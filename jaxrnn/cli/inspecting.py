"""The command ``jaxrnn inspect``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.words import Count, Integer, Name, Names, Out, Runs
from jaxrnn.errors import InputError, look_up
from jaxrnn.experiment import Experiment
from jaxrnn.machine import all_devices
from jaxrnn.problems import SUITES, Suite
from jaxrnn.report.render import console
from jaxrnn.sweeps.run import expand
from jaxrnn.training.lanes import warn_if_small


def inspect(
    runs: Runs = (),
    experiment: Names = None,
    cells: Names = None,
    task: Name = None,
    objective: Name = None,
    measure: Name = None,
    length: Integer = None,
    trial: Count = 0,
    seed: Integer = None,
    batch_size: Integer = None,
    max_steps: Integer = None,
    out: Out = None,
    compile_cache: bool = True,
) -> None:
    """Draw what happens inside a trained net: one of a run that kept its weights, or one trained
    now.

    For each net, one picture shows the states, gates and hidden units over time, for two sequences
    of its task. A state that is a matrix is drawn as one, at a few steps. One more picture shows
    how far back in time the gradient of the last step that counts reaches.

    Args:
        runs: A run directory made with --keep-weights. Without it, one trial of each net is
            trained.
        experiment: Draw the nets of these experiments; by default notebook and better, or all of
            the run.
        cells: Draw only these of their nets.
        task: The task to train on instead of the experiment's. For a run: the task that is your own
            code, which is imported only if you name it here.
        objective: The objective to train with, named in the same way.
        measure: The measure of errors, named in the same way.
        length: Length of the sequences; by default 20 if an experiment has it, else its first, and
            for a run its longest.
        trial: Which of the trials.
        seed: Random seed, which decides all first weights and training sequences.
        batch_size: Training sequences of an update.
        max_steps: Training sequences after which a net is drawn even if it has not solved the task.
        out: Directory for the pictures; by default runs/inspect, or inspect in the run directory.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    if len(runs) > 1:
        raise InputError(f"name one run directory, not {len(runs)}: {' '.join(map(str, runs))}")
    run = runs[0] if runs else None
    set_up_jax(compile_cache)
    from jaxrnn import inspection

    with console.status("") as status:
        if run is None:
            warn_if_small(1, all_devices()[0])
            settings: dict[str, Any] = {"task": task, "objective": objective, "measure": measure}
            settings |= {"seed": seed, "batch_size": batch_size, "max_steps": max_steps}
            experiments = _experiments(experiment, cells, length, settings)
            out = out or Path("runs/inspect")
            pictures = inspection.inspect(experiments, trial, out, status.update)
        else:
            given = {"task": task, "objective": objective, "measure": measure, "seed": seed}
            given |= {"batch-size": batch_size, "max-steps": max_steps}
            for name, value in given.items():
                if value is not None and ":" not in str(value):
                    raise InputError(f"{name} {value} is for nets to train: {run} has its own")
            choice = inspection.Choice(experiment, cells, length, trial)
            own = {"cell": cells or (), "task": [task or ""], "objective": [objective or ""]}
            own["measure"] = [measure or ""]
            pictures = inspection.inspect_run(
                run, choice, out or run / "inspect", own, status.update
            )
    for picture in pictures:
        console.print(str(picture), highlight=False, soft_wrap=True)


def usual_length(suite: Suite) -> int:
    """The length at which one net is looked at: 20 where an experiment has it, else its first."""
    return 20 if 20 in suite.lengths else suite.lengths[0]


def _experiments(
    names: Sequence[str] | None,
    cells: Sequence[str] | None,
    length: int | None,
    settings: Mapping[str, Any],
) -> list[Experiment]:
    """The experiments of the named suites, each at one length, with the settings that are not
    None."""
    if names == () or cells == ():
        raise InputError("name at least one experiment, one cell and one length")
    given = {name: value for name, value in settings.items() if value is not None}
    suites = [look_up(SUITES, "experiment", name) for name in names or ("notebook", "better")]
    lengths = [usual_length(suite) if length is None else length for suite in suites]
    each = zip(suites, lengths, strict=True)
    return [one for suite, at in each for one in expand(suite, cells, (at,), **given)]
