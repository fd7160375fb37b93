"""The commands ``jaxrnn sweep``, ``grid``, ``paper``, ``report`` and ``list``; the table of all."""

import re
import time
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.inspecting import inspect, usual_length
from jaxrnn.cli.scoring import scorecard
from jaxrnn.cli.words import (
    Address,
    Count,
    Directory,
    Integer,
    Integers,
    Lanes,
    Names,
    OptionalDirectory,
    Overrides,
    Several,
    Single,
)
from jaxrnn.errors import InputError, look_up
from jaxrnn.experiment import PER_TRIAL, Experiment
from jaxrnn.machine import all_devices
from jaxrnn.problems import PAPER, SUITES, Source, Suite
from jaxrnn.report.render import console
from jaxrnn.sweeps.run import combinations, expand, product, run
from jaxrnn.sweeps.watch import duration
from jaxrnn.training.lanes import warn_if_small

# What needs matplotlib, or asyncio, is imported where it is used: they are slow to import.


def sweep(
    experiment: tuple[str, ...] = ("notebook",),
    cells: Names = None,
    lengths: Integers = None,
    trials: Integer = None,
    seed: Integer = None,
    overrides: Single = Overrides(),  # noqa: B008, it is frozen
    test_lengths: Integers = None,
    out: OptionalDirectory = None,
    lanes: Lanes = None,
    keep_weights: bool = False,
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
        test_lengths: Other lengths, at each of which every trial is tested on 1,000 sequences in
            the end.
        out: Run directory: trials.jsonl, config.json, report.md and plots; runs/EXPERIMENT if none,
            and runs/EXPERIMENT-TASK with another task.
        lanes: Trials of a net trained at once; results do not depend on it.
        keep_weights: Keep the weights that trials end with, a file a net and length, for `inspect`
            and for `load_weights` in Python.
        dask: A Dask scheduler, tcp://host:port, whose workers are to do the work.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    set_up_jax(compile_cache)
    given = {"trials": trials, "seed": seed, "test_lengths": test_lengths}
    settings = given | overrides.named()
    experiments = _expand(experiment, cells, lengths, settings)
    out = out or _runs([*experiment, *filter(None, [overrides.task])])
    _run(experiments, out, lanes, keep_weights, dask)


def grid(
    cells: Annotated[Names, tyro.conf.arg(aliases=["--cell"])] = None,
    lengths: Annotated[Integers, tyro.conf.arg(aliases=["--length"])] = None,
    trials: Count = 10,
    seed: Count = 0,
    experiment: str = "notebook",
    overrides: Several = Overrides(),  # noqa: B008
    test_lengths: Integers = None,
    out: Directory = Path("runs/grid"),
    lanes: Lanes = None,
    keep_weights: bool = False,
    compile_cache: bool = True,
) -> None:
    """Train nets under every combination of some settings.

    Every setting takes several values. Each combination gets its own trials; those that differ in
    learning rate, clip bound, gate biases and initial scale alone ride in the same batch, and
    nothing is compiled twice. Ends with a table, best combination first, and heat maps of success
    rate and median steps. Give the same command again after an interruption.

    Args:
        cells: The nets to train; lstm for notebook and better.
        lengths: Lengths of the sequences; 20 where the experiment has it, else its first.
        trials: Independent nets trained under each combination.
        seed: Number from which all first weights and training sequences follow.
        experiment: Where every setting that is not named comes from.
        test_lengths: Other lengths, at each of which every trial is tested on 1,000 sequences in
            the end.
        out: Run directory.
        lanes: Trials of a net trained at once; results do not depend on it.
        keep_weights: Keep the weights that trials end with, a file a net and length, for `inspect`
            and for `load_weights` in Python.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    set_up_jax(compile_cache)
    if trials < 1:
        raise InputError(f"trials {trials} must be at least 1")
    suite = look_up(SUITES, "experiment", experiment)
    if lengths is None:
        lengths = (usual_length(suite),)
    cells = (suite.base.cell,) if cells is None else cells
    named = overrides.named()
    if overrides.stack_hidden:
        named["stack_hidden"] = (True,)
    of_trials = {name: named.pop(name) for name in PER_TRIAL if name in named}
    experiments = []
    for combination in combinations(named):
        given = {"trials": trials, "seed": seed, "test_lengths": test_lengths}
        settings = given | combination
        bases = _expand((experiment,), cells, lengths, settings)
        experiments += [product(base, of_trials) for base in bases]
    _run(experiments, out, lanes, keep_weights)


def paper(
    experiments: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    cells: Names = None,
    length: Integer = None,
    trials: Integer = None,
    max_sequences: Integer = None,
    batch_size: Integer = None,
    seed: Integer = None,
    test_lengths: Integers = None,
    out: OptionalDirectory = None,
    lanes: Lanes = None,
    keep_weights: bool = False,
    cost: bool = False,
    compile_cache: bool = True,
) -> None:
    """Run experiments of the 1997 LSTM paper and lay the results beside its own; or list them.

    Without a name: a table of all, with what was published. Give the same command again after an
    interruption.

    Args:
        experiments: Names as in the list: 6a, 3a-n1, 4-linear, ...
        cells: Other nets than the paper's, with as many units as it has memory cells; `jaxrnn sweep
            --experiment 6a` takes every other setting, too.
        length: Length of the sequences; the first published one by default.
        trials: Independent nets; as many as in the paper by default.
        max_sequences: Training sequences after which a trial is given up; by default ten times the
            published mean, at most 5 million.
        batch_size: Training sequences of an update; the paper's is one.
        seed: Number from which all first weights and all sequences follow.
        test_lengths: Other lengths, at each of which every trial is tested on 1,000 sequences in
            the end.
        out: Run directory; runs/paper-NAMES if none.
        lanes: Trials of a net trained at once; results do not depend on it.
        keep_weights: Keep the weights that trials end with, a file a net and length, for `inspect`
            and for `load_weights` in Python.
        cost: In the list, the likely cost of each here; a net is timed for some seconds.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    suites = {name: suite for name, suite in SUITES.items() if suite.source is PAPER}
    if not experiments:
        given = {
            "cells": cells and " ".join(cells),
            "length": length,
            "trials": trials,
            "max-sequences": max_sequences,
            "batch-size": batch_size,
            "seed": seed,
            "test-lengths": test_lengths and " ".join(map(str, test_lengths)),
            "keep-weights": keep_weights or None,
            "out": out,
            "lanes": lanes,
        }
        for name, value in given.items():
            if value is not None:
                raise InputError(f"{name} {value} needs the name of an experiment, such as 6a")
        from jaxrnn.cli.listing import published_tables, seconds_a_time_step

        seconds = None
        if cost:
            set_up_jax(compile_cache)
            with console.status("timing an update"):
                seconds = seconds_a_time_step()
        console.print(published_tables(list(suites.values()), seconds))
        return
    if cost:
        raise InputError("cost is for the list: give it no experiments, as in: jaxrnn paper --cost")
    set_up_jax(compile_cache)
    settings: dict[str, Any] = {"trials": trials, "seed": seed, "max_steps": max_sequences}
    settings |= {"batch_size": batch_size, "test_lengths": test_lengths}
    chosen = []
    for name in dict.fromkeys(experiments):
        first = look_up(suites, "experiment", name).lengths[0]
        chosen += _expand((name,), cells, (first if length is None else length,), settings)
    _run(chosen, out or _runs(["paper", *experiments]), lanes, keep_weights)


def report(
    directory: Annotated[Path, tyro.conf.Positional],
    format: tuple[str, ...] = (),
    open: bool = False,
) -> None:
    """Rebuild the report and the pictures of a run directory from its rows, computing nothing.

    Args:
        directory: The run directory, what `--out` was given.
        format: Further files of each picture, for papers; svg, pdf or both.
        open: Show report.html in the browser.
    """
    from jaxrnn.report.document import PAGE, show_report

    show_report(directory, formats=format)
    if open:
        webbrowser.open((directory / PAGE).resolve().as_uri())


def list_() -> None:
    """List everything that can be named, with its source, and the experiments."""
    from jaxrnn.cli.listing import builders_table, suites_table

    console.print(builders_table())
    alone: list[Suite] = []
    tuned: dict[Source, list[str]] = {}
    for name, suite in SUITES.items():
        if suite.source.tuned:
            tuned.setdefault(suite.source, []).append(name)
        elif suite.source is not PAPER:
            alone.append(suite)
    console.print(suites_table(alone))
    for source, names in tuned.items():
        console.print(f"The experiments of {source.title}: {', '.join(names)}", style="dim")
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


def _runs(words: Sequence[str]) -> Path:
    """The run directory of a call that names none."""
    return Path("runs") / re.sub(r"[^\w.+-]", "_", "-".join(dict.fromkeys(words)))


def _run(
    experiments: Sequence[Experiment],
    out: Path,
    lanes: int | None,
    keep_weights: bool,
    dask: str | None = None,
) -> None:
    """Run experiments into a directory, watched, and show the report."""
    start = time.monotonic()
    if dask is None:
        warn_if_small(max((one.trials for one in experiments), default=0), all_devices()[0])
    run(
        experiments,
        out,
        lanes=lanes,
        keep_weights=keep_weights,
        dask=dask,
        progress=True,
        report=False,
    )
    from jaxrnn.report.document import show_report

    show_report(out)
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")


COMMANDS: dict[str, Callable[..., None]] = {
    "sweep": sweep,
    "grid": grid,
    "paper": paper,
    "scorecard": scorecard,
    "inspect": inspect,
    "report": report,
    "list": list_,
}
