"""Rows that are trained again: the same, changed by hand, rounded otherwise, and left out."""

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import changed, rows_ending_at, run as command, write_rows
from scipy.stats import hypergeom

from jaxrnn import Experiment, InputError, run, verify
from jaxrnn.cli.verifying import in_words
from jaxrnn.errors import Note
from jaxrnn.experiment import Ticket
from jaxrnn.rounding import LONG, Rounding, rounding
from jaxrnn.store.config import read_config
from jaxrnn.store.rows import read_rows, typed_rows
from jaxrnn.sweeps import verify as module
from jaxrnn.sweeps.verify import CHANGED, DOUBT, OF, Again, Verification

BASE = Experiment(
    length=5,
    cell="simple_rnn",
    hidden_size=6,
    trials=4,
    window=60,
    max_steps=400,
    learning_rate=(0.1, 0.3, 0.1, 0.3),
)
EVERY = [BASE, replace(BASE, length=4), replace(BASE, cell="gru", max_steps=300)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of 12 rows, some solved and some not."""
    out = tmp_path_factory.mktemp("trained")
    rows = run(EVERY, out, report=False)
    assert {row["status"] for row in rows} == {"solved", "unsolved"}
    return out


@pytest.fixture
def kept(trained, tmp_path):
    """A copy of it."""
    return shutil.copytree(trained, tmp_path / "kept")


def with_config(directory: Path, **versions: str) -> None:
    """As if it had been made with others."""
    config = read_config(directory)
    config["versions"] |= versions
    (directory / "config.json").write_text(json.dumps(config))


def test_rows_trained_again_are_the_same_to_the_bit(kept, tmp_path, capsys):
    assert command("verify", kept, "--all", "--seed", "1", "--out", tmp_path / "again") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "gru on noise_free T=5: 4 of 4 the same" in said
    assert "12 of the 12 rows of" in said
    assert "12 are the same to the bit, 0 are not. So no row is false." in said
    here = {row.ticket: row for row in typed_rows(tmp_path / "again")}
    assert here == {row.ticket: row for row in typed_rows(kept)}
    result = json.loads((tmp_path / "again" / "verify.json").read_text())
    assert (result["seed"], result["trained"], result["same"]) == (1, 12, 12)
    assert result["holds"]


def test_a_row_changed_by_hand_is_found_when_it_is_drawn(kept, tmp_path, capsys):
    rows = typed_rows(kept)
    number = next(k for k, row in enumerate(rows) if row.solved)
    outcome = rows[number].outcome
    rows[number] = changed(rows[number], solved_at=outcome.solved_at - 3)
    write_rows(kept, rows)
    out = tmp_path / "again"
    assert command("verify", kept, "--all", "--out", out) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "11 are the same to the bit, 1 are not" in said
    assert f"solved at {outcome.solved_at - 3:,}" in said
    assert f"solved at {outcome.solved_at:,}" in said
    assert "1 should be the same to the bit, and are not" in said
    assert not json.loads((out / "verify.json").read_text())["holds"]
    # A sample without it says nothing of it.
    seeds = (verify(kept, out, rows=4, seed=seed) for seed in range(99))
    found = next(one for one in seeds if not one.other)
    assert found.holds
    assert found.excluded < 1
    # A learning curve is part of the outcome, unless the rows have none.
    rows[number] = changed(rows[number], solved_at=outcome.solved_at, curve=[0.5])
    write_rows(kept, rows)
    assert len(verify(kept, out, rows=None).false) == 1
    rows[number] = changed(rows[number], curve=[])
    write_rows(kept, rows)
    assert verify(kept, out, rows=None).holds


def test_a_sample_goes_on_and_grows(kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = verify("kept", rows=5)
    out = tmp_path / "runs" / "verify-kept"
    assert len(read_rows(out)) == 5
    assert verify("kept", rows=9).seed == first.seed
    drawn = {row.ticket for row in typed_rows(out)}
    assert len(drawn) == 9
    assert drawn > {one.row.ticket for one in first.again}
    assert drawn == {typed_rows(kept)[k].ticket for k in sample(first.seed, 9)}
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", None)  # nothing is trained any more
    again = verify("kept", rows=9)
    assert again.same == 9
    (out / "verify.json").write_text("{}")
    with pytest.raises(InputError, match="has no seed: use another --out"):
        verify("kept", rows=9)


def sample(seed: int, rows: int) -> list[int]:
    return np.random.default_rng(seed).permutation(12)[:rows].tolist()


def test_rows_are_chosen_by_cell_task_and_length(kept, tmp_path):
    assert verify(kept, tmp_path / "a", cells=["gru"], rows=None).of == 4
    assert verify(kept, tmp_path / "a", longest_lag=4, rows=None).of == 4
    assert verify(kept, tmp_path / "a", tasks=["noise_free"], rows=3).of == 12
    for options, sentence in (
        ({"cells": ["lstm"]}, "no rows of cell 'lstm': choose from simple_rnn, gru"),
        ({"tasks": ["parity"]}, "no rows of task 'parity': choose from noise_free"),
        ({"longest_lag": 3}, "has no such rows: choose other cells, tasks or a longer lag"),
        ({"rows": 0}, "rows 0 must be at least 1"),
        ({"seed": -1}, "seed -1 must not be negative"),
    ):
        with pytest.raises(InputError, match=sentence):
            verify(kept, tmp_path / "b", **options)
    assert not (tmp_path / "b").exists()


def test_where_numbers_are_rounded_otherwise_only_what_must_hold_is_compared(
    kept, tmp_path, capsys
):
    with_config(kept, rounding="1-2-3")
    rows = typed_rows(kept)
    number = next(k for k, row in enumerate(rows) if row.solved)
    rows[number] = changed(rows[number], curve=[0.5])
    write_rows(kept, rows)
    out = tmp_path / "again"
    assert command("verify", kept, "--all", "--out", out) == 0
    said = capsys.readouterr()
    assert "may end here as if they had another seed: that processor rounds" in said.err
    assert "That explains it: nothing contradicts" in " ".join(said.out.split())
    # Too many that were solved in one place only.
    write_rows(kept, [opposite(row) for row in rows])
    assert command("verify", kept, "--all", "--out", out) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "12 of these 12 were solved in one place only" in said
    assert "the directory is contradicted" in said
    assert "were changed, or made by other code" not in said


def opposite(row):
    if row.solved:
        return changed(row, status="unsolved", solved_at=None)
    return changed(row, status="solved", solved_at=row.outcome.steps - 1)


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({}, []),
        ({"python": "3.99", "numpy": "9"}, []),
        ({"jax": "0.0.1"}, ["jax 0.0.1 there, "]),
        ({"rounding": ""}, ["it is not known how the processor rounds that made them"]),
    ],
)
def test_what_may_round_otherwise_is_said(versions, words, kept, tmp_path):
    with_config(kept, **versions)
    if not words:
        assert verify(kept, tmp_path / "again", rows=1).differs == []
        return
    with pytest.warns(Note, match="as if they had another seed"):
        differs = verify(kept, tmp_path / "again", rows=1).differs
    assert [one.startswith(word) for one, word in zip(differs, words, strict=True)] == [True]


def test_only_what_a_trial_computes_counts():
    here = rounding()
    there = Rounding(here.updates, "other", "other")
    made = [[{"processor": "x", "rounding": str(one)}] for one in (there, here)]

    def differences(**settings):
        return module._differences(*made, [replace(BASE, learning_rate=0.1, **settings)])

    assert differences() == []
    assert differences(initializer="orthogonal") == [
        "that processor draws other orthogonal first weights"
    ]
    assert differences(length=LONG + 2) == [
        f"that processor sums more than {LONG} time steps otherwise"
    ]
    assert module._differences([], made[1], [BASE]) == ["it is not known what they were made with"]
    two = [*made[1], {"processor": "y", "rounding": str(here)}]
    assert module._differences(two, made[1], [BASE]) == ["processor y there, x here"]


def test_code_of_somebodys_own_runs_only_if_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = "from jaxrnn import gru\ndef mine(*sizes):\n    return gru(*sizes)\n"
    Path("mine.py").write_text(text)
    own = replace(BASE, cell="mine.py:mine", max_steps=60)
    run([own, replace(BASE, max_steps=60)], "kept", report=False)
    Path("mine.py").write_text("raise SystemExit('it was run')\n")
    result = verify("kept", rows=None)
    assert (result.same, len(result.left)) == (4, 4)
    assert result.holds
    assert command("verify", "kept", "--rows", "8") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "4 more could not be trained: mine.py:mine is somebody's own code, which" in said
    Path("mine.py").write_text(text)
    for options in ({"cells": ["mine.py:mine"]}, {"code": ["mine.py:mine"]}):
        result = verify("kept", rows=None, **options)
        assert result.same == result.of
    Path("mine.py").write_text(text + "\n")
    assert command("verify", "kept", "--cells", "mine.py:mine", "--out", "other") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "4 more could not be trained: the code of mine.py:mine is not what it was" in said
    assert "Nothing was trained again, so nothing is verified." in said
    Path("mine.py").unlink()
    (why,) = {*verify("kept", "other", cells=["mine.py:mine"]).left.values()}
    assert why.startswith("cannot read mine.py")


@pytest.mark.parametrize(("of", "drawn"), [(25_052, 60), (150, 60), (12, 4), (61, 60)])
def test_the_share_of_false_rows_that_a_sample_excludes(of, drawn):
    again = [Again(*(2 * typed(1)), rounds_alike=True)] * drawn
    result = Verification(Path("kept"), Path("new"), 1, of, again, {}, [])
    least = round(result.excluded * of)
    assert hypergeom.pmf(0, of, least, drawn) <= 0.05 < hypergeom.pmf(0, of, least - 1, drawn)
    if of > 1000:
        assert f"{100 * result.excluded:.1f} %" == "4.9 %"
        assert "If 4.9 % of the rows were false" in in_words(result)[-1]


def typed(trial: int):
    """A row by hand, in a list."""
    return rows_ending_at(replace(BASE, trials=1, learning_rate=0.1), [30 + trial])


@pytest.mark.parametrize("number", [1, 12, 60, 400])
def test_the_most_that_rounding_explains(number):
    again = [Again(*(2 * typed(1)), rounds_alike=False)] * number
    most = Verification(Path("kept"), Path("new"), 1, number, again, {}, []).most_changed

    # As many or more of all that changed, if it is chance which side they are on.
    def p(k):
        return hypergeom.sf(k - 1, number + OF, CHANGED + k, number)

    assert most == number or p(most + 1) < DOUBT
    assert p(most) >= DOUBT
    assert (most < number) == (number > 1)


def test_a_result_without_rows_does_not_hold():
    left = {Ticket(BASE, 0): "why"}
    assert not Verification(Path("kept"), Path("new"), 1, 1, [], left, []).holds


@pytest.mark.integration
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the flags are of this processor")
def test_another_processor_rounds_otherwise(tmp_path, monkeypatch):
    """As far as XLA's and other libraries' settings can make one."""
    monkeypatch.delenv("XLA_FLAGS")
    code = "from jaxrnn.rounding import rounding; print(rounding())"
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))

    def seen(**environment: str) -> Rounding:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        for name in environment:
            monkeypatch.delenv(name)
        return Rounding(*done.stdout.decode().strip().split("-"))

    usual = seen()
    assert seen() == usual
    other = seen(XLA_FLAGS="--xla_cpu_max_isa=AVX")
    assert other.updates != usual.updates
    assert other.orthogonal == usual.orthogonal
    older = seen(ONEDNN_MAX_CPU_ISA="SSE41")
    assert older.long != usual.long
    assert older.updates == usual.updates
