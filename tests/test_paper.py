"""The 1997 paper's experiments: nets, stop rules, final tests, and the command that runs them."""

import io
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jaxrnn import CELLS, Experiment, InputError, unroll
from jaxrnn.results.report import legend, markdown, table
from jaxrnn.results.rows import make_row, make_settings, read_rows
from jaxrnn.results.summary import summarize
from jaxrnn.suites.notebook import NOTEBOOK
from jaxrnn.suites.paper_1997 import PAPER
from jaxrnn.training import runner
from jaxrnn.training.engine import NEVER, Lanes, empty_state, make_chunk
from jaxrnn.training.objectives import ranking_error
from jaxrnn.training.runner import run_trials
from jaxrnn.training.trial import build, cell_of, settings_of, trial_key

KEPT = Path(__file__).parents[1] / "examples" / "paper-run"

WEIGHTS = {  # experiment, length -> number of weights that follows from the paper
    ("1", 40): 276,
    ("1-4x1-0.1", 40): 264,
    ("2a", 101): 10504,
    ("2a-rtrl", 5): 36,
    ("2a-rtrl", 11): 144,
    ("2a-bptt", 101): 10404,
    ("2b", 101): 10504,
    ("2c", 50): 6 * 50 + 64,
    ("2c-p50", 1000): 6 * 50 + 64,
    ("3a", 100): 102,
    ("3b-n1", 100): 102,
    ("3c", 100): 102,
    ("4", 100): 93,
    ("5-n13", 100): 93,
    ("6a", 100): 156,
    ("6b", 100): 308,
}


def first_params(experiment, trial=0):
    key = trial_key(experiment.seed, trial)
    settings = jax.tree.map(lambda a: a[trial], settings_of(experiment))
    return jax.jit(build(experiment).init)(key, settings).params


@pytest.mark.parametrize(("name", "length"), WEIGHTS)
def test_number_of_weights_is_the_papers(name, length):
    suite = PAPER[name]
    params = first_params(suite.at(suite.cells[0], length, trials=1))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == WEIGHTS[name, length]


@pytest.mark.parametrize(
    ("name", "limit", "biases"),
    [
        ("1", 0.2, [None, None, None, -1, -2, -3]),
        ("1-4x1-0.5", 0.2, [None] * 4 + [-1, -2, -3, -4]),
        ("3b", 0.1, [-1, -3, -5, -2, -4, -6] + [None] * 3),
        ("4", 0.1, [-3, -6] + [None] * 6),
        ("5", 0.1, [None] * 8),
        ("6a", 0.1, [-2, -4] + [None] * 6),
        ("6b", 0.1, [-2, -4, -6] + [None] * 9),
    ],
)
def test_first_weights_are_the_papers(name, limit, biases):
    suite = PAPER[name]
    params = first_params(suite.at(suite.cells[0], suite.lengths[0], trials=1))
    given = [bias is not None for bias in biases]
    bias = np.asarray(params.bias)
    np.testing.assert_array_equal(bias[given], [bias for bias in biases if bias is not None])
    drawn = [bias[~np.array(given)], *(np.ravel(leaf) for leaf in params._replace(bias=bias[:0]))]
    drawn = np.concatenate(drawn)
    assert 0.9 * limit < np.abs(drawn).max() <= limit
    assert abs(drawn.mean()) < 5 * limit / np.sqrt(3 * len(drawn))


def test_departures_name_a_change_and_are_laid_beside_a_row():
    for name, suite in PAPER.items():
        assert bool(suite.departure) == (name != suite.row)
        assert suite.lengths == PAPER[suite.row].lengths
        assert suite.caps == PAPER[suite.row].caps
        for length in suite.lengths:
            build(suite.at(suite.cells[0], length))


@pytest.mark.parametrize(
    ("name", "length", "cap"),
    [("6a", 100, 313_900), ("6a", 77, 313_900), ("2c", 300, 390_000), ("2c", 2000, 500_000)],
)
def test_a_length_that_was_not_published_has_the_cap_of_the_next_longer_one(name, length, cap):
    assert PAPER[name].at("memory_blocks", length).max_steps == cap


def test_the_kept_rows_were_made_under_the_settings_of_their_experiments():
    given_caps = {("2a-bptt", 101): 500_000, ("2c-best", 1000): 200_000}
    kept = {}
    for row in read_rows(KEPT):
        kept.setdefault((row["experiment"], row["length"]), []).append(row)
    assert len(kept) > 40
    for (name, length), rows in kept.items():
        suite = PAPER[name]
        experiment = suite.at(suite.cells[0], length)
        settings = make_settings(experiment)
        assert [row["trial"] for row in rows] == list(range(settings.pop("trials")))
        settings["max_steps"] = given_caps.get((name, length), settings["max_steps"])
        settings["experiment"] = settings.pop("name")
        settings = json.loads(json.dumps(settings))
        for row in rows:
            assert {setting: row[setting] for setting in settings} == settings


def test_ranking_error_is_above_a_half_when_a_wrong_symbol_is_above_a_right_one():
    rng = np.random.default_rng(0)
    for _ in range(200):
        outputs, mask = rng.normal(size=(5, 4)), rng.random(5) < 0.7
        is_right = rng.random((5, 4)) < 0.4
        is_right[:, 0], is_right[:, 1] = True, False
        expected = any(
            outputs[t][~is_right[t]].max() > outputs[t][is_right[t]].min()
            for t in range(5)
            if mask[t]
        )
        error = float(ranking_error(*map(jnp.asarray, (outputs, is_right, mask))))
        assert (error > 0.5) == expected
        assert 0 <= error <= 1
    outputs[np.argmax(mask), 2] = np.nan
    assert np.isnan(ranking_error(*map(jnp.asarray, (outputs, is_right, mask))))


def test_noisy_targets_are_trained_and_clean_ones_judged():
    experiment = PAPER["3c"].at("memory_blocks", 10, trials=1)
    trial, key = build(experiment), trial_key(0, 0)
    settings = jax.tree.map(lambda a: a[0], settings_of(experiment))
    state = jax.jit(trial.init)(key, settings)
    sequence = jax.jit(trial.draw)(key, np.int32(0))
    _, error = jax.jit(trial.update)(state, settings, sequence, np.int32(0))
    _, outputs = unroll(cell_of(experiment), state.params, sequence.inputs)
    last = int(sequence.mask.argmax())
    clean = 0.2 if sequence.inputs[0, 0] > 0 else 0.8
    assert abs(float(sequence.targets[last, 0]) - clean) > 0.01
    assert error == pytest.approx(abs(float(jax.nn.sigmoid(outputs[last, 0])) - clean), rel=1e-5)


# Small experiments that end in a moment: tell the sign of the first of eleven numbers.
EASY = Experiment(
    task="two_sequence",
    length=11,
    cell="simple_rnn",
    hidden_size=6,
    objective="half_squared_error",
    loss_reduction="sum",
    initializer="xavier",
    learning_rate=1.0,
    threshold=0.2,
    window=50,
    mean_error=0.1,
    max_steps=600,
    trials=5,
    final_test=40,
)
BY_TEST = replace(EASY, test_size=24, test_every=20, max_failures=1, mean_error=0.05)
ADAM = replace(EASY, optimizer="clipped_adam", learning_rate=0.005)


def promotion(experiment):
    """Strict, but for optax's Adam, which relies on the promotion of its step count."""
    return jax.numpy_dtype_promotion("standard" if experiment is ADAM else "strict")


@pytest.fixture(params=[EASY, BY_TEST, ADAM], ids=["window", "test", "adam"])
def experiment(request):
    """The test runs for every rule, and for an optimizer that has a state."""
    with promotion(request.param):
        yield request.param


@pytest.fixture(scope="module")
def outcomes():
    ends = {}
    for experiment in (EASY, BY_TEST, ADAM):
        with promotion(experiment):
            ends[experiment] = run_trials(experiment)
    return ends


def params_after(experiment, steps):
    """Every trial's parameters after each of some numbers of training steps, without the runner."""
    one = jax.devices()[:1]
    trial, settings = build(experiment), settings_of(experiment)
    numbers = np.arange(experiment.trials, dtype=np.int32)
    chunk = make_chunk(trial, experiment.seed, 1, one)
    lanes = Lanes(numbers, np.zeros_like(numbers), settings)
    state, after = empty_state(trial, experiment.seed, lanes, one), {}
    for step in range(max(steps)):
        state, _ = chunk(state, lanes._replace(step=np.full_like(numbers, step)))
        if step + 1 in steps:
            after[step + 1] = jax.device_get(state.params)
    return after


def of_trial(tree, trial):
    return jax.tree.map(lambda leaf: leaf[trial], tree)


def errors_on(stream, count):
    """Function of (trial, params): errors on sequences 0, 1, ... of a stream of its keys."""
    draw = build(EASY).draw

    def error(key, params, number):
        sequence = draw(key, number)
        _, outputs = unroll(CELLS[EASY.cell], params, sequence.inputs)
        y = jax.nn.sigmoid(outputs)
        return jnp.max(jnp.abs(y - sequence.targets), where=sequence.mask[:, None], initial=0.0)

    many = jax.jit(jax.vmap(error, (None, None, 0)))

    def errors(trial, params):
        key = jax.random.fold_in(trial_key(EASY.seed, trial), np.uint32(2**32 - stream))
        return np.asarray(many(key, params, jnp.arange(count)), np.float64)

    return errors


def test_the_final_test_is_taken_with_the_weights_a_trial_ended_with(experiment, outcomes):
    solved = [outcome for outcome in outcomes[experiment] if outcome.status == "solved"]
    assert len(solved) >= 4
    assert len({outcome.steps for outcome in solved}) > 1
    params = params_after(experiment, {outcome.steps for outcome in outcomes[experiment]})
    final_errors = errors_on(stream=3, count=40)
    for outcome in outcomes[experiment]:
        own = of_trial(params[outcome.steps], outcome.trial)
        errors = final_errors(outcome.trial, own)
        assert outcome.final_wrong == (errors > 0.2).sum()
        assert outcome.final_error == pytest.approx(errors.mean(), abs=1e-5)


def test_a_test_set_of_its_own_decides_each_trial_at_fixed_steps(outcomes):
    looks = range(20, BY_TEST.max_steps + 1, 20)
    params, test_errors = params_after(BY_TEST, set(looks)), errors_on(stream=2, count=24)
    for outcome in outcomes[BY_TEST]:
        correct_at = solved_at = None
        for steps in looks:
            errors = test_errors(outcome.trial, of_trial(params[steps], outcome.trial))
            if (errors > 0.2).sum() <= 1:
                correct_at = steps - 1 if correct_at is None else correct_at
                if errors.mean() < 0.05:
                    solved_at = steps - 1
                    break
        assert (outcome.correct_at, outcome.solved_at) == (correct_at, solved_at)


def test_outcomes_depend_neither_on_lanes_nor_on_chunks(experiment, outcomes):
    for lanes, chunk_steps in ((2, 90), (3, 250), (64, 37)):
        again = run_trials(experiment, lanes=lanes, chunk_steps=chunk_steps)
        assert again == outcomes[experiment]


class Memory:
    arrays = None

    def load(self):
        return self.arrays

    def save(self, arrays):
        self.arrays = {name: np.array(array) for name, array in arrays.items()}


@pytest.mark.parametrize("kill_at", [3, 12, 25])
def test_a_killed_run_goes_on_to_the_same_outcomes(experiment, kill_at, outcomes, monkeypatch):
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    memory, seen = Memory(), []

    def kill(tally):
        seen.append(tally)
        if len(seen) == kill_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(experiment, lanes=2, chunk_steps=20, on_chunk=kill, checkpoint=memory)
    assert run_trials(experiment, lanes=2, checkpoint=memory) == outcomes[experiment]


def test_a_diverged_trial_has_no_final_test_and_disturbs_no_other():
    rates = (1.0, 1.0, 3e38, 1.0, 1.0)
    base = replace(EASY, clipping="none", objective="half_squared_error_linear", max_steps=60)
    exploded = run_trials(replace(base, learning_rate=rates))
    assert exploded[2].status == "diverged"
    assert exploded[2].final_wrong is None
    calm = run_trials(base)
    assert exploded[:2] + exploded[3:] == calm[:2] + calm[3:]


def test_a_lane_stands_still_from_its_stop_on():
    trial, settings = build(EASY), settings_of(EASY)
    lanes = Lanes(np.arange(5, dtype=np.int32), np.zeros(5, np.int32), settings)
    stop = np.array([0, 3, 30, 12, NEVER], np.int32)
    one = jax.devices()[:1]
    chunk = make_chunk(trial, 0, 30, one, keep_state=True)
    state, _ = chunk(empty_state(trial, 0, lanes, one), lanes._replace(stop=stop))
    after = params_after(EASY, {3, 12, 30})
    close = partial(np.testing.assert_allclose, atol=1e-6)
    jax.tree.map(close, of_trial(state.params, 0), first_params(EASY, 0))
    for lane, steps in ((1, 3), (2, 30), (3, 12), (4, 30)):
        jax.tree.map(close, of_trial(state.params, lane), of_trial(after[steps], lane))


def test_before_it_joins_the_hidden_part_is_neither_seen_nor_trained():
    experiment = PAPER["2a"].at("one_cell", 6, trials=1, join_at=3)
    trial, key = build(experiment), trial_key(0, 0)
    settings = jax.tree.map(lambda a: a[0], settings_of(experiment))
    states = [jax.jit(trial.init)(key, settings)]
    for step in range(5):
        sequence = trial.draw(key, jnp.int32(step))
        state, error = jax.jit(trial.update)(states[-1], settings, sequence, np.int32(step))
        params = states[-1].params
        if step < 3:
            params = params._replace(output_weights=jnp.zeros_like(params.output_weights))
        _, outputs = unroll(cell_of(experiment), params, sequence.inputs)
        missed = jnp.abs(jax.nn.sigmoid(outputs) - jax.nn.one_hot(sequence.targets, 6))
        assert error == pytest.approx(float(missed.max()), rel=1e-5)
        states.append(state)
    before, joined, after = (states[k].params for k in (0, 3, 5))
    for name in ("input_weights", "output_weights"):
        np.testing.assert_array_equal(getattr(before, name), getattr(joined, name))
        assert (getattr(joined, name) != getattr(after, name)).any()
    assert (before.direct_weights != joined.direct_weights).any()


def test_each_program_is_traced_once(monkeypatch):
    traced = {"test": 0, "final_test": 0}

    def counting(name, function, key, params):
        traced[name] += 1
        return function(key, params)

    def build_counting(experiment):
        trial = build(experiment)
        return trial._replace(
            **{name: partial(counting, name, getattr(trial, name)) for name in traced}
        )

    monkeypatch.setattr(runner, "build", build_counting)
    seen = []
    run_trials(BY_TEST, on_chunk=seen.append)
    assert len(seen) > 3
    assert traced == {"test": 1, "final_test": 1}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"test_size": -1}, "test-size -1 must not be negative"),
        ({"final_test": -1}, "final-test -1 must not be negative"),
        ({"max_failures": -2}, "max-failures -2 must not be negative"),
        ({"mean_error": 0.0}, "mean-error 0.0 must be a positive number"),
        ({"test_every": 0}, "test-every 0 must be at least 1"),
        ({"test_size": 9, "test_every": 700}, "max-steps 600 must be at least 700, the first step"),
        ({"cell": "lstm", "cell_options": {"block_size": 1}}, "cell lstm takes no options"),
        ({"cell": "memory_block"}, "unknown cell 'memory_block': choose from gru, .* memory_bl"),
        (
            {"cell": "memory_blocks", "cell_options": {"block_size": 0}},
            "block-size 0 must be at least 1",
        ),
        ({"task_options": {"num_informative": 0}}, "num_informative 0 must be at least 1"),
    ],
)
def test_a_bad_setting_is_refused_with_one_sentence(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        build(replace(EASY, **settings))


# Rows and tables


def paper_rows(name, length, ends, **results):
    suite = PAPER[name]
    experiment = suite.at(suite.cells[0], length, trials=len(ends))
    rows = []
    for trial, end in enumerate(ends):
        rows.append(
            make_row(
                experiment,
                runner.Outcome(
                    trial=trial,
                    status="unsolved" if end is None else "solved",
                    solved_at=end,
                    last_above=0,
                    steps=experiment.max_steps if end is None else end + 1,
                    curve=(0.5,),
                    **{key: values[trial] for key, values in results.items()},
                ),
            )
        )
    return json.loads(json.dumps(rows))


def test_a_line_counts_sequences_and_lays_them_beside_the_published_row():
    (line,) = summarize(
        paper_rows("3a", 100, [999, 2999, None], correct_at=[499, 999, 1499], final_wrong=[0, 2, 9])
    )
    assert (line.solved, line.mean, line.least) == (2, 2000, 1000)
    assert (line.num_correct, line.correct) == (3, 1000)
    assert line.wrong == pytest.approx(1 / 2560)
    assert line.paper.sequences == 39_850
    assert line.published is None


def test_a_length_that_was_not_published_is_counted_and_explained_all_the_same():
    (line,) = summarize(paper_rows("6a", 77, [9_999], final_wrong=[0]))
    assert (line.mean, line.paper) == (10_000, None)
    assert "training sequences until" in legend([line])


def test_the_stretch_that_proves_2a_is_not_counted():
    (line,) = summarize(paper_rows("2a", 101, [14_999]))
    assert line.mean == 5000
    assert line.wrong is None


MANY = (
    paper_rows("2c", 50, [60_000, None])
    + paper_rows("2c", 100, [None])
    + paper_rows("2c-feedforward", 100, [45_000])
    + paper_rows("2c-feedforward", 50, [40_000])
    + paper_rows("3a", 100, [1_999_999], correct_at=[1_000_000], final_wrong=[3])
)


def test_the_published_row_stands_above_ours_of_the_same_length():
    text = markdown(summarize(MANY))
    headings, _, *rows = ([*map(str.strip, row.split("|")[1:-1])] for row in text.splitlines())
    assert headings[:4] == ["net", "T", "solved", "95%"]
    assert headings[-3:] == ["ST1", "its mean", "wrong"]
    assert [tuple(row[:2]) for row in rows] == [
        ("published", "50"),
        ("2c", "50"),
        ("2c-feedforward", "50"),
        ("published", "100"),
        ("2c", "100"),
        ("2c-feedforward", "100"),
        ("published", "100"),
        ("3a", "100"),
    ]
    means = [row[headings.index("mean")] for row in rows]
    assert means == ["30,000", "50,001", "30,001", "31,000", "-", "35,001", "39,850", "2,000,000"]
    last = [row[headings.index("its mean") :] for row in rows[-2:]]
    assert last == [["27,380", "0.0195%"], ["1,000,001", "0.117%"]]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_narrow_terminal_gets_fewer_columns_and_no_cut_ones(width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table(summarize(MANY), console))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for whole in ("published", "2c-feedforward", "1/1", "2,000,000", "30,001", "0.117%"):
        assert whole in text
    assert ("best" in text) == (width == 200)


def test_a_row_of_an_older_version_is_still_the_notebooks():
    outcome = runner.Outcome(0, "solved", 1200, 200, 1201, (0.5,))
    row = make_row(NOTEBOOK.at("lstm", 5, trials=1), outcome)
    for name in ("task_options", "cell_options", "join_at", "max_failures", "mean_error"):
        del row[name]
    (line,) = summarize([row])
    assert line.published is not None
    (other,) = summarize([row | {"join_at": 5}])
    assert other.published is None
