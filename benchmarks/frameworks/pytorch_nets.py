"""PyTorch on the processor: a vmapped autograd step, eager and compiled, and one by hand."""

# mypy: disable-error-code="import-not-found, import-untyped"

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from frameworks import Problem, Run, symbols

torch.set_num_threads(1)
torch.set_flush_denormal(True)  # as XLA, TensorFlow and -ffast-math do


def loss_and_error(w: dict[str, Any], inputs: Any, targets: Any) -> tuple[Any, Any]:
    """Mean cross-entropy and greatest absolute error of one trial; inputs one-hot [T-1, T]."""
    pre = inputs @ w["input_weights"] + w["bias"]
    h = c = torch.zeros_like(w["output_weights"][:, 0])
    hidden = []
    for pre_t in pre.unbind(0):
        a = pre_t + h @ w["recurrent_weights"]
        if len(a) == len(h):
            h = torch.tanh(a)
        else:
            i, f, o, g = a.split(len(h))
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        hidden.append(h)
    log_p = torch.log_softmax(torch.stack(hidden) @ w["output_weights"] + w["output_bias"], 1)
    log_p_target = (log_p * targets).sum(1)
    return -log_p_target.mean(), torch.max(-torch.expm1(log_p_target))


def vmapped_step(w: dict[str, Any], sequences: Any, rate: Any, clip: Any) -> tuple[Any, Any]:
    """One update of all trials; one-hot sequences [N, T, T]."""
    step = torch.func.vmap(torch.func.grad(loss_and_error, has_aux=True))
    gradients, errors = step(w, sequences[:, :-1], sequences[:, 1:])
    clipped = {name: torch.clamp(g, -clip, clip) for name, g in gradients.items()}
    return {name: value - rate * clipped[name] for name, value in w.items()}, errors


def run_of(problem: Problem, step: Callable[..., tuple[Any, Any]]) -> Run:
    """A loop in Python over ``step``."""
    w = {name: torch.tensor(value) for name, value in problem.weights.items()}
    identity = torch.eye(problem.length)

    def run(coins: np.ndarray, learning_rate: float, clip: float) -> np.ndarray:
        nonlocal w
        settings = torch.tensor(learning_rate), torch.tensor(clip)
        errors = []
        for batch in torch.tensor(symbols(coins, problem.length)):
            w, error = step(w, identity[batch], *settings)
            errors.append(error)
        return torch.stack(errors).numpy()

    return run


def build_vmapped(problem: Problem) -> Run:
    """``torch.func``: vmap over trials of grad, eager."""
    return run_of(problem, vmapped_step)


def build_compiled(problem: Problem) -> Run:
    """The vmapped step under ``torch.compile``."""
    torch.compiler.reset()  # else the second net would count as a recompilation of the first
    return run_of(problem, torch.compile(vmapped_step, dynamic=False, fullgraph=True))
