"""Tables of the kept comparisons of cells, for pages.py: of the horizon, the scorecards and the
published claims."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from tables_of_runs import kept, lines_of, share, table

from jaxrnn import SUITES, Rows
from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.claims import NOT_SUPPORTED, SUPPORTED, UNDECIDED, claims_rows
from jaxrnn.report.compare import compare
from jaxrnn.report.horizon_card import horizon_rows
from jaxrnn.report.remembered import card_of
from jaxrnn.report.render import markdown_table
from jaxrnn.scorecard.horizon import ends_of_range
from jaxrnn.store.rows import Row

# The horizon

HORIZON = ("net", "horizon", "95%", "against the first", "its 95%", "default", "default's 95%")


def horizon() -> dict[str, str]:
    """The horizons of each task, and with batches of 32; settings at the ends of their ranges; and
    what the large scorecard solves within the horizon's budget."""
    rows = kept("horizon-run")
    card = card_of(rows)
    every = horizon_rows(card)
    tasks = [
        f"### {task}\n\n{markdown_table([one for one in every if one.section == task], HORIZON)}"
        for task in card.tasks
    ]
    batches = markdown_table(horizon_rows(card_of(kept("horizon-run/batches-of-32"))), HORIZON)
    chosen = [row for row in rows if row.experiment.name.count("-") == 1]
    ends = ends_of_range(chosen)
    return {
        "tasks": "\n".join(tasks),
        "batches": batches,
        "ends": markdown_table(ends, list(ends[0].cells)),
        "scorecard": within(rows[0].experiment.max_steps, "adding", "temporal_order", "copying"),
    }


def within(budget: int, *tasks: str) -> str:
    """The trials of the large scorecard that are solved within a number of sequences."""
    large = card("full")

    def solved(cell: str, task: str) -> int:
        times = [row.outcome.solved_at for row in large.nets[cell, task]]
        return sum(at is not None and at < budget for at in times)

    rows = [(cell, *(solved(cell, task) for task in tasks)) for cell in large.cells]
    return table(("cell", *tasks), rows)


# The scorecard


class Card:
    """The kept rows of one scorecard."""

    def __init__(self, name: str) -> None:
        """Read them."""
        self.nets = by_cell_and_task(kept(f"scorecard-run/{name}"))
        self.tried = by_cell_and_task(kept(f"scorecard-run/{name}/search"))
        self.cells = sorted({cell for cell, _ in self.nets}, key=SUITES["card-adding"].cells.index)
        self.tasks = list(dict.fromkeys(task for _, task in self.nets))

    def compared(self, cell: str, than: str) -> tuple[list[str], list[str]]:
        """The tasks on which a cell is solved sooner than another, and those where later."""
        pairs = {task: (self.nets[cell, task], self.nets[than, task]) for task in self.tasks}
        bounds = {task: compare(*pair).interval for task, pair in pairs.items()}
        sooner = [task for task, (low, _) in bounds.items() if low > 0.5]
        return sooner, [task for task, (_, high) in bounds.items() if high < 0.5]

    def made(self, net: tuple[str, str]) -> Any:
        """The experiment of a net's reported trials."""
        return self.nets[net][0].experiment

    def searched(self, setting: str) -> dict[tuple[str, str], set[float]]:
        """The values of a setting, where the search tried several."""
        values = {
            net: {getattr(row.experiment, setting) for row in rows}
            for net, rows in self.tried.items()
        }
        return {net: tried for net, tried in values.items() if len(tried) > 1}


card = cache(Card)


def by_cell_and_task(rows: Iterable[Row]) -> dict[tuple[str, str], Rows]:
    """The rows of each net."""
    groups: dict[tuple[str, str], Rows] = {}
    for row in rows:
        groups.setdefault((row.experiment.cell, row.experiment.task), Rows()).append(row)
    return groups


def scorecard() -> dict[str, str]:
    """On how many tasks each cell does what, and how often the searches chose what."""
    found = {}
    for name in ("small", "full"):
        one, rows = card(name), []
        for cell in one.cells:
            nets = [one.nets[cell, task] for task in one.tasks]
            every, none = (sum(net.solved == full * len(net) for net in nets) for full in (1, 0))
            told = [len(tasks) for tasks in one.compared(cell, "lstm")]
            rows.append((cell, every, len(nets) - every - none, none,
                         *(["-", "-"] if cell == "lstm" else told)))  # fmt: skip
        headings = ("cell", "all trials solved", "some", "none", "sooner than the LSTM", "later")
        found[name] = table(headings, rows)
    chosen = [choices(card(name)) for name in ("small", "full")]
    rows = [(words, *(one[words] for one in chosen)) for words in chosen[0]]
    return found | {"chosen": table(("the search chose", "small", "large"), rows)}


def choices(one: Card) -> dict[str, str]:
    """How often the search chose what, of how many times."""
    forget, input_ = one.searched("forget_bias"), one.searched("input_bias")
    closable = forget.keys() & input_.keys()
    # A cell with a forget gate and an input gate counts by its forget gate.
    by_input = {net: tried for net, tried in input_.items() if net not in forget}
    larger = [one.made(net).forget_bias == max(tried) for net, tried in forget.items()]
    larger += [one.made(net).input_bias == min(tried) for net, tried in by_input.items()]
    made = [one.made(net) for net in one.nets]
    adam = [each for each in made if each.optimizer == "clipped_adam"]
    tried: list[Any] = [row.experiment for rows in one.tried.values() for row in rows]
    rate = max(each.learning_rate for each in tried if each.optimizer == "clipped_adam")
    closed = sum(one.made(net).input_bias < 0 for net in closable)
    return {
        "Adam, not SGD": f"{len(adam)} of {len(made)}",
        "the largest rate for Adam": f"{sum(each.learning_rate == rate for each in adam)} of "
        f"{len(made)}",
        "the larger of two biases toward remembering": f"{sum(larger)} of {len(larger)}",
        "a closed input gate, beside a forget gate": f"{closed} of {len(closable)}",
    }


# The published claims

# Where and what the paper printed, the rows that judge it, whether it says that they succeed, and
# the command.
CLAIMS_1997: tuple[tuple[str, str, Sequence[tuple[str, int]], bool, str], ...] = (
    ("table 2, experiment 2a: RTRL, p = 10", "success 0 % within 5,000,000 sequences",
     [("2a-rtrl", 11)], False, "2a-rtrl --length 11"),
    ("table 2, experiment 2a: LSTM, p = 100", "success 100 % after 5,040",
     [("2a", 101)], True, "2a"),
    ("section 5.2, experiment 2b: LSTM, p = 100", "always, after 5,680",
     [("2b", 101)], True, "2b"),
    ("table 4, experiment 3a: T = 100, N = 3",
     "27,380 to the first criterion, 39,850 to the second, means of 10 trials",
     [("3a", 100)], True, "3a"),
    ("table 7, experiment 4: adding, T = 100", "74,000, mean of 10 trials",
     [("4", 100)], True, "4"),
    ("table 9, experiment 6a: temporal order", "31,390, mean of 20 trials",
     [("6a", 100)], True, "6a"),
    ("table 1, experiment 1: 3 blocks of 2, rate 0.5", "success 100 % after 8,440",
     [("1", 40)], True, "1"),
    ("table 3, experiment 2c: p = q = 50", "30,000, mean of 20 trials",
     [("2c", 50)], True, "2c"),
    ("table 3, experiment 2c: p = q = 100, 200 and 500", "31,000, 33,000 and 38,000",
     [("2c", 100), ("2c", 200), ("2c", 500)], True, "2c"),
    ("table 5, experiment 3b: N = 3", "43,250 to the second criterion, mean of 10 trials",
     [("3b", 100)], True, "3b"),
    ("table 6, experiment 3c: N = 3 and 1", "269,650 and 565,640",
     [("3c", 100), ("3c-n1", 100)], True, "3c"),
    ("table 8, experiment 5: multiplication, n_seq 140", "482,000, mean of 10 trials",
     [("5", 100)], True, "5"),
    ("table 9, experiment 6b: three positions", "571,100, mean of 10 trials",
     [("6b", 100)], True, "6b"),
)  # fmt: skip


def claims() -> dict[str, str]:
    """Every claim with its verdict, those of 1997, and the cells that other claims are about."""
    own, verdicts = claims_run()
    of_1997, verdicts_1997 = claims_1997()
    counts = [Counter(verdicts), Counter(verdicts_1997)]
    words = (SUPPORTED, NOT_SUPPORTED, UNDECIDED)
    rows = [
        (where, *(one[word] for word in words))
        for where, one in zip(("statements below", "experiments of 1997"), counts, strict=True)
    ]
    return {"counts": table(("", *words), rows), "claims": own, "paper": of_1997} | others()


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
        took = f"`jaxrnn claims {name}` took about {claim.minutes} min."
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
    for where, printed, names, success, command in CLAIMS_1997:
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
        rows.append((where, printed, "; ".join(here), f"`jaxrnn paper {command}`", verdicts[-1]))
    headings = ("Hochreiter & Schmidhuber 1997", "as printed", "here", "command", "verdict")
    return table(headings, rows, len(headings)), verdicts


SHOWN = ("lstm", "janet", "min_gru", "min_lstm", "simple_rnn", "irnn", "ind_rnn", "co_rnn", "lru")
PAIRS = [(cell, "lstm") for cell in ("gru", "mgu", "ugrnn", "janet", "min_gru")]
PAIRS += [("gru", "ugrnn"), ("mgu", "gru")]


def others() -> dict[str, str]:
    """Results of the scorecards about which papers say something under other conditions."""
    small, full = card("small"), card("full")
    own = by_cell_and_task(kept("scorecard-run/claims"))
    known: Mapping[tuple[str, str], Rows] = small.nets | own
    tasks = ("adding", "copying", "selective_copying")

    def at(nets: Mapping[tuple[str, str], Rows], cell: str) -> list[str]:
        held = [nets.get((cell, task)) for task in tasks]
        return ["-" if one is None else share(one.solved, one.interval, len(one)) for one in held]

    cells = [*SHOWN, *dict.fromkeys(cell for cell, _ in own)]
    rows = [(cell.rpartition("/")[2], "small", *at(known, cell)) for cell in cells]
    rows += [(cell, "large", *at(full.nets, cell)) for cell in SHOWN]
    pairs = [
        (
            cell,
            than,
            size,
            *(f"{len(told)}: {', '.join(told)}" for told in one.compared(cell, than)),
        )
        for cell, than in PAIRS
        for size, one in (("small", small), ("large", full))
    ]
    headings = ("net", "than", "scorecard", "sooner on", "later on")
    return {
        "shares": table(("cell", "scorecard", *tasks), rows, 2),
        "pairs": table(headings, pairs, len(headings)),
    }
