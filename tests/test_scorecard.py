"""The scorecard: what each cell gets, how it is chosen, and what stands beside it."""

import itertools
import json
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    changed,
    contents,
    number_of_weights,
    rows_ending_at,
    rows_of,
    run,
    state_of,
    write_rows,
)
from rich.console import Console

from jaxrnn import CELLS, SUITES, Cell, Experiment
from jaxrnn.errors import InputError, Note
from jaxrnn.nets.initializers import zero_biases
from jaxrnn.scorecard import run_scorecard
from jaxrnn.scorecard.halving import SINGLE
from jaxrnn.scorecard.nets import nets_table, write_costs
from jaxrnn.scorecard.plan import show_plan, trials_left
from jaxrnn.scorecard.protocol import (
    CARDS,
    FULL,
    SMALL,
    Protocol,
    best,
    searches,
    sized,
)
from jaxrnn.scorecard.shipped import (
    in_json,
    ship,
    shipped,
    shipped_beside,
    shipped_rows,
)
from jaxrnn.store.rows import row_from, typed_rows
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.watch import roughly
from jaxrnn.training.parts import parts_of, state_size
from jaxrnn.training.timing import seconds_a_time_step
from jaxrnn.training.trial import build

TINY = Protocol(
    max_steps=200, trials=2, learning_rates={"clipped_sgd": (0.1, 0.3)}, keeping=(1.0, 3.0)
)
TASK, CELL = "two_sequence", "simple_rnn"
OTHER = "two_sequence_noise"


def weights(base, units):
    return number_of_weights(state_of(build(replace(base, hidden_size=units, trials=1))).params)


@pytest.mark.parametrize(
    ("task", "cell"), [("adding", "lstm"), ("adding", "min_gru"), ("noise_free", "co_rnn")]
)
def test_the_units_bring_the_number_of_weights_closest_to_the_lstms(task, cell):
    suite = CARDS[task]
    budget = weights(suite.at(), 16)
    units = sized(suite, cell).hidden_size
    assert cell != "lstm" or units == 16
    off = [abs(weights(suite.at(cell), one) - budget) for one in (units - 1, units, units + 1)]
    assert off[1] == min(off)


@pytest.mark.parametrize(("cell", "units"), [("lstm", 16), ("gru", 32), ("slstm", 8)])
def test_by_state_the_units_bring_the_size_of_the_state_closest_to_the_lstms(cell, units):
    for task in ("adding", "noise_free"):
        base = sized(CARDS[task], cell, "state")
        assert (base.hidden_size, state_size(base)) == (units, 32)
        assert state_size(replace(base, layers=2)) == 64


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
        same = {"task", "length", "threshold", "window", "mean_error", "clip", "hidden_size"}
        assert all(getattr(one, setting) == getattr(base, setting) for setting in same)
    assert searches(base, FULL)[0].trials == 2 * 5 * sum(map(len, blocks))


def unbiased(i, h, o):
    """An LSTM that draws no biases."""
    cell = CELLS["lstm"](i, h, o)

    def init(key, initializer):
        return cell.init(key, initializer._replace(biases=zero_biases))

    return cell._replace(init=init)


def test_a_bias_that_a_cell_does_not_draw_is_neither_searched_nor_set(monkeypatch):
    monkeypatch.setitem(CELLS, "unbiased", unbiased)
    base = CARDS["adding"].at("unbiased")
    assert {one.per_trial("forget_bias") for one in searches(base, SMALL)} == {(0.0,) * 3}
    with pytest.raises(InputError, match="needs a cell that draws the bias of that gate by init"):
        parts_of(replace(base, forget_bias=5.0))


def search_rows(*ends):
    """Rows of a search, (rate, step of solution or None, error at the end) each."""
    made = []
    for rate, step, error in ends:
        one = replace(CARDS["adding"].base, name="s", learning_rate=rate, trials=1)
        made += [
            changed(row, curve=[0.9, error], trial=len(made)) for row in rows_ending_at(one, [step])
        ]
    return made


def test_the_best_has_most_trials_solved_then_the_least_time_then_the_least_error():
    rows = search_rows((0.1, 50, 0.1), (0.1, None, 0.1), (0.2, 900, 0.5), (0.2, 950, 0.5))
    assert best(rows) == rows[2].experiment
    rows = search_rows((0.1, 900, 0.01), (0.2, 800, 0.5), (0.3, None, 0.0))
    assert best(rows).learning_rate == 0.2
    rows = search_rows((0.1, None, 0.3), (0.2, None, 0.2), (0.3, None, 0.4))
    assert best(rows).learning_rate == 0.2
    rows[1] = changed(rows[1], status="diverged", steps=5)
    assert best(rows).learning_rate == 0.1


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("card") / "out"
    return out, run_scorecard([CELL], [TASK], out, TINY)


def test_what_is_reported_is_what_the_search_found_on_fresh_trials(tiny_run, monkeypatch):
    out, rows = tiny_run
    assert rows_of(out) == rows
    assert [row["trial"] for row in rows] == [0, 1]
    (one,) = {row_from(row).experiment for row in rows}
    sought = typed_rows(out / "search")
    assert len(sought) == 2
    assert one == replace(best(sought), name=f"card-{TASK}", seed=TINY.seed)
    assert {row["seed"] for row in sought} == {TINY.search_seed}
    kept = json.loads((out / "protocol.json").read_text())
    assert kept["learning_rates"] == {"clipped_sgd": [0.1, 0.3]}
    (line,) = nets_table(typed_rows(out), sought, {CELL: 0.5})
    count = f"{weights(one, one.hidden_size):,}"
    shown = (CELL, count, *2 * [str(one.hidden_size)], "2", "0.5")
    assert tuple(line.cells.values()) == shown
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", lambda *_, **__: pytest.fail("it was trained"))
    assert run_scorecard([CELL], [TASK], out, TINY) == rows


def kept_card(directory):
    """A directory as it comes with the package: two cells, one of them the reference."""
    made = []
    for cell, ends in (("lstm", [99, 199]), ("gru", [None, 99])):
        one = replace(sized(CARDS[TASK], cell), max_steps=200, trials=2)
        made += rows_ending_at(replace(one, objective="half_squared_error_linear"), ends)
    write_rows(directory, made)
    return made


def test_ones_own_cell_stands_beside_what_comes_with_the_package(
    tiny_run, tmp_path, monkeypatch, capsys
):
    kept = shutil.copytree(tiny_run[0], tmp_path / "kept")
    made = kept_card(kept)
    own = tmp_path / "mine.py"
    own.write_text(
        "from jaxrnn import simple_rnn\ndef mine(i, h, o):\n    return simple_rnn(i, h, o)\n"
    )
    out, name = tmp_path / "out", f"{own}:mine"
    monkeypatch.setattr("jaxrnn.cli.scoring.SMALL", TINY)
    monkeypatch.setattr("jaxrnn.scorecard.nets.COST_STEPS", 500)
    monkeypatch.setattr("jaxrnn.scorecard.plan.seconds_a_time_step", lambda *_, **lanes: 1e-6)
    monkeypatch.setattr("jaxrnn.scorecard.shipped.shipped", lambda protocol: kept)
    # Of another jax: a comparison of shares does not need the last digit.
    config = json.loads((kept / "config.json").read_text())
    config["versions"]["jax"] = "0.0.1"
    config["device"] = "1 cpu device (z80, 1 cores)"
    (kept / "config.json").write_text(json.dumps(config))
    assert run("scorecard", "--cells", name, "--tasks", TASK, "--out", out) == 0
    shown = capsys.readouterr()
    assert f"no bias toward remembering is tuned for {name}: this needs a gate" in shown.err
    assert "made with jax 0.0.1, not" in shown.err
    assert "processor z80, not" in shown.err
    words = shown.out.split()
    assert {"lstm", "gru", "2/2", "1/2"} <= set(words)
    assert "in all if no trial is solved" in " ".join(words)
    assert {row["cell"] for row in rows_of(out)} == {name}
    report = (out / "report.md").read_text()
    assert all(f"| {cell} |" in report for cell in ("lstm", "gru"))
    assert "Tuned by" in report
    # The run directory says it all: its report can be made again, and by itself.
    assert run("report", out) == 0
    assert {"lstm", "gru", "2/2", "1/2"} <= set(capsys.readouterr().out.split())
    assert (out / "report.md").read_text() == report

    assert shipped_rows(TINY, [f"card-{TASK}"]) == made
    assert shipped_rows(TINY, ["card-adding"]) == []
    with_gru = [*typed_rows(out), made[-1]]  # which has its own row then
    with pytest.warns(Note, match="jax 0.0.1"):
        beside = shipped_beside(TINY, with_gru, out, [])
    assert {row["cell"] for row in beside} == {"lstm"}
    # And the kept one on this task.
    elsewhere = [*typed_rows(out), changed(made[-1], experiment="card-copying")]
    with pytest.warns(Note) as notes:
        assert shipped_beside(TINY, elsewhere, out, ["janet"]) == made
    made_with, lacking = (str(note.message) for note in notes)
    assert "were made with jax 0.0.1, not" in made_with
    assert lacking.startswith("no rows of this protocol on ")
    told = json.loads((kept / "protocol.json").read_text())
    (kept / "protocol.json").write_text(json.dumps(told | {"trials": 3}))
    offer = "to train other nets here, too, add to the cells of the same command: lstm gru$"
    with pytest.warns(Note, match=f"are not shown, since .* made with trials 3, not 2; {offer}"):
        assert shipped_beside(TINY, typed_rows(out), out, ["lstm", "gru"]) == []


def test_a_cell_whose_size_does_not_grow_with_its_units_has_no_place(monkeypatch):
    def rigid(least):
        def build(i, h, o):
            cell = CELLS["simple_rnn"](i, h, o)

            def step(params, state, x):
                return state, cell.step(params, cell.initial_state(params), x)[1]

            return Cell(cell.init, lambda params: jnp.zeros(min(8, max(least, h))), step)

        return build

    told = "has 8 numbers in its state with"
    for least, sentence in ((8, "one hidden unit and with two"), (1, r"\d,\d+ units")):
        monkeypatch.setitem(CELLS, f"rigid_{least}", rigid(least))
        with pytest.raises(InputError, match=f"cell rigid_{least} {told} {sentence}"):
            sized(CARDS[TASK], f"rigid_{least}", "state")
    monkeypatch.setitem(CELLS, "wide", lambda i, h, o: CELLS["lstm"](i, 100 * h, o))
    assert sized(CARDS[TASK], "wide").hidden_size == 1  # which has too many weights already


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"search_seed": 0}, "search-seed 0 must differ from seed 0: the reported trials would"),
        ({"closing": ()}, "closing must have at least one value"),
        ({"learning_rates": {"clipped_sgd": ()}}, "clipped_sgd must have at least one value"),
        ({"learning_rates": {}}, "learning-rates must name at least one optimizer"),
        ({"match": "size"}, "unknown match 'size': choose from state, weights"),
        ({"seed": 2**32}, "seed 4294967296 must be from 0 to 4294967295$"),
        ({"search_seed": -1}, "search-seed -1 must be from 0 to 4294967295$"),
    ],
)
def test_a_protocol_that_cannot_be_fair_is_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(SMALL, **settings)


@pytest.mark.parametrize("protocol", [SMALL, SINGLE])
def test_a_protocol_can_be_written_with_whole_numbers_of_another_library(protocol):
    same = replace(protocol, max_steps=np.int64(protocol.max_steps), seed=np.int32(protocol.seed))
    assert json.dumps(in_json(same)) == json.dumps(in_json(protocol))


def test_the_plan_says_what_is_left_to_train_and_for_how_long(tiny_run, tmp_path, monkeypatch):
    timed = []

    def time_of(experiment, lanes):
        timed.append((experiment.cell, experiment.task))
        return 0.001

    monkeypatch.setattr("jaxrnn.scorecard.plan.seconds_a_time_step", time_of)
    monkeypatch.setattr("jaxrnn.scorecard.plan.console", shown := Console(record=True, width=99))
    nets = [sized(CARDS[task], cell) for task in (TASK, OTHER) for cell in (CELL, "lstm")]
    with RunDirectory(tiny_run[0] / "search", True) as search, RunDirectory(tiny_run[0]) as report:
        left = trials_left(nets, TINY, search, report)
        assert trials_left(nets[:1], TINY, search, report) == {}
    # One trial of each of two rates and, for the LSTM, of four pairs of biases; then two more.
    assert {(net.cell, net.task): one.trials for net, one in left.items()} == {
        ("lstm", TASK): 2 * 4 + 2,
        (CELL, OTHER): 2 + 2,
        ("lstm", OTHER): 2 * 4 + 2,
    }
    show_plan(left, "if none is solved", None)
    assert sorted(timed) == [("lstm", TASK), (CELL, OTHER)]  # once for each cell
    shown_text = shown.export_text()
    lines = [line.split() for line in shown_text.splitlines()]
    rows = {line[0]: line[1:] for line in lines if line[:1] in (["lstm"], [CELL])}
    # Each trial has 200 sequences.
    assert (rows["lstm"][0], *rows["lstm"][2:4]) == ("16", "32", "20")
    steps = [parts_of(net).task.num_steps for net in left]
    seconds = 0.001 * 200 * 10 * (steps[0] + steps[2])
    assert rows["lstm"][4:] == roughly(seconds).split()
    assert roughly(seconds + 0.001 * 200 * 4 * steps[1]) in shown_text
    show_plan(left, "", None, timed=False)  # as on a cluster
    assert len(timed) == 2
    assert "Time" not in shown.export_text()
    show_plan({}, "", None)
    assert shown.export_text() == ""


def test_a_time_step_takes_as_long_as_it_is_timed():
    net = replace(searches(sized(CARDS[TASK], CELL), TINY)[0], trials=2, learning_rate=0.1)
    start = time.monotonic()
    seconds = seconds_a_time_step(net)
    sequences = 80 * net.trials
    assert 0 < seconds * parts_of(net).task.num_steps * sequences < time.monotonic() - start


@pytest.mark.parametrize(("chunks", "expected"), [((9, 4, 0.01, 2), 6.01 / 30), ((9,), 9 / 10)])
def test_a_chunk_that_is_read_late_makes_no_step_faster(chunks, expected, monkeypatch):
    ends = itertools.accumulate(chunks, initial=0)
    monkeypatch.setattr("time.monotonic", lambda: next(ends))

    def run(experiment, *, on_chunk, **_):
        for number in range(1, len(chunks) + 1):
            on_chunk(SimpleNamespace(trial_steps=10 * number))

    monkeypatch.setattr("jaxrnn.training.timing.run_trials", run)
    net = Experiment(length=5)
    steps = parts_of(net).task.num_steps
    assert seconds_a_time_step(net) == pytest.approx(expected / steps)


@pytest.mark.parametrize("text", ["{", "[]", '{"lstm": "much"}'])
def test_damaged_costs_are_refused_with_one_sentence(text, tmp_path):
    (tmp_path / "cost.json").write_text(text)
    with pytest.raises(InputError, match=r"cost.json is not the cost of each cell: delete it"):
        write_costs([CELL], tmp_path)


@pytest.mark.integration
@pytest.mark.parametrize(("name", "protocol"), [("small", SMALL), ("full", FULL)])
def test_what_comes_with_the_package_is_the_examples_and_of_its_protocol(name, protocol, tmp_path):
    ship(Path(__file__).parents[1] / "examples" / "scorecard-run" / name, tmp_path)
    files = contents(tmp_path)
    assert contents(shipped(protocol)) == files
    assert sum(path.stat().st_size for path in shipped(protocol).iterdir()) < 100_000
    assert json.loads(files["protocol.json"]) == json.loads(json.dumps(asdict(protocol)))
