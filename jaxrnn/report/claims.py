"""View: published statements, each with what decides it, and the verdict."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxrnn.problems.claim import FAILS, SOONER, Claim, Says
from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.compare import compare
from jaxrnn.report.render import Table, TableRow, Words, bounds_in_percent
from jaxrnn.report.summary import Rows, Study, View, made_as
from jaxrnn.store.rows import Row

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"


class Decided(NamedTuple):
    """What the trials say of one part of a statement."""

    holds: bool | None  # None: they do not decide it
    solved: str  # of how many, of each net
    interval: tuple[float, float]  # of the share or the probability that decides


def decided(says: Says, nets: Mapping[str, Rows]) -> Decided | None:
    """Whether one part of a statement holds, by the rows of each net; None without the rows.

    A net learns if the exact 95 % interval of its share of solved trials lies above 1/2, and does
    not if it lies below. It is sooner than another if the interval of the probability that one of
    its trials is solved before one of the other's lies above 1/2. An interval that holds 1/2
    decides nothing.
    """
    named = [nets.get(one) for one in (says.net, says.than) if one]
    compared = [rows for rows in named if rows is not None]
    if len(compared) < len(named):
        return None
    interval = compare(*compared).interval if says.what == SOONER else compared[0].interval
    solved = " : ".join(f"{rows.solved}/{len(rows)}" for rows in compared)
    low, high = interval
    is_above = True if low > 0.5 else False if high < 0.5 else None
    holds = is_above if says.what != FAILS or is_above is None else not is_above
    return Decided(holds, solved, interval)


def verdict(parts: Iterable[Decided | None]) -> str:
    """Supported if every part holds, not supported if any does not, else undecided."""
    holds = [None if one is None else one.holds for one in parts]
    if False in holds:
        return NOT_SUPPORTED
    return SUPPORTED if all(holds) else UNDECIDED


def nets_of(claim: Claim, rows: Sequence[Row]) -> dict[str, Rows]:
    """The rows of each of a claim's nets that has some, trained as the claim says; only their seed
    may differ."""
    suites = zip(claim.nets, claim.suites, strict=True)
    found = {net: made_as(suite.at(), rows) for net, suite in suites}
    return {net: own for net, own in found.items() if own}


HEADINGS = ("claim", "net", "says", "solved", "95%", "verdict", "as printed")


def claims_rows(rows: Sequence[Row]) -> list[TableRow]:
    """A row for each part of each statement whose nets have rows."""
    lines = []
    for claim in CLAIMS.values():
        nets = nets_of(claim, rows)
        parts = [decided(one, nets) for one in claim.says] if nets else []
        for number, (says, part) in enumerate(zip(claim.says, parts, strict=False)):
            shown = {"claim": claim.name, "net": says.net}
            shown["says"] = " ".join(filter(None, (says.what, says.than)))
            shown["solved"] = "not run" if part is None else part.solved
            if part is not None:
                shown["95%"] = bounds_in_percent(part.interval)
            if number == 0:
                shown |= {"verdict": verdict(parts), "as printed": claim.statement}
            lines.append(TableRow(shown, claim.name, {"claim": claim.name}))
    return lines


LEGEND = (
    "A net learns if the exact 95 % interval of its share of solved trials lies above one half, "
    "and does not learn if it lies below. Sooner: the probability that a trial of the first net is "
    "solved before one of the second. 95%: the interval of that share or probability, in percent. "
    "A statement is supported if every part holds, not supported if one surely does not, else "
    "undecided."
)


def _parts(study: Study) -> list[Table | Words]:
    lines = claims_rows(study.rows)
    shown = [CLAIMS[name] for name in dict.fromkeys(line.cells["claim"] for line in lines)]
    words = [Words(f"{one.name}: {one.source}. {one.differs}", brief=False) for one in shown]
    return [Table(HEADINGS, lines, LEGEND, ("as printed",)), *words]


VIEW = View(lambda study: "claims" in study.views, _parts)
