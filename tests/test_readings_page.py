"""The page of the readings of the 1997 paper: its figures are those of the kept rows."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from jaxrnn import SUITES

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "examples/paper-run/readings"
EXAMPLE = runpy.run_path(str(ROOT / "examples/readings.py"))


@pytest.mark.parametrize("experiment", EXAMPLE["READINGS"])
def test_every_choice_has_its_line_and_the_best_readings_are_named(experiment, rows, text):
    found = EXAMPLE["by_reading"](rows, experiment)
    assert all(len(of_reading) == EXAMPLE["TRIALS"] for of_reading in found.values())
    _, _, section = text.partition(f"\n## Experiment {experiment}")
    section, _, _ = section.partition("\n## ")
    for name, *counts in EXAMPLE["effects"](rows, experiment):
        solved, of, solved_without, of_without = counts
        assert f"| {name} | {solved}/{of} | {solved_without}/{of_without} |" in section
    best = [words for words, of_reading in found.items() if of_reading.solved][:3]
    for words in best:
        mean = EXAMPLE["mean_of"](found[words], experiment)
        assert f"| {words} | {found[words].solved}/8 | {mean:,.0f} |" in section
    solved = [words for words, of_reading in found.items() if of_reading.solved == len(of_reading)]
    assert f"all eight trials of {len(solved)} of {len(found)} readings" in section


def test_no_two_readings_are_the_same_and_the_first_is_that_of_the_command():
    for experiment in EXAMPLE["READINGS"]:
        first, *others = EXAMPLE["readings"](experiment).values()
        base = SUITES[experiment].base
        for name in ("objective", "learning_rate", "cell_options", "join_at", "task_options"):
            assert getattr(first, name) == getattr(base, name)
        made = {replace(one, name="reading") for one in (first, *others)}
        assert len(made) == 1 + len(others)
