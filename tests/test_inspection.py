"""What `jaxrnn inspect` shows must be what the trained net does."""

import warnings
from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_trees_close, drawn_from, net_of, of_trial, random_params
from jax import lax
from scipy.special import softmax

from jaxrnn import (
    CELLS,
    SUITES,
    Cell,
    Experiment,
    InputError,
    Outcome,
    inspection,
    lstm,
    noise_free,
    run,
    unroll,
)
from jaxrnn.inspection import (
    Choice,
    Look,
    Record,
    draw_gradient_norms,
    draw_look,
    look_at_both,
)
from jaxrnn.inspection.pictures import ends_of, label, reach_of, rows_of
from jaxrnn.problems import Sequence
from jaxrnn.training.objectives import loss_and_error
from jaxrnn.training.parts import parts_of

norms_of = jax.jit(inspection.gradient_norms, static_argnums=0)
look_at = jax.jit(inspection.look, static_argnums=0)

TINY = Experiment(length=4, hidden_size=3, trials=2, window=5, max_steps=30)
UNSOLVED = Outcome(1, "unsolved", None, 9, 12_000, ())


def step_only(*sizes: int) -> Cell:
    """Only what a cell needs: no fast path, no symbols, nothing to look at; a state of two."""
    one = lstm(*sizes)
    return Cell(
        one.init, one.initial_state, lambda params, state, x: one.step(params, state, 2 * x)
    )


SIZES = (5, 3, 5)
NETS = {
    "simple_rnn": net_of("simple_rnn", SIZES),
    "lstm": lstm(*SIZES),
    "step only": step_only(*SIZES),
    "stack": net_of("gru", SIZES, layers=2),
}


def inputs_of(net, symbols, num_inputs):
    return jax.nn.one_hot(symbols, num_inputs) if net == "step only" else symbols


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("net", NETS)
def test_gradient_norms_are_those_by_perturbations_of_the_state_before_each_step(net):
    cell = NETS[net]
    params = random_params(cell)
    xs = inputs_of(net, jnp.array([4, 0, 2, 1, 3, 1]), SIZES[0])
    target = 2

    def log_p(perturbations):
        def step(state, at):
            perturbation, x = at
            return cell.step(params, jax.tree.map(jnp.add, state, perturbation), x)

        _, ys = lax.scan(step, cell.initial_state(params), (perturbations, xs))
        return jnp.log(jnp.exp(ys[-1, target]) / jnp.sum(jnp.exp(ys[-1])))

    none = jax.tree.map(lambda a: jnp.zeros((len(xs), *a.shape)), cell.initial_state(params))
    gradient = jax.jit(jax.grad(log_p))(none)
    expected = np.linalg.norm(np.concatenate(jax.tree.leaves(gradient), axis=1), axis=1)
    norms = norms_of(cell, params, xs, target)
    np.testing.assert_allclose(norms, expected, rtol=1e-10)
    assert min(expected) > 1e-6  # none is there for nothing


def test_gradient_of_an_lstm_of_half_open_gates_is_halved_by_every_step():
    cell = lstm(8, 3, 8)
    params = random_params(cell)
    zeros = jax.tree.map(jnp.zeros_like, params)._replace(output_weights=params.output_weights)
    norms = np.asarray(norms_of(cell, zeros, jnp.zeros(80, jnp.int32), 6))
    assert norms[-1] > 0.01
    np.testing.assert_array_equal(norms[:-1] / norms[1:], 0.5)
    assert norms[0] < 1e-23  # its square is below the least float32


@pytest.mark.parametrize("net", NETS)
def test_look_keeps_what_single_steps_give(net):
    cell = NETS[net]
    params = random_params(cell)
    xs = inputs_of(net, jnp.array([4, 0, 2, 1]), SIZES[0])
    record = look_at(cell, params, xs)
    assert (net in ("simple_rnn", "lstm")) == bool(record.gates)
    state = cell.initial_state(params)
    for t, x in enumerate(xs):
        gates = cell.activations(params, state, x) if cell.activations else {}
        state, y = cell.step(params, state, x)
        if net == "stack":
            states = {"layer 1 hidden": state[0], "layer 2 hidden": state[1]}
        else:
            states = {"hidden": state} if net == "simple_rnn" else state._asdict()
        here = jax.tree.map(lambda a, t=t: a[t], record)
        assert_trees_close(here, Record(states, gates, y), rtol=1e-5, atol=1e-6)


def test_of_two_sequences_with_most_inputs_in_common_the_difference_is_drawn():
    experiment, cell = replace(TINY, length=5), NETS["lstm"]
    params = random_params(cell)
    seen = jax.device_get(look_at_both(experiment, params))
    record, norms, sequences, errors = seen
    drawn = drawn_from(noise_free(5), 8)
    found = {int(drawn.inputs[k, 0]): of_trial(drawn, k) for k in range(8)}
    assert sorted(sequences.inputs[:, 0].tolist()) == sorted(found) == [3, 4]
    for k, first in enumerate(sequences.inputs[:, 0].tolist()):
        expected = look_at(cell, params, found[first].inputs)
        np.testing.assert_allclose(record.outputs[k], expected.outputs, rtol=1e-5, atol=1e-6)
        expected = norms_of(cell, params, found[first].inputs, found[first].targets[-1])
        np.testing.assert_allclose(norms[k], expected, rtol=1e-4)
        np.testing.assert_array_equal(sequences.inputs[k], found[first].inputs)
        p = softmax(record.outputs[k], axis=-1)[np.arange(4), found[first].targets]
        np.testing.assert_allclose(errors[k], 1 - p.min(), rtol=1e-5)

    figure = draw_look(experiment, UNSOLVED, seen)
    title = "lstm (notebook), length 5, trial 1, not solved after 12,000 training sequences"
    assert figure.get_suptitle() == title
    assert label(replace(TINY, task="adding")) == "lstm on adding"  # is no net of the notebook
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    rows = ["cell", "input", "forget", "output", "candidate", "hidden"]
    assert len(panels) == 3 * (len(rows) + 2)
    for (name, column), axes in zip(product(rows, range(3)), panels[3:-3], strict=True):
        both = np.asarray({**record.states, **record.gates}[name])
        shown = np.asarray(axes.images[0].get_array())
        np.testing.assert_array_equal(shown, [*both, both[1] - both[0]][column].T)
    assert panels[3].images[0].get_clim() == panels[4].images[0].get_clim()
    last = sequences.inputs[1, 0]
    p = softmax(record.outputs[1, -1])[last]
    assert panels[1].get_title().endswith(f"target {last}, p({last}) at the last step: {p:.2f}")


def test_a_state_that_is_a_matrix_is_drawn_as_one_at_a_few_steps():
    rng = np.random.default_rng(0)
    memory, hidden = rng.standard_normal((2, 19, 5, 4)), rng.standard_normal((2, 19, 50))
    record = Record({"memory": memory, "hidden": hidden}, {}, np.zeros((2, 19, 20)))
    symbols = jnp.stack([jnp.arange(19), jnp.arange(19).at[0].set(1)])
    seen = Look(record, np.ones((2, 19)), Sequence(symbols, symbols), np.zeros(2))
    figure = draw_look(replace(TINY, length=20, hidden_size=50), UNSOLVED, seen)
    panels = figure.axes[3:6]  # between the inputs and the hidden units
    assert panels[0].get_ylabel() == "memory\n5 by 4"
    limits = []
    for panel, expected in zip(panels, [*memory, memory[1] - memory[0]], strict=True):
        drawn = [axes for axes in panel.child_axes if axes.images]
        steps = [0, 3, 5, 8, 10, 13, 15, 18]  # evenly spaced in 19 steps
        assert [axes.get_xlabel() for axes in drawn] == [f"t = {step}" for step in steps]
        images = [axes.images[0] for axes in drawn]
        np.testing.assert_array_equal([one.get_array() for one in images], expected[steps])
        (colors,) = {one.get_clim() for one in images}
        limits.append(colors)
    most = np.quantile(np.abs(memory), 0.95)
    assert limits[0] == limits[1] == (-most, most)
    assert limits[2][1] == np.abs(memory[1] - memory[0]).max()
    # Units that are shown of many have their own numbers.
    axes = figure.axes[6]
    assert len(figure.axes[9].get_xticklabels()) > 2  # the panels above took no ticks away
    units = [int(label.get_text()) for label in axes.get_yticklabels()]
    assert len(units) == 4
    shown = np.asarray(axes.images[0].get_array())[axes.get_yticks().astype(int)]
    np.testing.assert_array_equal(shown, hidden[0].T[units])
    # Small ones are units, and several stand below each other.
    for shape, own in (((4, 4), (4, 4)), ((3, 7), (21,)), ((7, 3), (21,)), ((2, 5, 4), (10, 4))):
        values = rng.standard_normal((2, 3, *shape))
        (row,) = rows_of(TINY, Record({"hidden": values}, {}, None))
        np.testing.assert_array_equal(row.values, values.reshape(2, 3, *own))


def test_lines_of_the_gradients_end_at_1_and_are_their_sequences_geometric_mean():
    norms = np.array([[1e-100, 2.0, 4.0], [1e-100, 1.0, 0.5]])
    of_two_lengths = [np.array([9.0, 1.0, 2.0, 4.0]), np.array([8.0, 2.0, 8.0])]
    with warnings.catch_warnings(action="error"):
        nets = {"one": norms, "two": of_two_lengths, "dead": np.zeros((2, 3))}
        (axes,) = draw_gradient_norms(nets).axes
    names = ["one", "two", "dead (gradient 0)", "halved by every step"]
    assert [line.get_label() for line in axes.lines] == names
    one, two, _, halved = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(one[1:], [1.0, 1.0])
    # They have the steps that all sequences have.
    np.testing.assert_allclose(two, [0.5, 2**-1.5, 1.0])
    for line in axes.lines:
        np.testing.assert_array_equal(line.get_xdata(), [-2, -1, 0])
    np.testing.assert_array_equal(halved, [0.25, 0.5, 1.0])
    assert axes.get_ylim()[0] < one[0] < 1e-99


def test_picture_of_any_task_holds_its_sequences_up_to_the_last_step_that_counts():
    experiment = replace(SUITES["4-best"].at(), length=20, trials=1)
    parts = parts_of(experiment)
    params = random_params(parts.cell)
    seen = jax.device_get(look_at_both(experiment, params))
    figure = draw_look(experiment, UNSOLVED, seen)
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    ends = ends_of(seen)
    for k, (end, norms) in enumerate(zip(ends, reach_of(seen), strict=True)):
        sequence = jax.tree.map(lambda leaf, k=k: leaf[k], seen.sequences)
        assert np.flatnonzero(sequence.mask)[-1] == end - 1
        _, error = loss_and_error(parts.goal, seen.record.outputs[k], sequence)
        assert seen.errors[k] == pytest.approx(float(error), abs=1e-5)
        assert f"sequence of {end} steps: " in panels[k].get_title()
        assert f"error {error:.2f}" in panels[k].get_title()
        inputs = sequence.inputs[:end]
        drawn = [line.get_ydata() for line in panels[k].lines]
        np.testing.assert_array_equal(np.squeeze(drawn), inputs.T)
        cell = seen.record.states["cell"][k, :end].reshape(end, -1)
        np.testing.assert_array_equal(panels[2 + k].images[0].get_array(), cell.T)
        marks = panels[-2 + k].lines[-1]
        np.testing.assert_array_equal(marks.get_xdata(), np.flatnonzero(sequence.mask))
        targets = sequence.targets[sequence.mask]
        np.testing.assert_array_equal(marks.get_ydata(), np.ravel(targets))
        assert len(norms) == end
        assert norms[-1] > 0

    def loss_of(state):
        _, y = parts.cell.step(params, state, inputs[-1])
        return parts.goal.objective(y[None], sequence.targets[None, end - 1])[0][0]

    state, _ = unroll(parts.cell, params, inputs[:-1])
    gradient = jax.jit(jax.grad(loss_of))(state)
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient)])
    assert norms[-1] == pytest.approx(np.linalg.norm(flat), rel=1e-4)
    last = [seen.sequences.targets[k][end - 1] for k, end in enumerate(ends)]
    assert not np.array_equal(*last)  # of classes, two


def test_what_cannot_be_inspected_is_said_before_anything_is_drawn(tmp_path, monkeypatch):
    def stateless(*sizes):
        init = lstm(*sizes).init
        return Cell(init, lambda params: (), lambda _, state, x: (state, jnp.zeros(4)))

    monkeypatch.setitem(CELLS, "stateless", stateless)
    diverging = replace(TINY, name="fast", learning_rate=1e30, clip=1e30, max_steps=60)
    twice = [replace(TINY, name="one", forget_bias=bias) for bias in (0.0, 5.0)]
    experiments = [replace(TINY, cell="stateless"), diverging, *twice]
    run(experiments, tmp_path / "run", keep_weights=True, report=False)
    for choice, sentence in (
        ({"cells": ["stateless"]}, r"^cell stateless has no state to look at"),
        ({"experiment": ["fast"]}, r"^trial 0 of lstm \(fast\) at length 4 diverged in step \d+:"),
        ({"experiment": ["one"]}, r"^lstm-one-4\.png would show 2 nets"),
    ):
        with pytest.raises(InputError, match=sentence):
            inspection.inspect(tmp_path / "run", Choice(**choice), tmp_path / "none")
    assert not (tmp_path / "none").exists()
