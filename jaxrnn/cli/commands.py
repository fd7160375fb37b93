"""The commands ``jaxrnn sweep``, ``grid``, ``paper``, ``report`` and ``list``; the table of all."""

import dataclasses
import re
import time
import webbrowser
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.claiming import claims
from jaxrnn.cli.inspecting import inspect, usual_length
from jaxrnn.cli.remembering import horizon
from jaxrnn.cli.words import (
    Address,
    Count,
    Directory,
    Integer,
    Integers,
    Lanes,
    Names,
    Out,
    Overrides,
    Several,
    Single,
    flag,
)
from jaxrnn.errors import InputError, look_up
from jaxrnn.experiment import OPTIONS, PER_TRIAL, Experiment
from jaxrnn.machine import all_devices
from jaxrnn.problems import PAPER, SUITES, Suite
from jaxrnn.problems.claim import PUBLISHED
from jaxrnn.report.render import console
from jaxrnn.sweeps.run import combinations, expand, product, run
from jaxrnn.sweeps.watch import duration
from jaxrnn.training.lanes import warn_if_small
from jaxrnn.yardstick.conditions import HORIZON, SUITES as HORIZON_SUITES

# matplotlib and asyncio are slow to import, so code that needs them is imported where it is used.


def sweep(
    experiment: Annotated[tuple[str, ...], flag("NAME [NAME ...]", "(default: notebook)")] = (
        "notebook",
    ),
    cells: Names = None,
    lengths: Integers = None,
    trials: Integer = None,
    seed: Integer = None,
    overrides: Single = Overrides(),  # noqa: B008, it is frozen
    test_lengths: Integers = None,
    out: Out = None,
    lanes: Lanes = None,
    keep_weights: bool = False,
    dask: Address = None,
    compile_cache: bool = True,
) -> None:
    """Train every net at every length and show the results beside the published ones.

    Without arguments this is the notebook's whole table. Give the same command again after an
    interruption: finished lengths are kept and the one in flight goes on from its checkpoint.

    Args:
        experiment: Experiments, one or several; `jaxrnn list` shows what each consists of.
        cells: The nets to train; `jaxrnn list` names them.
        lengths: Lengths of the sequences. For the notebook they are at least 3, and its alphabet
            has as many symbols.
        trials: Independent nets trained at each length.
        seed: Random seed, which decides all first weights and training sequences.
        test_lengths: Other lengths. In the end every trial is tested on 1,000 sequences of each.
        out: Run directory, for trials.jsonl, config.json, report.md and plots; by default
            runs/EXPERIMENT, or runs/EXPERIMENT-TASK with another task.
        lanes: Trials of a net trained at once; results do not depend on it.
        keep_weights: Keep the final weights of the trials, one file per net and length, for
            `inspect` and for `load_weights` in Python.
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
    experiment: Annotated[str, flag("NAME", "(default: notebook)")] = "notebook",
    overrides: Several = Overrides(),  # noqa: B008
    test_lengths: Integers = None,
    out: Directory = Path("runs/grid"),
    lanes: Lanes = None,
    keep_weights: bool = False,
    compile_cache: bool = True,
) -> None:
    """Train nets under every combination of some settings.

    Every setting takes several values. Each combination gets its own trials. Combinations that
    differ only in learning rate, clip bound, gate biases and initial scale are trained in one
    batch, and nothing is compiled twice. Ends with a table, best combination first, and heat maps
    of success rate and median steps. Give the same command again after an interruption.

    Args:
        cells: The nets to train; by default lstm for the experiments notebook and better.
        lengths: Lengths of the sequences; by default 20 if the experiment has it, else its first.
        trials: Independent nets trained under each combination.
        seed: Random seed, which decides all first weights and training sequences.
        experiment: The experiment that gives every setting that you do not name.
        test_lengths: Other lengths. In the end every trial is tested on 1,000 sequences of each.
        out: Run directory.
        lanes: Trials of a net trained at once; results do not depend on it.
        keep_weights: Keep the final weights of the trials, one file per net and length, for
            `inspect` and for `load_weights` in Python.
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
    options = {name: named.pop(name) for name in OPTIONS if name in named}
    experiments = []
    for combination in combinations(named):
        given = {"trials": trials, "seed": seed, "test_lengths": test_lengths}
        settings = given | combination | options
        bases = _expand((experiment,), cells, lengths, settings)
        experiments += [product(base, of_trials) for base in bases]
    _run(experiments, out, lanes, keep_weights)


def paper(
    experiments: Annotated[tuple[str, ...], tyro.conf.Positional, flag("NAME ...", "")] = (),
    cells: Names = None,
    length: Integer = None,
    trials: Integer = None,
    max_sequences: Integer = None,
    batch_size: Integer = None,
    seed: Integer = None,
    test_lengths: Integers = None,
    out: Out = None,
    lanes: Lanes = None,
    keep_weights: bool = False,
    cost: bool = False,
    compile_cache: bool = True,
) -> None:
    """Run experiments of the 1997 LSTM paper and show the results beside the paper's; or list them.

    Without a name it prints a table of all experiments with the published results. Give the same
    command again after an interruption.

    Args:
        experiments: Names as in the list: 6a, 3a-n1, 4-linear, ...
        cells: Other nets than the paper's, with as many units as the paper's net has memory cells.
            To change other settings, too, use `jaxrnn sweep --experiment 6a`.
        length: Length of the sequences; the first published one by default.
        trials: Independent nets; as many as in the paper by default.
        max_sequences: Training sequences after which a trial is given up; by default ten times the
            published mean, at most 5 million.
        batch_size: Training sequences of an update; the paper's is one.
        seed: Random seed, which decides all first weights and all sequences.
        test_lengths: Other lengths. In the end every trial is tested on 1,000 sequences of each.
        out: Run directory; by default runs/paper-NAMES.
        lanes: Trials of a net trained at once; results do not depend on it.
        keep_weights: Keep the final weights of the trials, one file per net and length, for
            `inspect` and for `load_weights` in Python.
        cost: Show in the list what each is likely to cost on this machine; this times a net for
            some seconds.
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
        from jaxrnn.cli.listing import published_tables, seconds_of_the_timed

        seconds = None
        if cost:
            set_up_jax(compile_cache)
            with console.status("timing an update"):
                seconds = seconds_of_the_timed()
        console.print(published_tables(list(suites.values()), seconds))
        return
    if cost:
        raise InputError("cost needs the list, so name no experiments: jaxrnn paper --cost")
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
    format: Annotated[tuple[str, ...], flag("NAME [NAME ...]", "")] = (),
    open: bool = False,
) -> None:
    """Rebuild the report and the pictures of a run directory from its rows; nothing is trained.

    Args:
        directory: The run directory, as you gave it to `--out`.
        format: Write each picture in this format, too, for papers: svg, pdf or both.
        open: Show report.html in the browser.
    """
    from jaxrnn.report.document import PAGE, show_report
    from jaxrnn.yardstick.view import VIEW

    show_report(directory, formats=format, views=[VIEW])
    if open:
        webbrowser.open((directory / PAGE).resolve().as_uri())


def list_() -> None:
    """List all names that the commands take, with their sources, and the experiments."""
    from jaxrnn.cli.listing import builders_table, cells_table, suites_table

    console.print(cells_table())
    console.print(builders_table())
    alone: list[Suite] = []
    for suite in SUITES.values():
        if suite.source not in (PAPER, PUBLISHED):
            alone.append(suite)
    console.print(suites_table(alone))
    names = ", ".join(HORIZON_SUITES)
    console.print(f"The experiments of {HORIZON.title}: {names}", style="dim")
    console.print(f"The experiments of {PUBLISHED.title}: jaxrnn claims", style="dim")
    console.print(f"The experiments of {PAPER.title}: jaxrnn paper", style="dim")


def _expand(
    names: Sequence[str],
    cells: Sequence[str] | None,
    lengths: Sequence[int] | None,
    settings: Mapping[str, Any],
) -> list[Experiment]:
    """The experiments of the named suites, with the settings that are not None replaced; options
    are added to theirs."""
    if not names or cells == () or lengths == ():
        raise InputError("name at least one experiment, one cell and one length")
    given = {name: value for name, value in settings.items() if value is not None}
    suites: list[Suite] = [
        look_up(SUITES | HORIZON_SUITES, "experiment", name) for name in dict.fromkeys(names)
    ]
    options = {name: dict(given.pop(name)) for name in OPTIONS if name in given}

    def with_options(one: Experiment) -> Experiment:
        added: dict[str, Any] = {name: dict(getattr(one, name)) | options[name] for name in options}
        return dataclasses.replace(one, **added)

    expanded = (one for suite in suites for one in expand(suite, cells, lengths, **given))
    return list(map(with_options, expanded))


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
        trials = Counter[Experiment]()  # of each batch
        for one in experiments:
            trials[one.batch()] += one.trials
        warn_if_small(max(trials.values(), default=0), all_devices()[0])
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
    "horizon": horizon,
    "claims": claims,
    "inspect": inspect,
    "report": report,
    "list": list_,
}

GONE = {
    "scorecard": "horizon --lags 100: the same question with one search for all cells, such as "
    "`jaxrnn horizon lstm gru --tasks adding --lags 100`"
}
"""Commands that there were, and what does their work now."""
