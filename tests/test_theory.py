"""What theory says of which cell keeps which state, in the kept rows and, by name, run again."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxrnn import run_trials
from jaxrnn.store.rows import typed_rows

EXAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "state_tracking.py"))
LENGTHS, RIGHT = EXAMPLE["LENGTHS"], EXAMPLE["shares_right"]
BEYOND = [LENGTHS.index(length) for length in (40, 80)]  # twice and four times the training's

NETS = [
    pytest.param(words, net, holds, id=f"{words}-{'-'.join(filter(None, net))}")
    for words, nets in EXAMPLE["NETS"].items()
    for net, holds in nets.items()
    if holds is not None
]
# At 40 and 80 letters; the training's have at most 20. Guessing is right for 1/2, 1/6 and 1/60.
LEAST = {"parity": (0.99, 0.99), "S3": (0.99, 0.99), "A5": (0.8, 0.5)}
MOST = {"parity": 0.6, "S3": 0.25, "A5": 0.05}


def check(words: str, holds: bool, right: np.ndarray) -> None:
    """``right`` [trials, lengths], the shares of right words."""
    beyond = right[:, BEYOND]
    if holds:
        assert (np.median(beyond, axis=0) >= LEAST[words]).all(), beyond
    else:
        assert beyond.max() <= MOST[words], beyond


@pytest.mark.parametrize(("words", "net", "holds"), NETS)
def test_the_kept_rows_are_as_theory_says(words, net, holds):
    right = RIGHT(typed_rows(EXAMPLE["OUT"]), words)[net]
    assert len(right) == (3 if words == "A5" else 6)
    check(words, holds, right)


@pytest.mark.slow
@pytest.mark.parametrize(("words", "net", "holds"), NETS)
def test_two_other_nets_are_as_theory_says(words, net, holds):
    experiment = replace(EXAMPLE["experiment"](words, *net), seed=1, trials=2)
    outcomes = run_trials(experiment)
    right = np.array([1 - np.array(one.wrong_at_lengths) / 1000 for one in outcomes])
    check(words, holds, right)
