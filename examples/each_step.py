"""Four experiments of the 1997 LSTM paper with weights that change after each time step.

``python examples/each_step.py`` trains some of the readings in ``examples/readings.py`` in this way
and adds them to ``examples/paper-run/readings/each_step.jsonl``. After an interruption give the
same command again: only the reading that was being trained is lost.

jaxrnn changes the weights once a sequence. The paper's gradient can be computed forward in time, so
that they could change after each step. This is real-time recurrent learning of a cell of jaxrnn,
whose functions are used as they are.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from readings import OUT, readings

from jaxrnn import Experiment
from jaxrnn.problems import Sequence, settled
from jaxrnn.training import stopping
from jaxrnn.training.objectives import loss_and_error
from jaxrnn.training.parts import parts_of
from jaxrnn.training.trial import build, seen, settings_of, trial_key

FILE = OUT / "each_step.jsonl"
AT_ONCE = 500  # sequences that are trained before the host looks at their errors

READINGS = {
    "1": (
        "as jaxrnn reads it",
        "g1-h2",
        "g1-h1",
        "full-gradient",
        "g1-h2 all-biases",
        "all-biases full-gradient",
        "g1-h2 all-biases full-gradient",
        "logistic-cross-entropy",
    ),
    "2a": ("as jaxrnn reads it", "g-bipolar"),
    "2b": ("as jaxrnn reads it",),
    "4": ("as jaxrnn reads it",),
}


def updater(experiment: Experiment) -> Callable[[Any, Sequence, jax.Array], tuple[Any, jax.Array]]:
    """``update(params, sequence, number) -> (params, error)``: one sequence, an update a step.

    With s(t) = step(w, s(t-1), x(t)) and P(t) = ds(t)/dw, the effect of all weights w on the state,
    P(t) = @s(t)/@w + @s(t)/@s(t-1) P(t-1), and the gradient of the loss l(t) of a step is
    @l(t)/@w + @l(t)/@s(t-1) P(t-1). Each step that counts changes w by -rate times this. P goes on
    as if the weights had always been what they are. A truncated gradient is the cell's own.

    Source: Williams & Zipser 1989, Neural Computation 1(2), section 3.
    """
    parts = parts_of(experiment)
    cell, goal = parts.cell, parts.goal
    rate = experiment.learning_rate
    assert isinstance(rate, float)

    def update(params: Any, sequence: Sequence, number: jax.Array) -> tuple[Any, jax.Array]:
        weights, as_params = ravel_pytree(params)
        first, as_state = ravel_pytree(cell.initial_state(params))

        def step(carry: Any, at: Any) -> tuple[Any, jax.Array]:
            weights, state, effect = carry
            x, target, counts = at

            def state_and_loss(weights: jax.Array, state: jax.Array) -> Any:
                params = seen(experiment, cell, as_params(weights), number)
                new, y = cell.step(params, as_state(state), x)
                new = ravel_pytree(new)[0]
                losses, _ = goal.objective(y[None], target[None])
                return (new, losses[0]), (new, y)

            jacobians = jax.jacrev(state_and_loss, argnums=(0, 1), has_aux=True)
            (of_state, of_loss), (new, y) = jacobians(weights, state)
            gradient = of_loss[0] + of_loss[1] @ effect
            weights = weights - rate * jnp.where(counts, gradient, 0.0)
            return (weights, new, of_state[0] + of_state[1] @ effect), y

        every = jnp.ones(len(sequence.inputs), bool)
        mask = every if sequence.mask is None else sequence.mask
        effect = jnp.zeros((len(first), len(weights)), weights.dtype)
        steps = sequence.inputs, sequence.targets, mask
        (weights, _, _), ys = jax.lax.scan(step, (weights, first, effect), steps)
        return as_params(weights), loss_and_error(goal, ys, sequence)[1]

    return update


def solved_at(experiment: Experiment) -> list[int | None]:
    """The training sequence at which each trial is solved, None if it is not."""
    experiment = settled(experiment)
    trial, update = build(experiment), updater(experiment)
    rule, numbers = stopping.rule_of(experiment), np.arange(experiment.trials)
    keys = jax.vmap(lambda number: trial_key(experiment.seed, number))(numbers)
    at_once = experiment.test_every if rule.by_test else AT_ONCE

    @jax.jit
    def train(params: Any, start: jax.Array) -> tuple[Any, jax.Array, jax.Array | None]:
        def train_one(key: jax.Array, params: Any) -> tuple[Any, jax.Array]:
            return jax.lax.scan(
                lambda params, number: update(params, trial.draw(key, number), number),
                params,
                start + jnp.arange(at_once),
            )

        params, errors = jax.vmap(train_one)(keys, params)
        tests = jax.vmap(trial.tests[0][1])(keys, params) if rule.by_test else None
        return params, errors.T, tests

    params = jax.vmap(lambda *one: trial.init(*one).params)(keys, settings_of(experiment))
    progress, start = stopping.start(len(numbers), rule), 0
    while (progress.status == stopping.RUNNING).any():
        params, errors, tests = train(params, start)
        tests = None if tests is None else np.asarray(tests)
        progress = stopping.fold(progress, np.asarray(errors), rule, tests)
        start += at_once
    return [int(end) if end >= 0 else None for end in progress.solved_at]


def held() -> Iterator[Mapping[str, Any]]:
    """What the file has of each reading."""
    return map(json.loads, FILE.read_text().splitlines() if FILE.exists() else [])


if __name__ == "__main__":
    done = [(one["experiment"], one["reading"]) for one in held()]
    for pair in ((name, words) for name, every in READINGS.items() for words in every):
        if pair not in done:
            name, words = pair
            print(f"experiment {name}, {words}", flush=True)
            ends = solved_at(readings(name)[words])
            line = json.dumps({"experiment": name, "reading": words, "solved_at": ends})
            with FILE.open("a") as file:
                file.write(line + "\n")
