"""Initial weights: builders of initializers, which draw a net's matrices and its gates' biases.

Each builder takes the task's number of time steps; most do not use it.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn.errors import InputError, shown

Matrix = Callable[[jax.Array, int, int, int], jax.Array]

Biases = Callable[[jax.Array, tuple[str, ...], int], jax.Array]


def zero_biases(key: jax.Array, gates: tuple[str, ...], hidden_size: int) -> jax.Array:
    """No bias anywhere."""
    return jnp.zeros(len(gates) * hidden_size)


class Initializer(NamedTuple):
    """How the first weights of a net are drawn: three functions of a key.

    ``weights`` and ``recurrent`` are called with (key, num_gates, fan_in, fan_out) and give
    [fan_in, num_gates * fan_out], the gates' matrices side by side: G, I, H for the inputs, G, H, H
    for the hidden units, 1, H, O for the outputs. ``biases`` is called with (key, gates,
    hidden_size) and gives [len(gates) * hidden_size], gate by gate.
    """

    weights: Matrix  # from the inputs and to the outputs
    recurrent: Matrix  # from the hidden units to the gates
    biases: Biases = zero_biases


def require_initializer(value: Any) -> None:
    """Raise InputError for a value that is not an initializer, such as a builder."""
    if not isinstance(value, Initializer):
        raise InputError(f"init takes an initializer, as xavier() gives, not {shown(value)}")


def uniform_by(key: jax.Array, fan_in: int, *shape: int) -> jax.Array:
    """Weights [shape], uniform in +-1 / sqrt(fan_in)."""
    limit = fan_in**-0.5
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


def _xavier(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
    limit = (6.0 / (fan_in + fan_out)) ** 0.5
    shape = (fan_in, num_gates * fan_out)
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


def _notebook_xavier(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
    return _xavier(key, num_gates, fan_in, fan_out) / num_gates**0.5


def _uniform(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
    return jax.random.uniform(key, (fan_in, num_gates * fan_out), minval=-1.0, maxval=1.0)


def _orthogonal(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
    # One matrix after another, also under vmap. XLA splits a batch of QR decompositions over its
    # threads, and on several CPU devices at once these wait for each other forever (jax 0.10.2).
    @jax.custom_batching.sequential_vmap
    def one(key: jax.Array) -> jax.Array:
        return jax.random.orthogonal(key, fan_out, m=fan_in)

    return jnp.concatenate(list(jax.vmap(one)(jax.random.split(key, num_gates))), axis=1)


def xavier(num_steps: int = 1) -> Initializer:
    """Xavier uniform for each gate by itself: limit sqrt(6 / (fan_in + fan_out)).

    Source: Glorot & Bengio 2010, equation 16.
    """
    return Initializer(_xavier, _xavier)


def notebook_xavier(num_steps: int = 1) -> Initializer:
    """Xavier uniform as TensorFlow 1 computes it for a stacked ``[num_gates, fan_in, fan_out]``.

    The leading axis multiplies both fans, so the limit is sqrt(6 / (num_gates (fan_in + fan_out))):
    for the four gates of the LSTM half of what :func:`xavier` gives; for one gate the same.

    Source: the notebook's ``xavier_initializer`` on its tensors ``W`` and ``U``.
    """
    return Initializer(_notebook_xavier, _notebook_xavier)


def uniform(num_steps: int = 1) -> Initializer:
    """Uniform in [-1, 1] whatever the fans: the setting ``initial_scale`` makes it any range.

    Source: Hochreiter & Schmidhuber 1997, whose ranges are 0.1 and 0.2.
    """
    return Initializer(_uniform, _uniform)


def orthogonal(num_steps: int = 1) -> Initializer:
    """Each gate's recurrent matrix a random orthogonal one, the other matrices as xavier's.

    Source: Saxe, McClelland & Ganguli 2014.
    """
    return Initializer(_xavier, _orthogonal)


def chrono(num_steps: int) -> Initializer:
    """Xavier weights, and forget biases for memories of up to ``num_steps`` steps.

    Forget gate b = log(u), u uniform in [1, num_steps - 1]; input gate -b; other gates 0. The GRU's
    update gate, which keeps what is there, counts as a forget gate.

    Source: Tallec & Ollivier 2018, equation 16, T_max the number of steps.
    """

    def biases(key: jax.Array, gates: tuple[str, ...], hidden_size: int) -> jax.Array:
        longest = max(num_steps - 1.0, 1.0)
        forget = jnp.log(jax.random.uniform(key, (hidden_size,), minval=1.0, maxval=longest))
        of_gate = {"forget": forget, "update": forget, "input": -forget}
        zeros = jnp.zeros(hidden_size)
        return jnp.concatenate([of_gate.get(gate, zeros) for gate in gates])

    return xavier()._replace(biases=biases)


def long_memory(num_steps: int) -> Initializer:
    """Uniform weights, and gates that keep what is there for ``num_steps`` steps.

    It is for cells with a forget or an update gate. A cell with only an input gate keeps less.
    Forget gate (or the GRU's update gate) log(10 num_steps): a memory cell loses about one part in
    10 num_steps a step, so exp(-1/10) = 90 % is left at the end of a sequence of any length. Input
    gate -2 (0.12 open), so that the symbols in between add little; output gate 2 (0.88 open), so
    that what a cell holds can be read, and its gradient flows, from the beginning.

    Source: found by grid for this package; the principle is Gers et al. 2000's and chrono's.
    """
    of_gate = {"forget": math.log(10 * num_steps), "input": -2.0, "output": 2.0}
    of_gate["update"] = of_gate["forget"]

    def biases(key: jax.Array, gates: tuple[str, ...], hidden_size: int) -> jax.Array:
        return jnp.repeat(jnp.array([of_gate.get(gate, 0.0) for gate in gates]), hidden_size)

    return uniform()._replace(biases=biases)


def small_steps(key: jax.Array, size: int) -> jax.Array:
    """Biases b [size] for which softplus(b) is log-uniform in [0.001, 0.1].

    Source: the first steps of Gu & Dao 2023, section 3.6, and those of gated delta nets.
    """
    low, high = math.log(0.001), math.log(0.1)
    steps = jnp.exp(jax.random.uniform(key, (size,), minval=low, maxval=high))
    return steps + jnp.log(-jnp.expm1(-steps))


INITIALIZERS: dict[str, Callable[[int], Initializer]] = {
    build.__name__: build
    for build in (notebook_xavier, xavier, uniform, orthogonal, chrono, long_memory)
}
