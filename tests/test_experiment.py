"""Settings as plain data: every one has a type and a rule, and equal ones have one form."""

import dataclasses
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrnn import Experiment, InputError, lstm
from jaxrnn.experiment import PER_TRIAL

WRONG_TYPES = {
    int: (2.5, 2.0, "5", (10, 20), [3], True, None, float("nan"), np.float32(3), 2**31),
    float: ("x", None, True, [0.1, None], {0.1: 1}, "0.5", 10**400, 1j),
    str: (lstm, 3, None, "", "a\nb", b"lstm", ["lstm"], "\x1b[31m"),
    bool: (1, 0, None, "True", [True], 1.0),
}


@pytest.mark.parametrize("field", dataclasses.fields(Experiment), ids=lambda field: field.name)
def test_a_value_of_the_wrong_type_is_refused(field):
    if field.name == "note" or field.name.endswith("options"):
        wrong = (3, "x", ["x"], {1: 2}, {"a b": 1}, {"a": {"b": 1}}, {"a": np.zeros(2)}, {"a": len})
    elif field.name == "test_lengths":
        wrong = (None, 3, "x", b"x", {5: 1}, {5}, [0], [2.5], [True], ["5"], [2**31])
    else:
        kind = float if field.name in PER_TRIAL or field.name == "threshold" else field.type
        kind = {"mean_error": float, "objective": str, "measure": str}.get(field.name, kind)
        wrong = WRONG_TYPES[kind]
    for value in wrong:
        if value is None and field.default is None:
            continue
        if field.name == "seed" and value == 2**31:
            value = 2**32
        with pytest.raises(InputError) as refused:
            Experiment(**{field.name: value})
        sentence = str(refused.value)
        assert sentence.startswith(f"{field.name.replace('_', '-')} "), sentence
        assert "must" in sentence
        assert sentence.isprintable()
        assert len(sentence) < 200


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", ".hidden", str(Path("/tmp/x"))])
def test_a_name_that_would_leave_the_directory_is_refused(name):
    with pytest.raises(InputError, match=r"^name .* must not"):
        Experiment(name=name)


def test_settings_of_trials_are_taken_as_lists_and_arrays():
    rates = np.array([0.5, 1, 0.25], np.float32)
    for taken in (list(rates), jnp.array(rates), (rate for rate in rates)):
        experiment = Experiment(trials=3, learning_rate=taken)
        assert experiment.learning_rate == (0.5, 1.0, 0.25)
        assert {type(rate) for rate in experiment.learning_rate} == {float}
        assert experiment.alone(2) == Experiment(trials=1, learning_rate=0.25)


def test_equal_settings_are_one_key():
    ones = [
        Experiment(length=np.int64(7), cell_options={"a": [np.int64(1), (2, [np.float32(3)])]}),
        Experiment(length=7, cell_options=(("a", (1, (2, (3.0,)))),)),
        Experiment(length=jnp.int32(7).item(), cell_options=[("a", [1, (2, [3.0])])]),
    ]
    assert len(set(ones)) == 1
    assert {type(one.length) for one in ones} == {int}
    ((_, (whole, (_, (real,)))),) = ones[0].cell_options
    assert (type(whole), type(real)) == (int, float)
    swapped = [
        Experiment(cell_options=dict(o)) for o in ((("a", 1), ("b", 2)), (("b", 2), ("a", 1)))
    ]
    assert swapped[0].canonical() == swapped[1].canonical()
    assert list(dict(swapped[1].cell_options)) == ["b", "a"]  # shown as it was given


def test_an_experiment_is_the_same_key_in_another_process():
    program = "import pickle, sys; from jaxrnn import Experiment; one = Experiment(cell='gru'); "
    program += "hash(one); sys.stdout.buffer.write(pickle.dumps(one))"
    # There text has other hashes, and so the experiment has.
    sent = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        capture_output=True,
    )
    assert {Experiment(cell="gru"): "found"}[pickle.loads(sent.stdout)] == "found"
