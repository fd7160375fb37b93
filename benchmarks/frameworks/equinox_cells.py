"""Equinox: its LSTM cell (and a tanh cell in its manner) trained as its documentation trains."""

# mypy: disable-error-code="import-not-found, import-untyped"

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from frameworks import Problem, Run, symbols


class TanhCell(eqx.Module):
    """h = tanh(W x + U h + b), written as ``eqx.nn.GRUCell`` is; Equinox has no such cell."""

    weight_ih: jax.Array  # [H, T]
    weight_hh: jax.Array  # [H, H]
    bias: jax.Array  # [H]

    def __call__(self, x: jax.Array, h: jax.Array) -> jax.Array:
        """One time step."""
        return jnp.tanh(self.weight_ih @ x + self.weight_hh @ h + self.bias)


class Net(eqx.Module):
    """A cell and a linear readout."""

    cell: Any
    readout: eqx.nn.Linear

    def __call__(self, xs: jax.Array) -> jax.Array:
        """Logits [T-1, T] of one-hot inputs [T-1, T]."""
        zeros = jnp.zeros(self.readout.in_features)
        is_lstm = isinstance(self.cell, eqx.nn.LSTMCell)

        def step(state: Any, x: jax.Array) -> tuple[Any, jax.Array]:
            state = self.cell(x, state)
            return state, state[0] if is_lstm else state

        _, hs = jax.lax.scan(step, (zeros, zeros) if is_lstm else zeros, xs)
        return jax.vmap(self.readout)(hs)


def net_of(problem: Problem) -> Net:
    """The nets of all trials as one Net with a trial axis on every array."""
    w = problem.weights
    _, hidden_size, _ = w["recurrent_weights"].shape

    def transposed(name: str) -> jax.Array:
        """[N, rows, G H] as Equinox stores it, with its gate order where there are gates."""
        value = np.swapaxes(w[name], 1, 2) if w[name].ndim == 3 else w[name]
        if value.shape[1] == 4 * hidden_size:  # its order: input, forget, candidate, output
            i, f, o, g = np.split(value, 4, axis=1)
            value = np.concatenate([i, f, g, o], axis=1)
        return jnp.asarray(value)

    arrays = [transposed(name) for name in ("input_weights", "recurrent_weights", "bias")]
    if problem.cell == "lstm":
        key = jax.random.key(0)
        cell: Any = eqx.nn.LSTMCell(problem.length, hidden_size, key=key)
        cell = eqx.tree_at(lambda c: [c.weight_ih, c.weight_hh, c.bias], cell, arrays)
    else:
        cell = TanhCell(*arrays)
    readout = eqx.nn.Linear(hidden_size, problem.length, key=jax.random.key(0))
    output = [jnp.asarray(np.swapaxes(w["output_weights"], 1, 2)), jnp.asarray(w["output_bias"])]
    return Net(cell, eqx.tree_at(lambda r: [r.weight, r.bias], readout, output))


def loss_and_error(net: Net, sequence: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean cross-entropy and greatest absolute error of one one-hot sequence [T, T]."""
    logits = net(sequence[:-1])
    loss = optax.softmax_cross_entropy(logits, sequence[1:]).mean()
    return loss, jnp.abs(jax.nn.softmax(logits) - sequence[1:]).max()


def step(net: Net, sequences: jax.Array, optimizer: Any) -> tuple[Net, jax.Array]:
    """One update of every trial; errors [N]."""

    def one(net: Net, sequence: jax.Array) -> tuple[Net, jax.Array]:
        grads, error = eqx.filter_grad(loss_and_error, has_aux=True)(net, sequence)
        state = optimizer.init(eqx.filter(net, eqx.is_inexact_array))
        updates, _ = optimizer.update(grads, state)
        return eqx.apply_updates(net, updates), error

    return eqx.filter_vmap(one)(net, sequences)


def sgd(learning_rate: jax.Array, clip: jax.Array) -> Any:
    """The notebook's optimiser."""
    return optax.chain(optax.clip(clip), optax.sgd(learning_rate))


def build(problem: Problem) -> Run:
    """A loop in Python over a jitted step, as in the documentation's examples."""
    net = net_of(problem)

    @eqx.filter_jit
    def make_step(
        net: Net, sequences: jax.Array, learning_rate: jax.Array, clip: jax.Array
    ) -> tuple[Net, jax.Array]:
        return step(net, sequences, sgd(learning_rate, clip))

    def run(coins: np.ndarray, learning_rate: float, clip: float) -> np.ndarray:
        nonlocal net
        settings = jnp.float32(learning_rate), jnp.float32(clip)
        sequences = np.eye(problem.length, dtype=np.float32)[symbols(coins, problem.length)]
        errors = []
        for batch in sequences:
            net, error = make_step(net, batch, *settings)
            errors.append(error)
        return np.stack(jax.device_get(errors))

    return run


def build_scanned(problem: Problem) -> Run:
    """The same step with the loop over updates in the compiled program, as jaxrnn has it."""
    net = net_of(problem)

    @eqx.filter_jit
    def make_steps(
        net: Net, batches: jax.Array, learning_rate: jax.Array, clip: jax.Array
    ) -> tuple[Net, jax.Array]:
        arrays, static = eqx.partition(net, eqx.is_array)

        def body(arrays: Net, symbols: jax.Array) -> tuple[Net, jax.Array]:
            sequences = jax.nn.one_hot(symbols, problem.length)
            net, error = step(eqx.combine(arrays, static), sequences, sgd(learning_rate, clip))
            return eqx.filter(net, eqx.is_array), error

        arrays, errors = jax.lax.scan(body, arrays, batches)
        return eqx.combine(arrays, static), errors

    def run(coins: np.ndarray, learning_rate: float, clip: float) -> np.ndarray:
        nonlocal net
        settings = jnp.float32(learning_rate), jnp.float32(clip)
        net, errors = make_steps(net, jnp.asarray(symbols(coins, problem.length)), *settings)
        return np.array(errors)

    return run
