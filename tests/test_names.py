"""A user's own cells, tasks, objectives, optimizers and initializers, by name."""

import json
import re
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers import pretended, rows_ending_at, run as command, write_rows
from test_rows import CONFIG

import jaxrnn
from jaxrnn import CELLS, NOTEBOOK, Experiment, InputError, open_run, run, run_trials
from jaxrnn.errors import Note
from jaxrnn.names import NAMED, carried, digests, find, own_names, sources
from jaxrnn.problems import settled
from jaxrnn.store.archives import CheckpointFile
from jaxrnn.store.rows import typed_rows
from jaxrnn.training.parts import num_weights, parts_of
from jaxrnn.training.trial import build
from jaxrnn.yardstick import PREFIX, TASKS as HORIZONS
from jaxrnn.yardstick.reference import in_json
from jaxrnn.yardstick.search import SINGLE

OWN = '''
"""Everything that can be one's own, each a copy of what the package has."""
import jax
import jax.numpy as jnp
import numpy as np
import optax
import jaxrnn
from jaxrnn.training.objectives import half_squared_error as loss

sgd = jaxrnn.clipped_sgd
first = jaxrnn.notebook_xavier

def lstm(*sizes):
    return jaxrnn.lstm(*sizes)

def last(length):
    return jaxrnn.noise_free(length)._replace(objective="half_squared_error")

def raises(*sizes):
    raise SystemExit(3)

def number(*sizes):
    return 3

def whole_weights(*sizes):
    cell = jaxrnn.lstm(*sizes)
    return cell._replace(
        init=lambda key, initializer: (cell.init(key, initializer), jnp.int32(3)),
        step=lambda params, state, x: cell.step(params[0], state, x),
        initial_state=lambda params: cell.initial_state(params[0]),
        unroll=None,
    )

def forgets_its_state(*sizes):
    cell = jaxrnn.lstm(*sizes)
    return cell._replace(step=lambda p, s, x: (s.hidden, cell.step(p, s, x)[1]), unroll=None)

def masked_by_numbers(length):
    task = jaxrnn.noise_free(length)
    mask = jnp.ones(length - 1)
    return task._replace(draw=lambda key: task.draw(key)._replace(mask=mask))

def any_key():
    return jax.random.key(np.random.randint(1000))

def drawn_by_numpy(length):
    task = jaxrnn.noise_free(length)
    return task._replace(draw=lambda key: task.draw(any_key()))

def begun_by_numpy(*sizes):
    cell = jaxrnn.lstm(*sizes)
    return cell._replace(init=lambda key, initializer: cell.init(any_key(), initializer))

def in_half(learning_rate, clip, clipping):
    def update(updates, state, params=None):
        return updates, jnp.float16(0)
    return optax.GradientTransformation(lambda params: jnp.float32(0), update)

def twice(outputs, targets):
    return 2 * loss(outputs, targets)[1]
'''

EXPERIMENT = Experiment(length=5, trials=3, hidden_size=4, window=20, max_steps=60)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The directory of a file mine.py, which is the current one."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(OWN)
    return tmp_path


@pytest.mark.integration
def test_ones_own_parts_are_trained_as_those_of_the_tables(own, monkeypatch):
    """From a module, and from a file."""
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    Path("sub").mkdir()
    Path("sub/mine.py").write_text(OWN)
    theirs = replace(EXPERIMENT, objective="half_squared_error")
    named = replace(
        EXPERIMENT,
        cell="mine:lstm",
        task="sub/mine.py:last",
        optimizer="mine:sgd",
        initializer="sub/mine.py:first",
    )
    assert run_trials(named) == run_trials(theirs)
    named = replace(EXPERIMENT, objective="mine:loss", measure="sub/mine.py:twice")
    curves, own_curves = ([one.curve for one in run_trials(each)] for each in (theirs, named))
    np.testing.assert_allclose(own_curves, 2 * np.array(curves), rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"cell": "mine.py"}, "unknown cell 'mine.py': choose from .* or file.py:name"),
        ({"cell": "none.py:lstm"}, "cannot read none.py: No such file or directory"),
        ({"cell": "broken.py:x"}, r"broken.py fails with SyntaxError: .*\(broken.py, line 2\)"),
        ({"cell": "ends.py:x"}, r"ends.py fails with GeneratorExit: ?\(ends.py line 1\)"),
        ({"cell": "mine.py:gru"}, "cell mine.py:gru: mine.py has no 'gru', it has any_key, be.*"),
        ({"cell": "mine.py:raises"}, r"cell .* fails with SystemExit: 3 \(mine.py line 20\)"),
        ({"cell": "mine.py:whole_weights"}, "cell .* gives weights of type int32: it has to .*"),
        ({"cell": "mine.py:forgets_its_state"}, "cell mine.py:forgets_its_state fails with .*"),
        ({"task": "mine.py:masked_by_numbers"}, "task .* gives mask of type float32: it has .*"),
        ({"measure": "mine.py:number"}, r"measure .* gives errors of shape \(\): the.*"),
        ({"optimizer": "mine.py:in_half"}, "optimizer .* changes the shapes or types of its st.*"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_compiled(settings, sentence, own):
    Path("broken.py").write_text("x = 1\nx = (\n")
    Path("ends.py").write_text("raise GeneratorExit\n")
    with pytest.raises(InputError) as refused:
        parts_of(replace(EXPERIMENT, **settings))
    assert re.fullmatch(sentence, str(refused.value))


def test_what_is_drawn_by_numpy_is_drawn_once_and_found(own):
    drawn = replace(EXPERIMENT, task="mine.py:drawn_by_numpy")
    with pytest.raises(InputError, match=r"mine\.py:drawn_by_numpy draws one and the same seq"):
        build(drawn)
    with pytest.warns(Note, match=r"cell mine\.py:begun_by_numpy begins with the same weights"):
        build(replace(EXPERIMENT, cell="mine.py:begun_by_numpy"))
    with warnings.catch_warnings(action="error"):
        build(replace(EXPERIMENT, cell="mine.py:lstm", task="mine.py:last"))


def test_a_script_that_runs_what_it_defines_is_itself_or_is_refused(own, monkeypatch):
    Path("runs.py").write_text(
        "from jaxrnn import CELLS, lstm\n"
        "from jaxrnn.names import find\n"
        "found = find(CELLS, 'cell', 'runs.py:lstm')\n"
    )
    with pytest.raises(InputError) as refused:
        find(CELLS, "cell", "runs.py:lstm")
    assert str(refused.value) == (
        "runs.py runs an experiment of its own while it is imported: put that under "
        'if __name__ == "__main__":'
    )
    script = ModuleType("__main__")
    script.__file__ = str(own / "runs.py")
    monkeypatch.setitem(sys.modules, "__main__", script)
    exec(Path("runs.py").read_text(), vars(script))
    assert script.found is jaxrnn.lstm


def test_a_file_that_has_changed_is_read_again_one_that_has_not_is_not(own):
    builder = find(CELLS, "cell", "mine.py:lstm")
    assert find(CELLS, "cell", "mine.py:lstm") is builder
    named = replace(EXPERIMENT, cell="mine.py:lstm")
    assert parts_of(named) is parts_of(named)
    before = digests([named])
    Path("mine.py").write_text(OWN.replace("jaxrnn.lstm(", "jaxrnn.simple_rnn(", 1))
    assert find(CELLS, "cell", "mine.py:lstm") is not builder
    assert own_names([named, EXPERIMENT]) == list(before) == ["mine.py:lstm"]
    assert digests([named]) != before
    assert num_weights(named) == num_weights(replace(EXPERIMENT, cell="simple_rnn"))


def test_what_stands_beside_a_file_is_imported_and_no_other_module_of_its_name(own):
    before = list(sys.path)
    for version, cell in (("v1", "simple_rnn"), ("v2", "gru")):
        Path(version).mkdir()
        Path(f"{version}/beside.py").write_text(f"from jaxrnn import {cell} as cell\n")
        Path(f"{version}/mine.py").write_text(
            f"import json\nfrom beside import cell  # {version}\n"
        )
    assert find(CELLS, "cell", "v1/mine.py:cell") is jaxrnn.simple_rnn
    assert sys.path == before
    with pytest.raises(
        InputError, match=r"^v2/mine.py imports beside, and .*v1/beside.py has that"
    ):
        find(CELLS, "cell", "v2/mine.py:cell")
    del sys.modules["beside"]


def test_files_that_are_carried_stand_for_those_of_the_machine(own):
    named = replace(EXPERIMENT, cell="mine.py:lstm", task="sub/mine.py:last")
    Path("sub").mkdir()
    Path("sub/mine.py").write_text(OWN)
    files = sources([named, EXPERIMENT])
    assert files == {"mine.py": OWN.encode(), "sub/mine.py": OWN.encode()}
    Path("mine.py").unlink()
    with pytest.raises(InputError, match=r"cannot read mine\.py"):
        find(CELLS, "cell", "mine.py:lstm")
    with carried(files):
        assert callable(find(CELLS, "cell", "mine.py:lstm"))
    with pytest.raises(InputError, match=r"cannot read mine\.py"):
        find(CELLS, "cell", "mine.py:lstm")


def test_a_run_directory_holds_to_the_code_that_it_was_begun_with(own, monkeypatch):
    pretended(monkeypatch, lambda one: None)
    named = replace(EXPERIMENT, cell="mine.py:lstm")
    rows = run(named, "out", report=False)
    assert {row["cell"] for row in rows} == {"mine.py:lstm"}
    assert json.loads(Path("out/config.json").read_text())["sources"] == digests([named])
    assert run(named, "out", report=False) == rows
    Path("mine.py").write_text(OWN + "\n# another\n")
    for asked in (named, [EXPERIMENT, replace(named, length=6)]):
        with pytest.raises(InputError, match=r"out holds trials of mine\.py:lstm as it was before"):
            run(asked, "out", report=False)
    # What names no code of it goes on, as does the rest once it is changed back.
    assert len(run(EXPERIMENT, "out", report=False)) == 6
    Path("mine.py").write_text(OWN)
    assert len(run(replace(named, trials=4), "out", report=False)) == 7


EVIL = "open('imported', 'w').close()\n\ndef part(*sizes):\n    raise OSError\n"
NAMED_BY_ROWS = ("evilmod:part", "evil.py:part")


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module and a file that leave a mark when they are imported."""
    monkeypatch.chdir(tmp_path)
    for name in ("evilmod.py", "evil.py"):
        Path(name).write_text(EVIL)
    monkeypatch.setattr("jaxrnn.yardstick.run.seconds_a_time_step", lambda *_, **lanes: 1e-6)
    monkeypatch.setattr("jaxrnn.yardstick.sizes.seconds_a_time_step", lambda *_, **size: 1e-6)
    yield
    assert not Path("imported").exists()
    assert "evilmod" not in sys.modules
    with pytest.raises(InputError, match="cell evilmod:part fails with OSError"):
        parts_of(replace(EXPERIMENT, cell="evilmod:part"))
    assert Path("imported").exists()
    del sys.modules["evilmod"]


def held(out, suite, protocol=None):
    """A directory whose rows, checkpoint and configuration name code for every part."""
    base = settled(replace(suite.at(suite.cells[0]), trials=1, max_steps=1100))
    if protocol is None:
        base = replace(base, name="mine")
    else:
        note = {"role": "search", "search": 1, "setting": 1, "repeat": 0, "lags": "8"}
        base = replace(base, note=note | {"protocol": 2, "plan": "full"})
    parts = NAMED if protocol is None else ("cell",)
    own = [replace(base, **dict.fromkeys(parts, name)) for name in NAMED_BY_ROWS]
    if base.name.startswith(PREFIX):
        own.append(replace(base, cell="gru", task="evil.py:part", name=f"{PREFIX}evil.part"))
    out.mkdir()
    write_rows(out, [row for one in own for row in rows_ending_at(one, [70])])
    sources = dict.fromkeys(NAMED_BY_ROWS, "0" * 16)
    (out / "config.json").write_text(json.dumps(CONFIG | {"sources": sources}))
    (begun,) = replace(own[0], seed=5).tickets()
    CheckpointFile(out / "checkpoint-mine.npz").save({begun: {}})
    if protocol is not None:
        (out / "protocol.json").write_text(json.dumps(in_json(protocol)))
    return out


def test_no_command_imports_what_only_rows_name(evil, tmp_path, monkeypatch, capsys):
    out, protocol = tmp_path / "out", replace(SINGLE, max_steps=1100, longest_lag=8)
    pretended(monkeypatch, lambda one: None)
    monkeypatch.setattr("jaxrnn.cli.commands.protocol_of", lambda *_, **lags: protocol)
    monkeypatch.setattr("jaxrnn.yardstick.reference.shipped", lambda protocol: tmp_path / "none")
    held(out, HORIZONS["copying"], protocol)
    words = ["horizon", "simple_rnn", "--tasks", "copying", "--out", out]
    assert command(*words) == 0, capsys.readouterr().err
    report, notes = ((out / name).read_text() for name in ("report.md", "notes.md"))
    assert all(one in report for one in NAMED_BY_ROWS)
    assert (out / "checkpoint-mine.npz").exists()
    # Their weights and state are not known.
    units = HORIZONS["copying"].base.hidden_size
    assert f"|evilmod:part|-|-|{units}|" in notes.replace(" ", "")
    assert "|simple_rnn|-|" not in notes.replace(" ", "")


def test_nothing_from_python_imports_what_only_rows_name(evil, tmp_path, monkeypatch):
    pretended(monkeypatch, lambda one: None)
    out = held(tmp_path / "out", NOTEBOOK)
    rows = typed_rows(out)
    with open_run(out, report=False) as asked:
        assert len(asked(replace(EXPERIMENT, trials=4))) == 4
    assert {line.cell for line in jaxrnn.write_report(out)} == {"lstm", *NAMED_BY_ROWS}
    assert {line.cell for line in jaxrnn.summarize(rows)} == {*NAMED_BY_ROWS}
    with pytest.raises(InputError, match="holds no weights"):
        jaxrnn.load_weights(out)
