"""Trained nets: the weights in a run directory as cells and parameters, and the choice of nets."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError, shown
from jaxrnn.experiment import Experiment
from jaxrnn.names import is_file, is_own
from jaxrnn.nets import Cell
from jaxrnn.nets.base import Params
from jaxrnn.outcome import Outcome
from jaxrnn.store.archives import PARAMS, read_weights
from jaxrnn.store.files import path_of
from jaxrnn.store.rows import Row, typed_rows
from jaxrnn.training.parts import cell_of, first_params
from jaxrnn.training.tickets import as_typed


class TrainedNets(NamedTuple):
    """The nets of N trials that share a file: of one experiment at one length."""

    # Of N trials: experiment.alone(k) is what the k-th net was trained under.
    experiment: Experiment
    trials: tuple[int, ...]  # the number of each, which its row has
    cell: Cell  # takes the task's inputs, symbols or vectors
    params: Params  # leaves [N, ...]

    def __repr__(self) -> str:
        """In short, without the weights."""
        made, number = self.experiment, sum(leaf[0].size for leaf in jax.tree.leaves(self.params))
        words = f"{len(self.trials)} of {made.cell} on {made.task} at T = {made.length}"
        return f"<TrainedNets: {words}, {number:,} weights each>"


def load_weights(
    path: Path | str,
    *,
    cell: str | Sequence[str] = (),
    task: str | Sequence[str] = (),
) -> list[TrainedNets]:
    """Load the trained nets of a file of weights, or of all files of a run directory.

    The parameters are those that the trials ended with, to the bit. To run the first net:

        nets = load_weights("runs/mine")[0]
        params = jax.tree.map(lambda leaf: leaf[0], nets.params)
        state, ys = unroll(nets.cell, params, xs)

    A cell or a task of your own (``file.py:name`` or ``module:name``) is code. It is imported only
    if you name it here, never because a file names it: ``cell="mine.py:mgu"``, or a list.

    Raises InputError where there are no weights, for a damaged file, for a cell or a task of
    somebody's own that is not named, and for weights that do not fit their cell.
    """
    own = {
        setting: [given] if isinstance(given, str) else list(given or ())
        for setting, given in (("cell", cell), ("task", task))
    }
    for setting, names in own.items():
        for name in names:
            if not is_own(name):
                raise InputError(
                    f"{setting} {shown(name)} is not somebody's own code, such as file.py:name: "
                    "leave it out, the file names the package's own parts"
                )
    paths = weights_in(path_of(path))
    made = [read_weights(one, arrays=False).experiment for one in paths]
    held = {name for one in made for name in (one.cell, one.task)}
    return [nets_in(one, own, held) for one in paths]


def weights_in(path: Path) -> list[Path]:
    """The files of weights of a run directory, or the file itself; InputError for none."""
    is_one = path.is_file() and path.suffix == ".npz"
    paths = sorted(path.glob("weights-*.npz")) if path.is_dir() else [path] * is_one
    if not paths:
        raise InputError(f"{path} holds no weights: name a run directory made with --keep-weights")
    return paths


def nets_in(
    path: Path, own: Mapping[str, Sequence[str]], held: Collection[str] = ()
) -> TrainedNets:
    """The nets of one file; ``own`` code is imported as :func:`with_own` says."""
    weights = read_weights(path)
    experiment = with_own(weights.experiment, own, held)
    cell = cell_of(experiment)
    tree = first_params(experiment.cell, cell)
    named, leaves = _named(tree), []
    for name, leaf in named:
        array = weights.arrays.get(name)
        if array is not None:
            array = as_typed(array, leaf.dtype)
        if array is None or (array.shape[1:], array.dtype) != (leaf.shape, leaf.dtype):
            found = "none" if array is None else f"{array.dtype} {list(array.shape[1:])}"
            raise InputError(
                f"{path} does not fit cell {experiment.cell}: its {name} is {found}, the cell's "
                f"{leaf.dtype} {list(leaf.shape)}"
            )
        leaves.append(jnp.asarray(array))
    if len(leaves) < len(weights.arrays):
        more = ", ".join(sorted(weights.arrays.keys() - dict(named).keys()))
        raise InputError(f"{path} does not fit cell {experiment.cell}, which has no {more}")
    params = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return TrainedNets(experiment, weights.trials, cell, params)


def with_own(
    experiment: Experiment, own: Mapping[str, Sequence[str]], held: Collection[str] = ()
) -> Experiment:
    """The experiment with the caller's names for all its parts that are users' own code.

    ``own`` has the names by setting. A name may be the experiment's own. It may also be another
    file's with the same part after the colon: this is the same code, moved, unless the name is
    among those ``held`` and so belongs to another experiment. Raises InputError if no name fits,
    and if several do.
    """
    change: dict[str, Any] = {}
    lacking: dict[str, str] = {}
    for setting, names in own.items():
        called = getattr(experiment, setting) or ""
        alike = [name for name in names if called_alike(name, called) and name not in held]
        if called_so := {name for name in names if name == called and is_own(name)} or {*alike}:
            if len(called_so) > 1:
                words = " and ".join(sorted(called_so))
                raise InputError(f"{setting} {called} may be any of {words}: name one")
            change[setting] = called_so.pop()
        elif is_own(called):
            lacking[setting] = called
    if lacking:
        words = " and ".join(f"{setting} {shown(called)}" for setting, called in lacking.items())
        give = " and ".join(f"{setting} {called}" for setting, called in lacking.items())
        raise InputError(
            f"{words} {'is' if len(lacking) == 1 else 'are'} somebody's own code, which is "
            f"imported only where you name it: give {give}"
        )
    return replace(experiment, **change)


def called_alike(name: str, other: str) -> bool:
    """Whether both are users' own code with the same name after the colon, or files of data of one
    name: files may move."""
    ends = [Path(one).name if is_file(one) else one.rpartition(":")[2] for one in (name, other)]
    return is_own(name) and is_own(other) and ends[0] == ends[1]


def arrays_of(params: Params) -> dict[str, np.ndarray]:
    """The parameters of a net as a file keeps them: arrays by their tree paths."""
    return {name: np.asarray(leaf) for name, leaf in _named(params)}


def _named(tree: Params) -> list[tuple[str, Any]]:
    """The leaves by their tree paths, such as params.bias or params[0].bias."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(PARAMS + jax.tree_util.keystr(path), leaf) for path, leaf in leaves]


# Which to look at


class Choice(NamedTuple):
    """Which nets of a run directory to look at; None leaves a choice open."""

    experiment: Sequence[str] | None = None  # all
    cells: Sequence[str] | None = None  # all
    tasks: Sequence[str] | None = None  # all
    length: int | None = None  # by default the greatest of each net
    trial: int = 0


class KeptTrial(NamedTuple):
    """A trial with a row, and where its weights are."""

    experiment: Experiment  # of this trial alone
    row: Row
    path: Path
    position: int  # in that file

    def load(self, own: Mapping[str, Sequence[str]]) -> tuple[Experiment, Outcome]:
        """The experiment, with the names of users' own code from ``own``, and the outcome with the
        parameters."""
        needed = dict.fromkeys(("cell", "task", "objective", "measure"), ())
        nets = nets_in(self.path, {**needed, **own})
        params = jax.tree.map(lambda leaf: leaf[self.position], nets.params)
        # None of these matters any more, and each may be somebody's own code.
        usual = Experiment()
        without: dict[str, Any] = {
            name: getattr(usual, name)
            for name in (
                *("initializer", "optimizer", "optimizer_options"),
                *("schedule", "schedule_options", "warmup"),
            )
        }
        experiment = replace(nets.experiment.alone(self.position), **without)
        return experiment, replace(self.row.outcome, params=params)


def chosen(run: Path, choice: Choice) -> list[KeptTrial]:
    """The trials of a run directory that are chosen, in the order of their rows.

    Raises InputError that lists the choices if there is no such trial.
    """
    positions = {
        trial: (path, position)
        for path in weights_in(run)
        for position, trial in enumerate(read_weights(path, arrays=False).tickets())
    }
    held = [row for row in typed_rows(run) if row.ticket in positions]
    found = [KeptTrial(row.experiment, row, *positions[row.ticket]) for row in held]

    def only(what: str, wanted: Sequence[Any] | None, of: Callable[[KeptTrial], Any]) -> None:
        """Leave those of ``found`` that are ``wanted``."""
        if wanted is None:
            return
        if not wanted:
            raise InputError(f"name at least one {what}")
        held = list(dict.fromkeys(map(of, found)))
        names = set()
        for one in wanted:
            alike = [one] if one in held else [n for n in held if called_alike(str(one), str(n))]
            if not alike:
                numbers = sorted(other for other in held if isinstance(other, int))
                choices = ", ".join(map(str, numbers or held))
                if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
                    choices = f"{numbers[0]} to {numbers[-1]}"  # they follow each other
                raise InputError(
                    f"{run} keeps no weights of {what} {shown(one)}: choose from {choices}"
                )
            names |= {*alike}
        found[:] = [one for one in found if of(one) in names]

    only("experiment", choice.experiment, lambda one: one.experiment.name)
    only("cell", choice.cells, lambda one: one.experiment.cell)
    only("task", choice.tasks, lambda one: one.experiment.task)
    if choice.length is None:
        longest: dict[tuple[str, str], int] = {}
        for one in found:
            longest[one.row.net] = max(one.experiment.length, longest.get(one.row.net, 0))
        found = [one for one in found if one.experiment.length == longest[one.row.net]]
    else:
        only("length", [choice.length], lambda one: one.experiment.length)
    only("trial", [choice.trial], lambda one: one.row.outcome.trial)
    return found
