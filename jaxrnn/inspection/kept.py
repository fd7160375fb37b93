"""Which trained trials of a run directory to look at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxrnn.errors import InputError, shown
from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.results.rows import Row, experiment_of, outcome_of, read_rows
from jaxrnn.results.weights import read_weights
from jaxrnn.weights import called_alike, nets_in, weights_in


class Choice(NamedTuple):
    """What to look at of what a run directory keeps; None leaves it open."""

    experiment: Sequence[str] | None = None  # all
    cells: Sequence[str] | None = None  # all
    length: int | None = None  # of each net the greatest
    trial: int = 0


class KeptTrial(NamedTuple):
    """A trial with a row, and where its weights are."""

    experiment: Experiment  # of this trial alone
    row: Row
    path: Path
    place: int  # in that file

    def load(self, own: Mapping[str, Sequence[str]]) -> tuple[Experiment, Outcome]:
        """The experiment as its code may be called by, and the outcome with the parameters."""
        nets = nets_in(self.path, {"cell": (), "task": (), "objective": (), **own})
        params = jax.tree.map(lambda leaf: leaf[self.place], nets.params)
        # Neither matters any more, and either may be somebody's own code.
        experiment = replace(
            nets.experiment.alone(self.place), initializer="xavier", optimizer="clipped_sgd"
        )
        return experiment, replace(outcome_of(self.row), params=params)


def chosen(run: Path, choice: Choice) -> list[KeptTrial]:
    """The trials of a run directory that are chosen, in the order of their rows.

    Raises InputError with the choices where there is none such.
    """
    places = {
        trial: (path, place)
        for path in weights_in(run)
        for place, trial in enumerate(read_weights(path, arrays=False).known())
    }
    known = [((experiment_of(row), row["trial"]), row) for row in read_rows(run)]
    found = [KeptTrial(one[0], row, *places[one]) for one, row in known if one in places]

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
                raise InputError(
                    f"{run} keeps no weights of {what} {shown(one)}: choose from {_listed(held)}"
                )
            names |= {*alike}
        found[:] = [one for one in found if of(one) in names]

    only("experiment", choice.experiment, lambda one: one.experiment.name)
    only("cell", choice.cells, lambda one: one.experiment.cell)
    if choice.length is None:
        longest: dict[tuple[str, str], int] = {}
        for one in found:
            longest[_net(one)] = max(one.experiment.length, longest.get(_net(one), 0))
        found = [one for one in found if one.experiment.length == longest[_net(one)]]
    else:
        only("length", [choice.length], lambda one: one.experiment.length)
    only("trial", [choice.trial], lambda one: one.row["trial"])
    return found


def _net(one: KeptTrial) -> tuple[str, str]:
    return one.experiment.name, one.experiment.cell


def _listed(choices: list[Any]) -> str:
    """The choices, numbers that follow each other as a range."""
    numbers = sorted(one for one in choices if isinstance(one, int))
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers or choices))
