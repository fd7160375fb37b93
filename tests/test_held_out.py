"""Fresh trials of what searches chose: the rule, by simulation; seeds; what is contradicted."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers import pretended, run as command, write_rows
from test_protocol import FITTED, LOG, SYNTHETIC, nets_of, searched

from jaxrnn import InputError, run_horizon
from jaxrnn.store.rows import Row, typed_rows
from jaxrnn.yardstick.held_out import FRESH, RULES, fresh_trials, held_out
from jaxrnn.yardstick.protocol import FULL, QUICK, points
from jaxrnn.yardstick.reference import protocol_in
from jaxrnn.yardstick.results import card_of
from jaxrnn.yardstick.search import protocol_of

# The rule, by simulation


def fresh_of(plan, kind, number_of_nets, runs):
    """Of each simulated net (solved, trials) at the lag found, the next one and the one before."""
    every = []
    for number, net in enumerate(nets_of(kind, number_of_nets), 1):
        rng, num_lags = np.random.default_rng(number), len(LOG) - net.first
        for run in range(runs):
            seed, counts = 1000 * number + run, np.zeros((3, 2), int)
            for k, found in searched(plan, net, seed, rng).items():
                if found.place < 0:
                    continue
                x = np.clip(points(seed, k, plan.settings), 1e-7, 1 - 1e-7)
                chances = net.chances(x)[0][found.setting - 1]
                at = math.floor(found.place)
                for which, lag in enumerate((at, at + 1, at - 1)):
                    if 0 <= lag < num_lags:
                        counts[which] += rng.binomial(FRESH, chances[lag]), FRESH
            every.append(counts)
    return np.array(every)


def shares(of_kinds, rule, plan, column, counted, repeats):
    """Shares of solved trials of a column, in directories of ``rule.nets`` nets' worth of trials as
    the ``counted`` column has them."""
    rng, whole = np.random.default_rng(rule.nets), rule.nets * FRESH * plan.searches
    counts = np.zeros((repeats, 3, 2), int)
    while (lacking := np.flatnonzero(counts[:, counted, 1] < whole)).size:
        kinds = rng.integers(of_kinds.shape[0], size=lacking.size)
        counts[lacking] += of_kinds[kinds, rng.integers(of_kinds.shape[1], size=lacking.size)]
    return counts[:, column, 0] / counts[:, column, 1]


def check_rules(rules, nets, runs, repeats, slack):
    for plan in (FULL, QUICK):
        of_kinds = np.array([fresh_of(plan, kind, nets, runs) for kind in (*SYNTHETIC, *FITTED)])
        for rule in (one for one in RULES[plan.name] if one.nets in rules):
            honest = shares(of_kinds, rule, plan, 0, 0, repeats)
            # A net without a next lag says nothing of horizons an octave too long.
            after = shares(of_kinds, rule, plan, 1, 1, repeats)
            before = shares(of_kinds, rule, plan, 0, 2, repeats)
            passes = 1 - np.mean(honest < rule.least) - np.mean(after > rule.most)
            too_long, too_short = np.mean(after < rule.least), np.mean(before > rule.most)
            print(f"{plan.name} {rule}: passes {passes:.4f}, {too_long:.3f} {too_short:.3f}")
            assert passes >= 0.999 - slack
            assert too_long >= rule.too_long - 3 * slack
            assert too_short >= rule.too_short - 3 * slack


def test_honest_horizons_pass_and_those_an_octave_too_long_are_caught():
    check_rules([6, 12], 10, 10, 2000, 0.02)
    for rules in RULES.values():
        assert [one.nets for one in rules] == sorted(one.nets for one in rules)
        assert all(one.too_long >= 0.85 for one in rules if one.nets >= 6)


@pytest.mark.slow
def test_by_simulation_honest_horizons_pass_in_999_of_1000():
    check_rules(range(99), 60, 20, 60_000, 0.001)


# Fresh trials


@pytest.fixture(scope="module")
def horizons(tmp_path_factory):
    """A directory of horizons: half of the settings are solved up to lag 64, the others to 16."""
    out = tmp_path_factory.mktemp("horizons")

    def solved_at(one):
        note = one.note
        far = 16 if note["setting"] % 2 else 64
        return 500 + note["setting"] if one.length <= far else None

    with pytest.MonkeyPatch.context() as patch:
        pretended(patch, solved_at)
        patch.setattr("jaxrnn.sweeps.run.check", lambda *_, **__: None)  # nothing is trained
        run_horizon(
            ["lstm", "gru"],
            ["parity", "no_regularities", "copying"],
            out,
            protocol_of(1, "weights", longest_lag=128, quick=True),
        )
    return out


@pytest.fixture
def kept(horizons, tmp_path):
    """A copy of it."""
    return shutil.copytree(horizons, tmp_path / "kept")


def answering(monkeypatch, far):
    """Fresh trials are solved up to a lag; what was asked for."""
    asked = []

    def solved_at(one):
        asked.append(one)
        return 700 if one.length <= far else None

    pretended(monkeypatch, solved_at)
    return asked


def test_fresh_trials_of_each_choice_at_its_lag_and_the_next(kept, tmp_path, monkeypatch, capsys):
    asked = answering(monkeypatch, 64)
    assert command("verify", kept, "--held-out", "any", "words", "--out", tmp_path / "new") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "6 nets, by seeds that follow from" in said
    assert "the phrase 'any words'" in said
    assert "gru on parity: 12 of 12 at the lags found, 0 of 12 at the next" in said
    assert "72 of 72 were solved at the lags that the searches found, 0 of 72 at the" in said
    assert "So nothing contradicts these." in said
    assert {one.length for one in asked} == {64, 128}
    assert len({one.seed for one in asked}) == 72
    assert all(one.note["role"] == "held out" for one in asked)
    assert json.loads((tmp_path / "new" / "held-out.json").read_text())["holds"]
    # The settings are those that the search chose, under another seed.
    rows = typed_rows(kept)
    choices = {
        (row.experiment.cell, row.experiment.task, row.experiment.note["search"]): row.experiment
        for row in rows
        if row.experiment.note["repeat"] == 1 and row.experiment.note["role"] == "again"
    }
    for one in asked:
        made = choices[one.cell, one.task, one.note["search"]]
        if one.length == made.length:
            assert replace(one, seed=made.seed) == made
    seeds = {row.experiment.seed for row in rows}
    assert not seeds & {one.seed for one in asked}


def test_the_seeds_follow_from_the_rows_and_the_phrase(kept):
    rows = typed_rows(kept)
    (net, *_) = card_of(rows).nets.values()

    def seeds(words):
        return [one.seed for of in fresh_trials(net, protocol_in(kept), words) for one in of]

    assert seeds("a") == seeds("a")
    assert not {*seeds("a")} & {*seeds("b")}


@pytest.mark.parametrize(("far", "word"), [(32, "longer"), (128, "shorter")])
def test_what_fresh_trials_contradict(far, word, kept, tmp_path, monkeypatch, capsys):
    answering(monkeypatch, far)
    assert command("verify", kept, "--held-out", "words", "--out", tmp_path / "new") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"So these are contradicted: they are {word} than that." in said
    assert not json.loads((tmp_path / "new" / "held-out.json").read_text())["holds"]


def test_few_nets_say_less_and_none_says_nothing(kept, tmp_path, monkeypatch):
    answering(monkeypatch, 64)
    one = held_out(kept, "words", tmp_path / "a", cells=["gru"], tasks=["parity"])
    assert list(one.nets) == [("parity", "gru")]
    assert one.rules == (RULES["quick"][0],) * 2
    assert one.holds
    rows = [row for row in typed_rows(kept) if row.experiment.note["search"] not in (2, 3)]
    write_rows(kept, rows)  # so that no net is over
    none = held_out(kept, "words", tmp_path / "b")
    assert (none.nets, none.rules, none.holds) == ({}, (None, None), False)


def test_rows_that_the_protocol_does_not_ask_for_are_named(kept, tmp_path):
    rows = typed_rows(kept)
    for change in ({"learning_rate": 0.0123}, {"seed": 77}, {"max_steps": 30_000}):
        made = replace(rows[5].experiment, **change)
        write_rows(kept, [*rows[:5], Row(made, rows[5].outcome), *rows[6:]])
        with pytest.raises(InputError, match=r"on parity has a row with settings that its"):
            held_out(kept, "words", tmp_path / "new")


def test_only_a_directory_of_horizons_has_some(kept, tmp_path):
    (kept / "protocol.json").unlink()
    with pytest.raises(InputError, match=r"holds no horizons: name a directory of jaxrnn horizon"):
        held_out(kept, "words", tmp_path / "new")


def test_flags_of_a_sample_have_no_meaning_beside_a_phrase(kept, tmp_path, capsys):
    out = shutil.copytree(kept, tmp_path / "copy")
    assert command("verify", out, "--held-out", "words", "--longest-lag", "8") == 2
    assert "--longest-lag has no meaning beside --held-out" in capsys.readouterr().err
