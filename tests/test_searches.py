"""Searches side by side: which program comes next, and what each search gets."""

from dataclasses import replace

import pytest
from helpers import STREAK, pretended

from jaxrnn import Experiment, InputError, Outcome, open_run, run_trials
from jaxrnn.problems import settled
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.queue import Queue, Search

END = Outcome(trial=0, status="unsolved", solved_at=None, last_above=8, steps=9, curve=(0.5,))


def asks(begun, *rounds):
    """A search for these lengths, round by round, that finds the lengths of the rows it got; it
    notes in ``begun`` what it asks for."""
    got = []
    for lengths in rounds:
        begun.append(lengths)
        rows = yield [replace(STREAK, length=length, trials=1) for length in lengths]
        got.append([row["length"] for row in rows])
    return got


def taken(queue, last=False):
    """The length of the next program."""
    program = queue.next(last)
    return program and program.waiting[0].experiment.length


def end(queue, length):
    """The trials of a length have ended."""
    (program,) = [one for key, one in queue._programs.items() if key.length == length]
    ended = [(ticket, END) for ticket in program.waiting]
    program.waiting.clear()
    program.on_end(ended)
    queue.over(program)


def test_a_search_goes_on_while_another_waits_and_begins_only_when_it_is_needed(tmp_path):
    begun = []
    rounds = [([4, 5], [6]), ([7], [8]), ([9],)]
    with RunDirectory(tmp_path) as directory:
        searches = [Search([asks(begun, *of)], directory) for of in rounds]
        queue = Queue(searches, directory)
        assert (taken(queue), taken(queue, last=True)) == (4, 9)
        assert begun == [[4, 5], [9]]  # the one between them can wait
        assert taken(queue) == 5
        end(queue, 4)
        assert begun == [[4, 5], [9]]
        end(queue, 5)
        assert begun == [[4, 5], [9], [6]]
        assert (taken(queue), taken(queue)) == (6, 7)
        assert taken(queue) is taken(queue, last=True) is None
        for length in (6, 9, 7):
            end(queue, length)
        assert taken(queue) == 8
        end(queue, 8)
        assert taken(queue) is None
    assert [one.found for one in searches] == [[[[4, 5], [6]]], [[[7], [8]]], [[[9]]]]


def test_what_two_searches_ask_for_is_run_once_and_what_comes_joins_its_program(tmp_path):
    begun = []
    with RunDirectory(tmp_path) as directory:
        searches = [
            Search([asks(begun, [4, 5], [6])], directory),
            Search([asks(begun, [5])], directory),
        ]
        queue = Queue(searches, directory)
        five = queue.next(last=True)
        assert (five.waiting[0].experiment.length, taken(queue)) == (5, 4)
        assert len(five.waiting) == 1
        assert taken(queue) is None
        five.on_end([(five.waiting.popleft(), END)])
        assert searches[1].found == [[[5]]]
        queue.over(five)
        end(queue, 4)
        assert taken(queue) == 6
        # Whoever has a program that another search asks for, too, gets its tickets.
        late = Search([asks(begun, [6])], directory)
        queue.searches = [*searches, late]
        assert taken(queue) is None
        end(queue, 6)
    assert [one.found for one in (searches[0], late)] == [[[[4, 5], [6]]], [[[6]]]]


def test_the_tickets_of_an_experiment_are_in_one_job_and_small_ones_share_it(tmp_path):
    made = [settled(replace(STREAK, seed=n, trials=n)) for n in (8, 2, 10, 3)]
    longer = settled(replace(made[1], length=6))

    def asking():
        yield [*made, longer]

    with RunDirectory(tmp_path) as directory:
        queue = Queue([Search([asking()], directory)], directory)
        jobs = list(queue.jobs())
    eight, two, ten, three = (one.tickets() for one in made)
    expected = [[*eight, *two], ten, three, longer.tickets()]
    assert [tickets for tickets, _ in jobs] == expected
    assert len({checkpoint.path for _, checkpoint in jobs}) == 4


def test_the_generators_of_a_search_begin_together_and_wait_for_each_other(tmp_path):
    told = []

    def first():
        yield from ([replace(STREAK, length=length, trials=1)] for length in (4, 6))
        found.append(1)
        return "first"

    def second():
        assert len((yield [replace(STREAK, length=5, trials=1)])) == 1
        while not found:
            assert (yield []) == []
        yield [replace(STREAK, length=7, trials=1)]
        return "second"

    for again in (False, True):
        found = []
        with RunDirectory(tmp_path) as directory:
            search = Search([second(), first()], directory, lambda *of: told.append(of))
            queue = Queue([search], directory)
            if not again:
                assert (taken(queue), taken(queue)) == (5, 4)
                for length in (5, 4):
                    end(queue, length)
                assert (taken(queue), taken(queue)) == (6, None)
                end(queue, 6)
                assert taken(queue) == 7
                end(queue, 7)
            assert taken(queue) is None
        assert search.found == ["second", "first"]
        assert [one.length for one in search.asked] == [5, 7, 4, 6]
    assert told == [("first", True), ("second", True), ("first", False), ("second", False)]


def test_each_search_gets_its_rows_and_they_are_kept_in_its_order(tmp_path):
    small = replace(STREAK, cell="simple_rnn", hidden_size=6, trials=2, max_steps=60)

    def longer(base):
        """The first length that no trial solves, and its rows."""
        for length in (5, 6):
            rows = yield [replace(base, length=length)]
            assert {(row["length"], row["seed"]) for row in rows} == {(length, base.seed)}
        return base.seed, len(rows)

    bases = [replace(small, seed=seed) for seed in (1, 2)]
    for _ in range(2):  # of which the second has nothing to do
        with open_run(tmp_path, report=False) as run:
            assert run.search(map(longer, bases)) == [(1, 2), (2, 2)]
            rows = [(row["seed"], row["length"]) for row in run.directory.rows]
        assert rows == [(one.seed, length) for one in bases for length in (5, 6) for _ in range(2)]
    assert [row.outcome for row in run.directory.rows[4:6]] == run_trials(bases[1])

    def asking():
        yield [small]
        yield [replace(small, cell="no_cell")]

    # A bad experiment is refused when its turn has come.
    with open_run(tmp_path, report=False) as run:
        with pytest.raises(InputError, match="no_cell"):
            run.search([asking()])
        assert len(run.directory.rows) == 10


def test_memory_is_looked_at_once_a_program(tmp_path, monkeypatch):
    looked_at = []
    monkeypatch.setattr(
        "jaxrnn.training.runner.check_memory", lambda one, *_, **__: looked_at.append(one)
    )
    pretended(monkeypatch, lambda one: 20)
    base = Experiment(cell="simple_rnn", length=5, trials=2)
    with open_run(tmp_path, report=False) as run:
        run([base, replace(base, seed=1), replace(base, length=6), replace(base, trials=3)])
        with pytest.raises(InputError, match="unknown initializer 'none'"):
            run([replace(base, trials=1), replace(base, trials=1, initializer="none")])
    assert [(one.length, one.trials) for one in looked_at] == [(5, 2), (6, 2), (5, 3), (5, 1)]
