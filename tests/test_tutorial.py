"""The tutorial runs, what it says is so, and its stored outputs belong to its code.

After a change to examples/tutorial.ipynb store its outputs again, about three minutes:
python tests/test_tutorial.py
"""

import ast
import hashlib
import os
import re
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "tutorial.ipynb"

SMALL = """
CORES = 2
HAND_LENGTH = 5
HAND_STEPS = 150
TRIALS = 4
LENGTHS = (5,)
MAX_STEPS = 2000
LONG = 20
LONG_STEPS = 1000
BETTER_LENGTHS = (20,)
BETTER_TRIALS = 6
"""

# Run after the last cell, where the tutorial's names are.
CHECKS = """
assert rnn_at_once.shape == lstm_at_once.shape == (HAND_LENGTH - 1, HAND_LENGTH)
np.testing.assert_allclose(rnn_by_hand, rnn_at_once, atol=1e-5)
np.testing.assert_allclose(lstm_by_hand, lstm_at_once, atol=1e-5)
np.testing.assert_allclose(y_numpy, rnn_by_hand[0], atol=1e-5)

assert max(errors[:5]) > 0.25 > max(errors[-5:])  # the net trained by hand has learned
assert jax.device_count() == CORES
assert list(outcomes) == [(cell, T) for cell in ("simple_rnn", "lstm") for T in LENGTHS]
for (cell, T), trials in outcomes.items():
    assert all(1000 <= outcome.solved_at < 1500 for outcome in trials), (cell, T)

for trials in long_outcomes.values():
    assert {outcome.status for outcome in trials} == {"unsolved"}
for trials in better_outcomes.values():
    assert all(1000 <= outcome.solved_at < 1300 for outcome in trials)

relative = {name: norms[:, 0] / norms[:, -1] for name, norms in {**reach, **final}.items()}
assert (relative["the notebook's simple_rnn"] < 1e-3).all()
assert (relative["the notebook's lstm, untrained"] < 1e-3).all()
assert (relative["the better lstm"] > 0.1).all()
# The last record is the better LSTM's: it is sure of both last symbols.
p = np.asarray(jax.nn.softmax(record.outputs[:, -1]))
assert min(p[0, LONG - 2], p[1, LONG - 1]) > 0.75
print("all checks passed")
"""


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def names_set_in(source):
    return {
        target.id
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }


def digest(notebook):
    """Of all code, as it was when the outputs were stored."""
    return hashlib.sha256("\0".join(c.source for c in code_cells(notebook)).encode()).hexdigest()


def run(notebook, directory, timeout):
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(directory)}},
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()


def outputs(cell, kind):
    return [output for output in cell.outputs if output.output_type == kind]


def text_of(cell):
    return "".join(output.text for output in outputs(cell, "stream") if output.name == "stdout")


@pytest.mark.slow
def test_the_tutorial_runs_and_is_right(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    sizes = code_cells(notebook)[0]
    assert names_set_in(SMALL) == names_set_in(sizes.source)
    sizes.source = SMALL
    notebook.cells.append(nbformat.v4.new_code_cell(CHECKS))
    run(notebook, tmp_path, timeout=240)
    assert text_of(notebook.cells[-1]) == "all checks passed\n"
    stored = nbformat.read(NOTEBOOK, as_version=4)
    assert pictures(notebook) == pictures(stored)
    words = alternatives(stored)
    assert len(words) == sum(pictures(stored).values()) > 5
    assert all(word and 60 < len(word) < 250 for word in words)
    assert alternatives(notebook) == words


def pictures(notebook):
    """How many pictures each cell shows."""
    return {
        cell.id: len(shown)
        for cell in code_cells(notebook)
        if (shown := [o for o in cell.outputs if "image/png" in o.get("data", {})])
    }


def alternatives(notebook):
    """The words that stand for each picture, None where there are none."""
    return [
        output.metadata.get("image/png", {}).get("alt")
        for cell in code_cells(notebook)
        for output in outputs(cell, "display_data")
        if "image/png" in output.data
    ]


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_stored_outputs_belong_to_the_stored_code(stored):
    cells = code_cells(stored)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(outputs(cell, "error") for cell in cells)
    assert stored.metadata["jaxrnn"]["sha256_of_code"] == digest(stored), "see the module's head"
    sizes: dict = {}
    exec(cells[0].source, sizes)
    small: dict = {}
    exec(SMALL, small)
    assert set(sizes["LENGTHS"]) >= {4, 5, 6, 7, 8, 9, 10}
    for name in ("MAX_STEPS", "LONG_STEPS", "TRIALS"):
        assert sizes[name] > small[name]


def test_the_stored_outputs_show_what_the_text_says(stored):
    text = {cell.id: text_of(cell) for cell in code_cells(stored)}
    (better,) = [t for t in text.values() if re.match(r"length \d+: solved at", t)]
    steps = [int(number) for number in re.findall(r"\b\d{4,}\b", better)]
    assert len(steps) == 8
    assert "None" not in better
    assert all(1000 <= step < 1500 for step in steps)
    (unsolved,) = [t for t in text.values() if "the notebook's lstm at length 20" in t]
    assert unsolved.count("{'unsolved': 4}") == 2


def test_the_stored_file_is_small_and_tells_nothing_of_the_machine():
    raw = NOTEBOOK.read_text()
    assert len(raw) < 1_500_000
    plain = re.sub(r'"image/png": "[^"]*"', "", raw)
    assert not re.search(r"/(work|tmp|root|home|Users)/|iopub|ipykernel_\d", plain)


def store():
    """Run the tutorial as it is and keep its outputs in the file."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as directory:
        os.environ["IPYTHONDIR"] = directory
        run(notebook, directory, timeout=1200)
    notebook.metadata = {
        "jaxrnn": {"sha256_of_code": digest(notebook)},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    store()
