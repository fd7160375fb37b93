"""A suite: a named table of experiments."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jaxrnn.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A named table of experiments: a base, varied over cells and lengths."""

    base: Experiment
    cells: tuple[str, ...]
    lengths: tuple[int, ...]
    source: str
    caps: Mapping[int, int] = field(default_factory=dict)  # length -> max_steps, else the base's
    # Sequences at the end of a solved trial that its published counterpart does not count.
    proof: int = 0
    departure: str = ""  # in what it departs from its source
    row: str = ""  # the row of PAPER_RESULTS that it is laid beside
    cost: float = 1.0  # of a time step, in those of experiment 6a of the paper

    def at(self, cell: str, length: int, **settings: Any) -> Experiment:
        """One entry of the table, with some settings replaced."""
        # A length without a cap of its own takes that of the next longer one, or of the longest.
        cap = self.base.max_steps
        if self.caps:
            longer = (known for known in self.caps if known >= length)
            cap = self.caps[min(longer, default=max(self.caps))]
        given: dict[str, Any] = {"cell": cell, "length": length, "max_steps": cap} | settings
        return replace(self.base, **given)
