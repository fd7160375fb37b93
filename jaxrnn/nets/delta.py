"""The nets whose memory is a matrix that is corrected at a key: DeltaNet and its relatives.

Each has one head. Its state S [H, H] stands for a function from keys to values: k S is what it
holds at a key k [H]. A step writes a value v [H] there: it corrects S by a share of the error
v - k S. All vectors are rows.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxrnn.nets import chunks
from jaxrnn.nets.base import Cell
from jaxrnn.nets.elementary import exp, sigmoid
from jaxrnn.nets.initializers import Initializer, small_steps
from jaxrnn.nets.products import add_bias, barrier, product, vector_product
from jaxrnn.nets.recurrent import recurrent
from jaxrnn.options import Count, checked


class DeltaParams(NamedTuple):
    """Parameters of the delta nets with n corrections a step. G is n, or n + 1 where the memory
    decays."""

    input_weights: jax.Array  # n keys, n values and the query side by side [I, (2 n + 1) H]
    gate_weights: jax.Array  # [I, G]
    gate_bias: jax.Array  # [G]
    decay_rate: Any  # a [], a number, where the memory decays, else ()
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


class DeltaInputs(NamedTuple):
    """What a step does to the memory."""

    keys: jax.Array  # k [n, H], of norm 1
    values: jax.Array  # v [n, H]
    betas: jax.Array  # [n]
    log_decay: jax.Array  # log alpha [], 0 where the memory does not decay
    query: jax.Array  # q [H], of norm 1


@checked
def delta_net(
    num_inputs: int, hidden_size: int, num_outputs: int, *, negative: bool = False
) -> Cell:
    """DeltaNet: a matrix memory that a step corrects at one key.

    k and q are silu(x(t) U) of their slices, divided by their norms, v = silu(x(t) U) of its own;
    beta = sigmoid(x(t) w + b). S(t) = S(t-1) + beta k^T (v - k S(t-1)), h(t) = q S(t),
    y(t) = h(t) V + output bias. The state is S [H, H], 0 at first. A step multiplies S by
    I - beta k^T k, whose eigenvalues are 1 and 1 - beta, so they lie between 0 and 1. With
    ``negative`` beta is 2 sigmoid(x(t) w + b): an eigenvalue may then be as low as -1, as parity
    needs. beta lets in what is new, so it is the gate "input" here.

    Source: Schlag, Irie & Schmidhuber 2021 (2102.11174), section 4.2; Yang et al. 2024
    (2406.06484), section 2.2, whose k and q these are; ``negative``: Grazzi et al. 2025
    (2411.12537).

    Differs from them in that there is one head, w has a bias, and the cell is not in a block: no
    convolution before the keys, no normalisation of h.
    """
    return _delta((num_inputs, hidden_size, num_outputs), 1, negative, decays=False)


@checked
def gated_delta_net(
    num_inputs: int, hidden_size: int, num_outputs: int, *, negative: bool = False
) -> Cell:
    """Gated DeltaNet: :func:`delta_net` whose memory decays before each correction.

    alpha = exp(-e^a softplus(x(t) w_a + b_a)), one number in (0, 1);
    S(t) = alpha S(t-1) + beta k^T (v - alpha k S(t-1)). First e^a is uniform in [0, 16], and
    softplus(b_a) is log-uniform in [0.001, 0.1]. alpha is the gate "forget": a first bias of it is
    taken from b_a, so that the memory decays more slowly.

    Source: Yang, Kautz & Hatamizadeh 2025 (2412.06464), equation 10; first weights: their code.

    Differs from it as :func:`delta_net` does.
    """
    return _delta((num_inputs, hidden_size, num_outputs), 1, negative, decays=True)


@checked
def delta_product(
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    num_updates: Count = 2,
    negative: bool = True,
    decays: bool = False,
) -> Cell:
    """DeltaProduct: a :func:`delta_net` that corrects its memory ``num_updates`` times a step.

    Each correction has its own key, value and beta. With ``negative`` a step may be any product of
    so many reflections: with two of them a rotation. With ``decays`` the memory decays once a step,
    before the first correction, as in :func:`gated_delta_net`.

    Source: Siems et al. 2025 (2502.10297), section 3.

    Differs from it as :func:`delta_net` does.
    """
    return _delta((num_inputs, hidden_size, num_outputs), num_updates, negative, decays)


def _delta(sizes: tuple[int, int, int], num_updates: int, negative: bool, decays: bool) -> Cell:
    num_inputs, hidden_size, num_outputs = sizes
    num_gates = num_updates + decays

    def init(key: jax.Array, initializer: Initializer) -> DeltaParams:
        keys = jax.random.split(key, 6)
        bias = initializer.biases(keys[2], ("input",), num_updates)
        rate: Any = ()
        if decays:
            slower = initializer.biases(keys[3], ("forget",), 1)
            bias = jnp.concatenate([bias, small_steps(keys[4], 1) - slower])
            rate = jnp.log(jax.random.uniform(keys[5], minval=1e-6, maxval=16.0))
        return DeltaParams(
            initializer.weights(keys[0], 2 * num_updates + 1, num_inputs, hidden_size),
            initializer.weights(keys[1], 1, num_inputs, num_gates),
            bias,
            rate,
            initializer.weights(jax.random.fold_in(key, 6), 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def initial_state(params: DeltaParams) -> jax.Array:
        return jnp.zeros_like(params.gate_bias, shape=(hidden_size, hidden_size))

    def project(params: DeltaParams, x: jax.Array) -> DeltaInputs:
        all_three = jax.nn.silu(product(x, params.input_weights))
        all_three = all_three.reshape(*all_three.shape[:-1], 2 * num_updates + 1, hidden_size)
        keys, values = all_three[..., :num_updates, :], all_three[..., num_updates:-1, :]
        sums = add_bias(product(x, params.gate_weights), params.gate_bias)
        beta = (2 if negative else 1) * sigmoid(sums[..., :num_updates])
        log_alpha = jnp.zeros_like(beta[..., 0])
        if decays:
            steps = jax.nn.softplus(sums[..., num_updates])
            # Written out: XLA's own exponential of a number rounds as the number of lanes says.
            log_alpha = -exp(params.decay_rate[None])[0] * steps
        return DeltaInputs(_normed(keys), values, beta, log_alpha, _normed(all_three[..., -1, :]))

    def advance(params: DeltaParams, S: jax.Array, at: DeltaInputs) -> tuple[jax.Array, jax.Array]:
        if decays:
            S = exp(at.log_decay[None])[0] * S
        for k, v, beta in zip(at.keys, at.values, at.betas, strict=True):
            S = S + jnp.outer(k, beta * (v - vector_product(k, S)))
        return S, vector_product(at.query, S)

    def look(params: DeltaParams, S: jax.Array, at: DeltaInputs) -> tuple[jax.Array, ...]:
        return at.betas, *((jnp.exp(at.log_decay)[None],) if decays else ())

    return recurrent(
        init,
        initial_state,
        project,
        advance,
        scan=_by_chunks if hidden_size >= chunks.FROM else None,
        gates=("input", "forget") if decays else ("input",),
        look=look,
    )


def _by_chunks(
    params: DeltaParams, S: jax.Array, of_all: DeltaInputs, at_once: int
) -> tuple[jax.Array, jax.Array]:
    """The last state, and h [T, H] of all steps.

    A chunk has C steps, each of n corrections. Correction i, counted from the first of the chunk,
    adds (g / g_i) k_i^T u_i to S, where g is the product of the chunk's alphas so far. All
    u [C n, H] of a chunk that begins with S are u = (I + L)^-1 (beta v - beta g k S), with
    L_ij = beta_i (g_i / g_j) k_i k_j^T for j < i.

    Source: Yang et al. 2024 (2406.06484), section 3; with the decay 2412.06464, section 3.3.
    """
    num_steps, n = of_all.betas.shape
    size = max(chunks.STEPS // n, 1)
    k, v, beta, log_alpha, q = (chunks.in_chunks(a, size) for a in of_all)
    # Each correction in its turn, [chunks, C n, ...].
    k, v, beta = (a.reshape(len(a), size * n, *a.shape[3:]) for a in (k, v, beta))
    log_g = jnp.cumsum(log_alpha, axis=1)
    step_of = np.repeat(np.arange(size), n)
    turn = np.arange(size * n)
    log_of = log_g[:, step_of]

    def between(later: jax.Array, is_later: np.ndarray) -> jax.Array:
        return chunks.shares(later[:, :, None] - log_of[:, None], is_later[None])

    own = between(log_of, turn[None] >= turn[:, None]) * (k @ k.mT)
    solved = chunks.inverse(chunks.times(own, beta))
    # Both in one product. With two, where there are as many lanes as chunks, XLA adds their
    # gradients in another kernel, and rounds in another way (jax 0.10.2).
    both = solved @ jnp.concatenate(
        [chunks.times(v, beta), chunks.times(k, beta * jnp.exp(log_of))], axis=-1
    )
    read = between(log_g, step_of[None] > np.arange(size)[:, None]) * (q @ k.mT)
    of_state = chunks.times(q, jnp.exp(log_g))
    end = log_g[:, -1]
    kept = chunks.times(k, jnp.exp(end[:, None] - log_of))

    def one(S: jax.Array, at: Any) -> tuple[jax.Array, jax.Array]:
        both, read, of_state, kept, decay = at
        written, by_state = jnp.split(both, 2, axis=-1)
        u = written - by_state @ S
        return decay * S + kept.T @ u, of_state @ S + read @ u

    over = (both, read, of_state, kept, jnp.exp(end))
    S, h = lax.scan(one, S, over, unroll=max(at_once // size, 1))
    return S, chunks.of_steps(h, num_steps)


@jax.custom_jvp
def _normed(a: jax.Array) -> jax.Array:
    """a / |a| of the last axis."""
    return _normed_with_factor(a)[0]


def _normed_with_factor(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    # With what the authors' code adds, so that a vector of zeros stays one. With barriers between
    # products and sums: XLA may or may not round in between, depending on the lanes (jax 0.12.0.1).
    factor = lax.rsqrt(jnp.sum(barrier(a * a), axis=-1, keepdims=True) + 1e-6)
    return a * factor, factor


@_normed.defjvp
def _normed_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    (a,), (tangent,) = primals, tangents
    normed, factor = _normed_with_factor(a)
    along = jnp.sum(barrier(normed * tangent), axis=-1, keepdims=True)
    return normed, factor * (tangent - barrier(normed * along))


CELLS = (delta_net, gated_delta_net, delta_product)
