"""Your own cell in ten lines: a leaky RNN, whose units each learn how fast they forget.

``jaxrnn sweep simple_rnn examples/leaky.py:leaky --lengths 5 10`` trains it.
"""

import jax
import jax.numpy as jnp

from jaxrnn import Cell


def leaky(num_inputs, hidden_size, num_outputs):
    """h(t) = h(t-1) + sigmoid(a) (tanh(x(t) W + h(t-1) U) - h(t-1)), y(t) = h(t) V."""

    def init(key, initializer):
        w, u, v = jax.random.split(key, 3)
        return {
            "W": initializer.weights(w, 1, num_inputs, hidden_size),
            "U": initializer.recurrent(u, 1, hidden_size, hidden_size),
            "V": initializer.weights(v, 1, hidden_size, num_outputs),
            "a": jnp.zeros(hidden_size),
        }

    def step(params, h, x):
        new = jnp.tanh(x @ params["W"] + h @ params["U"])
        h = h + jax.nn.sigmoid(params["a"]) * (new - h)
        return h, h @ params["V"]

    return Cell(init, lambda params: jnp.zeros(hidden_size), step)
