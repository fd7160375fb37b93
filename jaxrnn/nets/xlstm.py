"""The two cells of xLSTM: sLSTM, with exponential gates, and mLSTM, whose memory is a matrix."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxrnn.nets import chunks
from jaxrnn.nets.base import Cell
from jaxrnn.nets.elementary import exp, sigmoid, tanh
from jaxrnn.nets.gated import GatedParams, gated
from jaxrnn.nets.initializers import Initializer
from jaxrnn.nets.products import add_bias, join, product, split, vector_product
from jaxrnn.nets.recurrent import recurrent
from jaxrnn.options import OneOf, checked


class ExponentialState(NamedTuple):
    """State of :func:`slstm`; the paper's c and n are e^m times the values here."""

    hidden: jax.Array  # h [H]
    cell: jax.Array  # c [H]
    normalizer: jax.Array  # n [H]
    stabilizer: jax.Array  # m [H], -inf before the first step


def _zeros(hidden_size: int) -> ExponentialState:
    # There is nothing to keep: with m = -inf the first step has i' = 1 and f' = 0 whatever its
    # gates are, hence n = 1, and from then on n is at least 1, since i' or f' is.
    h, c, n = jnp.zeros((3, hidden_size))
    return ExponentialState(h, c, n, jnp.full(hidden_size, -jnp.inf))


def _log_sigmoid(a: jax.Array) -> jax.Array:
    return jnp.minimum(a, 0) - jnp.log1p(exp(-jnp.abs(a)))


ForgetGate = Annotated[str, OneOf(("exponential", "sigmoid"))]


@checked
def slstm(
    num_inputs: int, hidden_size: int, num_outputs: int, *, forget_gate: ForgetGate = "sigmoid"
) -> Cell:
    """The sLSTM of xLSTM: an LSTM with an exponential input gate, its memory cell normalised.

    i = exp(a_i(t)), f = sigmoid(a_f(t)) or exp(a_f(t)), as ``forget_gate`` says, "sigmoid" or
    "exponential", o = sigmoid(a_o(t)), z = tanh(a_z(t)); c(t) = f c(t-1) + i z,
    n(t) = f n(t-1) + i, h(t) = o c(t) / n(t), in which c and n may overflow. So they are kept as
    multiples of e^m: m(t) = max(log f + m(t-1), log i), i' = exp(log i - m(t)),
    f' = exp(log f + m(t-1) - m(t)) instead of i and f. States are :class:`ExponentialState`.

    A bias of the input gate is a factor of c and of n, and cancels: no bias closes this gate.

    Source: Beck et al. 2024 (xLSTM), equations 8 to 17.

    Differs from it in that there is one head, so every unit sees all others.
    Differs from it in that the cell is not in a block: no convolution before the gates, no group
    normalisation, no projection up and down, no residual connection.
    """
    is_sigmoid = forget_gate == "sigmoid"

    def activate(own: Any, state: ExponentialState, a: jax.Array) -> list[jax.Array]:
        """Logarithms of i and f, which may be too large for a number; o and z."""
        a_i, a_f, a_o, a_z = split(a, 4)
        return [a_i, _log_sigmoid(a_f) if is_sigmoid else a_f, sigmoid(a_o), tanh(a_z)]

    def slope(gates: jax.Array) -> jax.Array:
        log_i, log_f, o, z = split(gates, 4)
        one = jnp.ones_like(log_i)
        return join(one, 1 - exp(log_f) if is_sigmoid else one, o * (1 - o), 1 - z * z)

    def update(
        own: Any,
        state: ExponentialState,
        log_i: jax.Array,
        log_f: jax.Array,
        o: jax.Array,
        z: jax.Array,
    ) -> ExponentialState:
        kept = log_f + state.stabilizer
        m = jnp.maximum(kept, log_i)
        i, f = exp(log_i - m), exp(kept - m)
        c = f * state.cell + i * z
        n = f * state.normalizer + i
        return ExponentialState(o * c / n, c, n, m)

    cell = gated(
        (num_inputs, hidden_size, num_outputs),
        gates=("input", "forget", "output", "candidate"),
        activate=activate,
        update=update,
        initial_state=_zeros,
        hidden=lambda state: state.hidden,
        slope=slope,
    )
    of_logarithms = cell.activations
    assert of_logarithms is not None

    def activations(
        params: GatedParams, state: ExponentialState, x: jax.Array
    ) -> dict[str, jax.Array]:
        gates = of_logarithms(params, state, x)
        return gates | {name: exp(gates[name]) for name in ("input", "forget")}

    return cell._replace(activations=activations)


class MatrixParams(NamedTuple):
    """Parameters of :func:`mlstm`."""

    input_weights: jax.Array  # of query, key, value and output gate side by side [I, 4 H]
    bias: jax.Array  # [4 H]
    gate_weights: jax.Array  # of the input gate and of the forget gate [I, 2]
    gate_bias: jax.Array  # [2]
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


class MatrixState(NamedTuple):
    """State of :func:`mlstm`; the paper's C and n are e^m times the values here."""

    matrix: jax.Array  # C [H, H]
    normalizer: jax.Array  # n [H]
    stabilizer: jax.Array  # m [], a single number


class MatrixInputs(NamedTuple):
    """What a step of :func:`mlstm` makes of its input."""

    query: jax.Array  # q [H]
    key: jax.Array  # k [H]
    value: jax.Array  # v [H]
    output: jax.Array  # o [H]
    logarithms: jax.Array  # log i and log f [2]


def mlstm(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The mLSTM of xLSTM: an LSTM whose memory cell is a matrix, with one key and one value a step.

    q, k, v are x(t) U + b of their slices, k divided by sqrt(H), o = sigmoid(x(t) U + b) of its
    own; i = exp(x(t) w_i + b_i), f = sigmoid(x(t) w_f + b_f), one number each.
    C(t) = f C(t-1) + i k^T v, n(t) = f n(t-1) + i k, h(t) = o (q C(t)) / max(|q n(t)|, 1),
    y(t) = h(t) V + output bias; all vectors are rows. C and n may overflow, so they are kept as
    multiples of e^m, m(t) = max(log f + m(t-1), log i), as in :func:`slstm`. States are
    :class:`MatrixState`, 0 at first. First w_i = w_f = 0, b_f = 3, and b_i is normal with standard
    deviation 0.1, to which an experiment adds its first biases; the initializer draws U and V.

    Source: Beck et al. 2024 (xLSTM), equations 19 to 27; first weights: their code, whose biases of
    the forget gates are evenly spaced from 3 to 6 over the heads.

    Differs from it in that there is one head.
    Differs from it in that the cell is not in a block: no convolution before q and k, no group
    normalisation, no projection up and down, no residual connection.
    Differs from their code in that the gates see x, as in the paper, not q, k and v.
    """

    def init(key: jax.Array, initializer: Initializer) -> MatrixParams:
        keys = jax.random.split(key, 5)
        i, f = initializer.biases(keys[2], ("input", "forget"), 1)
        zeros = jnp.zeros(3 * hidden_size)
        of_output = initializer.biases(keys[3], ("output",), hidden_size)
        return MatrixParams(
            initializer.weights(keys[0], 4, num_inputs, hidden_size),
            jnp.concatenate([zeros, of_output]),
            jnp.zeros((num_inputs, 2)),
            jnp.stack([i + 0.1 * jax.random.normal(keys[4]), f + 3.0]),
            initializer.weights(keys[1], 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def initial_state(params: MatrixParams) -> MatrixState:
        zeros = jnp.zeros_like(params.bias, shape=(hidden_size, hidden_size))
        return MatrixState(zeros, zeros[0], zeros[0, 0])

    def project(params: MatrixParams, x: jax.Array) -> MatrixInputs:
        q, k, v, a_o = split(add_bias(product(x, params.input_weights), params.bias), 4)
        gates = add_bias(product(x, params.gate_weights), params.gate_bias)
        logarithms = jnp.stack([gates[..., 0], _log_sigmoid(gates[..., 1])], axis=-1)
        return MatrixInputs(q, k * hidden_size**-0.5, v, sigmoid(a_o), logarithms)

    def advance(
        params: MatrixParams, state: MatrixState, at: MatrixInputs
    ) -> tuple[MatrixState, jax.Array]:
        log_i, log_f = at.logarithms
        kept = log_f + state.stabilizer
        m = jnp.maximum(kept, log_i)
        # Written out, as vectors: XLA's own exponential of a number rounds as the number of lanes
        # says.
        i, f = exp(jnp.stack([log_i - m, kept - m]))
        C = f * state.matrix + jnp.outer(at.key, i * at.value)
        n = f * state.normalizer + i * at.key
        # Not 0, where e^-m has no normal number and q is 0.
        least = jnp.maximum(exp(-m[None])[0], jnp.finfo(m.dtype).tiny)
        norm = jnp.maximum(jnp.abs(jnp.sum(at.query * n)), least)
        return MatrixState(C, n, m), at.output * vector_product(at.query, C) / norm

    def look(params: MatrixParams, state: MatrixState, at: MatrixInputs) -> tuple[jax.Array, ...]:
        return *jnp.split(jnp.exp(at.logarithms), 2), at.output

    return recurrent(
        init,
        initial_state,
        project,
        advance,
        scan=_by_chunks if hidden_size >= chunks.FROM else None,
        gates=("input", "forget", "output"),
        look=look,
    )


def _by_chunks(
    params: MatrixParams, state: MatrixState, of_all: MatrixInputs, at_once: int
) -> tuple[MatrixState, jax.Array]:
    """The last state of :func:`mlstm`, and h [T, H] of all steps.

    With F_t the sum of the log f of a chunk so far, what step j wrote counts
    e^(F_t - F_j + log i_j) at step t, and the state before the chunk e^(F_t).

    Source: Beck et al. 2024 (xLSTM), appendix A.3, in chunks.
    """
    num_steps = len(of_all.query)
    q, k, v = (chunks.in_chunks(a, chunks.STEPS) for a in of_all[:3])
    log_i, log_f = of_all.logarithms.T
    log_i = chunks.in_chunks(log_i, chunks.STEPS, -jnp.inf)  # what is filled up writes nothing
    F = jnp.cumsum(chunks.in_chunks(log_f, chunks.STEPS), axis=1)
    step = np.arange(chunks.STEPS)
    is_later = (step[None] > step[:, None])[None]
    exponents = jnp.where(is_later, -jnp.inf, F[:, :, None] - F[:, None] + log_i[:, None])
    greatest = jnp.max(exponents, axis=2)
    counts = jnp.exp(exponents - greatest[:, :, None])
    scores = counts * (q @ k.mT)

    def one(state: MatrixState, at: Any) -> tuple[MatrixState, jax.Array]:
        C, n, m_before = state
        q, k, v, F, greatest, counts, scores = at
        m = jnp.maximum(F + m_before, greatest)
        before, within = jnp.exp(F + m_before - m), jnp.exp(greatest - m)
        scores = chunks.times(scores, within)
        norm = before * (q @ n) + jnp.sum(scores, axis=1)
        least = jnp.maximum(jnp.exp(-m), jnp.finfo(m.dtype).tiny)
        h = chunks.times(
            chunks.times(q @ C, before) + scores @ v, 1 / jnp.maximum(abs(norm), least)
        )
        kept = chunks.times(k, counts[-1] * within[-1])
        C, n = before[-1] * C + kept.T @ v, before[-1] * n + jnp.sum(kept, axis=0)
        return MatrixState(C, n, m[-1]), h

    over = (q, k, v, F, greatest, counts, scores)
    state, h = lax.scan(one, state, over, unroll=max(at_once // chunks.STEPS, 1))
    return state, of_all.output * chunks.of_steps(h, num_steps)


CELLS = (slstm, mlstm)
