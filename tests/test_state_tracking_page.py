"""The page of the state tracking: its tables are the medians of the kept rows."""

import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "examples/state-tracking-run"
EXAMPLE = runpy.run_path(str(ROOT / "examples/state_tracking.py"))

CELLS = {
    "lstm": "LSTM",
    "gru": "GRU",
    "mlstm": "mLSTM",
    "min_gru": "minGRU",
    "min_lstm": "minLSTM",
    "s6": "S6",
    "delta_net": "DeltaNet",
    "gated_delta_net": "gated DeltaNet",
    "delta_product": "DeltaProduct, two corrections",
}
SAYS = {True: "holds", False: "does not hold", None: "can hold"}


@pytest.mark.parametrize(
    ("words", "heading", "shown"),
    [
        ("parity", "Parity", (20, 40, 80, 160)),
        ("S3", "S3", (20, 40, 80, 160)),
        ("A5", "A5", (10, 20, 40, 80)),
    ],
)
def test_every_table_has_the_medians_of_its_rows(words, heading, shown, rows, text):
    found = EXAMPLE["shares_right"](rows, words)
    lines = [
        f"| cell | what theory says | right at {shown[0]} | {' | '.join(map(str, shown[1:]))} |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for (cell, eigenvalues), says in EXAMPLE["NETS"][words].items():
        name = CELLS[cell]
        if eigenvalues:
            name += ", factors from -1" if cell == "s6" else ", eigenvalues from -1"
        medians = np.median(found[cell, eigenvalues], axis=0)
        at = [medians[EXAMPLE["LENGTHS"].index(length)] for length in shown]
        lines.append(f"| {name} | {SAYS[says]} | {' | '.join(f'{one:.1%}' for one in at)} |")
    table = "\n".join(lines).replace("%", " %")
    assert f"## {heading}\n" in text
    assert f"\n{table}\n" in text, table
