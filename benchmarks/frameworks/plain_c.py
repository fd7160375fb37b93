"""Plain C: ``step.c`` compiled for the net and the length, called by ctypes, all steps a call."""

import ctypes
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from frameworks import WEIGHTS, Problem, Run

FLAGS = ("-O3", "-march=native", "-ffast-math")


def build(problem: Problem) -> Run:
    """Compile the step; the library keeps this process in flush-to-zero mode from then on."""
    num_trials, hidden_size, gates_size = problem.weights["recurrent_weights"].shape
    sizes = {"GATES": gates_size // hidden_size, "HIDDEN": hidden_size, "LENGTH": problem.length}
    defines = [f"-D{name}={size}" for name, size in sizes.items()]
    source = str(Path(__file__).with_name("step.c"))
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/step.so"
        command = ["gcc", *FLAGS, *defines, "-shared", "-fPIC", source, "-o", library, "-lm"]
        subprocess.run(command, check=True)
        train = ctypes.CDLL(library).train
    array = np.ctypeslib.ndpointer
    train.restype = None
    train.argtypes = [
        array(np.float32, flags="C"),
        array(np.int32, flags="C"),
        array(np.float32, flags="C"),
        *[ctypes.c_int] * 2,
        *[ctypes.c_float] * 2,
    ]
    # A trial's weights one after another: the C structure.
    flat = [problem.weights[name].reshape(num_trials, -1) for name in WEIGHTS]
    nets = np.ascontiguousarray(np.concatenate(flat, axis=1))

    def run(coins: np.ndarray, learning_rate: float, clip: float) -> np.ndarray:
        errors = np.empty(coins.shape, np.float32)
        train(nets, coins, errors, num_trials, len(coins), learning_rate, clip)
        return errors

    return run
