"""Experiments 2a to 2c of the 1997 paper: long lags, with and without local regularities."""

from dataclasses import replace
from typing import Any

from jaxrnn.experiment import Experiment
from jaxrnn.suites.base import Published, Suite
from jaxrnn.suites.paper_1997 import (
    BASE,
    BY_CROSS_ENTROPY,
    as_written,
    blocks,
    departure,
    standard_lstm,
)

_BASE = replace(
    BASE,
    cell="one_cell",
    hidden_size=1,
    initial_scale=0.2,
    learning_rate=1.0,
    window=10_000,
    trials=18,
    final_test=0,
)
_RTRL = replace(_BASE, task="noise_free", cell="self_recurrent")
_VERY_LONG = replace(
    _BASE,
    task="very_long_lag",
    learning_rate=0.01,
    threshold=0.2,
    trials=20,
    cell="memory_blocks",
    **blocks(2, 1, hidden_bias="none", output_bias=False),
)


def _long_lag(name: str, base: Experiment, published: dict[int, Published]) -> Suite:
    return as_written(name, base, published, counts_window=False)


_2A = _long_lag("2a", replace(_BASE, task="noise_free", join_at=2000), {101: Published(5_040, 1.0)})
_2B = _long_lag(
    "2b", replace(_BASE, task="no_regularities", join_at=2000), {101: Published(5_680, 1.0)}
)
_2C = _long_lag(
    "2c",
    _VERY_LONG,
    {
        50: Published(30_000),
        100: Published(31_000),
        200: Published(33_000),
        500: Published(38_000),
        1000: Published(49_000),
    },
)
_FEWER_DISTRACTORS = tuple(
    _long_lag(
        f"2c-p{p}",
        replace(_VERY_LONG, task_options=(("num_distractors", p),)),
        {1000: Published(mean)},
    )
    for p, mean in ((500, 49_000), (200, 75_000), (100, 135_000), (50, 203_000))
)
_BIPOLAR: dict[str, Any] = {
    "objective": "cross_entropy",
    "cell_options": {"bipolar": True},
}

SUITES = (
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
    _long_lag(
        "2a-rtrl",
        _RTRL,
        {
            5: Published(1_043_000, 0.78),
            11: Published(None, 0.0),
            101: Published(None, 0.0),
        },
    ),
    _long_lag("2a-rtrl-4", replace(_RTRL, learning_rate=4.0), {5: Published(892_000, 0.56)}),
    _long_lag("2a-rtrl-10", replace(_RTRL, learning_rate=10.0), {5: Published(254_000, 0.22)}),
    _long_lag("2a-bptt", _RTRL, {101: Published(None, 0.0)}),
    _2B,
    departure(
        "2b-ce",
        _2B,
        "as 2a-ce, learning rate 0.3, trained on the last step only, the cell there from the start",
        learning_rate=0.3,
        join_at=0,
        task_options={"only_last": True},
        **_BIPOLAR,
    ),
    standard_lstm(
        "2b-best",
        _2B,
        ", trained on the last step only",
        join_at=0,
        task_options={"only_last": True},
        **BY_CROSS_ENTROPY,
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
)
