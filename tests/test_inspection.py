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

from jaxrnn import SUITES, Cell, Experiment, Outcome, inspection, lstm, noise_free, unroll
from jaxrnn.inspection import Look, Record, draw_gradient_norms, draw_look, look_at_both, reach_of
from jaxrnn.inspection.pictures import SHOWN_SHARE, ends_of, label, rows_of
from jaxrnn.inspection.record import two_drawn
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


def heat_maps_of(figure):
    return [axes for axes in figure.axes if axes.images]


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


def test_both_sequences_are_those_of_the_task_and_their_picture_holds_the_record():
    experiment, cell = replace(TINY, length=5), NETS["lstm"]
    params = random_params(cell)
    record, norms, sequences, errors = seen = look_at_both(experiment, params)
    drawn = drawn_from(noise_free(5), 8)
    found = {int(drawn.inputs[k, 0]): of_trial(drawn, k) for k in range(8)}
    inputs = np.array(sequences.inputs)
    assert sorted(found) == sorted(inputs[:, 0]) == [3, 4]
    for k, first in enumerate(inputs[:, 0]):
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
    *heat_maps, _, _ = heat_maps_of(figure)  # the last two are of the outputs
    rows = ["cell", "input", "forget", "output", "candidate", "hidden"]
    assert len(heat_maps) == 3 * len(rows)
    for (name, column), axes in zip(product(rows, range(3)), heat_maps, strict=True):
        both = np.asarray({**record.states, **record.gates}[name])
        shown = np.asarray(axes.images[0].get_array())
        np.testing.assert_array_equal(shown, [*both, both[1] - both[0]][column].T)
    first, second = heat_maps[0].images[0], heat_maps[1].images[0]
    assert first.get_clim() == second.get_clim()
    # The difference is shown only where it stems from one input.
    inputs[1, 2] += 1
    other = seen._replace(sequences=sequences._replace(inputs=inputs))
    assert len(heat_maps_of(draw_look(experiment, UNSOLVED, other))) == 2 * len(rows) + 2


def test_a_state_that_is_a_matrix_is_drawn_as_one_at_a_few_steps():
    rng = np.random.default_rng(0)
    memory, hidden = rng.standard_normal((2, 19, 5, 4)), rng.standard_normal((2, 19, 50))
    record = Record({"memory": memory, "hidden": hidden}, {}, np.zeros((2, 19, 20)))
    seen = Look(record, np.ones((2, 19)), two_drawn(noise_free(20)), np.zeros(2))
    figure = draw_look(replace(TINY, length=20, hidden_size=50), UNSOLVED, seen)
    panels = figure.axes[3:6]  # between the inputs and the hidden units
    assert panels[0].get_ylabel() == "memory\n5 by 4"
    most = np.quantile(np.abs(memory), SHOWN_SHARE)
    limits = []
    for panel, expected in zip(panels, [*memory, memory[1] - memory[0]], strict=True):
        drawn = [axes for axes in panel.child_axes if axes.images]
        steps = [0, 3, 5, 8, 10, 13, 15, 18]  # evenly spaced in 19 steps
        assert [axes.get_xlabel() for axes in drawn] == [f"t = {step}" for step in steps]
        images = [axes.images[0] for axes in drawn]
        np.testing.assert_array_equal([one.get_array() for one in images], expected[steps])
        (colors,) = {one.get_clim() for one in images}
        limits.append(colors)
    assert limits[0] == limits[1] == (-most, most)
    assert limits[2][1] == np.abs(memory[1] - memory[0]).max()
    # Units that are shown of many have their own numbers.
    assert len(figure.axes[9].get_xticklabels()) > 2  # the panels above took no ticks away
    axes = figure.axes[6]
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
    norms = np.array([[1e-200, 2.0, 4.0], [1e-200, 1.0, 0.5]])
    with warnings.catch_warnings(action="error"):
        nets = {"one": norms, "two": norms[:, 1:], "dead": np.zeros((2, 3))}
        (axes,) = draw_gradient_norms(nets).axes
    names = ["one", "two", "dead (gradient 0)", "halved by every step"]
    assert [line.get_label() for line in axes.lines] == names
    one, two, _, halved = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(one[1:], [1.0, 1.0])
    assert len(two) == 2
    np.testing.assert_array_equal(halved, [0.25, 0.5, 1.0])
    # It has the steps that all sequences have.
    norms = [np.array([9.0, 1.0, 2.0, 4.0]), np.array([8.0, 2.0, 8.0])]
    (axes,) = draw_gradient_norms({"one": norms}).axes
    one, _ = axes.lines
    np.testing.assert_array_equal(one.get_xdata(), [-2, -1, 0])
    np.testing.assert_allclose(one.get_ydata(), [0.5, 2**-1.5, 1.0])
    assert axes.get_ylim()[0] < min(one.get_ydata())


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
