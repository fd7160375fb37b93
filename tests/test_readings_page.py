"""The page of the readings of the 1997 paper: its figures are those of the kept rows."""

import runpy
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrnn import SUITES
from jaxrnn.training.parts import parts_of
from jaxrnn.training.trial import build, settings_of, trial_key

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "examples/paper-run/readings"
EXAMPLE = runpy.run_path(str(ROOT / "examples/readings.py"))
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "examples")
    EACH_STEP = runpy.run_path(str(ROOT / "examples/each_step.py"))
    del sys.modules["readings"]


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


def test_every_reading_with_updates_after_each_step_has_its_line(text):
    held = {(one["experiment"], one["reading"]): one["solved_at"] for one in EACH_STEP["held"]()}
    expected = EACH_STEP["READINGS"].items()
    assert list(held) == [(name, words) for name, every in expected for words in every]
    for (experiment, words), ends in held.items():
        suite = SUITES[experiment]
        not_counted = suite.not_counted(suite.base.window)
        times = [end + 1 - not_counted for end in ends if end is not None]
        mean = f"{sum(times) / len(times):,.0f}" if times else "-"
        assert f"| {experiment} | {words} | {len(times)}/{EXAMPLE['TRIALS']} | {mean} |" in text


def test_no_two_readings_are_the_same_and_the_first_is_that_of_the_command():
    for experiment in EXAMPLE["READINGS"]:
        first, *others = EXAMPLE["readings"](experiment).values()
        base = SUITES[experiment].base
        for name in ("objective", "learning_rate", "cell_options", "join_at", "task_options"):
            assert getattr(first, name) == getattr(base, name)
        made = {replace(one, name="reading") for one in (first, *others)}
        assert len(made) == 1 + len(others)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("experiment", "words"),
    [("1", "as jaxrnn reads it"), ("1", "full-gradient"), ("2b", "g-bipolar last-step")],
)
def test_small_changes_after_each_step_add_up_to_the_gradient_of_the_sequence(experiment, words):
    made = replace(EXAMPLE["readings"](experiment)[words], length=20, learning_rate=2.0**-30)
    cell, trial, key = parts_of(made).cell, build(made), trial_key(0, 0)
    goal = parts_of(made).goal
    params = trial.init(key, jax.tree.map(lambda a: a[0], settings_of(made))).params
    sequence, number = trial.draw(key, jnp.array(7000)), jnp.array(7000)

    def loss(params):
        _, ys = jax.lax.scan(partial(cell.step, params), cell.initial_state(params), sequence[0])
        return EACH_STEP["loss_and_error"](goal, ys, sequence)[0]

    after, _ = jax.jit(EACH_STEP["updater"](made))(params, sequence, number)
    for old, new, slope in zip(
        *map(jax.tree.leaves, (params, after, jax.grad(loss)(params))), strict=True
    ):
        np.testing.assert_allclose((old - new) * 2.0**30, slope, atol=1e-5)


def test_before_the_cell_joins_only_the_weights_from_inputs_to_outputs_change():
    made = replace(EXAMPLE["readings"]("2b")["as jaxrnn reads it"], length=12)
    trial, key = build(made), trial_key(0, 0)
    params = trial.init(key, jax.tree.map(lambda a: a[0], settings_of(made))).params
    update = jax.jit(EACH_STEP["updater"](made))
    for number, changed in ((0, ["direct_weights"]), (made.join_at, list(params._fields))):
        after, _ = update(params, trial.draw(key, jnp.array(0)), jnp.array(number))
        pairs = zip(params._fields, params, after, strict=True)
        assert [name for name, old, new in pairs if (old != new).any()] == changed
