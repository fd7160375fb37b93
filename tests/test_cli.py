"""The command line as a stranger meets it: outputs, resume after a kill, and every bad input."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import fields
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from filelock import FileLock
from helpers import clopper_pearson, random_params, rows_of, run

from jaxrnn import CELLS, INITIALIZERS, OBJECTIVES, OPTIMIZERS, TASKS, Experiment, run_trials
from jaxrnn.cli.listing import expected_seconds
from jaxrnn.problems import PAPER, SUITES
from jaxrnn.report.render import console
from jaxrnn.store.run_directory import LOCK
from jaxrnn.training.lanes import warn_if_small
from jaxrnn.training.objectives import MEASURES, REDUCTIONS
from jaxrnn.training.optimizers import CLIPPINGS
from jaxrnn.training.schedules import SCHEDULES

# Seconds of work: two lengths of one net, solved early because of the short window.
SMALL = ["--cells", "lstm", "--lengths", "4", "5", "--trials", "3", "--window", "50"]
SMALL += ["--max-steps", "3000"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run directory that an uninterrupted sweep left."""
    out = tmp_path_factory.mktemp("runs") / "small"
    assert run("sweep", *SMALL, "--out", out) == 0
    return out


def test_a_sweep_writes_rows_config_report_and_plots(finished):
    names = {path.name for path in finished.iterdir()}
    assert names - {LOCK} == {
        "trials.jsonl",
        "config.json",
        "report.html",
        "report.md",
        "steps_to_solution.png",
        "learning_curves.png",
    }
    config = json.loads((finished / "config.json").read_text())
    assert config["settings"]["lengths"] == [4, 5]
    assert config["settings"]["clip"] == 5.0
    assert set(config["versions"]) >= {"python", "jax", "jaxlib", "optax", "numpy", "jaxrnn"}
    assert "cpu" in config["device"]


def test_rows_say_what_run_trials_returns_and_every_setting(finished):
    rows = rows_of(finished)
    assert [(row["length"], row["trial"]) for row in rows] == [
        (length, trial) for length in (4, 5) for trial in range(3)
    ]
    experiment = Experiment(cell="lstm", length=5, trials=3, window=50, max_steps=3000)
    for row, outcome in zip(rows[3:], run_trials(experiment), strict=True):
        for name in ("trial", "status", "solved_at", "last_above", "steps"):
            assert row[name] == getattr(outcome, name)
        assert row["curve"] == list(outcome.curve)
    settings = {"experiment": "notebook", "task": "noise_free", "cell": "lstm", "seed": 0}
    settings |= {"hidden_size": 20, "layers": 1, "learning_rate": 1.0, "clip": 5.0}
    settings |= {"threshold": 0.25, "window": 50, "max_steps": 3000}
    settings |= {"initializer": "notebook_xavier", "objective": "cross_entropy"}
    assert rows[0] | settings | {"optimizer": "clipped_sgd"} == rows[0]


def test_the_same_command_again_runs_nothing(finished, monkeypatch, capsys):
    before = (finished / "trials.jsonl").read_bytes()
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", None)  # a call would fail
    assert run("sweep", *SMALL, "--out", finished) == 0
    assert (finished / "trials.jsonl").read_bytes() == before
    assert "from an earlier call" in capsys.readouterr().out


def test_report_rebuilds_what_the_sweep_wrote(finished, monkeypatch, capsys):
    written = (finished / "report.md").read_bytes()
    (finished / "report.md").unlink()
    (finished / "learning_curves.png").unlink()
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", None)
    assert run("report", finished) == 0
    assert (finished / "report.md").read_bytes() == written
    assert (finished / "learning_curves.png").stat().st_size > 10_000
    assert "lstm" in capsys.readouterr().out


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
    for name in ("notebook", "better"):
        assert len([line for line in lines if line.startswith(f" {name} ")]) == 1
    assert "Elman 1990)" in " ".join(out.split())
    assert lines[-1] == "The experiments of Hochreiter & Schmidhuber 1997: jaxrnn paper"


def test_the_list_has_the_weights_and_the_state_of_each_cell(capsys, monkeypatch):
    monkeypatch.setattr(console, "_width", 80)
    assert run("list") == 0
    lines = [line.split()[:3] for line in capsys.readouterr().out.splitlines() if line.strip()]
    for name, builder in CELLS.items():
        told = next(line[1:] for line in lines if line[0] == name)
        if name == "memory_blocks":  # which has no usual block size
            assert told == ["-", "-"]
            continue
        params = random_params(builder(8, 16, 8))
        held = params, builder(8, 16, 8).initial_state(params)
        assert told == [f"{sum(leaf.size for leaf in jax.tree.leaves(one)):,}" for one in held]


def test_the_list_needs_no_device():
    words = [sys.executable, "-m", "jaxrnn", "list"]
    subprocess.run(words, check=True, env=os.environ | {"JAX_PLATFORMS": "none"})


@pytest.mark.parametrize("command", ["sweep", "grid", "paper", "inspect", "report", "list"])
def test_help_of_each_command(command, capsys):
    assert run(command, "--help") == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) > 4
    if command == "sweep":
        settings = "cells lengths trials seed hidden-size layers learning-rate clip max-steps"
        for flag in (settings + " threshold window out").split(" "):
            assert f"--{flag} " in out


def test_a_stack_of_layers_runs_from_the_command_line(tmp_path):
    out = tmp_path / "stack"
    flags = ["--layers", "3", "--hidden-size", "10", "--max-steps", "60", "--clipping", "none"]
    flags += ["--cells", "simple_rnn", "--lengths", "4", "--trials", "2", "--window", "50"]
    assert run("sweep", *flags, "--out", out) == 0
    assert [(row["layers"], row["hidden_size"], row["clipping"]) for row in rows_of(out)] == [
        (3, 10, "none")
    ] * 2


@pytest.mark.parametrize(
    ("platform", "trials", "is_said"), [("gpu", 10, True), ("gpu", 30, False), ("cpu", 10, False)]
)
def test_few_trials_on_an_accelerator_are_one_sentence(platform, trials, is_said, recwarn):
    device = SimpleNamespace(platform=platform, device_kind="NVIDIA H100")
    warn_if_small(trials, device)
    said = [str(warning.message) for warning in recwarn]
    assert said == is_said * [
        "10 trials of a net are few for NVIDIA H100, which is likely to be faster than CPU cores "
        "only from about 30 on: to use these instead, set JAX_PLATFORMS=cpu"
    ]


def test_two_experiments_side_by_side(tmp_path, capsys):
    out = tmp_path / "both"
    flags = ["--cells", "lstm", "--lengths", "4", "--trials", "2", "--window", "50"]
    flags += ["--max-steps", "3000", "--experiment", "notebook", "better"]
    assert run("sweep", *flags, "--out", out) == 0
    rows = rows_of(out)
    settings = ("experiment", "hidden_size", "initializer", "loss_reduction", "seed")
    assert [tuple(row[name] for name in settings) for row in rows] == [
        ("notebook", 20, "notebook_xavier", "mean", 0),
        ("notebook", 20, "notebook_xavier", "mean", 0),
        ("better", 128, "long_memory", "sum", 1),
        ("better", 128, "long_memory", "sum", 1),
    ]
    slow, fast = ([row["solved_at"] for row in rows[k : k + 2]] for k in (0, 2))
    assert max(fast) < min(slow)
    assert "better" in capsys.readouterr().out
    assert "| lstm (better) | 4 | 2/2 |" in (out / "report.md").read_text()


@pytest.mark.parametrize("flags", [(), pytest.param(("--cost",), marks=pytest.mark.slow)])
def test_the_paper_lists_its_experiments_and_with_a_flag_what_they_are_likely_to_cost(
    flags, capsys, monkeypatch
):
    monkeypatch.setattr(console, "_width", 80)
    if not flags:
        monkeypatch.setattr("jaxrnn.cli.listing.seconds_a_time_step", None)  # nothing is trained
    assert run("paper", *flags) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    suites = {name: suite for name, suite in SUITES.items() if suite.source is PAPER}
    assert len(suites) > 40
    for name, suite in suites.items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        mean = suite.published_at(suite.cells[0], suite.lengths[0]).mean
        assert suite.departure or mean is None or f"{mean:,}" in line
        assert " ".join(suite.departure.split()[:2]) in line
        assert bool(re.search(r"\d (s|min|h)\b", line)) == bool(flags)
    words = " ".join(out.split())
    for task in {suite.base.task for suite in suites.values()}:
        what = TASKS[task].__doc__.partition("\n")[0].replace("`", "").rstrip(".")
        assert f"{task}: {what}" in words  # what it is, in words


def test_cost_is_that_of_the_published_mean_or_of_the_cap():
    assert expected_seconds(SUITES["6a"], 100, 1e-6) == pytest.approx(110 * 31_390 * 20 * 1e-6)
    hopeless = expected_seconds(SUITES["2a-bptt"], 101, 1e-6)
    assert hopeless == pytest.approx(100 * 5_010_000 * 18 * 1e-6 * 2.0)


def test_an_experiment_of_the_paper_runs_once_beside_its_row_if_its_cap_is_the_papers(
    tmp_path, capsys, monkeypatch
):
    flags = ["3a", "--trials", "2", "--max-sequences", "150", "--seed", "3", "--out", tmp_path]
    assert run("paper", *flags) == 0
    assert "39,850" not in capsys.readouterr().out
    rows = rows_of(tmp_path)
    assert [row["steps"] for row in rows] == [150, 150]
    assert [row["final_wrong"] for row in rows] > [0, 0]
    assert rows[0]["cell_options"]["input_biases"] == [-1.0, -3.0, -5.0]
    assert (tmp_path / "sequences_to_success.png").exists()
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", None)  # it would fail
    assert run("paper", *flags) == 0
    capped = [row | {"max_steps": 398_500} for row in rows]  # ten times the published mean
    (tmp_path / "trials.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in capped))
    assert run("report", tmp_path) == 0
    assert "39,850" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["7"], "unknown experiment '7': choose from 1, 1-3x2-0.1"),
        (["4", "--length", "5"], "length 5 is too short for task adding: it needs at least 11"),
        (["4", "--length", "0"], "length 0 must be at least 1"),
        (["4", "--cost"], "cost needs the list, so name no experiments: jaxrnn paper --c"),
        (["--trials", "3"], "trials 3 needs the name of an experiment, such as 6a"),
        (["--keep-weights"], "keep-weights True needs the name of an experiment, such as 6a"),
        (["4", "--trials", "0"], "trials 0 must be at least 1"),
        (["4", "--max-sequences", "0"], "max-sequences 0 must be at least 1"),
        (
            ["4", "--max-sequences", "100"],
            "the experiment's window 2000 must not be above max-sequences 100",
        ),
        (
            ["3a", "--max-sequences", "99"],
            "max-sequences 99 must be at least 100, the sequences before the",
        ),
        (["4", "--lanes", "0"], "lanes 0 must be at least 1"),
    ],
)
def test_a_bad_flag_of_paper_is_one_sentence(flags, sentence, tmp_path, capsys):
    assert run("paper", *flags, "--out", tmp_path / "new") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {sentence}")
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_inspect_draws_each_net_and_the_gradients(tmp_path, capsys):
    out = tmp_path / "pictures"
    flags = ["--experiment", "notebook", "--length", "4", "--max-steps", "1000", "--trial", "1"]
    assert run("inspect", *flags, "--out", out) == 0
    names = ["simple_rnn-notebook-4.png", "lstm-notebook-4.png", "gradient_norms.png"]
    assert capsys.readouterr().out.split() == [str(out / name) for name in names]
    assert all((out / name).stat().st_size > 10_000 for name in names)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--length", "2"], "length 2 is too short for task noise_free: it needs at least 3"),
        (["--trial", "-1"], "trial -1 must not be negative"),
        (["--experiment", "best"], "unknown experiment 'best': choose from 1, 1-3x2-0.1"),
        (["--experiment"], "name at least one experiment, one cell and one length"),
    ],
)
def test_a_bad_flag_of_inspect_is_one_sentence(flags, sentence, tmp_path, capsys):
    assert run("inspect", *flags, "--out", tmp_path / "pictures") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {sentence}")
    assert error.count("\n") == 1
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--lengths", "2"], "length 2 is too short for task noise_free: it needs at least 3"),
        (["--lengths", "4", "-1"], "length -1 must be at least 1"),
        (["--lengths"], "name at least one experiment, one cell and one length"),
        (["--trials", "0"], "trials 0 must be at least 1"),
        (["--cells", "elman"], "unknown cell 'elman': choose from co_rnn, delta_net, "),
        (["--cells", "memory_blocks"], "cell memory_blocks needs its option block_size: take an"),
        (["--threshold", "0"], "threshold 0.0 must lie between 0 and 1"),
        (["--threshold", "1"], "threshold 1.0 must lie between 0 and 1"),
        (["--window", "4000"], "window 4000 must not be above max-steps 3000"),
        (["--learning-rate", "nan"], "learning-rate nan must be a positive number"),
        (["--learning-rate", "-1"], "learning-rate -1.0 must be a positive number"),
        (["--clip", "-2"], "clip -2.0 must be a positive number"),
        (["--hidden-size", "0"], "hidden-size 0 must be at least 1"),
        (["--layers", "0"], "layers 0 must be at least 1"),
        (["--lanes", "0"], "lanes 0 must be at least 1"),
        (["--seed", "-3"], "seed -3 must be from 0 to 4294967295"),
    ],
)
def test_a_bad_flag_is_one_sentence_and_leaves_no_directory(flags, sentence, tmp_path, capsys):
    out = tmp_path / "run"
    assert run("sweep", *SMALL, "--out", out, *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {sentence}")
    assert error.count("\n") == 1
    assert not out.exists()


def refused(out, capsys, *flags):
    """The sentence with which a sweep into ``out`` is refused; nothing there may change."""
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.name != LOCK}
    capsys.readouterr()
    assert run("sweep", *SMALL, "--out", out, *flags) == 2
    after = {path.name: path.read_bytes() for path in out.iterdir() if path.name != LOCK}
    assert after == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def copy_of(finished, tmp_path):
    out = tmp_path / "copy"
    out.mkdir()
    for name in ("config.json", "trials.jsonl"):
        (out / name).write_bytes((finished / name).read_bytes())
    return out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--seed", "1"], "was begun with seed 0, not 1"),
        (["--threshold", "0.3"], "was begun with threshold 0.25, not 0.3"),
        (["--clip", "3"], "was begun with clip 5.0, not 3.0"),
    ],
)
def test_a_changed_setting_is_refused(flags, sentence, finished, tmp_path, capsys):
    assert sentence in refused(copy_of(finished, tmp_path), capsys, *flags)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            '{"experiment"',
            '{"experim',
            "trials.jsonl line 1 is not a row of a trial: it is not JSO",
        ),
        ('"status": "solved"', '"status": "done"', "status 'done' is not solved, unsolved or div"),
        ('"solved_at": ', '"solved_at": "x", "was": ', "its solved_at 'x' must be a whole number"),
        ('"steps": ', '"stops": ', "its 'steps' is missing"),
        ('"trial": 2', '"trial": 1', "is trial 1 of lstm at length 4 again"),
    ],
)
def test_a_corrupt_row_is_refused(old, new, sentence, finished, tmp_path, capsys):
    out = copy_of(finished, tmp_path)
    text = (out / "trials.jsonl").read_text()
    assert old in text
    (out / "trials.jsonl").write_text(text.replace(old, new, 1))
    assert sentence in refused(out, capsys)


def test_a_corrupt_configuration_is_refused(finished, tmp_path, capsys):
    out = copy_of(finished, tmp_path)
    (out / "config.json").write_text('{"settings": ')
    assert "config.json is not a run's configuration" in refused(out, capsys)
    (out / "config.json").unlink()
    assert "holds trials.jsonl but no config.json" in refused(out, capsys)


def test_two_sweeps_into_one_directory(finished, tmp_path, capsys):
    out = copy_of(finished, tmp_path)
    with FileLock(out / LOCK):
        assert "is in use by another sweep" in refused(out, capsys)


def test_an_unwritable_directory(tmp_path, capsys):
    (tmp_path / "run").symlink_to(tmp_path / "nowhere")
    assert run("sweep", *SMALL, "--out", tmp_path / "run") == 2
    assert "cannot write to" in capsys.readouterr().err


def test_report_of_a_directory_without_rows(tmp_path, capsys):
    assert run("report", tmp_path) == 2
    assert "holds no trials.jsonl" in capsys.readouterr().err


class Sweep:
    """The command in a process of its own, so that it can be killed."""

    # Hopeless at length 20, so that it runs to the cap: some seconds and several checkpoints.
    flags = ("--cells", "lstm", "--lengths", "4", "20", "--trials", "3", "--max-steps", "150000")

    def __init__(self, out):
        self.out = out

    def start(self):
        # A shell that runs in the background has its children ignore the interrupt.
        program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        program += "from jaxrnn.cli import main; main()"
        command = [sys.executable, "-c", program, "sweep"]
        return subprocess.Popen(
            [*command, *self.flags, "--out", str(self.out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},  # as users have it
        )

    def checkpoint(self):
        return next(self.out.glob("checkpoint-*-20-*.npz"), None)

    def wait_for_checkpoint(self, process):
        while not self.checkpoint():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A sweep killed by -9 in the middle of length 20, and what one left to finish wrote."""
    whole = Sweep(tmp_path_factory.mktemp("runs") / "whole")
    _, error = whole.start().communicate()
    assert error == ""
    sweep = Sweep(tmp_path_factory.mktemp("runs") / "killed")
    process = sweep.start()
    sweep.wait_for_checkpoint(process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(rows_of(sweep.out)) == 3  # length 4 is kept
    return whole.out, sweep


def test_a_corrupt_checkpoint_is_refused(killed):
    _, sweep = killed
    path = sweep.checkpoint()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    process = sweep.start()
    _, error = process.communicate()
    assert process.returncode == 2
    assert error == f"jaxrnn: {path} is corrupt: delete it to begin this length anew\n"
    assert path.read_bytes() == content[: len(content) // 2]
    path.write_bytes(content)


def test_killed_and_interrupted_the_rows_are_those_of_an_uninterrupted_run(killed):
    whole, sweep = killed
    process = sweep.start()
    before = sweep.checkpoint().stat().st_mtime_ns
    while sweep.checkpoint() and sweep.checkpoint().stat().st_mtime_ns == before:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130
    assert error == "jaxrnn: interrupted; the same command goes on from here\n"

    process = sweep.start()
    out, error = process.communicate()
    assert (process.returncode, error) == (0, "")
    assert "from an earlier call" in out
    assert (sweep.out / "trials.jsonl").read_bytes() == (whole / "trials.jsonl").read_bytes()
    assert sweep.checkpoint() is None


# Grids

SMALL_GRID = ["--length", "5", "--trials", "3", "--window", "50", "--max-steps", "3000"]
# At the small rate nothing is learnt in 3000 steps.
GRID = [
    *SMALL_GRID,
    "--learning-rate",
    "0.001",
    "1",
    "--forget-bias",
    "-1",
    "1",
    "--initial-scale",
    "2",
]
SETTINGS = [(rate, bias) for rate in (0.001, 1.0) for bias in (-1.0, 1.0)]


@pytest.fixture(scope="module")
def finished_grid(tmp_path_factory):
    """A run directory that an uninterrupted grid left."""
    out = tmp_path_factory.mktemp("grids") / "small"
    assert run("grid", *GRID, "--out", out) == 0
    return out


def test_a_grids_rows_carry_their_own_settings_and_outcomes(finished_grid):
    found = rows_of(finished_grid)
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
    settings = json.loads((finished_grid / "config.json").read_text())["settings"]
    assert settings["learning_rate"] == [0.001, 1.0]
    assert settings["forget_bias"] == [-1.0, 1.0]
    assert (settings["experiment"], settings["initial_scale"]) == (["grid"], 2.0)


def steps_in_words(value):
    return f"{value:,.0f}" if math.isfinite(value) else "never"


def test_a_grids_report_has_a_line_for_each_combination_best_first(finished_grid):
    steps = defaultdict(list)
    for row in rows_of(finished_grid):
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

    text = (finished_grid / "report.md").read_text()
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


def test_a_grid_has_a_heat_map_and_no_other_plot(finished_grid):
    names = {path.name for path in finished_grid.iterdir()} - {LOCK}
    assert names == {"trials.jsonl", "config.json", "report.md", "report.html", "grid.png"}
    assert (finished_grid / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_report_rebuilds_what_the_grid_wrote(finished_grid, monkeypatch, capsys):
    written = {name: (finished_grid / name).read_bytes() for name in ("report.md", "grid.png")}
    for name in written:
        (finished_grid / name).unlink()
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", None)  # a call would fail
    assert run("report", finished_grid) == 0
    assert {name: (finished_grid / name).read_bytes() for name in written} == written
    assert "learning forget" in capsys.readouterr().out


def test_the_same_grid_again_runs_nothing_and_another_is_refused(
    finished_grid, monkeypatch, capsys
):
    before = (finished_grid / "trials.jsonl").read_bytes()
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", None)
    assert run("grid", *GRID, "--out", finished_grid) == 0
    assert "from an earlier call" in " ".join(capsys.readouterr().out.split())
    assert run("grid", *GRID, "--clip", "1", "5", "--out", finished_grid) == 2
    assert "was begun with clip 5.0, not 1.0 5.0" in capsys.readouterr().err
    assert (finished_grid / "trials.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--learning-rate", "-1"], "learning-rate -1.0 must be a positive number"),
        (["--learning-rate", "1", "nan"], "learning-rate nan must be a positive number"),
        (["--clip", "0"], "clip 0.0 must be a positive number"),
        (["--initial-scale", "1", "-2"], "initial-scale -2.0 must be a positive number"),
        (["--forget-bias", "inf"], "forget-bias inf must be a finite number"),
        (["--cell", "nonsense"], "unknown cell 'nonsense': choose from co_rnn, delta_net, "),
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
            "unknown optimizer 'adam': choose from clipped_adam, clipped_adamw, ",
        ),
        (["--loss-reduction", "max"], "unknown loss-reduction 'max': choose from mean, sum"),
        (
            ["--initializer", "he"],
            "unknown initializer 'he': choose from chrono, long_memory, note",
        ),
        (["--experiment", "nonsense"], "unknown experiment 'nonsense': choose from"),
    ],
)
def test_a_bad_flag_of_grid_is_one_sentence_and_leaves_no_directory(
    flags, sentence, tmp_path, capsys
):
    out = tmp_path / "run"
    assert run("grid", *SMALL_GRID, "--out", out, *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {sentence}")
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["6a"], {"cell": "memory_blocks", "length": 100, "hidden_size": 2, "window": 50}),
        pytest.param(
            *(["6a", "--cell", "lstm", "--length", "20"], {"cell": "lstm", "hidden_size": 4}),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *(["better"], {"cell": "lstm", "length": 20, "hidden_size": 128}),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["6a", "6a with another cell", "better"],
)
def test_a_grid_of_any_experiment_begins_with_its_own_cell_and_length(flags, expected, tmp_path):
    settings = ["--trials", "2", "--max-steps", "60", "--window", "50"]
    out = ["--clip", "1", "5", "--out", tmp_path]
    assert run("grid", "--experiment", *flags, *settings, *out) == 0
    rows = rows_of(tmp_path)
    assert [row["clip"] for row in rows] == [1.0, 1.0, 5.0, 5.0]
    for row in rows:
        assert row | expected == row


def test_the_choices_in_the_help_are_those_of_the_tables(capsys):
    for command in ("sweep", "grid"):
        run(command, "--help")
        words = " ".join(capsys.readouterr().out.replace("│", " ").split())
        for table in (OBJECTIVES, INITIALIZERS, OPTIMIZERS, REDUCTIONS, CLIPPINGS, SCHEDULES):
            assert ", ".join(table) in words


def test_every_setting_is_a_flag(capsys):
    """Of `sweep`, where the experiment, its cells and its lengths are several, and of `grid`."""
    plural = {"name": "experiment", "cell": "cells", "length": "lengths"}
    for command in ("sweep", "grid"):
        run(command, "--help")
        words = capsys.readouterr().out.split()
        for field in fields(Experiment):
            flag = "--" + plural.get(field.name, field.name).replace("_", "-")
            assert flag in [word.rstrip(",") for word in words], (command, flag)


def test_the_help_fits_into_80_columns_and_shows_no_python(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("sweep", "grid", "paper", "scorecard", "inspect", "report", "list"):
        run(command, "--help")
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= 80
        for python in ("{None}", "()", "default: )", "STR"):
            assert python not in out, command


def test_a_recipe_is_a_few_flags(tmp_path):
    words = "sweep --task two_sequence --task-options shortest=5 num_informative=2 --cells gru"
    words += " --lengths 8 --trials 2 --seed 3 --max-steps 120 --window 50 --batch-size 4"
    words += " --optimizer clipped_rmsprop --optimizer-options decay=0.99 eps-in-sqrt=false"
    words += " --schedule steps --schedule-options every=10 factor=0.5 --warmup 5"
    words += " --max-failures 3 --mean-error 0.4 --test-size 0 --final-test 10 --join-at 8"
    assert run(*words.split(), "--out", tmp_path) == 0
    for row in rows_of(tmp_path):
        assert row["task_options"] == {"num_informative": 2, "shortest": 5}
        assert row["optimizer_options"] == {"decay": 0.99, "eps_in_sqrt": False}
        assert row["schedule_options"] == {"every": 10, "factor": 0.5}
        given = {"schedule": "steps", "warmup": 5, "max_failures": 3, "mean_error": 0.4}
        given |= {"test_size": 0, "final_test": 10, "join_at": 8, "batch_size": 4}
        assert row == row | given


def test_options_are_added_to_those_of_the_experiment(tmp_path):
    words = "sweep --experiment 6a --cell-options output_bias=false --trials 1 --max-steps 40"
    base = dict(SUITES["6a"].base.cell_options)
    assert run(*words.split(), "--window", "20", "--lengths", "20", "--out", tmp_path) == 0
    (row,) = rows_of(tmp_path)
    assert row["cell_options"] == json.loads(json.dumps(base | {"output_bias": False}))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--cell-options", "order"], "--cell-options takes options, such as: --cell-options ord"),
        (["--cell-options", "order=1"], "cell lstm takes no options"),
        (["--cell-options", "order={[1]}"], "cell lstm takes no options"),
        (["--schedule", "linear"], "unknown schedule 'linear': choose from constant, cosine, "),
        (["--warmup", "-1"], "warmup -1 must not be negative"),
        (["--optimizer-options", "momentum=2"], "momentum 2 must be a number from 0 to below 1"),
        (["--task-options", "shortest=4"], "shortest 4 needs num_symbols, since the alphabet"),
    ],
)
def test_a_bad_option_is_one_sentence(flags, sentence, tmp_path, capsys):
    out = tmp_path / "run"
    assert run("sweep", "--lengths", "5", "--cells", "lstm", *flags, "--out", out) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
