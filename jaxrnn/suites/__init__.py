"""The experiments that are known by name."""

from jaxrnn.suites.base import Suite
from jaxrnn.suites.notebook import BETTER, NOTEBOOK

EXPERIMENTS: dict[str, Suite] = {"notebook": NOTEBOOK, "better": BETTER}
