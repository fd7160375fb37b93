"""Two classes of sequences that differ in their first elements only; the rest is noise."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxrnn.options import Count, checked
from jaxrnn.problems.paper_1997 import BASE, FOR_REAL_TARGETS, as_written, blocks, standard_lstm
from jaxrnn.problems.suite import Published
from jaxrnn.problems.task import (
    REAL_TARGETS,
    Sequence,
    Shortest,
    Solved,
    Task,
    at_last_step,
    draw_integers,
    length_drawn,
    longest,
)

INPUT_VARIANCE = 0.2
TARGET_VARIANCE = 0.1


@checked
def two_sequence(length: int, num_informative: Count = 3, *, shortest: Shortest = None) -> Task:
    """Tell at the end of a noisy sequence whether its first elements were +1 or -1.

    With N = ``num_informative``: class 1 and class 2 have probability 1/2 each; elements 1, ..., N
    are +1 in class 1 and -1 in class 2, all others independent Gaussians of mean 0 and variance
    0.2 (standard deviation 0.447). The number of elements is uniform on
    ``length``, ..., floor(1.1 ``length``) = T. Inputs are [T, 1], 0 after the end; targets [T, 1]
    hold 1 for class 1 and 0 for class 2 at the last element, the only step that counts.

    >>> sequence = two_sequence(4).draw(jax.random.key(0))
    >>> " ".join(f"{element:.2f}" for element in sequence.inputs[:, 0].tolist())
    '-1.00 -1.00 -1.00 -0.16'
    >>> sequence.targets[:, 0].tolist()
    [0.0, 0.0, 0.0, 0.0]

    Raises InputError for less than one informative element, and for a length below N+1, where no
    noise follows them.

    Source: Hochreiter & Schmidhuber 1997, experiment 3a.
    """
    solved = Solved(threshold=0.2, mean_error=0.01, test_size=256)
    return _two_sequence("two_sequence", shortest, length, num_informative, solved)


@checked
def two_sequence_noise(
    length: int, num_informative: Count = 3, *, shortest: Shortest = None
) -> Task:
    """As two_sequence, with the noise on the informative elements, too.

    Elements 1, ..., N are +1 or -1 plus a Gaussian of mean 0 and variance 0.2; everything else,
    errors included, is as in :func:`two_sequence`, and a key gives the same class, length and
    noise there.

    >>> sequence = two_sequence_noise(4).draw(jax.random.key(0))
    >>> " ".join(f"{element:.2f}" for element in sequence.inputs[:, 0].tolist())
    '-2.09 -1.91 -0.91 -0.16'

    Source: Hochreiter & Schmidhuber 1997, experiment 3b.
    """
    solved = Solved(threshold=0.2, max_failures=5, mean_error=0.04, test_size=256)
    about = "two_sequence_noise", shortest, length, num_informative, solved
    return _two_sequence(*about, noise_everywhere=True)


@checked
def two_sequence_target_noise(
    length: int, num_informative: Count = 3, *, shortest: Shortest = None
) -> Task:
    """As two_sequence, with targets 0.2 and 0.8 that are themselves noisy.

    The target is 0.2 for class 1 and 0.8 for class 2 plus, drawn for each sequence, a Gaussian of
    mean 0 and variance 0.1 (standard deviation 0.316), so it may lie outside of [0, 1]; everything
    else, errors included, is as in :func:`two_sequence`, and a key gives the same inputs there.
    The net has to learn the conditional mean, and is judged by it, :func:`target_without_noise`.

    >>> sequence = two_sequence_target_noise(4).draw(jax.random.key(0))
    >>> noisy, clean = sequence.targets[-1, 0], target_without_noise(sequence.inputs)[0]
    >>> f"{float(noisy):.2f}", f"{float(clean):.2f}"
    ('0.56', '0.80')

    Which class has which target makes no difference, since the inputs are symmetric about 0.

    Source: Hochreiter & Schmidhuber 1997, experiment 3c.
    """
    solved = Solved(threshold=0.1, mean_error=0.015, test_size=256)
    about = "two_sequence_target_noise", shortest, length, num_informative, solved
    return _two_sequence(*about, target_noise=True)


def target_without_noise(inputs: jax.Array) -> jax.Array:
    """The target [1] of two_sequence_target_noise for inputs [T, 1], before its noise."""
    return jnp.where(inputs[0] > 0, jnp.full_like(inputs[0], 0.2), jnp.full_like(inputs[0], 0.8))


def _two_sequence(
    name: str,
    shortest: int | None,
    length: int,
    num_informative: int,
    solved: Solved,
    *,
    noise_everywhere: bool = False,
    target_noise: bool = False,
) -> Task:
    draw_length = length_drawn(name, shortest, length, num_informative + 1)
    max_steps = longest(length)

    def draw(key: jax.Array) -> Sequence:
        length = draw_length(key)
        integer_key, noise_key = jax.random.split(key)
        class_, num_steps = draw_integers(integer_key, [(1, 2), (length, longest(length))])
        is_class_1 = class_ == 1
        # The last is the target's.
        normal = jax.random.normal(noise_key, (max_steps + 1,))
        step = jnp.arange(max_steps, dtype=jnp.int32)
        noise = INPUT_VARIANCE**0.5 * normal[:-1]
        informative = step < num_informative
        signal = jnp.where(informative, jnp.where(is_class_1, 1.0, -1.0), 0.0)
        if not noise_everywhere:
            noise = jnp.where(informative, 0.0, noise)
        inputs = jnp.where(step < num_steps, signal.astype(noise.dtype) + noise, 0.0)
        target = is_class_1.astype(inputs.dtype)[None]
        judged = None
        if target_noise:
            clean = target_without_noise(inputs[:, None])
            judged, _ = at_last_step(clean, num_steps, max_steps)
            target = clean + TARGET_VARIANCE**0.5 * normal[-1:]
        targets, mask = at_last_step(target, num_steps, max_steps)
        return Sequence(inputs[:, None], targets, mask, judged_targets=judged)

    return Task(draw, 1, 1, max_steps, objective=REAL_TARGETS, solved=solved, guessing=1 / 2)


_BASE = replace(
    BASE,
    task="two_sequence",
    threshold=0.2,
    test_size=256,
    mean_error=0.01,
    **blocks(
        3, 1, output_bias=False, input_biases=(-1.0, -3.0, -5.0), output_biases=(-2.0, -4.0, -6.0)
    ),
)
_NOISE = replace(_BASE, task="two_sequence_noise", max_failures=5, mean_error=0.04)
_TARGET_NOISE = replace(
    _BASE,
    task="two_sequence_target_noise",
    learning_rate=0.1,
    threshold=0.1,
    mean_error=0.015,
)
_N1: dict[str, Any] = {"task_options": {"num_informative": 1}}

_3A = as_written(
    "3a",
    _BASE,
    {
        100: Published(39_850, st1=27_380, wrong=0.000195),
        1000: Published(452_460, st1=446_850, wrong=0.000078),
    },
)
_3A_N1 = as_written("3a-n1", _BASE, {100: Published(64_330, st1=58_370, wrong=0.000117)}, **_N1)
_3B = as_written("3b", _NOISE, {100: Published(43_250, st1=41_740, wrong=0.00828)})
_3B_N1 = as_written(
    "3b-n1",
    _NOISE,
    {
        100: Published(78_430, st1=74_950, wrong=0.01500),
        1000: Published(485_080, st1=481_060, wrong=0.01207),
    },
    **_N1,
)
_3C = as_written("3c", _TARGET_NOISE, {100: Published(269_650, wrong=0.00558)})
_3C_N1 = as_written("3c-n1", _TARGET_NOISE, {100: Published(565_640, wrong=0.00441)}, **_N1)

# The standard LSTM of 3a and 3b.
_LINEAR: dict[str, Any] = {
    "objective": "half_squared_error_linear",
    "learning_rate": 0.3,
    "clipping": "norm",
    "clip": 1.0,
}

TASKS = (two_sequence, two_sequence_noise, two_sequence_target_noise)

SUITES = (
    _3A,
    standard_lstm("3a-best", _3A, ", linear output", **_LINEAR),
    _3A_N1,
    # Seed 1 was seen in the search.
    standard_lstm("3a-n1-best", _3A_N1, ", linear output", seed=2, **_LINEAR),
    _3B,
    standard_lstm("3b-best", _3B, ", linear output", **_LINEAR),
    _3B_N1,
    standard_lstm("3b-n1-best", _3B_N1, ", linear output", **_LINEAR),
    _3C,
    standard_lstm("3c-best", _3C, ", linear output, Adam", **FOR_REAL_TARGETS),
    _3C_N1,
    standard_lstm("3c-n1-best", _3C_N1, ", linear output, Adam", **FOR_REAL_TARGETS),
)
