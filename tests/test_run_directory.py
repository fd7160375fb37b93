"""What a run directory holds, and how it grows."""

import json
import platform
import re
import warnings
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace

import jax
import pytest
from helpers import ONE_DEVICE, Memory, rows, rows_ending_at, rows_of
from test_sweep import AXES, BASE

import jaxrnn
from jaxrnn import (
    NOTEBOOK,
    SUITES,
    Experiment,
    InputError,
    run_horizon,
    run_scorecard,
    run_trials,
)
from jaxrnn.errors import Note
from jaxrnn.problems import settled
from jaxrnn.scorecard.halving import SINGLE
from jaxrnn.scorecard.protocol import CARDS, SMALL as SCORECARD
from jaxrnn.scorecard.shipped import begun
from jaxrnn.store import run_directory
from jaxrnn.store.config import settings_in_words
from jaxrnn.store.files import name_of
from jaxrnn.store.rows import make_row
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import product, run_sweep
from jaxrnn.training import host_loop, lanes as sizes
from jaxrnn.training.runner import prepare

SMALL = settled(Experiment(length=5, trials=3, window=60, max_steps=200))


def test_configuration_lists_what_differs():
    config = settings_in_words([product(BASE, AXES)])
    assert {name: config[name] for name in AXES} == {k: list(v) for k, v in AXES.items()}
    assert (config["experiment"], config["trials"], config["clip"]) == (["grid"], 12, 5.0)


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Run experiments into one directory; the trials that were run, by experiment."""

    def run(*experiments):
        ran = []

        def noted(members, **options):
            ran.extend((one.experiment, tuple(one.trials)) for one in members)
            return prepare(members, **options)

        monkeypatch.setattr("jaxrnn.sweeps.run.prepare", noted)
        monkeypatch.setattr(jax, "devices", lambda: ONE_DEVICE)  # one after another
        with RunDirectory(tmp_path) as directory:
            run_sweep(experiments, directory)
        return ran

    return run


def expected(*experiments):
    """The rows that a fresh directory would hold."""
    made = [make_row(one, outcome) for one in experiments for outcome in run_trials(one)]
    return [json.loads(json.dumps(row.values())) for row in made]


def test_a_directory_grows_by_lengths_cells_experiments_and_trials(sweep, tmp_path):
    lstm, more = SMALL, replace(SMALL, trials=5)
    assert sweep(lstm) == [(lstm, (0, 1, 2))]
    assert sweep(lstm) == []
    longer, rnn = replace(SMALL, length=6), replace(SMALL, cell="simple_rnn")
    assert sweep(lstm, longer) == [(longer, (0, 1, 2))]
    assert sweep(rnn, lstm) == [(rnn, (0, 1, 2))]
    other = replace(SMALL, name="other", learning_rate=0.5)
    assert sweep(other) == [(other, (0, 1, 2))]
    assert sweep(more) == [(more, (3, 4))]
    assert sweep(replace(SMALL, trials=2)) == []  # what is there already stays
    held = rows_of(tmp_path)
    fresh = expected(longer, rnn, other, more)
    assert sorted(map(json.dumps, held)) == sorted(map(json.dumps, fresh))
    config = json.loads((tmp_path / "config.json").read_text())["settings"]
    assert config["lengths"] == [5, 6]
    assert config["cells"] == ["lstm", "simple_rnn"]
    assert config["experiment"] == ["notebook", "other"]
    assert config["learning_rate"] == [0.5, 1.0]


def test_experiments_of_one_name_are_told_apart_by_all_settings(sweep, tmp_path):
    """And rows are in the order of what was asked last."""
    one = replace(SMALL, name="mine")
    two, three = replace(one, learning_rate=0.3), replace(one, task="no_regularities")
    assert sweep(one, two, three) == [(e, (0, 1, 2)) for e in (one, two, three)]
    assert rows_of(tmp_path) == expected(one, two, three)
    assert sweep(two) == []
    assert sweep(three, one) == []
    assert rows_of(tmp_path) == expected(two, three, one)


def test_what_was_begun_under_other_settings_is_refused_and_stays(sweep, tmp_path):
    sweep(SMALL, replace(SMALL, name="mine", length=7))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for changed, sentence in (
        (replace(SMALL, clip=3), "clip 5.0, not 3.0"),
        (replace(SMALL, seed=1, clip=3), "clip 5.0, not 3.0"),
        (replace(SMALL, task="no_regularities"), "task noise_free, not no_regularities"),
        (
            replace(SMALL, trials=4, learning_rate=(1.0, 1.0, 0.5, 1.0)),
            "learning-rate 1.0, not 1.0",
        ),
        # Other lengths and cells of an experiment in the table change in the same settings.
        (replace(SMALL, length=6, max_steps=201), "max-steps 200, not 201"),
        (replace(SMALL, cell="gru", seed=4), "seed 0, not 4"),
        (SUITES["notebook"].at("lstm", 8, trials=3), "max-steps 200, not 100000"),
    ):
        with pytest.raises(InputError) as refused:
            sweep(changed)
        assert f"{tmp_path} was begun with {sentence}" in str(refused.value)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    # Asked for together, as they are again after a kill that left only the first, they may differ.
    changed = replace(SMALL, length=6, max_steps=201)
    assert sweep(SMALL, changed) == [(changed, (0, 1, 2))]


def test_a_grid_grows_where_its_trials_keep_their_numbers(sweep, tmp_path):
    grid = product(BASE, {"forget_bias": (0.0, 1.0)})
    wider = product(BASE, {"forget_bias": (0.0, 1.0, 2.0)})
    grid, wider = (settled(one) for one in (grid, wider))
    assert sweep(grid) == [(grid, (0, 1, 2, 3))]
    assert sweep(wider) == [(wider, (4, 5))]
    assert rows_of(tmp_path) == expected(wider)
    with pytest.raises(InputError, match=r"with forget-bias 0.0 1.0 2.0, not 1.0 0.0 2.0"):
        sweep(product(BASE, {"forget_bias": (1.0, 0.0, 2.0)}))


def ended(length):
    """A short experiment's rows, trained by nobody."""
    return rows("lstm", length, [1100, None])


def order_of(path):
    return [(row["length"], row["trial"]) for row in rows_of(path)]


def test_rows_are_added_to_the_file_and_put_in_order_on_leaving(tmp_path, monkeypatch):
    written = []
    write_whole = run_directory.write_whole

    def noted(path, data):
        written.append(path.name)
        write_whole(path, data)

    monkeypatch.setattr(run_directory, "write_whole", noted)
    four, five, six = (settled(replace(NOTEBOOK.base, length=n, trials=2)) for n in (4, 5, 6))
    with RunDirectory(tmp_path) as directory:
        directory.admit([four, five, six])
        for length in (6, 5, 4):
            directory.add(ended(length))
        assert written == ["config.json", "trials.jsonl"]  # the others were added to it
        assert order_of(tmp_path) == [(n, trial) for n in (6, 5, 4) for trial in (0, 1)]
        in_order = [(n, trial) for n in (4, 5, 6) for trial in (0, 1)]
        held = [(row["length"], row["trial"]) for row in directory.rows]
        assert held == in_order
    assert order_of(tmp_path) == in_order


def test_what_a_kill_has_left_of_the_rows_is_put_in_order(tmp_path):
    four, five, six = (settled(replace(NOTEBOOK.base, length=n, trials=2)) for n in (4, 5, 6))
    with RunDirectory(tmp_path) as directory:
        directory.admit([four, five, six])
    text = "".join(json.dumps(row.values()) + "\n" for row in [*ended(6), *ended(4)])
    path = tmp_path / "trials.jsonl"
    path.write_text(text[:-700])  # within the last line
    torn = "line 4 has no end, as after a kill: this trial counts as not"
    with ExitStack() as stack:
        with pytest.warns(Note, match=torn):
            directory = stack.enter_context(RunDirectory(tmp_path))
        directory.admit([four, five, six])
        assert directory.to_run([four, five, six]) == {four: (1,), five: (0, 1)}
        directory.add(ended(4)[1:])
        assert len(rows_of(tmp_path)) == 4  # the line without an end is gone
        directory.add(ended(5))
    assert order_of(tmp_path) == [(n, trial) for n in (4, 5, 6) for trial in (0, 1)]
    assert path.read_text().count("\n") == 6
    # Not by a command that is refused, but where none is left to run.
    path.write_text(text)
    other = [four, replace(six, clip=3.0)]
    with RunDirectory(tmp_path) as directory, pytest.raises(InputError, match="clip"):
        directory.admit(other)
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
    hashes, made = Counter(), Counter()
    hash_, init = Experiment.__hash__, Experiment.__post_init__
    monkeypatch.setattr(
        Experiment, "__hash__", lambda one: hashes.update([one.length]) or hash_(one)
    )
    monkeypatch.setattr(
        Experiment, "__post_init__", lambda one: made.update([one.length]) or init(one)
    )
    with RunDirectory(tmp_path) as directory:
        directory.admit(experiments)
        assert directory.to_run(experiments) == {}
    assert max(hashes.values()) <= 60
    assert max(made.values()) <= 15


def test_a_killed_growth_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    more, memory = replace(SMALL, trials=6), Memory()
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    with RunDirectory(tmp_path) as directory:
        run_sweep([SMALL], directory)

    def kill(experiment, tally):
        memory.save({"trial_steps": tally.trial_steps})
        if len(memory.saves) == 3:
            raise KeyboardInterrupt

    slow = {"lanes": 2}
    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 20)
    with RunDirectory(tmp_path) as directory, pytest.raises(KeyboardInterrupt):
        run_sweep([more], directory, on_chunk=kill, **slow)
    (left,) = tmp_path.glob("checkpoint-*.npz")
    assert re.fullmatch(r"checkpoint-notebook-lstm-5-[0-9a-f]{8}\.npz", left.name)
    for other, sentence in (
        (replace(SMALL, trials=7), "trials 6, not 7"),
        (replace(more, length=5, clip=3.0), "clip 5.0, not 3.0"),
    ):
        with RunDirectory(tmp_path) as directory, pytest.raises(InputError, match=sentence):
            run_sweep([other], directory)
    went_on = []
    with RunDirectory(tmp_path) as directory:
        run_sweep([more], directory, on_chunk=lambda e, tally: went_on.append(tally), **slow)
    assert went_on[0].trial_steps > memory.saves[0]["trial_steps"]
    assert rows_of(tmp_path) == expected(more)
    assert not list(tmp_path.glob("checkpoint-*"))


def test_the_cells_of_a_tuned_suite_have_one_budget_and_their_own_rates(tmp_path):
    suite = CARDS["two_sequence"]
    one, other = (
        settled(replace(suite.at(cell, trials=1), max_steps=200)) for cell in ("lstm", "gru")
    )
    with RunDirectory(tmp_path) as directory:
        directory.admit([one])
        directory.add(rows_ending_at(one, [None]))
    with RunDirectory(tmp_path) as directory:
        directory.admit([replace(other, learning_rate=0.3)])
    with (
        RunDirectory(tmp_path) as directory,
        pytest.raises(InputError, match="was begun with max-steps 200, not 300"),
    ):
        directory.admit([replace(other, max_steps=300)])


def test_going_on_under_other_versions_is_said_and_kept(sweep, tmp_path, monkeypatch):
    sweep(SMALL)
    versions = run_directory.versions()
    monkeypatch.setattr(run_directory, "versions", lambda: versions | {"jax": "9.9"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep(SMALL)  # nothing is run
    with pytest.warns(UserWarning, match=rf"was begun with jax {versions['jax']} and .* jax 9\.9"):
        sweep(replace(SMALL, trials=4))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["versions"] == versions
    assert [one["versions"]["jax"] for one in config["resumed"]] == ["9.9"]
    with pytest.warns(UserWarning, match=r"jax 9\.9"):
        sweep(replace(SMALL, trials=5))
    assert len(json.loads((tmp_path / "config.json").read_text())["resumed"]) == 1


def test_another_precision_is_said_and_kept(sweep, tmp_path, monkeypatch):
    sweep(SMALL)
    here = run_directory.device()
    more_cores = here.replace(" cores", "0 cores")
    for device in (more_cores, here.replace(" (", " in float64 (")):
        monkeypatch.setattr(run_directory, "device", lambda device=device: device)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            sweep(replace(SMALL, trials=4 + (device != more_cores)))
        words = [str(one.message) for one in said]
        assert len(words) == (device != more_cores)  # how many there are decides nothing
    assert f"goes on with processor {platform.machine()} in float64" in words[0]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["device"] == here
    assert [one["device"] for one in config["resumed"]] == [device]


def test_rows_made_elsewhere_are_said_to_be(tmp_path):
    versions = run_directory.versions()
    with RunDirectory(str(tmp_path)) as directory:
        directory.admit([SMALL])
        directory.made_on(versions, "1 gpu device (H100)")
        directory.add(rows_ending_at(SMALL, [20] * SMALL.trials))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            directory.admit([replace(SMALL, trials=9)], here=False)  # this is not where they run
        with pytest.warns(
            UserWarning, match="begun with processor H100 and goes on with processor"
        ):
            directory.made_on(versions, "1 cpu device (z80, 1 cores)")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["device"] == "1 gpu device (H100)"
    assert [one["device"] for one in config["resumed"]] == ["1 cpu device (z80, 1 cores)"]


def test_what_is_to_run_is_what_a_checkpoint_has_and_nothing_twice(tmp_path):
    one = replace(SMALL, name="own")  # B and A share their first trial
    b = replace(one, trials=2, learning_rate=(1.0, 0.1))
    a = replace(one, trials=3, learning_rate=(1.0, 0.2, 0.3))
    small = replace(SMALL, trials=1)
    with RunDirectory(tmp_path) as directory:
        directory.admit([small, SMALL, b, a])
        assert directory.to_run([small, SMALL, b, a]) == {SMALL: (0, 1, 2), b: (0, 1), a: (0, 1, 2)}
        directory.checkpoint(b, (0, 1)).save({})
        directory.checkpoint(small, (0,)).save({})
    with RunDirectory(tmp_path) as directory:
        directory.admit([small, SMALL, a, b])
        directory.add(rows_ending_at(a, [20] * 3))
        assert directory.to_run([small, SMALL, a, b]) == {small: (0,), SMALL: (0, 1, 2), b: (0, 1)}
        assert directory.checkpoint(b, (0, 1)).load() == {}
        directory.add(rows_ending_at(b, [20] * 2))
        assert directory.to_run([b]) == {}


def test_the_configuration_depends_neither_on_what_ended_first_nor_on_a_kill(tmp_path):
    """Of a directory that is begun, and of one that is grown."""
    one, two, three = (
        replace(SMALL, learning_rate=rate, test_lengths=lengths, trials=1)
        for rate, lengths in ((0.3, ()), (0.1, (9, 7)), (0.2, (7,)))
    )
    held = replace(SMALL, cell="gru", learning_rate=0.7, test_lengths=(6, 8))
    every = [one, two, three]
    # Each list is a process, which is killed at its end; the last one comes to the end.
    whole, other, killed = (
        [[[one], [two], [three], every]],
        [[[three], [two], [one], every]],
        [[[three], [one]], [[two], [one]], [[one], [two], every]],
    )
    for grows in (False, True):
        written = []
        for number, processes in enumerate((whole, other, killed)):
            out = tmp_path / f"{grows}-{number}"
            if grows:
                with RunDirectory(out) as directory:
                    directory.admit([held])
                    directory.add(rows_ending_at(held, [20] * 3, wrong_at_lengths=[(1, 2)] * 3))
            for calls in processes:
                with RunDirectory(out, mixed=True) as directory:
                    for asked in calls:
                        directory.admit(asked)
                        ends = [(1,) * len(asked[0].test_lengths) or None]
                        if directory.missing(asked[0]):
                            directory.add(rows_ending_at(asked[0], [30], wrong_at_lengths=ends))
            written.append((out / "config.json").read_bytes())
        assert len({*written}) == 1
        settings = json.loads(written[0])["settings"]
        assert settings["test_lengths"] == ([6, 7, 8, 9] if grows else [9, 7])
        assert settings["learning_rate"] == ([0.1, 0.2, 0.3, 0.7] if grows else [0.3, 0.1, 0.2])


def test_what_kills_have_left_is_swept_on_entering_and_on_leaving(tmp_path):
    ended, begun = replace(SMALL, trials=1), replace(SMALL, length=7)
    left = ["trials.jsonl.0123abcd.tmp", "report.html.89abcdef.tmp", "beside/a.01234567.tmp"]
    (tmp_path / "beside").mkdir()

    def litter(directory):
        for name in left:
            (tmp_path / name).write_text("")
        directory.checkpoint(ended, (0,)).save({})

    def is_swept():
        kept = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
        return not kept & {*left, name_of("checkpoint", ended.canonical())}

    with RunDirectory(tmp_path) as directory:
        directory.admit([ended, begun])
        directory.add(rows_ending_at(ended, [20]))
        directory.leave(directory.checkpoint(ended, (0,)))
        litter(directory)
        still = directory.checkpoint(begun, (0, 1, 2))
        still.save({})
        (tmp_path / "mine.tmp").write_text("of the user")
    assert is_swept()
    litter(directory)
    with RunDirectory(tmp_path):
        assert is_swept()
        assert still.path.exists()
        assert (tmp_path / "mine.tmp").exists()


@pytest.mark.parametrize(
    ("take", "protocol"),
    [
        (lambda out: run_horizon(["gru"], ["adding"], out), SINGLE),
        (lambda out: run_scorecard(["gru"], ["adding"], out), SCORECARD),
        (lambda out: jaxrnn.run(SMALL, out), None),
    ],
    ids=["horizon", "scorecard", "run"],
)
def test_who_comes_second_is_refused_before_anything_is_written_or_deleted(
    take, protocol, tmp_path
):
    with RunDirectory(tmp_path / "out"), ExitStack() as stack:
        if protocol is not None:
            stack.enter_context(begun(tmp_path / "out", protocol))
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        with pytest.raises(InputError, match="out is in use by another sweep: wait, or use anoth"):
            take(tmp_path / "out")
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert protocol is None or "protocol.json" in before
