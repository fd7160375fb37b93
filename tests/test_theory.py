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
    pytest.param(task, net, holds, id=f"{task}-{'-'.join(filter(None, net))}")
    for task, nets in (("parity", EXAMPLE["PARITY"]), ("group_words", EXAMPLE["S3"]))
    for net, holds in nets.items()
]
# Guessing is right for 1/2 and 1/6 of the words; 1,000 words of a length.
MOST = {"parity": 0.6, "group_words": 0.25}


def check(task: str, holds: bool, right: np.ndarray) -> None:
    """``right`` [trials, lengths], the shares of right words."""
    beyond = right[:, BEYOND]
    if holds:
        assert np.median(beyond, axis=0).min() >= 0.99, beyond
    else:
        assert beyond.max() <= MOST[task], beyond


@pytest.mark.parametrize(("task", "net", "holds"), NETS)
def test_the_kept_rows_are_as_theory_says(task, net, holds):
    right = RIGHT(typed_rows(EXAMPLE["OUT"]), task)[net]
    assert len(right) == 6
    check(task, holds, right)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "net", "holds"), NETS)
def test_two_other_nets_are_as_theory_says(task, net, holds):
    experiment = replace(EXAMPLE["experiment"](task, *net), seed=1, trials=2)
    outcomes = run_trials(experiment)
    right = np.array([1 - np.array(one.wrong_at_lengths) / 1000 for one in outcomes])
    check(task, holds, right)
