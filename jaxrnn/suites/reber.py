"""Experiment 1 of the 1997 paper: the embedded Reber grammar."""

from dataclasses import replace
from typing import Any

from jaxrnn.suites.base import Published
from jaxrnn.suites.paper_1997 import BASE, as_written, blocks, departure, standard_lstm

# A threshold of 1/2 of the ranking error, which the task is judged by.
_BASE = replace(
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


_WRITTEN = as_written(
    "1", replace(_BASE, learning_rate=0.5, **_net(3, 2)), {40: Published(8_440, 1.0)}
)
_CROSS_ENTROPY: dict[str, Any] = {"objective": "cross_entropy", "learning_rate": 0.1}

SUITES = (
    _WRITTEN,
    departure(
        "1-ce",
        _WRITTEN,
        "softmax and cross-entropy, full gradient, learning rate 0.1",
        **_CROSS_ENTROPY,
        **_net(3, 2, truncated=False),
    ),
    departure(
        "1-ce-4x2",
        _WRITTEN,
        "as 1-ce, with 4 blocks of 2",
        **_CROSS_ENTROPY,
        **_net(4, 2, truncated=False),
    ),
    standard_lstm(
        "1-best",
        _WRITTEN,
        "",
        initializer="orthogonal",
        objective="cross_entropy",
        learning_rate=0.3,
        clipping="norm",
        clip=1.0,
    ),
    as_written(
        "1-3x2-0.2",
        replace(_BASE, learning_rate=0.2, **_net(3, 2)),
        {40: Published(14_060, 0.97)},
    ),
    as_written(
        "1-3x2-0.1",
        replace(_BASE, learning_rate=0.1, **_net(3, 2)),
        {40: Published(21_730, 1.0)},
    ),
    as_written(
        "1-4x1-0.5",
        replace(_BASE, learning_rate=0.5, **_net(4, 1)),
        {40: Published(9_500, 0.97)},
    ),
    as_written(
        "1-4x1-0.1",
        replace(_BASE, learning_rate=0.1, **_net(4, 1)),
        {40: Published(39_740, 1.0)},
    ),
)
