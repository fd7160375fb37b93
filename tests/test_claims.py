"""Published claims: each is complete, and its verdict follows from exact intervals."""

import math
import re
from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import clopper_pearson, pretended, printed, rows_ending_at, run

from jaxrnn.problems import GROUPS, settled
from jaxrnn.problems.claim import FAILS, LEARNS, SOONER, Says
from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.document import parts_of as report_of
from jaxrnn.report.summary import Rows, Study
from jaxrnn.report.table import claims_rows, decided, verdict
from jaxrnn.training.objectives import MEASURES
from jaxrnn.training.parts import parts_of

SUITES = [suite for claim in CLAIMS.values() for suite in claim.suites]


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_says_something_of_each_of_its_nets_and_they_can_be_trained(claim):
    named = {net for says in claim.says for net in (says.net, says.than) if net}
    assert named == set(claim.nets)
    assert all(says.what in (LEARNS, FAILS, SOONER) for says in claim.says)
    assert all((says.what == SOONER) == bool(says.than) for says in claim.says)
    assert claim.statement
    assert claim.source
    assert claim.differs.endswith(".")
    for suite in claim.suites:
        one = settled(suite.at())
        parts_of(one)
        assert one.trials >= 6  # 6/6 and 0/6 are the least that leave out a half
        assert one.max_steps % one.batch_size == 0
        if one.test_size:
            assert one.test_every % one.batch_size == 0
            assert one.max_failures == one.test_size == 1000  # only the mean counts


def test_where_there_are_only_curves_a_tenth_of_the_baseline_is_asked_for():
    tested = [suite.base for suite in SUITES if suite.base.test_size]
    assert {base.task for base in tested} == {"copying", "adding_halves"}
    for base in tested:
        tenth = math.log(8) / (base.length + 20) if base.task == "copying" else 1 / 60
        assert base.mean_error == pytest.approx(tenth)
    # A net without memory has this mean cross-entropy.
    suite = next(one for one in SUITES if one.base.measure == "mean_cross_entropy")
    task = parts_of(settled(suite.at())).task
    sequence = jax.jit(task.draw)(jax.random.key(0))
    # It knows the blanks for sure, and takes the eight symbols for equally likely.
    logits = np.full((task.num_steps, task.num_outputs), -1e3, np.float32)
    asked = np.asarray(sequence.judged_mask)
    logits[~asked, 8] = 0
    logits[asked, :8] = 0
    errors = MEASURES["mean_cross_entropy"](logits, sequence.targets)
    assert errors == pytest.approx(10 * suite.base.mean_error, rel=1e-5)


def rows_of(solved, of, time=500, name="net"):
    base = replace(SUITES[0].base, name=name, trials=of)
    return Rows(rows_ending_at(settled(base), [time] * solved + [None] * (of - solved)))


@pytest.mark.parametrize(
    ("solved", "of", "learns", "fails"),
    [(6, 6, True, False), (0, 6, False, True), (5, 6, None, None), (8, 9, True, False)],
)
def test_a_net_learns_where_the_exact_interval_leaves_out_a_half(solved, of, learns, fails):
    low, high = clopper_pearson(solved, of)
    assert (low > 0.5, high < 0.5) == (learns is True, learns is False)
    nets = {"a": rows_of(solved, of)}
    assert decided(Says("a", LEARNS), nets).holds is learns
    result = decided(Says("a", FAILS), nets)
    assert result.holds is fails
    assert (result.solved, result.interval) == (f"{solved}/{of}", pytest.approx((low, high)))


def test_sooner_is_by_the_interval_of_the_probability_and_a_verdict_by_all_parts():
    nets = {"a": rows_of(6, 6, 500), "b": rows_of(6, 6, 900), "c": rows_of(5, 6, 510)}
    assert decided(Says("a", SOONER, "b"), nets).holds is True
    assert decided(Says("b", SOONER, "a"), nets).holds is False
    equal = {"a": rows_of(3, 6, 500), "b": rows_of(3, 6, 500)}
    assert decided(Says("a", SOONER, "b"), equal).holds is None
    assert decided(Says("a", SOONER, "b"), equal).solved == "3/6 : 3/6"
    assert decided(Says("a", SOONER, "b"), {"a": nets["a"]}) is None
    # A verdict needs every part, and one that fails is enough.
    yes, no = (decided(Says("a", says), nets) for says in (LEARNS, FAILS))
    unsure = decided(Says("a", LEARNS), {"a": rows_of(4, 6)})
    assert verdict([yes, yes]) == "supported"
    assert verdict([yes, no, unsure]) == "not supported"
    assert verdict([yes, unsure]) == verdict([yes, None]) == "undecided"


def test_the_report_has_a_row_for_each_part_of_what_was_run():
    claim = CLAIMS["nnrnn_copying"]
    rows = []
    for suite, solved in zip(claim.suites, (6, 0, 1), strict=True):
        steps = [500] * solved + [None] * (6 - solved)
        rows += rows_ending_at(settled(suite.at()), steps)
    first, *others = (line.cells for line in claims_rows(rows))
    assert first["verdict"] == "undecided"
    assert [one["solved"] for one in (first, *others)] == ["6/6", "0/6", "1/6"]
    without = claims_rows(rows[:6])
    assert [line.cells["solved"] for line in without[1:]] == ["not run"] * 2
    # Trials under other settings decide nothing.
    faster = replace(claim.suites[1].base, learning_rate=0.5)
    others = rows_ending_at(settled(faster), [None] * 6)
    assert claims_rows([*rows[:6], *others]) == without
    assert claims_rows(others) == []
    assert "undecided" in printed(80, *report_of(Study(rows)))


def test_the_list_says_how_long_each_took(capsys):
    assert run("list", "claims") == 0
    shown = capsys.readouterr().out
    assert all(f" claim-{name} " in shown for name in CLAIMS)
    assert re.search(
        rf"claim-nnrnn_copying +3 +18 +{CLAIMS['nnrnn_copying'].minutes}[.0]* min ", shown
    )


def test_a_claim_is_run_and_its_verdict_is_shown(tmp_path, monkeypatch, capsys):
    pretended(monkeypatch, lambda one: None)
    claim = CLAIMS["negative_parity"]
    base = replace(claim.suites[1].base, max_steps=64, batch_size=32, warmup=1, window=32)
    net = replace(claim.suites[1], base=base)
    small = {"negative_parity": claim._replace(suites=(net,), nets=claim.nets[1:2])}
    monkeypatch.setitem(GROUPS, "claim-negative_parity", (net,))
    monkeypatch.setattr("jaxrnn.report.table.CLAIMS", small)
    asked = ["--experiment", "claim-negative_parity", "--trials", 2, "--out", tmp_path / "out"]
    for _ in range(2):
        assert run("sweep", *asked) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    first, again = (line for line in lines if line[:2] == ["negative_parity", claim.nets[1]])
    assert first[2:] == again[2:] == ["learns", "0/2", "0-84", "undecided"]
