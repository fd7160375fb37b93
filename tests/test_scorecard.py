"""The scorecard: what each cell gets, how it is chosen, and what stands beside it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import (
    changed,
    number_of_weights,
    pretended,
    rows_ending_at,
    rows_of,
    run,
    state_of,
    write_rows,
)
from rich.console import Console

from jaxrnn import SUITES
from jaxrnn.errors import Note
from jaxrnn.scorecard import run_scorecard
from jaxrnn.scorecard.halving import SINGLE
from jaxrnn.scorecard.plan import show_plan, trials_left
from jaxrnn.scorecard.protocol import CARDS, SMALL, Protocol, best, searches, sized
from jaxrnn.scorecard.shipped import in_json, shipped_beside
from jaxrnn.store.rows import row_from, typed_rows
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.watch import roughly
from jaxrnn.training.parts import parts_of, state_size
from jaxrnn.training.trial import build

TINY = Protocol(
    max_steps=200, trials=2, learning_rates={"clipped_sgd": (0.1, 0.3)}, keeping=(1.0, 3.0)
)
TASK, CELL = "two_sequence", "simple_rnn"
OTHER = "two_sequence_noise"


@pytest.mark.parametrize(("task", "cell"), [("adding", "min_gru"), ("noise_free", "co_rnn")])
def test_the_units_bring_the_number_of_weights_closest_to_the_lstms(task, cell):
    def weights(base, units):
        one = build(replace(base, hidden_size=units, trials=1))
        return number_of_weights(state_of(one).params)

    suite = CARDS[task]
    budget = weights(suite.at(), 16)
    units = sized(suite, cell).hidden_size
    off = [abs(weights(suite.at(cell), one) - budget) for one in (units - 1, units, units + 1)]
    assert off[1] == min(off)


@pytest.mark.parametrize(("cell", "units"), [("lstm", 16), ("gru", 32), ("slstm", 8)])
def test_by_state_the_units_bring_the_size_of_the_state_closest_to_the_lstms(cell, units):
    for task in ("adding", "noise_free"):
        base = sized(CARDS[task], cell, "state")
        assert (base.hidden_size, state_size(base)) == (units, 32)


OPEN, CLOSED = [(1.0, 0.0), (5.0, 0.0)], [(1.0, -1.0), (5.0, -5.0)]


@pytest.mark.parametrize(
    ("cell", "blocks"),
    [
        ("lstm", [OPEN, CLOSED]),  # a gate that keeps and one that lets in: open and closed
        ("gru", [OPEN]),  # one gate for both: what it keeps closes it
        ("min_gru", [[(0.0, -1.0), (0.0, -5.0)]]),  # it only lets in
        ("simple_rnn", [[(0.0, 0.0)]]),
    ],
)
def test_the_search_tries_every_combination_on_seeds_of_its_own(cell, blocks):
    base = CARDS["adding"].at(cell)
    tried = searches(base, SMALL)
    assert [one.optimizer for one in tried] == ["clipped_sgd", "clipped_adam"]
    for one in tried:
        rates = SMALL.learning_rates[one.optimizer]
        names = ("learning_rate", "forget_bias", "input_bias")
        combinations = list(zip(*map(one.per_trial, names), strict=True))
        assert combinations == [
            (rate, *biases) for block in blocks for rate in rates for biases in block
        ]
        assert (one.seed, one.max_steps) == (1000, 20_000)
        assert one.name not in SUITES


def test_the_best_has_most_trials_solved_then_the_least_time_then_the_least_error():
    def rows_of_a_search(*ends):
        """Rows, (rate, step of solution or None, error at the end) each."""
        base = replace(CARDS["adding"].base, name="s", trials=1)
        each = [rows_ending_at(replace(base, learning_rate=end[0]), [end[1]])[0] for end in ends]
        return [changed(row, curve=[0.9, end[2]]) for row, end in zip(each, ends, strict=True)]

    rows = rows_of_a_search((0.1, 50, 0.1), (0.1, None, 0.1), (0.2, 900, 0.5), (0.2, 950, 0.5))
    assert best(rows) == rows[2].experiment
    rows = rows_of_a_search((0.1, 900, 0.01), (0.2, 800, 0.5), (0.3, None, 0.0))
    assert best(rows).learning_rate == 0.2
    rows = rows_of_a_search((0.1, None, 0.3), (0.2, None, 0.2), (0.3, None, 0.4))
    assert best(rows).learning_rate == 0.2
    rows[1] = changed(rows[1], status="diverged", steps=5)
    assert best(rows).learning_rate == 0.1


@pytest.fixture
def tiny_run(tmp_path, monkeypatch):
    pretended(monkeypatch, lambda one: None)
    return tmp_path / "kept", run_scorecard([CELL], [TASK], tmp_path / "kept", TINY)


def test_what_is_reported_is_what_the_search_found_on_fresh_trials(tiny_run, monkeypatch):
    out, rows = tiny_run
    assert rows_of(out) == rows
    assert [row["trial"] for row in rows] == [0, 1]
    (one,) = {row_from(row).experiment for row in rows}
    sought = typed_rows(out / "search")
    assert len(sought) == 2
    assert one == replace(best(sought), name=f"card-{TASK}", seed=TINY.seed)
    assert {row["seed"] for row in sought} == {TINY.search_seed}
    pretended(monkeypatch, None)  # a call would fail
    assert run_scorecard([CELL], [TASK], out, TINY) == rows


def test_ones_own_cell_stands_beside_what_comes_with_the_package(
    tiny_run, tmp_path, monkeypatch, capsys
):
    kept, _ = tiny_run
    nets = [sized(CARDS[TASK], cell) for cell in ("lstm", "gru")]
    made = [
        row
        for net, ends in zip(nets, ([99, 199], [None, 99]), strict=True)
        for row in rows_ending_at(replace(net, max_steps=200, trials=2), ends)
    ]
    write_rows(kept, made)
    # Of another jax: a comparison of shares does not need the last digit.
    config = json.loads((kept / "config.json").read_text())
    config["versions"]["jax"] = "0.0.1"
    config["device"] = "1 cpu device (z80, 1 cores)"
    (kept / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text("from jaxrnn import simple_rnn as mine\n")
    out, name = tmp_path / "out", f"{tmp_path}/mine.py:mine"
    monkeypatch.setattr("jaxrnn.cli.scoring.SMALL", TINY)
    monkeypatch.setattr("jaxrnn.scorecard.nets.seconds_a_time_step", lambda *_, **__: 1e-6)
    monkeypatch.setattr("jaxrnn.scorecard.plan.seconds_a_time_step", lambda *_, **__: 1e-6)
    monkeypatch.setattr("jaxrnn.scorecard.shipped.shipped", lambda protocol: kept)
    assert run("scorecard", "--cells", name, "--tasks", TASK, "--out", out) == 0
    shown = capsys.readouterr()
    assert f"no bias toward remembering is tuned for {name}: this needs a gate" in shown.err
    assert "made with jax 0.0.1, not" in shown.err
    assert "processor z80, not" in shown.err
    assert {"lstm", "gru", "2/2", "1/2"} <= set(shown.out.split())
    assert {row["cell"] for row in rows_of(out)} == {name}
    report = (out / "report.md").read_text()
    # The run directory says it all: its report can be made again, and by itself.
    assert run("report", out) == 0
    assert {"lstm", "gru", "2/2", "1/2"} <= set(capsys.readouterr().out.split())
    assert (out / "report.md").read_text() == report

    told = json.loads((kept / "protocol.json").read_text())
    (kept / "protocol.json").write_text(json.dumps(told | {"trials": 3}))
    offer = "to train other nets here, too, add to the cells of the same command: lstm gru$"
    with pytest.warns(Note, match=f"are not shown, since .* made with trials 3, not 2; {offer}"):
        assert shipped_beside(TINY, typed_rows(out), out, ["lstm", "gru"]) == []


@pytest.mark.parametrize("protocol", [SMALL, SINGLE])
def test_a_protocol_can_be_written_with_whole_numbers_of_another_library(protocol):
    same = replace(protocol, max_steps=np.int64(protocol.max_steps), seed=np.int32(protocol.seed))
    assert json.dumps(in_json(same)) == json.dumps(in_json(protocol))


def test_the_plan_says_what_is_left_to_train_and_for_how_long(tiny_run, monkeypatch):
    monkeypatch.setattr("jaxrnn.scorecard.plan.seconds_a_time_step", lambda *_, **__: 0.001)
    monkeypatch.setattr("jaxrnn.scorecard.plan.console", shown := Console(record=True, width=99))
    nets = [sized(CARDS[task], cell) for task in (TASK, OTHER) for cell in (CELL, "lstm")]
    with RunDirectory(tiny_run[0] / "search", True) as search, RunDirectory(tiny_run[0]) as report:
        left = trials_left(nets, TINY, search, report)
    # One trial of each of two rates and, for the LSTM, of four pairs of biases; then two more.
    assert {(net.cell, net.task): one.trials for net, one in left.items()} == {
        ("lstm", TASK): 2 * 4 + 2,
        (CELL, OTHER): 2 + 2,
        ("lstm", OTHER): 2 * 4 + 2,
    }
    show_plan(left, "if none is solved", None)
    lines = [line.split() for line in shown.export_text().splitlines()]
    (row,) = (line[1:] for line in lines if line[:1] == ["lstm"])
    # Each trial has 200 sequences.
    assert (row[0], *row[2:4]) == ("16", "32", "20")
    steps = [parts_of(net).task.num_steps for net in left]
    assert row[4:] == roughly(0.001 * 200 * 10 * (steps[0] + steps[2])).split()
