"""The notebook in float64 NumPy: its own layout, loops over time, gradients by hand, no JAX.

A net is a list of layers, a layer a dict of the notebook's variables, a sequence one-hot [T, T].
Letters: T time steps, I inputs, H hidden units, O outputs.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

Layer = dict[str, np.ndarray]
Net = list[Layer]


def gen_sequence(time_steps: int, is_a: bool) -> np.ndarray:
    """Sequence A or B, one-hot [time_steps + 1, time_steps + 1]; the notebook passes T - 1."""
    size = time_steps + 1
    ends = time_steps - 1 if is_a else time_steps
    sequence = np.zeros((size, size))
    sequence[[0, -1], ends] = 1.0
    for symbol in range(time_steps - 1):
        sequence[symbol + 1, symbol] = 1.0
    return sequence


def simple_rnn(p: Layer, sequence: np.ndarray) -> tuple[np.ndarray, list]:
    """Logits [T, O], and for each step what the backward pass needs."""
    h = np.zeros(len(p["b1"]))
    logits, tape = [], []
    for x in sequence:
        previous, h = h, np.tanh(x @ p["W"] + h @ p["U"] + p["b1"])
        logits.append(h @ p["V"] + p["b2"])
        tape.append((x, previous, h))
    return np.array(logits), tape


def simple_rnn_backward(p: Layer, tape: list, d_logits: np.ndarray) -> tuple[Layer, np.ndarray]:
    """Gradients of the parameters and of the inputs [T, I], given those of the logits."""
    grad = {name: np.zeros_like(value) for name, value in p.items()}
    d_inputs = np.zeros((len(tape), len(p["W"])))
    d_later = np.zeros(len(p["b1"]))
    for t in reversed(range(len(tape))):
        x, previous, h = tape[t]
        grad["V"] += np.outer(h, d_logits[t])
        grad["b2"] += d_logits[t]
        d_pre = (p["V"] @ d_logits[t] + d_later) * (1.0 - h**2)
        grad["W"] += np.outer(x, d_pre)
        grad["U"] += np.outer(previous, d_pre)
        grad["b1"] += d_pre
        d_inputs[t] = p["W"] @ d_pre
        d_later = p["U"] @ d_pre
    return grad, d_inputs


GATE_BIASES = ("bi", "bf", "bo", "bc")  # the order of W's and U's leading axis


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-a))


def lstm(p: Layer, sequence: np.ndarray) -> tuple[np.ndarray, list]:
    """Logits [T, O], and for each step what the backward pass needs."""
    h = np.zeros(len(p["bi"]))
    c = np.zeros_like(h)
    logits, tape = [], []
    for x in sequence:
        h_before, c_before = h, c
        a = [x @ p["U"][j] + h @ p["W"][j] + p[bias] for j, bias in enumerate(GATE_BIASES)]
        i, f, o, g = _sigmoid(a[0]), _sigmoid(a[1]), _sigmoid(a[2]), np.tanh(a[3])
        c = c_before * f + g * i
        h = np.tanh(c) * o
        logits.append(h @ p["V"] + p["bl"])
        tape.append((x, h_before, c_before, i, f, o, g, c, h))
    return np.array(logits), tape


def lstm_backward(p: Layer, tape: list, d_logits: np.ndarray) -> tuple[Layer, np.ndarray]:
    """Gradients of the parameters and of the inputs [T, I], given those of the logits."""
    grad = {name: np.zeros_like(value) for name, value in p.items()}
    d_inputs = np.zeros((len(tape), p["U"].shape[1]))
    d_h_later = np.zeros(len(p["bi"]))
    d_c_later = np.zeros_like(d_h_later)
    for t in reversed(range(len(tape))):
        x, h_before, c_before, i, f, o, g, c, h = tape[t]
        grad["V"] += np.outer(h, d_logits[t])
        grad["bl"] += d_logits[t]
        d_h = p["V"] @ d_logits[t] + d_h_later
        d_c = d_h * o * (1.0 - np.tanh(c) ** 2) + d_c_later
        d_a = (
            d_c * g * i * (1.0 - i),
            d_c * c_before * f * (1.0 - f),
            d_h * np.tanh(c) * o * (1.0 - o),
            d_c * i * (1.0 - g**2),
        )
        d_h_later = np.zeros_like(d_h)
        for j, bias in enumerate(GATE_BIASES):
            grad["U"][j] += np.outer(x, d_a[j])
            grad["W"][j] += np.outer(h_before, d_a[j])
            grad[bias] += d_a[j]
            d_inputs[t] += p["U"][j] @ d_a[j]
            d_h_later += p["W"][j] @ d_a[j]
        d_c_later = d_c * f
    return grad, d_inputs


BUILDERS = {"simple_rnn": (simple_rnn, simple_rnn_backward), "lstm": (lstm, lstm_backward)}
"""Forward and backward pass of the notebook's two nets."""


def multi_layer_rnn(kind: str, net: Net, sequence: np.ndarray) -> tuple[np.ndarray, list]:
    """Logits [T, O] of the top layer; each layer above the first reads logits. One tape a layer."""
    tapes = []
    for layer in net:
        sequence, tape = BUILDERS[kind][0](layer, sequence)
        tapes.append(tape)
    return sequence, tapes


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of each step's logits [..., O]."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def rnn_loss(sequence: np.ndarray, logits: np.ndarray) -> float:
    """Mean over the T - 1 predictions of the cross-entropy with the next symbol."""
    num_steps = len(sequence) - 1
    from_top = logits[:num_steps] - logits[:num_steps].max(axis=1, keepdims=True)
    log_p = from_top - np.log(np.exp(from_top).sum(axis=1, keepdims=True))
    return -np.sum(sequence[1:] * log_p) / num_steps


def rnn_loss_backward(sequence: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Gradient of the loss with respect to the logits; the last step's are not used."""
    num_steps, grad = len(sequence) - 1, np.zeros_like(logits)
    grad[:num_steps] = (softmax(logits[:num_steps]) - sequence[1:]) / num_steps
    return grad


def rnn_abs_error(sequence: np.ndarray, logits: np.ndarray) -> float:
    """Greatest distance of a predicted probability from 0 or 1 over steps and symbols."""
    return np.abs(softmax(logits[: len(sequence) - 1]) - sequence[1:]).max()


def loss_of(kind: str, net: Net, sequence: np.ndarray) -> float:
    return rnn_loss(sequence, multi_layer_rnn(kind, net, sequence)[0])


def gradients(kind: str, net: Net, sequence: np.ndarray) -> Net:
    """Backpropagation through time, and down the layers through their logits."""
    logits, tapes = multi_layer_rnn(kind, net, sequence)
    upstream = rnn_loss_backward(sequence, logits)
    grads: Net = []
    for layer, tape in zip(reversed(net), reversed(tapes), strict=True):
        grad, upstream = BUILDERS[kind][1](layer, tape, upstream)
        grads.insert(0, grad)
    return grads


def sgd_update(net: Net, grads: Net, learning_rate: float, clip: float | None) -> Net:
    """Gradient descent, every element of the gradient clipped to [-clip, clip]."""
    bound = np.inf if clip is None else clip
    return [
        {name: layer[name] - learning_rate * np.clip(grad[name], -bound, bound) for name in layer}
        for layer, grad in zip(net, grads, strict=True)
    ]


def train(
    kind: str, net: Net, coins: Iterable[bool], learning_rate: float = 1.0, clip: float | None = 5.0
) -> Iterator[float]:
    """Each step's error, measured before its update; a true coin is sequence A."""
    time_steps = net[-1]["V"].shape[1] - 1
    for is_a in coins:
        sequence = gen_sequence(time_steps, is_a)
        logits, _ = multi_layer_rnn(kind, net, sequence)
        yield rnn_abs_error(sequence, logits)
        net = sgd_update(net, gradients(kind, net, sequence), learning_rate, clip)


def run_experiment_1(
    kind: str,
    net: Net,
    coins: Iterable[bool],
    stop_threshold: float = 0.25,
    threshold_steps: int = 1000,
) -> int | None:
    """Index of the step at which the net counts as trained, None if the coins run out first.

    Unlike in the notebook an error that is not a number counts as above the threshold.
    """
    last_step_above_threshold = 0
    for index, error in enumerate(train(kind, net, coins)):
        if not error <= stop_threshold:
            last_step_above_threshold = index
        if index - last_step_above_threshold >= threshold_steps:
            return index
    return None


def from_jaxrnn(params: Any) -> Net:
    """jaxrnn's parameters (or gradients of them), of one net or of a stack, in this layout."""
    net = []
    for layer in (params,) if hasattr(params, "_fields") else params:
        p = layer._asdict()
        names = ("input_weights", "recurrent_weights", "bias", "output_weights", "output_bias")
        inputs, recurrent, bias, V, out = (np.array(p[name], np.float64) for name in names)
        if len(bias) == len(V):
            net.append({"W": inputs, "U": recurrent, "b1": bias, "V": V, "b2": out})
        else:  # [n, 4H] with the gates side by side -> [4, n, H]
            W, U = (np.stack(np.split(a, 4, axis=1)) for a in (recurrent, inputs))
            biases = dict(zip(GATE_BIASES, np.split(bias, 4), strict=True))
            net.append({"W": W, "U": U, "V": V, **biases, "bl": out})
    return net
