"""Experiments that cannot be: one sentence each, before anything is compiled."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from helpers import STREAK, WINDOW

from jaxrnn import CELLS, TASKS, Experiment, InputError, lstm, noise_free, run_trials
from jaxrnn.training.parts import parts_of


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"test_size": -1}, "test-size -1 must not be negative"),
        ({"final_test": -1}, "final-test -1 must not be negative"),
        ({"max_failures": -2}, "max-failures -2 must not be negative"),
        ({"mean_error": 0.0}, "mean-error 0.0 must be a positive number"),
        ({"test_every": 0}, "test-every 0 must be at least 1"),
        ({"test_size": 9, "test_every": 700}, "max-steps 600 must be at least 700, the first step"),
        ({"cell": "lstm", "cell_options": {"block_size": 1}}, "cell lstm takes no options"),
        ({"cell": "memory_block"}, "unknown cell 'memory_block': choose from gru, .* memory_bl"),
        (
            {"cell": "memory_blocks", "cell_options": {"block_size": 0}},
            "block-size 0 must be at least 1",
        ),
        ({"task_options": {"num_informative": 0}}, "num_informative 0 must be at least 1"),
        (
            {"task_options": {"informative": 3}},
            "task two_sequence takes no option 'informative': choose from num_informative",
        ),
        ({"cell": "memory_blocks"}, "cell memory_blocks needs its option block_size: take an exp"),
        (
            {"cell": "memory_blocks", "cell_options": {"blocksize": 2}},
            "cell memory_blocks takes no option 'blocksize': choose from block_size, input_biases",
        ),
        (
            {"cell": "one_cell", "layers": 2, "join_at": 5},
            "join-at 5 needs a cell whose hidden units can join later: one_cell of 2 layers cannot",
        ),
        (
            {"task": "embedded_reber", "length": 20, "test_size": 9, "objective": "cross_entropy"},
            "test-size 9 is not that of the test set of task embedded_reber: choose 512",
        ),
    ],
)
def test_a_bad_rule_or_option_is_refused_with_one_sentence(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        parts_of(replace(WINDOW, **settings))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"trials": 0}, "trials 0 must be at least 1"),
        ({"length": 2}, "length 2 is too short for task noise_free: it needs at least 3"),
        ({"threshold": 1.0}, "threshold 1.0 must lie between 0 and 1"),
        ({"threshold": float("nan")}, "threshold nan must lie between 0 and 1"),
        ({"window": 901}, "window 901 must not be above max-steps 900"),
        ({"learning_rate": float("nan")}, "learning-rate nan must be a positive number"),
        ({"learning_rate": -1.0}, "learning-rate -1.0 must be a positive number"),
        ({"learning_rate": (1.0, 2.0)}, r"learning-rate \(1.0, 2.0\) must be one value or one a"),
        ({"clip": -5.0}, "clip -5.0 must be a positive number"),
        ({"clip": float("nan")}, "clip nan must be a positive number"),
        ({"seed": -1}, "seed -1 must be from 0 to 4294967295"),
        ({"hidden_size": 0}, "hidden-size 0 must be at least 1"),
        ({"layers": 0}, "layers 0 must be at least 1"),
        ({"cell": "gru2"}, "unknown cell 'gru2': choose from gru, lstm, lstm_coupled, lstm_l"),
        ({"task": "none"}, "unknown task 'none': choose from adding, embedded_reber"),
        ({"objective": "x"}, "unknown objective 'x': choose from cross_entropy"),
        (
            {"optimizer": "adam"},
            "unknown optimizer 'adam': choose from clipped_adam, clipped_sgd",
        ),
        (
            {"initializer": "he"},
            "unknown initializer 'he': choose from chrono, long_memory, notebook_xavier, or",
        ),
    ],
)
def test_a_bad_setting_is_refused_with_one_sentence(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        run_trials(replace(STREAK, **settings))


def test_a_test_size_of_the_tasks_own_test_set_is_taken():
    settings = {"task": "embedded_reber", "length": 20, "objective": "cross_entropy"}
    for test_size in (0, 512):
        parts_of(replace(WINDOW, test_size=test_size, **settings))


# The border where users hand in cells and tasks


def with_outputs(count):
    """A cell that gives another number of outputs than it was asked for."""
    return lambda num_inputs, hidden_size, num_outputs: lstm(num_inputs, hidden_size, count)


def changed_task(**changes):
    def build(length):
        task = noise_free(length)

        def draw(key):
            sequence = task.draw(key)
            return sequence._replace(**{n: f(sequence) for n, f in changes.items()})

        return task._replace(draw=draw)

    return build


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (
            changed_task(inputs=lambda s: s.inputs[1:], targets=lambda s: s.targets[1:]),
            r"task mine gives inputs of shape \(3,\): its num_steps and num_inputs say \(4,\)",
        ),
        (
            changed_task(inputs=lambda s: jax.nn.one_hot(s.inputs, 7)),
            r"task mine gives inputs of shape \(4, 7\): its num_steps and num_inputs say \(4, 5\)",
        ),
        (
            changed_task(mask=lambda s: jnp.ones((4, 1), bool)),
            r"task mine gives mask of shape \(4, 1\): its num_steps says \(4,\)",
        ),
    ],
)
def test_a_task_that_does_not_keep_its_word_is_refused(task, sentence, monkeypatch):
    monkeypatch.setitem(TASKS, "mine", task)
    with pytest.raises(InputError, match=f"^{sentence}$"):
        parts_of(Experiment(task="mine", length=5))


def test_a_cell_whose_outputs_are_not_the_tasks_is_refused(monkeypatch):
    monkeypatch.setitem(CELLS, "mine", with_outputs(4))
    with pytest.raises(
        InputError,
        match=r"^cell mine gives outputs of shape \(4, 4\): task noise_free says \(4, 5\)$",
    ):
        parts_of(Experiment(cell="mine", length=5))
    monkeypatch.setitem(CELLS, "mine", with_outputs(5))
    parts_of(Experiment(cell="mine", length=5))


def test_every_cell_of_the_package_can_join_later_a_stack_cannot():
    for name in CELLS:
        options = {"block_size": 2} if name == "memory_blocks" else {}
        parts_of(Experiment(cell=name, cell_options=options, length=5, join_at=3))
    with pytest.raises(InputError, match="lstm of 2 layers cannot"):
        parts_of(Experiment(length=5, layers=2, join_at=3))
