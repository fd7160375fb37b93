"""Four experiments of the 1997 LSTM paper under every reading of what it leaves open.

``python examples/readings.py`` trains all of them and writes ``examples/paper-run/readings``. After
an interruption give the same command again.

Under the conditions as jaxrnn reads them, experiments 1, 2a, 2b and 4 do not give the printed
numbers. Here each is run under every combination of other readings, eight trials each, at most
three times the printed number of training sequences. The first reading of each list below is the
one of ``jaxrnn list 1997``. The paper's numbers of weights fit only this one of the connections and
biases; the others are tried all the same.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxrnn
from jaxrnn import SUITES, Experiment, Rows
from jaxrnn.report.summary import steps_to_solution
from jaxrnn.store.rows import Row

OUT = Path(__file__).parent / "paper-run/readings"
TRIALS, TIMES_PRINTED = 8, 3

Choice = Mapping[str, Mapping[str, Any]]
"""By name, the settings that a reading changes."""

# Equations 3 to 5 have g in [-2, 2] and h in [-1, 1]; the caption of table 10 has it the other way.
RANGES: Choice = {
    "": {},
    "g1-h2": {"cell_options": {"g_bound": 1.0, "h_bound": 2.0}},
    "g1-h1": {"cell_options": {"g_bound": 1.0}},
}
# Whether gates see the gates of the step before, or the cells alone.
CONNECTIONS: Choice = {"": {}, "from-cells": {"cell_options": {"gates_seen": False}}}
_ALL_BIASES = {"hidden_bias": "all", "output_bias": True}
BIASES: Choice = {"": {}, "all-biases": {"cell_options": _ALL_BIASES}}
# The paper says that the full gradient made no difference.
GRADIENT: Choice = {"": {}, "full-gradient": {"cell_options": {"truncated": False}}}
# Both cross-entropies leave out the derivative of the outputs' squashing: softmax, or logistic.
_LOGISTIC = {"logistic-cross-entropy": {"objective": "binary_cross_entropy"}}
ERROR: Choice = {"": {}, "cross-entropy": {"objective": "cross_entropy"}} | _LOGISTIC
_LINEAR = {"linear-output": {"objective": "half_squared_error_linear"}}
OUTPUT: Choice = {"": {}} | _LINEAR | _LOGISTIC
# The learning rate of an error without the factor 1/2, for the two rates of the paper.
OF_HALF: Choice = {"": {}, "twice-the-rate": {"learning_rate": 1.0}}
OF_ONE: Choice = {"": {}, "twice-the-rate": {"learning_rate": 2.0}}
# The cell's range, and when it joins. The paper: once the error has stopped to decrease.
ONE_CELL: Choice = {"": {}, "g-bipolar": {"cell_options": {"bipolar": True}}}
JOINS: Choice = {"": {}} | {f"joins-{k}": {"join_at": k} for k in (0, 500, 5000)}
TRAINED: Choice = {"": {}, "last-step": {"task_options": {"only_last": True}}}

READINGS: dict[str, tuple[Choice, ...]] = {
    "1": (RANGES, CONNECTIONS, BIASES, GRADIENT, ERROR, OF_HALF),
    "2a": (ONE_CELL, JOINS, ERROR, TRAINED, OF_ONE),
    "2b": (ONE_CELL, JOINS, ERROR, TRAINED, OF_ONE),
    "4": (RANGES, CONNECTIONS, GRADIENT, OUTPUT, OF_HALF),
}


def readings(experiment: str) -> dict[str, Experiment]:
    """Every reading of an experiment, by what it changes."""
    suite = SUITES[experiment]
    (_, length), published = next(iter(suite.published.items()))
    assert published.mean is not None
    cap = round(TIMES_PRINTED * published.mean) + suite.not_counted(suite.base.window)
    base = replace(suite.base, length=length, trials=TRIALS, max_steps=cap, final_test=0)
    found = {}
    for names in itertools.product(*READINGS[experiment]):
        settings: dict[str, Any] = {}
        options = dict(base.cell_options)
        for choice, name in zip(READINGS[experiment], names, strict=True):
            settings |= choice[name]
            options |= choice[name].get("cell_options", {})
        words = " ".join(filter(None, names)) or "as jaxrnn reads it"
        label = "-".join(["reading", experiment, *filter(None, names)])
        found[words] = replace(base, **settings | {"name": label, "cell_options": options})
    return found


EXPERIMENTS = [one for name in READINGS for one in readings(name).values()]


def by_reading(rows: Iterable[Row], experiment: str) -> dict[str, Rows]:
    """The rows of every reading of an experiment, those with most trials solved first."""
    words_of = {one.name: words for words, one in readings(experiment).items()}
    found = {words: Rows() for words in words_of.values()}
    for row in rows:
        if row.experiment.name in words_of:
            found[words_of[row.experiment.name]].append(row)

    def rank(words: str) -> tuple[int, float]:
        return -found[words].solved, mean_of(found[words], experiment)

    return {words: found[words] for words in sorted(found, key=rank)}


def mean_of(rows: Rows, experiment: str) -> float:
    """The mean number of training sequences of the solved trials, as the paper counts them;
    infinite if there are none."""
    not_counted = SUITES[experiment].not_counted(SUITES[experiment].base.window)
    times = [steps_to_solution(row, not_counted) for row in rows if row.solved]
    return sum(times) / len(times) if times else math.inf


def effects(rows: Iterable[Row], experiment: str) -> list[tuple[str, int, int, int, int]]:
    """Each choice of a reading, with the solved trials and the trials of all readings that have it,
    then of those that have the first choice of the same list instead."""
    found = by_reading(rows, experiment)
    lines = []
    for choices in READINGS[experiment]:
        names = set(filter(None, choices))
        without = [one for words, one in found.items() if not names & set(words.split())]
        for name in choices:
            if name:
                having = [one for words, one in found.items() if name in words.split()]
                lines.append((name, *_counts(having), *_counts(without)))
    return lines


def _counts(groups: Sequence[Rows]) -> tuple[int, int]:
    return sum(one.solved for one in groups), sum(map(len, groups))


if __name__ == "__main__":
    jaxrnn.run(EXPERIMENTS, OUT, progress=True, report=False)
