"""Your own cell: the minimal gated unit (Zhou et al. 2016), beside the notebook's two nets.

A builder gives its ``init``, ``initial_state`` and ``step``. Run it: python examples/custom_cell.py
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn import CELLS, Cell, Experiment, run_trials


class Params(NamedTuple):
    """W [I, 2H], U [H, H] for the gate and for the candidate, b [2H], V [H, O], c [O]."""

    W: jax.Array
    U_gate: jax.Array
    U_candidate: jax.Array
    b: jax.Array
    V: jax.Array
    c: jax.Array


def mgu(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """f = sigmoid(x W_f + h U_f + b_f), h' = (1 - f) h + f tanh(x W_h + (f h) U_h + b_h)."""

    def init(key, initializer):
        k1, k2, k3, k4 = jax.random.split(key, 4)
        return Params(
            W=initializer.weights(k1, 2, num_inputs, hidden_size),
            U_gate=initializer.recurrent(k2, 1, hidden_size, hidden_size),
            U_candidate=initializer.recurrent(k3, 1, hidden_size, hidden_size),
            b=jnp.zeros(2 * hidden_size),
            V=initializer.weights(k4, 1, hidden_size, num_outputs),
            c=jnp.zeros(num_outputs),
        )

    def step(params, h, x):
        gate, candidate = jnp.split(x @ params.W + params.b, 2)
        f = jax.nn.sigmoid(gate + h @ params.U_gate)
        h = (1 - f) * h + f * jnp.tanh(candidate + (f * h) @ params.U_candidate)
        return h, h @ params.V + params.c

    return Cell(init, lambda params: jnp.zeros(hidden_size), step)


CELLS["mgu"] = mgu


def main(length: int = 6, trials: int = 10, cells: tuple[str, ...] = ("simple_rnn", "lstm", "mgu")):
    """Train each cell at one length and print the steps to solution."""
    for cell in cells:
        outcomes = run_trials(Experiment(name="mine", cell=cell, length=length, trials=trials))
        print(f"{cell:>10}: {[outcome.solved_at for outcome in outcomes]}")


if __name__ == "__main__":
    main()
