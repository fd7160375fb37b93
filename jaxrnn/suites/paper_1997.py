"""The experiments of "Long Short-Term Memory" (Hochreiter & Schmidhuber 1997), as plain data.

What the paper does not say, and what was decided here:

- The average training error of experiments 4 and 6 is the mean, over the 2000 most recent sequences
  of training, of the greatest absolute error of a sequence's outputs.
- Rules that look at a test set do so every 100 training sequences. (The published means over ten
  trials are multiples of ten.)
- Experiment 1: strings have at most 40 symbols; one pair of training and test set, not three.
- Experiments 2a and 2b: the memory cell joins after ``join_at`` sequences, which are counted.
- The stretch of 10,000 correct sequences that ends experiments 2a to 2c is not counted: the
  published 5,040 and 5,680 are less.
- A trial is given up after ten times the published mean, but after 5 million sequences at most.
"""

from dataclasses import replace
from typing import Any

from jaxrnn.experiment import Experiment
from jaxrnn.suites.base import Suite
from jaxrnn.suites.published import PAPER_RESULTS

PAPER_CAP = 5_000_000  # the paper's own in experiments 2a and 2b, here of all

_BASE = Experiment(
    cell="memory_blocks",
    initializer="uniform",
    initial_scale=0.1,
    objective="half_squared_error",
    loss_reduction="sum",
    clipping="none",
    window=2000,
    final_test=2560,
)


def _blocks(number: int, size: int, **options: Any) -> dict[str, Any]:
    """Settings of a net of so many blocks of so many cells."""
    return {"hidden_size": number, "cell_options": {"block_size": size, **options}}


# Experiment 1: threshold 1/2 of the ranking error.
_1 = replace(
    _BASE,
    task="embedded_reber",
    initial_scale=0.2,
    threshold=0.5,
    test_size=512,
    final_test=0,
    trials=30,
)


def _1_blocks(number: int, size: int, **options: Any) -> dict[str, Any]:
    """The net of experiment 1, its output gates' biases -1, -2, ..., one a block."""
    biases = tuple(-float(block) for block in range(1, number + 1))
    return _blocks(
        number, size, hidden_bias="gates", output_bias=False, output_biases=biases, **options
    )


_1_3X2, _1_4X1 = _1_blocks(3, 2), _1_blocks(4, 1)
_CROSS_ENTROPY: dict[str, Any] = {"objective": "cross_entropy"}
_2 = replace(
    _BASE,
    cell="one_cell",
    hidden_size=1,
    initial_scale=0.2,
    learning_rate=1.0,
    window=10_000,
    trials=18,
    final_test=0,
)
_ONLY_LAST = (("only_last", True),)
_BIPOLAR: dict[str, Any] = {"cell_options": (("bipolar", True),)}
_2A = replace(_2, task="noise_free", join_at=2000)
_2B = replace(_2, task="no_regularities", join_at=2000)
_RTRL = replace(_2A, cell="self_recurrent", join_at=0)
_2C = replace(
    _2,
    task="very_long_lag",
    cell="memory_blocks",
    learning_rate=0.01,
    threshold=0.2,
    trials=20,
    **_blocks(2, 1, hidden_bias="none", output_bias=False),
)
_3A = replace(
    _BASE,
    task="two_sequence",
    threshold=0.2,
    test_size=256,
    mean_error=0.01,
    **_blocks(
        3, 1, output_bias=False, input_biases=(-1.0, -3.0, -5.0), output_biases=(-2.0, -4.0, -6.0)
    ),
)
_3B = replace(_3A, task="two_sequence_noise", max_failures=5, mean_error=0.04)
_3C = replace(
    _3A,
    task="two_sequence_target_noise",
    learning_rate=0.1,
    threshold=0.1,
    mean_error=0.015,
)
_N1: dict[str, Any] = {"task_options": {"num_informative": 1}}
_4 = replace(
    _BASE,
    task="adding",
    learning_rate=0.5,
    threshold=0.04,
    mean_error=0.01,
    **_blocks(2, 2, input_biases=(-3.0, -6.0)),
)
_5 = replace(
    _BASE,
    task="multiplication",
    learning_rate=0.1,
    threshold=0.04,
    max_failures=139,
    **_blocks(2, 2),
)
_6A = replace(
    _BASE,
    task="temporal_order",
    learning_rate=0.5,
    threshold=0.3,
    mean_error=0.1,
    trials=20,
    **_blocks(2, 2, input_biases=(-2.0, -4.0)),
)
_6B = replace(
    _6A,
    task="temporal_order_three",
    learning_rate=0.1,
    trials=10,
    **_blocks(3, 2, input_biases=(-2.0, -4.0, -6.0)),
)

# The standard LSTM, settings found by grid, on other seeds than those they are reported for.
_LSTM: dict[str, Any] = {
    "cell": "lstm",
    "cell_options": (),
    "hidden_size": 20,
    "initial_scale": 1.0,
    "seed": 1,
}
_NORM: dict[str, Any] = {"clipping": "norm", "clip": 1.0}
_LONG_MEMORY: dict[str, Any] = {
    "initializer": "long_memory",
    "learning_rate": 0.6,
    "clipping": "element",
    "clip": 0.04,
    "objective": "cross_entropy",
}
_3_BEST: dict[str, Any] = {
    **_LSTM,
    **_NORM,
    "initializer": "long_memory",
    "learning_rate": 0.3,
    "objective": "half_squared_error_linear",
}
_BETTER: dict[str, Any] = {"hidden_size": 128, "learning_rate": 0.3}  # as jaxrnn.suites.BETTER
_ADAM: dict[str, Any] = {
    "initializer": "long_memory",
    "optimizer": "clipped_adam",
    "clipping": "norm",
}
_SECOND_SEED: dict[str, Any] = {"seed": 2}  # where 1 was seen in the search
_2C_BEST: dict[str, Any] = {
    **_LSTM,
    **_SECOND_SEED,
    **_ADAM,
    **_CROSS_ENTROPY,
    "hidden_size": 2,
    "initial_scale": 0.05,
    "learning_rate": 0.0003,
    "clip": 1.0,
}
# Experiments 3c, 4 and 5, whose targets are real numbers.
_REAL_BEST: dict[str, Any] = {
    **_LSTM,
    **_ADAM,
    "hidden_size": 8,
    "initial_scale": 0.5,
    "input_bias": -2.0,
    "learning_rate": 0.003,
    "clip": 0.1,
    "objective": "half_squared_error_linear",
}

# Name -> the settings, and in what they depart from the paper.
_AS_WRITTEN = {
    "1": replace(_1, learning_rate=0.5, **_1_3X2),
    "1-3x2-0.2": replace(_1, learning_rate=0.2, **_1_3X2),
    "1-3x2-0.1": replace(_1, learning_rate=0.1, **_1_3X2),
    "1-4x1-0.5": replace(_1, learning_rate=0.5, **_1_4X1),
    "1-4x1-0.1": replace(_1, learning_rate=0.1, **_1_4X1),
    "2a": _2A,
    "2a-rtrl": _RTRL,
    "2a-rtrl-4": replace(_RTRL, learning_rate=4.0),
    "2a-rtrl-10": replace(_RTRL, learning_rate=10.0),
    "2a-bptt": _RTRL,
    "2b": _2B,
    "2c": _2C,
    **{
        f"2c-p{p}": replace(_2C, task_options=(("num_distractors", p),))
        for p in (500, 200, 100, 50)
    },
    "3a": _3A,
    "3a-n1": replace(_3A, **_N1),
    "3b": _3B,
    "3b-n1": replace(_3B, **_N1),
    "3c": _3C,
    "3c-n1": replace(_3C, **_N1),
    "4": _4,
    "5": _5,
    "5-n13": replace(_5, max_failures=12),
    "6a": _6A,
    "6b": _6B,
}

# Name -> the row that it is laid beside, its settings, and what they change.
_DEPARTURES: dict[str, tuple[str, Experiment, str]] = {
    "1-ce": (
        "1",
        replace(_1, learning_rate=0.1, **_CROSS_ENTROPY, **_1_blocks(3, 2, truncated=False)),
        "softmax and cross-entropy, full gradient, learning rate 0.1",
    ),
    "1-ce-4x2": (
        "1",
        replace(_1, learning_rate=0.1, **_CROSS_ENTROPY, **_1_blocks(4, 2, truncated=False)),
        "as 1-ce, with 4 blocks of 2",
    ),
    "2a-ce": (
        "2a",
        replace(_2A, learning_rate=0.1, join_at=500, **_CROSS_ENTROPY, **_BIPOLAR),
        "g in [-1, 1], softmax and cross-entropy, learning rate 0.1, the cell joins after 500",
    ),
    "2b-ce": (
        "2b",
        replace(
            _2B,
            learning_rate=0.3,
            join_at=0,
            task_options=_ONLY_LAST,
            **_CROSS_ENTROPY,
            **_BIPOLAR,
        ),
        "as 2a-ce, learning rate 0.3, trained on the last step only, the cell there from the start",
    ),
    **{
        name.replace("2c", "2c-feedforward"): (
            name,
            replace(base, **_blocks(2, 1, hidden_bias="none", output_bias=False, recurrent=False)),
            "gates and cells see the inputs only",
        )
        for name, base in _AS_WRITTEN.items()
        if name.startswith("2c")
    },
    "4-linear": ("4", replace(_4, objective="half_squared_error_linear"), "linear output"),
    "5-linear": ("5", replace(_5, objective="half_squared_error_linear"), "linear output"),
    "6b-ce": ("6b", replace(_6B, **_CROSS_ENTROPY), "softmax and cross-entropy"),
    "1-best": (
        "1",
        replace(
            _1, learning_rate=0.3, **_LSTM, **_CROSS_ENTROPY, initializer="orthogonal", **_NORM
        ),
        "standard LSTM",
    ),
    "2a-best": (
        "2a",
        replace(_2A, join_at=0, **(_LSTM | _LONG_MEMORY | _BETTER)),
        "standard LSTM, jaxrnn's better one",
    ),
    "2b-best": (
        "2b",
        replace(_2B, join_at=0, task_options=_ONLY_LAST, **_LSTM, **_LONG_MEMORY),
        "standard LSTM, trained on the last step only",
    ),
    "2c-best": ("2c", replace(_2C, **_2C_BEST), "standard LSTM, Adam"),
    "3a-best": ("3a", replace(_3A, **_3_BEST), "standard LSTM, linear output"),
    "3a-n1-best": (
        "3a-n1",
        replace(_3A, **_N1, **(_3_BEST | _SECOND_SEED)),
        "standard LSTM, linear output",
    ),
    "3b-best": ("3b", replace(_3B, **_3_BEST), "standard LSTM, linear output"),
    "3b-n1-best": ("3b-n1", replace(_3B, **_N1, **_3_BEST), "standard LSTM, linear output"),
    "3c-best": ("3c", replace(_3C, **_REAL_BEST), "standard LSTM, linear output, Adam"),
    "3c-n1-best": (
        "3c-n1",
        replace(_3C, **_N1, **_REAL_BEST),
        "standard LSTM, linear output, Adam",
    ),
    "4-best": ("4", replace(_4, **_REAL_BEST), "standard LSTM, linear output, Adam"),
    "5-best": ("5", replace(_5, **_REAL_BEST), "standard LSTM, linear output, Adam"),
    "6a-best": ("6a", replace(_6A, **_LSTM, **_LONG_MEMORY), "standard LSTM"),
    "6b-best": ("6b", replace(_6B, **_LSTM, **_LONG_MEMORY), "standard LSTM"),
}


# Of a time step of a trial, in those of experiment 6a, tests included; roughly, as once measured.
_COST = {"1": 6.0, "2a": 2.0, "2b": 2.3, "2c": 0.7, "3a": 2.6, "3b": 2.6, "3c": 2.6, "6b": 1.7}
_LSTM_COST = {2: 1.3, 8: 2.1, 20: 6.0, 128: 77.0}  # by its units


def _suite(name: str, row: str, base: Experiment, departure: str) -> Suite:
    published = PAPER_RESULTS[row]
    proof = base.window if row.startswith("2") else 0
    return Suite(
        base=replace(base, name=name),
        cells=(base.cell,),
        lengths=tuple(published),
        source="Hochreiter & Schmidhuber 1997, experiment " + row.partition("-")[0],
        caps={
            length: min(10 * (result.sequences or PAPER_CAP), PAPER_CAP) + proof
            for length, result in published.items()
        },
        proof=proof,
        departure=departure,
        row=row,
        cost=_LSTM_COST[base.hidden_size]
        if base.cell == "lstm"
        else _COST.get(row.partition("-")[0], 1.0),
    )


PAPER: dict[str, Suite] = {
    name: _suite(name, name, base, "") for name, base in _AS_WRITTEN.items()
} | {
    name: _suite(name, row, base, departure) for name, (row, base, departure) in _DEPARTURES.items()
}
"""Experiment name -> its suite, as written and departures from it."""
