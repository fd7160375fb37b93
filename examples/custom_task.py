"""Your own task: recall the first symbol after distractors, with only the last step counted.

The first of T symbols is 0 or 1, the T - 1 others are drawn at random from 2, 3, 4 and 5; at the
last step the net has to name the first.

``jaxrnn sweep --tasks examples/custom_task.py:recall --lengths 5 10`` trains the notebook's nets on
it.
"""

import jax
import jax.numpy as jnp

from jaxrnn import Sequence, Solved, Task

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

    return Task(
        draw,
        num_inputs=2 + NUM_DISTRACTORS,
        num_outputs=2,
        num_steps=length,
        solved=Solved(threshold=0.25, window=1000),  # in 1,000 sequences no error above 0.25
        guessing=1 / 2,
    )
