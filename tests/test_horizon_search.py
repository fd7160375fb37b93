"""The searches of a net: their settings, the trials that they ask for, and what follows them."""

import json
import math
import shlex
from dataclasses import replace

import numpy as np
import pytest
from helpers import answered, changed, number_of_weights, run, state_of

from jaxrnn import Experiment, InputError
from jaxrnn.problems import settled
from jaxrnn.store.rows import typed_rows
from jaxrnn.training.parts import state_size
from jaxrnn.training.trial import build
from jaxrnn.yardstick import LAGS, TASKS
from jaxrnn.yardstick.protocol import FULL, QUICK, Try
from jaxrnn.yardstick.reference import in_json
from jaxrnn.yardstick.results import command_of
from jaxrnn.yardstick.run import nets
from jaxrnn.yardstick.search import (
    SINGLE,
    Net,
    best_ends,
    default_of,
    experiment_of,
    lag_in_words,
    protocol_of,
    settings,
    trials_of,
    with_setting,
)
from jaxrnn.yardstick.sizes import sized

SUITE = TASKS["two_sequence"]
FIRST = settings(SINGLE, 1)


def base_of(cell="lstm"):
    return default_of(SUITE, cell, SINGLE)


def net_of(cell="lstm", lags=LAGS):
    return Net(base_of(cell), lags)


@pytest.mark.parametrize(("task", "cell"), [("adding", "min_gru"), ("noise_free", "co_rnn")])
def test_the_units_bring_the_number_of_weights_closest_to_the_lstms(task, cell):
    def weights(base, units):
        one = build(replace(base, hidden_size=units, trials=1))
        return number_of_weights(state_of(one).params)

    suite = TASKS[task]
    budget = weights(suite.at(), 16)
    units = sized(suite, cell).hidden_size
    off = [abs(weights(suite.at(cell), one) - budget) for one in (units - 1, units, units + 1)]
    assert off[1] == min(off)


@pytest.mark.parametrize(("cell", "units"), [("lstm", 16), ("gru", 32), ("slstm", 8)])
def test_by_state_the_units_bring_the_size_of_the_state_closest_to_the_lstms(cell, units):
    for task in ("adding", "noise_free"):
        base = sized(TASKS[task], cell, "state")
        assert (base.hidden_size, state_size(base)) == (units, 32)


def test_a_setting_is_between_the_ends_of_its_ranges_at_every_lag():
    every = [one for number in range(1, 10) for one in settings(SINGLE, number)]
    for lag in (8, 1024):
        made = [with_setting(replace(base_of(), length=lag), one) for one in every]
        rates = [one.learning_rate for one in made]
        assert 1e-4 <= min(rates) < 1.2e-4
        assert 0.09 < max(rates) <= 0.1
        assert all(0.1 <= one.clip <= 10 for one in made)
        assert {one.initializer for one in made} == {"xavier", "orthogonal", "chrono"}
        constant = [one for one in made if one.initializer != "chrono"]
        # A memory of 2 steps to 4 lags: log(M - 1).
        biases = [one.forget_bias for one in constant]
        assert min(biases) >= 0
        assert max(biases) < math.log(4 * lag - 1)
        assert max(biases) > math.log(lag)
        assert {one.input_bias == 0 for one in constant} == {True, False}
        assert all(one.input_bias in (0, -one.forget_bias) for one in constant)
        # Chrono's range of T is moved to M: by log(M / T).
        for one in made:
            if one.initializer == "chrono":
                assert math.log(2 / lag) <= one.forget_bias < math.log(4)
                assert one.input_bias == pytest.approx(-one.forget_bias)
    # The middle of every range.
    middle = FIRST[0]._replace(rate=0.5, memory=0.5, closing=0.5, clip=0.5, initializer=0.5)
    one = with_setting(replace(base_of(), length=128), middle)
    assert (one.initializer, one.clip) == ("orthogonal", 1.0)
    assert one.learning_rate == pytest.approx(math.sqrt(1e-4 * 0.1), rel=0.01)
    assert one.forget_bias == pytest.approx(math.log(math.sqrt(2 * 512) - 1))
    assert one.input_bias == -one.forget_bias


@pytest.mark.parametrize(
    ("cell", "keeps", "lets_in"),
    [("gru", True, False), ("min_gru", False, True), ("min_lstm", True, True), ("irnn", 0, 0)],
)
def test_only_gates_that_a_cell_has_get_a_bias(cell, keeps, lets_in):
    base = base_of(cell)
    assert (base.forget_bias, base.input_bias) == (1.0 * keeps, -1.0 * (lets_in and not keeps))
    for setting in FIRST:
        one = with_setting(base, setting)
        assert (one.forget_bias != 0) == bool(keeps)
        if not keeps:
            assert (one.input_bias != 0) == bool(lets_in)
        assert one.learning_rate == with_setting(base_of(), setting).learning_rate


def test_an_initializer_that_makes_no_difference_to_the_cell_is_xavier():
    for cell, expected in (
        ("lstm", {"xavier", "orthogonal", "chrono"}),
        ("simple_rnn", {"xavier", "orthogonal"}),
        ("min_gru", {"xavier", "chrono"}),
        ("lru", {"xavier"}),
    ):
        base = base_of(cell)
        assert {with_setting(base, one).initializer for one in FIRST} == expected


def test_a_batch_gets_ten_thousand_updates_and_at_least_twenty_thousand_sequences():
    assert protocol_of(1, "weights") == SINGLE
    assert protocol_of(2, "weights").max_steps == 20_000
    made = default_of(SUITE, "gru", protocol_of(32, "weights"))
    assert (made.max_steps, made.batch_size) == (320_000, 32)
    assert base_of().hidden_size == 16 < made.hidden_size  # by the number of weights


def test_no_trial_goes_beyond_the_longest_lag():
    protocol = protocol_of(1, "weights", longest_lag=128)
    (one,) = nets(["lstm"], ["two_sequence"], protocol)
    assert one.lags == (8, 16, 32, 64, 128)
    rows, found = answered(trials_of(one, protocol), lambda made: 5)
    assert max(row.experiment.length for row in rows) == 128
    assert found[0].endswith("search 1 of 9: lag 128, again 128")
    with pytest.raises(InputError, match="longest-lag 16 must be at least 32, the shortest lag of"):
        nets(["lstm"], ["parity", "temporal_order"], protocol_of(1, "weights", longest_lag=16))
    protocol = protocol_of(1, "weights", lags=(100,))
    (one,) = nets(["lstm"], ["two_sequence"], protocol)
    assert (one.lags, one.base.length) == ((100,), 100)
    with pytest.raises(InputError, match="length 5 is too short for task adding"):
        nets(["lstm"], ["adding"], protocol_of(1, "weights", lags=(5,)))


def test_every_trial_has_a_seed_of_its_own_and_is_the_same_for_every_cell():
    seeds = {}
    for seed in (1, 2):
        protocol = replace(SINGLE, seed=seed)
        for number in (0, 1, 9):
            for one in (Try(0, 0, 6), Try(1, 0), Try(1, 1), Try(54, 7, 2), Try(54, 7, 15)):
                made = experiment_of(net_of(), protocol, number, one)
                seeds[seed, number, one] = made.seed
                other = experiment_of(net_of("gru"), protocol, number, one)
                assert (other.seed, other.learning_rate, other.clip) == (
                    (made.seed, made.learning_rate, made.clip)
                )
    assert len({*seeds.values()}) == len(seeds)
    last = replace(SINGLE, seed=2**14 - 1)
    assert experiment_of(net_of(), last, 9, Try(54, 7, 15)).seed < 2**32
    # Another seed has other settings, too.
    assert settings(last, 1) != settings(SINGLE, 1)


def up_to(lag):
    """Solved up to a lag, the sooner the lesser the rate."""
    return lambda one: int(1e5 * one.learning_rate) if one.length <= lag else None


def roles_of(rows):
    return [row.experiment.note["role"] for row in rows]


def test_nine_searches_then_the_recipe_of_the_farthest():
    rows, found = answered(trials_of(net_of(), SINGLE), up_to(64))
    assert len(found) == 9 + 1 + 1
    assert found[4] == "lstm on two_sequence, search 5 of 9: lag 64, again 64"
    assert found[9] == "lstm on two_sequence, default: 64 64 64 64 64 64"
    assert found[10] == "lstm on two_sequence, recipe of search 1: 6 of 6 at lag 64"
    assert {*roles_of(rows)} == {"search", "again", "default", "recipe"}
    assert len({row.experiment.seed for row in rows}) == len(rows) - 5  # the recipe's have one
    by_search = [row.experiment.note["search"] for row in rows]
    assert {*by_search} == {0, *range(1, 10)}
    recipe = [row for row in rows if row.experiment.note["role"] == "recipe"]
    again = [row for row in rows if row.experiment.note["role"] == "again"]
    assert len(recipe) == 6
    made, chosen = recipe[0].experiment, again[0].experiment
    assert (made.learning_rate, made.clip) == (chosen.learning_rate, chosen.clip)
    assert made.seed != chosen.seed
    # The default is trained as it is declared.
    default = next(row.experiment for row in rows if row.experiment.note["role"] == "default")
    assert (default.learning_rate, default.clip, default.forget_bias) == (0.001, 1.0, 1.0)
    # The first wave of the last three was asked for before it was known that they are needed.
    asking = trials_of(net_of(), SINGLE)
    assert [len(next(one)) for one in asking] == [9] * 9 + [6, 0]


def test_where_no_search_learns_the_shortest_lag_six_settings_get_ten_times_the_budget():
    def solved_at(one):
        return 90_000 if one.max_steps > 20_000 and one.learning_rate > 0.001 else None

    def error_at(one):  # the least of those of a rate near to this one
        return abs(math.log(one.learning_rate / 0.002))

    rows, found = answered(trials_of(net_of(), SINGLE), solved_at, error_at)
    assert (
        found[:9]
        == [f"lstm on two_sequence, search {k} of 9: nothing at lag 8" for k in range(1, 7)]
        + [""] * 3
    )
    slow = [row.experiment for row in rows if row.experiment.note["role"] == "slow"]
    assert {(one.length, one.max_steps, one.trials) for one in slow} == {(8, 200_000, 1)}
    sought = [row for row in rows if row.experiment.note["role"] == "search"]
    # Those of searches that were not needed do not count, since they may come later.
    some = [row for row in sought if row.experiment.note["search"] <= 6]
    best = sorted(some, key=lambda row: error_at(row.experiment))[:6]
    assert {one.learning_rate for one in slow} == {one.experiment.learning_rate for one in best}
    assert found[10] == "lstm on two_sequence, lag 8 within 200,000 sequences: 6 of 6"
    assert len(sought) == 6 * 54 + 3 * 9


def test_the_quick_plan_has_no_default():
    quick = replace(SINGLE, quick=True)
    assert (SINGLE.plan, quick.plan) == (FULL, QUICK)
    rows, found = answered(trials_of(net_of(), quick), up_to(16))
    assert len(found) == 6 + 1
    assert {*roles_of(rows)} == {"search", "again", "recipe"}
    assert len(rows) == 6 * (12 + 4 + 2 + 1) + 6


def test_a_recipe_is_a_command_that_trains_the_same_trials(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = Net(default_of(TASKS["parity"], "gru", SINGLE), (8, 16))
    (tmp_path / "mine.py").write_text("from jaxrnn.problems.state_tracking import parity as task\n")
    own = Experiment(name="horizon-mine.task", task="mine.py:task", length=8, cell="gru")
    chrono = next(one for one in FIRST if one.initializer > 0.7)
    made = [settled(replace(net.base, seed=5, trials=1)), settled(with_setting(own, chrono))]
    for k, one in enumerate(replace(each, max_steps=2500) for each in made):
        words = shlex.split(command_of(one, 2))
        assert words[:2] == ["jaxrnn", "sweep"]
        out = tmp_path / str(k)
        assert run(*words[1:], "--out", out) == 0
        rows = typed_rows(out)
        again = [replace(row.experiment, name=one.name, note={}) for row in rows]
        assert again == [replace(one, note={}, trials=1)] * 2
        assert [row.outcome.trial for row in rows] == [0, 1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"seed": 2**14}, "seed 16384 must be from 0 to 16383"),
        ({"seed": -1}, "seed -1 must be from 0 to 16383"),
        ({"match": "size"}, "unknown match 'size': choose from state, weights"),
        ({"longest_lag": 100}, "longest-lag 100 must be one of 8, 16, .*, 1024"),
        ({"batch_size": 1.5}, "batch-size 1.5 must be a whole number"),
        ({"lags": (8, 0)}, "lags 0 must be at least 1"),
        ({"lags": (16, 8)}, "lags 16 8 must rise, each longer than the one before"),
        ({"lags": range(1, 18)}, "there are 17 lags, more than 16"),
        ({"lags": (8,), "longest_lag": 16}, "longest-lag 16 has no meaning beside lags"),
    ],
)
def test_a_protocol_that_breaks_a_rule_is_refused_before_the_search(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(SINGLE, **settings)


def test_a_protocol_can_be_written_with_whole_numbers_of_another_library():
    same = replace(SINGLE, max_steps=np.int64(SINGLE.max_steps), seed=np.int32(SINGLE.seed))
    assert json.dumps(in_json(same)) == json.dumps(in_json(SINGLE))


def test_a_place_between_two_lags_is_their_geometric_mean():
    words = [lag_in_words(place, (8, 16, 32)) for place in (-1, -0.5, 0, 0.5, 1, 2)]
    assert words == ["<8", "<8", "8", "11", "16", "32"]
    assert lag_in_words(1.5, (512, 1024, 2048)) == "1,448"


def test_a_setting_that_diverged_has_no_error_at_the_end():
    rows, _ = answered(trials_of(net_of(), SINGLE), up_to(8), lambda one: one.learning_rate)
    some = [row for row in rows if row.experiment.note["role"] == "search"][:9]
    least = min(some, key=lambda row: row.outcome.curve[-1])
    assert best_ends(some)[0] == least
    others = [changed(row, status="diverged", solved_at=None) for row in some if row == least]
    others += [row for row in some if row != least]
    assert best_ends(others)[-1] == others[0]
