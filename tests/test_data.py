"""Tasks from a user's own arrays, and from a file of them."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import run as command
from scipy.stats import ttest_1samp, ttest_ind

import jaxrnn
from jaxrnn import Experiment, InputError, run, run_trials, task_from_arrays, unroll
from jaxrnn.names import carried, digests, sources
from jaxrnn.problems import settled, task_of
from jaxrnn.report import final_test
from jaxrnn.report.document import write_report
from jaxrnn.report.summary import Study
from jaxrnn.training.objectives import (
    MEASURES,
    OBJECTIVES,
    REDUCTIONS,
    Goal,
    loss_and_error,
    mean_squared_error,
)
from jaxrnn.training.parts import parts_of

N, T = 30, 6
DATA = np.random.default_rng(7)
SYMBOLS = DATA.integers(0, 4, (N, T))
VECTORS = DATA.normal(size=(N, T, 3))
LENGTHS = DATA.integers(1, T + 1, N)
INPUTS = {"symbols": SYMBOLS, "vectors": VECTORS, "one number": VECTORS[..., 0]}
TARGETS = {
    "a class": SYMBOLS[:, 0],
    "symbols": SYMBOLS[:, ::-1],
    "a vector": VECTORS[:, 0],
    "vectors": VECTORS[:, ::-1],
}


@pytest.mark.parametrize("has_lengths", [False, True])
@pytest.mark.parametrize("said", TARGETS)
@pytest.mark.parametrize("read", INPUTS)
def test_the_sequences_are_those_of_the_arrays(read, said, has_lengths):
    """Each training sequence is drawn, no test sequence is, and the masks say which steps count."""
    inputs, targets = INPUTS[read], TARGETS[said]
    lengths = LENGTHS if has_lengths else np.full(N, T)
    task = task_from_arrays(inputs, targets, LENGTHS if has_lengths else None)(T)
    keys = jax.random.split(jax.random.key(0), 200)
    drawn, of_test = jax.device_get((jax.vmap(task.draw)(keys), task.test_set()))
    expected = []
    for x, y, length in zip(inputs, targets, lengths, strict=True):
        x = x[:, None] if read == "one number" else x
        kept = np.where((np.arange(T) < length).reshape(-1, *(1,) * (x.ndim - 1)), x, 0)
        steps = range(length) if said in ("symbols", "vectors") else [length - 1]
        value = {t: y[t] if said in ("symbols", "vectors") else y for t in steps}
        expected.append((kept.astype(np.float32), value))

    def which(sequences, k):
        """The sequences of the arrays that this one may be."""
        counted = np.flatnonzero(sequences.mask[k])
        return {
            n
            for n, (x, value) in enumerate(expected)
            if np.array_equal(sequences.inputs[k], x)
            and [*value] == [*counted]
            and all(np.allclose(sequences.targets[k, t], value[t]) for t in counted)
        }

    training = [which(drawn, k) for k in range(200)]
    test = [which(of_test, k) for k in range(6)]
    assert all(training)
    assert all(test)
    if not has_lengths:  # with them two sequences may be the same
        assert {*map(len, (*training, *test))} == {1}
        assert not {*map(tuple, training)} & {*map(tuple, test)}
        assert len({*map(tuple, training)}) == N - 6
    assert task.final_test == 6
    assert task.num_steps == T
    assert task.num_outputs == (4 if "symbols" in said or "class" in said else 3)
    assert task.num_inputs == {"symbols": 4, "vectors": 3, "one number": 1}[read]


@pytest.mark.parametrize("said", TARGETS)
def test_an_error_is_a_wrong_class_or_the_mean_squared_distance(said):
    task = task_from_arrays(VECTORS, TARGETS[said], LENGTHS)(T)
    outputs = np.asarray(DATA.normal(size=(T, task.num_outputs)), np.float32)
    goal = Goal(OBJECTIVES[task.objective], REDUCTIONS["mean"], MEASURES[task.measure])
    drawn = jax.device_get(jax.vmap(task.draw)(jax.random.split(jax.random.key(1), 20)))
    for k in range(20):
        one = jax.tree.map(lambda leaf, k=k: leaf[k], drawn)
        counted = np.flatnonzero(one.mask)
        _, error = loss_and_error(goal, jnp.asarray(outputs), one)
        if said in ("a class", "symbols"):
            wrong = any(outputs[t].argmax() != one.targets[t] for t in counted)
            assert (error > 0.5) == wrong
        else:
            squares = [((outputs[t] - np.asarray(one.targets[t])) ** 2).sum() for t in counted]
            np.testing.assert_allclose(error, np.mean(squares), rtol=1e-5)


def test_a_mean_squared_error_of_an_output_that_is_not_finite_is_none():
    outputs = jnp.array([[1.0], [jnp.nan]])
    assert jnp.isnan(mean_squared_error(outputs, jnp.array([[1.0], [2.0]]))).all()
    assert (mean_squared_error(outputs, jnp.array([[3.0], [jnp.nan]])) == 4).all()


def test_real_targets_are_learned_where_a_tenth_of_their_variance_is_left():
    for targets, lengths in ((VECTORS[:, 0], None), (VECTORS, None), (VECTORS, LENGTHS)):
        of_test = VECTORS[:2], targets[:2]
        task = task_from_arrays(VECTORS, targets, lengths, test=of_test)(T)
        counted = [
            np.atleast_2d(one)[: T if lengths is None else lengths[n]]
            for n, one in enumerate(targets)
        ]
        mean = np.mean([one.mean(0) for one in counted], 0)
        left = np.mean([((one - mean) ** 2).sum(1).mean() for one in counted])
        assert task.solved.mean_error == pytest.approx(0.1 * left)
        assert task.solved.max_failures == task.solved.window == 1000


def saved(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.fixture
def first_symbol(tmp_path):
    """A file whose sequences are named by their first of two symbols."""
    inputs = np.random.default_rng(0).integers(0, 2, (200, 4))
    return saved(tmp_path / "first.npz", inputs=inputs, targets=inputs[:, 0])


def test_a_file_is_trained_on_and_tested(first_symbol, tmp_path, capsys):
    """And the final test is that of the kept weights on the test set, and decides nothing."""
    words = ["sweep", "gru", "simple_rnn", "--tasks", first_symbol, "--trials", "3"]
    command(*words, "--max-steps", "1500", "--keep-weights", "--out", str(tmp_path / "run"))
    said = " ".join(capsys.readouterr().out.split())
    assert "gru on first.npz: 100.0 % of the test set right in the mean of 3 trials" in said
    rows = jaxrnn.read_rows(tmp_path / "run")
    assert [row["length"] for row in rows] == [4] * 6
    nets = jaxrnn.load_weights(tmp_path / "run", task=first_symbol)[0].params
    made = Experiment.from_row(rows[0])
    parts, test = parts_of(made), task_of(made).test_set()
    for trial, row in enumerate(row for row in rows if row["cell"] == "gru"):
        params = jax.tree.map(lambda leaf, k=trial: leaf[k], nets)
        outputs = jax.vmap(lambda x, p=params: unroll(parts.cell, p, x)[1])(test.inputs)
        right = outputs[:, -1].argmax(1) == test.targets[:, -1]
        assert row["final_wrong"] == (~right).sum()
        assert row["final_test"] == 40
    untested = run_trials(replace(made, final_test=0, trials=3))
    tests = [(row["status"], row["steps"]) for row in rows[:3]]
    assert [(one.status, one.steps) for one in untested] == tests
    assert "final_wrong" not in (tmp_path / "run" / "report.md").read_text()
    for name in ("final_test.png", "learning_curves.png"):
        assert (tmp_path / "run" / name).exists()


def test_other_data_of_one_name_are_refused(first_symbol, tmp_path):
    one = Experiment(task=first_symbol, length=4, trials=1, max_steps=1001)
    assert len(run(one, tmp_path / "run")) == 1
    inputs = np.random.default_rng(1).integers(0, 2, (200, 4))
    saved(first_symbol, inputs=inputs, targets=inputs[:, 0])
    with pytest.raises(InputError, match=re.escape(first_symbol)):
        run(replace(one, trials=2), tmp_path / "run")


def test_the_digest_of_a_script_has_that_of_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nimport jaxrnn\nfirst = np.load('first.npy')\n"
        "task = jaxrnn.task_from_arrays(first, first[:, 0])\n"
    )
    one, found = Experiment(task="mine.py:task", length=4), []
    for seed in (0, 1):
        np.save("first.npy", np.random.default_rng(seed).integers(0, 2, (20, 4)))
        (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + "\n")
        found.append(digests([one]))
        jaxrnn.names._run_file.cache_clear()
    text = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(text[:-1])
    assert digests([one]) != found[0]  # the same text, and the second data


def test_a_worker_gets_the_file(first_symbol, tmp_path):
    one = Experiment(task=first_symbol, length=4)
    files = sources([one])
    before = task_of(one).draw(jax.random.key(0))
    (tmp_path / "first.npz").unlink()
    with carried(files):
        after = task_of(one).draw(jax.random.key(0))
    assert np.array_equal(before.inputs, after.inputs)
    with pytest.raises(InputError, match=r"cannot read .*first.npz"):
        task_of(one)


def test_what_it_leaves_to_the_task():
    inputs = np.random.default_rng(0).integers(0, 2, (20, 4))
    task = task_from_arrays(inputs, inputs[:, 0], test=0.25)(4)
    assert (task.objective, task.measure, task.final_test) == ("cross_entropy", "ranking_error", 5)
    assert settled(Experiment()).final_test == 0  # of a task that has none


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"inputs": VECTORS}, "has no array 'targets', it has inputs"),
        ({"inputs": VECTORS, "label": LENGTHS}, "has 'label', which is none of inputs, targets"),
        (
            {"inputs": SYMBOLS, "targets": SYMBOLS, "test_inputs": SYMBOLS},
            "has no array 'test_targets'",
        ),
        ({"inputs": SYMBOLS[0], "targets": SYMBOLS[:, 0]}, "inputs of type int32 have shape (6,)"),
        ({"inputs": VECTORS, "targets": SYMBOLS[:, :4]}, "have to be symbols [30] or [30, 6]"),
        ({"inputs": VECTORS, "targets": VECTORS[:9, 0]}, "real numbers [30, O] or [30, 6, O]"),
        ({"inputs": VECTORS, "targets": SYMBOLS - 1}, "symbols, from -1 to 2: symbols are counted"),
        (
            {"inputs": np.full((N, T), np.nan), "targets": SYMBOLS},
            "inputs hold numbers that are not finite",
        ),
        ({"inputs": VECTORS, "targets": SYMBOLS.astype(str)}, "have to be numbers"),
        ({"inputs": VECTORS, "targets": np.array([{}] * N)}, "is not an .npz file of arrays"),
        ({"inputs": VECTORS, "targets": SYMBOLS * 0}, "targets are all 0: there is nothing to"),
        ({"inputs": VECTORS, "targets": VECTORS * 0}, "targets are all the same"),
        (
            {"inputs": SYMBOLS, "targets": SYMBOLS, "lengths": LENGTHS - 1},
            "have to lie from 1 to 6, the steps of inputs",
        ),
        (
            {"inputs": SYMBOLS, "targets": SYMBOLS, "lengths": LENGTHS[:3]},
            "have to be whole numbers [30]",
        ),
        (
            {
                "inputs": SYMBOLS,
                "targets": SYMBOLS,
                "test_inputs": VECTORS,
                "test_targets": SYMBOLS,
            },
            "test_inputs of type float64 and shape (30, 6, 3) do not fit inputs of type int32",
        ),
        ({"inputs": SYMBOLS[:1], "targets": SYMBOLS[:1]}, "a share of the 1 sequences"),
    ],
)
def test_a_bad_file_gets_a_sentence(arrays, said, tmp_path, capsys):
    path = saved(tmp_path / "bad.npz", **arrays)
    assert command("sweep", "gru", "--tasks", path, "--out", tmp_path / "run") == 2
    told = capsys.readouterr().err
    assert said in told
    assert "bad.npz" in told
    assert not (tmp_path / "run").exists()


def test_what_is_no_file_or_has_another_length_gets_a_sentence(first_symbol, tmp_path):
    (tmp_path / "text.npz").write_text("inputs, targets\n")
    for task, length, said in (
        ("none.npz", 4, "cannot read none.npz: No such file"),
        (str(tmp_path / "text.npz"), 4, "text.npz is not an .npz file"),
        (first_symbol, 10, "the sequences have 4 steps: choose that length"),
    ):
        with pytest.raises(InputError, match=said):
            task_of(Experiment(task=task, length=length))
    with pytest.raises(InputError, match=r"unknown cell 'net\.npz'"):
        run_trials(Experiment(cell="net.npz"))
    with pytest.raises(InputError, match=r"final-test 7 is not that of the test set .* choose 40"):
        run_trials(Experiment(task=first_symbol, length=4, final_test=7))
    for test in (0, 1, 1.5, "half", SYMBOLS):
        with pytest.raises(InputError, match="test"):
            task_from_arrays(SYMBOLS, SYMBOLS, test=test)
    with pytest.raises(InputError, match="a horizon compares several lags"):
        jaxrnn.run_horizon(["gru"], [first_symbol], tmp_path / "horizon")


def test_nets_are_compared_by_their_tests(tmp_path, first_symbol):
    """The means, their intervals and the differences from the first net are SciPy's."""
    nets = [
        Experiment(task=first_symbol, cell=cell, length=4, trials=4, max_steps=steps, window=1)
        for cell, steps in (("gru", 1), ("lstm", 40), ("simple_rnn", 300))
    ]
    nets = [replace(one, threshold=0.01, max_failures=0) for one in nets]
    rows = run([replace(one, max_steps=40) for one in nets], tmp_path / "run", report=False)
    (group,) = final_test.tested(Study(rows))
    first = group[0].values
    for one in group:
        row_values = [
            1 - row["final_wrong"] / 40
            for row in rows
            if row["cell"] == one.rows[0].experiment.cell
        ]
        assert one.values == row_values
        if len({*one.values}) > 1:
            bounds = ttest_1samp(one.values, 0).confidence_interval(0.95)
            assert one.interval == pytest.approx((bounds.low, bounds.high))
        if one is not group[0]:
            found = ttest_ind(one.values, first, equal_var=False).confidence_interval(0.975)
            expected = np.mean(one.values) - np.mean(first), found.low, found.high
            assert one.more == pytest.approx(expected)
    assert group[0].more is None
    _, document = write_report(tmp_path / "run")
    assert "final_test" in [picture.stem for picture in document.pictures]


@pytest.mark.integration
def test_the_digits_of_the_example_are_learned():
    """In a tenth of the page's sequences more than by chance, which is a tenth."""
    net = Experiment(task="examples/digits.py:digits", cell="gru", length=64, trials=2)
    net = replace(net, optimizer="clipped_adam", learning_rate=0.01, batch_size=32)
    net = replace(net, hidden_size=32, clipping="norm", clip=1, max_steps=6400)
    for outcome in run_trials(net):
        assert outcome.final_wrong < 0.65 * 359
