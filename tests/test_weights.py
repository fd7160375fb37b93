"""The weights that a run directory keeps, and the nets that are made of them again."""

import json
import re
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import first_params, rows_of, run, run_sweep

from jaxrnn import (
    CELLS,
    Cell,
    Experiment,
    InputError,
    inspection,
    load_weights,
    run_trials,
    simple_rnn,
)
from jaxrnn.problems import settled
from jaxrnn.store import run_directory
from jaxrnn.store.archives import (
    CheckpointFile,
    read_weights,
    weights_held,
    weights_path,
    write_weights,
)
from jaxrnn.store.files import write_arrays
from jaxrnn.store.rows import make_row
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import product
from jaxrnn.trained import Choice, arrays_of, chosen, with_own
from jaxrnn.training.parts import FINAL
from jaxrnn.training.tickets import as_typed, fitted
from jaxrnn.training.trial import build, trial_key

NET = Experiment(name="mine", length=5, cell="simple_rnn", hidden_size=6, trials=3)
TESTED = settled(replace(NET, window=60, max_steps=400, final_test=20))
SMALL = Experiment(
    length=4, cell="simple_rnn", hidden_size=3, trials=2, window=5, max_steps=30, threshold=0.01
)


def sweep(path, *experiments, keep_weights=True):
    with RunDirectory(path) as directory:
        run_sweep(experiments, directory, keep_weights=keep_weights)
    return {file.name: file.read_bytes() for file in sorted(path.glob("weights-*.npz"))}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A directory of TESTED with its weights, and their file's name and bytes."""
    path = tmp_path_factory.mktemp("fresh")
    (file,) = sweep(path, TESTED).items()
    return path, *file


def test_a_file_is_read_by_numpy_alone_and_its_nets_do_again_what_their_rows_say(fresh):
    path, name, _ = fresh
    assert name.startswith("weights-mine-simple_rnn-5-")
    with np.load(path / name, allow_pickle=False) as file:
        arrays = dict(file)
    assert json.loads(str(arrays.pop("experiment")))["hidden_size"] == 6
    np.testing.assert_array_equal(arrays.pop("trials"), [0, 1, 2])
    each = [arrays_of(outcome.params) for outcome in run_trials(TESTED, keep_params=True)]
    for field in each[0]:
        np.testing.assert_array_equal(arrays.pop(field), [one[field] for one in each])
    assert not arrays
    (nets,), (same,) = load_weights(path), load_weights(str(path / name))
    assert (nets.experiment, nets.trials) == (TESTED.canonical(), (0, 1, 2))
    jax.tree.map(np.testing.assert_array_equal, nets.params, same.params)
    assert re.fullmatch(r"<TrainedNets: 3 of \w+ on \w+ at T = \d+, \d+ weights each>", repr(nets))
    final_test = jax.jit(jax.vmap(dict(build(TESTED).tests)[FINAL]))
    keys = jax.vmap(lambda trial: trial_key(TESTED.seed, trial))(np.arange(3))
    wrong = (np.asarray(final_test(keys, nets.params)) > TESTED.threshold).sum(1)
    assert [row["final_wrong"] for row in rows_of(path)] == wrong.tolist()


def test_growth_and_a_kill_behind_the_weights_leave_what_a_fresh_directory_has(
    fresh, tmp_path, monkeypatch
):
    sweep(tmp_path, replace(TESTED, trials=1))
    whole = run_directory.write_whole

    def killed(path, data):
        if path.suffix == ".jsonl":
            raise KeyboardInterrupt
        whole(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(run_directory, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path, TESTED)
    assert (len(load_weights(tmp_path)[0].trials), len(rows_of(tmp_path))) == (3, 1)
    for _ in range(2):
        assert sweep(tmp_path, TESTED) == dict([fresh[1:]])
    assert rows_of(tmp_path) == rows_of(fresh[0])


def test_trials_that_differ_in_their_settings_share_a_file_layer_by_layer(tmp_path):
    base = replace(SMALL, layers=2)
    rates = {"learning_rate": (0.5, 1.0), "clip": (1.0, 5.0)}
    grid = settled(product(replace(base, trials=1), rates))
    assert len(sweep(tmp_path, grid)) == 1
    wider = settled(product(base, {"learning_rate": (2.0,), "clip": (1.0,)}))
    sweep(tmp_path, replace(wider, name="grid2"))
    first, second = load_weights(tmp_path)
    assert (first.experiment, first.trials) == (grid.canonical(), (0, 1, 2, 3))
    assert [first.experiment.alone(k).clip for k in range(4)] == [1.0, 5.0, 1.0, 5.0]
    assert (second.experiment.learning_rate, second.trials) == (2.0, (0, 1))
    assert jax.tree.structure(first.params) == jax.tree.structure(first_params(base))
    for k, outcome in enumerate(run_trials(grid, keep_params=True)):
        ours = jax.tree.map(lambda leaf, k=k: leaf[k], first.params)
        jax.tree.map(np.testing.assert_array_equal, ours, outcome.params)


def test_numbers_in_half_precision_which_numpys_files_do_not_know_are_read_as_they_were(tmp_path):
    halves = np.arange(6).reshape(2, 3).astype(jnp.bfloat16)
    path = weights_path(tmp_path, TESTED)
    of_trials = {
        ticket: {"params.w": row} for ticket, row in zip(TESTED.tickets(), halves, strict=False)
    }
    write_weights(path, dict(list(of_trials.items())[:1]))
    write_weights(path, of_trials | weights_held(tmp_path, TESTED))  # those that were read, too
    CheckpointFile(tmp_path / "left.npz").save(of_trials)
    left = CheckpointFile(tmp_path / "left.npz").load()
    usual = {"params.w": halves}
    for read in (
        as_typed(read_weights(path).arrays["params.w"], halves.dtype),
        np.stack([fitted(one, usual, "here")["params.w"] for one in left.values()]),
    ):
        assert read.dtype == jnp.bfloat16
        np.testing.assert_array_equal(read, halves)


def test_weights_that_were_not_kept_cannot_be_asked_for_later(tmp_path):
    sweep(tmp_path, SMALL, keep_weights=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        InputError, match=r"holds trial 0 of simple_rnn at length 4 without its weights"
    ):
        sweep(tmp_path, replace(SMALL, trials=3))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert not sweep(tmp_path, replace(SMALL, trials=3), keep_weights=False)
    for path in (tmp_path, tmp_path / "trials.jsonl"):
        with pytest.raises(InputError, match=r"holds no weights: name a run directory made with"):
            load_weights(path)


def rewritten(path, content, changes):
    """A file with other arrays, or without those that are None, as it might have been written."""
    path.write_bytes(content)
    with np.load(path) as file:
        arrays = dict(file) | changes
    write_arrays(path, {name: array for name, array in arrays.items() if array is not None})


SETTINGS = json.dumps(vars(TESTED) | {"length": 0, "_hash": None})
DAMAGE = {  # arrays in place of those that were written, or one by itself
    "a lone array": (None, ""),
    "no trials": ({"trials": None}, ", its array trials is missing"),
    "length 0": (
        {"experiment": np.array(SETTINGS)},
        ", its array experiment breaks a rule, length 0 must be at",
    ),
    "no JSON": (
        {"experiment": np.array("{")},
        ", its array experiment is not an experiment's settings as JSON",
    ),
}
LOST = "the weights in it are lost, move it away"


@pytest.mark.parametrize("name", DAMAGE)
def test_a_file_that_is_not_as_it_was_written_is_refused(name, fresh, tmp_path):
    """By itself, and in a directory that is to have more of its weights; it stays."""
    path, (changes, fault) = tmp_path / fresh[1], DAMAGE[name]
    if changes is None:
        with path.open("wb") as file:
            fields = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
            np.lib.format.write_array_header_1_0(file, fields)
    else:
        rewritten(path, fresh[2], changes)
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        load_weights(path)
    with pytest.raises(InputError) as again, RunDirectory(tmp_path) as directory:
        directory.admit([TESTED], keep_weights=True)
    assert path.read_bytes() == before
    assert str(again.value) == str(caught.value)
    assert str(caught.value).startswith(f"{path} is corrupt{fault}")
    assert str(caught.value).endswith(f": {LOST}")


def test_a_bit_that_flips_anywhere_is_told(fresh, tmp_path):
    """At the end, too, which says where the archive's directory begins."""
    path, flipped = tmp_path / fresh[1], bytearray(fresh[2])
    for place in (*range(0, len(flipped), 61), *range(len(flipped) - 100, len(flipped))):
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(InputError) as caught:
            load_weights(path)
        assert str(caught.value) == f"{path} is corrupt: {LOST}"


def test_weights_of_another_net_or_of_other_shapes_are_refused(fresh, tmp_path):
    (name,) = sweep(tmp_path, SMALL)
    (tmp_path / name).write_bytes(fresh[2])
    with pytest.raises(InputError, match="holds the weights of another net: move it away"):
        sweep(tmp_path, replace(SMALL, trials=3))
    (nets,) = load_weights(tmp_path)
    bias = np.asarray(nets.params.bias)
    for changes, sentence in (
        (
            {"params.bias": np.repeat(bias, 2, axis=1)},
            r"params.bias is float32 \[12\], the c.*\[6\]",
        ),
        ({"params.more": bias}, "cell simple_rnn, which has no params.more"),
        ({"params.bias": None}, r"its params.bias is none, the cell's float32 \[6\]"),
    ):
        rewritten(tmp_path / name, fresh[2], changes)
        with pytest.raises(InputError, match=sentence):
            load_weights(tmp_path)


def test_code_of_ones_own_is_imported_only_where_the_caller_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "from pathlib import Path\nfrom jaxrnn import simple_rnn as mgu\nPath('seen').touch()\n"
    Path("mine.py").write_text(code)
    sweep(tmp_path / "run", replace(SMALL, cell="mine.py:mgu", hidden_size=2))
    Path("seen").unlink()
    Path("mine.py").unlink()
    Path("moved").mkdir()
    Path("moved/mine.py").write_text(f"{code}# as another text is imported anew\n")
    for named in (None, "moved/mine.py:gru"):
        with pytest.raises(InputError, match=r"cell 'mine.py:mgu' is somebody's own code"):
            load_weights("run", cell=named)
    with pytest.raises(InputError, match="cell 'simple_rnn' is not somebody's own code, such as"):
        load_weights("run", cell="simple_rnn")
    assert run("inspect", "run") == 2
    assert not Path("seen").exists()
    (nets,) = load_weights("run", cell="moved/mine.py:mgu")
    assert nets.experiment.cell == "moved/mine.py:mgu"
    assert Path("seen").exists()
    assert run("inspect", "run", "moved/mine.py:mgu", "--out", "pictures") == 0
    assert len(list(Path("pictures").glob("*.png"))) == 2


def test_own_code_of_one_name_in_two_files_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for version in ("v1", "v2"):
        Path(version).mkdir()
        Path(f"{version}/mine.py").write_text("from jaxrnn import simple_rnn as net\n")
    names = ["v1/mine.py:net", "v2/mine.py:net"]
    one, other = (replace(SMALL, cell=name) for name in names)
    sweep(tmp_path / "run", one, other)
    with pytest.raises(InputError, match=r"cell 'v1/mine.py:net' is somebody's own code"):
        load_weights("run", cell=names[1])
    assert [net.experiment.cell for net in load_weights("run", cell=names)] == names
    (found,) = chosen(Path("run"), Choice(cells=names[1:]))
    assert found.experiment.cell == names[1]
    assert with_own(other, {"cell": names}).cell == names[1]
    with pytest.raises(InputError, match=r"may be any of v1/mine\.py:net and v2/mine\.py:net"):
        with_own(replace(one, cell="gone/mine.py:net"), {"cell": names})
    own = Experiment(task="a.py:last", cell="b.py:mgu", length=5)
    with pytest.raises(InputError) as refused:
        with_own(own, {"cell": [], "task": [], "objective": []})
    assert str(refused.value) == (
        "cell 'b.py:mgu' and task 'a.py:last' are somebody's own code, which is imported only "
        "where you name it: give cell b.py:mgu and task a.py:last"
    )


@pytest.mark.integration
def test_inspect_looks_at_a_run(tmp_path, capsys):
    longer = replace(SMALL, length=5)
    sweep(tmp_path, SMALL, longer, replace(longer, name="other"))
    out, stages, written = tmp_path / "new", [], []
    (out / "gradient_norms.png").mkdir(parents=True)
    look = ("inspect", tmp_path, "--length", "4", "--trial", "1", "--format", "svg", "--out", out)
    assert run(*look) == 2
    assert f"{out / 'gradient_norms.png'} is a directory" in capsys.readouterr().err
    (out / "gradient_norms.png").rmdir()
    for _ in range(2):
        assert run(*look) == 0
        pictures = [Path(path) for path in capsys.readouterr().out.split()]
        written.append([path.read_bytes() for path in pictures])
    assert written[0] == written[1]
    assert len({*written[0]}) == 4
    stems = "simple_rnn-notebook-4", "gradient_norms"
    assert [one.name for one in pictures] == [f"{s}.{end}" for s in stems for end in ("png", "svg")]
    assert all(one.startswith(b"\x89PNG") for one in written[0][::2])
    inspection.inspect(tmp_path, Choice(), out, on_stage=stages.append)
    assert stages[0] == "Drawing simple_rnn (notebook) at length 5."
    for choice, expected in (
        ({"trial": 1}, [("notebook", 5, 1), ("other", 5, 1)]),
        ({"length": 4}, [("notebook", 4, 0)]),
        ({"experiment": ["other"], "cells": ["simple_rnn"]}, [("other", 5, 0)]),
    ):
        found = chosen(tmp_path, Choice(**choice))
        assert [(one.name, one.length, row["trial"]) for one, row, *_ in found] == expected
    experiment, outcome = chosen(tmp_path, Choice(length=4, trial=1))[0].load({})
    expected = run_trials(SMALL, keep_params=True)[1]
    assert (experiment.length, outcome) == (4, expected)
    jax.tree.map(np.testing.assert_array_equal, outcome.params, expected.params)
    for flags, sentence in (
        (["--length", "6"], "keeps no weights of length 6: choose from 4, 5"),
        (["--experiment", "6a"], "weights of experiment '6a': choose from notebook, other"),
        (["--tasks", "adding"], "weights of task 'adding': choose from noise_free"),
        (["--measure", "adding"], "measure adding is not your own code"),
        (["--format", "gif"], "unknown format 'gif': choose from pdf, svg"),
    ):
        assert run("inspect", tmp_path, *flags) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1


def test_what_cannot_be_inspected_is_said_and_nets_that_differ_in_settings_are_numbered(
    tmp_path, monkeypatch
):
    def stateless(*sizes):
        one = simple_rnn(*sizes)
        return Cell(one.init, lambda _: (), lambda _, state, x: (state, jnp.zeros(sizes[2])))

    one = settled(replace(SMALL, trials=1))
    (outcome,) = run_trials(one, keep_params=True)
    monkeypatch.setitem(CELLS, "stateless", stateless)
    nets = {
        "diverged": [(one, replace(outcome, status="diverged", solved_at=None))],
        "stateless": [(replace(one, cell="stateless"), outcome)],
        "twice": [(one, outcome), (replace(one, clip=2.0), outcome)],
    }
    for name, made in nets.items():
        with RunDirectory(tmp_path / name) as directory:
            for experiment, ended in made:
                row = make_row(experiment, ended)
                directory.add([row], {row.ticket: arrays_of(ended.params)})
    for name, sentence in (
        ("diverged", rf"^trial 0 of simple_rnn .* diverged in step {outcome.steps - 1}: choose"),
        ("stateless", r"^cell stateless has no state to look at"),
    ):
        with pytest.raises(InputError, match=sentence):
            inspection.inspect(tmp_path / name, Choice(), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    pictures = inspection.inspect(tmp_path / "twice", Choice(), tmp_path / "new")
    stems = ["simple_rnn-notebook-4", "simple_rnn-notebook-4-2", "gradient_norms"]
    assert [path.stem for path in pictures] == stems


def test_inspect_imports_no_part_that_only_the_file_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    trained_by = dict.fromkeys(("initializer", "optimizer", "schedule"), "evil.py:part")
    trained_by |= {"optimizer_options": {"rise": 3}, "schedule_options": {"rise": 3}}
    one = replace(settled(SMALL), trials=1)
    (outcome,) = run_trials(one, keep_params=True)
    for name, changes in (("run", {}), ("measured", {"measure": "evil.py:errors"})):
        with RunDirectory(name) as directory:
            made = replace(one, **trained_by, **changes)
            row = make_row(made, outcome)
            directory.add([row], {row.ticket: arrays_of(outcome.params)})
    assert len(load_weights("run")) == 1
    assert run("inspect", "run", "--out", "seen") == 0
    assert len(list(Path("seen").glob("*.png"))) == 2
    assert run("inspect", "measured") == 2
    assert "measure 'evil.py:errors' is somebody's own code" in capsys.readouterr().err
    assert not Path("imported").exists()
    assert run("inspect", "measured", "--measure", "evil.py:errors") == 2
    assert Path("imported").exists()
