"""jaxrnn itself: what it trains, and the first weights and coins that it gives its rivals."""

import dataclasses
from functools import cache, partial

import jax
import numpy as np

from frameworks import WEIGHTS, Problem, Run
from jaxrnn import Experiment
from jaxrnn.training.engine import Program, lanes_of, make_program
from jaxrnn.training.trial import build as build_trial, trial_key


def problem_of(
    cell: str, length: int, num_trials: int, num_steps: int
) -> tuple[Problem, np.ndarray]:
    """The net's first weights and the coins [C, N] of its trials' first sequences."""
    experiment = Experiment(cell=cell, length=length, trials=num_trials)
    trial, lanes = build_trial(experiment), lanes_of(experiment)
    keys = jax.vmap(partial(trial_key, experiment.seed))(lanes.trial)
    params = jax.vmap(trial.init)(keys, lanes.settings).params
    weights = {name: np.array(getattr(params, name)) for name in WEIGHTS}
    draw = jax.jit(jax.vmap(jax.vmap(trial.draw, (0, None)), (None, 0)))
    first_symbols = np.array(draw(keys, np.arange(num_steps)).inputs[..., 0])
    return Problem(cell, length, weights), (first_symbols - (length - 2)).astype(np.int32)


def build(problem: Problem) -> Run:
    """The engine's chunk from the first step on; it draws its coins in the timed program."""
    num_trials = len(problem.weights["bias"])
    experiment = Experiment(cell=problem.cell, length=problem.length, trials=num_trials)
    trial, device = build_trial(experiment), jax.devices()[:1]

    @cache
    def program_of(num_steps: int) -> Program:
        return make_program(trial, num_steps, device)

    state = program_of(1).first_state(trial.init, lanes_of(experiment))
    done = 0

    def run(coins: np.ndarray, learning_rate: float, clip: float) -> np.ndarray:
        nonlocal state, done
        chosen = dataclasses.replace(experiment, learning_rate=learning_rate, clip=clip)
        lanes = lanes_of(chosen)
        now = lanes._replace(update=lanes.update + np.int32(done))
        state, errors = program_of(len(coins)).chunk(state, now)
        done += len(coins)
        return np.array(errors)

    return run
