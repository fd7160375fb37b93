"""What a published claim is, and the conditions that several of them share.

A claim is a statement as printed, the nets that decide it, and what it says of each. A criterion is
stated before any run. Where a paper shows only curves, a trial is solved if its mean error on
1,000 sequences that it is never trained on is at most a tenth of what a net reaches that remembers
nothing, within the paper's number of updates.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from jaxrnn.experiment import Experiment
from jaxrnn.problems.suite import Source, Suite

PUBLISHED = Source(
    title="published claims",
    net="{name}",
    solved="met the claim's criterion within the paper's number of updates",
    steps="training sequences until then",
    view="claims",
)

LEARNS, FAILS, SOONER = "learns", "does not learn", "sooner than"


class Says(NamedTuple):
    """One part of a statement."""

    net: str
    what: str  # LEARNS, FAILS or SOONER
    than: str = ""  # the other net, if it compares


class Claim(NamedTuple):
    """A published statement and what decides it."""

    name: str
    statement: str  # as printed
    source: str  # the paper and the section, and the authors' code where the paper is silent
    differs: str  # how the conditions differ from the paper's, and what was decided
    says: tuple[Says, ...]
    nets: tuple[str, ...]
    suites: tuple[Suite, ...]  # of the nets, in their order
    minutes: int | None  # that it took on two cores; None if it was not run yet


PREFIX = "claim-"


def claim_of(
    name: str,
    base: Experiment,
    nets: Mapping[str, Mapping[str, Any]],
    *,
    learn: tuple[str, ...] = (),
    fail: tuple[str, ...] = (),
    sooner: tuple[tuple[str, str], ...] = (),
    minutes: int | None = None,
    **words: str,
) -> Claim:
    """A claim whose nets are ``base`` with some settings; in ``sooner`` the first of a pair is
    sooner than the second. Line breaks in the ``words`` count as spaces."""
    says = (
        *(Says(net, LEARNS) for net in learn),
        *(Says(net, FAILS) for net in fail),
        *(Says(net, SOONER, than) for net, than in sooner),
    )
    suites = []
    for net, settings in nets.items():
        one = replace(base, name=f"{PREFIX}{name}-{net}", **settings)
        suites.append(
            Suite(base=one, cells=(one.cell,), lengths=(one.length,), source=PUBLISHED, uncounted=0)
        )
    words = {part: " ".join(text.split()) for part, text in words.items()}
    return Claim(name, says=says, nets=tuple(nets), suites=tuple(suites), minutes=minutes, **words)


TEST_SIZE = 1_000


def _judged(
    task: str, length: int, baseline: float, batch_size: int, updates: int, updates_between: int
) -> Experiment:
    """Where there are only curves: a mean error of at most a tenth of the baseline on a test set;
    and the sizes that most of these papers' nets have."""
    return Experiment(
        task=task,
        length=length,
        test_size=TEST_SIZE,
        max_failures=TEST_SIZE,  # only the mean counts
        threshold=0.5,
        mean_error=baseline / 10,
        test_every=updates_between * batch_size,
        batch_size=batch_size,
        max_steps=updates * batch_size,
        hidden_size=128,
        initializer="xavier",
        trials=6,
    )


def copying_of(length: int, **budget: int) -> Experiment:
    """The copying task, ten of eight symbols, by the mean cross-entropy of all steps."""
    base = _judged("copying", length, 10 * math.log(8) / (length + 20), **budget)
    return replace(base, measure="mean_cross_entropy")


def adding_of(length: int, **budget: int) -> Experiment:
    """The adding task since 2015, by the mean squared error."""
    return _judged("adding_halves", length, 1 / 6, **budget)


def words_of(task: str, length: int, batch_size: int, updates: int, **options: Any) -> Experiment:
    """Words of all lengths up to one, by the task's own rule; AdamW with warm-up and cosine."""
    return Experiment(
        task=task,
        task_options={"shortest": 3, **options},
        length=length,
        hidden_size=16,
        initializer="xavier",
        optimizer="clipped_adamw",
        learning_rate=0.001,
        clipping="none",
        schedule="cosine",
        schedule_options={"final": 0.001},
        warmup=updates // 10,
        batch_size=batch_size,
        max_steps=updates * batch_size,
        trials=6,
    )
