"""The first weights of cells, as their sources have them, and their options; gates open and shut,
and memories that nothing drives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from helpers import first_params, random_params

from jaxrnn import CELLS, Experiment, InputError, unroll, xavier
from jaxrnn.nets.gru import janet, mgu, ugrnn
from jaxrnn.nets.initializers import chrono, small_steps, uniform
from jaxrnn.nets.orthogonal import _exponential, _inverse
from jaxrnn.nets.oscillators import OscillatorState, co_rnn

KEY, I, O = jax.random.key(0), 5, 3  # noqa: E741


def first(name, hidden_size, initializer=None, **options):
    return CELLS[name](I, hidden_size, O, **options).init(KEY, initializer or xavier())


def assert_uniform(values, low, high):
    """As many in each of ten parts of the range, to four standard errors."""
    counts, _ = np.histogram(values, 10, (low, high))
    assert counts.sum() == np.size(values)
    assert abs(counts - np.size(values) / 10).max() < 4 * (np.size(values) * 0.09) ** 0.5


def softplus(a):
    return np.logaddexp(0, np.float64(a))


def test_small_steps_are_uniform_by_their_logarithms():
    steps = softplus(small_steps(KEY, 4000))
    assert_uniform(np.log(steps), np.log(0.001) - 1e-3, np.log(0.1) + 1e-3)


def test_mlstm_begins_with_a_forget_gate_of_3_that_sees_nothing():
    params = [CELLS["mlstm"](I, 4, O).init(key, xavier()) for key in jax.random.split(KEY, 200)]
    assert not any(one.gate_weights.any() or one.bias.any() for one in params)
    b_i, b_f = np.array([one.gate_bias for one in params]).T
    np.testing.assert_array_equal(b_f, 3)
    assert abs(b_i.mean()) < 4 * 0.1 / 200**0.5
    assert b_i.std() == pytest.approx(0.1, rel=4 / 400**0.5)


def test_a_gated_delta_net_decays_by_rates_to_16_and_small_steps():
    keys = jax.random.split(KEY, 2000)
    params = jax.vmap(lambda key: CELLS["gated_delta_net"](I, 2, O).init(key, xavier()))(keys)
    assert_uniform(np.exp(params.decay_rate), 0, 16)
    assert_uniform(
        np.log(softplus(params.gate_bias[:, 1])), np.log(0.001) - 1e-3, np.log(0.1) + 1e-3
    )
    np.testing.assert_array_equal(params.gate_bias[:, 0], 0)


def test_s6_begins_as_mambas_code_does():
    params = first("s6", 640, state_size=4)
    assert params.step_weights.shape == (40, 640)
    np.testing.assert_allclose(np.exp(params.log_decay), np.tile([1, 2, 3, 4], (640, 1)), rtol=1e-6)
    np.testing.assert_array_equal(params.skip, 1)
    assert_uniform(params.step_weights.ravel()[:4000], -(40**-0.5), 40**-0.5)
    assert_uniform(params.selecting_weights.ravel()[:4000], -(640**-0.5), 640**-0.5)
    steps = softplus(params.step_bias)
    assert 0.001 <= steps.min() < 0.0015
    assert 0.07 < steps.max() <= 0.1


def test_rwkv_begins_as_the_first_layer_of_its_code():
    params = first("rwkv", 4)
    np.testing.assert_allclose(params.decay, -5 + 8 * (np.arange(4) / 3) ** 0.7, rtol=1e-6)
    np.testing.assert_allclose(params.bonus - np.log(0.3), [0, 0.5, -0.5, 0], atol=1e-6)
    share = np.arange(4) / 4
    np.testing.assert_allclose(params.mixing, [share**0.5, share, share], rtol=1e-6)


def matrix(params, hidden_size):
    A = np.zeros((hidden_size, hidden_size))
    A[np.triu_indices(hidden_size, 1)] = params.skew
    return A - A.T


@pytest.mark.parametrize("name", ["exp_rnn", "sco_rnn"])
def test_at_first_a_rotation_turns_pairs_of_units(name):
    H = 401  # the last unit has no partner
    A = matrix(first(name, H), H)
    blocks = A[np.arange(0, H - 1, 2), np.arange(1, H, 2)]
    assert np.count_nonzero(A) == 2 * len(blocks)
    if name == "exp_rnn":
        assert_uniform(blocks, -np.pi, np.pi)
    else:
        # -sqrt((1 - cos c) / (1 + cos c)) is -tan(c / 2).
        assert_uniform(2 * np.arctan(-blocks), 0, np.pi / 2)


def test_other_first_weights_of_the_orthogonal_nets():
    params = first("exp_rnn", 2000)
    assert np.var(params.input_weights) == pytest.approx(2 / I, rel=0.06)
    assert_uniform(params.bias, -0.01, 0.01)
    params = first("sco_rnn", 2000)
    assert_uniform(params.input_weights.ravel()[:4000], -0.01, 0.01)
    np.testing.assert_array_equal(params.bias, 0)


@pytest.mark.parametrize("name", ["exp_rnn", "sco_rnn"])
def test_a_long_memory_keeps_its_norm(name):
    H = 16
    cell = CELLS[name](I, H, O)
    params = cell.init(KEY, xavier())
    skew = 0.3 * jax.random.normal(KEY, params.skew.shape)
    params = params._replace(skew=skew, bias=jnp.zeros(H))
    h = jax.random.normal(jax.random.key(1), (H,))
    last, _ = jax.jit(partial(unroll, cell))(params, jnp.zeros((1000, I)), h)
    assert np.linalg.norm(last) == pytest.approx(np.linalg.norm(h), rel=2e-3)
    factors = cell.rate_factors(params)
    assert factors.skew == 0.1
    assert factors.bias == factors.input_weights == factors.output_weights == 1.0


@pytest.mark.parametrize("size", [1, 2, 9, 64])
def test_the_exponential_is_that_of_scipy(size):
    rng = np.random.default_rng(size)
    A = rng.standard_normal((size, size))
    A = (A - A.T) * 3 / size**0.5
    ours = _exponential(jnp.asarray(A, jnp.float32))
    np.testing.assert_allclose(ours, scipy.linalg.expm(A), atol=3e-5)
    assert np.isnan(_exponential(jnp.array([[0.0, 101.0], [-101.0, 0.0]]))).all()


@pytest.mark.parametrize("size", [1, 9, 64])
def test_the_inverse_and_its_derivatives_are_those_of_lapack(size):
    A = np.random.default_rng(size).standard_normal((size, size)).astype(np.float32)
    A = np.eye(size, dtype=np.float32) + 10 * (A - A.T)
    np.testing.assert_allclose(_inverse(A), np.linalg.inv(A), atol=1e-5)

    def derivatives(inverse):
        def loss(A):
            return jnp.sum(jnp.sin(inverse(A)) ** 2)

        return jax.jit(lambda A: (jax.grad(loss)(A), jax.jvp(loss, (A,), (A,))[1]))(A)

    for ours, lapacks in zip(derivatives(_inverse), derivatives(jnp.linalg.inv), strict=True):
        np.testing.assert_allclose(ours, lapacks, atol=1e-4 * np.max(np.abs(lapacks)))


@pytest.mark.parametrize(
    ("cell", "leaf", "change"),
    [
        ("mlstm", lambda p: p.gate_bias[1], 1.0),
        ("gated_delta_net", lambda p: p.gate_bias[1], -1.0),
        ("s6", lambda p: p.step_bias, -1.0),
    ],
)
def test_a_first_bias_of_what_is_kept_makes_them_keep_more(cell, leaf, change):
    def params(bias):
        return first_params(Experiment(cell=cell, length=5, forget_bias=bias, trials=1))

    np.testing.assert_allclose(leaf(params(1.0)) - leaf(params(0.0)), change, rtol=1e-5)


def test_chrono_makes_the_decay_slow():
    far = first("gated_delta_net", 8, chrono(1000)).gate_bias[1]
    near = first("gated_delta_net", 8, chrono(3)).gate_bias[1]
    assert far < near - 1


@pytest.mark.parametrize("size", [pytest.param(1e2, marks=pytest.mark.slow), 1e4])
@pytest.mark.parametrize("builder", [janet, ugrnn, mgu])
def test_open_and_shut_gates_have_finite_values_and_gradients(builder, size):
    cell = builder(I, 3, O)
    params = jax.tree.map(lambda leaf: size * leaf, random_params(cell))
    xs = jnp.asarray(np.random.default_rng(0).standard_normal((50, I)), jnp.float32)
    run = jax.jit(jax.value_and_grad(lambda params: jnp.mean(unroll(cell, params, xs)[1] ** 2)))
    value, gradients = run(params)
    assert value > 0
    assert all(np.isfinite(leaf).all() for leaf in (value, *jax.tree.leaves(gradients)))


@pytest.mark.parametrize(("builder", "sign"), [(janet, 1), (ugrnn, 1), (mgu, -1)])
def test_chrono_makes_every_cell_of_one_gate_keep_what_it_has(builder, sign):
    size, num_steps = 2000, 101
    params = builder(3, size, 3).init(jax.random.key(0), chrono(num_steps))
    gate, candidate = np.split(np.asarray(params.bias), 2)
    # exp of them uniform on [1, 100]
    times = np.exp(sign * gate)
    assert times.min() >= 1 - 1e-5
    assert times.max() <= 100 * (1 + 1e-5)
    assert times.mean() == pytest.approx(50.5, abs=4 * 99 / np.sqrt(12 * size))
    np.testing.assert_array_equal(candidate, np.zeros(size))
    # In a step of no input from h = 1 to the candidate 0, of weights 0, a part 1 / u is lost.
    zeros = params._replace(
        input_weights=jnp.zeros_like(params.input_weights),
        recurrent_weights=jnp.zeros_like(params.recurrent_weights),
    )
    h, _ = builder(3, size, 3).step(zeros, jnp.ones(size), jnp.zeros(3))
    np.testing.assert_allclose(h, times / (1 + times), rtol=1e-5)


def test_the_setting_input_bias_is_the_minimal_gated_units():
    usual = Experiment(cell="mgu", length=5, hidden_size=4, trials=1)
    told = first_params(Experiment(cell="mgu", length=5, hidden_size=4, trials=1, input_bias=-2.0))
    added = np.asarray(told.bias) - np.asarray(first_params(usual).bias)
    np.testing.assert_array_equal(added, [-2.0] * 4 + [0.0] * 4)


@pytest.mark.parametrize("initializer", [xavier(), uniform()])
def test_first_weights_and_biases_are_the_papers_whatever_the_initializer(initializer):
    num_inputs, hidden_size, num_outputs = 40, 30, 50
    params = co_rnn(num_inputs, hidden_size, num_outputs).init(jax.random.key(0), initializer)
    inner, outer = (1 / np.sqrt(fan_in) for fan_in in (40 + 2 * 30, 30))
    limits = (inner, inner, inner, outer, outer)
    sizes = ((40, 30), (60, 30), (30,), (30, 50), (50,))
    for values, limit, shape in zip(map(np.asarray, params), limits, sizes, strict=True):
        assert values.shape == shape
        assert np.abs(values).max() <= limit
        # Each misses once in a thousand times or less, but the keys are fixed.
        assert np.abs(values).max() > limit * (1 - 7 / values.size)
        assert abs(values.mean()) < 3.5 * limit / np.sqrt(3 * values.size)
    everything = np.concatenate(
        [np.ravel(leaf) / limit for leaf, limit in zip(params, limits, strict=True)]
    )
    assert len(np.unique(everything)) > 0.99 * everything.size


def test_undriven_oscillators_are_damped():
    cell = co_rnn(1, 2, 1)
    params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), xavier()))
    start = OscillatorState(jnp.array([1.0, -2.0]), jnp.array([0.0, 1.0]))
    run = jax.jit(partial(unroll, cell))
    last, _ = run(params, jnp.zeros((1000, 1)), start)
    # y'' = -gamma y - epsilon y', whose slower root is the rate; dt is small beside it
    rate = (4.7 - np.sqrt(4.7**2 - 4 * 2.7)) / 2
    before, _ = run(params, jnp.zeros((900, 1)), start)
    ratio = np.asarray(last.hidden) / np.asarray(before.hidden)
    np.testing.assert_allclose(np.log(ratio), -rate * 100 * 0.042, rtol=0.02)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("delta_product", {"num_updates": 0}, "num_updates 0 must be at least 1"),
        ("s6", {"state_size": 0}, "state_size 0 must be at least 1"),
        (
            "exp_rnn",
            {"first_angles": "haar"},
            "unknown first_angles 'haar': choose from cayley, he",
        ),
        ("exp_rnn", {"skew_rate": 0.0}, "skew_rate 0.0 must be a positive number"),
        ("sco_rnn", {"num_negative": 9}, "num_negative 9 must not be above 8 hidden units"),
        ("sco_rnn", {"num_negative": -1}, "num_negative -1 must not be negative"),
    ],
)
def test_an_option_out_of_its_bounds_is_refused(name, options, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        CELLS[name](I, 8, O, **options)
