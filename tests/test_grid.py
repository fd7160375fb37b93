"""Grids: every combination of some per-trial settings as the trials of one experiment."""

import json
import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta
from test_cli import rows_of, run
from test_report import rows

from jaxrnn import TASKS, Experiment
from jaxrnn.results.plots import _heat_map
from jaxrnn.results.report import markdown
from jaxrnn.results.run_directory import LOCK, settings_in_words
from jaxrnn.results.summary import interval, summarize
from jaxrnn.sweep import product
from jaxrnn.training import runner
from jaxrnn.training.runner import run_trials

# Two trials of six combinations; as wide as the grid of the command line, so one program for both.
BASE = Experiment(length=5, trials=2, window=60, max_steps=500)
AXES = {"learning_rate": (1.0, 0.3), "forget_bias": (-1.0, 0.5, 1.0)}
COMBINATIONS = [
    {"learning_rate": rate, "forget_bias": bias}
    for rate in AXES["learning_rate"]
    for bias in AXES["forget_bias"]
]


def test_combinations_are_numbered_with_the_last_setting_first():
    axes = {"clip": (5.0, 1.0), "initial_scale": (2.0, 1.0, 3.0), "input_bias": (0.0, -1.0)}
    grid = product(replace(BASE, trials=4), axes)
    assert (grid.name, grid.trials) == ("grid", 48)
    k = 0
    for clip in axes["clip"]:
        for scale in axes["initial_scale"]:
            for bias in axes["input_bias"]:
                for trial in range(4 * k, 4 * k + 4):
                    of_trial = [grid.per_trial(name)[trial] for name in axes]
                    assert of_trial == [clip, scale, bias]
                k += 1
    # Nothing else is changed.
    usual = {"name": "notebook", "trials": 2, **{name: getattr(BASE, name) for name in axes}}
    assert replace(grid, **usual) == BASE


def test_a_grid_without_settings_is_one_combination():
    assert product(BASE, {}) == replace(BASE, name="grid")


def test_configuration_lists_what_differs():
    config = settings_in_words([product(BASE, AXES)])
    assert {name: config[name] for name in AXES} == {k: list(v) for k, v in AXES.items()}
    assert (config["experiment"], config["trials"], config["clip"]) == (["grid"], 12, 5.0)


@pytest.fixture(scope="module")
def grid_run():
    """What the grid comes to, and how often the task was traced meanwhile."""
    traced = []

    def counting(length):
        task = TASKS["noise_free"](length)

        def draw(key):
            traced.append(1)
            return task.draw(key)

        return task._replace(draw=draw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "counting", counting)
        # A batch that narrows when few trials are left is compiled again, as in any experiment.
        patch.setattr(runner._Run, "_narrow", lambda self: None)
        outcomes = run_trials(replace(product(BASE, AXES), task="counting"))
    return outcomes, len(traced)


def test_the_whole_grid_is_one_program(grid_run):
    outcomes, traced = grid_run
    assert traced == 1
    assert len({outcome.curve for outcome in outcomes}) == 12  # no two trials are the same


@pytest.mark.parametrize("k", [0, 1, 2, 3, 5])
def test_a_combinations_trials_are_those_of_an_experiment_with_its_settings_alone(k, grid_run):
    outcomes, _ = grid_run
    alone = run_trials(replace(BASE, trials=12, **COMBINATIONS[k]))
    assert outcomes[2 * k : 2 * k + 2] == alone[2 * k : 2 * k + 2]
    # The next trials had other settings in the grid.
    other = (2 * k + 2) % 12
    assert outcomes[other : other + 2] != alone[other : other + 2]


# The summary, from rows that are made by hand.


def clopper_pearson(solved, trials):
    """The textbook's interval: quantiles of beta distributions."""
    low = beta.ppf(0.025, solved, trials - solved + 1) if solved else 0.0
    high = beta.ppf(0.975, solved + 1, trials - solved) if solved < trials else 1.0
    return low, high


@pytest.mark.parametrize(
    ("solved", "trials"), [(0, 1), (1, 1), (0, 10), (1, 10), (7, 10), (10, 10), (50, 1000)]
)
def test_the_interval_is_clopper_and_pearsons(solved, trials):
    assert interval(solved, trials) == pytest.approx(clopper_pearson(solved, trials), abs=1e-9)


def by_hand():
    """A grid of rate and clip of two trials each, and lstm at a length with a single setting."""
    return rows(
        "lstm",
        5,
        [700, None, 400, 600, None, None, 300, 900],
        name="grid",
        learning_rate=(0.1, 0.1, 0.1, 0.1, 2.0, 2.0, 2.0, 2.0),
        clip=(1.0, 1.0, 5.0, 5.0, 1.0, 1.0, 5.0, 5.0),
        forget_bias=2.0,
    ) + rows("lstm", 6, [800, None, 200], name="grid", forget_bias=2.0)


def test_rows_are_summarized_by_the_settings_that_differ_best_first():
    made = by_hand()
    for order in (made, [made[k] for k in (3, 7, 0, 4, 1, 6, 2, 5, 8, 9, 10)]):
        lines = summarize(order)
        assert [
            (line.length, line.settings, line.solved, line.trials, line.median) for line in lines
        ] == [
            (5, {"learning_rate": 0.1, "clip": 5.0}, 2, 2, 500),
            (5, {"learning_rate": 2.0, "clip": 5.0}, 2, 2, 600),
            (5, {"learning_rate": 0.1, "clip": 1.0}, 1, 2, math.inf),
            (5, {"learning_rate": 2.0, "clip": 1.0}, 0, 2, math.inf),
            (6, {}, 2, 3, 800),
        ]
        for line in lines:
            assert line.interval == pytest.approx(
                clopper_pearson(line.solved, line.trials), abs=1e-9
            )
        assert all(line.published is None for line in lines)


def test_more_solved_trials_come_before_a_lower_median():
    clips = (1.0, 1.0, 1.0, 5.0, 5.0, 5.0)
    fast, sure = [200, 300, None], [700, 800, 900]
    for steps in (fast + sure, sure + fast):
        lines = summarize(rows("lstm", 5, steps, name="grid", clip=clips))
        assert [(line.solved, line.median) for line in lines] == [(3, 800), (2, 300)]


def test_the_table_has_a_column_for_each_setting_that_differs():
    header, _, *body = markdown(summarize(by_hand())).splitlines()
    headings = ["net", "T", "learning rate", "clip", "solved", "95%", "mean", "median", "worst"]
    assert header == f"| {' | '.join(headings)} |"
    assert body[0] == "| lstm | 5 | 0.1 | 5 | 2/2 | 16-100 | 500 | 500 | 600 |"
    assert body[2] == "| lstm | 5 | 0.1 | 1 | 1/2 | 1-99 | 700 | never | never |"
    assert body[4] == "| lstm | 6 | - | - | 2/3 | 9-99 | 500 | 800 | never |"


def test_the_heat_map_has_every_number_at_its_place():
    made = rows(
        "lstm",
        5,
        [700, None, 400, 600, None, None, 300, 900, 100, 200, 250, 350],
        name="grid",
        learning_rate=tuple(rate for rate in (0.5, 2.0, 0.1) for _ in range(4)),
        clip=(1.0, 1.0, 5.0, 5.0) * 3,
    )
    figure = _heat_map(summarize(made))
    solved, steps = figure.axes[:2]
    # Most values across, in their order; an unsolved median is left blank.
    for axes in (solved, steps):
        assert axes.get_xlabel() == "learning rate"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.1", "0.5", "2"]
    assert solved.get_ylabel() == "clip"
    assert [label.get_text() for label in solved.get_yticklabels()] == ["1", "5"]
    shares = np.asarray(solved.images[0].get_array())
    np.testing.assert_array_equal(shares, [[1, 0.5, 0], [1, 1, 1]])
    medians = np.ma.filled(steps.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(medians, [[150, np.nan, np.nan], [300, 500, 600]])
    written = {(text.get_position(), text.get_text()) for text in steps.texts}
    assert written == {((0, 0), "150"), ((0, 1), "300"), ((1, 1), "500"), ((2, 1), "600")}


# The command line.

SMALL = ["--length", "5", "--trials", "3", "--window", "50", "--max-steps", "3000"]
# At the small rate nothing is learnt in 3000 steps.
GRID = [*SMALL, "--learning-rate", "0.001", "1", "--forget-bias", "-1", "1", "--initial-scale", "2"]
SETTINGS = [(rate, bias) for rate in (0.001, 1.0) for bias in (-1.0, 1.0)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run directory that an uninterrupted grid left."""
    out = tmp_path_factory.mktemp("grids") / "small"
    assert run("grid", *GRID, "--out", out) == 0
    return out


def test_rows_carry_their_own_settings_and_outcomes(finished):
    found = rows_of(finished)
    experiment = Experiment(
        length=5,
        trials=12,
        window=50,
        max_steps=3000,
        learning_rate=tuple(rate for rate, _ in SETTINGS for _ in range(3)),
        forget_bias=tuple(bias for _, bias in SETTINGS for _ in range(3)),
        initial_scale=2.0,
    )
    for trial, (row, outcome) in enumerate(zip(found, run_trials(experiment), strict=True)):
        assert (row["experiment"], row["cell"], row["length"]) == ("grid", "lstm", 5)
        assert (row["learning_rate"], row["forget_bias"]) == SETTINGS[trial // 3]
        assert (row["initial_scale"], row["clip"], row["input_bias"]) == (2.0, 5.0, 0.0)
        for name in ("trial", "status", "solved_at", "last_above", "steps"):
            assert row[name] == getattr(outcome, name)
        assert row["curve"] == list(outcome.curve)
    settings = json.loads((finished / "config.json").read_text())["settings"]
    assert settings["learning_rate"] == [0.001, 1.0]
    assert settings["forget_bias"] == [-1.0, 1.0]
    assert (settings["experiment"], settings["initial_scale"]) == (["grid"], 2.0)


def steps_in_words(value):
    return f"{value:,.0f}" if math.isfinite(value) else "never"


def test_the_report_has_a_line_for_each_combination_best_first(finished):
    steps = defaultdict(list)
    for row in rows_of(finished):
        solved_at = math.inf if row["solved_at"] is None else row["solved_at"]
        steps[row["learning_rate"], row["forget_bias"]].append(solved_at)
    expected = {}
    for (rate, bias), values in steps.items():
        finite = [value for value in values if math.isfinite(value)]
        low, high = clopper_pearson(len(finite), 3)
        line = [f"{len(finite)}/3", f"{100 * low:.0f}-{100 * high:.0f}"]
        line += [steps_in_words(np.mean(finite)) if finite else "-"]
        line += [steps_in_words(np.median(values)), steps_in_words(max(values))]
        place = -len(finite), np.median(values)
        expected[f"{rate:g}", f"{bias:g}"] = place, line

    text = (finished / "report.md").read_text()
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    header, _, *body = cells
    assert header[:4] == ["net", "T", "learning rate", "forget bias"]
    assert len(body) == 4
    assert {(line[2], line[3]) for line in body} == expected.keys()
    for line in body:
        assert line[:2] == ["lstm", "5"]
        assert line[4:] == expected[line[2], line[3]][1]
    places = [expected[line[2], line[3]][0] for line in body]
    assert places == sorted(places)
    assert places[0] < places[-1]  # the combinations differ, so the order says something
    assert "](grid.png)" in text


def test_a_grid_has_a_heat_map_and_no_other_plot(finished):
    names = {path.name for path in finished.iterdir()} - {LOCK}
    assert names == {"trials.jsonl", "config.json", "report.md", "grid.png"}
    assert (finished / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_report_rebuilds_what_the_grid_wrote(finished, monkeypatch, capsys):
    written = {name: (finished / name).read_bytes() for name in ("report.md", "grid.png")}
    for name in written:
        (finished / name).unlink()
    monkeypatch.setattr("jaxrnn.sweep.run_trials", None)  # a call would fail
    assert run("report", finished) == 0
    assert {name: (finished / name).read_bytes() for name in written} == written
    assert "learning forget" in capsys.readouterr().out


def test_the_same_grid_again_runs_nothing_and_another_is_refused(finished, monkeypatch, capsys):
    before = (finished / "trials.jsonl").read_bytes()
    monkeypatch.setattr("jaxrnn.sweep.run_trials", None)
    assert run("grid", *GRID, "--out", finished) == 0
    assert "kept from an earlier call" in " ".join(capsys.readouterr().out.split())
    assert run("grid", *GRID, "--clip", "1", "5", "--out", finished) == 2
    assert "was begun with clip 5.0, not 1.0 5.0" in capsys.readouterr().err
    assert (finished / "trials.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--learning-rate", "-1"], "learning-rate -1.0 must be a positive number"),
        (["--learning-rate", "1", "nan"], "learning-rate nan must be a positive number"),
        (["--clip", "0"], "clip 0.0 must be a positive number"),
        (["--initial-scale", "1", "-2"], "initial-scale -2.0 must be a positive number"),
        (["--forget-bias", "inf"], "forget-bias inf must be a finite number"),
        (["--cell", "nonsense"], "unknown cell 'nonsense': choose from gru, lstm, lstm_coupled"),
        (
            ["--cell", "simple_rnn", "--forget-bias", "1"],
            "forget-bias 1.0 needs a cell with that gate: simple_rnn has candidate",
        ),
        (
            ["--cell", "gru", "--input-bias", "0", "-1"],
            "input-bias -1.0 needs a cell with that gate: gru has reset, update, candidate",
        ),
        (["--trials", "0"], "trials 0 must be at least 1"),
        (["--trials", "-2"], "trials -2 must be at least 1"),
        (["--length", "2"], "length 2 is too short for task noise_free: it needs at least 3"),
        (["--lanes", "0"], "lanes 0 must be at least 1"),
        (["--clipping", "value"], "unknown clipping 'value': choose from element, none, norm"),
        (
            ["--optimizer", "adam"],
            "unknown optimizer 'adam': choose from clipped_adam, clipped_sgd",
        ),
        (["--loss-reduction", "max"], "unknown loss-reduction 'max': choose from mean, sum"),
        (
            ["--initializer", "he"],
            "unknown initializer 'he': choose from chrono, long_memory, note",
        ),
        (["--experiment", "nonsense"], "unknown experiment 'nonsense': choose from"),
    ],
)
def test_a_bad_flag_is_one_sentence_and_leaves_no_directory(flags, sentence, tmp_path, capsys):
    out = tmp_path / "run"
    assert run("grid", *SMALL, "--out", out, *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {sentence}")
    assert error.count("\n") == 1
    assert not out.exists()
