"""Which cells can keep a state that every input changes: what theory predicts, run.

``python examples/state_tracking.py`` trains all of them, about 25 minutes on two cores, and writes
``examples/state-tracking-run``. After an interruption give the same command again.

A linear net whose step multiplies its state by matrices with positive eigenvalues alone cannot keep
the parity of a word of any length (Grazzi et al. 2025, 2411.12537). S3 needs products of two
reflections, so one correction a step of a delta net is not enough (Siems et al. 2025, 2502.10297).
No diagonal linear net keeps the products of A5 (Merrill et al. 2024, 2404.08819). The LSTM and the
GRU can do all of it.
"""

from pathlib import Path

import jaxrnn
from jaxrnn import Experiment

OUT = Path(__file__).parent / "state-tracking-run"
LENGTHS = (10, 20, 30, 40, 60, 80, 120, 160, 320)

NEGATIVE = {"negative": True}
PARITY = {  # whether theory says that it holds beyond the lengths of training
    ("lstm", ""): True,
    ("gru", ""): True,
    ("mlstm", ""): False,
    ("min_gru", ""): False,
    ("min_lstm", ""): False,
    ("s6", ""): False,
    ("s6", "negative"): True,
    ("delta_net", ""): False,
    ("delta_net", "negative"): True,
    ("gated_delta_net", ""): False,
    ("gated_delta_net", "negative"): True,
}
S3 = {
    ("lstm", ""): True,
    ("gru", ""): True,
    ("s6", "negative"): False,
    ("delta_net", ""): False,
    ("delta_net", "negative"): False,
    ("delta_product", ""): False,
    ("delta_product", "negative"): True,
}


def experiment(task: str, cell: str, eigenvalues: str, **settings: object) -> Experiment:
    """A net of 16 units, trained on words of 2 to 20 letters."""
    options: dict[str, object] = {"negative": bool(eigenvalues)} if "delta" in cell else {}
    if cell == "s6":
        options = {"negative": bool(eigenvalues), "state_size": 8}
    of_task = {"every_step": True} if task == "parity" else {}
    base = {
        "name": f"{task}{'-negative' if eigenvalues else ''}",
        "task": task,
        "task_options": {"shortest": 2, **of_task},
        "length": 20,
        "cell": cell,
        "cell_options": options,
        "hidden_size": 16,
        "initializer": "xavier",
        "optimizer": "clipped_adam",
        "learning_rate": 0.01,
        "clipping": "norm",
        "clip": 1.0,
        "batch_size": 32,
        # A net that has just learned it is not sure yet, and fails on longer words.
        "threshold": 0.5,
        "window": 1000,
        "max_failures": 10,
        "mean_error": 0.002,
        "max_steps": 100_000,
        "trials": 6,
        "test_lengths": LENGTHS,
    }
    return Experiment(**base | settings)  # type: ignore[arg-type]


EXPERIMENTS = [
    experiment(task, cell, eigenvalues)
    for task, nets in (("parity", PARITY), ("group_words", S3))
    for cell, eigenvalues in nets
]

if __name__ == "__main__":
    jaxrnn.run(EXPERIMENTS, OUT, progress=True)
