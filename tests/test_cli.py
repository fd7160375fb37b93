"""The command line as a stranger meets it: outputs, resume after a kill, and every bad input."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from jaxrnn import Experiment, cli, run_trials
from jaxrnn.cli.cost import expected_seconds
from jaxrnn.results.run_directory import LOCK
from jaxrnn.suites.paper_1997 import PAPER
from jaxrnn.suites.published import PAPER_RESULTS

# Seconds of work: two lengths of one net, solved early because of the short window.
SMALL = ["--cells", "lstm", "--lengths", "4", "5", "--trials", "3", "--window", "50"]
SMALL += ["--max-steps", "3000"]


def run(*arguments):
    """Run the command line in this process and return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["jaxrnn", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as exit_:
            return exit_.code
    return 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run directory that an uninterrupted sweep left."""
    out = tmp_path_factory.mktemp("runs") / "small"
    assert run("sweep", *SMALL, "--out", out) == 0
    return out


def rows_of(out):
    return [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]


def test_a_sweep_writes_rows_config_report_and_plots(finished):
    names = {path.name for path in finished.iterdir()}
    assert names - {LOCK} == {
        "trials.jsonl",
        "config.json",
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
    monkeypatch.setattr("jaxrnn.sweep.run_trials", None)  # a call would fail
    assert run("sweep", *SMALL, "--out", finished) == 0
    assert (finished / "trials.jsonl").read_bytes() == before
    assert "kept from an earlier call" in capsys.readouterr().out


def test_report_rebuilds_what_the_sweep_wrote(finished, monkeypatch, capsys):
    written = (finished / "report.md").read_bytes()
    (finished / "report.md").unlink()
    (finished / "learning_curves.png").unlink()
    monkeypatch.setattr("jaxrnn.sweep.run_trials", None)
    assert run("report", finished) == 0
    assert (finished / "report.md").read_bytes() == written
    assert (finished / "learning_curves.png").stat().st_size > 10_000
    assert "lstm" in capsys.readouterr().out


def test_list_names_everything_with_its_source(capsys):
    assert run("list") == 0
    out = capsys.readouterr().out
    for name in ("simple_rnn", "lstm", "noise_free", "notebook", "Elman", "Hochreiter"):
        assert name in out


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


def test_the_paper_lists_its_experiments_with_what_they_are_likely_to_cost(capsys, monkeypatch):
    monkeypatch.setattr(cli.console, "_width", 80)
    assert run("paper") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    for name, suite in PAPER.items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        mean = PAPER_RESULTS[suite.row][suite.lengths[0]].sequences
        assert suite.departure or mean is None or f"{mean:,}" in line
        assert " ".join(suite.departure.split()[:2]) in line
        assert re.search(r"\d (s|min|h)\b", line)


def test_cost_is_that_of_the_published_mean_or_of_the_cap():
    assert expected_seconds(PAPER["6a"], 100, 1e-6) == pytest.approx(110 * 31_390 * 20 * 1e-6)
    hopeless = expected_seconds(PAPER["2a-bptt"], 101, 1e-6)
    assert hopeless == pytest.approx(100 * 5_010_000 * 18 * 1e-6 * PAPER["2a-bptt"].cost)


def test_an_experiment_of_the_paper_runs_once_and_is_laid_beside_its_row(
    tmp_path, capsys, monkeypatch
):
    flags = ["3a", "--trials", "2", "--max-sequences", "150", "--seed", "3", "--out", tmp_path]
    assert run("paper", *flags) == 0
    assert "39,850" in capsys.readouterr().out
    rows = rows_of(tmp_path)
    assert [row["steps"] for row in rows] == [150, 150]
    assert [row["final_wrong"] for row in rows] > [0, 0]
    assert rows[0]["cell_options"]["input_biases"] == [-1.0, -3.0, -5.0]
    assert (tmp_path / "sequences_to_success.png").exists()
    monkeypatch.setattr("jaxrnn.sweep.run_trials", None)  # it would fail
    assert run("paper", *flags) == 0


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["7"], "unknown experiment '7': choose from 1, 1-3x2-0.1"),
        (["4", "--length", "5"], "length 5 is too short for task adding: it needs at least 11"),
        (["4", "--length", "0"], "length 0 must be at least 1"),
        (["--trials", "3"], "trials 3 needs the name of an experiment, such as 6a"),
        (["4", "--trials", "0"], "trials 0 must be at least 1"),
        (["4", "--max-sequences", "100"], "window 2000 must not be above max-steps 100"),
        (["3a", "--max-sequences", "99"], "max-steps 99 must be at least 100, the first step at"),
        (["4", "--lanes", "0"], "lanes 0 must be at least 1"),
    ],
)
def test_a_bad_flag_of_paper_is_one_sentence(flags, sentence, tmp_path, capsys):
    assert run("paper", *flags, "--out", tmp_path / "new") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {sentence}")
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


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
        (["--trial", "-1"], "trial -1 must be at least 0"),
        (["--experiment", "best"], "unknown experiment 'best': choose from better, notebook"),
        (["--experiment"], "name at least one experiment, one cell and one length"),
    ],
)
def test_a_bad_flag_of_inspect_is_one_sentence(flags, sentence, tmp_path, capsys):
    assert run("inspect", *flags, "--out", tmp_path / "pictures") == 2
    assert capsys.readouterr().err == f"jaxrnn: {sentence}\n"
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--lengths", "2"], "length 2 is too short for task noise_free: it needs at least 3"),
        (["--lengths", "4", "-1"], "length -1 must be at least 1"),
        (["--lengths"], "name at least one experiment, one cell and one length"),
        (["--trials", "0"], "trials 0 must be at least 1"),
        (["--cells", "elman"], "unknown cell 'elman': choose from gru, lstm, lstm_coupled"),
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


@pytest.mark.parametrize("flags", [["--trials", "four"], ["--clip", "none"], ["--nonsense"]])
def test_an_unreadable_flag_is_refused_without_a_traceback(flags, tmp_path, capsys):
    assert run("sweep", *SMALL, "--out", tmp_path / "run", *flags) == 2
    captured = capsys.readouterr()
    assert flags[-1] in captured.out + captured.err
    assert "Traceback" not in captured.out + captured.err


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
        (["--lengths", "4"], "was begun with lengths 4 5, not 4"),
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
        ('"solved_at": ', '"solved_at": "x", "was": ', "'solved_at' is missing or of the wrong ty"),
        ('"steps": ', '"stops": ', "its 'steps' is missing or of the wrong type"),
        ('"trial": 2', '"trial": 1', "does not hold each of the 3 trials of lstm at length 4"),
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
    (tmp_path / "file").write_text("in the way")
    assert run("sweep", *SMALL, "--out", tmp_path / "file" / "run") == 2
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
        command = [sys.executable, "-c", "from jaxrnn.cli import main; main()", "sweep"]
        return subprocess.Popen(
            [*command, *self.flags, "--out", str(self.out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
        )

    def checkpoint(self):
        return next(self.out.glob("checkpoint-*-20.npz"), None)

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
    assert "kept from an earlier call" in out
    assert (sweep.out / "trials.jsonl").read_bytes() == (whole / "trials.jsonl").read_bytes()
    assert sweep.checkpoint() is None
