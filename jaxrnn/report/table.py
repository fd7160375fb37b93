"""Views: our rows beside published ones and what solved means; verdicts on published statements."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxrnn.experiment import OPTIONS
from jaxrnn.problems import Source
from jaxrnn.problems.claim import FAILS, SOONER, Claim, Says
from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.compare import compare
from jaxrnn.report.render import (
    PUBLISHED,
    Part,
    Table,
    TableRow,
    Words,
    bounds_in_percent,
    p_in_words,
    short,
    shortened,
    spaced,
    steps_in_words,
)
from jaxrnn.report.summary import (
    Line,
    Rows,
    Study,
    along_lengths,
    guessing_of,
    made_as,
    median,
    net_name,
    row_name,
    source_of,
)
from jaxrnn.store.config import spelled
from jaxrnn.store.rows import Row

# The columns of a table. Settings that differ get columns after T. Suites whose source printed each
# trial get a column with the suite's name, before the last two.
_HEADINGS = (
    *("net", "T", "solved", "95%", "mean", "median", "best", "worst", "ST1", "its mean", "wrong"),
    *("its median", "p"),
)


# A terminal that is too narrow leaves these out; report.md has them all.
_DISPENSABLE = ("best", "median", "worst", "ST1", "95%", "its mean")


def table(lines: Sequence[Line]) -> Table:
    """The lines as a table; published means stand above ours of the same length."""
    rows: list[TableRow] = []
    above: object = None
    for line in lines:
        row = row_name(line.experiment), line.length
        section = line.length if along_lengths(line.experiment) else row
        beside = (*row, line.published)
        if line.published is not None and line.published.trials is None and beside != above:
            theirs = line.published
            cells = {"net": PUBLISHED, "T": str(line.length), "mean": steps_or_dash(theirs.mean)}
            shares = {"solved": percent(theirs.solved), "wrong": percent(theirs.wrong)}
            known = shares | {"its mean": steps_or_dash(theirs.st1)}
            cells |= {name: text for name, text in known.items() if text != "-"}
            rows.append(TableRow(cells, section))
        rows.append(_row(line, section))
        above = beside
    found = {heading for row in rows for heading in row.cells}
    settings = dict.fromkeys(spaced(name) for line in lines for name in line.settings)
    # The experiments whose source printed each trial.
    printed = (line for line in lines if line.published and line.published.trials)
    names = list(dict.fromkeys(line.experiment for line in printed))
    net, length, *others = _HEADINGS
    ordered = [net, length, *settings, *others[:-2], *names, *others[-2:]]
    headings = [heading for heading in ordered if heading in found]
    return Table("Results", headings, rows, _legend(lines, headings, names), _DISPENSABLE)


def _row(line: Line, section: object) -> TableRow:
    about = {"net": net_name(line.experiment, line.cell), "T": str(line.length)}
    cells = about | {spaced(name): short(value) for name, value in line.settings.items()}
    for name, value in line.settings.items():  # in the words of the page's table of trials
        about[spaced(name)] = spelled(dict(value) if name in OPTIONS else value)
    cells |= {
        "solved": _solved(line.solved, line.trials, line.diverged),
        "95%": bounds_in_percent(line.interval),
        "mean": "-" if math.isnan(line.mean) else steps_in_words(line.mean),
        "median": steps_in_words(line.median),
        "worst": steps_in_words(line.most),
    }
    if not along_lengths(line.experiment):
        cells["best"] = steps_in_words(line.least)
    if line.st1_trials is not None:
        cells["ST1"] = _solved(line.st1_trials, line.trials)
        cells["its mean"] = steps_or_dash(line.st1_mean)
    if line.wrong is not None:
        cells["wrong"] = percent(line.wrong)
    if line.published is not None and line.published.trials is not None:
        assert line.p_value is not None  # which there is with them
        cells[line.experiment], cells["its median"] = _of_trials(line.published.trials)
        cells["p"] = p_in_words(line.p_value)
    return TableRow(cells, section, about)


def _solved(solved: int, trials: int, diverged: int = 0) -> str:
    return f"{solved}/{trials}" + (f" ({diverged} diverged)" if diverged else "")


def _of_trials(trials: Sequence[int | None]) -> tuple[str, str]:
    """How many of a source's trials were solved, and their median."""
    steps = [math.inf if step is None else float(step) for step in trials]
    return _solved(sum(map(math.isfinite, steps)), len(steps)), steps_in_words(median(steps))


def sentence(lines: Sequence[Line], room: int = 80) -> str:
    """The result for one net at one length on one line, to be printed as soon as it is there.

    If there is not enough ``room``, the published result is dropped first, then the end of the
    name.
    """
    line = lines[0]
    name, length = net_name(line.experiment, line.cell), f" T={line.length:<4} "
    if len(lines) > 1:
        rest = f"{len(lines)} combinations of settings"
    else:
        solved = _solved(line.solved, line.trials, line.diverged)
        rest = f"{solved:>7} solved, median {steps_in_words(line.median):>6}"
    if line.published is not None and line.published.trials is not None and len(lines) == 1:
        theirs, their_median = _of_trials(line.published.trials)
        beside = f"  ({line.experiment} {theirs:>5}, {their_median:>6})"
        if max(10, len(name)) + len(length + rest + beside) <= room:
            rest += beside
    return f"{shortened(name, max(10, room - len(length + rest))):<10}{length}{rest}"


def _legend(lines: Sequence[Line], headings: Sequence[str], printed: Sequence[str]) -> str:
    """What the columns mean."""
    of_sources: dict[Source, list[Line]] = {}
    for line in lines:
        of_sources.setdefault(source_of(line.experiment), []).append(line)
    titles: dict[str, str] = {}  # of the sources, by their words
    for source, own in of_sources.items():
        has_means = any(one.published and one.published.trials is None for one in own)
        is_along = source.view == "by_length"
        words = (
            f"Solved: trials that {source.solved}; 95%: confidence interval of their percentage "
            f"(Clopper-Pearson). Mean, median{'' if is_along else ', best'} and worst: "
            f"{source.steps}. The mean is over the solved trials. In median and worst an unsolved "
            "trial counts as never. For an even number of trials the median is the mean of the "
            "middle two."
        )
        if has_means or not is_along:
            words += f" Published: {source.whose} means. A dash: nothing there."
        titles[words] = source.title
    several = len(titles) > 1
    said = [f"{title}: {words}" if several else words for words, title in titles.items()]
    text = " ".join(["T is the length.", *said])
    if "ST1" in headings:
        text += " ST1: trials that came to criterion ST1, and after how many sequences."
    if "wrong" in headings:
        text += " Wrong: share of the final test's fresh sequences that the solved trials get "
        text += "wrong."
    for name in printed:
        whose = source_of(name).whose
        text += (
            f" Then {whose} solved and median. p: two-sided Mann-Whitney p-value of our steps "
            f"against {whose}; a small one says that the two differ. A dash: not published."
        )
    return text


def rules(rows: Sequence[Row]) -> list[str]:
    """One line per task of the rows: the rule for solved, and the share that guessing gets
    right."""
    guessed: dict[tuple[str, Any, str], list[float]] = {}
    for made in dict.fromkeys(row.experiment for row in rows):
        shares = guessed.setdefault((made.task, made.task_options, made.criterion()), [])
        if (share := guessing_of(made)) is not None:
            shares.append(share)
    tasks: dict[str, list[str]] = {}
    for (name, _, words), shares in guessed.items():
        if shares:  # which may differ from length to length
            span = " to ".join(dict.fromkeys((percent(min(shares)), percent(max(shares)))))
            words += f" (guessing gets {span} of the sequences right)"
        tasks.setdefault(words, []).append(name)
    return [
        f"Solved, on {', '.join(dict.fromkeys(names))}: {words}." for words, names in tasks.items()
    ]


def steps_or_dash(value: float | None) -> str:
    """A number of steps, a dash where there is none."""
    return "-" if value is None else steps_in_words(value)


def percent(share: float | None) -> str:
    """A share in percent, a dash where there is none."""
    return "-" if share is None else f"{100 * share:.3g}%"


def view(study: Study) -> list[Part]:
    """The table of all rows."""
    return [table(study.lines)]


# Published statements

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


CLAIMS_HEADINGS = ("claim", "net", "says", "solved", "95%", "verdict", "as printed")


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


CLAIMS_LEGEND = (
    "A net learns if the exact 95 % interval of its share of solved trials lies above one half, "
    "and does not learn if it lies below. Sooner: the probability that a trial of the first net is "
    "solved before one of the second. 95%: the interval of that share or probability, in percent. "
    "A statement is supported if every part holds, not supported if one surely does not, else "
    "undecided."
)


def claims(study: Study) -> list[Part]:
    """The statements whose nets have rows, and where each was made."""
    if "claims" not in study.views:
        return []
    lines = claims_rows(study.rows)
    shown = [CLAIMS[name] for name in dict.fromkeys(line.cells["claim"] for line in lines)]
    words = [Words(f"{one.name}: {one.source}. {one.differs}", brief=False) for one in shown]
    return [Table("Claims", CLAIMS_HEADINGS, lines, CLAIMS_LEGEND, ("as printed",)), *words]
