"""The cells that the notebook lacks, in float64 NumPy: textbook equations, loops over time.

Letters: T time steps, I inputs, H hidden units, O outputs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Gates = dict[str, np.ndarray]  # a value for each gate, by its name


class Net(NamedTuple):
    """One net's weights, gate by gate."""

    U: Gates  # from the inputs, [I, H] each
    W: Gates  # from the hidden units, [H, H] each
    b: Gates  # [H] each
    own: dict[str, np.ndarray]
    V: np.ndarray  # [H, O]
    b_out: np.ndarray  # [O]


class Run(NamedTuple):
    """What a net does with a sequence."""

    outputs: np.ndarray  # [T, O]
    hidden: np.ndarray  # after the last step, [H]
    # the same of the memory cells, [H]; zeros where there are none; of the sLSTM c and n, [2, H]
    memory: np.ndarray
    gates: Gates  # activations at every step, [T, H] each


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-a))


def layer_norm(a: np.ndarray) -> np.ndarray:
    mean = a.sum() / len(a)
    variance = ((a - mean) ** 2).sum() / len(a)
    return (a - mean) / np.sqrt(variance + 1e-5)


def pre(net: Net, gate: str, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    return x @ net.U[gate] + h @ net.W[gate] + net.b[gate]


# A step: (net, x, h, c) -> (gates, h, c).
Step = Callable[[Net, np.ndarray, np.ndarray, np.ndarray], tuple[Gates, np.ndarray, np.ndarray]]


def lstm_peephole(net, x, h, c):
    i = sigmoid(pre(net, "input", x, h) + net.own["input"] * c)
    f = sigmoid(pre(net, "forget", x, h) + net.own["forget"] * c)
    g = np.tanh(pre(net, "candidate", x, h))
    c = f * c + i * g
    o = sigmoid(pre(net, "output", x, h) + net.own["output"] * c)
    return {"input": i, "forget": f, "output": o, "candidate": g}, o * np.tanh(c), c


def lstm_no_forget(net, x, h, c):
    i = sigmoid(pre(net, "input", x, h))
    o = sigmoid(pre(net, "output", x, h))
    g = np.tanh(pre(net, "candidate", x, h))
    c = c + i * g
    return {"input": i, "output": o, "candidate": g}, o * np.tanh(c), c


def lstm_coupled(net, x, h, c):
    f = sigmoid(pre(net, "forget", x, h))
    o = sigmoid(pre(net, "output", x, h))
    g = np.tanh(pre(net, "candidate", x, h))
    c = f * c + (1.0 - f) * g
    return {"forget": f, "output": o, "candidate": g}, o * np.tanh(c), c


def lstm_layer_norm(net, x, h, c):
    # One normalisation over all four gates' elements, so they are laid end to end first.
    names = ["input", "forget", "output", "candidate"]
    of_x = layer_norm(np.concatenate([x @ net.U[name] for name in names]))
    of_h = layer_norm(np.concatenate([h @ net.W[name] for name in names]))
    a = net.own["input_gain"] * of_x + net.own["recurrent_gain"] * of_h
    i, f, o, g = (part + net.b[name] for part, name in zip(np.split(a, 4), names, strict=True))
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    c = f * c + i * g
    h = o * np.tanh(net.own["cell_gain"] * layer_norm(c) + net.own["cell_shift"])
    return {"input": i, "forget": f, "output": o, "candidate": g}, h, c


def gru(net, x, h, c):
    r = sigmoid(pre(net, "reset", x, h))
    z = sigmoid(pre(net, "update", x, h))
    n = np.tanh(x @ net.U["candidate"] + net.b["candidate"] + r * (h @ net.W["candidate"]))
    return {"reset": r, "update": z, "candidate": n}, z * h + (1.0 - z) * n, c


def irnn(net, x, h, c):
    h = np.maximum(pre(net, "candidate", x, h), 0.0)
    return {"candidate": h}, h, c


def janet(net, x, h, c):
    s = pre(net, "forget", x, h)
    g = np.tanh(pre(net, "candidate", x, h))
    h = sigmoid(s) * h + (1.0 - sigmoid(s - 1.0)) * g  # beta is 1
    return {"forget": sigmoid(s), "candidate": g}, h, c


def ugrnn(net, x, h, c):
    g = sigmoid(pre(net, "update", x, h))
    candidate = np.tanh(pre(net, "candidate", x, h))
    return {"update": g, "candidate": candidate}, g * h + (1.0 - g) * candidate, c


def mgu(net, x, h, c):
    f = sigmoid(pre(net, "input", x, h))
    k = np.tanh(pre(net, "candidate", x, f * h))
    return {"input": f, "candidate": k}, (1.0 - f) * h + f * k, c


def slstm(net, x, h, c):
    # As first written in the paper, without its stabilizer; c and n are the rows of the memory.
    c, n = np.broadcast_to(c, (2, len(h)))
    i = np.exp(pre(net, "input", x, h))
    f = sigmoid(pre(net, "forget", x, h))
    o = sigmoid(pre(net, "output", x, h))
    z = np.tanh(pre(net, "candidate", x, h))
    c, n = f * c + i * z, f * n + i
    return {"input": i, "forget": f, "output": o, "candidate": z}, o * c / n, np.stack([c, n])


# Each cell's gates in the order in which they lie side by side in jaxrnn's matrices.
CELLS: dict[str, tuple[Step, tuple[str, ...]]] = {
    "lstm_peephole": (lstm_peephole, ("input", "forget", "output", "candidate")),
    "lstm_no_forget": (lstm_no_forget, ("input", "output", "candidate")),
    "lstm_coupled": (lstm_coupled, ("forget", "output", "candidate")),
    "lstm_layer_norm": (lstm_layer_norm, ("input", "forget", "output", "candidate")),
    "gru": (gru, ("reset", "update", "candidate")),
    "irnn": (irnn, ("candidate",)),
    "janet": (janet, ("forget", "candidate")),
    "ugrnn": (ugrnn, ("update", "candidate")),
    "mgu": (mgu, ("input", "candidate")),
    "slstm": (slstm, ("input", "forget", "output", "candidate")),
}


def from_jaxrnn(kind: str, params: Any) -> Net:
    """jaxrnn's parameters of one net in this layout."""
    _, names = CELLS[kind]

    def by_gate(weights: Any) -> Gates:
        parts = np.split(np.array(weights, np.float64), len(names), axis=-1)
        return dict(zip(names, parts, strict=True))

    own = params.own._asdict() if params.own else {}
    return Net(
        by_gate(params.input_weights),
        by_gate(params.recurrent_weights),
        by_gate(params.bias),
        {name: np.array(value, np.float64) for name, value in own.items()},
        np.array(params.output_weights, np.float64),
        np.array(params.output_bias, np.float64),
    )


def run(
    kind: str, net: Net, xs: np.ndarray, h: np.ndarray | None = None, c: np.ndarray | None = None
) -> Run:
    """Run a net over a sequence [T, I], by default from hidden units and memory cells of 0."""
    step, names = CELLS[kind]
    hidden_size = len(net.V)
    h = np.zeros(hidden_size) if h is None else h
    c = np.zeros(hidden_size) if c is None else c
    outputs, seen = [], []
    for x in xs:
        gates, h, c = step(net, x, h, c)
        outputs.append(h @ net.V + net.b_out)
        seen.append(gates)
    return Run(np.array(outputs), h, c, {name: np.array([g[name] for g in seen]) for name in names})
