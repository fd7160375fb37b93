"""The suites: their data against their sources, and a suite of one's own."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import first_params, first_table, pretended, run

from jaxrnn import NOTEBOOK, SUITES, Experiment, Published, Source, Suite
from jaxrnn.problems import PAPER, settled
from jaxrnn.store.rows import read_rows
from jaxrnn.training.parts import num_weights

KEPT = Path(__file__).parents[1] / "examples" / "paper-run"
# What the sources printed, in a copy of its own.
PRINTED = json.loads((Path(__file__).parent / "published.json").read_text())
WEIGHTS = {  # experiment, length -> number of weights that follows from the paper
    ("1", 40): 276,
    ("1-4x1-0.1", 40): 264,
    ("2a", 101): 10504,
    ("2a-rtrl", 5): 36,
    ("2a-rtrl", 11): 144,
    ("2a-bptt", 101): 10404,
    ("2b", 101): 10504,
    ("2c", 50): 6 * 50 + 64,
    ("2c-p50", 1000): 6 * 50 + 64,
    ("3a", 100): 102,
    ("3b-n1", 100): 102,
    ("3c", 100): 102,
    ("4", 100): 93,
    ("5-n13", 100): 93,
    ("6a", 100): 156,
    ("6b", 100): 308,
}


@pytest.mark.parametrize(("name", "length"), WEIGHTS)
def test_number_of_weights_is_the_papers(name, length):
    assert num_weights(SUITES[name].at(length=length)) == WEIGHTS[name, length]


@pytest.mark.parametrize(
    ("name", "limit", "biases"),
    [
        ("1", 0.2, [None, None, None, -1, -2, -3]),
        ("1-4x1-0.5", 0.2, [None] * 4 + [-1, -2, -3, -4]),
        ("3b", 0.1, [-1, -3, -5, -2, -4, -6] + [None] * 3),
        ("4", 0.1, [-3, -6] + [None] * 6),
        ("5", 0.1, [None] * 8),
        ("6a", 0.1, [-2, -4] + [None] * 6),
        ("6b", 0.1, [-2, -4, -6] + [None] * 9),
    ],
)
def test_first_weights_are_the_papers(name, limit, biases):
    params = first_params(SUITES[name].at(trials=1))
    bias, given = np.asarray(params.bias), np.array([bias is not None for bias in biases])
    np.testing.assert_array_equal(bias[given], np.array(biases)[given].astype(float))
    drawn = np.concatenate([bias[~given], *map(np.ravel, params._replace(bias=bias[:0]))])
    assert 0.9 * limit < np.abs(drawn).max() <= limit
    assert abs(drawn.mean()) < 5 * limit / np.sqrt(3 * len(drawn))


def test_departures_name_a_change_and_are_laid_beside_a_row():
    suites = {name: suite for name, suite in SUITES.items() if suite.source is PAPER}
    assert len(suites) > 40
    for name, suite in suites.items():
        row = suite.beside or suite
        assert bool(suite.departure) == (suite.beside is not None)
        assert (suite.base.name, suite.lengths, suite.caps) == (name, row.lengths, row.caps)
        assert row is SUITES[row.base.name]
        for length in suite.lengths:
            assert suite.published_at(suite.cells[0], length) == row.published[row.cells[0], length]
    # A length that was not published has the cap of the next longer one.
    caps = {77: 320_000, 100: 320_000, 300: 390_000, 2000: 500_000}
    assert {length: SUITES["2c"].at(length=length).max_steps for length in caps} == caps


def test_the_kept_rows_were_made_under_the_settings_of_their_experiments():
    given_caps = {("2a-bptt", 101): 500_000, ("2c-best", 1000): 200_000}
    kept = {}
    for row in read_rows(KEPT):
        kept.setdefault((row["experiment"], row["length"]), []).append(row)
    assert len(kept) > 40
    for (name, length), rows in kept.items():
        suite = SUITES[name]
        experiment = suite.at(length=length)
        settings = settled(experiment).as_row()
        assert [row["trial"] for row in rows] == list(range(experiment.trials))
        settings["max_steps"] = given_caps.get((name, length), settings["max_steps"])
        for row in rows:
            assert {setting: row[setting] for setting in settings} == settings


def test_what_is_published_is_what_the_sources_print_and_nothing_else():
    assert NOTEBOOK.published == {
        (cell, int(length)): Published(trials=tuple(trials))
        for cell, lengths in PRINTED["results"].items()
        for length, trials in lengths.items()
    }
    printed: dict = {}
    for row in PRINTED["rows"]:
        suite = SUITES[row["suite"]]
        wrong = row["wrong_of_2560"] / 2560 if "wrong_of_2560" in row else row.get("fraction_wrong")
        mean = row["st2"] if "st2" in row else row["sequences"]
        expected = Published(mean, row.get("success_rate"), st1=row.get("st1"), wrong=wrong)
        printed.setdefault(row["suite"], {})[suite.cells[0], row["length"]] = expected
        assert suite.base.trials == row["trials"]
        assert suite.base.learning_rate == row.get("alpha") or row["sequences"] is None
    assert sum(map(len, printed.values())) == len(PRINTED["rows"]) == 37
    suites = {name: suite.published for name, suite in SUITES.items() if suite.source is PAPER}
    assert {name: published for name, published in suites.items() if published} == printed


def test_a_suite_of_ones_own_is_listed_run_reported_beside_its_source_and_drawn(
    tmp_path, capsys, monkeypatch
):
    suite = Suite(
        base=Experiment(name="made", window=50, max_steps=3000, trials=3),
        cells=("lstm", "gru"),
        lengths=(4, 5),
        source=Source("Somebody 2026, table 1", whose="Somebody's"),
        published={("lstm", 4): Published(1234, 0.5), ("gru", 5): Published(trials=(90, None))},
    )
    monkeypatch.setitem(SUITES, "made", suite)  # no other test's name: its source is kept
    pretended(monkeypatch, lambda one: 700 if one.length == 4 or one.cell == "lstm" else None)
    assert run("list") == 0
    listed = "made cells lstm gru; lengths 4 5; window 50; max-steps 3000; trials 3 (Somebody"
    assert listed in " ".join(capsys.readouterr().out.split())

    assert run("sweep", "--experiment", "made", "--out", tmp_path) == 0
    assert "(made   1/2," in capsys.readouterr().out  # beside gru at 5, as it comes
    text = (tmp_path / "report.md").read_text()
    headings, _, published, *ours = first_table(text)
    assert headings[-3:] == ["made", "its median", "p"]
    assert published[:5] == ["published", "4", "50%", "-", "1,234"]
    nets = [["lstm (made)", "4"], ["gru (made)", "4"], ["lstm (made)", "5"], ["gru (made)", "5"]]
    assert [line[:2] for line in ours] == nets
    assert [line[-3:-1] for line in ours[-2:]] == [["-", "-"], ["1/2", "never"]]
    assert 0 < float(ours[-1][-1]) <= 1
    assert "Published: Somebody's means." in text
    assert "Then Somebody's solved and median." in text
    assert "](steps_to_solution.png)" in text
