"""Pages of results: tables and reports are those of the kept rows, and no row is missing."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import contents

from jaxrnn.cli.commands import notes
from jaxrnn.problems import settled
from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.document import parts_of
from jaxrnn.report.render import Table, Words, escaped, markdown_table
from jaxrnn.report.summary import Study
from jaxrnn.report.table import nets_of
from jaxrnn.store.rows import rows_beside
from jaxrnn.sweeps.queue import Search
from jaxrnn.sweeps.run import open_run
from jaxrnn.yardstick import PREFIX
from jaxrnn.yardstick.reference import check_protocol, ship, shipped
from jaxrnn.yardstick.run import nets
from jaxrnn.yardstick.search import SINGLE, trials_of
from jaxrnn.yardstick.view import view

EXAMPLES = Path(__file__).parents[1] / "examples"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(EXAMPLES)
    import pages
    from tables_of_runs import kept

REPORTS = [
    *("claims-run", "grid-run", "horizon-run/quick", "notebook-run"),
    *("paper-run", "state-tracking-run"),
]
LARGE = pytest.param("horizon-run", marks=pytest.mark.integration)
"""Its rows take seconds to read."""


@pytest.mark.parametrize("folder", [*(one for one in pages.PAGES if one != "horizon-run"), LARGE])
def test_the_command_writes_the_tables_that_a_page_has(folder):
    text = (EXAMPLES / folder / "README.md").read_text()
    assert pages.rendered(folder) == text
    tables = "".join(match[0] for match in pages.BLOCK.finditer(text))
    prose = re.sub(r"^\|.*$", "", pages.BLOCK.sub("", text), flags=re.M)

    def figures(text):
        """Shares and large numbers; 5 of 6 is 5/6."""
        shares = re.findall(r"(?<![\d,.])(\d+)(?:/|\s+of\s+)(\d+)(?![\d/])", text)
        return {*map("/".join, shares), *re.findall(r"\d{1,3}(?:,\d{3})+", text)}

    assert figures(tables) & figures(prose) <= {"1,024"}  # a lag


def test_the_command_mends_a_table_and_refuses_a_page_without_its_place(
    tmp_path, monkeypatch, capsys
):
    right, page = pages.rendered("notebook-run"), tmp_path / "notebook-run/README.md"
    page.parent.mkdir()
    page.write_text(right.replace("8/10, 6,626", "9/10, 6,626"))
    monkeypatch.setattr(pages, "HERE", tmp_path)
    monkeypatch.setattr(pages, "PAGES", {"notebook-run": pages.PAGES["notebook-run"]})

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["pages.py", *words])
        return pages.main(), capsys.readouterr().out

    assert command("--check") == (1, f"{page}\n")
    assert page.read_text() != right
    assert command() == (0, f"{page}\n")
    assert page.read_text() == right
    assert command("--check") == (0, "")
    page.write_text(right.replace("<!-- table: better -->", ""))
    with pytest.raises(ValueError, match=r"notebook-run has places for \['lengths'\]"):
        command()


@pytest.mark.parametrize("kept_in", [*REPORTS, LARGE])
def test_a_report_is_that_of_its_rows(kept_in):
    own, directory = kept(kept_in), EXAMPLES / kept_in
    text = (directory / "report.md").read_text()
    for part in parts_of(Study([*rows_beside(directory, own), *own], own), view):
        if isinstance(part, Words):
            assert escaped(part.text) in text
        elif isinstance(part, Table):
            assert f"{markdown_table(part.rows, part.headings)}\n{part.legend}" in text


def test_every_claim_has_its_trials():
    rows = kept("claims-run")
    run = [(claim, held) for claim in CLAIMS.values() if (held := nets_of(claim, rows))]
    assert len(run) > 10
    for claim, held in run:
        assert [len(held[net]) for net in claim.nets] == [one.at().trials for one in claim.suites]


HORIZONS = pytest.mark.parametrize(
    ("name", "protocol"),
    [
        pytest.param("horizon-run", SINGLE, marks=pytest.mark.integration),
        ("horizon-run/quick", replace(SINGLE, quick=True)),
    ],
)


@HORIZONS
def test_a_horizons_rows_are_those_of_its_files_and_of_what_comes_with_the_package(
    name, protocol, tmp_path
):
    directory, rows = EXAMPLES / name, kept(name)
    costs = json.loads((directory / "cost.json").read_text())
    assert notes(rows, protocol, costs)[1] == (directory / "notes.md").read_text()
    ship(directory, tmp_path)
    assert contents(shipped(protocol)) == contents(tmp_path)
    assert sum(path.stat().st_size for path in shipped(protocol).iterdir()) < 400_000
    check_protocol(protocol, directory)


@HORIZONS
def test_a_horizon_has_the_trials_that_its_searches_ask_for_and_no_others(name, protocol, tmp_path):
    """The same command would train nothing more."""
    shutil.copytree(EXAMPLES / name, tmp_path / "kept")
    held = {(row.experiment.name, row.experiment.cell) for row in kept(name)}
    asked = set()
    with open_run(tmp_path / "kept", report=False) as opened:
        for task, cell in sorted(held):
            (net,) = nets([cell], [task.removeprefix(PREFIX)], protocol)
            search = Search(trials_of(net, protocol), opened.directory)
            assert not search.go_on(), (task, cell)
            asked |= {ticket for one in search.asked for ticket in settled(one).tickets()}
        assert asked == {row.ticket for row in opened.directory.rows}
