"""A checkpoint is input: a wrong one is refused by the name of its array, and nothing of it is
believed."""

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from helpers import STREAK, Memory, claim

import jaxrnn
from jaxrnn import InputError, run_trials
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import run_sweep
from jaxrnn.training import host_loop, lanes as sizes
from jaxrnn.training.saved import checked
from jaxrnn.training.stopping import DIVERGED, SOLVED, UNSOLVED

# Three lanes and six trials: one has ended, two run and three wait. It has a mean error, and so the
# errors of its last window.
LEFT = replace(STREAK, cell="simple_rnn", name="mine", trials=6, mean_error=0.5)
ADVICE = "delete it to begin this length anew"


def begun(path, experiment=LEFT, keep_weights=False):
    """A directory that was left when a trial had ended and others had not; its checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(sizes, "CHUNK_SEQUENCES", 4)

        def interrupt(experiment, tally):
            if tally.solved + tally.diverged and any(path.glob("checkpoint-*")):
                raise KeyboardInterrupt

        with RunDirectory(path) as directory, suppress(KeyboardInterrupt):
            run_sweep(
                [experiment], directory, lanes=2, on_chunk=interrupt, keep_weights=keep_weights
            )
    (checkpoint,) = path.glob("checkpoint-*")
    return checkpoint


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A checkpoint's name, its bytes and its arrays."""
    path = begun(tmp_path_factory.mktemp("left"))
    with np.load(path) as file:
        arrays = dict(file)
    assert (arrays["status"] == 0).any()
    assert (arrays["status"] == 1).any()
    assert arrays["next_trial"] < LEFT.trials
    return path.name, path.read_bytes(), arrays


def refused(path, experiment=LEFT):
    """The sentence that a run in the checkpoint's directory ends with, which changes nothing."""
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        jaxrnn.run(experiment, path.parent, lanes=2)
    assert path.read_bytes() == before
    assert not (path.parent / "trials.jsonl").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_(name, change):
    """A change of one array of a checkpoint."""

    def changed(arrays):
        arrays[name] = np.asarray(change(arrays[name]))

    return changed


def at(place, value):
    def changed(array):
        array = array.copy()
        array[place] = value
        return array

    return changed


def settings(**changes):
    def changed(text):
        return np.array(json.dumps(json.loads(str(text)) | changes))

    return with_("experiment", changed)


def without(name):
    return lambda arrays: arrays.pop(name)


def running(arrays):
    return np.flatnonzero(arrays["status"] == 0)[0]


def ended(arrays):
    return np.flatnonzero(arrays["status"] == 1)[0]


def of_trial(kind, name, by):
    """One entry more or less for the first trial of a kind."""

    def changed(arrays):
        arrays[name] = arrays[name].copy()
        arrays[name][kind(arrays)] += by

    return changed


def lanes_moved(arrays):
    """The running trials are in no lane."""
    arrays["lane_trial"] = np.full_like(arrays["lane_trial"], -1)


WRONG = {
    "no steps": (without("steps"), "steps is missing"),
    "no lanes": (without("lane_trial"), "lane_trial is missing"),
    "no settings": (without("experiment"), "experiment is missing"),
    "one array more": (lambda arrays: arrays.update(more=np.array(1)), "more is none of its run's"),
    "float steps": (with_("steps", lambda a: a + 0.5), "steps is float64 [6], not int64 [6]"),
    "small steps": (with_("steps", np.int32), "steps is int32 [6], not int64 [6]"),
    "text": (with_("status", lambda a: a.astype(str)), "status is <U21 [6], not int64 [6]"),
    "objects": (with_("steps", lambda a: a.astype(object)), "steps holds Python objects"),
    "four trials": (with_("status", lambda a: a[:4]), "status is int64 [4], not int64 [6]"),
    "other bins": (with_("curve_sum", lambda a: a[:, 1:]), "curve_sum is float64 [6, 46], not"),
    "a row of lanes": (with_("lane_trial", lambda a: a[None]), "lane_trial is int32 [1, 3], not"),
    "no lane": (with_("lane_trial", lambda a: a[:0]), "lane_trial is int32 [0], not int32 [1]"),
    "a lane less": (with_("lane_step", lambda a: a[1:]), "lane_step is int32 [2], not int32 [3]"),
    "unknown status": (with_("status", at(0, 4)), "status has 4, not only numbers from 0 to 3"),
    "negative steps": (with_("steps", at(0, -1)), "steps has -1, not only numbers from 0 to 900"),
    "too many steps": (with_("steps", at(0, 901)), "steps has 901, not only numbers from 0 to 900"),
    "negative failure": (with_("last_above", at(0, -1)), "last_above has -1, not only numbers"),
    "NaN among errors": (with_("recent", at((0, 0), np.nan)), "recent has nan, not only numbers"),
    "NaN in a curve": (with_("curve_sum", at((0, 0), np.nan)), "curve_sum has nan, not only"),
    "negative error": (with_("recent", at((0, 0), -0.5)), "recent has -0.5, not only numbers"),
    "negative count": (with_("curve_count", at((0, 0), -1)), "curve_count has -1, not only"),
    "unknown trial": (with_("lane_trial", at(0, 6)), "lane_trial has 6, not only numbers from -1"),
    "negative trial": (with_("lane_trial", at(0, -2)), "lane_trial has -2, not only numbers from"),
    "float trials": (with_("lane_trial", np.float32), "lane_trial is float32 [3], not int32 [3]"),
    "a trial twice": (
        with_("lane_trial", lambda a: np.full_like(a, a.max())),
        "lane_trial does not have every running trial once",
    ),
    "trials lost": (lanes_moved, "lane_trial does not have every running trial once"),
    "next of more": (with_("next_trial", lambda _: 7), "next_trial has 7, not only numbers from 0"),
    "next one early": (with_("next_trial", lambda _: 0), "next_trial leaves out a trial that has"),
    "next one late": (with_("next_trial", lambda a: a + 1), "lane_trial does not have every"),
    "negative lane steps": (with_("lane_steps", lambda _: -1), "lane_steps has -1, not only"),
    "more steps": (
        of_trial(ended, "solved_at", 5),
        "solved_at is not where the trials",
    ),
    "solved too early": (
        of_trial(running, "solved_at", 1),
        "solved_at is not where the trials",
    ),
    "a step ahead": (of_trial(running, "steps", 1), "curve_count does not count the sequences"),
    "failure ahead": (of_trial(running, "last_above", 500), "last_above has a sequence that was"),
    "correct ahead": (of_trial(running, "correct_at", 500), "correct_at has a sequence that was"),
    "count of more": (
        of_trial(running, "curve_count", 1),
        "curve_count does not count the sequences",
    ),
    "unsolved early": (with_("status", at(1, 2)), "steps has an unsolved trial before the last"),
    "ended at once": (
        of_trial(ended, "steps", -90),
        "steps has an ended trial before the first sequence",
    ),
    "runs on": (of_trial(running, "steps", 808), "steps has a running trial at the last sequence"),
    "lane ahead": (with_("lane_step", lambda a: a + 1), "lane_step is not where its trials are"),
    "NaN in the state": (
        with_("state_0", lambda a: a * np.nan),
        "state_0 is not finite in lane 0, where it was",
    ),
    "no JSON": (with_("experiment", lambda _: "{"), "experiment is not an experiment's settings"),
    "a number": (with_("experiment", lambda _: 5), "experiment is not an experiment's settings"),
    "nested": (with_("experiment", lambda _: "[" * 10**5), "experiment is not an experiment's"),
    "length 0": (settings(length=0), "experiment breaks a rule, length 0 must be at least 1"),
    "trial 7 of 6": (settings(running=[0, 7]), "experiment names trial 7, which must be below 6"),
    "trial -1": (settings(running=[-1, 0]), "experiment names trial -1, which must not be"),
    "trial 0.0": (settings(running=[0.0, 1.0]), "experiment names trial 0.0, which must be a"),
    "trials twice": (settings(running=[0, 0, 1]), "experiment names a trial twice"),
    "no list": (settings(running=3), "experiment names 3 as its trials"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_array_is_told_by_its_name(name, left, tmp_path):
    change, fault = WRONG[name]
    path, arrays = tmp_path / left[0], dict(left[2])
    change(arrays)
    np.savez(path, **arrays)  # as somebody writes who knows of no digest
    sentence = refused(path)
    assert sentence.startswith(f"{path} is corrupt, its array {fault}")
    assert sentence.endswith(f": {ADVICE}")


def test_what_a_run_saves_is_what_it_reads(monkeypatch):
    """At whatever chunk, with trials of every ending."""
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    rates, clips = (1.0, 1.0, 3e38, 0.001), (5.0, 5.0, 1e30, 5.0)
    every = replace(LEFT, trials=4, learning_rate=rates, clip=clips, max_steps=150)
    memory = Memory()
    run_trials(every, chunk_steps=7, lanes=1, checkpoint=memory)
    assert set(memory.saves[-1]["status"]) == {SOLVED, UNSOLVED, DIVERGED}
    for saved in memory.saves:
        checked(saved, saved, every, "here")


def test_what_went_on_is_what_would_have_been(left, tmp_path):
    """From a checkpoint that is whole, and from one of a version that wrote no digest and did not
    say which lanes are finite."""
    rows = jaxrnn.run(LEFT, tmp_path / "whole", report=False)
    for name, optional in (("new", []), ("old", ["lane_finite"])):
        path = tmp_path / name / left[0]
        path.parent.mkdir()
        path.write_bytes(left[1])
        if optional:
            np.savez(path, **{n: a for n, a in left[2].items() if n not in optional})
        assert jaxrnn.run(LEFT, path.parent, report=False) == rows


def test_a_bit_that_flips_anywhere_is_told(left, tmp_path):
    path, content = tmp_path / left[0], bytearray(left[1])
    named = 0
    for place in range(0, len(content), 61):
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        content[place] ^= 1 << place % 8
        with pytest.raises(InputError) as caught, RunDirectory(tmp_path):
            pass
        assert f"{path} is corrupt" in str(caught.value)
        assert str(caught.value).endswith(f": {ADVICE}")
        named += "has changed since it was written" in str(caught.value)
    assert named > 20
    content[content.index(b"curve_count.npy") + 600] ^= 1
    path.write_bytes(content)
    sentence = f"{path} is corrupt, its array curve_count has changed since it was written: "
    assert refused(path) == sentence + ADVICE


@pytest.mark.parametrize("lies", [False, True], ids=["header", "archive"])
def test_an_array_that_claims_more_than_it_has_takes_no_memory(lies, left, tmp_path):
    path = tmp_path / left[0]
    path.write_bytes(left[1])
    claim(path, "recent", 10**12, lies)
    fault = "its array recent claims 1000000000000 entries and does not have them"
    assert refused(path) == f"{path} is corrupt, {fault}: {ADVICE}"


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_file_that_was_cut_is_told(kept, left, tmp_path):
    path = tmp_path / left[0]
    path.write_bytes(left[1][: int(kept * len(left[1]))])
    assert refused(path) == f"{path} is corrupt: {ADVICE}"


def test_a_diverging_trial_goes_on_with_a_state_that_is_not_finite(monkeypatch):
    """As its last update left it, one chunk before its error tells."""
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    exploding = replace(STREAK, cell="simple_rnn", learning_rate=3e38, clip=1e30, trials=2)
    exploding = replace(exploding, length=12, loss_reduction="sum")
    memory, expected = Memory(), run_trials(exploding)
    run_trials(exploding, chunk_steps=1, checkpoint=memory)
    begun = Memory()
    begun.saves = [one for one in memory.saves if not one["lane_finite"].all()][:1]
    assert (begun.saves[0]["status"] == 0).any()
    assert run_trials(exploding, chunk_steps=1, checkpoint=begun) == expected


@pytest.fixture(scope="module")
def keeping(tmp_path_factory):
    """A checkpoint of a run that keeps weights: its name and its arrays."""
    path = begun(tmp_path_factory.mktemp("keeping"), keep_weights=True)
    with np.load(path) as file:
        return path.name, dict(file)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (without("final_0"), "final_0 is missing"),
        (
            with_("final_0", lambda a: a[1:]),
            "final_0 is float32 [5, 5, 20], not float32 [6, 5, 20]",
        ),
        (with_("final_1", np.float64), "final_1 is float64 [6, 20, 20], not float32 [6, 20, 20]"),
        (lambda arrays: arrays.update(final_9=arrays["final_0"]), "final_9 is none of its run's"),
    ],
    ids=["missing", "fewer", "other type", "more"],
)
@pytest.mark.parametrize("keeps", [False, True])
def test_what_ended_trials_left_is_described_too(keeps, change, fault, keeping, tmp_path):
    path, arrays = tmp_path / keeping[0], dict(keeping[1])
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(InputError) as caught:
        jaxrnn.run(LEFT, tmp_path, keep_weights=keeps)
    assert str(caught.value) == f"{path} is corrupt, its array {fault}: {ADVICE}"


def test_a_state_of_another_cell_is_told_by_file_and_array(left, tmp_path):
    path = tmp_path / left[0]
    np.savez(path, **left[2] | {"state_1": left[2]["state_1"].astype(float)})
    sentence = f"{path} has a state of other shapes or types, as under another precision or another"
    sentence += " optax (state_1 is float64 [3, 20, 20], not float32 [3, 20, 20]): go on as it was"
    assert refused(path) == f"{sentence} begun, or {ADVICE}"
