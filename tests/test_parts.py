"""Experiments that cannot be: one sentence each, before anything is compiled."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import optax
import pytest
from helpers import STREAK, WINDOW

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
from jaxrnn.training.checks import check_draws
from jaxrnn.training.parts import parts_of
from jaxrnn.yardstick import TASKS as HORIZONS

REFUSED = [
    (WINDOW, {"test_size": -1}, "test-size -1 must not be negative"),
    (WINDOW, {"mean_error": 0.0}, "mean-error 0.0 must be a positive number"),
    (WINDOW, {"test_every": 0}, "test-every 0 must be at least 1"),
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
    (STREAK, {"threshold": 1.0}, "threshold 1.0 must lie between 0 and 1"),
    (STREAK, {"threshold": float("nan")}, "threshold nan must lie between 0 and 1"),
    (STREAK, {"learning_rate": float("nan")}, "learning-rate nan must be a positive number"),
    (STREAK, {"learning_rate": (1.0, 2.0)}, r"learning-rate \(1.0, 2.0\) must be one value or o"),
    (STREAK, {"clip": -5.0}, "clip -5.0 must be a positive number"),
    (STREAK, {"seed": -1}, "seed -1 must be from 0 to 4294967295"),
    (STREAK, {"cell": "gru2"}, "unknown cell 'gru2': choose from co_rnn, .* gru, .* lstm_layer_"),
    (STREAK, {"task": "none"}, "unknown task 'none': choose from adding, adding_halves, assoc"),
    (STREAK, {"objective": "x"}, "unknown objective 'x': choose from binary_cross_entropy"),
    (STREAK, {"optimizer": "adam"}, "unknown optimizer 'adam': choose from clipped_adam, clip"),
    (
        STREAK,
        {"task": "adding", "length": 20, "objective": "cross_entropy"},
        r"^objective cross_entropy does not fit task adding: cross_entropy takes symbols \[T\] as "
        r"targets, not float32 \[22, 1\]; choose from binary_cross_entropy, half_squared_error, "
        "half_squared_error_linear$",
    ),
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


def test_an_objective_that_does_not_fit_the_task_is_refused(monkeypatch):
    for name, objective, sentence in (
        ("three", lambda outputs, targets, mask: (outputs, outputs), "it fails with Typ"),
        (
            "total",
            lambda outputs, targets: (outputs.sum(),) * 2,
            r"it gives losses of shape \(\): the task's num_steps says \(9,\); choose "
            "from cross_entropy, binary_cross_entropy, half",
        ),
        ("losses", lambda outputs, targets: outputs[:, 0], ""),
    ):
        monkeypatch.setitem(OBJECTIVES, name, objective)
        does_not_fit = f"^objective {name} does not fit task noise_free: "
        with pytest.raises(InputError, match=does_not_fit + sentence):
            run_trials(Experiment(objective=name))


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
    for suite in (SUITES["notebook"], SUITES["3a"], HORIZONS["copying"]):
        experiment = settled(suite.at(task="adding", length=40))
        assert tuple(getattr(experiment, one) for one in RULE) == (0.04, 0.01, 2000, 0, 0)


def noisy(learning_rate, clip, clipping):
    return optax.chain(optax.sgd(learning_rate), optax.add_noise(0.1, 0.5, jax.random.key(0)))


TABLES = {"cell": CELLS, "initializer": INITIALIZERS, "optimizer": OPTIMIZERS, "task": TASKS}
OTHERS = [
    ("cell", lambda i, h, o: 3, "gives 3, not a Cell"),
    ("cell", lambda i, h, o: 1 / 0, "fails with ZeroDivisionError: division"),
    (
        "cell",
        lambda i, h, o: lstm(i, h, 4),
        r"gives outputs of shape \(4, 4\): task noise_free says \(4, 5\)$",
    ),
    (
        "task",
        changed_task(inputs=lambda s: jnp.where(s.inputs == 3, jnp.int32(5), s.inputs)),
        "draws inputs with the symbol 5: its alphabet of 5 has 0 to 4$",
    ),
    (
        "task",
        changed_task(targets=lambda s: jnp.where(s.targets == 3, jnp.int32(-1), s.targets)),
        "draws targets with the symbol -1: its alphabet of 5 has 0 to 4$",
    ),
    ("task", lambda length: None, "gives None, not a Task"),
    (
        "task",
        changed_task(inputs=lambda s: jax.nn.one_hot(s.inputs, 7)),
        r"gives inputs of type float32 and of shape \(4, 7\): its num_steps and num_inputs say "
        r"\(4, 5\)$",
    ),
    (
        "task",
        changed_task(inputs=lambda s: s.inputs[1:], targets=lambda s: s.targets[1:]),
        r"gives inputs of shape \(3,\): its num_steps and num_inputs say \(4,\)$",
    ),
    (
        "task",
        changed_task(mask=lambda s: jnp.ones((4, 1), bool)),
        r"gives mask of shape \(4, 1\): its num_steps says \(4,\)$",
    ),
    ("initializer", lambda t: xavier, "gives <function xavier"),
    ("initializer", xavier(), r"is Initializer\(weights"),
    ("optimizer", noisy, "has a typed key in its state, whic"),
]


@pytest.mark.parametrize(("kind", "entry", "sentence"), OTHERS)
def test_what_a_user_hands_in_and_is_something_else_is_refused(kind, entry, sentence, monkeypatch):
    monkeypatch.setitem(TABLES[kind], "mine", entry)
    with pytest.raises(InputError, match=f"^{kind} mine {sentence}"):
        run_trials(Experiment(**{kind: "mine"}, length=5))


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


def test_every_cell_of_the_package_can_join_later_a_stack_cannot():
    for name in CELLS:
        options = {"block_size": 2} if name == "memory_blocks" else {}
        assert CELLS[name](5, 3, 5, **options).before_joining is not None
    parts_of(Experiment(length=5, join_at=3))
    with pytest.raises(InputError, match=r"^join-at 3 needs a cell whose hidden units can join l"):
        parts_of(Experiment(length=5, layers=2, join_at=3))


def test_xla_has_nothing_to_fold_and_to_say_of_long_sequences(capfd):
    # It folded what is the same in all sequences that are looked at, while it compiled.
    for name in ("noise_free", "copying"):
        check_draws(name, TASKS[name](5000))  # where it takes XLA seconds
    assert capfd.readouterr() == ("", "")
