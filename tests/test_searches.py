"""Searches side by side: which job comes next, and what each search gets."""

from collections import deque
from dataclasses import replace
from types import SimpleNamespace

import pytest
from helpers import STREAK

from jaxrnn import InputError, open_run, run_trials
from jaxrnn.sweeps.work import Job, Search, Searches


class Held:
    """A directory that has no rows, and knows which experiments have ended; and the work of those
    that are asked for, which it notes by their lengths in ``begun``."""

    def __init__(self, *asking):
        self.ended, self.begun = set(), []
        self.searches = [Search(one, self) for one in asking]
        self.jobs = Searches(self.searches, lambda asked: Script(self, asked))

    def missing(self, experiment):
        return () if experiment.length in self.ended else (0,)

    def rows_of(self, experiment):
        return [experiment.length]


class Script(SimpleNamespace):
    """The work of some experiments."""

    def __init__(self, held, asked):
        waiting = deque(Job(one, (0,), None) for one in asked if held.missing(one))
        super().__init__(held=held, waiting=waiting, rows=list)
        held.begun.append([one.length for one in asked])

    def next(self, last=False):
        if self.waiting:
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


def asks(*rounds):
    """A search for these lengths, round by round, that finds the rows that it got."""
    got = []
    for lengths in rounds:
        got.append((yield [replace(STREAK, length=length) for length in lengths]))
    return got


def test_a_search_goes_on_while_another_waits_and_begins_only_when_it_is_needed():
    held = Held(asks([4, 5], [6]), asks([7], [8]), asks([9]))
    jobs, begun = held.jobs, held.begun
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
    assert [one.found for one in held.searches] == [[[[4, 5], [6]]], [[[7], [8]]], [[[9]]]]


def test_a_batch_is_of_one_search_and_the_others_are_something_to_do():
    held = Held(asks([4, 5, 6]), asks([7, 8, 9]), asks([10]))
    jobs, begun = held.jobs, held.begun
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


def test_a_search_goes_on_only_when_none_of_its_jobs_is_under_way():
    """Not even one whose trials are all there, since others had them, too."""

    def asking():
        yield [replace(STREAK, length=4, trials=trials) for trials in (1, 2)]
        yield [replace(STREAK, length=5)]

    held = Held(asking())
    jobs, begun = held.jobs, held.begun
    one, other = jobs.next(), jobs.next()
    jobs.on_end(one, [], None)
    assert begun == [[4, 4]]
    jobs.on_end(other, [], None)
    assert begun == [[4, 4], [5]]


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
