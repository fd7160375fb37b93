"""Experiments that cannot be: one sentence each, before anything is compiled."""

import gc
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import optax
import pytest
from helpers import STREAK, WINDOW
from jax.extend.core import Jaxpr

from jaxrnn import (
    CELLS,
    INITIALIZERS,
    OBJECTIVES,
    OPTIMIZERS,
    SUITES,
    TASKS,
    Experiment,
    InputError,
    lstm,
    noise_free,
    run_trials,
    stack,
    xavier,
)
from jaxrnn.problems import settled
from jaxrnn.training import parts
from jaxrnn.training.parts import parts_of

REFUSED = [
    (WINDOW, {"test_size": -1}, "test-size -1 must not be negative"),
    (WINDOW, {"mean_error": 0.0}, "mean-error 0.0 must be a positive number"),
    (WINDOW, {"test_every": 0}, "test-every 0 must be at least 1"),
    (WINDOW, {"test_size": 9, "test_every": 700}, "max-steps 600 must be at least 700, the seq"),
    (WINDOW, {"cell": "lstm", "cell_options": {"block_size": 1}}, "cell lstm takes no options"),
    (WINDOW, {"cell": "memory_blocks"}, "cell memory_blocks needs its option block_size: take"),
    (
        WINDOW,
        {"cell": "memory_blocks", "cell_options": {"blocksize": 2}},
        "cell memory_blocks takes no option 'blocksize': choose from block_size, input_biases",
    ),
    (
        WINDOW,
        {"task": "embedded_reber", "length": 20, "test_size": 9, "objective": "cross_entropy"},
        "test-size 9 is not that of the test set of task embedded_reber: choose 512",
    ),
    (STREAK, {"length": 2}, "length 2 is too short for task noise_free: it needs at least 3"),
    (STREAK, {"threshold": 1.0}, "threshold 1.0 must lie between 0 and 1"),
    (STREAK, {"threshold": float("nan")}, "threshold nan must lie between 0 and 1"),
    (STREAK, {"window": 901}, "window 901 must not be above max-steps 900"),
    (STREAK, {"learning_rate": float("nan")}, "learning-rate nan must be a positive number"),
    (STREAK, {"learning_rate": (1.0, 2.0)}, r"learning-rate \(1.0, 2.0\) must be one value or o"),
    (STREAK, {"clip": -5.0}, "clip -5.0 must be a positive number"),
    (STREAK, {"seed": -1}, "seed -1 must be from 0 to 4294967295"),
    (STREAK, {"cell": "gru2"}, "unknown cell 'gru2': choose from co_rnn, .* gru, .* lstm_layer_"),
    (STREAK, {"task": "none"}, "unknown task 'none': choose from adding, adding_halves, assoc"),
    (STREAK, {"objective": "x"}, "unknown objective 'x': choose from binary_cross_entropy"),
    (STREAK, {"optimizer": "adam"}, "unknown optimizer 'adam': choose from clipped_adam, clip"),
    (STREAK, {"initializer": "he"}, "unknown initializer 'he': choose from chrono, long_memory"),
]


@pytest.mark.parametrize(("base", "settings", "sentence"), REFUSED)
def test_a_bad_setting_is_refused_with_one_sentence(base, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        parts_of(replace(base, **settings))


# The border where users hand in cells and tasks


def changed_task(**changes):
    def build(length):
        task = noise_free(length)

        def draw(key):
            sequence = task.draw(key)
            return sequence._replace(**{n: f(sequence) for n, f in changes.items()})

        return task._replace(draw=draw)

    return build


def test_a_task_that_does_not_keep_its_word_is_refused(monkeypatch):
    says = "its num_steps and num_inputs say"
    for changes, sentence in (
        (
            {"inputs": lambda s: jax.nn.one_hot(s.inputs, 7)},
            rf"inputs of type float32 and of shape \(4, 7\): {says} \(4, 5\)",
        ),
        (
            {"inputs": lambda s: s.inputs[1:], "targets": lambda s: s.targets[1:]},
            rf"inputs of shape \(3,\): {says} \(4,\)",
        ),
        (
            {"mask": lambda s: jnp.ones((4, 1), bool)},
            r"mask of shape \(4, 1\): its num_steps says \(4,\)",
        ),
    ):
        monkeypatch.setitem(TASKS, "mine", changed_task(**changes))
        with pytest.raises(InputError, match=f"^task mine gives {sentence}$"):
            parts_of(Experiment(task="mine", length=5))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"task": "adding", "length": 20, "objective": "cross_entropy"},
            r"adding: cross_entropy takes symbols \[T\] as targets, not float32 \[22, 1\]; choose "
            "from binary_cross_entropy, half_squared_error, half_squared_error_linear$",
        ),
        ({"objective": "three"}, "noise_free: it fails with Typ"),
        (
            {"objective": "total"},
            r"noise_free: it gives losses of shape \(\): the task's num_steps says \(9,\); choose "
            "from cross_entropy, binary_cross_entropy, half",
        ),
        ({"objective": "losses"}, "noise_free: "),
    ],
)
def test_an_objective_that_does_not_fit_the_task_is_refused(settings, sentence, monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "three", lambda outputs, targets, mask: (outputs, outputs))
    monkeypatch.setitem(OBJECTIVES, "total", lambda outputs, targets: (outputs.sum(),) * 2)
    monkeypatch.setitem(OBJECTIVES, "losses", lambda outputs, targets: outputs[:, 0])
    does_not_fit = f"^objective {settings['objective']} does not fit task "
    with pytest.raises(InputError, match=does_not_fit + sentence):
        run_trials(Experiment(**settings))


REAL = ("adding", "multiplication", "two_sequence", "two_sequence_noise")
REAL += ("two_sequence_target_noise", "adding_halves")


def test_each_task_is_trained_with_an_objective_of_its_own():
    for name in TASKS:
        own = "half_squared_error_linear" if name in REAL else "cross_entropy"
        experiment = settled(Experiment(task=name, length=40))
        assert experiment.objective == own
        assert settled(replace(experiment, objective="mine")).objective == "mine"
    assert parts_of(Experiment(task=name, length=40)).goal == parts_of(experiment).goal


RULE = ("threshold", "mean_error", "window", "max_failures", "test_size")


@pytest.mark.parametrize(
    ("task", "named", "rule"),
    [
        ("noise_free", {}, (0.25, None, 1000, 0, 0)),
        ("adding", {}, (0.04, 0.01, 2000, 0, 0)),
        ("adding", {"threshold": 0.3}, (0.3, None, 2000, 0, 0)),
        ("adding", {"mean_error": 0.02}, (0.04, 0.02, 2000, 0, 0)),
        ("multiplication", {}, (0.04, None, 2000, 139, 0)),
        ("multiplication", {"max_failures": 12}, (0.04, None, 2000, 12, 0)),
        ("multiplication", {"window": 100}, (0.04, None, 100, 0, 0)),
        ("multiplication", {"test_size": 64}, (0.04, None, 1000, 0, 64)),
        ("adding_halves", {}, (1 / 6, 1 / 60, 1000, 100, 0)),
        ("two_sequence_noise", {}, (0.2, 0.04, 1000, 5, 256)),
        ("two_sequence_noise", {"window": 300}, (0.2, 0.04, 300, 0, 0)),
        ("embedded_reber", {}, (0.5, None, 1000, 0, 512)),
    ],
)
def test_what_an_experiment_does_not_say_of_solved_its_task_says(task, named, rule):
    experiment = settled(Experiment(task=task, length=40, **named))
    assert tuple(getattr(experiment, name) for name in RULE) == rule
    assert settled(experiment) is experiment


def test_another_task_than_the_suites_has_its_own_rule():
    for name in ("notebook", "3a", "card-copying"):
        experiment = settled(SUITES[name].at(task="adding", length=40))
        assert tuple(getattr(experiment, one) for one in RULE) == (0.04, 0.01, 2000, 0, 0)


@pytest.mark.parametrize(("kind", "symbol"), [("inputs", 5), ("targets", -1)])
def test_a_symbol_beyond_the_alphabet_is_refused(kind, symbol, monkeypatch):
    def sometimes(sequence):
        symbols = getattr(sequence, kind)
        return jnp.where(symbols == 3, jnp.int32(symbol), symbols)

    monkeypatch.setitem(TASKS, "mine", changed_task(**{kind: sometimes}))
    sentence = f"^task mine draws {kind} with the symbol {symbol}: its alphabet of 5 has 0 to 4$"
    with pytest.raises(InputError, match=sentence):
        run_trials(Experiment(task="mine", length=5))


@pytest.mark.parametrize(
    ("table", "kind", "entry", "sentence"),
    [
        (CELLS, "cell", lambda i, h, o: 3, "cell mine gives 3, not a Cell"),
        (CELLS, "cell", lambda i, h, o: 1 / 0, "cell mine fails with ZeroDivisionError: division"),
        (TASKS, "task", lambda length: None, "task mine gives None, not a Task"),
        (INITIALIZERS, "initializer", lambda t: xavier, "initializer mine gives <function xavier"),
        (INITIALIZERS, "initializer", xavier(), "initializer mine is Initializer\\(weights"),
    ],
)
def test_a_builder_of_something_else_is_refused(table, kind, entry, sentence, monkeypatch):
    monkeypatch.setitem(table, "mine", entry)
    with pytest.raises(InputError, match=f"^{sentence}"):
        run_trials(Experiment(**{kind: "mine"}))


def test_an_optimizer_with_a_typed_key_in_its_state_is_refused(monkeypatch):
    def noisy(learning_rate, clip, clipping):
        return optax.chain(optax.sgd(learning_rate), optax.add_noise(0.1, 0.5, jax.random.key(0)))

    monkeypatch.setitem(OPTIMIZERS, "noisy", noisy)
    with pytest.raises(InputError, match=r"^optimizer noisy has a typed key in its state, whic"):
        run_trials(replace(STREAK, optimizer="noisy"))


def test_what_is_no_cell_or_no_initializer_is_refused():
    for cells in ((), (lstm(5, 3, 5), 0)):
        with pytest.raises(InputError, match=r"^stack takes cells, such as lstm\(10, 20, 10\)"):
            stack(*cells)
    with pytest.raises(InputError, match=r"^init takes an initializer, as xavier\(\)"):
        lstm(5, 3, 5).init(jax.random.key(0), xavier)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ({"chunk_steps": 0}, "chunk_steps 0 must be at least 1"),
        ({"lanes": "all"}, "lanes 'all' must be a whole number"),
        ({"only": [3, 5]}, "trial 5 must be below trials 5"),
        ({"only": [-1]}, "trial -1 must not be negative"),
        ({"only": [1, 1]}, "trial 1 is named twice"),
    ],
)
def test_a_bad_argument_of_a_run_is_refused(call, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        run_trials(STREAK, **call)


def test_a_cell_whose_outputs_are_not_the_tasks_is_refused(monkeypatch):
    monkeypatch.setitem(CELLS, "mine", lambda i, h, o: lstm(i, h, 4))
    sentence = r"^cell mine gives outputs of shape \(4, 4\): task noise_free says \(4, 5\)$"
    with pytest.raises(InputError, match=sentence):
        parts_of(Experiment(cell="mine", length=5))


def test_every_cell_of_the_package_can_join_later_a_stack_cannot():
    for name in CELLS:
        options = {"block_size": 2} if name == "memory_blocks" else {}
        assert CELLS[name](5, 3, 5, **options).before_joining is not None
    parts_of(Experiment(length=5, join_at=3))
    with pytest.raises(InputError, match=r"^join-at 3 needs a cell whose hidden units can join l"):
        parts_of(Experiment(length=5, layers=2, join_at=3))


def test_xla_has_nothing_to_fold_and_to_say_of_long_sequences():
    # It folded what is the same in all sequences that are looked at, while it compiled.
    code = (
        "from jaxrnn.problems import TASKS; from jaxrnn.training.checks import check_draws\n"
        "for name in ('noise_free', 'copying'): check_draws(name, TASKS[name](1500))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.slow
def test_jax_keeps_no_more_traces_after_many_experiments_than_after_a_few(monkeypatch):
    monkeypatch.setattr(parts, "FORGET_AFTER", 4)

    def traces_after(sizes):
        for hidden_size in sizes:
            parts_of(Experiment(length=5, hidden_size=hidden_size))
        gc.collect()
        return sum(type(one) is Jaxpr for one in gc.get_objects())

    # Both are multiples of what it forgets after, so as many of the last are still kept.
    few, many = traces_after(range(40, 48)), traces_after(range(48, 72))
    assert 0 < many < 1.2 * few
