"""The search for a cell's settings on a task: successive halving over lags, and a pilot.

``docs/howto/horizon.md`` has the protocol as a table. All cells get the same settings. Early losses
mislead, since they stay on a plateau until a net suddenly succeeds. So each trial gets the whole
budget, and the lag is what grows from one rung to the next. Only success takes a setting further:
what is fast at a short lag is often too fast for a long one. Where few settings learn a task, the
best of 27 would be luck, so the first rung goes on with the next 27. One or two trials say little,
so there is a play-off at the longest lag that any setting has solved.

The rungs are the pilot, too, which says at which lags fresh trials are reported. From the longest
lag at which at least half of the best setting's trials were solved, it goes on to the next longer
ones. It ends before a lag that a rung has tried. The default has such a pilot of its own.

What costs most are trials at long lags that are not solved, so there are few of these: no pilot
beyond the first lag that fails, no fresh trials beyond twice the pilot's lag, one other finalist.

Source of the halving: Jamieson & Talwalkar 2016, whose rungs differ in their steps.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, NamedTuple

from jaxrnn.errors import InputError, look_up, shown, whole_number
from jaxrnn.experiment import Experiment, flag_name
from jaxrnn.problems.suite import Suite
from jaxrnn.report.summary import Rows
from jaxrnn.sweeps.queue import Asking
from jaxrnn.sweeps.run import under
from jaxrnn.training.parts import cell_of, drawn_biases, draws_recurrent
from jaxrnn.yardstick import CHOSEN, DEFAULT, FINALIST, LAGS, SEARCH
from jaxrnn.yardstick.sizes import MATCHES, rank, sized

RUNGS = ((1, 27, 1), (4, 27, 1), (16, 6, 2), (64, 2, 3))
"""Lag in shortest lags, the most settings besides the default, trials of each."""

ROUNDS, ENOUGH = 4, 6
"""The first rung is run so often at most, each time with the next settings, until so many settings
are solved."""

NUM_SETTINGS = ROUNDS * RUNGS[0][1]

PLAYERS, PLAYED = 6, 4
"""The most settings of the play-off, and the trials that each has at its lag in the end."""

FIRST_RUNG, PLAY_OFF, PILOT = "1", "play-off", "pilot"
"""The rung in a trial's note; the other rungs are "2", "3" and "4"."""

NUM_FINALISTS, PILOT_TRIALS = 2, 2

REPORT = {2: 6, 1: 9, 1 / 2: 6, 1 / 4: 6, 1 / 8: 6}
"""The fresh trials at each lag, in lags that the pilot found. Six trials are the least that can
bound a horizon (0.5^6 < 0.025); nine may have an exception. A pilot of the best among many settings
is more likely too long than too short, so most lags are shorter."""

OTHER_TRIALS = 6
"""Of the other finalist, at the longest lag that the pilot solved; of the default at each lag."""

LEAST_RATE, MOST_RATE = 1e-4, 0.1
LEAST_CLIP, MOST_CLIP = 0.1, 10.0
LEAST_MEMORY, MOST_MEMORY = 2, 4  # the one in time steps, the other in lags
INITIALIZERS = ("xavier", "orthogonal", "chrono")

SEARCHED = ("learning_rate", "clip", "forget_bias", "input_bias")
"""Besides the initializer, which all trials of an experiment share."""

SOBOL = (
    (64, 32, 16, 8, 4, 2, 1),
    (64, 96, 80, 120, 68, 102, 85),
    (64, 96, 48, 72, 116, 46, 71),
    (64, 96, 16, 40, 124, 58, 81),
    (64, 32, 16, 88, 124, 110, 61),
)
"""The first direction numbers of Sobol's sequence in each dimension, times 128. Source: Joe & Kuo
2008, file new-joe-kuo-6.21201."""

NUM_SEEDS = 2**32  # from 0 on, as Experiment has it


@dataclass(frozen=True, kw_only=True)
class HorizonProtocol:
    """What every cell gets, whatever it is. The rest is in this module."""

    max_steps: int = 20_000  # training sequences of a trial
    batch_size: int = 1
    match: str = "weights"  # a name of MATCHES
    longest_lag: int = LAGS[-1]  # neither the search nor the report goes beyond it
    lags: tuple[int, ...] = ()  # in place of those that double, up to the longest
    seed: int = 1  # of the trials reported at the longest lag; one more at each shorter one
    search_seed: int = 1000  # of the rungs and the pilot; the play-off's is one more
    search_version: int = 3  # rows of an earlier one are of other settings or seeds

    def __post_init__(self) -> None:
        """Raise InputError for an unknown match or lag, for seeds out of range or that the search
        has, too, and for what is no whole number. An experiment would refuse a seed, too, but only
        after the search."""
        for one in fields(self):
            if one.type is int:  # in Python's own type, which can be written as JSON
                value = whole_number(flag_name(one.name), getattr(self, one.name))
                object.__setattr__(self, one.name, value)
        lags = tuple(whole_number("lags", lag, 1) for lag in self.lags)
        object.__setattr__(self, "lags", lags)
        if list(lags) != sorted(set(lags)):
            words = " ".join(map(str, lags))
            raise InputError(f"lags {words} must rise, each longer than the one before")
        if lags and self.longest_lag != LAGS[-1]:
            raise InputError(
                f"longest-lag {self.longest_lag} has no meaning beside lags: give one of the two"
            )
        for name, number in (("seed", len(REPORT)), ("search_seed", 2)):
            first, most = getattr(self, name), NUM_SEEDS - number
            if not 0 <= first <= most:
                raise InputError(
                    f"{flag_name(name)} {shown(first)} must be from 0 to {most}, since {number} "
                    "seeds from it on are used"
                )
        look_up(MATCHES, "match", self.match)
        if self.longest_lag not in LAGS:
            choices = ", ".join(map(str, LAGS))
            raise InputError(f"longest-lag {self.longest_lag} must be one of {choices}")
        last = self.seed + len(REPORT) - 1
        if self.seed <= self.search_seed + 1 and self.search_seed <= last:
            raise InputError(
                f"seed {self.seed} takes the seeds up to {last}, but the search has "
                f"{self.search_seed} and {self.search_seed + 1}: the reported trials would have "
                "the weights and the sequences of the search"
            )


SINGLE = HorizonProtocol()
LEAST_UPDATES = 10_000


def protocol_of(batch_size: int, match: str, **lags: Any) -> HorizonProtocol:
    """The protocol for a number of sequences per update: at least 10,000 updates, and at least
    20,000 sequences; with its ``longest_lag`` or its ``lags``."""
    max_steps = max(HorizonProtocol.max_steps, LEAST_UPDATES * batch_size)
    return HorizonProtocol(max_steps=max_steps, batch_size=batch_size, match=match, **lags)


class Setting(NamedTuple):
    """A point of the search: five coordinates between 0 and 1."""

    rate: float
    memory: float
    closing: float
    clip: float
    initializer: float


@cache
def settings() -> tuple[Setting, ...]:
    """All settings that a cell can get, in their order: the first points of Sobol's sequence,
    without the origin, a corner of the ranges.

    Point n is point n - 1 with the bits of one direction number turned, that of the lowest bit of
    n (Antonov & Saleev 1979).
    """
    points, place = [], [0] * len(SOBOL)
    for n in range(1, NUM_SETTINGS + 1):
        lowest = (n & -n).bit_length() - 1
        place = [one ^ numbers[lowest] for one, numbers in zip(place, SOBOL, strict=True)]
        points.append(Setting(*(one / 128 for one in place)))
    return tuple(points)


def with_setting(base: Experiment, setting: Setting | None) -> Experiment:
    """The experiment under a setting; as it is without one. Its note has the setting's number, from
    1 on, or 0 for the default.

    Where an initializer would make no difference, as orthogonal in a cell without a recurrent
    matrix, it is xavier, so that more settings are trained together. With a memory of M time steps
    a gate that keeps (forget, update) has b = log(M - 1) for its first bias, and one that lets in
    (input) 0 or -b; always -b in a cell without a gate that keeps. Chrono draws its biases for
    memories of up to T steps: b = log(M / T) is added to them, and -b to those of input gates.
    """
    if setting is None:
        return replace(base, note={**base.note, "setting": 0})
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
        note={**base.note, "setting": settings().index(setting) + 1},
    )


def _between(low: float, high: float, share: float) -> float:
    """A number on a logarithmic scale, to three digits, so that rows can be read."""
    return float(f"{low * (high / low) ** share:.3g}")


def net(suite: Suite, cell: str, protocol: HorizonProtocol) -> Experiment:
    """The declared default of a cell at the task's shortest lag, with the protocol's sizes.

    A gate that keeps what is there has a first bias of 1. In a cell without such a gate, one that
    lets something in has -1.
    """
    base = replace(suite.base, max_steps=protocol.max_steps)
    base = sized(replace(suite, base=base), cell, protocol.match)
    drawn = drawn_biases(cell, cell_of(base))
    if "forget_bias" in drawn:
        base = replace(base, forget_bias=1.0)
    elif "input_bias" in drawn:
        base = replace(base, input_bias=-1.0)
    return replace(base, batch_size=protocol.batch_size, seed=protocol.seed)


class Found(NamedTuple):
    """What a search has found for a cell on a task."""

    finalists: tuple[Setting | None, ...]  # the best one first; None is the default
    longest: int | None  # the longest lag at which at least half of the best one's trials solved
    default_longest: int | None  # the same of the default


def search(base: Experiment, lags: Sequence[int], seed: int) -> Asking[Found]:
    """The search for the settings of a net, ``base``, whose lags are these."""
    tried: dict[Setting | None, dict[int, Rows]] = {one: {} for one in (*settings(), None)}

    def ask(
        rung: str, wanted: Sequence[tuple[int, Sequence[Setting | None], int]], seed: int = seed
    ) -> Generator[list[Experiment], Rows]:
        """Try some settings at a lag, with so many trials each; None is the declared default."""
        rows = yield [
            experiment
            for lag, some, trials in wanted
            for experiment in _by_initializer(
                replace(base, length=lag, trials=trials, seed=seed), some, rung
            )
        ]
        for row in rows:
            number = row.experiment.note["setting"]
            by_lag = tried[settings()[number - 1] if number else None]
            by_lag.setdefault(row.experiment.length, Rows()).append(row)

    def goes_on(setting: Setting | None) -> bool:
        return all(rows.solved for rows in tried[setting].values())

    left: list[Setting] = []
    (_, number, trials), *longer_rungs = RUNGS
    for start in range(0, ROUNDS * number, number):
        following = settings()[start : start + number]
        yield from ask(FIRST_RUNG, [(lags[0], [*following, *[None] * (not left)], trials)])
        left += following
        if sum(map(goes_on, left)) >= ENOUGH:
            break
    lag = lags[0]
    for rung, (times, number, trials) in enumerate(longer_rungs, 2):
        left = sorted(filter(goes_on, left), key=lambda one: rank(tried[one][lag]))[:number]
        some = [*left, *[None] * goes_on(None)]
        lag = times * lags[0]
        if lag not in lags or not some:  # some tasks begin at 32, and an own one may refuse it
            break
        yield from ask(str(rung), [(lag, some, trials)])

    # The play-off
    with_success = (at for by_lag in tried.values() for at, rows in by_lag.items() if rows.solved)
    lag = max(with_success, default=lags[0])
    players = [one for one in tried if lag in tried[one] and tried[one][lag].solved]
    players = sorted(players, key=lambda one: rank(tried[one][lag]))[:PLAYERS]
    if players:
        # Another seed, or trials of the rungs would come again.
        more = PLAYED - len(tried[players[0]][lag])
        yield from ask(PLAY_OFF, [(lag, players, more)], seed + 1)

    def standing(setting: Setting | None) -> tuple[bool, int, tuple[float, ...]]:
        at = lag if setting in players else max(tried[setting])
        return setting not in players, -at, rank(tried[setting][at])

    order = sorted((one for one in tried if tried[one]), key=standing)

    # The pilot
    piloted = dict.fromkeys((order[0], None))  # one of them, if the default is the best
    while wanted := [
        (longer, [one], PILOT_TRIALS)
        for one in piloted
        if (longer := _next_lag(lags, tried[one])) is not None
    ]:
        yield from ask(PILOT, wanted)
    return Found(tuple(order[:NUM_FINALISTS]), _longest(tried[order[0]]), _longest(tried[None]))


def _by_initializer(
    base: Experiment, some: Sequence[Setting | None], rung: str
) -> list[Experiment]:
    """The experiments of some settings, each with the number of trials of ``base``: one for all
    settings with the same initializer."""
    grouped: dict[str, list[Experiment]] = {}
    for setting in some:
        one = with_setting(base, setting)
        grouped.setdefault(one.initializer, []).append(one)
    experiments = []
    for initializer, group in grouped.items():
        values = [{name: getattr(one, name) for name in SEARCHED} for one in group]
        numbers = tuple(one.note["setting"] for one in group for _ in range(base.trials))
        note = {"role": SEARCH, "setting": numbers, "rung": rung}
        one = under(replace(base, initializer=initializer), values)
        experiments.append(replace(one, note=note))
    return experiments


def _longest(by_lag: Mapping[int, Rows]) -> int | None:
    half = (lag for lag, rows in by_lag.items() if rows.solved >= len(rows) / 2)
    return max(half, default=None)


def _next_lag(lags: Sequence[int], by_lag: Mapping[int, Rows]) -> int | None:
    """The lag that the pilot tries next; None once fewer than half are solved."""
    if (longest := _longest(by_lag)) is None:
        return None
    longer = next((lag for lag in lags if lag > longest), None)
    return None if longer in by_lag else longer


def lags_reported(lags: Sequence[int], longest: int | None) -> dict[int, int]:
    """The lags of the fresh trials and how many each gets, by the longest lag that the pilot
    found. If it found none, that counts as half of the shortest lag."""
    around = lags[0] / 2 if longest is None else longest
    return {lag: n for times, n in REPORT.items() if (lag := int(times * around)) in lags}


def reported(base: Experiment, lags: Sequence[int], found: Found) -> list[Experiment]:
    """The fresh trials of the best setting, then those of the declared default unless it is the
    best, from the longest lag to the shortest.

    Each lag has a seed of its own. Under one seed trials of one number would begin with the same
    weights at every lag, so they would not be independent, as the interval has it.
    """
    setting = found.finalists[0]
    chosen, default = (replace(base, note={"role": role}) for role in (CHOSEN, DEFAULT))
    return [
        with_setting(replace(chosen, length=lag, trials=trials, seed=base.seed + place), setting)
        for place, (lag, trials) in enumerate(lags_reported(lags, found.longest).items())
    ] + [
        with_setting(
            replace(default, length=lag, trials=OTHER_TRIALS, seed=base.seed + place), None
        )
        for place, lag in enumerate(lags_reported(lags, found.default_longest))
        if setting is not None
    ]


def finalists(base: Experiment, found: Found) -> list[Experiment]:
    """Fresh trials of the other finalist at the longest lag that the pilot solved, so that the
    interval can include the choice between them; none where it solved none.

    At a lag of 1,024 they share the seed, and so the sequences, with those of the best setting: the
    two are compared on the same data.
    """
    if found.longest is None:
        return []
    at = replace(base, note={"role": FINALIST}, length=found.longest, trials=OTHER_TRIALS)
    return [with_setting(at, one) for one in found.finalists[1:]]
