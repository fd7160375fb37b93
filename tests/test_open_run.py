"""A run directory that is held open: asked again and again, and stopped half-way."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import ONE_DEVICE

from jaxrnn import Experiment, InputError, load_weights, open_run, run
from jaxrnn.report.summary import Rows
from jaxrnn.store import rows as rows_of_files
from jaxrnn.store.config import read_config
from jaxrnn.training import lanes as sizes

# Of some of its trials the end comes before HALF, of others after it.
BASE = Experiment(
    length=5,
    cell="simple_rnn",
    hidden_size=6,
    trials=6,
    window=60,
    max_steps=900,
    final_test=20,
    learning_rate=0.1,
)
HALF = 300


@pytest.mark.parametrize(
    "devices", [None, pytest.param(ONE_DEVICE, marks=pytest.mark.integration, id="one")]
)
def test_trials_stop_at_until_and_go_on_to_the_same_end(devices, tmp_path, monkeypatch):
    if devices:
        monkeypatch.setattr(jax, "devices", lambda: devices)
    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 50)
    out, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    of_whole = run(BASE, undisturbed, keep_weights=True, report=False)
    ends = [row["steps"] for row in of_whole]
    assert min(ends) < HALF < max(ends)
    with open_run(out, keep_weights=True, report=False) as asked:
        first = asked(BASE, until=HALF)
        assert [row.values() for row in first] == [r for r in of_whole if r["steps"] <= HALF]
        assert 0 < first.solved < 6
        assert len(list(out.glob("checkpoint-*"))) == 1
        assert asked(BASE, until=HALF) == first
        more = asked(BASE, until=HALF + 50)
        assert [row.values() for row in more] == [r for r in of_whole if r["steps"] <= HALF + 50]
    with open_run(out, keep_weights=True, report=False) as asked:  # as another process
        assert asked(BASE, until=HALF) == first
        assert [row.values() for row in asked(BASE)] == of_whole
    assert not list(out.glob("checkpoint-*"))
    assert {path.name for path in out.iterdir()} == {path.name for path in undisturbed.iterdir()}
    assert (out / "trials.jsonl").read_bytes() == (undisturbed / "trials.jsonl").read_bytes()
    nets = [load_weights(one)[0].params for one in (out, undisturbed)]
    jax.tree.map(np.testing.assert_array_equal, *nets)


def test_a_trial_that_does_not_end_stops_soon_after_until(tmp_path):
    hopeless = replace(BASE, length=20, max_steps=20_000, trials=2, threshold=1e-6)
    with open_run(tmp_path / "run", report=False) as asked:
        with pytest.raises(InputError, match="until 0 must be at least 1"):
            asked(hopeless, until=0)
        assert asked(hopeless, until=500) == []
    (path,) = (tmp_path / "run").glob("checkpoint-*")
    steps = np.load(path)["steps"]
    assert len(steps) == 2
    assert (steps >= 500).all()
    assert (steps <= 1250).all()  # three chunks of 250 more


def test_trials_that_ended_soon_after_until_are_not_trained_again(tmp_path, monkeypatch):
    """All within the chunk in which it was."""
    with open_run(tmp_path / "run", report=False) as asked:
        assert asked(replace(BASE, learning_rate=0.3, trials=2), until=20) == []
        monkeypatch.setattr("jaxrnn.sweeps.run.prepare", None)
        rows = asked(replace(BASE, learning_rate=0.3, trials=2))
    assert [row["steps"] for row in rows] == [240, 137]


def test_a_search_is_a_loop_and_reads_its_directory_once(tmp_path, monkeypatch):
    parsed, parse = [], rows_of_files._read
    monkeypatch.setattr(
        rows_of_files, "_read", lambda path, lines: parsed.append(path) or parse(path, lines)
    )
    with open_run(tmp_path / "run") as asked:
        rates = [0.1, 0.3, 1.0]
        ends = {rate: asked(replace(BASE, learning_rate=rate), until=HALF) for rate in rates}
        best = max(rates, key=lambda rate: ends[rate].solved)
        rows = asked(replace(BASE, learning_rate=best))
        both = asked([replace(BASE, learning_rate=rate) for rate in (best, 0.1)])
    assert isinstance(rows, Rows)
    assert {row["learning_rate"] for row in rows} == {best}
    assert len(rows) == 6 == len(rows.times)
    assert [*both[:6]] == [*rows]
    assert parsed == []  # what was not there at first, nor for the report
    with open_run(tmp_path / "run") as asked:
        assert asked(replace(BASE, learning_rate=best)) == rows
    assert parsed == [tmp_path / "run" / "trials.jsonl"]  # once, with its report
    assert "learning rate" in (tmp_path / "run" / "report.md").read_text()


def test_without_a_terminal_each_net_is_a_line_and_each_minute_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jaxrnn.sweeps.watch.LINE_SECONDS", 0.05)
    with open_run(tmp_path / "run", progress=True, report=False) as asked:
        asked(BASE, until=HALF)
        asked(replace(BASE, cell="irnn"))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("simple_rnn") and "solved" in line for line in lines)
    assert any(line.startswith("irnn") and "6" in line for line in lines)
    assert any(line.startswith("0 of 1 nets and lengths") for line in lines)
    assert any(line.startswith("1 of 2 nets and lengths") for line in lines)


def test_a_report_misses_no_trial_that_a_search_has_stopped(tmp_path):
    with open_run(tmp_path, report=False) as asked:
        asked(replace(BASE, trials=2), until=20)
    assert read_config(tmp_path).get("asked") is None
    with open_run(tmp_path, report=False) as asked:
        asked(replace(BASE, trials=2))
    assert read_config(tmp_path)["asked"] == [[BASE.name, "simple_rnn", 5, 2]]
