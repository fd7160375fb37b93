"""The contract of a run: its trials end as each ends alone, with the same weights to the bit. The
rule, the lanes, the chunks, the devices, the kills and what else rides in the batch change nothing.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import jax
import numpy as np
import pytest
from helpers import ADAM, BY_TEST, ONE_DEVICE, STREAK, Memory, narrow_at_once, promotion

from jaxrnn import Experiment, run_trials
from jaxrnn.outcome import ENDINGS
from jaxrnn.problems import settled
from jaxrnn.training import loop
from jaxrnn.training.runner import prepare
from jaxrnn.training.tickets import Tickets

# An experiment for each rule that a trial may end by, of which one has an optimizer with a state,
# and one for updates by several sequences.
NETS = {
    "streak": STREAK,
    "window": ADAM,
    "test": BY_TEST,
    "batches": Experiment(
        cell="simple_rnn", length=5, hidden_size=6, window=60, max_steps=1500, batch_size=4
    ),
}


class Leg(NamedTuple):
    """A run of what is left, up to its end or to a kill."""

    lanes: int | None = None
    chunk: int | None = None
    devices: int = 1
    reports: int | None = None  # it is killed at so many; a checkpoint is kept after every chunk


class Way(NamedTuple):
    """How the experiments of a net are run together."""

    net: str
    legs: Sequence[Leg]
    trials: Sequence[Sequence[int]] = (range(3), range(4), range(3))  # that run, of each
    keeps: bool = False  # weights
    narrows: bool = False  # as soon as half of the lanes are idle, in place of never


WAYS = {
    "fewer lanes than trials": Way("streak", [Leg(5, 33, 2)]),
    "killed twice": Way(
        "streak", [Leg(None, 20, 1, 12), Leg(3, 20, 1, 12), Leg(3, 20, 2)], keeps=True
    ),
    "narrower": Way("streak", [Leg(None, 20)], narrows=True),
    "a final test": Way("window", [Leg(8, 7, 1, 5), Leg(3)], [(2, 0), (1, 3), ()], True),
    "a test set, on fewer devices": Way("test", [Leg(None, None, 2, 10), Leg(3)]),
    "several sequences an update": Way("batches", [Leg(5, 7, 2, 6), Leg(3)], keeps=True),
}


def drawn(seed: int) -> Way:
    """Any way."""
    rng = np.random.default_rng(seed)

    def one_of(*values):
        return values[rng.integers(len(values))]

    def leg(is_killed):
        reports = int(np.exp(rng.uniform(0, np.log(30)))) if is_killed else None
        return Leg(one_of(None, 3, 5, 8), one_of(None, 1, 7, 33), one_of(1, 2), reports)

    net, kills = one_of(*NETS), one_of(0, 1, 2)
    legs = [leg(True) for _ in range(kills)] + [leg(False)]
    orders = [rng.permutation(3), rng.permutation(4), rng.permutation(3)]
    some = [order[rng.integers(len(order)) :].tolist() for order in orders[: one_of(1, 2, 3)]]
    return Way(net, legs, some, keeps=one_of(False, True), narrows=one_of(False, True))


@cache
def experiments_of(net):
    """Some that one batch can train. A trial of the second diverges at once."""
    base = settled(replace(NETS[net], trials=3))
    rate = base.learning_rate
    rates, clips = (rate / 2, 3e38, rate, rate / 20), (base.clip, 1e30, base.clip, base.clip)
    return [
        base,
        replace(base, seed=7, trials=4, learning_rate=rates, clip=clips),
        replace(base, name="other", initializer="orthogonal", learning_rate=rate / 3),
    ]


@cache
def alone(net, k):
    """The outcomes of one of these experiments, with weights: run alone, on one device, whole."""
    with pytest.MonkeyPatch.context() as patch, promotion(NETS[net]):
        narrow_at_once(patch, False)
        return run_trials(experiments_of(net)[k], lanes=3, devices=ONE_DEVICE, keep_params=True)


def run_in(way, patch):
    """(The outcomes by experiment and trial, the number of legs that it took)."""
    narrow_at_once(patch, way.narrows)
    every = [one.tickets() for one in experiments_of(way.net)]
    asked = {every[k][trial]: (k, trial) for k, some in enumerate(way.trials) for trial in some}
    memory, ended, num_legs = Memory(), {}, 0
    for leg in way.legs:
        num_legs += 1
        left = [ticket for ticket in asked if asked[ticket] not in ended]
        kept = memory.steps() if (leg.lanes or len(left)) >= len(left) else 0
        reports = []

        def on_chunk(tally, kept=kept, reports=reports, last=leg.reports):
            assert reports or tally.trial_steps > kept  # it has not begun anew
            reports.append(tally)
            if len(reports) == last:
                raise KeyboardInterrupt

        def on_end(some):
            for ticket, outcome in some:
                assert asked[ticket] not in ended
                ended[asked[ticket]] = outcome

        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0 if leg.reports else 100.0)
        memory.saves[-1:] = [{one: at for one, at in memory.load().items() if one in left}]
        run = prepare(
            Tickets(deque(left), on_chunk, on_end, memory),
            lanes=leg.lanes,
            chunk_steps=leg.chunk,
            devices=jax.devices()[: leg.devices],
            keep_params=way.keeps,
        )
        try:
            for _ in run.train():
                pass
        except KeyboardInterrupt:
            continue
        break
    return ended, num_legs


def assert_as_alone(way, ended):
    asked = [(k, trial) for k, trials in enumerate(way.trials) for trial in trials]
    assert sorted(ended) == sorted(asked)
    for (k, trial), outcome in ended.items():
        expected = alone(way.net, k)[trial]
        assert outcome == expected
        if way.keeps:
            jax.tree.map(np.testing.assert_array_equal, outcome.params, expected.params)
        else:
            assert outcome.params is None


@pytest.mark.parametrize("way", [pytest.param(way, id=name) for name, way in WAYS.items()])
def test_a_trial_ends_as_it_ends_alone(way, monkeypatch):
    with promotion(NETS[way.net]):
        ended, num_legs = run_in(way, monkeypatch)
    assert num_legs == len(way.legs)
    assert_as_alone(way, ended)


QUICK = (2, 26)  # which draw batches that become narrower, one of them killed
SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] * (seed not in QUICK)) for seed in range(200)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trial_ends_as_it_ends_alone_in_any_way(seed, monkeypatch):
    way = drawn(seed)
    with promotion(NETS[way.net]):
        ended, _ = run_in(way, monkeypatch)
    assert_as_alone(way, ended)


def test_what_is_run_tells_ways_apart():
    """The trials end at many different updates, and in each way that there is."""
    endings = set()
    for net in NETS:
        outcomes = [outcome for k in range(3) for outcome in alone(net, k)]
        assert len({outcome.steps for outcome in outcomes}) >= 5, net
        endings |= {outcome.status for outcome in outcomes}
    assert endings == set(ENDINGS)
