"""Your own cell: the minimal gated unit, an LSTM reduced to one gate.

``jaxrnn sweep --cells lstm examples/mgu.py:mgu --lengths 5 10`` trains it beside one of the
package's, and ``Experiment(cell="examples/mgu.py:mgu")`` names it from Python.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn import Cell

GATES = ("input", "candidate")  # whose first biases --input-bias and the scorecard can set


class Params(NamedTuple):
    """What is trained; the gate's and the candidate's columns lie side by side in W and b."""

    W: jax.Array  # [I, 2H]
    U_f: jax.Array  # [H, H]
    U_h: jax.Array  # [H, H]
    b: jax.Array  # [2H]
    V: jax.Array  # [H, O]
    c: jax.Array  # [O]


def mgu(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """Minimal gated unit: the gate that lets something in is the one that forgets.

    f(t) = sigmoid(x(t) W_f + h(t-1) U_f + b_f), k(t) = tanh(x(t) W_h + (f(t) * h(t-1)) U_h + b_h),
    h(t) = (1 - f(t)) * h(t-1) + f(t) * k(t), y(t) = h(t) V + c.

    Source: Zhou, Wu, Zhang & Zhou 2016, Minimal Gated Unit for Recurrent Neural Networks.
    """

    def init(key, initializer):
        of_inputs, of_gate, of_candidate, of_outputs, of_biases = jax.random.split(key, 5)
        return Params(
            W=initializer.weights(of_inputs, 2, num_inputs, hidden_size),
            U_f=initializer.recurrent(of_gate, 1, hidden_size, hidden_size),
            U_h=initializer.recurrent(of_candidate, 1, hidden_size, hidden_size),
            b=initializer.biases(of_biases, GATES, hidden_size),
            V=initializer.weights(of_outputs, 1, hidden_size, num_outputs),
            c=jnp.zeros(num_outputs),
        )

    def initial_state(params):
        return jnp.zeros(hidden_size)

    def step(params, h, x):
        gate, candidate = jnp.split(x @ params.W + params.b, 2)
        f = jax.nn.sigmoid(gate + h @ params.U_f)
        h = (1 - f) * h + f * jnp.tanh(candidate + (f * h) @ params.U_h)
        return h, h @ params.V + params.c

    return Cell(init, initial_state, step, gates=GATES)
