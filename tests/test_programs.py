"""A program is a net: how many are compiled, and what is traced for them."""

import sys
from dataclasses import replace

import jax
import pytest
from helpers import ADAM, STREAK, promotion

from jaxrnn import run_trials
from jaxrnn.experiment import PER_TRIAL, SETTINGS
from jaxrnn.problems import settled
from jaxrnn.training import engine, parts, trial
from jaxrnn.training.engine import Program, first_states
from jaxrnn.training.lanes import Narrowing
from jaxrnn.training.trial import build

pytestmark = pytest.mark.usefixtures("fresh_programs")

COMPILED = "backend_compile"


@pytest.fixture(autouse=True)
def no_nets_held():
    """Each cache of what nets are built of holds the last 256. After more nets in one process one
    of them may still have what another has lost, and equal nets would differ."""
    for module in (parts, trial):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()


@pytest.fixture
def events(monkeypatch):
    """What JAX has spent time on since the test began. Meanwhile it forgets no traces, or it would
    compile small programs of its own again."""
    monkeypatch.setattr(parts, "FORGET_AFTER", sys.maxsize)
    seen = []

    def note(name, seconds, **_):
        seen.append(name)

    jax.monitoring.register_event_duration_secs_listener(note)
    yield seen
    jax.monitoring.unregister_event_duration_listener(note)


def programs():
    """The programs that train and are held, by their keys."""
    return {key: one for key, one in engine._held.items() if isinstance(one, Program)}


def compiled():
    """The numbers of lanes that the programs which are held are compiled for."""
    return [width for program in programs().values() for width in program.chunk.widths()]


DATA = {
    **{"name": "mine", "seed": 3, "trials": 4, "max_steps": 700, "window": 55, "threshold": 0.3},
    **{"max_failures": 2, "mean_error": 0.2, "test_every": 50, "learning_rate": 0.7, "clip": 2.0},
    **{"initial_scale": 0.5, "input_bias": 1.0, "forget_bias": 2.0, "output_bias": 3.0},
}


def test_what_is_data_to_a_program_changes_no_net_and_everything_else_does():
    other = {
        **{"task": "no_regularities", "task_options": {"num_symbols": 5}, "cell": "gru"},
        **{"cell_options": {"a": 1}, "length": 6, "hidden_size": 5, "layers": 2, "convolution": 4},
        **{"initializer": "xavier", "objective": "half_squared_error", "measure": "ranking_error"},
        **{"loss_reduction": "sum", "optimizer": "clipped_adam", "clipping": "norm"},
        **{"batch_size": 4, "join_at": 5, "test_size": 64, "final_test": 64, "test_lengths": (7,)},
    }
    other |= {"optimizer_options": {"momentum": 0.5}, "schedule": "cosine", "warmup": 3}
    other |= {"schedule_options": {"final": 0.1}}
    base = settled(STREAK)
    assert {*DATA, *other, "stack_hidden"} == set(SETTINGS)
    assert set(PER_TRIAL) <= set(DATA)
    for name, value in (DATA | other).items():
        is_same = replace(base, **{name: value}).net() == base.net()
        assert is_same == (name in DATA), name
    deep = replace(base, layers=2)
    assert replace(deep, stack_hidden=True).net() != deep.net()
    # A schedule may end at the cap, which is data to all other nets.
    ending = replace(base, schedule="cosine")
    assert replace(ending, max_steps=base.max_steps + 1).net() != ending.net()
    assert build(replace(base, **DATA)) == build(base)
    drawn = build(replace(base, initializer="xavier"))
    assert drawn != build(base)
    assert drawn._replace(init=build(base).init) == build(base)


def test_experiments_that_differ_in_data_share_one_program(events):
    rates = (0.3, 1.0, 0.5, 0.2, 2.0)
    some = [
        replace(STREAK, seed=7),
        replace(STREAK, learning_rate=rates, forget_bias=1.0, threshold=0.4, window=50),
        replace(STREAK, trials=4, max_steps=600),  # in lanes for five
    ]
    first = run_trials(STREAK, chunk_steps=60)
    events.clear()
    shared = [run_trials(one, chunk_steps=60) for one in some]
    assert len(compiled()) == 1
    assert not [name for name in events if COMPILED in name]
    assert shared[2] == run_trials(replace(STREAK, max_steps=600), chunk_steps=60)[:4]
    assert shared[0] != first
    for one, outcomes in zip(some, shared, strict=True):
        engine.forget_programs()
        assert run_trials(one, chunk_steps=60) == outcomes


def test_initializers_share_one_program_but_for_the_first_weights(events):
    some = [replace(STREAK, initializer=one) for one in ("xavier", "orthogonal", "chrono")]
    for one in some:
        run_trials(one, chunk_steps=60)  # which compiles JAX's small programs
    engine.forget_programs()
    run_trials(STREAK, chunk_steps=60)
    events.clear()
    shared = [run_trials(one, chunk_steps=60) for one in some]
    assert len(compiled()) == 1
    # First weights. That JAX compiles QR decompositions, for one, apart is not counted here.
    assert len([name for name in events if COMPILED in name]) == len(some)
    assert len({str(outcomes) for outcomes in shared}) == len(some)
    for one, outcomes in zip(some, shared, strict=True):
        engine.forget_programs()
        assert run_trials(one, chunk_steps=60) == outcomes


def test_one_program_draws_the_first_weights_of_a_cell_whatever_the_length_and_the_lanes(
    events, monkeypatch
):
    # Whether a run goes on in fewer lanes depends on the time that a compilation takes.
    monkeypatch.setattr(Narrowing, "width", lambda *arguments: None)
    some = [
        replace(STREAK, task="parity", initializer="xavier", length=length, trials=trials)
        for length, trials in ((5, 5), (6, 9), (7, 2))
    ]
    for one in some:
        build(one)  # which runs the task, as a check
    run_trials(STREAK, chunk_steps=60)  # which compiles JAX's small programs
    engine.forget_programs()
    events.clear()
    for one in some:
        run_trials(one, chunk_steps=60)
    assert len(compiled()) == len(some)
    # One that trains and one that draws sequences for each, and one that draws first weights.
    assert len([name for name in events if COMPILED in name]) == 2 * len(some) + 1


def test_nets_on_one_task_share_the_program_that_draws_their_sequences():
    some = [
        STREAK,
        replace(STREAK, cell="simple_rnn"),
        replace(STREAK, hidden_size=3, optimizer="clipped_adam"),
        replace(STREAK, final_test=20),
    ]
    for one in some:
        run_trials(one, chunk_steps=60)
    assert len({program.chunk.draws for program in programs().values()}) == 1
    run_trials(replace(STREAK, length=STREAK.length + 1), chunk_steps=60)
    assert len({program.chunk.draws for program in programs().values()}) == 2


def test_a_program_is_not_shared_under_other_settings_of_jax():
    run_trials(replace(STREAK, max_steps=120))
    with jax.default_matmul_precision("float32"):
        run_trials(replace(STREAK, max_steps=120))
    assert len(compiled()) == 2
    init = build(STREAK).init
    drawn = first_states(init, jax.devices())
    with jax.default_matmul_precision("float32"):
        assert first_states(init, jax.devices()) is not drawn
    assert first_states(init, jax.devices()) is drawn


def test_so_many_programs_are_held_those_of_last(monkeypatch):
    monkeypatch.setattr(engine, "HELD", 5)  # two that train, two that draw, and one
    one, two, three = (replace(STREAK, hidden_size=size, max_steps=90) for size in (3, 4, 5))
    for experiment in (one, two, one, three):
        run_trials(experiment)
    held = {key[0] for key in programs()}
    assert held == {build(one)._replace(init=None), build(three)._replace(init=None)}


def test_fewer_are_held_where_few_memory_mappings_are_left(monkeypatch):
    sizes = [replace(STREAK, hidden_size=size, max_steps=90) for size in (3, 4, 5)]
    for experiment in sizes[:2]:
        run_trials(experiment)
    assert len(programs()) == 2
    monkeypatch.setattr(engine, "few_mappings_left", lambda: True)
    run_trials(sizes[2])
    assert len(engine._held) < 5
    engine.forget_programs()
    assert run_trials(sizes[0])  # one at a time will do


def test_a_program_for_a_few_more_lanes_or_one_device_gives_the_same_trials():
    with promotion(ADAM):
        alone = run_trials(replace(ADAM, trials=4))
        engine.forget_programs()
        run_trials(ADAM, devices=jax.devices()[:1])  # for five lanes on one
        assert run_trials(replace(ADAM, trials=4)) == alone
        (key,) = programs()
        assert len(key[2]) == 1


def test_no_more_trials_ride_at_once_than_were_asked_for():
    run_trials(STREAK, devices=jax.devices()[:1])  # in five lanes
    run_trials(STREAK, lanes=4, devices=jax.devices()[:1])
    assert sorted(compiled())[-2:] == [4, 5]
