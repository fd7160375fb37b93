"""What of some experiments is to be run, and what becomes of it, whoever runs it."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.problems import settled
from jaxrnn.results.rows import Row, make_row
from jaxrnn.results.run_directory import RunDirectory

OnRows = Callable[[Experiment, list[Row], bool], None]
"""Is told of an experiment's rows, and whether some of them are new."""


class Work:
    """What is to be run of some experiments, and what becomes of it: rows in their directory.

    ``given`` has them by how they are written there, ``to_do`` the trials to run. ``on_rows`` is
    told first of those of which the directory holds all.
    """

    def __init__(
        self,
        experiments: Iterable[Experiment],
        directory: RunDirectory,
        on_rows: OnRows,
        keep_weights: bool,
        here: bool = True,
    ) -> None:
        """``here`` says that this process trains them; raises InputError as the directory does."""
        self.given = {settled(experiment): experiment for experiment in experiments}
        directory.admit(list(self.given), keep_weights, here=here)
        self.to_do = directory.to_run(list(self.given))
        self._directory, self._on_rows = directory, on_rows
        # Those whose trials are others', too, and so run with these.
        self._with_others: list[Experiment] = []
        for experiment in self.given:
            if not directory.missing(experiment):
                self._tell(experiment, False)
            elif experiment not in self.to_do:
                self._with_others.append(experiment)

    def end(
        self,
        experiment: Experiment,
        outcomes: Iterable[Outcome],
        weights: Mapping[str, np.ndarray] | None,
    ) -> None:
        """Add what an experiment's trials ended with."""
        self._directory.add([make_row(experiment, outcome) for outcome in outcomes], weights)
        self._tell(experiment, True)

    def rows(self) -> list[Row]:
        """All rows of the directory, when everything has ended."""
        for experiment in self._with_others:
            self._tell(experiment, True)
        return self._directory.rows

    def _tell(self, experiment: Experiment, is_new: bool) -> None:
        directory = self._directory
        directory.checkpoint(experiment).delete()  # a kill after the rows may have left it
        self._on_rows(self.given[experiment], directory.rows_of(experiment), is_new)
