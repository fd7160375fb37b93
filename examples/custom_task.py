"""Your own task: recall the first symbol after distractors, with only the last step counted.

The first of T symbols is 0 or 1, the T - 1 others are drawn at random from 2, 3, 4 and 5; at the
last step the net has to name the first. Run it: python examples/custom_task.py
"""

import jax
import jax.numpy as jnp

from jaxrnn import TASKS, Experiment, Sequence, Task, run_trials

NUM_DISTRACTORS = 4


def recall(length: int) -> Task:
    """Recall the first symbol at the end of a sequence of random distractors."""

    def draw(key: jax.Array) -> Sequence:
        first_key, rest_key = jax.random.split(key)
        first = jax.random.bernoulli(first_key).astype(jnp.int32)
        rest = jax.random.randint(rest_key, (length - 1,), 2, 2 + NUM_DISTRACTORS)
        steps = jnp.arange(length)
        return Sequence(
            inputs=jnp.concatenate([first[None], rest]),
            targets=jnp.where(steps == length - 1, first, 0),
            mask=steps == length - 1,
        )

    return Task(draw, num_inputs=2 + NUM_DISTRACTORS, num_outputs=2, num_steps=length)


TASKS["recall"] = recall


def main(length: int = 5, trials: int = 10, cells: tuple[str, ...] = ("simple_rnn", "lstm")):
    """Train each cell on the task and print the steps to solution."""
    for cell in cells:
        experiment = Experiment(
            name="mine", task="recall", cell=cell, length=length, trials=trials, max_steps=20_000
        )
        outcomes = run_trials(experiment)
        print(f"{cell:>10}: {[outcome.solved_at for outcome in outcomes]}")


if __name__ == "__main__":
    main()
