import jax
import jax.numpy as jnp
import notebook_numpy as notebook
import numpy as np
import pytest

from jaxrnn.errors import InputError
from jaxrnn.objectives import cross_entropy

NUM_STEPS, NUM_OUTPUTS = 9, 5
MASKS = {
    "all": np.ones(NUM_STEPS, bool),
    "one": np.arange(NUM_STEPS) == 3,
    "every_other": np.arange(NUM_STEPS) % 2 == 0,
    "first_four": np.arange(NUM_STEPS) < 4,
}
over_masks = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


def random_case(seed: int = 0, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits [T, O] and target symbols [T], float64."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.standard_normal((NUM_STEPS, NUM_OUTPUTS))
    return logits, rng.integers(NUM_OUTPUTS, size=NUM_STEPS).astype(np.int32)


def brute_force(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """The notebook's loss and error; its sequence has one more symbol in front."""
    sequence = np.eye(logits.shape[1])[np.concatenate([[0], targets])]
    return notebook.rnn_loss(sequence, logits), notebook.rnn_abs_error(sequence, logits)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("seed", range(5))
def test_loss_and_error_are_the_notebooks(seed):
    logits, targets = random_case(seed)
    actual = cross_entropy(jnp.asarray(logits), jnp.asarray(targets))
    np.testing.assert_allclose(actual, brute_force(logits, targets), rtol=1e-13)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("masked_logit", [None, 1e30, -1e30])
@over_masks
def test_masked_steps_do_not_matter_whatever_their_logits(mask, masked_logit):
    logits, targets = random_case()
    expected = brute_force(logits[mask], targets[mask])
    if masked_logit is not None:
        logits[~mask, 0] = masked_logit
    arguments = jnp.asarray(logits), jnp.asarray(targets), jnp.asarray(mask)
    np.testing.assert_allclose(cross_entropy(*arguments), expected, rtol=1e-13)
    gradient = jax.grad(lambda *a: cross_entropy(*a)[0])(*arguments)
    np.testing.assert_array_equal(np.asarray(gradient)[~mask], 0.0)


@pytest.mark.usefixtures("x64")
@over_masks
def test_gradient_is_softmax_minus_one_hot_over_the_number_of_steps_that_count(mask):
    logits, targets = random_case()
    p = np.array([notebook.softmax(row) for row in logits])
    expected = (p - np.eye(NUM_OUTPUTS)[targets]) * mask[:, None] / mask.sum()

    def loss(logits: jax.Array, mask: jax.Array | None) -> jax.Array:
        return cross_entropy(logits, jnp.asarray(targets), mask)[0]

    gradient = jax.grad(loss)(jnp.asarray(logits), jnp.asarray(mask))
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-15)
    if mask.all():
        without_mask = jax.grad(loss)(jnp.asarray(logits), None)
        np.testing.assert_allclose(without_mask, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("target", [0, 1])
def test_logits_of_a_thousand_give_finite_numbers(target):
    logits = np.array([[1000.0, -1000.0]], np.float32)
    targets = jnp.array([target], jnp.int32)
    loss, error = cross_entropy(jnp.asarray(logits), targets)
    assert (loss, error) == ((0.0, 0.0) if target == 0 else (2000.0, 1.0))
    gradient = jax.grad(lambda a: cross_entropy(a, targets)[0])(jnp.asarray(logits))
    np.testing.assert_array_equal(gradient, [[0.0, 0.0]] if target == 0 else [[1.0, -1.0]])


def test_float32_is_right_to_a_few_of_its_roundings():
    logits, targets = random_case()
    expected = brute_force(logits, targets)
    actual = cross_entropy(jnp.asarray(logits, jnp.float32), jnp.asarray(targets))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("column", ["target", "other"])
@pytest.mark.parametrize("mask", [None, MASKS["every_other"]], ids=["no_mask", "mask"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logit_that_is_not_finite_is_never_taken_for_a_success(bad, mask, column):
    logits, targets = random_case()
    step = 4
    logits[step, targets[step] if column == "target" else (targets[step] + 1) % NUM_OUTPUTS] = bad
    loss, error = cross_entropy(
        jnp.asarray(logits, jnp.float32),
        jnp.asarray(targets),
        None if mask is None else jnp.asarray(mask),
    )
    assert not np.isfinite(loss)
    assert not np.isfinite(error)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("mask", [None, *MASKS.values()], ids=["no_mask", *MASKS])
def test_sum_is_the_mean_times_the_number_of_steps_that_count(mask):
    logits, targets = random_case()
    counted = np.ones(NUM_STEPS, bool) if mask is None else mask
    mean, expected_error = brute_force(logits[counted], targets[counted])
    p = np.array([notebook.softmax(row) for row in logits])
    expected_gradient = (p - np.eye(NUM_OUTPUTS)[targets]) * counted[:, None]

    def loss(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
        steps = None if mask is None else jnp.asarray(mask)
        return cross_entropy(logits, jnp.asarray(targets), steps, "sum")

    (total, error), gradient = jax.value_and_grad(loss, has_aux=True)(jnp.asarray(logits))
    np.testing.assert_allclose(total, counted.sum() * mean, rtol=1e-13)
    np.testing.assert_allclose(error, expected_error, rtol=1e-13)  # which no reduction changes
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-15)


def test_another_reduction_is_refused_in_one_sentence():
    logits, targets = random_case()
    with pytest.raises(InputError) as refusal:
        cross_entropy(jnp.asarray(logits, jnp.float32), jnp.asarray(targets), None, "max")
    assert str(refusal.value) == "unknown loss-reduction 'max': choose from mean, sum"
