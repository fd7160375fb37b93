"""The figures on the scorecard's page are those of the kept rows.

Each test computes figures from the rows in ``examples/scorecard-run/small`` and ``full``. It puts
them into short phrases. Each phrase must stand exactly once in its part of the page. So a test
fails if a row and the page differ. A last test finds figures that no phrase holds.

Some figures cannot be computed from these rows. ``LEFT_OUT`` lists them:

- machines, dates, commits and minutes,
- what earlier rows had, with open input gates or other rounding (two phrases below also begin
  with such a figure: "from 0/5 to"),
- results of rows that are not kept: the two cells under "Yours beside them",
- numbers that only name things, such as the three constants of coRNN.

Of the table under "Yours beside them" only the intervals are computed. ``claims/`` has no figures
on this page; ``examples/claims-run/README.md`` has them, and ``test_claims_page.py`` checks them.
"""

import json
import math
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxrnn import SUITES, read_rows
from jaxrnn.problems import task_of
from jaxrnn.problems.reber import reber_sets
from jaxrnn.report.compare import compare, interval_of_probability
from jaxrnn.report.render import bounds_in_percent
from jaxrnn.report.summary import Rows, interval

KEPT = Path(__file__).parents[1] / "examples/scorecard-run"
TEXT = (KEPT / "README.md").read_text()
PROSE = " ".join(re.sub(r"^ {4,}.*$", "", TEXT, flags=re.M).split())
"""The page on one line, without its command and its table."""

STARTS = ("# What every", "## What it shows", "The large scorecard:", "## Yours beside them")
WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
WORDS += ("eleven", "twelve")
FIGURE = rf"\d|(?i:\b(?:{'|'.join(WORDS[3:])}|twenty)\b)"
"""A digit or a number word. The page writes "one" and "two" also where they are no figures."""

ORDERS = {"temporal_order", "temporal_order_three"}
TWO_SEQUENCES = {"two_sequence", "two_sequence_noise"}

LEFT_OUT = (
    "interval does not contain 50 %",
    "interval lies above 50 %",
    "on 2026-11-26, at commit 14a1c8c",
    "The command took 99 min",
    "run again on 2026-11-27",
    "six and three quarter hours on two cores, 21 to 62 min for each task",
    "(AMD EPYC, 2026-11-26 and 27, commits 1b08a7d to 09fec7f)",
    "1 to 13 min for the LSTM",
    "3 to 10 min for the layer-normalised LSTM",
    "2 to 4 min for the new search of the sLSTM",
    "3 to 81 min for the minLSTM",
    "2026-11-27 and 28",
    "changed on six of twelve tasks",
    "left the bias of the input gate at 0",
    "On these four tasks, in this order, 0, 2, 0 and 0 of five trials were solved",
    "before it was 4/5",
    "the three constants of coRNN",
    "In the 1997 paper",
    "Of 204 shares, 197 differ by at most one trial of five",
    "The other seven differ by two to five trials",
    "4 were solved on adding, 2 on multiplication, 12 and 14 on temporal order, and 4 on copying",
    "0 of 20 trials of the MGU were solved",
    "20 of 20 (83-100 %) with a tuned bias",
)
"""Phrases whose figures no kept row gives."""


class Card:
    """The kept rows of one card."""

    def __init__(self, name):
        self.nets = by_cell_and_task(KEPT / name)
        self.tried = by_cell_and_task(KEPT / name / "search")
        self.made = {net: rows[0].experiment for net, rows in self.nets.items()}
        self.cells = list(dict.fromkeys(cell for cell, _ in self.nets))
        self.tasks = {task for _, task in self.nets}
        self.trials = only(len(rows) for rows in self.nets.values())
        self.cap = only(made.max_steps for made in self.made.values())
        tried = Counter(row.experiment for rows in self.tried.values() for row in rows)
        self.tries = only(tried.values())

    def solved(self, cell, *tasks):
        """How many trials the cell solves, the same number on each of these tasks."""
        return only(self.nets[cell, task].solved for task in tasks)

    def on(self, cell, least, most=None):
        """The tasks on which the cell solves so many trials."""
        most = least if most is None else most
        return {task for task in self.tasks if least <= self.nets[cell, task].solved <= most}

    def every(self, cell):
        """The tasks on which the cell solves every trial."""
        return self.on(cell, self.trials)

    def share(self, cell, task):
        """As "4/5"."""
        return f"{self.solved(cell, task)}/{self.trials}"

    def bounds(self, solved):
        """The interval of the share of so many solved trials, as "68-99 %"."""
        return f"{bounds_in_percent(interval(solved, self.trials))} %"

    def sooner(self, cell):
        """The tasks on which the cell is solved sooner than the LSTM, and those where later."""
        bounds = {
            task: compare(self.nets[cell, task], self.nets["lstm", task]).interval
            for task in self.tasks
        }
        sooner = {task for task, (low, _) in bounds.items() if low > 0.5}
        return sooner, {task for task, (_, high) in bounds.items() if high < 0.5}

    def sooner_and_later(self, cell):
        """On how many tasks the cell is solved sooner than the LSTM, and on how many later."""
        return tuple(map(len, self.sooner(cell)))

    def biases(self, cell, task):
        """The first biases that the search chose: forget, input."""
        made = self.made[cell, task]
        return made.forget_bias, made.input_bias

    def searched(self, setting):
        """The cells and tasks for which the search tried several values of a setting."""
        return {
            net
            for net, rows in self.tried.items()
            if len({getattr(row.experiment, setting) for row in rows}) > 1
        }

    @property
    def closable(self):
        """The cells and tasks for which the search tried to close the input gate."""
        return self.searched("forget_bias") & self.searched("input_bias")

    @property
    def closed(self):
        """Those of them for which it chose to."""
        return {net for net in self.closable if self.made[net].input_bias < 0}

    def larger_biases(self):
        """How often the search chose the larger of two biases toward remembering, and of how many
        times. A cell with a forget gate and an input gate counts by its forget gate."""
        by_input = self.searched("input_bias") - self.searched("forget_bias")
        larger = [
            abs(self.made[net].input_bias) == largest(self.tried[net], "input_bias")
            if net in by_input
            else self.made[net].forget_bias == largest(self.tried[net], "forget_bias")
            for net in by_input | self.searched("forget_bias")
        ]
        return sum(larger), len(larger)

    def adam(self):
        """How often the search chose Adam, and of how many times."""
        return sum(made.optimizer == "clipped_adam" for made in self.made.values()), len(self.made)

    def combinations(self, *cells):
        """How many combinations the search tried for each of these cells."""
        return only(
            len({row.experiment for row in rows})
            for (cell, _), rows in self.tried.items()
            if cell in cells
        )


def by_cell_and_task(directory):
    groups = {}
    for row in Rows.of(read_rows(directory)):
        groups.setdefault((row.experiment.cell, row.experiment.task), Rows()).append(row)
    return groups


def only(values):
    """The one value that all of them are."""
    distinct = set(values)
    assert len(distinct) == 1, f"one number stands in the page for {sorted(distinct)}"
    return distinct.pop()


def largest(rows, setting):
    """The largest value of a setting among the rows, without its sign."""
    return max(abs(getattr(row.experiment, setting)) for row in rows)


def word(number):
    """A number as the page writes it in words."""
    return "twenty" if number == 20 else WORDS[number]


def head(small, full):
    """What stands before the results."""
    yield f"trains {len(small.cells)} recurrent cells on {len(small.tasks)} tasks"
    yield f"{small.cap:,} training sequences and {word(small.trials)} new trials"
    lengths = {made.length for made in small.made.values() if made.task != "embedded_reber"}
    yield f"Sequences have about {only(round(length, -1) for length in lengths)} time steps"
    training, test = (
        strings.lengths for strings in reber_sets(small.made["lstm", "embedded_reber"].length)
    )
    longest = max(training.max(), test.max())
    yield (
        f"{training.mean():.0f} on average in training, {test.mean():.0f} in the test, at most "
        f"{longest}"
    )
    n = small.trials
    low, high = interval(n, n)[0], interval(0, n)[1]
    yield f"With 95 % confidence, {n}/{n} means a share of at least {100 * low:.0f} %"
    yield f"0/{n} a share of at most {100 * high:.0f} %"
    pairs = list(
        zip(small.nets["lstm", "adding"], small.nets["lstm_peephole", "adding"], strict=True)
    )
    same = [
        one.outcome.last_above
        for one, other in pairs
        if one.solved and one.outcome.solved_at == other.outcome.solved_at
    ]
    assert same == [other.outcome.last_above for one, other in pairs if other.solved]
    yield f"in {word(len(same))} trials of adding, for the LSTM with and without peepholes"
    yield f"For each of {len(small.cells)} cells and each task"
    yield f"the number of solved trials out of {word(small.trials)}"
    versions = json.loads((KEPT / "small/config.json").read_text())["versions"]
    yield f"with jax {versions['jax']} and Python {versions['python']}"
    cells = {cell for cell, _ in small.closable}
    assert cells == {"lstm", "lstm_peephole", "lstm_layer_norm", "slstm", "min_lstm"}
    yield f"{word(len(cells)).capitalize()} cells have a forget gate and an input gate"
    yield f"({len(small.closed)} of {len(small.closable)} nets)"
    yield f"{word(full.trials)} trials, {full.cap:,} sequences, a wider search"
    yield f"All {word(len(full.tasks))} tasks took"
    yield f"The same {word(len({cell for cell, _ in full.closable}))} cells were run again"
    units = [made.hidden_size for made in full.made.values() if made.cell == "min_lstm"]
    yield f"up to {max(units)} units"


def small_card(small, full):
    """What the small card shows."""
    # The LSTM's input gate.
    tasks = {"multiplication", "adding", *ORDERS}
    forget, input_ = only(small.biases("lstm", task) for task in tasks)
    yield f"initial forget bias of {forget:g} and input bias of {input_:g}"
    assert small.every("lstm") >= {"multiplication", *ORDERS}
    yield (
        f"all {word(small.trials)} trials are solved on multiplication and on both temporal order "
        "tasks"
    )
    yield f"{word(small.solved('lstm', 'adding'))} trials on adding"
    yield f"within {small.cap:,} sequences"
    yield f"on multiplication from 0/5 to {small.share('lstm_layer_norm', 'multiplication')}"

    # On how many tasks every trial is solved, and what is sooner than the LSTM.
    def number_of_tasks(*cells):
        return word(only(len(small.every(cell)) for cell in cells))

    yield (
        f"All {word(small.trials)} trials of GRU, JANET and MGU are solved on "
        f"{number_of_tasks('gru', 'janet', 'mgu')} tasks"
    )
    nine = number_of_tasks("ugrnn", "lstm_coupled", "lstm_peephole")
    yield f"UGRNN, the coupled LSTM and the LSTM with peepholes it is {nine} tasks"
    eight = number_of_tasks("lstm", "lstm_layer_norm", "slstm")
    yield f"the LSTM, the layer-normalised LSTM and the sLSTM {eight}"
    sooner, later = small.sooner("gru")
    assert sooner == {"temporal_order", "copying", "selective_copying"}
    assert later == TWO_SEQUENCES
    yield (
        f"the GRU is sooner on {word(len(sooner))} tasks (temporal order, copying, selective "
        f"copying) and later on {word(len(later))} (two sequences, with and without noise)"
    )
    alike = word(len(small.tasks) - len(sooner) - len(later))
    yield f"On {alike} tasks they are not told apart"
    sooner, later = map(word, small.sooner_and_later("mgu"))
    yield f"MGU is sooner on {sooner} tasks and later on {later}"
    sooner, later = map(word, small.sooner_and_later("ugrnn"))
    yield f"UGRNN is sooner on {sooner} and later on {later}"
    options = dict(small.made["lstm", "copying"].task_options)
    yield f"{word(options['num_copied'])} symbols out of {word(options['num_symbols'])}"
    forget, input_ = small.biases("lstm", "copying")
    share = small.share("lstm", "copying")
    yield f"{share} trials of the LSTM are solved (biases {forget:g} and {input_:g})"
    share = only(small.share(cell, "copying") for cell in ("gru", "janet", "mgu", "ugrnn"))
    yield f"and {share} of GRU, JANET, MGU and UGRNN"

    # The minLSTM keeps f / (f + i) of its state.
    bias = max(made.forget_bias for made in small.made.values())
    f, half, closed = (1 / (1 + math.exp(-one)) for one in (bias, 0, -bias))
    yield (
        f"With forget bias {bias:g} alone the minLSTM keeps {f:.3f} / ({f:.3f} + {half:g}) = "
        f"{100 * f / (f + half):.0f} % of its state"
    )
    yield f"With input bias -{bias:g}, too, it keeps {100 * f / (f + closed):.1f} %"
    share = small.share("min_lstm", "very_long_lag")
    yield f"On the very long lag task {share} trials are now solved"

    # Cells that solve all or nothing.
    for cell in ("min_gru", "min_lstm"):
        assert small.every(cell) >= {"adding", "selective_copying", *ORDERS}
        none = {"embedded_reber", "multiplication", "copying", *TWO_SEQUENCES}
        assert small.on(cell, 0) >= none
    yield "every trial is solved on adding, temporal order and selective copying"
    yield "no trial on the Reber grammar, two sequences, multiplication and copying"
    assert small.on("lru", 2, small.trials) == {"noise_free", "copying"}
    four = small.solved("lru", "noise_free", "copying")
    yield f"{four} of {small.trials} trials are solved on the noise-free task and on copying"
    every = small.every("co_rnn")
    assert small.on("co_rnn", 0) == small.tasks - every
    yield f"Every trial of coRNN is solved on {word(len(every))} tasks, none on the others"
    numbers = [len(small.on(cell, 1, small.trials)) for cell in ("simple_rnn", "irnn", "ind_rnn")]
    few, many = word(min(numbers)), word(max(numbers))
    yield f"simple RNN, IRNN and IndRNN some trials are solved on {few} to {many} tasks, seldom all"

    # The column that carries no information.
    assert all(small.solved(cell, "no_regularities") == 0 for cell in small.cells)
    task = task_of(small.made["lstm", "no_regularities"])
    drawn = jax.vmap(task.draw)(jax.random.split(jax.random.key(0), 50))
    is_known = np.asarray(drawn.targets == drawn.inputs[:, :1]).all(0)
    yield f"Each of its {is_known.size} symbols is a target"
    yield f"{(~is_known).sum()} of them are random"
    paper = SUITES["2b"]
    needed = only(published.mean for published in paper.published.values())
    yield f"{word(paper.base.hidden_size)} memory cell needed"
    yield f"needed {needed:,} sequences, plus {paper.base.window:,} correct ones as proof"

    # The search.
    adam, nets = small.adam()
    larger, biases = small.larger_biases()
    yield f"chose Adam in {adam} of {nets} cases"
    yield f"larger of two biases toward remembering in {larger} of {biases} cases"
    yield f"a closed input gate in {len(small.closed)} of {len(small.closable)}"
    without = small.combinations("simple_rnn", "irnn", "ind_rnn", "co_rnn", "lru")
    yield f"(simple RNN, IRNN, IndRNN, coRNN, LRU) has {word(without)} combinations"
    one = small.combinations(
        *("gru", "ugrnn", "janet", "lstm_coupled"), *("mgu", "min_gru", "lstm_no_forget")
    )
    yield f"A cell with one gate has {word(one)}"
    two = small.combinations(*{cell for cell, _ in small.closable})
    yield f"a forget gate and an input gate has {two}"
    bias = only(made.output_bias for card in (small, full) for made in card.made.values())
    yield f"The output gate's bias is {bias:g} everywhere"
    yield f"only {word(small.tries)} trial for each combination"
    yield f"MGU on the noise-free task went from 0/5 to {small.share('mgu', 'noise_free')}"
    yield (
        f"`--full` has {word(full.tries)} trials for each combination, "
        f"{word(full.trials // small.trials)} times as many reported trials, and {full.cap:,} "
        "sequences"
    )


def large_card(small, full):
    """What the large card shows."""
    yield f"For each of {len(full.cells)} cells and {word(len(full.tasks))} tasks"
    yield f"the number of solved trials out of {word(full.trials)}, with its 95 % interval"
    yield f"The time at which each of {word(full.trials)} trials was solved"

    # The LSTM.
    every = {"adding", "multiplication", "selective_copying", "very_long_lag", "embedded_reber"}
    every |= ORDERS | {"two_sequence_noise"}
    assert full.every("lstm") == every
    yield (
        f"All {full.trials} trials of the LSTM are solved on {word(len(every))} tasks: adding, "
        "multiplication, both temporal order tasks, selective copying, the very long lag task, the "
        "Reber grammar and two sequences with noise"
    )
    solved = full.solved("lstm", "copying")
    yield (
        f"On two sequences {full.solved('lstm', 'two_sequence')} are solved, on copying {solved} "
        f"({full.bounds(solved)}), on the noise-free task {full.solved('lstm', 'noise_free')}"
    )
    closed = {task for cell, task in full.closed if cell == "lstm"}
    forget, input_ = only(full.biases("lstm", task) for task in closed)
    yield (
        f"The search chose biases {forget:g} and {input_:g} on {word(len(closed))} of the "
        f"{word(len(full.tasks))} tasks"
    )
    assert full.tasks - closed == {"embedded_reber", "noise_free", *TWO_SEQUENCES}
    yield (
        f"On the other {word(len(full.tasks - closed))} it left the input gate open: the Reber "
        "grammar, two sequences with and without noise, and the noise-free task"
    )
    yield f"Tasks, of {word(len(full.tasks))}, on which a cell is sooner than"
    for cell, name in {
        "gru": "GRU",
        "mgu": "MGU",
        "slstm": "sLSTM",
        "ugrnn": "UGRNN",
        "janet": "JANET",
        "lstm_no_forget": "the LSTM without a forget gate",
        "lstm_coupled": "the coupled LSTM",
        "lstm_peephole": "the LSTM with peepholes",
    }.items():
        sooner, later = full.sooner_and_later(cell)
        yield f"{name} {sooner} and {later}"

    # The LSTM with peepholes, and the one with layer normalisation.
    cell = "lstm_peephole"
    yield f"All trials of the LSTM with peepholes are solved on {word(len(full.every(cell)))} tasks"
    for task, name in (("two_sequence", "two sequences"), ("copying", "copying")):
        solved = full.solved(cell, task)
        yield f", {solved} on {name} ({full.bounds(solved)})"
    assert "noise_free" in full.sooner(cell)[0]
    solved = full.solved(cell, "noise_free")
    yield f"On the noise-free task all {solved} are solved, and sooner than those of the LSTM."
    cell = "lstm_layer_norm"
    sooner, later = full.sooner_and_later(cell)
    yield f"is later than the LSTM on {word(later)} tasks and sooner on {word(sooner)}"
    yield f"All its trials are solved on {word(len(full.every(cell)))} tasks"
    solved = full.solved(cell, "copying", "noise_free")
    yield f"{solved} on copying and on the noise-free task ({full.bounds(solved)})"
    solved = full.solved(cell, "adding")
    yield f"and {solved} on adding ({full.bounds(solved)})"

    # The minLSTM.
    cell = "min_lstm"
    assert full.every(cell) == {"selective_copying", "very_long_lag", *ORDERS}
    yield "minLSTM are solved on both temporal order tasks, selective copying and the very long lag"
    solved = full.solved(cell, "adding")
    yield f"{solved} are solved on adding ({full.bounds(solved)})"
    solved = full.solved(cell, "multiplication")
    yield f"{solved} on multiplication ({full.bounds(solved)})"
    solved = full.solved(cell, "embedded_reber", "noise_free")
    yield f"{solved} on the Reber grammar and on the noise-free task ({full.bounds(solved)})"
    solved = full.solved(cell, "copying", *TWO_SEQUENCES)
    yield (
        f"and {word(solved)} on copying and two sequences, with noise and without "
        f"({full.bounds(solved)})"
    )
    closed = [task for net, task in full.closed if net == cell]
    yield f"closed its input gate on {word(len(closed))} of the {word(len(full.tasks))} tasks"

    # On how many tasks all trials but one at most are solved.
    n = full.trials
    yield f"{n - 1} or {n} of {n} trials are solved ({full.bounds(n - 1)}, {full.bounds(n)})"

    def number_of_tasks(*cells):
        return word(only(len(full.on(cell, n - 1, n)) for cell in cells))

    yield f"{number_of_tasks('ugrnn', 'mgu', 'janet')} for UGRNN, MGU and JANET"
    ten = number_of_tasks("gru", "lstm_no_forget")
    yield f"{ten} for GRU and the LSTM without a forget gate"
    nine = number_of_tasks("lstm", "lstm_peephole", "lstm_coupled", "slstm")
    yield f"{nine} for the LSTM (with and without peepholes), the coupled LSTM and the sLSTM"

    # Cells that are alike.
    solved = full.solved("slstm", "adding")
    yield f"For the sLSTM {solved} trials are solved on adding ({full.bounds(solved)})"
    least = min(full.solved("slstm", task) for task in full.tasks - {"adding", "no_regularities"})
    yield f"and {least} or more on every other task except no_regularities"
    assert full.solved("lstm_coupled", "noise_free") == 0
    assert full.tried["lstm_coupled", "noise_free"].solved == 0
    nine = word(len(full.every("lstm_coupled")))
    yield f"For the coupled LSTM every trial is solved on {nine} tasks, but none on the noise-free"
    solved = full.solved("lstm_no_forget", "noise_free")
    yield f"For the LSTM without a forget gate {solved} are solved there"

    # Cells that solve all or nothing.
    every = {"adding", "selective_copying", "noise_free", "very_long_lag", *ORDERS}
    assert full.every("min_gru") == every
    yield (
        "All trials of minGRU are solved on both temporal order tasks, adding, selective copying, "
        "the noise-free task and the very long lag task"
    )
    yield f"On multiplication {full.solved('min_gru', 'multiplication')} are solved"
    tasks = {"copying", "embedded_reber", *TWO_SEQUENCES}
    solved = only(card.solved("min_gru", *tasks) for card in (small, full))
    yield (
        f"On copying, the Reber grammar and two sequences {word(solved)} is "
        f"({full.bounds(solved)}), neither with {full.cap:,} training sequences nor with "
        f"{small.cap:,}"
    )
    assert full.every("lru") == {"noise_free"}
    solved = full.solved("lru", "copying")
    yield f"on the noise-free task, and {solved} of {n} on copying ({full.bounds(solved)})"
    most = max(full.solved("lru", task) for task in full.tasks - {"noise_free", "copying"})
    none = word(full.solved("lru", "selective_copying"))
    yield f"On any other task at most {most} are solved, on selective copying {none}"
    every, none = full.every("co_rnn"), full.on("co_rnn", 0)
    assert every | none == full.tasks - {"noise_free"}
    yield (
        f"All trials of coRNN are solved on {word(len(every))} tasks, "
        f"{full.solved('co_rnn', 'noise_free')} on the noise-free task, and none on the "
        f"{word(len(none))} others"
    )
    yield f"All trials of IRNN are solved on {word(len(full.every('irnn')))} tasks"
    cell = "simple_rnn"
    assert full.every(cell) == {"embedded_reber"}
    yield (
        "All trials of the simple RNN are solved only on the Reber grammar, "
        f"{full.solved(cell, *TWO_SEQUENCES)} on two sequences with noise and without, "
        f"{full.solved(cell, 'noise_free')} on the noise-free task, and none on the "
        f"{word(len(full.on(cell, 0)))} others"
    )
    for rows in (full.nets, full.tried):
        assert all(rows[cell, "no_regularities"].solved == 0 for cell in full.cells)
    yield "No trial of the task no_regularities is solved, neither a reported one nor one of the"

    # The ends of the grid.
    larger, biases = full.larger_biases()
    yield f"In {larger} of {biases} cases the larger of two biases was chosen"
    rate = max(rates_of_adam(full))
    chosen = [
        made
        for made in full.made.values()
        if made.optimizer == "clipped_adam" and made.learning_rate == rate
    ]
    adam, nets = full.adam()
    yield f"In {len(chosen)} of {nets} cases the rate is {rate:g}, the largest rate for Adam"
    assert rate not in rates_of_adam(small)
    yield "The small scorecard does not try this rate"
    yield f"Adam was chosen in {adam} of {nets} cases"
    yield f"the input gate closed in {len(full.closed)} of {len(full.closable)}"
    yield f"{word(small.trials).capitalize()} trials, one length and small nets"


def rates_of_adam(card):
    """The learning rates that the search tried for Adam."""
    made = {row.experiment for rows in card.tried.values() for row in rows}
    return {one.learning_rate for one in made if one.optimizer == "clipped_adam"}


def beside(small, full):
    """What stands under the table of cells that are not the package's."""
    yield f"({full.bounds(0)}) with biases of 0"
    yield f"({full.bounds(full.trials)}) with a tuned bias"


PARTS = (head, small_card, large_card, beside)


@pytest.fixture(scope="module")
def cards():
    return Card("small"), Card("full")


def parts_of(page):
    """The page's parts, in the order of ``PARTS``."""
    bounds = [page.index(start) for start in STARTS] + [len(page)]
    return [page[start:end] for start, end in pairwise(bounds)]


def places(phrase, text):
    """Where a phrase stands in a text, with its numbers whole: "9 of 60" is not in "19 of 60"."""
    return list(re.finditer(rf"(?<!\d)(?<!\d[,.]){re.escape(phrase)}(?![,.]?\d)", text))


def not_once(phrases, text):
    """The phrases that do not stand exactly once in a text."""
    return [phrase for phrase in phrases if len(places(phrase, text)) != 1]


def without(phrases, text):
    """The text with a blank for each letter of the phrases, which may overlap."""
    letters = list(text)
    for phrase in phrases:
        for place in places(phrase, text):
            letters[place.start() : place.end()] = " " * len(phrase)
    return "".join(letters)


@pytest.mark.parametrize("claims", PARTS)
def test_the_figures_are_those_of_the_kept_rows(claims, cards):
    text = parts_of(PROSE)[PARTS.index(claims)]
    assert not not_once(claims(*cards), text)


def test_the_intervals_of_the_table_belong_to_its_shares(cards):
    small, _ = cards
    lines = re.findall(r"^ {5,}.* (\d)/5 +(\S+) +\S+ +(\d+)% +(\S+)$", TEXT, re.M)
    assert len(lines) == 4
    for solved, share, sooner, bounds in lines:
        n = small.trials
        assert share == bounds_in_percent(interval(int(solved), n))
        assert bounds == bounds_in_percent(interval_of_probability(int(sooner) / 100, n, n))


def test_every_other_figure_is_known_to_come_from_no_kept_row(cards):
    assert not not_once(LEFT_OUT, PROSE)
    for text, claims in zip(parts_of(PROSE), PARTS, strict=True):
        rest = without([*claims(*cards), *LEFT_OUT], text)
        assert not re.findall(rf".{{,40}}(?:{FIGURE}).{{,40}}", rest)


@pytest.mark.parametrize("text", ["20 of 60 nets", "141 of 60 nets", "41 of 60,000 nets"])
def test_a_figure_that_differs_is_not_found(text):
    assert not not_once(["41 of 60"], "on 41 of 60, and")
    assert not_once(["41 of 60"], text) == ["41 of 60"]
