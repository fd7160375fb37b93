"""Tables of kept comparisons of cells, for pages.py: of the horizon and the published claims."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tables_of_runs import kept, lines_of, share, table

from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.render import markdown_table
from jaxrnn.report.summary import Study
from jaxrnn.report.table import NOT_SUPPORTED, SUPPORTED, UNDECIDED, claims_rows
from jaxrnn.yardstick.results import card_of
from jaxrnn.yardstick.run import ends_of_range
from jaxrnn.yardstick.search import SINGLE
from jaxrnn.yardstick.view import horizon_rows, searches_table

# The horizon

HORIZON = (
    *("net", "horizon", "95%", "against the first", "its 95%", "farthest", "its setting"),
    *("default", "learns late", "searches"),
)


def horizon() -> dict[str, str]:
    """The horizons of each task, with what each search has found; settings at the ends of their
    ranges."""
    study = Study(kept("horizon-run"))
    card = card_of(study.rows)
    both = zip(horizon_rows(card), searches_table(card, study).rows, strict=True)
    rows = [line._replace(cells=searches.cells | line.cells) for line, searches in both]
    tasks = [
        f"### {task}\n\n{markdown_table([one for one in rows if one.section == task], HORIZON)}"
        for task in card.tasks
    ]
    ends = ends_of_range(card, SINGLE)
    return {"tasks": "\n".join(tasks), "ends": markdown_table(ends, list(ends[0].cells))}


# The published claims

# Where and what the paper printed, the rows that judge it, and whether it says that they succeed.
CLAIMS_1997: tuple[tuple[str, str, Sequence[tuple[str, int]], bool], ...] = (
    ("table 2, experiment 2a: RTRL, p = 10", "success 0 % within 5,000,000 sequences",
     [("2a-rtrl", 11)], False),
    ("table 2, experiment 2a: LSTM, p = 100", "success 100 % after 5,040",
     [("2a", 101)], True),
    ("section 5.2, experiment 2b: LSTM, p = 100", "always, after 5,680",
     [("2b", 101)], True),
    ("table 4, experiment 3a: T = 100, N = 3",
     "27,380 to the first criterion, 39,850 to the second, means of 10 trials",
     [("3a", 100)], True),
    ("table 7, experiment 4: adding, T = 100", "74,000, mean of 10 trials",
     [("4", 100)], True),
    ("table 9, experiment 6a: temporal order", "31,390, mean of 20 trials",
     [("6a", 100)], True),
    ("table 1, experiment 1: 3 blocks of 2, rate 0.5", "success 100 % after 8,440",
     [("1", 40)], True),
    ("table 3, experiment 2c: p = q = 50", "30,000, mean of 20 trials",
     [("2c", 50)], True),
    ("table 3, experiment 2c: p = q = 100, 200 and 500", "31,000, 33,000 and 38,000",
     [("2c", 100), ("2c", 200), ("2c", 500)], True),
    ("table 5, experiment 3b: N = 3", "43,250 to the second criterion, mean of 10 trials",
     [("3b", 100)], True),
    ("table 6, experiment 3c: N = 3 and 1", "269,650 and 565,640",
     [("3c", 100), ("3c-n1", 100)], True),
    ("table 8, experiment 5: multiplication, n_seq 140", "482,000, mean of 10 trials",
     [("5", 100)], True),
    ("table 9, experiment 6b: three positions", "571,100, mean of 10 trials",
     [("6b", 100)], True),
)  # fmt: skip


def claims() -> dict[str, str]:
    """Every claim with its verdict, and those of 1997."""
    own, verdicts = claims_run()
    of_1997, verdicts_1997 = claims_1997()
    counts = [Counter(verdicts), Counter(verdicts_1997)]
    words = (SUPPORTED, NOT_SUPPORTED, UNDECIDED)
    rows = [
        (where, *(one[word] for word in words))
        for where, one in zip(("statements below", "experiments of 1997"), counts, strict=True)
    ]
    return {"counts": table(("", *words), rows), "claims": own, "paper": of_1997}


def claims_run() -> tuple[str, list[str]]:
    """A section for each claim that has rows, and the verdicts."""
    by_claim: dict[str, list[Any]] = {}
    for line in claims_rows(kept("claims-run")):
        by_claim.setdefault(str(line.section), []).append(line)
    sections, verdicts = [], []
    for name, lines in by_claim.items():
        claim, verdict = CLAIMS[name], lines[0].cells["verdict"]
        verdicts.append(verdict)
        statement = claim.statement if claim.statement[0] == "(" else f'"{claim.statement}"'
        took = f"`jaxrnn sweep --experiment claim-{name}` took about {claim.minutes} min."
        sections.append(
            f"### {name}: {verdict}\n\n{statement}\n\nSource: {claim.source}.\n\n"
            f"How it was run: {claim.differs} {took}\n\n"
            + markdown_table(lines, ("net", "says", "solved", "95%"))
        )
    return "\n".join(sections), verdicts


def claims_1997() -> tuple[str, list[str]]:
    """The table of 1997, and its verdicts."""
    lines = {(line.experiment, line.length): line for line in lines_of("paper-run")}
    rows, verdicts = [], []
    for where, printed, names, success in CLAIMS_1997:
        found = [lines[name] for name in names]
        here = [
            share(one.solved, one.interval, one.trials)
            + (
                f", {one.st1_mean:,.0f} to the first criterion"
                if " first criterion" in printed
                else ""
            )
            + (f", {one.mean:,.0f}" if one.solved else "")
            for one in found
        ]
        bounds = [one.interval if success else (1 - one.interval[1], 1 - one.interval[0])
                  for one in found]  # fmt: skip
        sure = all(low > 0.5 for low, _ in bounds)
        missed = any(high < 0.5 for _, high in bounds)
        verdicts.append(NOT_SUPPORTED if missed else SUPPORTED if sure else UNDECIDED)
        experiments, lengths = (
            " ".join(dict.fromkeys(map(str, one))) for one in zip(*names, strict=True)
        )
        command = f"`jaxrnn sweep --experiment {experiments} --lengths {lengths}`"
        rows.append((where, printed, "; ".join(here), command, verdicts[-1]))
    headings = ("Hochreiter & Schmidhuber 1997", "as printed", "here", "command", "verdict")
    return table(headings, rows, len(headings)), verdicts
