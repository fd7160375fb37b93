"""The notebook's first experiment by hand: what jaxrnn does, in one file without jaxrnn.

Read it from top to bottom: a net, a task, one update, many trials, and the loop on the host. The
engine in ``jaxrnn/training`` does the same for every cell, task and rule. It also refills the lanes
of trials that have ended, keeps checkpoints, and runs chunks ahead of the host. A trial depends on
its seed and its number alone, so both end alike: 99 of the 100 trials here at the same sequence.
The other one, a simple RNN at T=8, ends 9 sequences apart, since the two programs round otherwise.

    python examples/by_hand.py
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

HIDDEN, TRIALS, CHUNK = 20, 10, 250
THRESHOLD, WINDOW, MAX_SEQUENCES = 0.25, 1000, 100_000
OPTIMIZER = optax.chain(optax.clip(5.0), optax.sgd(1.0))
FIRST_WEIGHTS = 2**32 - 1  # no training sequence has this number


class Params(NamedTuple):
    """The weights of one net of G gates; I inputs, H hidden units, O outputs."""

    inputs: jax.Array  # U [I, G H]
    recurrent: jax.Array  # W [H, G H]
    bias: jax.Array  # b [G H]
    outputs: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


def init(key: jax.Array, num_gates: int, num_symbols: int) -> Params:
    """Draw first weights as the notebook does: Xavier's limit over the root of the gates."""
    inputs, recurrent, outputs, _ = jax.random.split(key, 4)

    def draw(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
        limit = (6.0 / (fan_in + fan_out)) ** 0.5
        shape = fan_in, num_gates * fan_out
        return jax.random.uniform(key, shape, minval=-limit, maxval=limit) / num_gates**0.5

    return Params(
        draw(inputs, num_gates, num_symbols, HIDDEN),
        draw(recurrent, num_gates, HIDDEN, HIDDEN),
        jnp.zeros(num_gates * HIDDEN),
        draw(outputs, 1, HIDDEN, num_symbols),
        jnp.zeros(num_symbols),
    )


def simple_rnn(state: tuple, a: jax.Array) -> tuple:
    """h(t) = tanh(a(t)), with a(t) = x(t) U + h(t-1) W + b."""
    h, _ = state
    return jnp.tanh(a), h


def lstm(state: tuple, a: jax.Array) -> tuple:
    """c(t) = f c(t-1) + i g, h(t) = o tanh(c(t)); i, f, o are sigmoids of a(t), and g is a tanh."""
    _, c = state
    i, f, o, g = jnp.split(a, 4)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


GATES = {simple_rnn: 1, lstm: 4}


def draw_sequence(key: jax.Array, length: int) -> jax.Array:
    """T symbols: e 0 1 ... T-3 e, where e is T-2 or T-1. The first decides the last."""
    end = (length - 2 + jax.random.bernoulli(key).astype(jnp.int32))[None]
    return jnp.concatenate([end, jnp.arange(length - 2, dtype=jnp.int32), end])


def loss_and_error(cell, params: Params, symbols: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Predict each next symbol: mean cross-entropy, and the greatest error of any output."""

    def step(state: tuple, symbol: jax.Array) -> tuple[tuple, jax.Array]:
        state = cell(state, params.inputs[symbol] + params.bias + state[0] @ params.recurrent)
        return state, state[0]

    zeros = jnp.zeros(HIDDEN)
    _, hidden = jax.lax.scan(step, (zeros, zeros), symbols[:-1])
    log_probabilities = jax.nn.log_softmax(hidden @ params.outputs + params.output_bias)
    targets = jax.nn.one_hot(symbols[1:], params.outputs.shape[1])
    loss = -jnp.mean(jnp.sum(targets * log_probabilities, axis=1))
    return loss, jnp.max(jnp.abs(jnp.exp(log_probabilities) - targets))


@partial(jax.jit, static_argnums=(0, 1))
@partial(jax.vmap, in_axes=(None, None, 0, 0, None))
def train_chunk(cell, length: int, trial_key: jax.Array, params: Params, first: int) -> tuple:
    """Train one trial on CHUNK sequences from ``first`` on; give errors from before each update."""

    def update(params: Params, number: jax.Array) -> tuple:
        symbols = draw_sequence(jax.random.fold_in(trial_key, number), length)
        measure = partial(loss_and_error, cell)
        gradient, error = jax.grad(measure, has_aux=True)(params, symbols)
        updates, _ = OPTIMIZER.update(gradient, OPTIMIZER.init(params))  # it has no memory
        return optax.apply_updates(params, updates), error

    return jax.lax.scan(update, params, first + jnp.arange(CHUNK, dtype=jnp.int32))


def run(cell, length: int, seed: int = 0) -> list[int | None]:
    """The sequence at which each trial is solved: WINDOW after its last error above THRESHOLD."""
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(TRIALS))
    weight_keys = jax.vmap(lambda key: jax.random.fold_in(key, np.uint32(FIRST_WEIGHTS)))(keys)
    params = jax.vmap(lambda key: init(key, GATES[cell], length))(weight_keys)
    last_above, solved_at = np.zeros(TRIALS, int), np.full(TRIALS, -1)
    for first in range(0, MAX_SEQUENCES, CHUNK):
        params, errors = train_chunk(cell, length, keys, params, first)
        for number, error in enumerate(np.asarray(errors).T, first):
            last_above[~(error <= THRESHOLD)] = number  # not a number counts as above
            solved_at[(solved_at < 0) & (number - last_above >= WINDOW)] = number
        if np.all(solved_at >= 0):
            break
    return [int(at) if at >= 0 else None for at in solved_at]


if __name__ == "__main__":
    for cell in GATES:
        for length in (4, 5, 6, 7, 8):
            print(f"{cell.__name__:<10} T={length}: {run(cell, length)}", flush=True)
