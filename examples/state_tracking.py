"""Which cells can keep a state that every input changes: what theory predicts, run.

``python examples/state_tracking.py`` trains all of them, in less than an hour on two cores, and
writes ``examples/state-tracking-run``. After an interruption give the same command again.

A linear net whose step multiplies its state by matrices with positive eigenvalues alone cannot keep
the parity of a word of any length (Grazzi et al. 2025, 2411.12537). S3 needs products of two
reflections, so one correction a step of a delta net is not enough (Siems et al. 2025, 2502.10297).
No diagonal linear net keeps the products of A5 (Merrill et al. 2024, 2404.08819). The LSTM and the
GRU can do all of it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import jaxrnn
from jaxrnn import Experiment
from jaxrnn.store.rows import Row

OUT = Path(__file__).parent / "state-tracking-run"
LENGTHS = (10, 20, 30, 40, 60, 80, 120, 160, 320)

Predictions = dict[tuple[str, str], bool | None]
"""By cell and eigenvalues."""

# Whether theory says that it holds beyond the lengths of training; None: it can, but a net has to
# find a way in which one of its corrections does nothing.
PARITY: Predictions = {
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
    ("delta_product", "negative"): None,
}
S3: Predictions = {
    ("lstm", ""): True,
    ("gru", ""): True,
    ("mlstm", ""): False,
    ("min_gru", ""): False,
    ("s6", ""): False,
    ("s6", "negative"): False,
    ("delta_net", ""): False,
    ("delta_net", "negative"): False,
    ("delta_product", ""): False,
    ("delta_product", "negative"): True,
}


A5: Predictions = {
    ("lstm", ""): True,
    ("min_gru", ""): False,
    ("s6", "negative"): False,
}
NETS = {"parity": PARITY, "S3": S3, "A5": A5}


def experiment(words: str, cell: str, eigenvalues: str, **settings: object) -> Experiment:
    """A net that is trained on words of 2 to 20 letters: of 16 units, but of 128 for A5."""
    of_task: dict[str, object] = {"every_step": True} if words == "parity" else {"group": words}
    options: dict[str, object] = {"negative": bool(eigenvalues)} if "delta" in cell else {}
    if cell == "s6":
        options = {"negative": bool(eigenvalues), "state_size": 8}
    base = {
        "name": f"{words}{'-negative' if eigenvalues else ''}",
        "task": "parity" if words == "parity" else "group_words",
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
    of_a5: dict[str, object] = {"hidden_size": 128, "learning_rate": 0.003, "max_steps": 1_000_000}
    of_a5 |= {"schedule": "cosine", "trials": 3}
    if cell == "s6":
        of_a5["hidden_size"] = 64  # with twice the state of the LSTM's 128
    return Experiment(**base | (of_a5 if words == "A5" else {}) | settings)  # type: ignore[arg-type]


EXPERIMENTS = [
    experiment(words, cell, eigenvalues)
    for words, nets in NETS.items()
    for cell, eigenvalues in nets
]


def shares_right(rows: Sequence[Row], words: str) -> dict[tuple[str, str], np.ndarray]:
    """By cell and eigenvalues: the share of right words of each trial at each of the lengths."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for row in rows:
        of, _, eigenvalues = row.experiment.name.partition("-")
        if of == words:
            net = row.experiment.cell, eigenvalues
            found.setdefault(net, []).append(1 - np.array(row.outcome.wrong_at_lengths) / 1000)
    return {net: np.array(trials) for net, trials in found.items()}


if __name__ == "__main__":
    jaxrnn.run(EXPERIMENTS, OUT, progress=True)
