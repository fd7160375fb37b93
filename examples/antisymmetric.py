"""Your own cell: the antisymmetric RNN with a gate, which the package does not have.

``jaxrnn sweep lstm examples/antisymmetric.py:antisymmetric --lengths 5 10`` trains it
beside one of the package's. ``Experiment(cell="examples/antisymmetric.py:antisymmetric")`` names it
from Python.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn import Cell

GATES = ("input", "candidate")  # --input-bias sets the first bias of the first, as a search does


class Params(NamedTuple):
    """What is trained; the gate's and the candidate's columns lie side by side in V and b."""

    V: jax.Array  # [I, 2H]
    W: jax.Array  # [H, H]
    b: jax.Array  # [2H]
    U: jax.Array  # [H, O]
    c: jax.Array  # [O]


def antisymmetric(
    num_inputs: int, hidden_size: int, num_outputs: int, *, eps: float = 0.3, gamma: float = 0.01
) -> Cell:
    """Antisymmetric RNN with a gate z, which lets in what is new.

    M = W - W' - gamma 1, a(t) = h(t-1) M, z(t) = sigmoid(x(t) V_z + a(t) + b_z),
    h(t) = h(t-1) + eps z(t) * tanh(x(t) V_h + a(t) + b_h), y(t) = h(t) U + c.

    Source: Chang, Chen, Haber & Chi 2019, AntisymmetricRNN, equation 19.
    """

    def init(key, initializer):
        of_inputs, of_hidden, of_outputs, of_biases = jax.random.split(key, 4)
        return Params(
            V=initializer.weights(of_inputs, 2, num_inputs, hidden_size),
            W=initializer.recurrent(of_hidden, 1, hidden_size, hidden_size),
            b=initializer.biases(of_biases, GATES, hidden_size),
            U=initializer.weights(of_outputs, 1, hidden_size, num_outputs),
            c=jnp.zeros(num_outputs),
        )

    def step(params, h, x):
        a = h @ (params.W - params.W.T) - gamma * h
        gate, candidate = jnp.split(x @ params.V + params.b, 2)
        h = h + eps * jax.nn.sigmoid(gate + a) * jnp.tanh(candidate + a)
        return h, h @ params.U + params.c

    return Cell(init, lambda params: jnp.zeros(hidden_size), step, gates=GATES)
