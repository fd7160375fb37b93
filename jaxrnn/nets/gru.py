"""The GRU and the cells with fewer gates: JANET, the update-gate net, the minimal gated unit.

Letters as in :mod:`jaxrnn.nets.lstm`; the state of each is h [H], which starts at 0.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.nets.base import Cell
from jaxrnn.nets.elementary import sigmoid, tanh
from jaxrnn.nets.gated import GatedParams, first_weights, gated
from jaxrnn.nets.lstm import sigmoids_and_tanh, slope_of_sigmoids_and_tanh
from jaxrnn.nets.products import split, vector_product
from jaxrnn.nets.recurrent import recurrent, sums
from jaxrnn.options import AnyNumber, checked


def _gru_gates(
    own: Any, h: jax.Array, x_product: jax.Array, h_product: jax.Array, b: jax.Array
) -> list[jax.Array]:
    return _gru_activate(x_product + b, h_product)


def _gru_activate(x_sum: jax.Array, h_product: jax.Array) -> list[jax.Array]:
    x_r, x_z, x_n = split(x_sum, 3)
    h_r, h_z, h_n = split(h_product, 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return [r, z, tanh(x_n + r * h_n)]


def _gru_update(own: Any, h: jax.Array, r: jax.Array, z: jax.Array, n: jax.Array) -> jax.Array:
    return z * h + (1 - z) * n


def _gru_pull_back(
    gates: jax.Array, h_product: jax.Array, d_gates: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The gradients by x U + b and by h W, both [3 H]."""
    r, z, n = jnp.split(gates, 3)
    _, d_z, d_n = jnp.split(d_gates, 3)  # r acts on n alone
    d_n = d_n * (1 - n * n)
    d_r = d_n * jnp.split(h_product, 3)[2] * (r * (1 - r))
    d_z = d_z * (z * (1 - z))
    return jnp.concatenate([d_r, d_z, d_n]), jnp.concatenate([d_r, d_z, d_n * r])


@jax.custom_jvp
def _gru_advance(own: Any, h: jax.Array, x_sum: jax.Array, h_product: jax.Array) -> jax.Array:
    """One step of the GRU from x U + b and h W, both [3 H]."""
    return _gru_update(own, h, *_gru_activate(x_sum, h_product))


@_gru_advance.defjvp
def _gru_advance_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    # As in lstm.py: JAX keeps z, r and three products of H numbers.
    (own, h, x_sum, h_product), (_, d_h, d_x_sum, d_h_product) = primals, tangents
    r, z, n = _gru_activate(x_sum, h_product)
    by_n, by_z = (1 - z) * (1 - n * n), (h - n) * (z * (1 - z))
    by_r = jnp.split(h_product, 3)[2] * (r * (1 - r))
    x_r, x_z, x_n = jnp.split(d_x_sum, 3)
    h_r, h_z, h_n = jnp.split(d_h_product, 3)
    d_gates = by_z * (x_z + h_z) + by_n * (x_n + r * h_n + by_r * (x_r + h_r))
    return _gru_update(own, h, r, z, n), z * d_h + d_gates


def gru(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell[GatedParams, jax.Array]:
    """The gated recurrent unit, its reset gate acting on the recurrent product.

    r, z = sigmoid(x(t) U + h(t-1) W + b) of their slices, n = tanh(x(t) U_n + b_n + r (h(t-1)
    W_n)), h(t) = z h(t-1) + (1 - z) n; the state is h [H].

    Source: Cho et al. 2014, equations 5 to 8.

    Differs from it in that r multiplies h W_n and not h, so that one product serves all gates.
    """
    return gated(
        (num_inputs, hidden_size, num_outputs),
        gates=("reset", "update", "candidate"),
        activate=_gru_gates,
        update=_gru_update,
        initial_state=jnp.zeros,
        hidden=lambda h: h,
        adds_up=False,  # the reset gate acts on the recurrent product alone
        pull_back=_gru_pull_back,
        advance=_gru_advance,
    )


_with_one_gate = partial(
    gated,
    activate=lambda own, h, a: sigmoids_and_tanh(a, 2),
    initial_state=jnp.zeros,
    hidden=lambda h: h,
    slope=partial(slope_of_sigmoids_and_tanh, num_gates=2),
)


@checked
def janet(num_inputs: int, hidden_size: int, num_outputs: int, *, beta: AnyNumber = 1.0) -> Cell:
    """JANET, the LSTM with a forget gate alone, which lets in a little more than it forgets.

    s = a_f(t), f = sigmoid(s), g = tanh(a_g(t)), h(t) = f h(t-1) + (1 - sigmoid(s - beta)) g; the
    memory cell c is h itself. With ``beta`` 0 it lets in what it forgets.

    Source: van der Westhuizen & Lasenby 2018, as their program has it. Its forget biases, log(u)
    with u uniform from 1 to about T, are the initializer ``chrono``, which knows T as a builder
    does not.
    """
    odds = np.exp(-beta).item()

    def update(own: tuple[()], h: jax.Array, f: jax.Array, g: jax.Array) -> jax.Array:
        # 1 - sigmoid(s - beta) by f instead of s
        let_in = (1 - f) / ((1 - f) + odds * f)
        return f * h + let_in * g

    return _with_one_gate(
        (num_inputs, hidden_size, num_outputs), gates=("forget", "candidate"), update=update
    )


def ugrnn(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The update-gate recurrent net: one gate between keeping and computing anew.

    g = sigmoid(a_g(t)), c = tanh(a_c(t)), h(t) = g h(t-1) + (1 - g) c.

    Source: Collins, Sohl-Dickstein & Sussillo 2017, section 1.4, equations 2 to 4.

    Differs from it in that the initializer gives the constant that is added to the gate's bias,
    that the first state is 0 and not learned, and that c is never rectified (they tuned this
    choice).
    """
    return _with_one_gate(
        (num_inputs, hidden_size, num_outputs),
        gates=("update", "candidate"),
        update=lambda own, h, g, c: g * h + (1 - g) * c,
    )


def mgu(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The minimal gated unit: the gate that lets something in is the one that forgets.

    f = sigmoid(x(t) U_f + h(t-1) W_f + b_f), k = tanh(x(t) U_k + (f h(t-1)) W_k + b_k),
    h(t) = (1 - f) h(t-1) + f k. Here f is called the input gate, since it lets the candidate in. A
    bias that makes f large makes the unit forget, so ``chrono`` gives it -log(u).

    ``gated`` cannot build it. There one product with h(t-1) serves all gates, but here the
    candidate needs a product with f h(t-1), which is known only after the gate. The fast path does
    x U and h V for all time steps in one product each.

    Source: Zhou, Wu, Zhang & Zhou 2016, whose forget gate f is.
    """
    gates = ("input", "candidate")

    def look(weights: Any, h: jax.Array, summed: jax.Array) -> tuple[jax.Array, jax.Array]:
        a_f, a_k = split(summed, 2)
        w_f, w_k = weights
        f = sigmoid(a_f + vector_product(h, w_f))
        return f, tanh(a_k + vector_product(f * h, w_k))

    def advance(weights: Any, h: jax.Array, summed: jax.Array) -> tuple[jax.Array, jax.Array]:
        f, k = look(weights, h, summed)
        h = (1 - f) * h + f * k
        return h, h

    return recurrent(
        first_weights((num_inputs, hidden_size, num_outputs), gates),
        lambda params: jnp.zeros_like(params.bias, shape=hidden_size),
        sums,
        advance,
        gates=gates,
        look=look,
        prepare=lambda params: split(params.recurrent_weights, 2),
    )


CELLS = (gru, janet, ugrnn, mgu)
