"""The suites: the experiments that are known by name, a file for each family of tasks.

Add a suite to the file of its task, or as a new file, and it is in ``SUITES``.
"""

from jaxrnn.suites import (
    arithmetic,
    long_lag,
    notebook,
    reber,
    scorecard,
    temporal_order,
    two_sequence,
)
from jaxrnn.suites.base import Published, Source, Suite
from jaxrnn.suites.notebook import BETTER, NOTEBOOK
from jaxrnn.suites.paper_1997 import PAPER

__all__ = ["BETTER", "NOTEBOOK", "PAPER", "SUITES", "Published", "Source", "Suite"]

SUITES: dict[str, Suite] = {
    suite.base.name: suite
    for family in (notebook, reber, long_lag, two_sequence, arithmetic, temporal_order, scorecard)
    for suite in family.SUITES
}
