"""Horizons held out: fresh trials of what searches chose, under seeds that nobody could foresee.

A horizon is the median of what nine searches have found. Each found a lag, by a setting that it
trained again there. So this setting gets two fresh trials at that lag, and two at the next one. If
all horizons were an octave too long, the fresh trials at the lags would be solved as seldom as
those at the next ones are; an octave too short, and those would be solved as often as these.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.names import are_named
from jaxrnn.problems import settled
from jaxrnn.store.files import path_of, write_whole
from jaxrnn.store.rows import PACKED, ROWS, Row
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.queue import Asking
from jaxrnn.sweeps.run import OpenRun
from jaxrnn.sweeps.verify import chosen_rows, usual_out
from jaxrnn.sweeps.watch import Watch
from jaxrnn.yardstick import PREFIX, RECIPE, SLOW, TASKS
from jaxrnn.yardstick.protocol import Try
from jaxrnn.yardstick.reference import protocol_in
from jaxrnn.yardstick.results import Net, Remembered, card_of
from jaxrnn.yardstick.run import nets
from jaxrnn.yardstick.search import (
    LONGER,
    OF_RECIPE,
    OF_SLOW,
    HorizonProtocol,
    Net as Asked,
    experiment_of,
)

RESULT = "held-out.json"
"""What a directory of fresh trials says of horizons."""

FRESH = 2
"""Trials of a search's choice at its lag, and as many at the next one."""


class Rule(NamedTuple):
    """What honest horizons keep, each with 99.95 %, and whom that catches."""

    nets: int  # or more: FRESH trials for each search of so many
    least: float  # share of so many trials that are solved at the lags that were found
    most: float  # the same for so many at the next lags
    too_long: float  # the probability that horizons an octave too long are caught
    too_short: float


RULES = {
    "full": (
        Rule(1, 0.277, 0.945, 0.06, 0.06),
        Rule(2, 0.416, 0.806, 0.26, 0.39),
        Rule(3, 0.481, 0.741, 0.52, 0.68),
        Rule(4, 0.527, 0.709, 0.77, 0.85),
        Rule(6, 0.570, 0.673, 0.94, 0.96),
        Rule(8, 0.594, 0.641, 0.99, 0.99),
        Rule(12, 0.625, 0.608, 0.99, 0.99),
        Rule(24, 0.673, 0.572, 0.99, 0.99),
    ),
    "quick": (
        Rule(1, 0.214, 0.917, 0.10, 0.10),
        Rule(2, 0.357, 0.822, 0.28, 0.27),
        Rule(3, 0.428, 0.761, 0.51, 0.45),
        Rule(4, 0.479, 0.712, 0.70, 0.71),
        Rule(6, 0.524, 0.663, 0.90, 0.92),
        Rule(8, 0.552, 0.631, 0.97, 0.98),
        Rule(12, 0.583, 0.595, 0.99, 0.99),
        Rule(24, 0.638, 0.548, 0.99, 0.99),
    ),
}
"""By simulation on the ten kinds of nets that the protocol itself was tried on
(``tests/test_held_out.py``)."""


class Fresh(NamedTuple):
    """Fresh trials."""

    solved: int = 0
    trials: int = 0

    def __add__(self, other: "Fresh") -> "Fresh":  # type: ignore[override]
        """Both together."""
        return Fresh(self.solved + other.solved, self.trials + other.trials)

    def __str__(self) -> str:
        """In words."""
        return f"{self.solved:,} of {self.trials:,}"


class HeldOut(NamedTuple):
    """What fresh trials say of horizons."""

    directory: Path
    phrase: str
    nets: dict[Net, tuple[Fresh, Fresh]]  # by task and cell: at the lags found, and at the next
    left: list[Net]  # somebody's own code that was not named
    rules: tuple[Rule | None, Rule | None]  # for either; None for less than a whole net's trials

    @property
    def found(self) -> Fresh:
        """The trials at the lags that the searches have found."""
        return sum((found for found, _ in self.nets.values()), Fresh())

    @property
    def next(self) -> Fresh:
        """The trials at the next lags."""
        return sum((after for _, after in self.nets.values()), Fresh())

    @property
    def too_long(self) -> bool:
        """Whether they contradict the horizons as too long."""
        (solved, trials), (rule, _) = self.found, self.rules
        return rule is not None and solved < rule.least * trials

    @property
    def too_short(self) -> bool:
        """Whether they contradict them as too short."""
        (solved, trials), (_, rule) = self.next, self.rules
        return rule is not None and solved > rule.most * trials

    @property
    def holds(self) -> bool:
        """Whether there were enough of them, and they contradict nothing."""
        return self.rules[0] is not None and not (self.too_long or self.too_short)


def held_out(
    directory: Path | str,
    phrase: str,
    out: Path | str | None = None,
    *,
    cells: Sequence[str] = (),
    tasks: Sequence[str] = (),
    code: Sequence[str] = (),
    lanes: int | None = None,
    dask: str | None = None,
    progress: bool = False,
) -> HeldOut:
    """Train fresh trials of what the searches in a directory of horizons chose.

    Their seeds follow from the directory's rows and the ``phrase``, which whoever made the rows
    could not know. Nets that are not over are left out. Other options are those of
    :func:`jaxrnn.verify`.

    Raises InputError for a directory without horizons, and what :func:`jaxrnn.run` raises.
    """
    path = path_of(directory)
    protocol = protocol_in(path)
    card = card_of(chosen_rows(path, cells, tasks, None))
    files = [path / name for name in (ROWS, PACKED) if (path / name).exists()]
    seed = f"{hashlib.sha256(files[0].read_bytes()).hexdigest()} {phrase}"
    names = {*cells, *tasks, *code}
    left = [net for net, of in card.nets.items() if not are_named(of.rows[0].experiment, names)]
    asked = {
        net: fresh_trials(of, protocol, seed) for net, of in card.nets.items() if net not in left
    }
    out = usual_out(path) if out is None else path_of(out)
    with ExitStack() as stack:
        opened = stack.enter_context(RunDirectory(out))
        watch = stack.enter_context(Watch()) if progress else None
        if watch is not None:
            watch.expect(len(asked), "nets")
        found = OpenRun(opened, watch, lanes, False, dask).search_side_by_side(
            [[_trained(*net, *of)] for net, of in asked.items()],
            None if watch is None else lambda one, is_new: watch.on_found(one[0], is_new),
        )
    of_nets = {net: counts for net, ((_, counts),) in zip(asked, found, strict=True)}
    result = HeldOut(path, phrase, of_nets, left, (None, None))
    rules = rule_for(protocol, result.found.trials), rule_for(protocol, result.next.trials)
    result = result._replace(rules=rules)
    values: dict[str, Any] = {"directory": str(directory), "phrase": phrase}
    values |= {"found": result.found, "next": result.next, "holds": result.holds}
    write_whole(out / RESULT, json.dumps(values, indent=2).encode() + b"\n")
    return result


def rule_for(protocol: HorizonProtocol, trials: int) -> Rule | None:
    """What so many fresh trials at the lags found, or at the next ones, have to keep."""
    number = trials // (FRESH * protocol.plan.searches)
    return next((one for one in reversed(RULES[protocol.plan.name]) if one.nets <= number), None)


Trials = list[Experiment]


def check_rows(net: Remembered, protocol: HorizonProtocol) -> Asked:
    """The net as the protocol asks for it. Raises InputError for a row that it does not ask for."""
    made = net.rows[0].experiment
    name = made.name.removeprefix(PREFIX)
    (asked,) = nets([made.cell], [name if name in TASKS else made.task], protocol)
    for row in net.rows:
        if not is_asked_for(row, asked, protocol):
            raise InputError(
                f"{made.cell} on {name} has a row with settings that its protocol does not give: "
                f"{row.experiment.note}"
            )
    return asked


def fresh_trials(net: Remembered, protocol: HorizonProtocol, seed: str) -> tuple[Trials, Trials]:
    """The fresh trials of a net: at the lag that each search has found, and at the next one."""
    made, asked = net.rows[0].experiment, check_rows(net, protocol)
    of_lags: tuple[Trials, Trials] = [], []
    for number, found in net.found.items():
        if found.place < 0:
            continue
        at = math.floor(found.place)
        for which, lag in enumerate((at, at + 1)[: len(asked.lags) - at]):
            text = f"{seed} {made.name} {made.cell} {number} {lag}"
            drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
            one = experiment_of(asked, protocol, number, Try(found.setting, lag))
            note = {"role": "held out", "search": number, "setting": found.setting}
            one = replace(one, seed=drawn, trials=FRESH, note=note)
            of_lags[which].append(settled(one))
    return of_lags


def is_asked_for(row: Row, net: Asked, protocol: HorizonProtocol) -> bool:
    """Whether a row's settings are those that the protocol gives to its place in its search."""
    made, note = row.experiment, row.experiment.note
    repeat = {RECIPE: OF_RECIPE, SLOW: OF_SLOW}.get(note["role"], note["repeat"])
    one = Try(note["setting"], net.lags.index(made.length), repeat)
    expected = experiment_of(net, protocol, note["search"], one)
    if note["role"] == SLOW:
        expected = replace(expected, max_steps=LONGER * protocol.max_steps)
    return settled(expected).alone(0) == made and expected.note == note


def _trained(
    task: str, cell: str, found: Trials, after: Trials
) -> Asking[tuple[str, tuple[Fresh, Fresh]]]:
    """Train the fresh trials of a net. Returns a sentence about them, and how many were solved."""
    rows = yield [*found, *after]
    solved = {row.ticket: row.solved for row in rows}

    def counted(some: Trials) -> Fresh:
        ends = [solved[ticket] for one in some for ticket in one.tickets()]
        return Fresh(sum(ends), len(ends))

    counts = counted(found), counted(after)
    after_words = f", {counts[1]} at the next" * (counts[1].trials > 0)
    return f"{cell} on {task}: {counts[0]} at the lags found{after_words}", counts
