"""Experiments 4 and 5 of the 1997 paper: adding and multiplication."""

from dataclasses import replace

from jaxrnn.suites.base import Published
from jaxrnn.suites.paper_1997 import (
    BASE,
    FOR_REAL_TARGETS,
    as_written,
    blocks,
    departure,
    standard_lstm,
)

_4 = as_written(
    "4",
    replace(
        BASE,
        task="adding",
        learning_rate=0.5,
        threshold=0.04,
        mean_error=0.01,
        **blocks(2, 2, input_biases=(-3.0, -6.0)),
    ),
    {
        100: Published(74_000, wrong=1 / 2560),
        500: Published(209_000, wrong=0.0),
        1000: Published(853_000, wrong=1 / 2560),
    },
)
_5 = as_written(
    "5",
    replace(
        BASE,
        task="multiplication",
        learning_rate=0.1,
        threshold=0.04,
        max_failures=139,
        **blocks(2, 2),
    ),
    {100: Published(482_000, wrong=139 / 2560)},
)

SUITES = (
    _4,
    departure("4-linear", _4, "linear output", objective="half_squared_error_linear"),
    standard_lstm("4-best", _4, ", linear output, Adam", **FOR_REAL_TARGETS),
    _5,
    departure("5-linear", _5, "linear output", objective="half_squared_error_linear"),
    standard_lstm("5-best", _5, ", linear output, Adam", **FOR_REAL_TARGETS),
    as_written(
        "5-n13", replace(_5.base, max_failures=12), {100: Published(1_273_000, wrong=14 / 2560)}
    ),
)
