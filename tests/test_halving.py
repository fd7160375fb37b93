"""The search for a cell's settings: which trials it asks for, and what it finds in their rows."""

import json
import math
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers import changed, number_of_weights, rows_ending_at, state_of
from scipy.stats.qmc import Sobol

from jaxrnn import InputError
from jaxrnn.experiment import PER_TRIAL
from jaxrnn.report.summary import Rows
from jaxrnn.training.parts import state_size
from jaxrnn.training.trial import build
from jaxrnn.yardstick import LAGS, TASKS
from jaxrnn.yardstick.reference import in_json
from jaxrnn.yardstick.run import nets
from jaxrnn.yardstick.search import (
    SINGLE,
    Found,
    finalists,
    lags_reported,
    net,
    protocol_of,
    reported,
    search,
    settings,
    with_setting,
)
from jaxrnn.yardstick.sizes import rank, sized

SUITE = TASKS["two_sequence"]
TUNED = ("initializer", *PER_TRIAL)
FIRST = settings()[:27]


def base_of(cell="lstm"):
    return net(SUITE, cell, SINGLE)


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


def test_the_best_has_most_trials_solved_then_the_least_time_then_the_least_error():
    def of(*ends, status="unsolved"):
        """The rank of a setting, (step of solution or None, error at the end) of each trial."""
        base = replace(SUITE.base, trials=1)
        each = [(rows_ending_at(base, [at])[0], error) for at, error in ends]
        rows = [changed(row, curve=[0.9, error]) for row, error in each]
        return rank(Rows(row if row.solved else changed(row, status=status) for row in rows))

    assert of((900, 0.5), (950, 0.5)) < of((50, 0.1), (None, 0.1))
    assert of((800, 0.5)) < of((900, 0.01)) < of((None, 0.0))
    assert of((None, 0.2)) < of((None, 0.3)) < of((None, 0.1), status="diverged")


def test_settings_are_the_known_points_of_sobols_sequence():
    """The first ones by hand, in eighths, and all of them as SciPy has them, which lie evenly."""
    known = [(4, 4, 4, 4, 4), (6, 2, 2, 2, 6), (2, 6, 6, 6, 2), (3, 3, 5, 7, 3), (7, 7, 1, 3, 7)]
    assert [tuple(8 * share for share in one) for one in settings()[:5]] == known
    points = Sobol(5, scramble=False).random_base2(7)
    assert settings() == tuple(map(tuple, points[1:109].tolist()))


def test_a_setting_is_between_the_ends_of_its_ranges_at_every_lag():
    for lag in (8, 1024):
        made = [with_setting(replace(base_of(), length=lag), one) for one in settings()]
        rates = [one.learning_rate for one in made]
        assert 1e-4 < min(rates) < 1.6e-4
        assert 0.07 < max(rates) < 0.1
        assert all(0.1 < one.clip < 10 for one in made)
        assert {one.initializer for one in made} == {"xavier", "orthogonal", "chrono"}
        constant = [one for one in made if one.initializer != "chrono"]
        # A memory of 2 steps to 4 lags: log(M - 1).
        biases = [one.forget_bias for one in constant]
        assert min(biases) > 0
        assert max(biases) < math.log(4 * lag - 1)
        assert max(biases) > math.log(lag)
        assert {one.input_bias == 0 for one in constant} == {True, False}
        assert all(one.input_bias in (0, -one.forget_bias) for one in constant)
        # Chrono's range of T is moved to M: by log(M / T).
        for one in made:
            if one.initializer == "chrono":
                assert math.log(2 / lag) < one.forget_bias < math.log(4)
                assert one.input_bias == pytest.approx(-one.forget_bias)
    # Sobol's first point is the middle of every range.
    one = with_setting(replace(base_of(), length=128), settings()[0])
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
    for setting in settings()[:27]:
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
        assert {with_setting(base, one).initializer for one in settings()} == expected


def test_a_batch_gets_ten_thousand_updates_and_at_least_twenty_thousand_sequences():
    assert protocol_of(1, "weights") == SINGLE
    assert protocol_of(2, "weights").max_steps == 20_000
    made = net(SUITE, "gru", protocol_of(32, "weights"))
    assert (made.max_steps, made.batch_size) == (320_000, 32)
    assert base_of().hidden_size == 16 < made.hidden_size  # by the number of weights


def test_neither_the_search_nor_the_report_goes_beyond_the_longest_lag():
    protocol = protocol_of(1, "weights", longest_lag=128)
    (one,) = nets(["lstm"], ["two_sequence"], protocol)
    assert one.lags == (8, 16, 32, 64, 128)
    found, asked = simulated(lambda setting, lag: 9, lags=one.lags)
    assert list(map(max, asked)) == [8, 32, 128, 128]
    assert found.longest == 128
    assert max(made.length for made in reported(one.base, one.lags, found)) == 128
    with pytest.raises(InputError, match="longest-lag 16 must be at least 32, the shortest lag of"):
        nets(["lstm"], ["parity", "temporal_order"], protocol_of(1, "weights", longest_lag=16))


def test_a_search_at_one_lag_has_one_rung_a_play_off_and_fresh_trials_there():
    protocol = protocol_of(1, "weights", lags=(100,))
    (one,) = nets(["lstm"], ["two_sequence"], protocol)
    assert (one.lags, one.base.length) == ((100,), 100)
    found, asked = simulated(lambda setting, lag: 9, lags=one.lags)
    assert [list(call) for call in asked] == [[100], [100]]
    fresh = reported(one.base, one.lags, found)
    assert [(made.length, made.trials) for made in fresh] == [(100, 9), (100, 6)]
    with pytest.raises(InputError, match="length 5 is too short for task adding"):
        nets(["lstm"], ["adding"], protocol_of(1, "weights", lags=(5,)))


@cache
def tuned_at(lag):
    """The settings, and None for the default, by what their trials have at a lag."""
    base = replace(base_of(), length=lag)
    tuned = ((one, with_setting(base, one)) for one in (*settings(), None))
    return {tuple(getattr(made, name) for name in TUNED): one for one, made in tuned}


def simulated(is_solved, lags=LAGS):
    """What a search finds, and what it asks for, if a setting (None: the default) is solved in so
    many of the trials at a lag; sooner settings are those with the lesser rate."""
    asking, asked, so_far, seen = search(base_of(), lags, 1000), [], Counter(), set()
    wanted = next(asking)
    while True:
        assert len(set(wanted)) == len(wanted)  # the rows of equal ones would come once
        call, rows = {}, Rows()
        for experiment in wanted:
            assert experiment.note["role"] == "search"
            assert experiment.seed in (1000, 1001)
            steps = []
            for trial, one in enumerate(experiment.each_alone()):
                assert (one, trial) not in seen  # its row would be the same
                seen.add((one, trial))
                setting = tuned_at(one.length)[tuple(getattr(one, name) for name in TUNED)]
                of_lag = call.setdefault(one.length, Counter())
                of_lag[setting] += 1
                so_far[setting, one.length] += 1
                is_one = so_far[setting, one.length] <= is_solved(setting, one.length)
                steps.append(1000 + int(10_000 * one.learning_rate) if is_one else None)
            rows += rows_ending_at(experiment, steps)
        asked.append(call)
        try:
            wanted = asking.send(rows)
        except StopIteration as end:
            return end.value, asked


def test_what_is_solved_goes_on_to_longer_lags_and_the_best_has_a_pilot():
    order = sorted(FIRST, key=lambda one: one.rate)
    good = order[4:]

    def is_solved(setting, lag):
        if setting is None:
            return 9 * (lag <= 16)
        # The fastest of all fail at the second rung, three more at the third.
        return 9 * (lag <= (8 if setting in order[:4] else 64 if setting in good[:3] else 512))

    found, asked = simulated(is_solved)
    assert asked[0] == {8: dict.fromkeys([*FIRST, None], 1)}
    assert asked[1] == {32: dict.fromkeys([*FIRST, None], 1)}
    assert asked[2] == {128: dict.fromkeys(good[:6], 2)}  # the soonest six
    assert asked[3] == {512: dict.fromkeys(good[3:5], 3)}
    assert asked[4] == {512: dict.fromkeys(good[3:5], 1)}  # four in all
    # The best goes on until a lag fails; the default has one between two rungs left.
    assert asked[5:] == [{1024: {good[3]: 2}, 16: {None: 2}}]
    assert found.finalists == tuple(good[3:5])
    assert (found.longest, found.default_longest) == (512, 16)


def test_what_was_not_solved_goes_no_further_even_if_there_is_room():
    few = sorted(settings()[:2], key=lambda one: one.rate)
    _, asked = simulated(lambda setting, lag: 9 * (lag <= (512 if setting in few else 8)))
    assert asked[2] == {128: dict.fromkeys(few, 2)}


def test_the_default_goes_on_beside_the_others_and_may_be_the_best():
    def is_solved(setting, lag):
        return 9 * (lag <= (1024 if setting is None else 32))

    found, asked = simulated(is_solved)
    assert [None in call[lag] for call, lag in zip(asked, (8, 32, 128, 512), strict=False)] == (
        [True] * 4
    )
    assert asked[3:] == [{512: {None: 3}}, {512: {None: 1}}, {1024: {None: 2}}]  # alone
    assert found.finalists[0] is None
    assert found.longest == found.default_longest == 1024
    fresh = reported(base_of(), LAGS, found)
    # Its fresh trials are those of the default, and not trained twice.
    assert {(one.name, one.learning_rate) for one in fresh} == {("horizon-two_sequence", 0.001)}
    assert sum(one.trials for one in finalists(base_of(), found)) == 6


def test_where_fewer_than_six_are_solved_the_first_rung_is_repeated_with_the_next_settings():
    def those_that_ask(good):
        _, asked = simulated(lambda setting, lag: 9 * (setting in good and lag <= 32))
        first = [call for call in asked if list(call) == [8]]
        assert first[0] == {8: dict.fromkeys([*FIRST, None], 1)}  # the default once
        assert [set(call[8]) for call in first[1:]] == [
            set(settings()[27 * k : 27 * k + 27]) for k in range(1, len(first))
        ]
        assert set(asked[len(first)][32]) == {
            one for one in good if settings().index(one) < 27 * len(first)
        }
        return len(first)

    assert those_that_ask(FIRST[:6]) == 1
    assert those_that_ask(FIRST[:5]) == 4
    assert those_that_ask([*FIRST[:5], *settings()[60:63]]) == 3
    assert those_that_ask(settings()[100:]) == 4


def test_a_rung_without_success_is_the_last_and_the_pilot_fills_the_lags_around_it():
    found, asked = simulated(lambda setting, lag: 9 * (lag <= 16))
    assert [list(call) for call in asked] == [[8], [32], [8], [16]]
    assert (found.longest, found.default_longest) == (16, 16)
    # A lag that the task refuses is not asked for.
    found, asked = simulated(lambda setting, lag: 9, lags=(8, 16, 64))
    assert {lag for call in asked for lag in call} == {8, 16, 64}
    assert found.longest == 64


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        # Each lag's fresh trials have a seed of their own.
        ({"seed": 996}, "seed 996 takes the seeds up to 1000, but the search has 1000 and 1001"),
        ({"seed": 1001}, "seed 1001 takes the seeds up to 1005, but the search has 1000 and 1001"),
        ({"seed": 2**32 - 4}, "seed 4294967292 must be from 0 to 4294967291, since 5 seeds from"),
        ({"search_seed": 2**32 - 1}, "search-seed 4294967295 must be from 0 to 4294967294, since"),
        ({"match": "size"}, "unknown match 'size': choose from state, weights"),
        ({"longest_lag": 100}, "longest-lag 100 must be one of 8, 16, .*, 1024"),
        ({"batch_size": 1.5}, "batch-size 1.5 must be a whole number"),
        ({"lags": (8, 0)}, "lags 0 must be at least 1"),
        ({"lags": (16, 8)}, "lags 16 8 must rise, each longer than the one before"),
        ({"lags": (8,), "longest_lag": 16}, "longest-lag 16 has no meaning beside lags"),
    ],
)
def test_a_protocol_that_breaks_a_rule_is_refused_before_the_search(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(SINGLE, **settings)


def test_a_protocol_can_be_written_with_whole_numbers_of_another_library():
    same = replace(SINGLE, max_steps=np.int64(SINGLE.max_steps), seed=np.int32(SINGLE.seed))
    assert json.dumps(in_json(same)) == json.dumps(in_json(SINGLE))


def test_the_seeds_next_to_those_that_are_refused_can_be_used():
    assert (replace(SINGLE, seed=995).seed, replace(SINGLE, seed=1002).seed) == (995, 1002)
    last = replace(SINGLE, seed=2**32 - 5, search_seed=2**32 - 7)
    for one in reported(net(SUITE, "lstm", last), LAGS, Found((None,), 512, 512)):
        assert one.seed < 2**32


def test_a_play_off_at_the_longest_lag_with_success_finds_who_was_lucky():
    sooner, *others = sorted(FIRST[:8], key=lambda one: one.rate)

    def is_solved(setting, lag):
        if setting not in FIRST[:8]:
            return 0
        return 9 * (lag <= 8) or (1 + (setting != sooner)) * (lag == 32)

    found, asked = simulated(is_solved)
    # Six of eight go on and fail. The same six get three more trials each where all were solved.
    assert asked[2:4] == [
        {128: dict.fromkeys([sooner, *others[:5]], 2)},
        {32: dict.fromkeys([sooner, *others[:5]], 3)},
    ]
    assert found.finalists == tuple(others[:2])
    assert found.longest == 32  # two of four


def test_fresh_trials_have_another_seed_and_the_settings_of_the_winner_and_of_the_default():
    assert lags_reported(LAGS, 1024) == {1024: 9, 512: 6, 256: 6, 128: 6}
    assert lags_reported((32, 64, 128), None) == {32: 6}
    found, _ = simulated(lambda setting, lag: 9 * (lag <= (16 if setting is None else 128)))
    fresh = reported(base_of(), LAGS, found)
    assert [(one.note["role"], one.length, one.trials) for one in fresh] == [
        *(("chosen", lag, 9 if lag == 128 else 6) for lag in (256, 128, 64, 32, 16)),
        *(("default", lag, 6) for lag in (32, 16, 8)),
    ]
    # The trials of two lags are independent.
    assert [one.seed for one in fresh] == [1, 2, 3, 4, 5, 1, 2, 3]
    for one in fresh[:5]:
        expected = with_setting(replace(base_of(), length=one.length), found.finalists[0])
        assert one == replace(expected, trials=one.trials, seed=one.seed)
    assert {(one.learning_rate, one.forget_bias) for one in fresh[5:]} == {(0.001, 1.0)}
    others = finalists(base_of(), found)
    assert sum(one.trials for one in others) == 6
    assert {(one.note["role"], one.length, one.seed) for one in others} == {("finalist", 128, 1)}
    rates = {rate for one in others for rate in one.per_trial("learning_rate")}
    wanted = {with_setting(base_of(), one).learning_rate for one in found.finalists[1:]}
    assert rates == wanted


def test_where_nothing_was_solved_there_is_nothing_to_choose_among():
    found, asked = simulated(lambda setting, lag: 0)
    assert [list(call) for call in asked] == [[8]] * 4  # it ends with its first rung
    assert (found.longest, found.default_longest, len(found.finalists)) == (None, None, 2)
    assert finalists(base_of(), found) == []
    fresh = reported(base_of(), LAGS, found)
    assert [(one.length, one.trials) for one in fresh] == [(8, 6), (8, 6)]


def test_the_pilot_ends_where_fewer_than_half_are_solved():
    def is_solved(setting, lag):
        if setting is None:
            return 1 if lag <= 64 else 0  # one of two is a half
        return 9 if lag <= 128 else 1  # one of three, then one of two

    found, _ = simulated(is_solved)
    # At 512 one of three was solved, which is not enough; at 256 one of two, where the pilot ends.
    assert (found.longest, found.default_longest) == (256, 64)
    found, _ = simulated(lambda setting, lag: 9 if lag <= 128 else int(lag == 512))
    assert found.longest == 128
