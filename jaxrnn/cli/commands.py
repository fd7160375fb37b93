"""The command line: ``jaxrnn sweep``, ``grid``, ``paper``, ``inspect``, ``report`` and ``list``."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import platformdirs
import tyro

from jaxrnn.cli.flags import (
    _SETTINGS,
    Integer,
    Integers,
    Lanes,
    Name,
    Names,
    Number,
    Numbers,
    _flag,
)
from jaxrnn.cli.tables import _paper_tables, list_
from jaxrnn.cli.watch import _duration, _Watch, console
from jaxrnn.errors import InputError, look_up
from jaxrnn.experiment import PER_TRIAL, Experiment
from jaxrnn.machine import usable_cores
from jaxrnn.suites import EXPERIMENTS
from jaxrnn.suites.base import Suite
from jaxrnn.suites.paper_1997 import PAPER

if TYPE_CHECKING:
    from jaxrnn.results.summary import Line


def sweep(
    experiment: tuple[str, ...] = ("notebook",),
    cells: Names = None,
    lengths: Integers = None,
    trials: Integer = None,
    seed: Integer = None,
    hidden_size: Integer = None,
    layers: Integer = None,
    initializer: Name = None,
    initial_scale: Number = None,
    input_bias: Number = None,
    forget_bias: Number = None,
    output_bias: Number = None,
    loss_reduction: Name = None,
    optimizer: Name = None,
    learning_rate: Number = None,
    clipping: Name = None,
    clip: Number = None,
    max_steps: Integer = None,
    threshold: Number = None,
    window: Integer = None,
    out: Path | None = None,
    lanes: Lanes = None,
    dask: Annotated[str | None, _flag("ADDRESS", "(default: this machine alone)")] = None,
    compile_cache: bool = True,
) -> None:
    """Train every net at every length and lay the results beside what was published.

    Without arguments this is the notebook's whole table. Give the same command again after an
    interruption: finished lengths are kept and the one in flight goes on from its checkpoint.

    Args:
        experiment: Experiments, one or several; `jaxrnn list` shows what each consists of.
        cells: The nets to train; `jaxrnn list` names them.
        lengths: Lengths of the sequences, at least 3; a length is also the size of the alphabet.
        trials: Independent nets trained at each length.
        seed: Number from which all first weights and training sequences follow.
        hidden_size: Hidden units of each layer.
        layers: Layers; each above the first sees the logits of the one below.
        initializer: First weights: notebook_xavier, xavier, uniform, orthogonal, chrono or
            long_memory.
        initial_scale: Factor of all first weights.
        input_bias: First bias of the input gates, added to the initializer's.
        forget_bias: First bias of the forget gates.
        output_bias: First bias of the output gates.
        loss_reduction: A sequence's loss is the mean or the sum of its steps'.
        optimizer: The update rule: clipped_sgd or clipped_adam.
        learning_rate: Step size.
        clipping: What is kept within the bound: each element of the gradient, its norm, or none.
        clip: The bound.
        max_steps: Training steps (one sequence each) after which a trial is given up.
        threshold: Greatest absolute error of a predicted probability that is not a failure.
        window: Training steps without a failure after which a trial is solved.
        out: Run directory: trials.jsonl, config.json, report.md and plots; runs/EXPERIMENT if none.
        lanes: Trials trained at once; results do not depend on it.
        dask: A Dask scheduler, tcp://host:port, whose workers are to do the work.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    settings = {name: value for name, value in locals().items() if name in _SETTINGS}
    _set_up_jax(compile_cache)
    from jaxrnn.training.runner import check_lanes

    check_lanes(lanes)
    experiments = _expand(experiment, cells, lengths, settings)
    _run(experiments, out or Path("runs") / "-".join(dict.fromkeys(experiment)), lanes, dask)


def grid(
    cell: str = "lstm",
    length: int = 20,
    trials: int = 10,
    seed: int = 0,
    learning_rate: Numbers = None,
    clip: Numbers = None,
    initial_scale: Numbers = None,
    input_bias: Numbers = None,
    forget_bias: Numbers = None,
    output_bias: Numbers = None,
    experiment: str = "notebook",
    hidden_size: Integer = None,
    layers: Integer = None,
    initializer: Name = None,
    loss_reduction: Name = None,
    optimizer: Name = None,
    clipping: Name = None,
    max_steps: Integer = None,
    threshold: Number = None,
    window: Integer = None,
    out: Path = Path("runs/grid"),
    lanes: Lanes = None,
    compile_cache: bool = True,
) -> None:
    """Train one net at one length under every combination of some settings, as one program.

    Each combination gets its own trials; all ride in the same batch, and nothing is compiled twice.
    Ends with a table, best combination first, and a heat map of success rate and median steps.
    Give the same command again after an interruption.

    Args:
        cell: The net to train.
        length: Length of the sequences.
        trials: Independent nets trained under each combination.
        seed: Number from which all first weights and training sequences follow.
        learning_rate: Step sizes of the optimizer.
        clip: Bounds of the gradient.
        initial_scale: Factors of all first weights.
        input_bias: First biases of the input gates, added to the initializer's.
        forget_bias: First biases of the forget gates.
        output_bias: First biases of the output gates.
        experiment: Where every setting that is not named comes from.
        hidden_size: Hidden units of each layer.
        layers: Layers; each above the first sees the logits of the one below.
        initializer: First weights: notebook_xavier, xavier, uniform, orthogonal, chrono or
            long_memory.
        loss_reduction: A sequence's loss is the mean or the sum of its steps'.
        optimizer: The update rule: clipped_sgd or clipped_adam.
        clipping: What is kept within the bound: each element of the gradient, its norm, or none.
        max_steps: Training steps (one sequence each) after which a trial is given up.
        threshold: Greatest absolute error of a predicted probability that is not a failure.
        window: Training steps without a failure after which a trial is solved.
        out: Run directory.
        lanes: Trials trained at once; results do not depend on it.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    settings = {name: value for name, value in locals().items() if name in _SETTINGS}
    _set_up_jax(compile_cache)
    from jaxrnn.sweep import product
    from jaxrnn.training.runner import check_lanes

    check_lanes(lanes)
    if trials < 1:
        raise InputError(f"trials {trials} must be at least 1")
    axes = {name: settings.pop(name) for name in PER_TRIAL}
    (base,) = _expand((experiment,), (cell,), (length,), settings, EXPERIMENTS | PAPER)
    _run([product(base, {name: v for name, v in axes.items() if v is not None})], out, lanes)


def paper(
    experiments: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    length: Integer = None,
    trials: Integer = None,
    max_sequences: Integer = None,
    seed: Integer = None,
    out: Path | None = None,
    lanes: Lanes = None,
    compile_cache: bool = True,
) -> None:
    """Run experiments of the 1997 LSTM paper and lay the results beside its own; or list them.

    Without a name: a table of all, with what was published and what a run is likely to cost on this
    machine. Give the same command again after an interruption.

    Args:
        experiments: Names as in the list: 6a, 3a-n1, 4-linear, ...
        length: Length of the sequences; the first published one by default.
        trials: Independent nets; as many as in the paper by default.
        max_sequences: Training sequences after which a trial is given up; by default ten times the
            published mean, at most 5 million.
        seed: Number from which all first weights and all sequences follow.
        out: Run directory; runs/paper-NAMES if none.
        lanes: Trials trained at once; results do not depend on it.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    _set_up_jax(compile_cache)
    if not experiments:
        given = {"length": length, "trials": trials, "max-sequences": max_sequences, "seed": seed}
        for name, value in given.items():
            if value is not None:
                raise InputError(f"{name} {value} needs the name of an experiment, such as 6a")
        console.print(_paper_tables())
        return
    from jaxrnn.training.runner import check_lanes

    check_lanes(lanes)
    settings = {"trials": trials, "seed": seed, "max_steps": max_sequences}
    chosen = []
    for name in dict.fromkeys(experiments):
        suite = look_up(PAPER, "experiment", name)
        chosen += _expand(
            (name,), None, (suite.lengths[0] if length is None else length,), settings, PAPER
        )
    _run(chosen, out or Path("runs") / "-".join(["paper", *dict.fromkeys(experiments)]), lanes)


def inspect(
    experiment: tuple[str, ...] = ("notebook", "better"),
    cells: Names = None,
    length: int = 20,
    trial: int = 0,
    seed: Integer = None,
    max_steps: Integer = None,
    out: Path = Path("runs/inspect"),
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

    given = {name: value for name, value in (("seed", seed), ("max_steps", max_steps))}
    experiments = _expand(experiment, cells, (length,), given)
    with console.status("") as status:
        pictures = inspection.inspect(experiments, trial, out, status.update)
    for picture in pictures:
        console.print(str(picture), highlight=False, soft_wrap=True)


def _expand(
    names: tuple[str, ...],
    cells: tuple[str, ...] | None,
    lengths: tuple[int, ...] | None,
    settings: dict[str, Any],
    suites: dict[str, Suite] = EXPERIMENTS,
) -> "list[Experiment]":
    """The experiments of the named suites, with the settings that are not None replaced."""
    from jaxrnn.sweep import expand

    if not names or cells == () or lengths == ():
        raise InputError("name at least one experiment, one cell and one length")
    given = {name: value for name, value in settings.items() if value is not None}
    return [
        one
        for name in dict.fromkeys(names)
        for one in expand(look_up(suites, "experiment", name), cells, lengths, **given)
    ]


def _run(
    experiments: "list[Experiment]", out: Path, lanes: int | None, dask: str | None = None
) -> None:
    """Run experiments into a directory, watched, and show the report."""
    from jaxrnn.cluster import run_sweep_on_dask
    from jaxrnn.results.report import write_report
    from jaxrnn.results.run_directory import RunDirectory, settings_in_words
    from jaxrnn.sweep import run_sweep

    start = time.monotonic()
    config = settings_in_words(experiments)
    with RunDirectory(out, config) as directory, _Watch(len(experiments)) as watch:
        if dask is None:
            run_sweep(experiments, directory, lanes, watch.on_chunk, watch.on_rows)
        else:
            run_sweep_on_dask(experiments, directory, dask, lanes, watch.on_chunk, watch.on_rows)
    _show_report(out, write_report(out))
    console.print(f"Wall time of this call: {_duration(time.monotonic() - start)}.")


def report(directory: Annotated[Path, tyro.conf.Positional]) -> None:
    """Rebuild report.md and the plots of a run directory from its rows, computing nothing.

    Args:
        directory: The run directory, what `--out` was given.
    """
    from jaxrnn.results.report import write_report
    from jaxrnn.results.run_directory import ROWS

    if not (directory / ROWS).exists():
        raise InputError(f"{directory} holds no {ROWS}: name a run directory")
    _show_report(directory, write_report(directory))


def _set_up_jax(compile_cache: bool) -> None:
    """Use every core as a device and keep what is compiled, unless the user has said otherwise."""
    import jax

    chosen = "JAX_NUM_CPU_DEVICES" in os.environ
    chosen |= "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not chosen:
        jax.config.update("jax_num_cpu_devices", usable_cores())
    if not compile_cache:
        jax.config.update("jax_enable_compilation_cache", False)
    elif "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        directory = platformdirs.user_cache_path("jaxrnn") / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(directory))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _show_report(directory: Path, lines: "list[Line]") -> None:
    from jaxrnn.results.report import REPORT, legend, table

    console.print(table(lines, console))
    console.print(legend(lines), style="dim", highlight=False)
    console.print(f"Report and plots: {directory / REPORT}", highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; a wrong value is one sentence and exit status 2."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            {
                "sweep": sweep,
                "grid": grid,
                "paper": paper,
                "inspect": inspect,
                "report": report,
                "list": list_,
            },
            prog="jaxrnn",
            description="Trains batches of small recurrent networks on long-time-lag tasks.",
        )
    except (InputError, OSError) as error:
        sys.stdout.flush()
        print(f"jaxrnn: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("jaxrnn: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
