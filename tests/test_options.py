"""The options of every builder in every table: each has a range, and the builder keeps to it."""

from inspect import signature

import numpy as np
import pytest

from jaxrnn import CELLS, INITIALIZERS, OBJECTIVES, OPTIMIZERS, SCHEDULES, TASKS
from jaxrnn.errors import InputError, shown
from jaxrnn.options import rule_of
from jaxrnn.training.objectives import MEASURES

# A builder's sizes, which come before its options, and the options that it cannot do without.
TABLES = [
    (CELLS, (3, 4, 3), {"block_size": 2}),
    (TASKS, (40,), {}),
    (INITIALIZERS, (9,), {}),
    (OPTIMIZERS, (1.0, 5.0, "norm"), {}),
    (SCHEDULES, (), {"every": 3, "updates": 3, "warmup": 3}),
]


def options_of(builder, sizes=()):
    return list(signature(builder).parameters.values())[len(sizes) :]


BUILDERS = {
    name: (builder, sizes, {k: v for k, v in needed.items() if k in signature(builder).parameters})
    for table, sizes, needed in TABLES
    for name, builder in table.items()
}
OPTIONS = [
    pytest.param(builder, sizes, needed, one, id=f"{name}-{one.name}")
    for name, (builder, sizes, needed) in BUILDERS.items()
    for one in options_of(builder, sizes)
]
# Every range is broken by each of these.
NONSENSE = [float("nan"), float("inf"), -float("inf"), "x", [[]], {"x": 1}, (1, "x"), 10**400]
NUMBERS_THAT_HAVE_NO_END = ("beta",)


def refusal(builder, sizes, needed, name, value):
    """The sentence that names an option, its value and its range; None if the builder takes it."""
    try:
        builder(*sizes, **needed | {name: value})
    except InputError as error:
        sentence = str(error)
        assert name in sentence, sentence
        assert shown(value) in sentence, sentence
        assert " must " in sentence or sentence.startswith(f"unknown {name} "), sentence
        return sentence
    return None


@pytest.mark.parametrize(("builder", "sizes", "needed", "one"), OPTIONS)
def test_an_option_keeps_to_its_range(builder, sizes, needed, one):
    rule = rule_of(one.annotation)
    assert rule is not None, "its type gives no range"
    if one.default is not one.empty:
        assert rule(one.name, one.default) == one.default
    for value in NONSENSE:
        assert refusal(builder, sizes, needed, one.name, value)
    if one.annotation is bool:
        for value in (0, 1, None):
            assert refusal(builder, sizes, needed, one.name, value)
        builder(*sizes, **needed | {one.name: one.default})
    else:
        assert refusal(builder, sizes, needed, one.name, True)
        if one.name not in NUMBERS_THAT_HAVE_NO_END:
            assert refusal(builder, sizes, needed, one.name, -1)


def test_objectives_and_measures_have_no_options():
    for function in (*OBJECTIVES.values(), *MEASURES.values()):
        assert len(options_of(function)) == 2


# The greatest value that an option takes and the least that it does not, or the reverse.
ENDS = {
    "steps": {"every": (1, 0), "factor": (0.999, 1.0), "least": (1.0, 1.001)},
    "cosine": {"updates": (1, 0), "final": (1, 1.001)},
    "inverse_root": {"warmup": (0, -1)},
    "clipped_sgd": {"momentum": (0.999, 1.0), "weight_decay": (0, -1e-9)},
    "clipped_rmsprop": {"decay": (0.0, -1e-9), "eps": (0.0, -1e-9), "initial_scale": (0, -1e-9)},
    "clipped_adam": {"b1": (0, 1), "b2": (np.float32(0.5), np.float32(1.0)), "eps": (0, -1e-9)},
    "ind_rnn": {"recurrent_range": ([-1, 1], (0, 1, 2)), "recurrent_bound": (1e-9, 0.0)},
    "janet": {"beta": (-3.0, np.nan)},
    "slstm": {"forget_gate": ("exponential", "tanh")},
    "co_rnn": {"dt": (1e-9, 0), "gamma": (0, -1e-9), "epsilon": (0.0, -1e-9)},
    "lru": {"r_min": (0, -0.1), "r_max": (1, 1.1), "max_phase": (1e-9, 0)},
    "s6": {"state_size": (np.int64(1), 0)},
    "delta_product": {"num_updates": (1, 0)},
    "exp_rnn": {"first_angles": ("cayley", "haar"), "skew_rate": (1e-9, 0.0)},
    "sco_rnn": {"num_negative": (0, 5)},
    "memory_blocks": {
        "block_size": (1, 0),
        "hidden_bias": ("none", "some"),
        "input_biases": ((0, -1.5, 1, 2), (0, 1, 2, "x")),
        "g_bound": (1e-9, 0),
    },
    "embedded_reber": {"seed": (2**32 - 1, 2**32)},
    "noise_free": {"num_symbols": (3, 2)},
    "very_long_lag": {"num_distractors": (1, 0), "shortest": (40, 41)},
    "two_sequence": {"num_informative": (39, 0)},
    "copying": {"num_symbols": (2, 1), "num_copied": (1, 2.5)},
    "selective_copying": {"num_symbols": (2, 2**31), "num_copied": (1, 0)},
    "associative_recall": {"vocabulary": (10, 8), "num_pairs": (1, 0), "power": (1e-9, 0)},
    "induction": {"vocabulary": (2, 1)},
    "adding": {"shortest": (11, 10)},
    "group_words": {"group": ("S5", "S4")},
}


@pytest.mark.parametrize(
    ("name", "option", "taken", "refused"),
    [(name, option, *ends) for name, options in ENDS.items() for option, ends in options.items()],
)
def test_a_range_ends_where_it_should(name, option, taken, refused):
    builder, sizes, needed = BUILDERS[name]
    assert refusal(builder, sizes, needed, option, taken) is None
    assert refusal(builder, sizes, needed, option, refused)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("steps", {"every": 3, "factor": -1}, "factor -1 must be a number between 0 and 1"),
        ("cosine", {"updates": 9, "final": np.inf}, "final inf must be a number from 0 to 1"),
        ("clipped_sgd", {"nesterov": True}, "nesterov needs a momentum above 0"),
        ("clipped_adam", {"eps": -1e-8}, "eps -1e-08 must be a number of at least 0"),
        ("copying", {"num_copied": 2.5}, "num_copied 2.5 must be a whole number"),
        ("noise_free", {"shortest": 5}, "shortest 5 needs num_symbols, since the alphabet is the "),
        ("associative_recall", {"vocabulary": 15}, "vocabulary 15 must be even: one half are val"),
        ("adding", {"shortest": 41}, "shortest 41 must lie between the least length of task addi"),
        ("group_words", {"group": "S4"}, "unknown group 'S4': choose from A4xZ5, A5, S3, S5, Z60"),
        ("group_words", {"group": "A5", "generators": True}, "generators needs the group S3 or S5"),
        ("ind_rnn", {"recurrent_range": (1,)}, "recurrent_range (1,) must be 2 finite numbers"),
        ("min_gru", {"positive": "no"}, "positive 'no' must be True or False"),
    ],
)
def test_the_sentence_names_the_option_its_value_and_its_range(name, options, sentence):
    builder, sizes, _ = BUILDERS[name]
    with pytest.raises(InputError) as refusal:
        builder(*sizes, **options)
    assert str(refusal.value).startswith(sentence)
