"""The sLSTM where its equations overflow, what its input gate cannot do, and its first step;
test_cell_contract.py has the equations."""

import itertools

import cells_numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import plain, random_params

from jaxrnn import InputError, unroll
from jaxrnn.nets.xlstm import slstm

SIZES = 4, 3, 2
FORGET = ("sigmoid", "exponential")


def random_case(forget_gate, num_steps=6):
    cell = slstm(*SIZES, forget_gate=forget_gate)
    xs = np.random.default_rng(0).standard_normal((num_steps, SIZES[0]))
    return cell, random_params(cell), xs


def in_logarithms(net, forget_gate, xs):
    """Outputs of the unstabilised equations, its sums over all time steps added up as logarithms:
    h = o sum_s w(s) z(s) / sum_s w(s), log w(s) = log i(s) + sum over r > s of log f(r)."""
    h, log_i, log_f, zs, outputs = np.zeros(SIZES[1]), [], [], [], []
    for x in xs:
        a_f = cells_numpy.pre(net, "forget", x, h)
        log_i.append(cells_numpy.pre(net, "input", x, h))
        log_f.append(-np.logaddexp(0, -a_f) if forget_gate == "sigmoid" else a_f)
        zs.append(np.tanh(cells_numpy.pre(net, "candidate", x, h)))
        since = np.cumsum([np.zeros_like(h), *log_f[:0:-1]], axis=0)[::-1]
        log_w = np.array(log_i) + since
        w = np.exp(log_w - log_w.max(axis=0))
        o = 1 / (1 + np.exp(-np.clip(cells_numpy.pre(net, "output", x, h), -700, None)))
        h = o * (w * zs).sum(axis=0) / w.sum(axis=0)
        outputs.append(h @ net.V + net.b_out)
    return np.array(outputs)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("forget_gate", FORGET)
def test_outputs_of_great_inputs_and_one_bias_more_of_the_input_gate(forget_gate):
    """The former are those of the equations in logarithms. The latter is a factor of c and of n, so
    that no bias closes this gate."""
    cell, params, xs = random_case(forget_gate)
    expected = in_logarithms(cells_numpy.from_jaxrnn("slstm", params), forget_gate, 30 * xs)
    closed = np.zeros(4 * SIZES[1])
    closed[: SIZES[1]] = -5.0
    for form in (cell, plain(cell)):

        @jax.jit
        def run(params, xs, form=form):
            def loss(params):
                outputs = unroll(form, params, xs)[1]
                return jnp.sum(outputs**2), outputs

            return jax.grad(loss, has_aux=True)(params)

        slope, outputs = run(params, xs)
        np.testing.assert_allclose(run(params, 30 * xs)[1], expected, rtol=1e-9, atol=1e-12)
        _, shut = run(params._replace(bias=params.bias + closed), xs)
        np.testing.assert_allclose(shut, outputs, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(slope.bias[: SIZES[1]], 0, atol=1e-13)


@pytest.mark.parametrize("forget_gate", FORGET)
def test_values_and_gradients_stay_finite_over_long_sequences(forget_gate):
    cell, params, xs = random_case(forget_gate, num_steps=2000)

    @jax.jit
    def run(params):
        def loss(params):
            state, ys = unroll(cell, params, np.float32(xs))
            return jnp.mean(ys**2), (state, ys)

        return jax.grad(loss, has_aux=True)(params)

    for gate, sign in itertools.product(range(4), (1, -1)):
        # exp(200) is no number of float32, and the others are random
        bias = np.array(params.bias)
        bias[gate * SIZES[1] : (gate + 1) * SIZES[1]] = sign * 200
        gradients, (state, ys) = jax.device_get(run(params._replace(bias=bias)))
        for leaf in jax.tree.leaves((gradients, state, ys)):
            assert leaf.dtype == np.float32
            assert np.isfinite(leaf).all()
        assert np.all(np.abs(state.cell) <= state.normalizer * (1 + 1e-5))
        assert np.min(state.normalizer) >= 1
        assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("forget_gate", FORGET)
def test_the_first_step_takes_what_it_gets_however_little_is_let_in(forget_gate):
    cell, params, xs = random_case(forget_gate)

    @jax.jit
    def first(params):
        start = cell.initial_state(params)
        x = np.float32(xs[0])
        return cell.step(params, start, x)[0], cell.activations(params, start, x)

    for a_i in (-500.0, 0.0, 500.0):
        bias = np.array(params.bias)
        bias[: SIZES[1]] = a_i
        state, gates = first(params._replace(bias=bias))
        np.testing.assert_allclose(state.hidden, gates["output"] * gates["candidate"], rtol=1e-6)
        np.testing.assert_array_equal(state.normalizer, np.ones(SIZES[1]))


def test_another_forget_gate_is_refused():
    with pytest.raises(InputError, match=r"^unknown forget_gate 'tanh': choose from exponential, "):
        slstm(*SIZES, forget_gate="tanh")
