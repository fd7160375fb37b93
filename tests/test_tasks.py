import jax
import notebook_numpy as notebook
import numpy as np
import pytest

from jaxrnn.errors import InputError
from jaxrnn.tasks import noise_free

NUM_KEYS = 4000


def draw_many(length: int):
    """Inputs and targets [NUM_KEYS, T-1] of as many keys."""
    drawn = jax.vmap(noise_free(length).draw)(jax.random.split(jax.random.key(6), NUM_KEYS))
    return np.asarray(drawn.inputs), np.asarray(drawn.targets)


@pytest.mark.parametrize("length", [3, 4, 10])
def test_noise_free_draws_the_notebooks_two_sequences_equally_often(length):
    inputs, targets = draw_many(length)
    num_drawn = []
    for is_a in (True, False):
        symbols = notebook.gen_sequence(length - 1, is_a).argmax(axis=1)
        same_inputs = (inputs == symbols[:-1]).all(axis=1)
        same_targets = (targets == symbols[1:]).all(axis=1)
        np.testing.assert_array_equal(same_inputs, same_targets)
        num_drawn.append(same_inputs.sum())
    assert sum(num_drawn) == NUM_KEYS  # and nothing else
    standard_error = np.sqrt(NUM_KEYS / 4)
    assert num_drawn[0] == pytest.approx(NUM_KEYS / 2, abs=4 * standard_error)


def test_noise_free_of_length_five_written_out():
    inputs, targets = draw_many(5)
    assert np.unique(inputs, axis=0).tolist() == [[3, 0, 1, 2], [4, 0, 1, 2]]
    assert np.unique(targets, axis=0).tolist() == [[0, 1, 2, 3], [0, 1, 2, 4]]


@pytest.mark.parametrize("length", [3, 10])
def test_noise_free_counts_every_step_and_has_an_alphabet_of_its_length(length):
    task = noise_free(length)
    assert (task.num_inputs, task.num_outputs, task.num_steps) == (length, length, length - 1)
    drawn = task.draw(jax.random.key(7))
    assert drawn.mask is None or np.all(drawn.mask)
    assert drawn.inputs.shape == drawn.targets.shape == (length - 1,)


@pytest.mark.parametrize("length", [2, 1, 0, -3])
def test_noise_free_refuses_a_length_with_nothing_between_the_ends(length):
    with pytest.raises(InputError, match=f"length {length} .* at least 3"):
        noise_free(length)
