"""Tables of the kept runs, for pages.py: of the notebook's, of the 1997 paper's and its other
readings, and of the state tracking."""

import json
import runpy
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from jaxrnn import SUITES
from jaxrnn.report.render import TableRow, bounds_in_percent, markdown_table
from jaxrnn.report.summary import Line, summarize
from jaxrnn.report.table import table as own_table
from jaxrnn.store.rows import typed_rows

HERE = Path(__file__).parent

kept = cache(lambda name: typed_rows(HERE / name))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A Markdown table whose first columns stand at their left, the others at their right."""
    rule = ["---"] * left + ["--:"] * (len(headings) - left)
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in (headings, rule, *rows))


def share(solved: int, interval: tuple[float, float], trials: int) -> str:
    """As "4/5 (28-99 %)"."""
    return f"{solved}/{trials} ({bounds_in_percent(interval)} %)"


# The notebook's run


def notebook() -> dict[str, str]:
    """Solved trials and medians beside the notebook's, and how soon the better LSTM is."""
    cells = {(row.cells["net"], row.cells["T"]): row.cells for row in rows_of("notebook-run")}

    def result(net: str, length: str, solved: str = "solved", middle: str = "median") -> str:
        """As "9/10, 4,938"; without a median where no more than half are solved."""
        if (net, length) not in cells:
            return "-"
        words = ", ".join(cells[net, length].get(heading, "-") for heading in (solved, middle))
        return words.replace("-, -", "never finished").removesuffix(", never")

    columns = (("solved", "median"), ("notebook", "its median"))
    rows = []
    for length in dict.fromkeys(length for _, length in cells):
        row = [result(net, length, *own) for net in ("simple_rnn", "lstm") for own in columns]
        rows.append((length, *row, result("lstm (better)", length)))
    headings = ("T", "simple RNN", "notebook's", "LSTM", "notebook's", "better LSTM")
    of_better = [row for row in rows_of("notebook-run") if row.cells["net"] == "lstm (better)"]
    better = markdown_table(of_better, ("T", "solved", "95%", "mean", "median", "worst"))
    return {"lengths": table(headings, rows, 0), "better": better}


def rows_of(name: str) -> Sequence[TableRow]:
    """The rows of the table in a run's own report."""
    return own_table(lines_of(name)).rows


@cache
def lines_of(name: str) -> list[Line]:
    """The summary of a run's rows."""
    return summarize(kept(name))


# The run of the 1997 paper

# Name, experiment as written, lengths, departures that work; whether the standard LSTM was run.
EXPERIMENTS_1997: tuple[tuple[str, str, Sequence[int], Sequence[str]], ...] = (
    ("1, embedded Reber grammar, 3 blocks of 2", "1", (40,), ("1-ce", "1-ce-4x2")),
    ("2a, noise-free", "2a", (101,), ("2a-ce",)),
    ("2b, no local regularities", "2b", (101,), ("2b-ce",)),
    ("2c, very long lags, p = q = T", "2c", (50, 100, 200, 500, 1000), ("2c-feedforward",)),
    ("2c, p = 500, q = T", "2c-p500", (1000,), ("2c-feedforward-p500",)),
    ("2c, p = 200", "2c-p200", (1000,), ("2c-feedforward-p200",)),
    ("2c, p = 100", "2c-p100", (1000,), ("2c-feedforward-p100",)),
    ("2c, p = 50", "2c-p50", (1000,), ("2c-feedforward-p50",)),
    ("3a, two sequences, N = 3", "3a", (100,), ()),
    ("3a, N = 1", "3a-n1", (100,), ()),
    ("3b, noise everywhere, N = 3", "3b", (100,), ()),
    ("3b, N = 1", "3b-n1", (100,), ()),
    ("3c, noisy targets, N = 3", "3c", (100,), ()),
    ("3c, N = 1", "3c-n1", (100,), ()),
    ("4, adding", "4", (100, 500, 1000), ("4-linear",)),
    ("5, multiplication, n_seq 140", "5", (100,), ()),
    ("5, n_seq 13", "5-n13", (100,), ()),
    ("6a, temporal order", "6a", (100,), ()),
    ("6b, three positions", "6b", (100,), ("6b-ce",)),
)


def paper() -> dict[str, str]:
    """Every experiment of 1997: as printed, as written, the departures that work, today's LSTM."""
    lines = {(line.experiment, line.length): line for line in lines_of("paper-run")}
    rows = []
    for name, experiment, lengths, departures in EXPERIMENTS_1997:
        for length in lengths:
            suite = SUITES[experiment]
            published = suite.published_at(suite.cells[0], length)
            assert published is not None
            assert published.mean is not None
            printed = f"ST1 {published.st1:,}; " if published.st1 else ""
            named = [(one, lines.get((one, length))) for one in departures]
            works = [f"{one}: {result(line)}" for one, line in named if line is not None]
            written = lines.get((experiment, length))
            best = lines.get((f"{experiment}-best", length))
            cells = [printed + f"{published.mean:,}", result(written, published.st1 is not None)]
            cells += ["; ".join(works) or ("-" if departures else ""), result(best)]
            rows.append((name, length, *cells))
    headings = ("experiment", "T", "published", "as written", "nearest departure that works")
    return {"results": table((*headings, "standard LSTM"), rows)}


def result(line: Line | None, st1: bool = False) -> str:
    """As "10/10, 22,540"; with the share of fresh sequences that are wrong, and after the result by
    criterion ST1 if it is asked for."""
    if line is None:
        return "-"
    text = f"{line.solved}/{line.trials}" + (f", {line.mean:,.0f}" if line.solved else "")
    if line.wrong:
        text += f" ({100 * line.wrong:.2g} % wrong)"
    return f"ST1 {line.st1_trials}/{line.trials}, {line.st1_mean:,.0f}; {text}" if st1 else text


# Other readings of the 1997 paper


def readings() -> dict[str, str]:
    """Of each experiment how many readings work, the effect of each choice, and the best ones."""
    own = SimpleNamespace(**runpy.run_path(str(HERE / "readings.py")))
    rows = kept("paper-run/readings")
    found: dict[str, str] = {}
    whole = []
    for experiment in own.READINGS:
        by_reading = own.by_reading(rows, experiment)
        assert all(len(of_reading) == own.TRIALS for of_reading in by_reading.values())
        published = next(iter(SUITES[experiment].published.values()))
        solved = [len(one) == one.solved for one in by_reading.values()]
        whole.append((experiment, f"{published.mean:,}", len(solved), sum(solved)))
        effects = [
            (name, f"{with_it}/{of}", f"{without}/{others}")
            for name, with_it, of, without, others in own.effects(rows, experiment)
        ]
        columns = ("choice", "solved with it", "solved with the first choice")
        found[f"choices_{experiment}"] = table(columns, effects)
        best = [
            (words, f"{one.solved}/{len(one)}", f"{own.mean_of(one, experiment):,.0f}")
            for words, one in by_reading.items()
            if one.solved
        ]
        found[f"best_{experiment}"] = table(("best readings", "solved", "mean"), best[:3])
    headings = ("experiment", "printed mean", "readings", "with all eight trials solved")
    return found | {"readings": table(headings, whole), "each_step": each_step(own)}


def each_step(own: Any) -> str:
    """The readings whose weights change after each step."""
    rows = []
    path = HERE / "paper-run/readings/each_step.jsonl"
    for one in map(json.loads, path.read_text("utf-8").splitlines()):
        suite = SUITES[one["experiment"]]
        less = suite.not_counted(suite.base.window)
        times = [at + 1 - less for at in one["solved_at"] if at is not None]
        mean = f"{sum(times) / len(times):,.0f}" if times else "-"
        rows.append((one["experiment"], one["reading"], f"{len(times)}/{own.TRIALS}", mean))
    return table(("experiment", "reading", "solved", "mean"), rows, 2)


# State tracking

CELLS = {"lstm": "LSTM", "gru": "GRU", "mlstm": "mLSTM", "min_gru": "minGRU", "min_lstm": "minLSTM"}
CELLS |= {"s6": "S6", "delta_net": "DeltaNet", "gated_delta_net": "gated DeltaNet"}
CELLS |= {"delta_product": "DeltaProduct, two corrections"}
SAYS = {True: "holds", False: "does not hold", None: "can hold"}


def state_tracking() -> dict[str, str]:
    """Of each net the median share of right words at some lengths, beside the prediction."""
    own = SimpleNamespace(**runpy.run_path(str(HERE / "state_tracking.py")))
    found = {}
    for words, shown in (("parity", (20, 40, 80, 160)), ("S3", (20, 40, 80, 160)),
                         ("A5", (10, 20, 40, 80, 320))):  # fmt: skip
        shares, rows = own.shares_right(kept("state-tracking-run"), words), []
        for (cell, eigenvalues), says in own.NETS[words].items():
            of = "factors" if cell == "s6" else "eigenvalues"
            name = CELLS[cell] + (f", {of} from -1" if eigenvalues else "")
            medians = np.median(shares[cell, eigenvalues], axis=0)
            at = [f"{100 * medians[own.LENGTHS.index(one)]:.1f} %" for one in shown]
            rows.append((name, SAYS[says], *at))
        headings = ("cell", "what theory says", f"right at {shown[0]}", *map(str, shown[1:]))
        found[words] = table(headings, rows, 2)
    return found
