import jax
import jax.numpy as jnp
import notebook_numpy as notebook
import numpy as np
import pytest

from jaxrnn.errors import InputError
from jaxrnn.training.objectives import cross_entropy, half_squared_error, half_squared_error_linear

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


# Half the squared error

SQUARED = {"half_squared_error": half_squared_error, "linear": half_squared_error_linear}
over_squared = pytest.mark.parametrize("name", SQUARED)


def squared_case(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs [T, O], targets as the objective gets them and as vectors [T, O]."""
    outputs, symbols = random_case()
    if kind == "symbols":
        return outputs, symbols, np.eye(NUM_OUTPUTS)[symbols]
    vectors = np.random.default_rng(1).uniform(size=outputs.shape)
    return outputs, vectors, vectors


def squared_by_hand(name, outputs, vectors, counted, reduction) -> tuple[float, float]:
    losses, errors = [], []
    for step in np.nonzero(counted)[0]:
        y = outputs[step] if name == "linear" else 1 / (1 + np.exp(-outputs[step]))
        losses.append(sum((t - o) ** 2 for t, o in zip(vectors[step], y, strict=True)) / 2)
        errors.append(max(abs(vectors[step] - y)))
    return sum(losses) / (len(losses) if reduction == "mean" else 1), max(errors)


@pytest.mark.usefixtures("x64")
@over_squared
@pytest.mark.parametrize("kind", ["symbols", "vectors"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("mask", [None, *MASKS.values()], ids=["no_mask", *MASKS])
def test_half_squared_error_is_its_formula_and_its_gradient_the_difference(
    name, kind, reduction, mask
):
    outputs, targets, vectors = squared_case(kind)
    counted = np.ones(NUM_STEPS, bool) if mask is None else mask
    steps = None if mask is None else jnp.asarray(mask)

    def loss_and_error(outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        return SQUARED[name](outputs, jnp.asarray(targets), steps, reduction)

    actual, gradient = jax.value_and_grad(loss_and_error, has_aux=True)(jnp.asarray(outputs))
    expected = squared_by_hand(name, outputs, vectors, counted, reduction)
    np.testing.assert_allclose(actual, expected, rtol=1e-13)
    # Central differences of the formula by hand.
    step_size = 1e-6
    for position in np.ndindex(*outputs.shape):
        shift = np.zeros_like(outputs)
        shift[position] = step_size
        above, below = (
            squared_by_hand(name, outputs + sign * shift, vectors, counted, reduction)[0]
            for sign in (1, -1)
        )
        slope = (above - below) / (2 * step_size)
        np.testing.assert_allclose(gradient[position], slope, rtol=1e-6, atol=1e-9)


@over_squared
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_half_squared_error_of_an_output_that_is_not_finite_counts_where_its_step_does(name, bad):
    outputs, targets, vectors = squared_case("vectors")
    mask = MASKS["every_other"]
    expected = squared_by_hand(name, outputs, vectors, mask, "sum")
    for step in (3, 4):  # masked, counted
        changed = outputs.copy()
        changed[step, 2] = bad

        def loss_and_error(outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
            steps, ts = jnp.asarray(mask), jnp.asarray(targets, jnp.float32)
            return SQUARED[name](outputs, ts, steps, "sum")

        (loss, error), gradient = jax.value_and_grad(loss_and_error, has_aux=True)(
            jnp.asarray(changed, jnp.float32)
        )
        if step == 3:
            np.testing.assert_allclose((loss, error), expected, rtol=1e-5)
            np.testing.assert_array_equal(np.asarray(gradient)[~mask], 0.0)
        elif not np.isfinite(bad):
            assert not np.isfinite(loss)
            assert not np.isfinite(error)


def test_half_squared_error_is_finite_at_logits_of_a_thousand():
    outputs = jnp.array([[1000.0, -1000.0]], jnp.float32)
    right, wrong = jnp.array([0], jnp.int32), jnp.array([1], jnp.int32)
    assert half_squared_error(outputs, right) == (0.0, 0.0)
    assert half_squared_error(outputs, wrong) == (1.0, 1.0)
    gradient = jax.grad(lambda a: half_squared_error(a, wrong)[0])(outputs)
    np.testing.assert_array_equal(gradient, [[0.0, 0.0]])


@over_squared
def test_half_squared_error_refuses_another_reduction(name):
    outputs, targets = random_case()
    with pytest.raises(InputError, match="unknown loss-reduction 'max': choose from mean, sum"):
        SQUARED[name](jnp.asarray(outputs, jnp.float32), jnp.asarray(targets), None, "max")
