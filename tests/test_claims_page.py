"""The ledger of published claims: its verdicts and figures are those of the kept rows."""

import re
from pathlib import Path

import jaxrnn
from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.claims import claims_rows, decided, nets_of, verdict
from jaxrnn.report.render import markdown_table
from jaxrnn.report.summary import interval

EXAMPLES = Path(__file__).parents[1] / "examples"
KEPT = EXAMPLES / "claims-run"
COLUMNS = ("net", "says", "solved", "95%")


def flat(text):
    return " ".join(text.split())


def bounds_of(solved, of, low, high):
    """The interval of a share, whose bounds in percent are to be these."""
    bounds = interval(solved, of)
    assert [round(100 * bound) for bound in bounds] == [int(low), int(high)]
    return bounds


def run_claims(rows):
    return [claim for claim in CLAIMS.values() if nets_of(claim, rows)]


def test_every_claim_that_was_run_stands_there_with_its_verdict(rows, text):
    lines = claims_rows(rows)
    for claim in run_claims(rows):
        nets = nets_of(claim, rows)
        assert set(nets) == set(claim.nets), f"of {claim.name} some nets were not run"
        held = verdict([decided(one, nets) for one in claim.says])
        _, _, section = text.partition(f"\n### {claim.name}: {held}\n")
        section, _, _ = section.partition("\n#")
        table = markdown_table([line for line in lines if line.section == claim.name], COLUMNS)
        assert table.strip() in section
        for words in (
            claim.statement,
            claim.source,
            claim.differs,
            f"`jaxrnn claims {claim.name}`",
        ):
            assert flat(words) in flat(section)
        assert re.search(r" took (about )?[\d.]+ (s|min|h)", flat(section))


def test_no_claim_stands_there_that_was_not_run(rows, text):
    names = re.findall(r"^### (\w+): ", text, re.MULTILINE)
    assert names == [claim.name for claim in run_claims(rows)]


def test_every_trial_that_a_claim_asks_for_is_there(rows):
    for claim in run_claims(rows):
        asked = [suite.at() for suite in claim.suites]
        held = nets_of(claim, rows)
        assert [len(held[net]) for net in claim.nets] == [one.trials for one in asked]


def test_the_table_of_1997_has_the_figures_of_the_kept_rows(text):
    kept = jaxrnn.summarize(jaxrnn.read_rows(EXAMPLES / "paper-run"))
    table = text[text.index("| Hochreiter & Schmidhuber 1997 |") :].split("\n\n")[0]
    checked = 0
    for line in table.splitlines()[2:]:
        _, what, _, here, held, _ = line.split("|")
        command = re.findall(r"`jaxrnn paper ([\w-]+)", here)[0]
        same = [
            one for one in kept if one.experiment.partition("-")[0] == command.partition("-")[0]
        ]
        for solved, of, low, high in re.findall(r"(\d+)/(\d+) \((\d+)-(\d+) %\)", here):
            assert (int(solved), int(of)) in {(one.solved, one.trials) for one in same}, what
            bounds = bounds_of(int(solved), int(of), low, high)
            if "not supported" in held:
                assert bounds[1] < 0.5, what
            elif "supported" in held and "RTRL" not in what:
                assert bounds[0] > 0.5, what
            checked += 1
    assert checked > 10


def test_the_shares_of_the_ledger_are_those_of_the_kept_rows(text):
    kept = EXAMPLES / "scorecard-run"
    solved: dict = {}
    for trials, directories in ((5, ("small", "claims")), (20, ("full",))):
        for row in (row for one in directories for row in jaxrnn.read_rows(kept / one)):
            own = ":" * (":" in row["cell"]) + row["cell"].rpartition(":")[2]
            solved.setdefault((trials, own, row["task"]), []).append(row["status"] == "solved")
    tasks, checked, task = "selective copying|copying|adding", 0, ""
    for found in re.finditer(rf"({tasks})|(:?\w+) (\d+)/(20|5)\b(?: \((\d+)-(\d+) %\))?", text):
        if found[1]:
            task = found[1].replace(" ", "_")
            continue
        trials = solved[int(found[4]), found[2], task]
        assert (sum(trials), len(trials)) == (int(found[3]), int(found[4])), found[0]
        if found[5]:
            bounds_of(sum(trials), len(trials), found[5], found[6])
        checked += 1
    assert checked > 20


def test_the_counts_at_the_top_are_those_of_the_tables(text):
    cells = [
        line.rstrip(" |").rpartition("|")[2].strip() for line in text.splitlines() if "|" in line
    ]
    headings = re.findall(r"^### \w+: (.*)$", text, re.MULTILINE)
    of = {
        word: sum(one == word for one in [*cells, *headings])
        for word in ("supported", "not supported", "undecided", "not the same conditions")
    }
    said = re.search(
        r"Supported: (\d+) statements\. Not supported: (\d+)\. Undecided: (\d+)\. "
        r"Only compared under other conditions: (\d+)\.",
        text,
    )
    assert said is not None
    assert [int(one) for one in said.groups()] == list(of.values())
