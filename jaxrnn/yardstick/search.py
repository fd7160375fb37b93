"""The searches of a net: the settings that they try, and the trials that they ask for.

:mod:`jaxrnn.yardstick.protocol` has the rules of a search; this module gives its numbers their
meaning, and ``docs/howto/horizon.md`` tells both. All cells get the same settings. Early losses
mislead, since they stay on a plateau until a net suddenly succeeds. So each trial gets the whole
budget, and the lag is what grows from one round to the next (Jamieson & Talwalkar 2016 halve the
settings while a budget grows).
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, NamedTuple

from jaxrnn.errors import InputError, look_up, shown, whole_number
from jaxrnn.experiment import Experiment, flag_name
from jaxrnn.problems.suite import Suite
from jaxrnn.store.rows import Row
from jaxrnn.sweeps.queue import Asking
from jaxrnn.training.parts import cell_of, drawn_biases, draws_recurrent
from jaxrnn.yardstick import AGAIN, DEFAULT, LAGS, PREFIX, RECIPE, SEARCH, SLOW, VERSION
from jaxrnn.yardstick.protocol import (
    FULL,
    QUICK,
    Found,
    Plan,
    Result,
    Try,
    chains,
    farthest,
    is_made,
    lacking,
    points,
    search,
)
from jaxrnn.yardstick.sizes import MATCHES, sized

LEAST_RATE, MOST_RATE = 1e-4, 0.1
LEAST_CLIP, MOST_CLIP = 0.1, 10.0
LEAST_MEMORY, MOST_MEMORY = 2, 4  # the one in time steps, the other in lags
INITIALIZERS = ("xavier", "orthogonal", "chrono")

RECIPE_TRIALS = 6

SLOW_SETTINGS, LONGER = 6, 10
"""Where no search learns the shortest lag, so many settings get so many times the budget there."""

# A seed's bits, from the lowest on: the repeat, the setting, the lag's place, the search.
REPEATS, SETTINGS, PLACES, SEARCHES = 16, 64, 16, 16
NUM_SEEDS = 2**32 // (REPEATS * SETTINGS * PLACES * SEARCHES)
OF_RECIPE, OF_SLOW = 14, 15  # in place of a repeat


@dataclass(frozen=True, kw_only=True)
class HorizonProtocol:
    """What every cell gets, whatever it is. The rest is in :mod:`jaxrnn.yardstick.protocol`."""

    max_steps: int = 20_000  # training sequences of a trial
    batch_size: int = 1
    match: str = "weights"  # a name of MATCHES
    longest_lag: int = LAGS[-1]  # no trial goes beyond it
    lags: tuple[int, ...] = ()  # in place of those that double, up to the longest
    quick: bool = False  # fewer searches, of fewer settings
    seed: int = 1  # of all settings and all trials
    version: int = VERSION

    def __post_init__(self) -> None:
        """Raise InputError for an unknown match or lag, and for numbers out of range. An experiment
        would refuse a seed, too, but only when its turn has come."""
        for one in fields(self):
            if one.type is int:  # in Python's own type, which can be written as JSON
                value = whole_number(flag_name(one.name), getattr(self, one.name))
                object.__setattr__(self, one.name, value)
        lags = tuple(whole_number("lags", lag, 1) for lag in self.lags)
        object.__setattr__(self, "lags", lags)
        if list(lags) != sorted(set(lags)):
            words = " ".join(map(str, lags))
            raise InputError(f"lags {words} must rise, each longer than the one before")
        if len(lags) > PLACES:
            raise InputError(f"there are {len(lags)} lags, more than {PLACES}")
        if lags and self.longest_lag != LAGS[-1]:
            raise InputError(
                f"longest-lag {self.longest_lag} has no meaning beside lags: give one of the two"
            )
        if not 0 <= self.seed < NUM_SEEDS:
            raise InputError(f"seed {shown(self.seed)} must be from 0 to {NUM_SEEDS - 1}")
        look_up(MATCHES, "match", self.match)
        if self.longest_lag not in LAGS:
            choices = ", ".join(map(str, LAGS))
            raise InputError(f"longest-lag {self.longest_lag} must be one of {choices}")

    @property
    def plan(self) -> Plan:
        """How many searches a net gets, and how far each goes."""
        return QUICK if self.quick else FULL


SINGLE = HorizonProtocol()
LEAST_UPDATES = 10_000


def protocol_of(batch_size: int, match: str, **others: Any) -> HorizonProtocol:
    """The protocol for a number of sequences per update: at least 10,000 updates, and at least
    20,000 sequences; with its other fields."""
    max_steps = max(HorizonProtocol.max_steps, LEAST_UPDATES * batch_size)
    return HorizonProtocol(max_steps=max_steps, batch_size=batch_size, match=match, **others)


class Setting(NamedTuple):
    """A point of a search: five coordinates from 0 to below 1."""

    rate: float
    memory: float
    closing: float
    clip: float
    initializer: float


@cache
def settings(protocol: HorizonProtocol, number: int) -> tuple[Setting, ...]:
    """All settings that search ``number`` may try, in their order."""
    some = points(protocol.seed, number, protocol.plan.settings)
    return tuple(Setting(*one) for one in some)


def with_setting(base: Experiment, setting: Setting) -> Experiment:
    """The experiment under a setting.

    Where an initializer would make no difference, as orthogonal in a cell without a recurrent
    matrix, it is xavier. With a memory of M time steps a gate that keeps (forget, update) has
    b = log(M - 1) for its first bias, and one that lets in (input) 0 or -b; always -b in a cell
    without a gate that keeps. Chrono draws its biases for memories of up to T steps: b = log(M / T)
    is added to them, and -b to those of input gates.
    """
    lag = base.length
    memory = _between(LEAST_MEMORY, MOST_MEMORY * lag, setting.memory)
    cell = cell_of(base)
    drawn = drawn_biases(base.cell, cell)
    keeps = "forget_bias" in drawn
    initializer = INITIALIZERS[int(setting.initializer * len(INITIALIZERS))]
    matters = {"orthogonal": draws_recurrent(base.cell, cell), "chrono": bool(drawn)}
    if not matters.get(initializer, True):
        initializer = "xavier"
    if initializer == "chrono":
        bias, closes = math.log(memory / lag), True
    else:
        bias, closes = math.log(memory - 1), not keeps or setting.closing >= 0.5
    return replace(
        base,
        learning_rate=_between(LEAST_RATE, MOST_RATE, setting.rate),
        clip=_between(LEAST_CLIP, MOST_CLIP, setting.clip),
        initializer=initializer,
        forget_bias=bias if keeps else 0.0,
        input_bias=0.0 - bias if closes and "input_bias" in drawn else 0.0,
    )


def _between(low: float, high: float, share: float) -> float:
    """A number on a logarithmic scale, to three digits, so that rows can be read."""
    return float(f"{low * (high / low) ** share:.3g}")


class Net(NamedTuple):
    """A cell on a task, under the declared default at the shortest lag, and all lags."""

    base: Experiment
    lags: tuple[int, ...]


def default_of(suite: Suite, cell: str, protocol: HorizonProtocol) -> Experiment:
    """The declared default of a cell at the task's shortest lag, with the protocol's sizes.

    Its gates that keep begin with a bias of 1; if it has none, those that let in begin with -1.
    """
    base = replace(suite.base, max_steps=protocol.max_steps)
    base = sized(replace(suite, base=base), cell, protocol.match)
    drawn = drawn_biases(cell, cell_of(base))
    if "forget_bias" in drawn:
        base = replace(base, forget_bias=1.0)
    elif "input_bias" in drawn:
        base = replace(base, input_bias=-1.0)
    return replace(base, batch_size=protocol.batch_size)


def experiment_of(net: Net, protocol: HorizonProtocol, number: int, one: Try) -> Experiment:
    """The trial that search ``number`` asks for; 0 stands for the declared default."""
    place = (number * PLACES + one.lag) * SETTINGS + one.setting
    made = replace(
        net.base,
        length=net.lags[one.lag],
        trials=1,
        seed=protocol.seed * (2**32 // NUM_SEEDS) + place * REPEATS + one.repeat,
        note={
            "role": _role_of(one),
            "search": number,
            "setting": one.setting,
            "repeat": one.repeat,
            "lags": " ".join(map(str, net.lags)),
            "protocol": protocol.version,
            "plan": protocol.plan.name,
        },
    )
    if not one.setting:
        return made
    return with_setting(made, settings(protocol, number)[one.setting - 1])


def _role_of(one: Try) -> str:
    if not one.setting:
        return DEFAULT
    return {0: SEARCH, OF_RECIPE: RECIPE, OF_SLOW: SLOW}.get(one.repeat, AGAIN)


def trials_of(net: Net, protocol: HorizonProtocol) -> list[Asking[str]]:
    """All that is asked for of a net, by generators that go on side by side. Each returns a
    sentence about what it has found, an empty one if it asked for nothing."""
    plan, lags = protocol.plan, net.lags
    name = f"{net.base.cell} on {net.base.name.removeprefix(PREFIX)}"
    found: dict[int, Found] = {}
    first: list[Row] = []  # of the settings at the shortest lag

    def tried(
        asking: Generator[list[Try], Sequence[float], Result], number: int
    ) -> Asking[Result | None]:
        """Train what a search asks for, or the default, 0. None if it is not needed after all."""
        asked = next(asking)
        while True:
            rows = yield [experiment_of(net, protocol, number, one) for one in asked]
            if asked[0].lag == 0 and not asked[0].repeat:
                first.extend(rows)
            # The others' first waves may show that this search is not needed.
            while (goes_on := is_made(plan, number, found, len(lags))) is None:
                yield []
            if not goes_on:
                return None
            try:
                asked = asking.send(rows.times)
            except StopIteration as end:
                result: Result = end.value
                return result

    def searched(number: int) -> Asking[str]:
        result = yield from tried(search(plan, len(lags)), number)
        if result is None:
            return ""
        found[number] = result
        return f"{name}, search {number} of {plan.searches}: {in_words(result, lags)}"

    def by_default() -> Asking[str]:
        came = yield from tried(chains(plan, len(lags)), 0)
        return f"{name}, default: {' '.join(lag_in_words(at, lags) for at in sorted(came or ()))}"

    def afterwards() -> Asking[str]:
        while lacking(plan, found, len(lags)):
            yield []
        if all(one.lag < 0 for one in found.values()):
            of_all = [row for row in first if row.experiment.note["search"] in found]
            rows = yield [slow(net, protocol, row) for row in best_ends(of_all)[:SLOW_SETTINGS]]
            budget = LONGER * protocol.max_steps
            return (
                f"{name}, lag {lags[0]} within {budget:,} sequences: {rows.solved} of {len(rows)}"
            )
        number, lag = farthest(found)
        one = Try(found[number].setting, lag, OF_RECIPE)
        recipe = experiment_of(net, protocol, number, one)
        rows = yield [replace(recipe, trials=RECIPE_TRIALS)]
        return (
            f"{name}, recipe of search {number}: {rows.solved} of {len(rows)} at lag {lags[lag]:,}"
        )

    searches = [searched(number) for number in range(1, 1 + plan.searches)]
    return [*searches, *[by_default()] * bool(plan.chains), afterwards()]


def slow(net: Net, protocol: HorizonProtocol, row: Row) -> Experiment:
    """A setting that was not solved at the shortest lag, with a longer budget there."""
    note = row.experiment.note
    one = Try(note["setting"], 0, OF_SLOW)
    made = experiment_of(net, protocol, note["search"], one)
    return replace(made, max_steps=LONGER * protocol.max_steps)


def best_ends(rows: Sequence[Row]) -> list[Row]:
    """The rows by the errors at the end of their learning curves, the least first."""

    def end(row: Row) -> tuple[float, int, int]:
        of, note = row.outcome, row.experiment.note
        error = of.curve[-1] if of.curve and of.status != "diverged" else math.inf
        return error, note["search"], note["setting"]

    return sorted(rows, key=end)


def lag_in_words(place: float, lags: Sequence[int]) -> str:
    """A place among the lags as a lag: half of the shortest one is "<8"; between two lags it is
    their geometric mean."""
    if place < 0:
        return f"<{lags[0]:,}"
    below, share = int(place), place % 1
    above = lags[min(below + 1, len(lags) - 1)]
    return f"{lags[below] * (above / lags[below]) ** share:,.0f}"


def in_words(found: Found, lags: Sequence[int]) -> str:
    """What a search has found."""
    if found.lag < 0:
        return f"nothing at lag {lags[0]:,}"
    return f"lag {lags[found.lag]:,}, again {lag_in_words(found.place, lags)}"
