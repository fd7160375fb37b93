"""Experiments 6a and 6b of the 1997 paper: temporal order."""

from dataclasses import replace

from jaxrnn.suites.base import Published
from jaxrnn.suites.paper_1997 import (
    BASE,
    BY_CROSS_ENTROPY,
    as_written,
    blocks,
    departure,
    standard_lstm,
)

_BASE = replace(BASE, threshold=0.3, mean_error=0.1)
_6A = as_written(
    "6a",
    replace(
        _BASE,
        task="temporal_order",
        learning_rate=0.5,
        trials=20,
        **blocks(2, 2, input_biases=(-2.0, -4.0)),
    ),
    {100: Published(31_390, wrong=1 / 2560)},
)
_6B = as_written(
    "6b",
    replace(
        _BASE,
        task="temporal_order_three",
        learning_rate=0.1,
        **blocks(3, 2, input_biases=(-2.0, -4.0, -6.0)),
    ),
    {100: Published(571_100, wrong=2 / 2560)},
)

SUITES = (
    _6A,
    standard_lstm("6a-best", _6A, "", **BY_CROSS_ENTROPY),
    _6B,
    departure("6b-ce", _6B, "softmax and cross-entropy", objective="cross_entropy"),
    standard_lstm("6b-best", _6B, "", **BY_CROSS_ENTROPY),
)
