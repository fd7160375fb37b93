"""The weights that a run directory keeps, and the nets that are made of them again."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_last_params
from helpers import first_params, rows_of, run

from jaxrnn import CELLS, Experiment, InputError, load_weights, run_trials
from jaxrnn.problems import settled
from jaxrnn.store import run_directory
from jaxrnn.store.files import write_arrays
from jaxrnn.store.rows import make_row
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import product, run_sweep
from jaxrnn.trained import Choice, arrays_of, chosen, with_own
from jaxrnn.training import host_loop
from jaxrnn.training.tests import FINAL
from jaxrnn.training.trial import build, trial_key

TESTED = replace(settled(test_last_params.TESTED), name="mine", trials=3)
SMALL = Experiment(
    length=4, cell="simple_rnn", hidden_size=3, trials=2, window=5, max_steps=30, threshold=0.01
)
GRID = product(replace(SMALL, trials=1), {"learning_rate": (0.5, 1.0), "clip": (1.0, 5.0)})


def sweep(path, *experiments, keep_weights=True):
    with RunDirectory(path) as directory:
        run_sweep(experiments, directory, keep_weights=keep_weights)
    return {file.name: file.read_bytes() for file in sorted(path.glob("weights-*.npz"))}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A directory of TESTED with its weights, and their files."""
    path = tmp_path_factory.mktemp("fresh")
    return path, sweep(path, TESTED)


def test_a_file_is_read_by_numpy_alone(fresh):
    path, files = fresh
    (name,) = files
    assert name.startswith("weights-mine-simple_rnn-5-")
    with np.load(path / name, allow_pickle=False) as file:
        arrays = dict(file)
    assert json.loads(str(arrays.pop("experiment")))["hidden_size"] == 6
    np.testing.assert_array_equal(arrays.pop("trials"), [0, 1, 2])
    outcomes = run_trials(TESTED, keep_params=True)
    for field, leaves in zip(
        outcomes[0].params._fields, zip(*(o.params for o in outcomes), strict=True), strict=True
    ):
        if field == "own":  # has no leaves
            continue
        np.testing.assert_array_equal(arrays.pop(f"params.{field}"), np.stack(leaves))
    assert not arrays


def test_the_nets_of_a_file_do_again_what_their_rows_say(fresh):
    path, files = fresh
    (nets,) = load_weights(path)
    assert (nets.experiment, nets.trials) == (TESTED.canonical(), (0, 1, 2))
    (same,) = load_weights(str(path / next(iter(files))))
    jax.tree.map(np.testing.assert_array_equal, nets.params, same.params)
    final_test = jax.jit(jax.vmap(dict(build(TESTED).tests)[FINAL]))
    keys = jax.vmap(lambda trial: trial_key(TESTED.seed, trial))(np.arange(3))
    wrong = (np.asarray(final_test(keys, nets.params)) > TESTED.threshold).sum(1)
    assert [row["final_wrong"] for row in rows_of(path)] == wrong.tolist()


def test_a_directory_that_grew_keeps_what_a_fresh_one_does_in_the_order_of_its_rows(
    fresh, tmp_path
):
    sweep(tmp_path, replace(TESTED, trials=1))
    assert sweep(tmp_path, TESTED) == fresh[1]
    assert sweep(tmp_path, TESTED) == fresh[1]
    sweep(tmp_path, SMALL, replace(SMALL, name="other"))
    assert len(load_weights(tmp_path)) == 3


@pytest.mark.parametrize("at", ["weights", "rows"])
def test_a_kill_before_or_behind_the_weights_loses_nothing(at, fresh, tmp_path, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        what = {"weights": "write_weights", "rows": "write_whole"}[at]
        if at == "rows":
            sweep(tmp_path, replace(TESTED, trials=1))  # its config stays as it is
            whole = run_directory.write_whole
            patch.setattr(
                run_directory,
                what,
                lambda path, data: killed() if path.suffix == ".jsonl" else whole(path, data),
            )
        else:
            patch.setattr(run_directory, what, killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path, TESTED)
    held = len(load_weights(tmp_path)[0].trials) if at == "rows" else 0
    assert held == (3 if at == "rows" else 0)
    assert sweep(tmp_path, TESTED) == fresh[1]
    assert rows_of(tmp_path) == rows_of(fresh[0])


def test_trials_that_differ_in_their_settings_share_a_file(tmp_path):
    grid = settled(GRID)
    assert len(sweep(tmp_path, grid)) == 1
    assert load_weights(tmp_path)[0].experiment == grid.canonical()
    wider = settled(product(SMALL, {"learning_rate": (2.0,), "clip": (1.0,)}))
    sweep(tmp_path, replace(wider, name="grid2"))
    first, second = load_weights(tmp_path)
    assert first.trials == (0, 1, 2, 3)
    assert [first.experiment.alone(k).clip for k in range(4)] == [1.0, 5.0, 1.0, 5.0]
    assert (second.experiment.learning_rate, second.trials) == (2.0, (0, 1))


def in_half_precision(num_inputs, hidden_size, num_outputs):
    """A cell whose weights are of a type that NumPy's files do not know."""
    cell = CELLS["simple_rnn"](num_inputs, hidden_size, num_outputs)

    def cast(params, dtype):
        return jax.tree.map(lambda a: a.astype(dtype), params)

    return cell._replace(
        init=lambda *given: cast(cell.init(*given), jnp.bfloat16),
        initial_state=lambda params: cell.initial_state(cast(params, jnp.float32)),
        step=lambda params, *given: cell.step(cast(params, jnp.float32), *given),
        unroll=None,
    )


def test_weights_in_half_precision_are_kept_and_go_on_from_a_checkpoint(
    tmp_path, monkeypatch, standard_promotion
):
    monkeypatch.setitem(CELLS, "half", in_half_precision)
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    one = replace(SMALL, cell="half", max_steps=900, window=900)

    def kill(experiment, tally):
        raise KeyboardInterrupt

    with RunDirectory(tmp_path) as directory, pytest.raises(KeyboardInterrupt):
        run_sweep([one], directory, on_chunk=kill, keep_weights=True)
    assert list(tmp_path.glob("checkpoint-*"))
    sweep(tmp_path, one)
    grown = sweep(tmp_path, replace(one, trials=3))
    assert grown == sweep(tmp_path / "fresh", replace(one, trials=3))
    (nets,) = load_weights(tmp_path)
    assert {leaf.dtype for leaf in jax.tree.leaves(nets.params)} == {jnp.dtype(jnp.bfloat16)}


def test_layers_come_back_as_they_were_stacked(tmp_path):
    experiment = replace(SMALL, layers=2, trials=1)
    sweep(tmp_path, experiment)
    (nets,) = load_weights(tmp_path)
    expected = run_trials(experiment, keep_params=True)[0].params
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b), nets.params, expected)
    assert jax.tree.structure(nets.params) == jax.tree.structure(first_params(experiment))


def test_weights_that_were_not_kept_cannot_be_asked_for_later(tmp_path):
    sweep(tmp_path, SMALL, keep_weights=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        InputError, match=r"holds trial 0 of simple_rnn at length 4 without its weights"
    ):
        sweep(tmp_path, replace(SMALL, trials=3))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert not sweep(tmp_path, replace(SMALL, trials=3), keep_weights=False)
    with pytest.raises(InputError, match=r"holds no weights: name a run directory made with"):
        load_weights(tmp_path)


def rewritten(path, files, change):
    """A file with other arrays, as it might have been written."""
    (content,) = files.values()
    path.write_bytes(content)
    with np.load(path) as file:
        write_arrays(path, change(dict(file)))


def without(name):
    return lambda arrays: {one: array for one, array in arrays.items() if one != name}


def lone_array(path, files):
    with path.open("wb") as file:
        fields = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
        np.lib.format.write_array_header_1_0(file, fields)


def misplaced(path, files):
    """An archive that points before its beginning."""
    (content,) = files.values()
    end = content.rindex(b"PK\5\6")  # of its central directory, whose place is 16 bytes further on
    changed = bytearray(content)
    place = int.from_bytes(changed[end + 16 : end + 20], "little")
    changed[end + 16 : end + 20] = (place + 2**20).to_bytes(4, "little")
    path.write_bytes(changed)


def undigested(path, files):
    rewritten(path, files, lambda arrays: arrays)
    with np.load(path) as file:
        np.savez(path, **file)


def settings(**changes):
    """Of an experiment that keeps no rule of its settings."""

    def changed(arrays):
        text = json.dumps(json.loads(str(arrays["experiment"])) | changes)
        return arrays | {"experiment": np.array(text)}

    return lambda path, files: rewritten(path, files, changed)


DAMAGE = {
    "cut": (lambda path, files: path.write_bytes(next(iter(files.values()))[:-100]), ""),
    "a lone array": (lone_array, ""),
    "misplaced": (misplaced, ""),
    "no digest": (undigested, ""),
    "no trials": (
        lambda path, files: rewritten(path, files, without("trials")),
        ", its array trials is missing",
    ),
    "length 0": (settings(length=0), ", its array experiment breaks a rule, length 0 must be at"),
    "no JSON": (
        lambda path, files: rewritten(path, files, lambda a: a | {"experiment": np.array("{")}),
        ", its array experiment is not an experiment's settings as JSON",
    ),
}
LOST = "the weights in it are lost, move it away"


@pytest.mark.parametrize("name", DAMAGE)
def test_a_file_that_is_not_as_it_was_written_is_refused(name, fresh, tmp_path):
    """By itself, and in a directory that is to have more of its weights; it stays."""
    damage, fault = DAMAGE[name]
    path = tmp_path / next(iter(fresh[1]))
    damage(path, fresh[1])
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
    ((name, content),) = fresh[1].items()
    path, flipped = tmp_path / name, bytearray(content)
    for place in range(0, len(content), 61):
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(InputError) as caught:
            load_weights(path)
        assert str(caught.value) == f"{path} is corrupt: {LOST}"


def test_the_weights_of_another_net_are_not_added_to(fresh, tmp_path):
    (name,) = fresh[1]
    sweep(tmp_path, SMALL)
    (other,) = tmp_path.glob("weights-*.npz")
    other.write_bytes(fresh[1][name])
    with pytest.raises(InputError, match="holds the weights of another net: move it away"):
        sweep(tmp_path, replace(SMALL, trials=3))


def test_weights_of_other_shapes_than_their_cells_are_refused(fresh, tmp_path):
    def longer(arrays):
        return arrays | {"params.bias": np.repeat(arrays["params.bias"], 2, axis=1)}

    def more(arrays):
        return arrays | {"params.more": arrays["params.bias"]}

    for change, sentence in (
        (longer, r"its params.bias is float32 \[12\], the cell's .*\[6\]"),
        (more, "cell simple_rnn, which has no params.more"),
        (without("params.bias"), r"its params.bias is none, the cell's float32 \[6\]"),
    ):
        rewritten(tmp_path / "weights-mine.npz", fresh[1], change)
        with pytest.raises(InputError, match=sentence):
            load_weights(tmp_path)


def test_code_of_ones_own_is_imported_only_where_the_caller_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "from pathlib import Path\nfrom jaxrnn import simple_rnn as mgu\nPath('seen').touch()\n"
    Path("mine.py").write_text(code)
    sweep(tmp_path / "run", replace(SMALL, cell="mine.py:mgu", hidden_size=2))
    Path("seen").unlink()
    Path("moved").mkdir()
    Path("moved/mine.py").write_text(f"{code}# as another text is imported anew\n")
    Path("mine.py").unlink()
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
    (one,) = chosen(Path("run"), Choice(cells=["moved/mine.py:mgu"]))
    assert one.load({"cell": ["moved/mine.py:mgu"]})[0].cell == "moved/mine.py:mgu"


def test_own_code_of_one_name_in_two_files_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for version, cell in (("v1", "simple_rnn"), ("v2", "irnn")):
        Path(version).mkdir()
        Path(f"{version}/mine.py").write_text(f"from jaxrnn import {cell} as net\n")
    one, other = (replace(SMALL, cell=f"{version}/mine.py:net") for version in ("v1", "v2"))
    sweep(tmp_path / "run", one, other)
    with pytest.raises(InputError, match=r"cell 'v1/mine.py:net' is somebody's own code"):
        load_weights("run", cell="v2/mine.py:net")
    found = chosen(Path("run"), Choice(cells=["v2/mine.py:net"]))
    assert [one.experiment.cell for one in found] == ["v2/mine.py:net"]
    both = {"cell": ["v1/mine.py:net", "v2/mine.py:net"]}
    assert with_own(other, both).cell == other.cell
    with pytest.raises(InputError, match=r"may be any of v1/mine\.py:net and v2/mine\.py:net"):
        with_own(replace(one, cell="gone/mine.py:net"), both)
    nets = load_weights("run", cell=both["cell"])
    assert [net.experiment.cell for net in nets] == both["cell"]
    assert run("inspect", "run", "--cells", *both["cell"], "--out", "seen") == 0
    assert len(list(Path("seen").glob("*.png"))) == 3
    with pytest.raises(InputError, match="name at least one cell"):
        chosen(Path("run"), Choice(cells=[]))


def test_all_code_of_ones_own_that_is_to_be_named_is_said_at_once():
    own = Experiment(task="a.py:last", cell="b.py:mgu", length=5)
    with pytest.raises(InputError) as refused:
        with_own(own, {"cell": [], "task": [], "objective": []})
    assert str(refused.value) == (
        "cell 'b.py:mgu' and task 'a.py:last' are somebody's own code, which is imported only "
        "where you name it: give cell b.py:mgu and task a.py:last"
    )
    named = with_own(own, {"cell": ["new/b.py:mgu"], "task": ["a.py:last"], "objective": []})
    assert (named.cell, named.task) == ("new/b.py:mgu", "a.py:last")


def test_inspect_looks_at_a_run_and_trains_nothing(tmp_path, monkeypatch, capsys):
    longer = replace(SMALL, length=5)
    sweep(tmp_path, SMALL, longer, replace(longer, name="other"))
    monkeypatch.setattr("jaxrnn.inspection.run_trials", None)  # a call would fail
    out = tmp_path / "new"
    assert run("inspect", tmp_path, "--length", "4", "--trial", "1", "--out", out) == 0
    names = [path.split("/")[-1] for path in capsys.readouterr().out.split()]
    assert names == ["simple_rnn-notebook-4.png", "gradient_norms.png"]

    def nets(**choice):
        found = chosen(tmp_path, Choice(**choice))
        return [(e.name, e.length, row["trial"]) for e, row, *_ in found]

    assert nets(trial=1) == [("notebook", 5, 1), ("other", 5, 1)]
    assert nets(length=4) == [("notebook", 4, 0)]
    assert nets(experiment=["other"], cells=["simple_rnn"]) == [("other", 5, 0)]
    experiment, outcome = chosen(tmp_path, Choice(length=4, trial=1))[0].load({})
    expected = run_trials(SMALL, keep_params=True)[1]
    assert (experiment.length, outcome) == (4, expected)
    jax.tree.map(np.testing.assert_array_equal, outcome.params, expected.params)
    for flags, sentence in (
        (["--trial", "2"], "keeps no weights of trial 2: choose from 0, 1"),
        (["--length", "6"], "keeps no weights of length 6: choose from 4, 5"),
        (["--cells", "gru"], "keeps no weights of cell 'gru': choose from simple_rnn"),
        (["--experiment", "6a"], "weights of experiment '6a': choose from notebook, other"),
        (["--task", "adding"], "task adding is for nets to train"),
        (["--seed", "1"], "seed 1 is for nets to train"),
    ):
        assert run("inspect", tmp_path, *flags) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1


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
            directory.add([make_row(made, outcome)], arrays_of([outcome]))
    assert len(load_weights("run")) == 1
    assert run("inspect", "run", "--out", "seen") == 0
    assert len(list(Path("seen").glob("*.png"))) == 2
    assert run("inspect", "measured") == 2
    assert "measure 'evil.py:errors' is somebody's own code" in capsys.readouterr().err
    assert not Path("imported").exists()
    assert run("inspect", "measured", "--measure", "evil.py:errors") == 2
    assert Path("imported").exists()


def test_inspect_needs_kept_weights(tmp_path, capsys):
    sweep(tmp_path, SMALL, keep_weights=False)
    assert run("inspect", tmp_path) == 2
    assert "holds no weights: name a run directory made with --keep-weights" in (
        capsys.readouterr().err
    )
    assert run("inspect", tmp_path / "trials.jsonl") == 2
    assert "trials.jsonl holds no weights: name a run directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [["sweep", "--lengths", "4", "--cells", "lstm"], ["grid", "--clip", "1", "5"], ["paper", "3a"]],
    ids=lambda command: command[0],
)
def test_every_command_that_trains_keeps_weights_where_asked(command, tmp_path, monkeypatch):
    asked = []

    def run_none(experiment, *, keep_params, **options):
        asked.append(keep_params)
        raise InputError("that will do")

    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", run_none)
    for flags in ([], ["--keep-weights"]):
        assert run(*command, *flags, "--out", tmp_path) == 2
    assert asked == [False, True]
