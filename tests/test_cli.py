"""The command line as a stranger meets it: outputs, resume after a kill, and every bad input."""

import json
import re
from functools import partial
from types import SimpleNamespace

import jax
import pytest
from helpers import first_table, pretended, row_from, rows_of, run, write_rows

from jaxrnn import (
    CELLS,
    INITIALIZERS,
    OBJECTIVES,
    OPTIMIZERS,
    TASKS,
    Experiment,
    run_trials,
    xavier,
)
from jaxrnn.cli.commands import COMMANDS
from jaxrnn.cli.listing import SECONDS_A_TIME_STEP, expected_seconds
from jaxrnn.experiment import SETTINGS as NAMES
from jaxrnn.problems import GROUPS, SUITES
from jaxrnn.report.render import console
from jaxrnn.store.run_directory import LOCK
from jaxrnn.training.lanes import warn_if_small
from jaxrnn.training.objectives import MEASURES, REDUCTIONS
from jaxrnn.training.optimizers import CLIPPINGS, SCHEDULES


def contents_of(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != LOCK}


def test_a_sweep_writes_rows_config_report_and_plots(tmp_path):
    finished = tmp_path / "small"
    words = "simple_rnn --lengths 4 5 --trials 3 --window 50 --max-steps 3000"
    assert run("sweep", *words.split(), "--out", finished) == 0
    names = {"trials.jsonl", "config.json", "report.html", "report.md"}
    assert contents_of(finished).keys() == names | {"steps_to_solution.png", "learning_curves.png"}
    assert (finished / "learning_curves.png").stat().st_size > 10_000
    config = json.loads((finished / "config.json").read_text())
    assert set(config["versions"]) >= {"python", "jax", "jaxlib", "optax", "numpy", "jaxrnn"}
    assert "cpu" in config["device"]
    rows = rows_of(finished)
    assert [(row["length"], row["trial"]) for row in rows] == [
        (length, trial) for length in (4, 5) for trial in range(3)
    ]
    experiment = Experiment(cell="simple_rnn", length=5, trials=3, window=50, max_steps=3000)
    for row, outcome in zip(rows[3:], run_trials(experiment), strict=True):
        for name in ("trial", "status", "solved_at", "last_above", "steps"):
            assert row[name] == getattr(outcome, name)
        assert row["curve"] == list(outcome.curve)
    settings = {"experiment": "notebook", "task": "noise_free", "seed": 0}
    settings |= {"hidden_size": 20, "layers": 1, "learning_rate": 1.0, "clip": 5.0}
    settings |= {"threshold": 0.25, "window": 50, "max_steps": 3000}
    settings |= {"initializer": "notebook_xavier", "objective": "cross_entropy"}
    assert rows[0] | settings | {"optimizer": "clipped_sgd"} == rows[0]


def test_list_names_everything_once_with_its_source_in_80_columns(capsys, monkeypatch):
    monkeypatch.setattr(console, "_width", 80)
    assert run("list") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in out
    for table in (CELLS, INITIALIZERS, TASKS, OBJECTIVES, MEASURES, OPTIMIZERS, SCHEDULES):
        for name, builder in table.items():
            (line,) = [line for line in lines if line.startswith(f"   {name} ")]
            words = builder.__doc__.replace("`", "").split()[:3]
            first = 3 if table is CELLS else 1  # after its name, and a cell's two sizes
            assert [word.rstrip(".") for word in line.split()[first:][:3]] == [
                word.rstrip(".") for word in words
            ]
            assert "Source:" in builder.__doc__
    assert lines[-1] == "The experiments of Hochreiter & Schmidhuber 1997: jaxrnn list 1997"
    sizes = {line.split()[0]: line.split()[1:3] for line in lines if line.strip()}
    assert sizes["memory_blocks"] == ["-", "-"]  # which has no usual block size
    for name in CELLS.keys() - {"memory_blocks"}:
        cell = CELLS[name](8, 16, 8)
        params = jax.eval_shape(partial(cell.init, initializer=xavier()), jax.random.key(0))
        held = params, jax.eval_shape(cell.initial_state, params)
        assert sizes[name] == [
            f"{sum(leaf.size for leaf in jax.tree.leaves(one)):,}" for one in held
        ]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_fits_and_has_every_setting_and_choice(
    command, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    shown = []
    for flag in ("--help", "--help-all"):
        assert run(command, flag) == 0
        shown.append(capsys.readouterr().out)
        assert max(map(len, shown[-1].splitlines())) <= 80
        for python in ("None", "()", "default: )", "STR", "_steps"):
            assert python not in shown[-1]
    groups = [line[:-1] for line in shown[1].splitlines() if re.fullmatch(r"[a-z ]+:", line)]
    flags = [set(re.findall(r"^  (--[\w-]+)", out, re.M)) for out in shown]
    if command != "sweep":
        assert flags[0] == flags[1]
        return
    assert groups == ["run", "net", "task", "training", "when a trial ends", "output", "help"]
    assert len(flags[0] - {"--help-all"}) == 10
    plural = {"name": "experiment", "task": "tasks", "length": "lengths"}
    settings = {plural.get(name, name) for name in NAMES} - {"cell"}
    assert {f"--{name}".replace("_", "-") for name in settings} <= flags[1]
    words = " ".join(shown[1].split())
    for table in (OBJECTIVES, INITIALIZERS, OPTIMIZERS, REDUCTIONS, CLIPPINGS, SCHEDULES):
        assert ", ".join(table) in words
    for default in ("20 units", "100,000 sequences", "0.25 for noise_free", "clipped_sgd", "5"):
        assert f"(default: {default}" in words


def test_few_trials_on_an_accelerator_are_one_sentence(recwarn):
    for platform, trials in (("gpu", 30), ("cpu", 10), ("gpu", 10)):
        warn_if_small(trials, SimpleNamespace(platform=platform, device_kind="NVIDIA H100"))
    (said,) = recwarn
    assert str(said.message) == (
        "10 trials of a net are few for NVIDIA H100, which is likely to be faster than CPU cores "
        "only from about 30 on: to use these instead, set JAX_PLATFORMS=cpu"
    )


def test_the_papers_experiments_are_listed_with_its_results_and_the_time_that_they_take(
    capsys, monkeypatch
):
    monkeypatch.setattr(console, "_width", 80)
    assert run("list", "1997") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    assert len(GROUPS["1997"]) > 40
    for suite in GROUPS["1997"]:
        (line,) = [line for line in lines if line.split()[:1] == [suite.base.name]]
        mean = suite.published_at(suite.cells[0], suite.lengths[0]).mean
        assert suite.departure or mean is None or f"{mean:,}" in line
        assert " ".join(suite.departure.split()[:2]) in line
        assert re.search(r"\d (s|min|h|d|days?)\b", line), line
    assert run("list", "6a") == 0
    assert "cells memory_blocks; lengths 100; task temporal_order;" in capsys.readouterr().out
    assert run("list", "6c") == 2
    assert "unknown experiment '6c': see jaxrnn list" in capsys.readouterr().err


def test_time_is_that_of_the_published_mean_or_of_the_cap():
    step = SECONDS_A_TIME_STEP
    assert expected_seconds(SUITES["6a"], 100) == pytest.approx(110 * 31_390 * 20 * step)
    hopeless = expected_seconds(SUITES["2a-bptt"], 101)
    assert hopeless == pytest.approx(100 * 5_010_000 * 18 * step * 2.0)


def test_an_experiment_of_the_paper_runs_beside_its_row_if_its_cap_is_the_papers(
    tmp_path, monkeypatch, capsys
):
    pretended(monkeypatch, lambda one: None)
    words = "--experiment 3a --lengths 100 --trials 2 --max-steps 150 --seed 3"
    assert run("sweep", *words.split(), "--out", tmp_path) == 0
    assert "39,850" not in capsys.readouterr().out
    rows = rows_of(tmp_path)
    assert [(row["steps"], row["seed"]) for row in rows] == [(150, 3)] * 2
    assert rows[0]["cell_options"]["input_biases"] == [-1.0, -3.0, -5.0]
    assert (tmp_path / "sequences_to_success.png").exists()
    # Ten times the published mean.
    write_rows(tmp_path, [row_from(row | {"max_steps": 398_500}) for row in rows])
    assert run("report", tmp_path) == 0
    assert "39,850" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        # Each command, and the rules that the command line has of its own.
        ("sweep --lengths", "--lengths takes whole numbers, such as: --lengths 5 6 7\n"),
        ("sweep --max-steps 9 --window 10", "window 10 must not be above max-steps 9"),
        ("sweep --lanes 0", "lanes 0 must be at least 1"),
        ("sweep lstm --cell-options order", "--cell-options takes options, such as: --c"),
        ("sweep lstm --cell-options order={[1]}", "cell lstm takes no options"),
        ("sweep --test-lengths 7", "test-lengths 7 needs a task with as many inputs and outputs t"),
        ("sweep --loss-reduction mean max", "unknown loss-reduction 'max': choose from mean, sum"),
        ("sweep --experiment nonsense", "unknown experiment 'nonsense': see jaxrnn list, list 19"),
        ("sweep --experiment notebok", "unknown experiment 'notebok': did you mean notebook? see"),
        ("sweep --experiment 4 --max-steps 100", "window 2000 must not be above max-steps 100"),
        ("sweep --experiment 3a --max-steps 99", "max-steps 99 must be at least 100, the sequen"),
        ("horizon lstm --tasks adding subtracting", "unknown task 'subtracting': choose from "),
        ("horizon lstm --lags 100 50", "lags 100 50 must rise, each longer than the one before"),
        ("horizon --tasks", "--tasks takes tasks, such as: --tasks adding parity\n"),
    ],
)
def test_a_bad_flag_is_one_sentence_and_leaves_no_directory(words, sentence, tmp_path, capsys):
    assert run(*words.split(), "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {sentence}")
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


# Grids

GRID = ["lstm", "--lengths", "5", "--trials", "3", "--window", "50", "--max-steps", "3000"]
GRID += ["--learning-rate", "0.001", "1", "--forget-bias", "-1", "1", "--initial-scale", "2"]
SETTINGS = [(rate, bias) for rate in (0.001, 1.0) for bias in (-1.0, 1.0)]
ENDS = dict(zip(SETTINGS, (None, 900, 700, 800), strict=True))


def test_a_grid_is_written_reported_and_drawn_again_without_training(tmp_path, monkeypatch, capsys):
    pretended(monkeypatch, lambda one: ENDS[one.learning_rate, one.forget_bias])
    out = tmp_path / "grid"
    assert run("sweep", *GRID, "--out", out) == 0
    for trial, row in enumerate(rows_of(out)):
        assert (row["experiment"], row["cell"], row["length"]) == ("grid", "lstm", 5)
        setting = row["learning_rate"], row["forget_bias"]
        assert (setting, row["trial"]) == (SETTINGS[trial // 3], trial)
        assert (row["initial_scale"], row["clip"], row["input_bias"]) == (2.0, 5.0, 0.0)
        assert row["solved_at"] == ENDS[setting]
    written = contents_of(out)
    names = {"trials.jsonl", "config.json", "report.md", "report.html", "grid.png"}
    assert written.keys() == names
    assert written["grid.png"].startswith(b"\x89PNG")
    text = written["report.md"].decode()
    assert "](grid.png)" in text
    header, _, *body = first_table(text)
    assert header[:4] == ["net", "T", "learning rate", "forget bias"]
    assert [line[:5] for line in body] == [  # the best first
        ["lstm", "5", "1", "-1", "3/3"],
        ["lstm", "5", "1", "1", "3/3"],
        ["lstm", "5", "0.001", "1", "3/3"],
        ["lstm", "5", "0.001", "-1", "0/3"],
    ]

    for name in ("report.md", "grid.png"):
        (out / name).unlink()
    pretended(monkeypatch, None)  # a call would fail
    capsys.readouterr()
    assert run("report", out) == 0
    assert contents_of(out) == written
    assert "learning forget" in capsys.readouterr().out
    assert run("sweep", *GRID, "--out", out) == 0
    assert "from an earlier call" in " ".join(capsys.readouterr().out.split())
    before = rows_of(out)
    pretended(monkeypatch, lambda one: 950)
    assert run("sweep", *GRID, "--clip", "1", "5", "--out", out) == 0
    after = rows_of(out)
    assert all(row in after for row in before)
    assert {row["clip"] for row in after if row not in before} == {1.0, 5.0}


@pytest.fixture
def asked(monkeypatch):
    """The experiments that a command would train."""
    taken: list = []
    monkeypatch.setattr("jaxrnn.cli.sweeping.run", lambda some, *_, **__: taken.extend(some))
    monkeypatch.setattr("jaxrnn.report.document.show_report", lambda out: None)
    return taken


def test_experiments_are_side_by_side_with_their_own_settings(asked):
    words = "lstm --lengths 4 --layers 3 --trials 2 --experiment notebook better"
    assert run("sweep", *words.split()) == 0
    settings = ("name", "hidden_size", "initializer", "loss_reduction", "seed", "layers")
    assert [tuple(getattr(one, name) for name in settings) for one in asked] == [
        ("notebook", 20, "notebook_xavier", "mean", 0, 3),
        ("better", 128, "long_memory", "sum", 1, 3),
    ]
    asked.clear()  # A grid of several has the settings of each.
    words = "lstm --lengths 20 --experiment notebook better --trials 2 --clip 1 5"
    assert run("sweep", *words.split()) == 0
    settings = ("name", "hidden_size", "clip")
    assert [tuple(getattr(one, name) for name in settings) for one in asked] == [
        ("grid", 20, (1.0, 1.0, 5.0, 5.0)),
        ("grid", 128, (1.0, 1.0, 5.0, 5.0)),
    ]
    asked.clear()  # A name may stand for several experiments, which are run once.
    assert run("sweep", "--experiment", "claim-nnrnn_copying", "claims", "1997") == 0
    assert [one.name for one in asked[:3]] == [
        f"claim-nnrnn_copying-{net}" for net in ("exp_rnn", "lstm", "simple_rnn")
    ]
    suites = (*GROUPS["claims"], *GROUPS["1997"])
    assert len(asked) == len({*asked}) == sum(len(suite.lengths) for suite in suites)


def test_a_recipe_is_a_few_flags_and_options_are_added_to_those_of_the_experiment(asked):
    words = "sweep --experiment 6a --cell-options output_bias=false --schedule steps --warmup 5"
    words += " --optimizer clipped_rmsprop --optimizer-options decay=0.99 eps-in-sqrt=false"
    words += " --schedule-options every=10 factor=0.5 --max-failures 3 --final-test 10"
    words += " --test-lengths 200 300"
    assert run(*words.split(), "--clipping", "none") == 0
    given = {"schedule": "steps", "warmup": 5, "max_failures": 3, "final_test": 10}
    given |= {"clipping": "none", "test_lengths": (200, 300)}
    base = dict(SUITES["6a"].base.cell_options)
    assert asked
    for one in asked:
        assert dict(one.cell_options) == base | {"output_bias": False}
        assert dict(one.optimizer_options) == {"decay": 0.99, "eps_in_sqrt": False}
        assert dict(one.schedule_options) == {"every": 10, "factor": 0.5}
        assert vars(one) == vars(one) | given
