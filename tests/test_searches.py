"""Searches side by side: which job comes next, and what each search gets."""

from collections import deque
from dataclasses import replace

import pytest
from helpers import STREAK

from jaxrnn import InputError, open_run
from jaxrnn.sweeps.searches import Search, Searches
from jaxrnn.sweeps.work import Job


class Held:
    """A directory that has no rows, and knows which experiments have ended."""

    def __init__(self):
        self.ended = set()

    def missing(self, experiment):
        return () if experiment.length in self.ended else (0,)

    def rows_of(self, experiment):
        return [experiment.length]


class Script:
    """The work of some experiments, and those that were begun, by their lengths."""

    def __init__(self, held, begun, asked):
        self.held = held
        self.waiting = deque(Job(one, (0,), None) for one in asked if held.missing(one))
        begun.append([one.length for one in asked])

    def next(self, last=False):
        if not self.waiting:
            return None
        return self.waiting.pop() if last else self.waiting.popleft()

    def beside(self, job, fits):
        taken = []
        while self.waiting and fits([job, *taken, self.waiting[0]], len(self.waiting) - 1):
            taken.append(self.waiting.popleft())
        return taken

    def most_steps(self):
        return len(self.waiting)

    def on_end(self, job, outcomes, weights, made_on=None):
        self.held.ended.add(job.experiment.length)

    def rows(self):
        return []


def asks(*rounds):
    """A search for these lengths, round by round, that finds the rows that it got."""
    got = []
    for lengths in rounds:
        got.append((yield [replace(STREAK, length=length) for length in lengths]))
    return got


@pytest.fixture
def script():
    def made(*asking, ended=()):
        held, begun = Held(), []
        held.ended |= set(ended)
        searches = [Search(one, held) for one in asking]
        return searches, Searches(searches, lambda asked: Script(held, begun, asked)), begun

    return made


def test_a_search_goes_on_while_another_waits_and_begins_only_when_it_is_needed(script):
    searches, jobs, begun = script(asks([4, 5], [6]), asks([7], [8]), asks([9]))
    one, last = jobs.next(), jobs.next(last=True)
    assert (one.experiment.length, last.experiment.length) == (4, 9)
    assert begun == [[4, 5], [9]]  # the one between them can wait
    two = jobs.next()
    jobs.on_end(one, [], None)
    assert begun == [[4, 5], [9]]
    jobs.on_end(two, [], None)
    assert begun == [[4, 5], [9], [6]]
    three, four = jobs.next(), jobs.next()
    assert (three.experiment.length, four.experiment.length) == (6, 7)
    assert jobs.next() is None
    assert jobs.next(last=True) is None
    for job in (three, last, four):
        jobs.on_end(job, [], None)
    jobs.on_end(jobs.next(), [], None)
    assert jobs.next() is None
    assert [one.found for one in searches] == [[[[4, 5], [6]]], [[[7], [8]]], [[[9]]]]


def test_a_batch_is_of_one_search_and_the_others_are_something_to_do(script):
    _, jobs, begun = script(asks([4, 5, 6]), asks([7, 8, 9]), asks([10]))
    told = []

    def fits(some, left):
        told.append(left)
        return True

    def steps(*lengths):
        return STREAK.max_steps * sum(lengths)

    first = jobs.next()
    others = jobs.beside(first, fits)
    assert [job.experiment.length for job in others] == [5, 6]
    # Each of the two searches that have not begun counts as much as the batch.
    assert told == [1 + 2 * steps(4, 5), 0 + 2 * steps(4, 5, 6)]
    one, last = jobs.next(), jobs.next(last=True)
    assert [one.experiment.length, last.experiment.length] == [7, 10]
    told.clear()
    assert jobs.beside(last, fits) == []
    assert len(jobs.beside(one, fits)) == 2
    assert told == [1, 0]
    for job in (first, *others):  # which belong to the first search
        jobs.on_end(job, [], None)
    assert begun == [[4, 5, 6], [7, 8, 9], [10]]


def test_a_search_goes_on_only_when_none_of_its_jobs_is_under_way(script):
    """Not even one whose trials are all there, since others had them, too."""

    def asking():
        yield [replace(STREAK, length=4, trials=trials) for trials in (1, 2)]
        yield [replace(STREAK, length=5)]

    _, jobs, begun = script(asking())
    one, other = jobs.next(), jobs.next()
    jobs.on_end(one, [], None)
    assert begun == [[4, 4]]
    jobs.on_end(other, [], None)
    assert begun == [[4, 4], [5]]


def test_what_is_there_is_not_asked_for_again(script):
    searches, jobs, begun = script(asks([4], [5], [6, 7]), asks([8]), ended=(4, 5, 7, 8))
    assert jobs.next().experiment.length == 6
    assert jobs.next() is None
    assert begun == [[6, 7]]
    assert searches[1].found == [[[8]]]


def test_each_search_gets_its_rows_and_they_are_kept_in_its_order(tmp_path):
    def longer(base):
        """The first length that no trial solves, and its rows."""
        for length in (4, 5):
            rows = yield [replace(base, length=length)]
            assert {row["length"] for row in rows} == {length}
            assert {row["cell"] for row in rows} == {base.cell}
        return base.cell, len(rows)

    small = replace(STREAK, hidden_size=4, trials=2, max_steps=60)
    bases = [replace(small, cell=cell) for cell in ("irnn", "simple_rnn")]
    with open_run(tmp_path, report=False) as run:
        assert run.search(map(longer, bases)) == [("irnn", 2), ("simple_rnn", 2)]
        rows = [(row["cell"], row["length"]) for row in run.directory.rows]
    assert rows == [(one.cell, length) for one in bases for length in (4, 5) for _ in range(2)]
    with open_run(tmp_path, report=False) as run:
        assert run.search(map(longer, bases)) == [("irnn", 2), ("simple_rnn", 2)]


def test_a_bad_experiment_is_refused_when_its_turn_has_come(tmp_path):
    def asking():
        yield [replace(STREAK, max_steps=60, trials=1)]
        yield [replace(STREAK, max_steps=60, trials=1, cell="no_cell")]

    with open_run(tmp_path, report=False) as run:
        with pytest.raises(InputError, match="no_cell"):
            run.search([asking()])
        assert len(run.directory.rows) == 1
