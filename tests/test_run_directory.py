"""What a run directory holds, and how it grows."""

import json
import platform
import re
import warnings
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import ONE_DEVICE, rows, rows_ending_at, rows_of, run_sweep
from test_sweep import BASE

from jaxrnn import NOTEBOOK, Experiment, InputError, run_horizon, run_trials
from jaxrnn.errors import Note
from jaxrnn.problems import settled
from jaxrnn.store import run_directory
from jaxrnn.store.rows import make_row
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import product
from jaxrnn.training import lanes as sizes, loop
from jaxrnn.training.runner import prepare
from jaxrnn.yardstick.reference import begun
from jaxrnn.yardstick.search import SINGLE

SMALL = settled(Experiment(length=5, trials=3, window=60, max_steps=200))


def expected(*experiments):
    """The rows that a fresh directory would hold."""
    made = [make_row(one, outcome) for one in experiments for outcome in run_trials(one)]
    return [json.loads(json.dumps(row.values())) for row in made]


def config_of(path):
    return json.loads((path / "config.json").read_text())


def contents(path):
    return {one.name: one.read_bytes() for one in path.iterdir()}


def test_a_directory_grows_by_lengths_cells_experiments_and_trials(tmp_path, monkeypatch):
    def noted(tickets, **options):
        ran.extend(tickets.waiting)
        return prepare(tickets, **options)

    def sweep(*experiments):
        """The trials that were run."""
        ran.clear()
        with RunDirectory(tmp_path) as directory:
            run_sweep(experiments, directory)
        return [*ran]

    ran: list = []
    monkeypatch.setattr("jaxrnn.sweeps.run.prepare", noted)
    monkeypatch.setattr(jax, "devices", lambda: ONE_DEVICE)  # one after another
    lstm, more = SMALL, replace(SMALL, trials=5)
    assert sweep(lstm) == lstm.tickets()
    assert sweep(lstm) == []
    longer, rnn = replace(SMALL, length=6), replace(SMALL, cell="simple_rnn")
    assert sweep(lstm, longer) == longer.tickets()
    assert sweep(rnn, lstm) == rnn.tickets()
    other = replace(SMALL, name="other", learning_rate=0.5)
    assert sweep(other) == other.tickets()
    assert sweep(more) == more.tickets()[3:]
    assert sweep(replace(SMALL, trials=2)) == []  # what is there already stays
    # Of one name, told apart by all settings. Rows are in the order of what was asked last.
    rate, task = replace(other, learning_rate=0.3), replace(other, task="no_regularities")
    assert sweep(rate, other, task) == rate.tickets() + task.tickets()
    assert sweep(more, rnn, longer, task, rate, other) == []
    assert rows_of(tmp_path) == expected(more, rnn, longer, task, rate, other)


def admitted(path, *experiments):
    """A directory that has been asked for them and left, and the trials that it lacked."""
    with RunDirectory(path) as directory:
        directory.admit(experiments)
        return [directory.missing(one) for one in experiments]


def hold(path, *experiments):
    """The rows of experiments, trained by nobody."""
    with RunDirectory(path) as directory:
        directory.admit(experiments)
        for one in experiments:
            directory.add(rows_ending_at(one, [20] * one.trials))


def test_a_directory_holds_whatever_it_is_given_and_what_stands_in_it_stays(tmp_path):
    hold(tmp_path, SMALL)
    held = rows_of(tmp_path)
    changed = replace(SMALL, clip=3), replace(SMALL, task="no_regularities")
    hold(tmp_path, *changed)
    assert rows_of(tmp_path)[:3] == held
    # Settings stand once, and the trials under them follow.
    lines = (tmp_path / "trials.jsonl").read_text().splitlines()
    assert ["status" in json.loads(line) for line in lines] == [False, True, True, True] * 3
    (tmp_path / "config.json").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path, sentence in (
        (tmp_path, "holds trials.jsonl but no config.json"),
        (tmp_path / "link", "cannot write to"),
    ):
        with pytest.raises(InputError, match=sentence):
            admitted(path, SMALL)


def test_a_grid_grows_where_its_trials_keep_their_numbers(tmp_path):
    grid, wider, otherwise = (
        settled(product(replace(BASE, trials=2), {"forget_bias": biases}))
        for biases in ((0.0, 1.0), (0.0, 1.0, 2.0), (1.0, 0.0, 2.0))
    )
    hold(tmp_path, grid)
    assert admitted(tmp_path, wider) == [wider.tickets()[4:]]
    hold(tmp_path, wider)
    # Under other numbers they are other trials.
    assert admitted(tmp_path, otherwise) == [otherwise.tickets()[:4]]


def ended(length):
    """A short experiment's rows, trained by nobody."""
    return rows("lstm", length, [1100, None])


def order_of(path):
    return [(row["length"], row["trial"]) for row in rows_of(path)]


def test_what_a_kill_has_left_of_the_rows_is_put_in_order(tmp_path):
    """Rows are added to the file, and put in order on leaving."""
    four, five, six = (settled(replace(NOTEBOOK.base, length=n, trials=2)) for n in (4, 5, 6))
    in_order = [(n, trial) for n in (4, 5, 6) for trial in (0, 1)]
    path = tmp_path / "trials.jsonl"
    with RunDirectory(tmp_path) as directory:
        directory.admit([four, five, six])
        for length in (6, 4):
            directory.add(ended(length))
        assert order_of(tmp_path) == [(n, trial) for n in (6, 4) for trial in (0, 1)]
        text = path.read_text()
        directory.add(ended(5))
        assert [(row["length"], row["trial"]) for row in directory.rows] == in_order
    assert order_of(tmp_path) == in_order
    path.write_text(text[:-100])  # within the last line
    torn = "line 6 has no end, as after a kill: this trial counts as not"
    with ExitStack() as stack:
        with pytest.warns(Note, match=torn):
            directory = stack.enter_context(RunDirectory(tmp_path))
        directory.admit([four, five, six])
        missing = [four.tickets()[1:], five.tickets(), []]
        assert [directory.missing(one) for one in (four, five, six)] == missing
        directory.add(ended(4)[1:])
        assert len(rows_of(tmp_path)) == 4  # the line without an end is gone
        directory.add(ended(5))
    assert order_of(tmp_path) == in_order
    assert path.read_text().count("\n") == 9
    # Not by a command that is refused, but where none is left to run.
    path.write_text(text)
    with RunDirectory(tmp_path) as directory, pytest.raises(InputError, match="its weights"):
        directory.admit([four, six], keep_weights=True)
    assert path.read_text() == text
    with RunDirectory(tmp_path) as directory:
        directory.admit([four, six])
    assert order_of(tmp_path) == [(n, trial) for n in (4, 6) for trial in (0, 1)]


def test_to_open_a_directory_takes_time_in_proportion_to_its_rows(tmp_path, monkeypatch):
    """Not to its experiments times its rows."""
    experiments = [settled(replace(NOTEBOOK.base, length=n, trials=2)) for n in range(5, 45)]
    with RunDirectory(tmp_path) as directory:
        directory.admit(experiments)
        directory.add([row for n in range(5, 45) for row in ended(n)])
    counts = {}
    for name in ("__hash__", "__post_init__"):
        counts[name], method = Counter(), getattr(Experiment, name)
        count = lambda one, of=counts[name], do=method: of.update([one.length]) or do(one)  # noqa: E731
        monkeypatch.setattr(Experiment, name, count)
    with RunDirectory(tmp_path) as directory:
        directory.admit(experiments)
        assert not any(map(directory.missing, experiments))
    assert max(counts["__hash__"].values()) <= 60
    assert max(counts["__post_init__"].values()) <= 15


def test_a_killed_growth_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    more, seen = replace(SMALL, trials=6), []
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with RunDirectory(tmp_path) as directory:
        run_sweep([SMALL], directory)

    def tell(first, tally):
        seen.append(tally.trial_steps)
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 20)
    with RunDirectory(tmp_path) as directory, pytest.raises(KeyboardInterrupt):
        run_sweep([more], directory, on_chunk=tell, lanes=2)
    (left,) = tmp_path.glob("checkpoint-*.npz")
    assert re.fullmatch(r"checkpoint-net-lstm-5-[0-9a-f]{8}\.npz", left.name)
    with RunDirectory(tmp_path) as directory:
        run_sweep([more], directory, on_chunk=tell, lanes=2)
    assert seen[3] > seen[0]
    assert rows_of(tmp_path) == expected(more)
    assert not list(tmp_path.glob("checkpoint-*"))


def test_going_on_under_other_versions_or_in_another_precision_is_said_and_kept(
    tmp_path, monkeypatch
):
    here, versions = run_directory.device(), run_directory.made_with()
    newer, gpu = versions | {"jax": "9.9"}, "1 gpu device (H100)"
    more_cores, double = here.replace(" cores", "0 cores"), here.replace(" (", " in float64 (")
    with RunDirectory(tmp_path) as directory:
        directory.admit([SMALL])
        directory.made_on(versions, gpu)
        assert config_of(tmp_path)["device"] == gpu
        directory.made_on(versions, here)  # none was made there
        directory.add(rows_ending_at(SMALL, [20] * 3))
    for made_with, where, trials, sentence in (
        (newer, here, 3, None),  # nothing is run
        (versions, more_cores, 4, None),  # how many there are decides nothing
        (newer, here, 4, f"was begun with jax {versions['jax']} and goes on with jax 9.9: it has"),
        (newer, more_cores, 5, "goes on with jax 9.9"),
        (versions, double, 5, f"goes on with processor {platform.machine()} in float64"),
    ):
        monkeypatch.setattr(run_directory, "made_with", lambda made_with=made_with: made_with)
        monkeypatch.setattr(run_directory, "device", lambda where=where: where)
        with warnings.catch_warnings(record=True) as said, RunDirectory(tmp_path) as directory:
            warnings.simplefilter("always")
            directory.admit([replace(SMALL, trials=trials)])
            directory.admit([replace(SMALL, trials=9)], here=False)  # this is not where they run
        assert len(said) == (sentence is not None)
        assert not said or sentence in str(said[0].message)
    with RunDirectory(tmp_path) as directory, pytest.warns(Note, match="on with processor H100"):
        directory.made_on(versions, gpu)
    config = config_of(tmp_path)
    assert (config["versions"], config["device"]) == (versions, here)
    resumed = [(newer, here), (versions, double), (versions, gpu)]
    assert [(one["versions"], one["device"]) for one in config["resumed"]] == resumed


def test_a_checkpoint_gives_the_trials_that_are_still_to_end_from_all_its_parts(tmp_path):
    b = replace(SMALL, trials=2, learning_rate=(1.0, 0.1))
    a = replace(SMALL, trials=3, learning_rate=(1.0, 0.2, 0.3))  # whose first trial is b's

    def state(ticket):
        return {"steps": np.array(round(10 * ticket.experiment.learning_rate))}

    def checkpoint(directory, part):
        return directory.checkpoint(SMALL.batch(), lambda: None, part)

    with RunDirectory(tmp_path) as directory:
        directory.admit([b, a])
        for part, some in (("", b.tickets()), ("1", a.tickets()[1:2]), ("2", a.tickets()[2:])):
            checkpoint(directory, part).save({ticket: state(ticket) for ticket in some})
    with RunDirectory(tmp_path) as directory:
        directory.admit([a, b])
        loaded = checkpoint(directory, "").load()
        assert loaded == {ticket: state(ticket) for ticket in {*a.tickets(), *b.tickets()}}
        directory.add(rows_ending_at(a, [20] * 3))
        assert checkpoint(directory, "1").load() == {one: state(one) for one in b.tickets()[1:]}
        for part in ("", "1", "2"):
            checkpoint(directory, part).sweep()
        assert [path.name.count("-") for path in tmp_path.glob("checkpoint-*")] == [4]


def test_what_kills_have_left_is_swept_on_entering_and_on_leaving(tmp_path):
    ended, begun = replace(SMALL, trials=1), replace(SMALL, length=7)
    left = ["trials.jsonl.0123abcd.tmp", "report.html.89abcdef.tmp", "beside/a.01234567.tmp"]
    (tmp_path / "beside").mkdir()
    (tmp_path / "mine.tmp").write_text("of the user")

    def checkpoint(of):
        file = directory.checkpoint(of.batch(), lambda: None)
        file.save({ticket: {} for ticket in of.tickets()})
        return file.path

    def litter():
        for name in left:
            (tmp_path / name).write_text("")
        return checkpoint(ended)

    def is_swept():
        return not any(path.exists() for path in (*(tmp_path / name for name in left), over))

    with RunDirectory(tmp_path) as directory:
        directory.admit([ended, begun])
        directory.add(rows_ending_at(ended, [20]))
        over, still = litter(), checkpoint(begun)
    assert is_swept()
    litter()
    with RunDirectory(tmp_path):
        assert is_swept()
        assert still.exists()
        assert (tmp_path / "mine.tmp").exists()


def test_who_comes_second_is_refused_before_anything_is_written_or_deleted(tmp_path):
    out = tmp_path / "out"
    with RunDirectory(out), begun(out, SINGLE):
        before = contents(out)
        with pytest.raises(InputError, match="out is in use by another sweep: wait, or use anoth"):
            run_horizon(["gru"], ["adding"], out)
        assert contents(out) == before
    assert "protocol.json" in before
