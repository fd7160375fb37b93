"""The experiments of "Long Short-Term Memory" (Hochreiter & Schmidhuber 1997).

The paper does not say the following; it was decided here:

- The average training error of experiments 4 and 6 is the mean, over the 2000 most recent sequences
  of training, of the greatest absolute error of a sequence's outputs.
- Rules that look at a test set do so every 100 training sequences. (The published means over ten
  trials are multiples of ten.)
- Experiment 1: strings have at most 40 symbols; one pair of training and test set, not three.
- Experiments 2a and 2b: the memory cell joins after ``join_at`` sequences, which are counted.
- The stretch of 10,000 correct sequences that ends experiments 2a to 2c is not counted: the
  published 5,040 and 5,680 are less.
- A trial is given up after ten times the published mean, but after 5 million sequences at most.

Lengths are those of this package. In experiments 2a and 2b T is the paper's p + 1, in 2c it is q,
and in experiment 1 it is our bound on the strings. The published numbers are those of its tables 1
to 9.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from jaxrnn.experiment import Experiment
from jaxrnn.problems.suite import Published, Source, Suite

PAPER = Source(
    title="Hochreiter & Schmidhuber 1997",
    whose="the 1997 paper's",
    net="{name}",
    solved="met the paper's criterion before the run's cap (if none was given, ten times the "
    "published mean, at most 5 million)",
    steps="training sequences until then (in 2a to 2c without the stretch of correct ones that "
    "ends them, 10,000 in the paper)",
    view="by_experiment",
)

CAP = 5_000_000  # the paper's in experiments 2a and 2b, here in all

BASE = Experiment(
    cell="memory_blocks",
    initializer="uniform",
    initial_scale=0.1,
    objective="half_squared_error",
    loss_reduction="sum",
    clipping="none",
    window=2000,
    final_test=2560,
)


def blocks(number: int, size: int, **options: Any) -> dict[str, Any]:
    """Settings of a net with ``number`` blocks of ``size`` cells each."""
    return {"hidden_size": number, "cell_options": {"block_size": size, **options}}


def as_written(
    name: str,
    base: Experiment,
    published: Mapping[int, Published],
    counts_window: bool = True,
    **settings: Any,
) -> Suite:
    """An experiment under the paper's conditions, ``base`` with some settings, and its published
    row at each length."""
    base = replace(base, name=name, **settings)
    proof = 0 if counts_window else base.window
    return Suite(
        base=base,
        cells=(base.cell,),
        lengths=tuple(published),
        source=PAPER,
        published={(base.cell, length): row for length, row in published.items()},
        uncounted=0,
        counts_window=counts_window,
        caps={
            length: min(10 * int(row.mean or CAP), CAP) + proof for length, row in published.items()
        },
        condition="as written",
    )


def departure(name: str, beside: Suite, changes: str, **settings: Any) -> Suite:
    """An experiment with some settings changed, shown beside the published rows of the original."""
    base = replace(beside.base, name=name, **settings)
    return replace(
        beside,
        base=base,
        cells=(base.cell,),
        published={},
        beside=beside,
        departure=changes,
        condition="departures of the 1997 net",
    )


def standard_lstm(name: str, beside: Suite, changes: str, **settings: Any) -> Suite:
    """The experiment with the standard LSTM; all its settings were found on other seeds."""
    lstm: dict[str, Any] = {"cell": "lstm", "cell_options": (), "hidden_size": 20}
    lstm |= {"initializer": "long_memory", "initial_scale": 1.0, "seed": 1}
    suite = departure(name, beside, f"standard LSTM{changes}", **lstm | settings)
    return replace(suite, condition="standard LSTM")


# Settings of the standard LSTM that several experiments share, with cross-entropy ...
BY_CROSS_ENTROPY: dict[str, Any] = {
    "objective": "cross_entropy",
    "learning_rate": 0.6,
    "clipping": "element",
    "clip": 0.04,
}
# ... and for targets that are real numbers: experiments 3c, 4 and 5.
FOR_REAL_TARGETS: dict[str, Any] = {
    "hidden_size": 8,
    "initial_scale": 0.5,
    "input_bias": -2.0,
    "objective": "half_squared_error_linear",
    "optimizer": "clipped_adam",
    "learning_rate": 0.003,
    "clipping": "norm",
    "clip": 0.1,
}

# Experiment 1. A threshold of 1/2 of the ranking error, which the task is judged by.
_REBER = replace(
    BASE,
    task="embedded_reber",
    initial_scale=0.2,
    threshold=0.5,
    test_size=512,
    final_test=0,
    trials=30,
)


def _net(number: int, size: int, **options: Any) -> dict[str, Any]:
    """The net of experiment 1, its output gates' biases -1, -2, ..., one a block."""
    biases = tuple(-float(block) for block in range(1, number + 1))
    return blocks(
        number, size, hidden_bias="gates", output_bias=False, output_biases=biases, **options
    )


_1 = as_written("1", _REBER, {40: Published(8_440, 1.0)}, learning_rate=0.5, **_net(3, 2))
_1_CE: dict[str, Any] = {"objective": "cross_entropy", "learning_rate": 0.1}

# Experiment 2
_long_lag = partial(as_written, counts_window=False)
_ONE_CELL = replace(
    BASE,
    cell="one_cell",
    hidden_size=1,
    initial_scale=0.2,
    learning_rate=1.0,
    window=10_000,
    trials=18,
    final_test=0,
)
_RTRL = replace(_ONE_CELL, task="noise_free", cell="self_recurrent")
_NONE = Published(None, 0.0)  # was solved
_2A = _long_lag("2a", _ONE_CELL, {101: Published(5_040, 1.0)}, task="noise_free", join_at=2000)
_2B = _long_lag("2b", _ONE_CELL, {101: Published(5_680, 1.0)}, task="no_regularities", join_at=2000)
_VERY_LONG = replace(
    _ONE_CELL,
    task="very_long_lag",
    learning_rate=0.01,
    threshold=0.2,
    trials=20,
    cell="memory_blocks",
    **blocks(2, 1, hidden_bias="none", output_bias=False),
)
_2C_MEANS = {50: 30_000, 100: 31_000, 200: 33_000, 500: 38_000, 1000: 49_000}
_2C = _long_lag("2c", _VERY_LONG, {q: Published(mean) for q, mean in _2C_MEANS.items()})
_FEWER_DISTRACTORS = tuple(
    _long_lag(f"2c-p{p}", _VERY_LONG, {1000: Published(mean)}, task_options={"num_distractors": p})
    for p, mean in ((500, 49_000), (200, 75_000), (100, 135_000), (50, 203_000))
)
_BIPOLAR: dict[str, Any] = {"objective": "cross_entropy", "cell_options": {"bipolar": True}}
_ONLY_LAST: dict[str, Any] = {"join_at": 0, "task_options": {"only_last": True}}

# Experiment 3
_3 = replace(
    BASE,
    task="two_sequence",
    threshold=0.2,
    test_size=256,
    mean_error=0.01,
    **blocks(
        3, 1, output_bias=False, input_biases=(-1.0, -3.0, -5.0), output_biases=(-2.0, -4.0, -6.0)
    ),
)
_NOISE = replace(_3, task="two_sequence_noise", max_failures=5, mean_error=0.04)
_TARGET_NOISE = replace(
    _3, task="two_sequence_target_noise", learning_rate=0.1, threshold=0.1, mean_error=0.015
)
_N1: dict[str, Any] = {"task_options": {"num_informative": 1}}
_3A = as_written(
    "3a",
    _3,
    {
        100: Published(39_850, st1=27_380, wrong=0.000195),
        1000: Published(452_460, st1=446_850, wrong=0.000078),
    },
)
_3A_N1 = as_written("3a-n1", _3, {100: Published(64_330, st1=58_370, wrong=0.000117)}, **_N1)
_3B = as_written("3b", _NOISE, {100: Published(43_250, st1=41_740, wrong=0.00828)})
_3B_N1 = as_written(
    "3b-n1",
    _NOISE,
    {
        100: Published(78_430, st1=74_950, wrong=0.01500),
        1000: Published(485_080, st1=481_060, wrong=0.01207),
    },
    **_N1,
)
_3C = as_written("3c", _TARGET_NOISE, {100: Published(269_650, wrong=0.00558)})
_3C_N1 = as_written("3c-n1", _TARGET_NOISE, {100: Published(565_640, wrong=0.00441)}, **_N1)
_LINEAR: dict[str, Any] = {  # the standard LSTM of 3a and 3b
    "objective": "half_squared_error_linear",
    "learning_rate": 0.3,
    "clipping": "norm",
    "clip": 1.0,
}

# Experiments 4 and 5
_4 = as_written(
    "4",
    BASE,
    {
        100: Published(74_000, wrong=1 / 2560),
        500: Published(209_000, wrong=0.0),
        1000: Published(853_000, wrong=1 / 2560),
    },
    task="adding",
    learning_rate=0.5,
    threshold=0.04,
    mean_error=0.01,
    **blocks(2, 2, input_biases=(-3.0, -6.0)),
)
_5 = as_written(
    "5",
    BASE,
    {100: Published(482_000, wrong=139 / 2560)},
    task="multiplication",
    learning_rate=0.1,
    threshold=0.04,
    max_failures=139,
    **blocks(2, 2),
)

# Experiment 6
_6A = as_written(
    "6a",
    BASE,
    {100: Published(31_390, wrong=1 / 2560)},
    task="temporal_order",
    learning_rate=0.5,
    threshold=0.3,
    mean_error=0.1,
    trials=20,
    **blocks(2, 2, input_biases=(-2.0, -4.0)),
)
_6B = as_written(
    "6b",
    BASE,
    {100: Published(571_100, wrong=2 / 2560)},
    task="temporal_order_three",
    learning_rate=0.1,
    threshold=0.3,
    mean_error=0.1,
    **blocks(3, 2, input_biases=(-2.0, -4.0, -6.0)),
)

SUITES = (
    _1,
    departure(
        "1-ce",
        _1,
        "softmax and cross-entropy, full gradient, learning rate 0.1",
        **_1_CE,
        **_net(3, 2, truncated=False),
    ),
    departure(
        "1-ce-4x2", _1, "as 1-ce, with 4 blocks of 2", **_1_CE, **_net(4, 2, truncated=False)
    ),
    standard_lstm(
        "1-best",
        _1,
        "",
        initializer="orthogonal",
        objective="cross_entropy",
        learning_rate=0.3,
        clipping="norm",
        clip=1.0,
    ),
    *(
        as_written(f"1-{n}x{size}-{rate}", _REBER, {40: row}, learning_rate=rate, **_net(n, size))
        for n, size, rate, row in (
            (3, 2, 0.2, Published(14_060, 0.97)),
            (3, 2, 0.1, Published(21_730, 1.0)),
            (4, 1, 0.5, Published(9_500, 0.97)),
            (4, 1, 0.1, Published(39_740, 1.0)),
        )
    ),
    _2A,
    departure(
        "2a-ce",
        _2A,
        "g in [-1, 1], softmax and cross-entropy, learning rate 0.1, the cell joins after 500",
        learning_rate=0.1,
        join_at=500,
        **_BIPOLAR,
    ),
    standard_lstm(
        "2a-best",
        _2A,
        ", jaxrnn's better one",
        join_at=0,
        **BY_CROSS_ENTROPY | {"hidden_size": 128, "learning_rate": 0.3},
    ),
    _long_lag("2a-rtrl", _RTRL, {5: Published(1_043_000, 0.78), 11: _NONE, 101: _NONE}),
    _long_lag("2a-rtrl-4", _RTRL, {5: Published(892_000, 0.56)}, learning_rate=4.0),
    _long_lag("2a-rtrl-10", _RTRL, {5: Published(254_000, 0.22)}, learning_rate=10.0),
    _long_lag("2a-bptt", _RTRL, {101: _NONE}),
    _2B,
    departure(
        "2b-ce",
        _2B,
        "as 2a-ce, learning rate 0.3, trained on the last step only, the cell there from the start",
        learning_rate=0.3,
        **_ONLY_LAST,
        **_BIPOLAR,
    ),
    standard_lstm(
        "2b-best", _2B, ", trained on the last step only", **_ONLY_LAST, **BY_CROSS_ENTROPY
    ),
    _2C,
    *_FEWER_DISTRACTORS,
    *(
        departure(
            suite.base.name.replace("2c", "2c-feedforward"),
            suite,
            "gates and cells see the inputs only",
            **blocks(2, 1, hidden_bias="none", output_bias=False, recurrent=False),
        )
        for suite in (_2C, *_FEWER_DISTRACTORS)
    ),
    standard_lstm(
        "2c-best",
        _2C,
        ", Adam",
        hidden_size=2,
        initial_scale=0.05,
        objective="cross_entropy",
        optimizer="clipped_adam",
        learning_rate=0.0003,
        clipping="norm",
        clip=1.0,
        seed=2,  # 1 was seen in the search
    ),
    _3A,
    standard_lstm("3a-best", _3A, ", linear output", **_LINEAR),
    _3A_N1,
    # Seed 1 was seen in the search.
    standard_lstm("3a-n1-best", _3A_N1, ", linear output", seed=2, **_LINEAR),
    _3B,
    standard_lstm("3b-best", _3B, ", linear output", **_LINEAR),
    _3B_N1,
    standard_lstm("3b-n1-best", _3B_N1, ", linear output", **_LINEAR),
    _3C,
    standard_lstm("3c-best", _3C, ", linear output, Adam", **FOR_REAL_TARGETS),
    _3C_N1,
    standard_lstm("3c-n1-best", _3C_N1, ", linear output, Adam", **FOR_REAL_TARGETS),
    _4,
    departure("4-linear", _4, "linear output", objective="half_squared_error_linear"),
    standard_lstm("4-best", _4, ", linear output, Adam", **FOR_REAL_TARGETS),
    _5,
    departure("5-linear", _5, "linear output", objective="half_squared_error_linear"),
    standard_lstm("5-best", _5, ", linear output, Adam", **FOR_REAL_TARGETS),
    as_written("5-n13", _5.base, {100: Published(1_273_000, wrong=14 / 2560)}, max_failures=12),
    _6A,
    standard_lstm("6a-best", _6A, "", **BY_CROSS_ENTROPY),
    _6B,
    departure("6b-ce", _6B, "softmax and cross-entropy", objective="cross_entropy"),
    standard_lstm("6b-best", _6B, "", **BY_CROSS_ENTROPY),
)
