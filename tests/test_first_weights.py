"""The first weights of cells, as their sources have them, their options, and memories that nothing
drives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from helpers import of_trial, random_params, settings_of_one

from jaxrnn import CELLS, Experiment, InputError, unroll, xavier
from jaxrnn.nets.initializers import chrono
from jaxrnn.nets.orthogonal import _exponential, _inverse
from jaxrnn.nets.simple import OscillatorState
from jaxrnn.training.trial import build

KEY, I, O = jax.random.key(0), 5, 3  # noqa: E741
SMALL_STEPS = np.log(0.001) - 1e-3, np.log(0.1) + 1e-3  # uniform by their logarithms


def first(name, hidden_size, initializer=None, num=None, sizes=(I, O), **options):
    """The first weights, of ``num`` nets with an axis of them."""
    cell = CELLS[name](sizes[0], hidden_size, sizes[1], **options)
    init = partial(cell.init, initializer=initializer or xavier())
    if num is None:
        return jax.device_get(jax.jit(init)(KEY))
    return jax.device_get(jax.jit(lambda key: jax.vmap(init)(jax.random.split(key, num)))(KEY))


def assert_uniform(values, low, high):
    """As many in each of ten parts of the range, to four standard errors."""
    counts, _ = np.histogram(values, 10, (low, high))
    assert counts.sum() == np.size(values)
    assert abs(counts - np.size(values) / 10).max() < 4 * (np.size(values) * 0.09) ** 0.5


def softplus(a):
    return np.logaddexp(0, np.float64(a))


def test_mlstm_begins_with_a_forget_gate_of_3_that_sees_nothing():
    params = first("mlstm", 4, num=200)
    assert not params.gate_weights.any()
    assert not params.bias.any()
    b_i, b_f = params.gate_bias.T
    np.testing.assert_array_equal(b_f, 3)
    assert abs(b_i.mean()) < 4 * 0.1 / 200**0.5
    assert b_i.std() == pytest.approx(0.1, rel=4 / 400**0.5)


def test_a_gated_delta_net_decays_by_rates_to_16_and_small_steps():
    params = first("gated_delta_net", 2, num=2000)
    assert_uniform(np.exp(params.decay_rate), 0, 16)
    assert_uniform(np.log(softplus(params.gate_bias[:, 1])), *SMALL_STEPS)
    np.testing.assert_array_equal(params.gate_bias[:, 0], 0)


def test_s6_begins_as_mambas_code_does():
    params = first("s6", 640, state_size=4)
    assert params.step_weights.shape == (40, 640)
    np.testing.assert_allclose(np.exp(params.log_decay), np.tile([1, 2, 3, 4], (640, 1)), rtol=1e-6)
    np.testing.assert_array_equal(params.skip, 1)
    assert_uniform(params.step_weights.ravel()[:4000], -(40**-0.5), 40**-0.5)
    assert_uniform(params.selecting_weights.ravel()[:4000], -(640**-0.5), 640**-0.5)
    assert_uniform(np.log(softplus(params.step_bias)), *SMALL_STEPS)


def test_rwkv_begins_as_the_first_layer_of_its_code():
    params, share = first("rwkv", 4), np.arange(4) / 4
    np.testing.assert_allclose(params.decay, -5 + 8 * (np.arange(4) / 3) ** 0.7, rtol=1e-6)
    np.testing.assert_allclose(params.bonus - np.log(0.3), [0, 0.5, -0.5, 0], atol=1e-6)
    np.testing.assert_allclose(params.mixing, [share**0.5, share, share], rtol=1e-6)


@pytest.mark.parametrize("name", ["exp_rnn", "sco_rnn"])
def test_at_first_a_rotation_turns_pairs_of_units(name):
    H = 1001  # the last unit has no partner
    params = first(name, H)
    A = np.zeros((H, H))
    A[np.triu_indices(H, 1)] = params.skew
    blocks = A[np.arange(0, H - 1, 2), np.arange(1, H, 2)]
    assert np.count_nonzero(A) == len(blocks)
    if name == "exp_rnn":
        assert_uniform(blocks, -np.pi, np.pi)
        assert np.var(params.input_weights) == pytest.approx(2 / I, rel=0.06)
        assert_uniform(params.bias, -0.01, 0.01)
    else:
        # -sqrt((1 - cos c) / (1 + cos c)) is -tan(c / 2).
        assert_uniform(2 * np.arctan(-blocks), 0, np.pi / 2)
        assert_uniform(params.input_weights.ravel()[:4000], -0.01, 0.01)
        np.testing.assert_array_equal(params.bias, 0)


@pytest.mark.parametrize("name", ["exp_rnn", "sco_rnn"])
def test_a_long_memory_keeps_its_norm(name):
    cell = CELLS[name](I, 16, O)
    params = random_params(cell)
    params = params._replace(skew=0.6 * params.skew, bias=np.zeros(16, np.float32))
    h = np.random.default_rng(1).standard_normal(16).astype(np.float32)
    last, _ = jax.jit(partial(unroll, cell))(params, np.zeros((1000, I), np.float32), h)
    assert np.linalg.norm(last) == pytest.approx(np.linalg.norm(h), rel=2e-3)
    factors = cell.rate_factors(params)
    assert factors.skew == 0.1
    assert factors.bias == factors.input_weights == factors.output_weights == 1.0


@pytest.mark.parametrize("size", [1, 64])
def test_the_exponential_is_that_of_scipy(size):
    A = np.random.default_rng(size).standard_normal((size, size)).astype(np.float32)
    A = (A - A.T) * 3 / size**0.5
    exponential = jax.jit(_exponential)
    np.testing.assert_allclose(exponential(A), scipy.linalg.expm(A), atol=3e-5)
    # Beyond its range: of a norm above 100.
    assert size == 1 or np.isnan(exponential(20 * A)).all()


@pytest.mark.parametrize("size", [1, 64])
def test_the_inverse_and_its_derivatives_are_those_of_lapack(size):
    A = np.random.default_rng(size).standard_normal((size, size)).astype(np.float32)
    A = np.eye(size, dtype=np.float32) + 10 * (A - A.T)

    def everything(inverse):
        def loss(A):
            return jnp.sum(jnp.sin(inverse(A)) ** 2)

        return jax.jit(lambda A: (inverse(A), jax.grad(loss)(A), jax.jvp(loss, (A,), (A,))[1]))(A)

    (ours, *derivatives), (_, *lapacks) = map(everything, (_inverse, jnp.linalg.inv))
    np.testing.assert_allclose(ours, np.linalg.inv(A), atol=1e-5)
    for one, other in zip(derivatives, lapacks, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * np.max(np.abs(other)))


def test_first_eigenvalues_fill_the_ring_evenly_and_inputs_are_normalised():
    H, r_min, r_max, max_phase = 4000, 0.8, 0.95, 1.5
    p = first("lru", H, sizes=(10, 3), r_min=r_min, r_max=r_max, max_phase=max_phase)
    radius, phase = np.exp(-np.exp(np.float64(p.nu_log))), np.exp(np.float64(p.theta_log))
    assert r_min < radius.min() < r_min + 0.001
    assert r_max > radius.max() > r_max - 0.001
    assert 0 < phase.min() < 0.01
    assert max_phase > phase.max() > max_phase - 0.01
    # Evenly by area: as many in each of ten rings of one area.
    assert_uniform((radius**2 - r_min**2) / (r_max**2 - r_min**2), 0, 1)
    assert_uniform(phase / max_phase, 0, 1)
    np.testing.assert_allclose(np.exp(2 * p.gamma_log), 1 - radius**2, rtol=1e-4)
    for part, variance in ((p.B_re, 1 / 20), (p.B_im, 1 / 20), (p.C_re, 1 / H), (p.C_im, 1 / H)):
        np.testing.assert_allclose(np.var(part) / variance, 1, atol=0.06)
    assert not np.allclose(p.B_re, p.B_im)
    assert not np.allclose(p.C_re, p.C_im)
    for ring in ({}, {"r_min": 0.9999999}):  # near one no logarithm is infinite
        leaves = jax.tree.leaves(first("lru", 10_000, **ring))
        assert all(np.isfinite(leaf).all() for leaf in leaves)


def test_first_recurrent_weights_are_uniform_in_their_range():
    assert_uniform(first("ind_rnn", 4000).recurrent_weights, 0, 1)
    of_range = first("ind_rnn", 4000, recurrent_range=(0.99, 1.01))
    assert_uniform(of_range.recurrent_weights, 0.99, 1.01)


def test_the_identity_net_starts_as_its_paper_says_whatever_the_initializer():
    params = first("irnn", 60, chrono(9), sizes=(100, 80))
    np.testing.assert_array_equal(params.recurrent_weights, np.eye(60))
    np.testing.assert_array_equal(params.bias, np.zeros(60))
    np.testing.assert_array_equal(params.output_bias, np.zeros(80))
    for weights in (params.input_weights, params.output_weights):
        # of 4,800 or more normal numbers, to four standard errors
        assert abs(np.mean(weights)) < 4 * 0.001 / np.sqrt(weights.size)
        assert np.std(weights) == pytest.approx(0.001, rel=4 / np.sqrt(2 * weights.size))
        assert np.mean(np.abs(weights) < 0.001) == pytest.approx(0.6827, abs=0.03)
    into, out = (np.ravel(leaf)[:4800] for leaf in (params.input_weights, params.output_weights))
    assert abs(np.corrcoef(into, out)[0, 1]) < 0.1


def test_co_rnn_begins_as_its_paper_says_whatever_the_initializer():
    params = first("co_rnn", 30, sizes=(40, 50))
    inner, outer = (1 / np.sqrt(fan_in) for fan_in in (40 + 2 * 30, 30))
    limits = (inner, inner, inner, outer, outer)
    sizes = ((40, 30), (60, 30), (30,), (30, 50), (50,))
    for values, limit, shape in zip(params, limits, sizes, strict=True):
        assert values.shape == shape
        assert np.abs(values).max() <= limit
        # Each misses once in a thousand times or less, but the keys are fixed.
        assert np.abs(values).max() > limit * (1 - 7 / values.size)
        assert abs(values.mean()) < 3.5 * limit / np.sqrt(3 * values.size)
    everything = np.concatenate(
        [np.ravel(leaf) / limit for leaf, limit in zip(params, limits, strict=True)]
    )
    assert len(np.unique(everything)) > 0.99 * everything.size


# Settings


@pytest.mark.parametrize(
    ("name", "setting", "value", "expected"),
    [
        ("mlstm", "forget_bias", 1.0, {"gate_bias": [0, 1]}),
        ("gated_delta_net", "forget_bias", 1.0, {"gate_bias": [0, -1]}),
        ("s6", "forget_bias", 1.0, {"step_bias": -1}),
        ("mgu", "input_bias", -2.0, {"bias": [-2] * 4 + [0] * 4}),
        ("ind_rnn", "initial_scale", 10.0, {}),
        ("lru", "initial_scale", 10.0, {}),
    ],
)
def test_a_setting_changes_the_biases_of_its_gate_or_scales_what_is_drawn(
    name, setting, value, expected
):
    """The scale leaves what a paper prescribes."""
    experiment = Experiment(cell=name, length=5, hidden_size=4, trials=1)
    usual = settings_of_one(experiment)
    both = jax.tree.map(lambda *two: np.stack(two), usual, usual._replace(**{setting: value}))
    init = jax.jit(jax.vmap(build(experiment).init, (None, 0)))
    params = jax.device_get(init(KEY, both).params)
    before, after = of_trial(params, 0), of_trial(params, 1)
    for field in before._fields:
        scaled = setting == "initial_scale" and field in ("input_weights", "output_weights")
        wanted = np.asarray(getattr(before, field)) * (value if scaled else 1)
        wanted = wanted + np.float32(expected.get(field, 0))
        np.testing.assert_allclose(getattr(after, field), wanted, rtol=1e-5, err_msg=field)


def test_chrono_makes_every_cell_keep_what_it_has():
    far = first("gated_delta_net", 8, chrono(1000)).gate_bias[1]
    assert far < first("gated_delta_net", 8, chrono(3)).gate_bias[1] - 1
    f, i, k = np.split(first("min_lstm", 100, chrono(100)).bias, 3)
    np.testing.assert_array_equal(f, -i)
    assert (k == 0).all()
    size = 200
    for name, sign in (("janet", 1), ("ugrnn", 1), ("mgu", -1), ("min_gru", -1)):
        params = first(name, size, chrono(101))
        gate, candidate = np.split(params.bias, 2)
        # exp of them uniform on [1, 100]
        times = np.exp(sign * gate)
        assert 1 - 1e-5 <= times.min() <= times.max() <= 100 * (1 + 1e-5)
        assert times.mean() == pytest.approx(50.5, abs=4 * 99 / np.sqrt(12 * size))
        np.testing.assert_array_equal(candidate, np.zeros(size))
        # In a step of no input from h = 1 to the candidate 0, of weights 0, a part 1 / u is lost.
        zeros = jax.tree.map(np.zeros_like, params)._replace(bias=params.bias)
        step = jax.jit(CELLS[name](I, size, O).step)
        h, _ = step(zeros, np.ones(size, np.float32), np.zeros(I, np.float32))
        np.testing.assert_allclose(h, times / (1 + times), rtol=1e-5)


def test_undriven_oscillators_are_damped():
    cell = CELLS["co_rnn"](1, 2, 1)
    params = jax.tree.map(np.zeros_like, random_params(cell))
    start = OscillatorState(np.float32([1.0, -2.0]), np.float32([0.0, 1.0]))
    run = jax.jit(partial(unroll, cell))
    before, _ = run(params, np.zeros((900, 1), np.float32), start)
    last, _ = run(params, np.zeros((100, 1), np.float32), before)
    # y'' = -gamma y - epsilon y', whose slower root is the rate; dt is small beside it
    rate = (4.7 - np.sqrt(4.7**2 - 4 * 2.7)) / 2
    ratio = np.asarray(last.hidden) / np.asarray(before.hidden)
    np.testing.assert_allclose(np.log(ratio), -rate * 100 * 0.042, rtol=0.02)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("delta_product", {"num_updates": 0}, "num_updates 0 must be at least 1"),
        ("s6", {"state_size": 0}, "state_size 0 must be at least 1"),
        ("exp_rnn", {"first_angles": "haar"}, "unknown first_angles 'haar': choose from cayley, "),
        ("sco_rnn", {"num_negative": 9}, "num_negative 9 must not be above 8 hidden units"),
        ("sco_rnn", {"num_negative": -1}, "num_negative -1 must not be negative"),
        ("ind_rnn", {"recurrent_range": (1.0, 0.0)}, r"recurrent_range \(1.0, 0.0\) must begin"),
        ("lru", {"r_min": 1.0}, "r_min 1.0 and r_max 1.0 must be a ring"),
        ("lru", {"r_max": 1.1}, "r_max 1.1 must be a number from 0 to 1"),
        ("lru", {"max_phase": 0.0}, "max_phase 0.0 must be a positive number"),
    ],
)
def test_an_option_out_of_its_bounds_is_refused(name, options, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        CELLS[name](I, 8, O, **options)
