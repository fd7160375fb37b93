"""Cells that others send in: written, checked, and contradicted."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
import yaml
from helpers import pretended, run as command

from jaxrnn import CELLS, Cell, InputError
from jaxrnn.rounding import made_with
from jaxrnn.yardstick.submission import (
    ABOUT,
    SIZE,
    check_submission,
    faults_of,
    read_submission,
    sizes,
    write_submission,
)

SUBMISSIONS = Path(__file__).parents[1] / "submissions"
SAID = {name: "said" for name in ABOUT}
OWN = "from jaxrnn import gru\n\ndef mine(*sizes):\n    return gru(*sizes)\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A directory with a cell, its horizons and its submission; solved up to lag 16."""
    path = tmp_path_factory.mktemp("submission")
    (path / "mine.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        pretended(patch, lambda one: 500 if one.length <= 16 else None)
        patch.setattr("jaxrnn.sweeps.run.check", lambda *_, **__: None)  # nothing is trained
        patch.setattr("jaxrnn.yardstick.run.seconds_a_time_step", lambda *_, **__: 1e-6)
        patch.setattr("jaxrnn.yardstick.sizes.seconds_a_time_step", lambda *_, **__: 1e-6)
        words = "horizon mine.py:mine --tasks parity copying --quick --longest-lag 32"
        assert command(*words.split(), "--submission", "sent/mine") == 0
    fill_in(path / "sent" / "mine", **SAID)
    return path


@pytest.fixture
def written(trained, tmp_path, monkeypatch):
    """A copy of it, and the submission there."""
    monkeypatch.chdir(shutil.copytree(trained, tmp_path / "copy"))
    return Path("sent/mine")


def fill_in(directory, **values):
    path = directory / "submission.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | values, sort_keys=False))


def faults(directory, *code):
    return check_submission(read_submission(directory), code)


def test_a_submission_says_all_that_can_be_checked(written, capsys):
    values = read_submission(written).values
    assert values["cell"] == "mine.py:mine"
    assert values["protocol"] == "2 quick"
    assert values["weights"] == "3 I H + 3 H^2 + H O + 3 H + O"
    assert values["state"] == "H"
    assert values["horizons"] == {"copying": "16 (16-32)", "parity": "16 (16-32)"}
    assert (written / "mine.py").read_text() == OWN
    assert {"report.html", "config.json", "protocol.json"} <= {p.name for p in written.iterdir()}
    assert faults(written, "mine.py:mine") == []
    # Wherever it is, and whatever stands beside it.
    Path("mine.py").write_text("raise SystemExit\n")
    moved = shutil.move(written, "elsewhere")
    assert faults(Path(moved), "mine.py:mine") == []


def test_what_only_the_author_knows_is_asked_for_and_kept(written):
    fill_in(written, authors=["A. Turing"], licence="FILL IN: of the cell's file", paper="")
    assert [one.partition(":")[0] for one in faults(written, "mine.py:mine")] == [
        "submission.yaml does not say paper",
        "submission.yaml does not say licence",
    ]
    write_submission(Path("runs/horizon-quick-to-32"), "mine.py:mine", written)
    assert read_submission(written).values["authors"] == ["A. Turing"]


def test_code_is_run_only_if_it_is_named(written):
    (written / "mine.py").write_text("raise SystemExit('it was run')\n")
    (fault,) = faults(written)
    assert fault == "its code was not run: to check it, add --code mine.py:mine"
    assert command("verify", written) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weights": "H"}, "submission.yaml says 'H' for weights, and it is '3 I H + 3 H^2 +"),
        ({"state": None}, "submission.yaml says None for state, and it is 'H'"),
        ({"protocol": "1 full"}, "submission.yaml says '1 full' for protocol, and it is '2 quick'"),
        ({"horizons": {"parity": "32 (16-64)"}}, "for horizons, and it is {"),
    ],
)
def test_what_the_file_says_is_held_against_the_rows_and_the_cell(change, sentence, written):
    fill_in(written, **change)
    (fault,) = faults(written, "mine.py:mine")
    assert sentence in fault


def test_other_code_than_the_rows_were_made_with_is_found(written):
    (written / "mine.py").write_text(OWN + "# changed\n")
    assert faults(written, "mine.py:mine") == [
        "the code of mine.py:mine is not what its rows were made with"
    ]


def test_what_is_no_submission_is_a_sentence(written, capsys, monkeypatch):
    path = written / "submission.yaml"
    good = path.read_text()
    for text, sentence in (
        ("a: [", "is not YAML"),
        ("- 1", "is no submission: it names no cell"),
        ("cell: lstm", "a submission is of one cell of your own, as file.py:name, not of 'lstm'"),
        ("cell: ../mine.py:mine", "has to stand in sent/mine itself"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=sentence):
            read_submission(written)
    path.write_text(good)
    (written / "mine.py").unlink()
    with pytest.raises(InputError, match=r"cannot read sent/mine/mine\.py"):
        faults(written, "mine.py:mine")
    for cells in (["lstm"], ["mine.py:mine", "gru"], []):
        assert command("horizon", *cells, "--submission", "other") == 2
        assert "a submission is of one cell of your own" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(InputError, match=r"need PyYAML: pip install 'jaxrnn\[submissions\]'"):
        read_submission(written)


def test_only_nets_that_are_over_on_the_packages_tasks_are_submitted(written):
    out = Path("runs/horizon-quick-to-32")
    lines = (out / "trials.jsonl").read_text().splitlines(keepends=True)
    (out / "trials.jsonl").write_text("".join(lines[:-4]))
    with pytest.raises(InputError, match=r"searches of mine\.py:mine on .* are not over"):
        write_submission(out, "mine.py:mine", Path("other"))
    text = "".join(lines).replace('"task": "parity"', '"task": "tasks.py:parity"')
    (out / "trials.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"the package's own tasks, not of tasks\.py:parity"):
        write_submission(out, "mine.py:mine", Path("other"))


# The contract


def leaky(step=None, unroll=None, initial=None):
    """A cell of SIZE that breaks one rule."""
    num_inputs, hidden_size, num_outputs = SIZE

    def init(key, initializer):
        w, u, v = jax.random.split(key, 3)
        return (
            initializer.weights(w, 1, num_inputs, hidden_size),
            initializer.weights(u, 1, hidden_size, hidden_size),
            initializer.weights(v, 1, hidden_size, num_outputs),
        )

    def usual(params, h, x):
        w, u, v = params
        h = jnp.tanh(x @ w + h @ u)
        return h, h @ v

    made = Cell(init, initial or (lambda params: jnp.zeros(hidden_size)), step or usual)
    return made._replace(unroll=unroll) if unroll else made


def over(change):
    """An unroll whose inputs are changed as a whole first."""

    def unroll(params, state, xs, steps_at_once=1):
        return jax.lax.scan(lambda h, x: leaky().step(params, h, x), state, change(xs))

    return unroll


@jax.custom_vjp
def wrong(x):
    return x


wrong.defvjp(lambda x: (x, None), lambda _, g: (2 * g,))


def test_a_cell_that_keeps_its_contract_has_no_faults():
    assert faults_of("mine", leaky()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CELLS if name != "memory_blocks"])
def test_the_cells_of_the_package_have_no_faults(name):
    assert faults_of(name, CELLS[name](*SIZE)) == []


@pytest.mark.parametrize(
    ("cell", "sentences"),
    [
        (
            leaky(unroll=over(lambda xs: xs + xs.mean(0, keepdims=True))),
            ["looks ahead", "outside", "another fun"],
        ),
        (leaky(unroll=over(lambda xs: xs.cumsum(0))), ["keeps something outside", "another fun"]),
        (leaky(unroll=over(lambda xs: 2 * xs)), ["another function by its unroll"]),
        (leaky(step=lambda p, h, x: leaky().step(p, wrong(h), x)), ["another gradient"]),
    ],
)
def test_each_broken_rule_is_a_sentence(cell, sentences):
    found = faults_of("mine", cell)
    assert len(found) == len(sentences)
    assert all(word in one for word, one in zip(sentences, found, strict=True))


def test_sizes_are_functions_of_the_units():
    assert sizes("lstm") == ("4 I H + 4 H^2 + H O + 4 H + O", "2 H")
    assert sizes("delta_net")[1] == "H^2"
    assert sizes("exp_rnn")[0].startswith("I H + 0.5 H^2 + H O + 0.5 H")


# Those that came


@pytest.mark.integration
@pytest.mark.usefixtures("as_users_have_it")
def test_the_example_is_as_it_says_and_the_changed_one_is_contradicted(tmp_path, capsys):
    words = ["--code", "leaky.py:leaky", "--rows", "12", "--longest-lag", "16", "--seed", "1"]
    assert command("verify", SUBMISSIONS / "leaky", *words, "--out", tmp_path / "a") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "leaky.py:leaky keeps its contract" in said
    assert "nothing contradicts" in said.lower() or "12 are the same to the bit" in said
    # As if it had been made here, or rounding could explain it.
    changed = shutil.copytree(SUBMISSIONS / "changed_leaky", tmp_path / "changed")
    config = json.loads((changed / "config.json").read_text())
    (changed / "config.json").write_text(json.dumps(config | {"versions": made_with()}))
    assert command("verify", changed, *words, "--out", tmp_path / "b") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "11 are not" in said  # one diverged at once, whatever the cell
    assert "they were changed, or made by other code" in said
