"""The command line as a stranger meets it: outputs, resume after a kill, and every bad input."""

import json
import math
import re
import shutil
from collections import defaultdict
from dataclasses import fields
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from filelock import FileLock
from helpers import first_table, random_params, rows_of, run

from jaxrnn import CELLS, INITIALIZERS, OBJECTIVES, OPTIMIZERS, TASKS, Experiment, run_trials
from jaxrnn.cli.commands import COMMANDS
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


def contents_of(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != LOCK}


def test_a_sweep_writes_rows_config_report_and_plots(finished):
    names = {"trials.jsonl", "config.json", "report.html", "report.md"}
    assert contents_of(finished).keys() == names | {"steps_to_solution.png", "learning_curves.png"}
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


def test_a_sweep_again_trains_nothing_and_its_report_is_rebuilt(finished, monkeypatch, capsys):
    rows, report = ((finished / name).read_bytes() for name in ("trials.jsonl", "report.md"))
    for name in ("report.md", "learning_curves.png"):
        (finished / name).unlink()
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", None)  # a call would fail
    assert run("report", finished) == 0
    assert (finished / "report.md").read_bytes() == report
    assert (finished / "learning_curves.png").stat().st_size > 10_000
    assert "lstm" in capsys.readouterr().out
    assert run("sweep", *SMALL, "--out", finished) == 0
    assert (finished / "trials.jsonl").read_bytes() == rows
    assert "from an earlier call" in capsys.readouterr().out


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
    sizes = {line.split()[0]: line.split()[1:3] for line in lines if line.strip()}
    assert sizes["memory_blocks"] == ["-", "-"]  # which has no usual block size
    for name in ("lstm", "delta_net"):
        params = random_params(CELLS[name](8, 16, 8))
        held = params, CELLS[name](8, 16, 8).initial_state(params)
        assert sizes[name] == [
            f"{sum(leaf.size for leaf in jax.tree.leaves(one)):,}" for one in held
        ]


PLURAL = {"name": "experiment", "cell": "cells", "length": "lengths"}
TABLES = (OBJECTIVES, INITIALIZERS, OPTIMIZERS, REDUCTIONS, CLIPPINGS, SCHEDULES)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_fits_and_has_every_setting_and_choice(
    command, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(command, "--help") == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) > 4
    assert max(map(len, out.splitlines())) <= 80
    for python in ("{None}", "()", "default: )", "STR"):
        assert python not in out
    if command in ("sweep", "grid"):
        words = out.replace("│", " ").split()
        flags = {word.rstrip(",") for word in words}
        for field in fields(Experiment):
            assert "--" + PLURAL.get(field.name, field.name).replace("_", "-") in flags
        for table in TABLES:
            assert ", ".join(table) in " ".join(words)


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


def test_an_experiment_of_the_paper_runs_beside_its_row_if_its_cap_is_the_papers(tmp_path, capsys):
    flags = ["3a", "--trials", "2", "--max-sequences", "150", "--seed", "3", "--out", tmp_path]
    assert run("paper", *flags) == 0
    assert "39,850" not in capsys.readouterr().out
    rows = rows_of(tmp_path)
    assert [row["steps"] for row in rows] == [150, 150]
    assert [row["final_wrong"] for row in rows] > [0, 0]
    assert rows[0]["cell_options"]["input_biases"] == [-1.0, -3.0, -5.0]
    assert (tmp_path / "sequences_to_success.png").exists()
    capped = [row | {"max_steps": 398_500} for row in rows]  # ten times the published mean
    (tmp_path / "trials.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in capped))
    assert run("report", tmp_path) == 0
    assert "39,850" in capsys.readouterr().out


@pytest.mark.slow
def test_inspect_draws_each_net_and_the_gradients(tmp_path, capsys):
    out = tmp_path / "pictures"
    flags = ["--experiment", "notebook", "--length", "4", "--max-steps", "1000", "--trial", "1"]
    assert run("inspect", *flags, "--out", out) == 0
    names = ["simple_rnn-notebook-4.png", "lstm-notebook-4.png", "gradient_norms.png"]
    assert capsys.readouterr().out.split() == [str(out / name) for name in names]
    assert all((out / name).stat().st_size > 10_000 for name in names)


NEEDS, WINDOW = "needs a cell with that gate: ", "the experiment's window"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        # A rule each, whichever command it is of.
        ("sweep --lengths 2", "length 2 is too short for task noise_free: it needs at least 3"),
        ("sweep --lengths", "--lengths takes whole numbers, such as: --lengths 5 6 7 (not '')"),
        ("sweep --lengths 4 -1", "length -1 must be at least 1"),
        ("sweep --cells elman", "unknown cell 'elman': choose from co_rnn, delta_net, "),
        ("sweep --cells memory_blocks", "cell memory_blocks needs its option block_size: take an"),
        ("sweep --threshold 1", "threshold 1.0 must lie between 0 and 1"),
        ("sweep --max-steps 9 --window 10", "window 10 must not be above max-steps 9"),
        ("sweep --learning-rate nan", "learning-rate nan must be a positive number"),
        ("sweep --clip -2", "clip -2.0 must be a positive number"),
        ("sweep --seed -3", "seed -3 must be from 0 to 4294967295"),
        ("sweep --lanes 0", "lanes 0 must be at least 1"),
        ("sweep --cells lstm --cell-options order", "--cell-options takes options, such as: --c"),
        ("sweep --cells lstm --cell-options order={[1]}", "cell lstm takes no options"),
        ("sweep --schedule linear", "unknown schedule 'linear': choose from constant, cosine, "),
        ("sweep --warmup -1", "warmup -1 must not be negative"),
        ("sweep --optimizer-options momentum=2", "momentum 2 must be a number from 0 to below 1"),
        ("sweep --task-options shortest=4", "shortest 4 needs num_symbols, since the alphabet"),
        ("grid --learning-rate 1 nan", "learning-rate nan must be a positive number"),
        ("grid --initial-scale 1 -2", "initial-scale -2.0 must be a positive number"),
        ("grid --forget-bias inf", "forget-bias inf must be a finite number"),
        (
            "grid --cell simple_rnn --forget-bias 1",
            f"forget-bias 1.0 {NEEDS}simple_rnn has cand",
        ),
        (
            "grid --cell gru --input-bias 0 -1",
            f"input-bias -1.0 {NEEDS}gru has reset, updat",
        ),
        ("grid --trials -2", "trials -2 must be at least 1"),
        ("grid --clipping value", "unknown clipping 'value': choose from element, none, norm"),
        ("grid --optimizer adam", "unknown optimizer 'adam': choose from clipped_adam, clipped_ad"),
        ("grid --loss-reduction max", "unknown loss-reduction 'max': choose from mean, sum"),
        ("grid --initializer he", "unknown initializer 'he': choose from chrono, long_memory, no"),
        ("grid --experiment nonsense", "unknown experiment 'nonsense': choose from"),
        ("paper 7", "unknown experiment '7': choose from 1, 1-3x2-0.1"),
        ("paper 4 --length 5", "length 5 is too short for task adding: it needs at least 11"),
        ("paper 4 --cost", "cost needs the list, so name no experiments: jaxrnn paper --c"),
        ("paper --trials 3", "trials 3 needs the name of an experiment, such as 6a"),
        ("paper --keep-weights", "keep-weights True needs the name of an experiment, such as 6a"),
        ("paper 4 --max-sequences 100", f"{WINDOW} 2000 must not be above max-sequences 100"),
        ("paper 3a --max-sequences 99", "max-sequences 99 must be at least 100, the sequences b"),
        ("inspect --trial -1", "trial -1 must not be negative"),
        ("inspect --experiment best", "unknown experiment 'best': choose from 1, 1-3x2-0.1"),
        ("scorecard --tasks adding subtracting", "unknown task 'subtracting': choose from "),
        ("scorecard --cells --tasks adding", "name at least one cell and one task"),
    ],
)
def test_a_bad_flag_is_one_sentence_and_leaves_no_directory(words, sentence, tmp_path, capsys):
    assert run(*words.split(), "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {sentence}")
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def refused(out, capsys, *flags):
    """The sentence with which a sweep into ``out`` is refused; nothing there may change."""
    before = contents_of(out)
    capsys.readouterr()
    assert run("sweep", *SMALL, "--out", out, *flags) == 2
    assert contents_of(out) == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def copy_of(finished, tmp_path):
    out = tmp_path / "copy"
    out.mkdir()
    for name in ("config.json", "trials.jsonl"):
        shutil.copy(finished / name, out)
    return out


@pytest.mark.parametrize(
    ("name", "old", "new", "flags", "sentence"),
    [
        ("config.json", "", "", ["--seed", "1"], "was begun with seed 0, not 1"),
        ("config.json", "", "", ["--clip", "3"], "was begun with clip 5.0, not 3.0"),
        ("config.json", '{\n  "settings": ', '"settings', [], "is not a run's configuration"),
        ("trials.jsonl", '{"experiment"', '{"experim', [], "trials.jsonl line 1 is not a row of a"),
        ("trials.jsonl", '"status": "solved"', '"status": "done"', [], "status 'done' is not solv"),
        ("trials.jsonl", '"solved_at": ', '"solved_at": "x", "was": ', [], "its solved_at 'x' mus"),
        ("trials.jsonl", '"steps": ', '"stops": ', [], "its 'steps' is missing"),
        ("trials.jsonl", '"trial": 2', '"trial": 1', [], "is trial 1 of lstm at length 4 again"),
    ],
)
def test_another_setting_and_corrupt_files_are_refused(
    name, old, new, flags, sentence, finished, tmp_path, capsys
):
    out = copy_of(finished, tmp_path)
    text = (out / name).read_text()
    assert old in text
    (out / name).write_text(text.replace(old, new, 1))
    assert sentence in refused(out, capsys, *flags)


def test_a_directory_that_cannot_be_used_is_refused(finished, tmp_path, capsys):
    out = copy_of(finished, tmp_path)
    with FileLock(out / LOCK):
        assert "is in use by another sweep" in refused(out, capsys)
    (out / "config.json").unlink()
    assert "holds trials.jsonl but no config.json" in refused(out, capsys)
    (tmp_path / "run").symlink_to(tmp_path / "nowhere")
    assert run("sweep", *SMALL, "--out", tmp_path / "run") == 2
    assert "cannot write to" in capsys.readouterr().err
    assert run("report", tmp_path) == 2
    assert "holds no trials.jsonl" in capsys.readouterr().err


# Grids

# At the small rate nothing is learnt in 3000 steps.
GRID = ["--length", "5", "--trials", "3", "--window", "50", "--max-steps", "3000"]
GRID += ["--learning-rate", "0.001", "1", "--forget-bias", "-1", "1", "--initial-scale", "2"]
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


def test_a_grids_report_has_a_line_for_each_combination_best_first(finished_grid):
    steps = defaultdict(list)
    for row in rows_of(finished_grid):
        end = math.inf if row["solved_at"] is None else row["solved_at"]
        steps[f"{row['learning_rate']:g}", f"{row['forget_bias']:g}"].append(end)
    place = {one: (-sum(map(math.isfinite, ends)), np.median(ends)) for one, ends in steps.items()}
    text = (finished_grid / "report.md").read_text()
    header, _, *body = first_table(text)
    assert header[:4] == ["net", "T", "learning rate", "forget bias"]
    assert {(line[2], line[3]) for line in body} == place.keys()
    for line in body:
        assert line[:2] == ["lstm", "5"]
        assert line[4] == f"{-place[line[2], line[3]][0]}/3"
    places = [place[line[2], line[3]] for line in body]
    assert places == sorted(places)
    assert places[0] < places[-1]  # the combinations differ, so the order says something
    assert "](grid.png)" in text


def test_a_grid_again_trains_nothing_and_draws_the_same_and_another_is_refused(
    finished_grid, monkeypatch, capsys
):
    written = contents_of(finished_grid)
    names = {"trials.jsonl", "config.json", "report.md", "report.html", "grid.png"}
    assert written.keys() == names
    assert written["grid.png"].startswith(b"\x89PNG")
    for name in ("report.md", "grid.png"):
        (finished_grid / name).unlink()
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", None)  # a call would fail
    assert run("report", finished_grid) == 0
    assert contents_of(finished_grid) == written
    assert "learning forget" in capsys.readouterr().out
    assert run("grid", *GRID, "--out", finished_grid) == 0
    assert "from an earlier call" in " ".join(capsys.readouterr().out.split())
    assert run("grid", *GRID, "--clip", "1", "5", "--out", finished_grid) == 2
    assert "was begun with clip 5.0, not 1.0 5.0" in capsys.readouterr().err
    assert contents_of(finished_grid) == written


@pytest.fixture
def asked(monkeypatch):
    """The experiments that a command would train."""
    taken: list = []
    monkeypatch.setattr("jaxrnn.cli.commands._run", lambda some, *_: taken.extend(some))
    return taken


def test_two_experiments_are_side_by_side_with_their_own_settings(asked):
    words = "--cells lstm --lengths 4 --layers 3 --trials 2 --experiment notebook better"
    assert run("sweep", *words.split()) == 0
    settings = ("name", "hidden_size", "initializer", "loss_reduction", "seed", "layers")
    assert [tuple(getattr(one, name) for name in settings) for one in asked] == [
        ("notebook", 20, "notebook_xavier", "mean", 0, 3),
        ("better", 128, "long_memory", "sum", 1, 3),
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("6a", {"cell": "memory_blocks", "length": 100, "hidden_size": 2}),
        ("6a --cell lstm --length 20", {"cell": "lstm", "length": 20, "hidden_size": 4}),
        ("better", {"cell": "lstm", "length": 20, "hidden_size": 128}),
    ],
)
def test_a_grid_of_any_experiment_begins_with_its_own_cell_and_length(words, expected, asked):
    assert run("grid", "--experiment", *words.split(), "--trials", "2", "--clip", "1", "5") == 0
    (one,) = asked
    assert one.clip == (1.0, 1.0, 5.0, 5.0)
    assert {name: getattr(one, name) for name in expected} == expected


def test_a_recipe_is_a_few_flags(tmp_path):
    words = "sweep --task two_sequence --task-options shortest=5 num_informative=2 --cells gru"
    words += " --lengths 8 --trials 2 --seed 3 --max-steps 120 --window 50 --batch-size 4"
    words += " --optimizer clipped_rmsprop --optimizer-options decay=0.99 eps-in-sqrt=false"
    words += " --schedule steps --schedule-options every=10 factor=0.5 --warmup 5"
    words += " --max-failures 3 --mean-error 0.4 --test-size 0 --final-test 10 --join-at 8"
    assert run(*words.split(), "--clipping", "none", "--out", tmp_path) == 0
    for row in rows_of(tmp_path):
        assert row["task_options"] == {"num_informative": 2, "shortest": 5}
        assert row["optimizer_options"] == {"decay": 0.99, "eps_in_sqrt": False}
        assert row["schedule_options"] == {"every": 10, "factor": 0.5}
        given = {"schedule": "steps", "warmup": 5, "max_failures": 3, "mean_error": 0.4}
        given |= {"test_size": 0, "final_test": 10, "join_at": 8, "batch_size": 4}
        assert row == row | given | {"clipping": "none"}


def test_options_are_added_to_those_of_the_experiment(asked):
    assert run("sweep", "--experiment", "6a", "--cell-options", "output_bias=false") == 0
    base = dict(SUITES["6a"].base.cell_options)
    assert asked
    assert all(dict(one.cell_options) == base | {"output_bias": False} for one in asked)
