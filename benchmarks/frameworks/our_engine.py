"""jaxrnn itself: what it trains, and the first weights and coins that it gives its rivals."""

import dataclasses
from functools import cache, partial

import jax
import numpy as np

from frameworks import WEIGHTS, Problem, Run
from jaxrnn import Experiment
from jaxrnn.training.engine import Chunk, Lanes, empty_state, make_chunk
from jaxrnn.training.trial import build as build_trial
from jaxrnn.training.trial import settings_of, trial_key


def problem_of(
    cell: str, length: int, num_trials: int, num_steps: int
) -> tuple[Problem, np.ndarray]:
    """The net's first weights and the coins [C, N] of its trials' first sequences."""
    experiment = Experiment(cell=cell, length=length, trials=num_trials)
    trial = build_trial(experiment)
    keys = jax.vmap(partial(trial_key, experiment.seed))(np.arange(num_trials))
    params = jax.vmap(trial.init)(keys, settings_of(experiment)).params
    weights = {name: np.array(getattr(params, name)) for name in WEIGHTS}
    draw = jax.jit(jax.vmap(jax.vmap(trial.draw, (0, None)), (None, 0)))
    first_symbols = np.array(draw(keys, np.arange(num_steps)).inputs[..., 0])
    return Problem(cell, length, weights), (first_symbols - (length - 2)).astype(np.int32)


def build(problem: Problem) -> Run:
    """The engine's chunk from the first step on; it draws its coins in the timed program."""
    num_trials = len(problem.weights["bias"])
    experiment = Experiment(cell=problem.cell, length=problem.length, trials=num_trials)
    trial = build_trial(experiment)
    zeros = np.zeros(num_trials, np.int32)
    lanes = Lanes(np.arange(num_trials, dtype=np.int32), zeros, settings_of(experiment))
    device = jax.devices()[:1]
    state = empty_state(trial, experiment.seed, lanes, device)
    done = 0

    @cache
    def chunk_of(num_steps: int) -> Chunk:
        return make_chunk(trial, experiment.seed, num_steps, device)

    def run(coins: np.ndarray, learning_rate: float, clip: float) -> np.ndarray:
        nonlocal state, done
        chosen = dataclasses.replace(experiment, learning_rate=learning_rate, clip=clip)
        now = Lanes(lanes.trial, zeros + np.int32(done), settings_of(chosen))
        state, errors = chunk_of(len(coins))(state, now)
        done += len(coins)
        return np.array(errors)

    return run
