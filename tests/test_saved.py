"""A checkpoint is trusted by its digest: a damaged one is begun anew, one that does not fit is
refused, and both are told by the name of the file."""

import warnings
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from helpers import STREAK, run_sweep

import jaxrnn
from jaxrnn import InputError
from jaxrnn.errors import Note
from jaxrnn.store.files import write_arrays
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.training import lanes as sizes, loop
from jaxrnn.training.tickets import fitted

# Three lanes and six trials: three run and three wait. It has a mean error, and so the
# errors of its last window.
LEFT = replace(STREAK, cell="simple_rnn", name="mine", trials=6, mean_error=0.5)


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """The name, the bytes and the arrays of the checkpoint of a run that keeps weights and was left
    when a trial had ended and others had not."""
    path = tmp_path_factory.mktemp("left")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(sizes, "CHUNK_SEQUENCES", 4)

        def interrupt(first, tally):
            if tally.solved + tally.diverged and any(path.glob("checkpoint-*")):
                raise KeyboardInterrupt

        with RunDirectory(path) as directory, suppress(KeyboardInterrupt):
            run_sweep([LEFT], directory, lanes=2, on_chunk=interrupt, keep_weights=True)
    (checkpoint,) = path.glob("checkpoint-*")
    with np.load(checkpoint) as file:
        arrays = dict(file)
    assert len(arrays["steps"]) == 3
    return checkpoint.name, checkpoint.read_bytes(), arrays


def went_on(path, content):
    """The rows of a run with this checkpoint, and how many of its trials' sequences were there."""
    path.write_bytes(content)
    seen = []
    with RunDirectory(path.parent) as directory:
        tell = lambda first, tally: seen.append(tally.trial_steps)  # noqa: E731
        rows = run_sweep([LEFT], directory, lanes=2, on_chunk=tell, keep_weights=True)
    assert not path.exists()
    return rows, seen[0]


def test_a_whole_one_goes_on_and_a_damaged_one_is_begun_anew(left, tmp_path, monkeypatch):
    """To the same rows; one without a digest counts as damaged."""
    whole = jaxrnn.run(LEFT, tmp_path / "whole", report=False)
    monkeypatch.setattr(sizes, "CHUNK_SEQUENCES", 4)
    name, content, arrays = left
    begun = int(arrays["steps"].sum())
    with warnings.catch_warnings(action="error"):
        rows, there = went_on(tmp_path / name, content)
    assert (rows, there > begun) == (whole, True)
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / name
    np.savez(path, **arrays)
    with pytest.warns(Note) as notes:
        rows, there = went_on(path, path.read_bytes())
    assert (rows, there < begun) == (whole, True)
    assert [str(note.message) for note in notes] == [
        f"{path} is corrupt: its trials are begun anew"
    ]


def test_a_damaged_file_is_named_and_deleted(left, tmp_path):
    path = tmp_path / left[0]
    for content in (left[1][:-1], b"", {"steps": np.zeros(3)}, {"tickets": np.array("[{}]")}):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            write_arrays(path, content)
        with pytest.warns(Note) as notes, RunDirectory(tmp_path):
            assert not path.exists()
        (sentence,) = (str(note.message) for note in notes if note.category is Note)
        assert sentence.startswith(f"{path} is corrupt")
        assert sentence.endswith(": its trials are begun anew")


def changed(name, change):
    return lambda arrays: arrays | {name: change(arrays[name])}


def without(name):
    return lambda arrays: {one: array for one, array in arrays.items() if one != name}


OTHERS = {
    "another precision": changed("state_1", lambda a: a.astype(float)),
    "missing": without("steps"),
    "one more": lambda a: a | {"more": np.zeros((3, 2))},
    "another window": changed("recent", lambda a: a[:, 1:]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_arrays_of_another_run_are_refused(name, left):
    usual = without("tickets")(left[2])

    def of_one(arrays):
        return {name: array[0] for name, array in arrays.items()}

    assert fitted(of_one(usual), usual, "here").keys() == usual.keys()
    with pytest.raises(InputError) as refused:
        fitted(of_one(OTHERS[name](usual)), usual, "here")
    assert str(refused.value) == (
        "here has a state of other shapes or types, as under another precision or another optax: "
        "go on as it was begun, or delete it to begin its trials anew"
    )


def test_a_state_of_another_precision_is_refused_and_stays(left, tmp_path):
    path = tmp_path / left[0]
    write_arrays(path, OTHERS["another precision"](left[2]))
    before = path.read_bytes()
    with pytest.raises(InputError) as refused:
        jaxrnn.run(LEFT, tmp_path, lanes=2, keep_weights=True)
    assert str(refused.value).startswith(f"{path} has a state of other shapes or types, as under")
    assert path.read_bytes() == before
    assert not (tmp_path / "trials.jsonl").exists()
