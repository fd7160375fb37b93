"""The nets whose state decays by itself, as fast as the input says: S6 and RWKV's time mixing."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.nets.base import Cell
from jaxrnn.nets.elementary import exp, sigmoid
from jaxrnn.nets.initializers import Initializer, small_steps, uniform_by
from jaxrnn.nets.products import add_bias, product
from jaxrnn.nets.recurrent import recurrent
from jaxrnn.options import Count, checked

# S6, the state space of Mamba


class SelectiveParams(NamedTuple):
    """Parameters of :func:`s6`, with N numbers of state a unit and steps of rank R."""

    input_weights: jax.Array  # U [I, H]
    selecting_weights: jax.Array  # P [H, R + 2 N]
    step_weights: jax.Array  # [R, H]
    step_bias: jax.Array  # b [H]
    log_decay: jax.Array  # ln(-A) [H, N]
    skip: jax.Array  # D [H]
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


class Selected(NamedTuple):
    """What a step of :func:`s6` makes of its input."""

    steps: jax.Array  # delta [H]
    inputs: jax.Array  # u [H]
    writing: jax.Array  # B [N]
    reading: jax.Array  # C [N]


@checked
def s6(
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    state_size: Count = 16,
    negative: bool = False,
) -> Cell:
    """S6, the selective state space of Mamba: each unit has N numbers that decay and are added to.

    u = x(t) U; the first R numbers of u P, times the step weights, plus b, give a [H], the next N
    are B, the last N are C; delta = softplus(a). For unit d and n = 1, ..., N:
    s(t)[d, n] = exp(delta[d] A[d, n]) s(t-1)[d, n] + delta[d] B[n] u[d],
    h(t)[d] = sum_n C[n] s(t)[d, n] + D[d] u[d], y(t) = h(t) V + output bias. The state is s [H, N],
    0 at first, N = ``state_size``. R is H / 16, rounded up. With ``negative`` the factor of s(t-1)
    is 2 exp(delta A) - 1, in (-1, 1). First A[d, n] = -n, D = 1, softplus(b) is log-uniform in
    [0.001, 0.1], the step weights are uniform in +-R^(-1/2), P in +-H^(-1/2); the initializer draws
    U and V. A small delta keeps what is there and lets in little, so it is the gate "update" here,
    exp(-delta); a first bias of it is taken from b.

    Source: Gu & Dao 2023, algorithm 2 and section 3.6, first weights as in their code;
    ``negative``: Grazzi et al. 2025 (2411.12537).

    Differs from them in that the cell is not in a block: no convolution before it, no second branch
    that gates h, no normalisation.
    """
    rank = math.ceil(hidden_size / 16)

    def init(key: jax.Array, initializer: Initializer) -> SelectiveParams:
        keys = jax.random.split(key, 6)

        numbers = jnp.arange(1.0, state_size + 1)
        return SelectiveParams(
            initializer.weights(keys[0], 1, num_inputs, hidden_size),
            uniform_by(keys[1], hidden_size, hidden_size, rank + 2 * state_size),
            uniform_by(keys[2], rank, rank, hidden_size),
            small_steps(keys[3], hidden_size)
            - initializer.biases(keys[4], ("update",), hidden_size),
            jnp.broadcast_to(jnp.log(numbers), (hidden_size, state_size)),
            jnp.ones(hidden_size),
            initializer.weights(keys[5], 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def project(params: SelectiveParams, x: jax.Array) -> Selected:
        u = product(x, params.input_weights)
        a, B, C = jnp.split(u @ params.selecting_weights, [rank, rank + state_size], axis=-1)
        return Selected(
            jax.nn.softplus(add_bias(a @ params.step_weights, params.step_bias)), u, B, C
        )

    def advance(prepared: Any, s: jax.Array, at: Selected) -> tuple[jax.Array, jax.Array]:
        A, D = prepared
        kept = exp(at.steps[:, None] * A)
        if negative:
            kept = 2 * kept - 1
        s = kept * s + jnp.outer(at.steps * at.inputs, at.writing)
        return s, s @ at.reading + D * at.inputs

    return recurrent(
        init,
        lambda params: jnp.zeros_like(params.log_decay),
        project,
        advance,
        gates=("update",),
        look=lambda prepared, s, at: (exp(-at.steps),),
        prepare=lambda params: (-exp(params.log_decay), params.skip),
    )


# RWKV's time mixing


class TimeMixingParams(NamedTuple):
    """Parameters of :func:`rwkv`: those of the receptance, the key and the value side by side."""

    embedding: jax.Array  # E [I, H]
    mixing: jax.Array  # mu [3, H]
    mixed_weights: jax.Array  # W [3, H, H]
    decay: jax.Array  # ln w [H]
    bonus: jax.Array  # u [H]
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


class TimeMixingState(NamedTuple):
    """State of :func:`rwkv`; the paper's a and b are e^m times the values here."""

    numerator: jax.Array  # a [H]
    denominator: jax.Array  # b [H]
    stabilizer: jax.Array  # m [H], -inf before the first step
    embedded: jax.Array  # e(t-1) [H]


def rwkv(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The time mixing of RWKV-4: a mean of all values so far, by weights that decay.

    e = x(t) E; r, k, v = (mu e(t) + (1 - mu) e(t-1)) W, with a mu and a W of their own each. With
    w = e^(ln w) and the bonus u of the present step,
    h(t) = sigmoid(r) (a(t-1) + e^(u + k) v) / (b(t-1) + e^(u + k)),
    a(t) = e^-w a(t-1) + e^k v, b(t) = e^-w b(t-1) + e^k, y(t) = h(t) V + output bias. States are
    :class:`TimeMixingState`, 0 at first, with a and b as multiples of e^m, so that none overflows.
    First ln w of unit i is -5 + 8 (i / (H-1))^0.7 and u = ln 0.3 + ((i+1) mod 3 - 1) / 2. mu is
    i / H for the key and the value, its square root for the receptance. The initializer draws E, W
    and V. sigmoid(r) is the gate "output" here.

    Source: Peng et al. 2023 (2305.13048), equations 11 to 16, 19 and appendix D; first weights: the
    first layer of their code.

    Differs from it in that E is part of it, and in that W and V do not start at 0.
    Differs from it in that there is no channel mixing, no normalisation, no residual connection.
    """

    def init(key: jax.Array, initializer: Initializer) -> TimeMixingParams:
        keys = jax.random.split(key, 3)
        unit = jnp.arange(float(hidden_size))
        share = unit / hidden_size
        weights = initializer.weights(keys[1], 3, hidden_size, hidden_size)
        return TimeMixingParams(
            initializer.weights(keys[0], 1, num_inputs, hidden_size),
            jnp.stack([jnp.sqrt(share), share, share]),
            weights.reshape(hidden_size, 3, hidden_size).swapaxes(0, 1),
            -5 + 8 * (unit / max(hidden_size - 1, 1)) ** 0.7,
            math.log(0.3) + ((unit + 1) % 3 - 1) / 2,
            initializer.weights(keys[2], 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def initial_state(params: TimeMixingParams) -> TimeMixingState:
        zeros = jnp.zeros_like(params.decay)
        return TimeMixingState(zeros, zeros, jnp.full_like(zeros, -jnp.inf), zeros)

    def embedded(params: TimeMixingParams, x: jax.Array) -> jax.Array:
        return product(x, params.embedding)

    def mixed(params: TimeMixingParams, before: jax.Array, e: jax.Array) -> tuple[jax.Array, ...]:
        """r, k and v of one time step or of all of them."""

        def one(mu: jax.Array, W: jax.Array) -> jax.Array:
            mu = jnp.broadcast_to(mu, e.shape)
            return (mu * e + (1 - mu) * before) @ W

        return tuple(map(one, params.mixing, params.mixed_weights))

    def averaged(
        w: jax.Array, bonus: jax.Array, sums: Any, rkv: tuple[jax.Array, ...]
    ) -> tuple[Any, jax.Array]:
        (a, b, m), (r, k, v) = sums, rkv
        now = bonus + k
        most = jnp.maximum(m, now)
        before, share = exp(m - most), exp(now - most)
        h = sigmoid(r) * (before * a + share * v) / (before * b + share)
        most = jnp.maximum(m - w, k)
        before, share = exp(m - w - most), exp(k - most)
        return (before * a + share * v, before * b + share, most), h

    def advance(params: TimeMixingParams, state: TimeMixingState, e: jax.Array) -> Any:
        rkv = mixed(params, state.embedded, e)
        (a, b, m), h = averaged(exp(params.decay), params.bonus, state[:3], rkv)
        return TimeMixingState(a, b, m, e), h

    def scan(params: TimeMixingParams, state: TimeMixingState, e: jax.Array, at_once: int) -> Any:
        rkv = mixed(params, jnp.concatenate([state.embedded[None], e[:-1]]), e)
        one = partial(averaged, exp(params.decay), params.bonus)
        (a, b, m), hs = lax.scan(one, state[:3], rkv, unroll=at_once)
        return TimeMixingState(a, b, m, e[-1]), hs

    return recurrent(
        init,
        initial_state,
        embedded,
        advance,
        scan=scan,
        gates=("output",),
        look=lambda params, state, e: (sigmoid(mixed(params, state.embedded, e)[0]),),
    )


CELLS = (s6, rwkv)
