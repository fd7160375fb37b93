"""What the experiments of "Long Short-Term Memory" (Hochreiter & Schmidhuber 1997) share.

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
