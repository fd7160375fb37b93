"""The commands: ``jaxrnn sweep``, ``grid``, ``paper``, ``inspect``, ``report`` and ``list``."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro
from rich.text import Text

from jaxrnn.cli.cache import keep_compiled
from jaxrnn.cli.cost import seconds_a_time_step
from jaxrnn.cli.flags import (
    Address,
    Count,
    Directory,
    Integer,
    Integers,
    Lanes,
    Name,
    Names,
    OptionalDirectory,
    Overrides,
    Several,
    Single,
)
from jaxrnn.cli.watch import Watch, console, duration
from jaxrnn.errors import InputError, look_up
from jaxrnn.experiment import PER_TRIAL, Experiment
from jaxrnn.machine import usable_cores
from jaxrnn.results.rows import ROWS
from jaxrnn.results.run_directory import RunDirectory
from jaxrnn.results.summary import Line
from jaxrnn.suites import PAPER, SUITES, Suite
from jaxrnn.sweep import expand, product, run_sweep
from jaxrnn.training.runner import check

# What needs matplotlib, or asyncio, is imported where it is used: they are slow to import.


def sweep(
    experiment: tuple[str, ...] = ("notebook",),
    cells: Names = None,
    lengths: Integers = None,
    trials: Integer = None,
    seed: Integer = None,
    overrides: Single = Overrides(),  # noqa: B008, it is frozen
    out: OptionalDirectory = None,
    lanes: Lanes = None,
    dask: Address = None,
    compile_cache: bool = True,
) -> None:
    """Train every net at every length and lay the results beside what was published.

    Without arguments this is the notebook's whole table. Give the same command again after an
    interruption: finished lengths are kept and the one in flight goes on from its checkpoint.

    Args:
        experiment: Experiments, one or several; `jaxrnn list` shows what each consists of.
        cells: The nets to train; `jaxrnn list` names them.
        lengths: Lengths of the sequences; the notebook's are at least 3, and its alphabet as large.
        trials: Independent nets trained at each length.
        seed: Number from which all first weights and training sequences follow.
        out: Run directory: trials.jsonl, config.json, report.md and plots; runs/EXPERIMENT if none.
        lanes: Trials trained at once; results do not depend on it.
        dask: A Dask scheduler, tcp://host:port, whose workers are to do the work.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    _set_up_jax(compile_cache)
    settings = {"trials": trials, "seed": seed, **vars(overrides)}
    experiments = _expand(experiment, cells, lengths, settings)
    _run(experiments, out or Path("runs") / "-".join(dict.fromkeys(experiment)), lanes, dask)


def grid(
    cell: Name = None,
    length: Integer = None,
    trials: Count = 10,
    seed: Count = 0,
    experiment: str = "notebook",
    overrides: Several = Overrides(),  # noqa: B008
    out: Directory = Path("runs/grid"),
    lanes: Lanes = None,
    compile_cache: bool = True,
) -> None:
    """Train one net at one length under every combination of some settings, as one program.

    Learning rate, clip bound, gate biases and initial scale take several values. Each combination
    gets its own trials; all ride in the same batch, and nothing is compiled twice. Ends with a
    table, best combination first, and a heat map of success rate and median steps. Give the same
    command again after an interruption.

    Args:
        cell: The net to train; lstm for notebook and better.
        length: Length of the sequences; 20 where the experiment has it, else its first.
        trials: Independent nets trained under each combination.
        seed: Number from which all first weights and training sequences follow.
        experiment: Where every setting that is not named comes from.
        out: Run directory.
        lanes: Trials trained at once; results do not depend on it.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    _set_up_jax(compile_cache)
    if trials < 1:
        raise InputError(f"trials {trials} must be at least 1")
    suite = look_up(SUITES, "experiment", experiment)
    if length is None:
        length = 20 if 20 in suite.lengths else suite.lengths[0]
    settings = {"trials": trials, "seed": seed, **vars(overrides)}
    axes = {name: settings.pop(name) for name in PER_TRIAL}
    cells = (suite.base.cell if cell is None else cell,)
    (base,) = _expand((experiment,), cells, (length,), settings)
    named = {name: values for name, values in axes.items() if values is not None}
    _run([product(base, named)], out, lanes)


def paper(
    experiments: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    length: Integer = None,
    trials: Integer = None,
    max_sequences: Integer = None,
    seed: Integer = None,
    out: OptionalDirectory = None,
    lanes: Lanes = None,
    cost: bool = False,
    compile_cache: bool = True,
) -> None:
    """Run experiments of the 1997 LSTM paper and lay the results beside its own; or list them.

    Without a name: a table of all, with what was published. Give the same command again after an
    interruption.

    Args:
        experiments: Names as in the list: 6a, 3a-n1, 4-linear, ...
        length: Length of the sequences; the first published one by default.
        trials: Independent nets; as many as in the paper by default.
        max_sequences: Training sequences after which a trial is given up; by default ten times the
            published mean, at most 5 million.
        seed: Number from which all first weights and all sequences follow.
        out: Run directory; runs/paper-NAMES if none.
        lanes: Trials trained at once; results do not depend on it.
        cost: In the list, the likely cost of each here; a net is timed for some seconds.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    _set_up_jax(compile_cache)
    suites = {name: suite for name, suite in SUITES.items() if suite.source is PAPER}
    if not experiments:
        given = {"length": length, "trials": trials, "max-sequences": max_sequences, "seed": seed}
        for name, value in given.items():
            if value is not None:
                raise InputError(f"{name} {value} needs the name of an experiment, such as 6a")
        from jaxrnn.cli.tables import published_tables

        seconds = None
        if cost:
            with console.status("timing a training step"):
                seconds = seconds_a_time_step()
        console.print(published_tables(list(suites.values()), seconds))
        return
    if cost:
        raise InputError("cost is for the list: give it no experiments, as in: jaxrnn paper --cost")
    settings = {"trials": trials, "seed": seed, "max_steps": max_sequences}
    chosen = []
    for name in dict.fromkeys(experiments):
        first = look_up(suites, "experiment", name).lengths[0]
        chosen += _expand((name,), None, (first if length is None else length,), settings)
    _run(chosen, out or Path("runs") / "-".join(["paper", *dict.fromkeys(experiments)]), lanes)


def inspect(
    experiment: tuple[str, ...] = ("notebook", "better"),
    cells: Names = None,
    length: Count = 20,
    trial: Count = 0,
    seed: Integer = None,
    max_steps: Integer = None,
    out: Directory = Path("runs/inspect"),
    compile_cache: bool = True,
) -> None:
    """Train one trial of each net and draw how it remembers the first symbol, or forgets it.

    A picture a net of states, gates and hidden units over time for both sequences, and one of how
    far back the gradient of the last prediction reaches.

    Args:
        experiment: Experiments whose nets to look at.
        cells: Of their nets only these.
        length: Length of the sequences.
        trial: Which of the trials.
        seed: Number from which all first weights and training sequences follow.
        max_steps: Training steps after which a net that has not solved the task is looked at.
        out: Where to put the pictures.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    _set_up_jax(compile_cache)
    from jaxrnn import inspection

    experiments = _expand(experiment, cells, (length,), {"seed": seed, "max_steps": max_steps})
    with console.status("") as status:
        pictures = inspection.inspect(experiments, trial, out, status.update)
    for picture in pictures:
        console.print(str(picture), highlight=False, soft_wrap=True)


def report(directory: Annotated[Path, tyro.conf.Positional]) -> None:
    """Rebuild report.md and the plots of a run directory from its rows, computing nothing.

    Args:
        directory: The run directory, what `--out` was given.
    """
    from jaxrnn.results.report import write_report

    if not (directory / ROWS).exists():
        raise InputError(f"{directory} holds no {ROWS}: name a run directory")
    _show_report(directory, write_report(directory))


def list_() -> None:
    """List everything that can be named, with its source, and the experiments."""
    from jaxrnn.cli.tables import builders_table, suites_table

    console.print(builders_table())
    console.print(suites_table([suite for suite in SUITES.values() if suite.source is not PAPER]))
    console.print(f"The experiments of {PAPER.title}: jaxrnn paper", style="dim")


def _expand(
    names: Sequence[str],
    cells: Sequence[str] | None,
    lengths: Sequence[int] | None,
    settings: Mapping[str, Any],
) -> list[Experiment]:
    """The experiments of the named suites, with the settings that are not None replaced."""
    if not names or cells == () or lengths == ():
        raise InputError("name at least one experiment, one cell and one length")
    given = {name: value for name, value in settings.items() if value is not None}
    suites: list[Suite] = [look_up(SUITES, "experiment", name) for name in dict.fromkeys(names)]
    return [one for suite in suites for one in expand(suite, cells, lengths, **given)]


def _run(
    experiments: Sequence[Experiment], out: Path, lanes: int | None, dask: str | None = None
) -> None:
    """Run experiments into a directory, watched, and show the report."""
    from jaxrnn.results.report import write_report

    start = time.monotonic()
    for experiment in experiments:  # so that a bad one is refused before the first is run
        check(experiment, lanes, here=dask is None)
    with RunDirectory(out) as directory, Watch(len(experiments)) as watch:
        if dask is None:
            run_sweep(experiments, directory, lanes, watch.on_chunk, watch.on_rows, watch.on_start)
        else:
            from jaxrnn.cluster import run_sweep_on_dask

            run_sweep_on_dask(experiments, directory, dask, lanes, watch.on_chunk, watch.on_rows)
    _show_report(out, write_report(out))
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")


def _set_up_jax(compile_cache: bool) -> None:
    """Use every core as a device and keep what is compiled, unless the user has said otherwise."""
    chosen = "JAX_NUM_CPU_DEVICES" in os.environ
    chosen |= "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not chosen:
        jax.config.update("jax_num_cpu_devices", usable_cores())
    if compile_cache:
        keep_compiled()
    else:
        jax.config.update("jax_enable_compilation_cache", False)


def _show_report(directory: Path, lines: Sequence[Line]) -> None:
    from jaxrnn.results.report import REPORT, legend, table

    shown, words = table(lines, console), Text(legend(lines), style="dim")
    console.print(shown)
    what = "Report and plots"
    if len(console.render_lines(words)) <= len(console.render_lines(shown)):
        console.print(words)
    else:  # of a few rows it would take more room than they do
        what = "Report, plots and what the columns mean"
    console.print(f"{what}: {directory / REPORT}", highlight=False, soft_wrap=True)


COMMANDS: dict[str, Callable[..., None]] = {
    "sweep": sweep,
    "grid": grid,
    "paper": paper,
    "inspect": inspect,
    "report": report,
    "list": list_,
}
