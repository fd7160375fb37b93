"""The trials that have to be run, and their results, for any kind of trainer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.problems import settled
from jaxrnn.store.archives import CheckpointFile
from jaxrnn.store.rows import Row, make_row
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.training.members import Tally

Weights = Mapping[str, np.ndarray]
OnStart = Callable[[Experiment], None]
OnChunk = Callable[[Experiment, Tally], None]
OnRows = Callable[[Experiment, list[Row], bool], None]
"""Is told of an experiment's rows, and whether some of them are new."""


class Job(NamedTuple):
    """Some trials of an experiment that are to be trained."""

    experiment: Experiment
    trials: tuple[int, ...]
    checkpoint: CheckpointFile

    @property
    def most_steps(self) -> int:
        """The time steps of its trials if each goes on to its cap, about."""
        return len(self.trials) * self.experiment.length * self.experiment.max_steps


Fits = Callable[[Sequence[Job], float], bool]
"""``fits(jobs, left)``: whether one batch may have these jobs while ``left`` time steps wait, if
each trial goes on to its cap."""


class Work:
    """The jobs of some experiments for a trainer, which reports on their progress; their rows are
    written to a run directory."""

    def __init__(
        self,
        experiments: Iterable[Experiment],
        directory: RunDirectory,
        *,
        on_start: OnStart = lambda experiment: None,
        on_chunk: OnChunk = lambda experiment, tally: None,
        on_rows: OnRows = lambda experiment, rows, new: None,
        keep_weights: bool = False,
        here: bool = True,
    ) -> None:
        """Tell ``on_rows`` of the experiments whose trials are all there.

        ``here`` says that this process trains the others; raises InputError as the directory does.
        """
        # From each experiment as rows have it to the experiment as it was given.
        self._given = {settled(experiment): experiment for experiment in experiments}
        self._directory = directory
        self._on_start, self._on_chunk, self._on_rows = on_start, on_chunk, on_rows
        directory.admit(list(self._given), keep_weights, here=here)
        to_run = directory.to_run(list(self._given))
        self._waiting: dict[Experiment, list[Job]] = {}  # by what one batch can train
        for experiment, trials in to_run.items():
            job = Job(experiment, trials, directory.checkpoint(experiment, trials))
            self._waiting.setdefault(experiment.batch(), []).append(job)
        # Experiments whose missing trials all belong to another experiment, too, and are run with
        # it.
        self._with_others: list[Experiment] = []
        for experiment in self._given:
            if not directory.missing(experiment):
                self._tell(experiment, False)
            elif experiment not in to_run:
                self._with_others.append(experiment)

    def next(self, last: bool = False) -> Job | None:
        """The first job that waits, or the last one; None where none waits now. Each is given once,
        and those that one batch can train stand together."""
        if not self._waiting:
            return None
        batch = next(reversed(self._waiting) if last else iter(self._waiting))
        return self._take(batch, -1 if last else 0)

    def beside(self, job: Job, fits: Fits) -> list[Job]:
        """Other jobs that one batch can train with this one, which ``next`` gave, as many as fit;
        they wait no longer."""
        batch, jobs = job.experiment.batch(), [job]
        left = self.most_steps() if batch in self._waiting else 0
        while batch in self._waiting:
            more = self._waiting[batch][0]
            left -= more.most_steps
            if not fits([*jobs, more], left):
                break
            jobs.append(self._take(batch, 0))
        return jobs[1:]

    def most_steps(self) -> int:
        """The time steps of all that waits if each trial goes on to its cap, about."""
        return sum(one.most_steps for jobs in self._waiting.values() for one in jobs)

    def _take(self, batch: Experiment, place: int) -> Job:
        """The job at this place among those of a batch, which waits no longer."""
        job = self._waiting[batch].pop(place)
        if not self._waiting[batch]:
            del self._waiting[batch]
        return job

    def on_start(self, job: Job) -> None:
        """A job's program is about to be compiled, or used where it was compiled ahead; or the job
        begins in a batch that is being trained."""
        self._on_start(self._given[job.experiment])

    def on_chunk(self, job: Job, tally: Tally) -> None:
        """A chunk of a job has been read."""
        self._on_chunk(self._given[job.experiment], tally)

    def on_end(
        self,
        job: Job,
        outcomes: Sequence[Outcome],
        weights: Weights | None,
        made_on: tuple[Mapping[str, str], str] | None = None,
    ) -> None:
        """Add the rows, and the weights if they are kept. Trials without an outcome are left in the
        job's checkpoint. ``made_on`` are its versions and its device, if another process ran it."""
        if made_on is not None:
            self._directory.made_on(*made_on)
        self._directory.add([make_row(job.experiment, outcome) for outcome in outcomes], weights)
        if len(outcomes) < len(job.trials):
            self._directory.leave(job.checkpoint)
        self._tell(job.experiment, True)

    def rows(self) -> list[Row]:
        """All rows of the directory, when everything has ended."""
        for experiment in self._with_others:
            self._tell(experiment, True)
        return self._directory.rows

    def _tell(self, experiment: Experiment, is_new: bool) -> None:
        directory = self._directory
        if not directory.missing(experiment):
            directory.checkpoint(experiment).delete()  # a kill after the rows may have left it
        self._on_rows(self._given[experiment], directory.rows_of(experiment), is_new)
