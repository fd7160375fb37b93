"""Grids: every combination of some per-trial settings as the trials of one experiment."""

from dataclasses import replace

import chex
import pytest

from jaxrnn import Experiment, run_trials
from jaxrnn.sweep import product
from jaxrnn.training import runner
from jaxrnn.training.lanes import LaneTable
from jaxrnn.training.trial import build

# Two trials of six combinations; as wide as the grid of the command line, so one program for both.
BASE = Experiment(length=5, trials=2, window=60, max_steps=500)
AXES = {"learning_rate": (1.0, 0.3), "forget_bias": (-1.0, 0.5, 1.0)}
COMBINATIONS = [
    {"learning_rate": rate, "forget_bias": bias}
    for rate in AXES["learning_rate"]
    for bias in AXES["forget_bias"]
]


def test_combinations_are_numbered_with_the_last_setting_first():
    axes = {"clip": (5.0, 1.0), "initial_scale": (2.0, 1.0, 3.0), "input_bias": (0.0, -1.0)}
    grid = product(replace(BASE, trials=4), axes)
    assert (grid.name, grid.trials) == ("grid", 48)
    k = 0
    for clip in axes["clip"]:
        for scale in axes["initial_scale"]:
            for bias in axes["input_bias"]:
                for trial in range(4 * k, 4 * k + 4):
                    of_trial = [grid.per_trial(name)[trial] for name in axes]
                    assert of_trial == [clip, scale, bias]
                k += 1
    # Nothing else is changed.
    usual = {"name": "notebook", "trials": 2, **{name: getattr(BASE, name) for name in axes}}
    assert replace(grid, **usual) == BASE


def test_a_grid_without_settings_is_one_combination():
    assert product(BASE, {}) == replace(BASE, name="grid")


@pytest.fixture(scope="module")
def grid_outcomes():
    """What the grid comes to; one program, traced once."""

    def build_counting(experiment):
        trial = build(experiment)
        return trial._replace(
            draw=chex.assert_max_traces(trial.draw, n=1),
            update=chex.assert_max_traces(trial.update, n=1),
        )

    chex.clear_trace_counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "build", build_counting)
        # A batch that narrows when few trials are left is compiled again, as in any experiment.
        patch.setattr(LaneTable, "narrower", lambda *arguments: None)
        return run_trials(product(BASE, AXES))


def test_the_whole_grid_is_one_program_whose_trials_all_differ(grid_outcomes):
    assert len({outcome.curve for outcome in grid_outcomes}) == 12


@pytest.mark.parametrize("k", [0, 1, 2, 3, 5])
def test_a_combinations_trials_are_those_of_an_experiment_with_its_settings_alone(k, grid_outcomes):
    outcomes = grid_outcomes
    alone = run_trials(replace(BASE, trials=12, **COMBINATIONS[k]))
    assert outcomes[2 * k : 2 * k + 2] == alone[2 * k : 2 * k + 2]
    # The next trials had other settings in the grid.
    other = (2 * k + 2) % 12
    assert outcomes[other : other + 2] != alone[other : other + 2]
