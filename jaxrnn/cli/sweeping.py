"""The command ``jaxrnn sweep``, and the flags of an experiment's settings."""

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.listing import suites_of
from jaxrnn.cli.words import EXPERIMENT, NAME, NUMBER, OPTION, TASK, WHOLE, Flag
from jaxrnn.experiment import OPTIONS, PER_TRIAL, Experiment
from jaxrnn.machine import all_devices
from jaxrnn.nets import INITIALIZERS
from jaxrnn.problems import LEFT_TO_TASK, lengths_of, settled
from jaxrnn.report.render import TableRow, console, terminal_table
from jaxrnn.report.summary import net_name
from jaxrnn.sweeps.run import combinations, expand, product, run
from jaxrnn.sweeps.watch import duration
from jaxrnn.training.lanes import warn_if_small
from jaxrnn.training.objectives import OBJECTIVES, REDUCTIONS
from jaxrnn.training.optimizers import CLIPPINGS, OPTIMIZERS, SCHEDULES
from jaxrnn.training.runner import check


def _one_of(about: str, table: Sequence[str] | dict[str, Any]) -> str:
    return f"{about}: {', '.join(table)}."


# What the help says of each setting, by group.
_HELPS: dict[str, dict[str, str]] = {
    "run": {
        "name": "Named settings; yours replace them. See jaxrnn list, list 1997 and list claims, "
        "whose names stand for all experiments in them.",
        "trials": "Independent nets trained at each length.",
        "seed": "Random seed, which decides all first weights and all sequences.",
    },
    "net": {
        "hidden_size": "Hidden units of each layer.",
        "layers": "Layers; each above the first sees the logits of the layer below.",
        "stack_hidden": "Layers above the first see the hidden units of the one below instead.",
        "convolution": "Width of a causal convolution before each layer, 4 as Mamba has it; 0 for "
        "none.",
        "cell_options": "What the cell takes besides its sizes, such as order=16.",
        "initializer": _one_of("First weights", INITIALIZERS),
        "initial_scale": "Factor of the first weights that the initializer draws; some cells draw "
        "their first weights without it.",
        "input_bias": "First bias of the input gates, added to the initializer's.",
        "forget_bias": "First bias of the forget gates, or of update gates, as the GRU's.",
        "output_bias": "First bias of the output gates.",
    },
    "task": {
        "task": "Tasks to learn, each by its own objective and its own rule for solved; your own "
        "as file.py:name.",
        "length": "Lengths of the sequences; each task says what its length is.",
        "task_options": "What the task takes besides the length, such as num_symbols=4. The page "
        "of each task, cell, optimizer and schedule names its options.",
    },
    "training": {
        "objective": _one_of("Loss and error of a step", OBJECTIVES),
        "loss_reduction": _one_of("A sequence's loss from its steps'", REDUCTIONS),
        "optimizer": _one_of("The update rule", OPTIMIZERS),
        "optimizer_options": "What the optimizer takes, such as momentum=0.9.",
        "learning_rate": "Step size of the optimizer.",
        "schedule": _one_of("How the learning rate changes", SCHEDULES),
        "schedule_options": "What the schedule takes, such as final=0.01.",
        "warmup": "Updates in which the learning rate rises to its full value.",
        "clipping": _one_of("What of the gradient is bounded", CLIPPINGS),
        "clip": "The bound of the gradient.",
        "batch_size": "Training sequences in one update, which uses the mean of their losses.",
        "join_at": "Training sequence from which on the outputs see the hidden units.",
    },
    "when a trial ends": {
        "max_steps": "Training sequences after which a trial is given up.",
        "measure": "How an error is measured: a name, or your own function as file.py:name.",
        "threshold": "Greatest error that is not a failure.",
        "window": "Training sequences without a failure after which a trial is solved.",
        "max_failures": "Failures that the window, or the test set, may have.",
        "mean_error": "The mean error has to be below this, too.",
        "test_size": "Sequences of the test set that decides when a trial is solved, in place of "
        "the window; 0 for no test set.",
        "test_every": "Training sequences between two looks at the test set.",
    },
    "output": {
        "final_test": "Fresh sequences that every trial is tested on in the end.",
        "test_lengths": "Other lengths. In the end every trial is tested on 1,000 sequences of "
        "each.",
    },
}

_UNITS = {"hidden_size": "units", "batch_size": "sequence"}
_UNITS |= dict.fromkeys(("max_steps", "window", "test_every"), "sequences")

# Settings whose flag has another name, as each command spells it, and the others' defaults.
_PLURAL = {"name": "experiment", "task": "tasks", "length": "lengths"}
_KINDS = {"name": EXPERIMENT, "task": TASK, bool: None, int: WHOLE, tuple[int, ...]: WHOLE}
_KINDS |= {str: NAME, str | None: NAME} | dict.fromkeys(OPTIONS, OPTION)
_DEFAULTS = {"length": "all of the experiment", "measure": "the task's, or else the objective's"}
_COMMON = {"name", "task", "length", "trials", "hidden_size", "optimizer", "learning_rate"}
_COMMON |= {"max_steps"}  # with two of the output's


def settings_flags() -> Iterator[Flag]:
    """A flag for each field of an experiment but its cell, which stands before the flags."""
    usual = settled(Experiment())
    types = {field.name: field.type for field in dataclasses.fields(Experiment)}
    for group, helps in _HELPS.items():
        for name, text in helps.items():
            kind = _KINDS.get(name, _KINDS.get(types[name], NUMBER))
            value = getattr(usual, name)
            default = "none" if value in (None, ()) else str(value)
            if isinstance(value, int | float):
                default = f"{value:,} {_UNITS.get(name, '')}".rstrip().removesuffix(".0")
            if name in (*LEFT_TO_TASK, "mean_error"):
                default += " for noise_free; each task has its own"
            yield Flag(
                _PLURAL.get(name, name),
                text,
                kind,
                several=name != "trials",
                default="" if kind is None else _DEFAULTS.get(name, default),
                group=group,
                is_common=name in _COMMON,
            )


PLAN_HEADINGS = ("net", "task", "T", "trials", "sequences")


def plan(experiments: Iterable[Experiment]) -> list[TableRow]:
    """What would be trained: the trials of each net at each length, those of all combinations of a
    grid together, and the most training sequences that all of them may see."""
    trials = Counter[tuple[str, ...]]()
    sequences = Counter[tuple[str, ...]]()
    for one in map(settled, experiments):
        net = net_name(one.name, one.cell), one.task, str(one.length)
        trials[net] += one.trials
        sequences[net] += one.trials * one.max_steps
    return [
        TableRow(
            dict(zip(PLAN_HEADINGS, (*net, f"{trials[net]:,}", f"≤{most:,}"), strict=True)), net[2]
        )
        for net, most in sequences.items()
    ]


def sweep(
    cells: Sequence[str] | None = None,
    *,
    experiment: Sequence[str] = ("notebook",),
    tasks: Sequence[str] = (),
    lengths: Sequence[int] | None = None,
    dry_run: bool = False,
    out: Path | None = None,
    lanes: int | None = None,
    keep_weights: bool = False,
    dask: str | None = None,
    compile_cache: bool = True,
    **settings: Any,
) -> None:
    """Train every net at every length and show the results beside the published ones.

    Without arguments this is the notebook's whole table. A setting with several values is tried
    with each: every combination gets its own trials, and the report shows them as tables of
    colours. Give the same command again after an interruption: finished lengths are kept, and the
    one in flight goes on from its checkpoint. Defaults are those of the notebook's experiment.
    """
    set_up_jax(compile_cache)
    start = time.monotonic()
    axes: dict[str, Any] = {"task": tasks} if tasks else {}
    fixed = ("trials", "test_lengths", "stack_hidden", *OPTIONS)
    axes |= {name: values for name, values in settings.items() if name not in fixed}
    given = {name: settings[name] for name in fixed if name in settings}
    options = {name: dict(given.pop(name)) for name in OPTIONS if name in given}
    is_grid = any(len({*values}) > 1 for values in axes.values())
    of_trials = {name: axes.pop(name) for name in PER_TRIAL if is_grid and name in axes}

    def completed(one: Experiment) -> Experiment:
        """With the options added to its own, and in a grid with every combination."""
        added: dict[str, Any] = {name: dict(getattr(one, name)) | options[name] for name in options}
        one = dataclasses.replace(one, **added)
        return product(one, of_trials) if is_grid else one

    def of_data(choice: dict[str, Any]) -> Sequence[int] | None:
        """The lengths that a task of given data has."""
        return lengths_of(choice["task"]) if "task" in choice else None

    experiments = [
        completed(one)
        for choice in combinations(axes)
        for suite in suites_of(experiment)
        for one in expand(suite, cells, lengths or of_data(choice), **given, **choice)
    ]
    if dry_run:
        for one in experiments:
            check(one, lanes, keep_params=keep_weights, here=dask is None)
        console.print(terminal_table(plan(experiments), PLAN_HEADINGS))
        return
    words = ["grid"] if is_grid else [*experiment, *tasks]
    out = out or Path("runs") / re.sub(r"[^\w.+-]", "_", "-".join(dict.fromkeys(words)))
    if dask is None:
        trials = Counter[Experiment]()  # of each batch
        for one in experiments:
            trials[one.batch()] += one.trials
        warn_if_small(max(trials.values(), default=0), all_devices()[0])
    asked: dict[str, Any] = {"lanes": lanes, "keep_weights": keep_weights, "dask": dask}
    run(experiments, out, **asked, progress=True, report=False)
    from jaxrnn.report.document import show_report  # matplotlib is slow to import

    show_report(out)
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")
