"""The page of a report: what stands in it, and in a real browser what can be done with it."""

import json
import os
import re
import shutil
import subprocess
import sys
from html import escape, unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers import (
    changed,
    figures_of,
    grid_rows,
    paper_rows,
    rows,
    run,
    write_rows,
)

from jaxrnn.report.page import SVG, in_order, page, svg
from jaxrnn.report.render import Document, Table, TableRow
from jaxrnn.report.summary import Study
from jaxrnn.yardstick import PREFIX
from jaxrnn.yardstick.view import write_report

NETS = [
    *rows("lstm", 4, [1100, None, 1300]),
    *rows("gru", 4, [1200, 1250]),
    *rows("lstm", 5, [1400, 1500, 1600]),
]
OWN = "</script><img class=own>.py:f"
NOTED = [*NETS, *(changed(row, cell=OWN) for row in NETS[:2])]
NOTES = """<img class=own> ![a *dot*](http://a.b/c.png) ![](//a.b/c.png) [![in](ftp://c)](https://d)

| a |
|--|
| <b class=own>1</b> ![][far] ![beside](pictures/own.png) |

[far]: https://a.b/far.png
"""


def page_of(made, directory):
    write_rows(directory, made)
    write_report(directory)
    return (directory / "report.html").read_text()


@pytest.fixture(scope="module")
def noted(tmp_path_factory):
    """A run with notes and names that would do harm as HTML, and its report in all formats."""
    directory = tmp_path_factory.mktemp("noted")
    write_rows(directory, NOTED)
    (directory / "notes.md").write_text(NOTES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("webbrowser.open", pytest.fail)
        assert run("report", directory, "--format", "svg", "pdf") == 0
    return directory


@pytest.fixture(scope="module")
def text(noted):
    return (noted / "report.html").read_text()


def data_in(text):
    return json.loads(text.partition('type="application/json">')[2].partition("</script>")[0])


def trials_in(text):
    return data_in(text)["trials"]


def test_each_dot_says_its_trial(text):
    figures = figures_of(paper_rows("2a", 101, [14_999, None, 11_999]))
    text += svg(figures["sequences_to_success.png"], "paper")
    drawn = [ElementTree.fromstring(one) for one in re.findall(r"<svg.*?</svg>", text, re.S)]
    steps, curves, *_, dots = ([a.text for a in one.iter(f"{{{SVG}}}title")] for one in drawn)
    assert sorted(steps) == sorted(
        f"{row['cell']}, T = {row['length']}, trial {row['trial']}, seed 0: "
        + (f"solved at {row['solved_at']:,}" if row.solved else f"unsolved after {row['steps']:,}")
        for row in NOTED
    )
    assert len(curves) == len(NOTED)
    assert [one.rpartition(": ")[2] for one in dots] == ["solved at 5,000", "solved at 2,000"]


def test_a_page_needs_nothing_else(text):
    outer = {*re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', text)}
    assert outer == {"https://d", "pictures/own.png"}  # a link, and a file beside it
    meant = {*re.findall(r'(?:href="#|url\(#)([^")]+)', text)}
    assert len(meant) > 3
    for name in meant:  # or a picture would show another one's dots
        assert text.count(f' id="{name}"') == 1


def test_each_row_of_a_grid_leads_to_its_own_trials(tmp_path, monkeypatch):
    made = [*grid_rows(), *rows("lstm", 7, [500], name="grid", task_options={"num_symbols": 9})]
    made += rows("lstm", 7, [600, None], name="grid", task_options={"num_symbols": 8})
    write_rows(tmp_path, made)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert run("report", tmp_path, "--open") == 0
    assert opened == [(tmp_path / "report.html").as_uri()]
    text = (tmp_path / "report.html").read_text()
    trials = trials_in(text)
    about = [dict(zip(trials["headings"], one, strict=False)) for one in trials["experiments"]]
    counts = []
    for row in re.findall(r'<tr data-about="([^"]+)">', text):
        wanted = json.loads(unescape(row)).items()
        of = [number for number, one in enumerate(about) if wanted <= one.items()]
        counts.append(sum(trial[0] in of for trial in trials["trials"]))
    assert sorted(counts) == [1, 2, 2, 2, 2, 2, 3]


def test_text_from_files_stays_text(text):
    assert "<img class=own" not in text
    assert "<b class=own" not in text
    assert text.count("</script>") == 2
    assert "<td>&lt;b class=own&gt;1&lt;/b&gt;" in text  # in a table of the notes
    assert any(OWN in one for one in trials_in(text)["experiments"])


def test_an_image_of_the_notes_that_is_not_beside_them_is_its_words_or_its_address(text):
    assert '> a dot //a.b/c.png <a href="https://d">in</a></p>' in unescape(text)
    assert 'https://a.b/far.png <img src="pictures/own.png" alt="beside"></td>' in text


def test_papers_get_their_formats(noted, monkeypatch, capsys):
    stems = {path.stem for path in noted.glob("*.png")}
    for suffix, begin in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        files = [*noted.glob(f"*.{suffix}")]
        assert {path.stem for path in files} == stems
        assert all(path.read_bytes().startswith(begin) for path in files)
    assert run("report", noted, "--format", "jpg") == 2
    assert "unknown format 'jpg': choose from pdf, svg" in capsys.readouterr().err
    monkeypatch.setattr("jaxrnn.report.page.MOST", 100)  # more points than these are pixels
    figure = figures_of(NETS)["steps_to_solution.png"]
    assert svg(figure, "steps").startswith('<img alt="" src="data:image/png;base64,')


# In the order of a click on a heading; what stands for nothing has no place, so it comes last.
HORIZONS = [
    *("-0.4 (-1.0 to +0.2)", "0.0195%", "+0.3 (-0.4 to +1.0)", "1/2 (1 diverged)", "9/9", "10/10"),
    *("<8", "8", "<16", "16", "16-99", "16-100", "≥16", "927", "≥1,024", "1,089", "2.5e+03", "2c"),
]


def test_columns_are_sorted_by_their_numbers_and_names_by_their_letters():
    assert in_order("horizon", ["never", "-", *HORIZONS[::-1], "none", ""]) == HORIZONS
    values = ["1e-05", "<0.001", "0.02", "1.000"]
    assert in_order("p", values[::-1]) == values
    assert in_order("net", ["lstm", "2a", "Gru", "10b", "2a"]) == ["10b", "2a", "Gru", "lstm"]


def horizons_page():
    """A page with a table of horizons, from the greatest to the least."""
    shown = [TableRow({"net": f"net {one}", "horizon": one}, None) for one in HORIZONS[::-1]]
    shown = [*shown[:3], TableRow({"net": "none"}, None), *shown[3:]]
    return page(
        Document({}, [], [Table("Horizons", ["net", "horizon"], shown)], ""), Study(NETS), []
    )


def test_a_page_says_the_place_of_each_cell_and_trial():
    text = horizons_page()
    shown = re.findall(r"<td(?: data-place=(\d+))?>([^<]*)</td></tr>", text)
    expected = [(str(place), escape(one)) for place, one in enumerate(HORIZONS)][::-1]
    assert shown == [*expected[:3], ("", "-"), *expected[3:]]
    trials = trials_in(text)
    of = dict(zip(trials["headings"], trials["orders"], strict=True))
    assert of["at"] == ["1100", "1200", "1250", "1300", "1400", "1500", "1600"]
    assert (of["net"], of["T"]) == (["gru", "lstm"], ["4", "5"])
    assert (of["trial"], of["ended"]) == (["0", "1", "2"], ["solved", "unsolved"])


SWEEP_AND_REPORT = """
import os, sys
from jaxrnn.cli import main
from jaxrnn.store.run_directory import RunDirectory
if sys.argv.pop() == "killed":
    add = RunDirectory.add
    RunDirectory.add = lambda *rows: (add(*rows), os._exit(9))
main()
sys.argv[1:] = ["report", sys.argv[-1], "--format", "svg", "pdf"]
main()
"""


@pytest.mark.integration
def test_a_run_that_was_killed_has_the_same_report_to_the_byte(tmp_path):
    sweep = ["sweep", "simple_rnn", "gru", "--lengths", "5", "--trials", "2"]
    sweep += ["--window", "60", "--max-steps", "300", "--out"]

    def left_by(name, end, seed):
        command = [sys.executable, "-c", SWEEP_AND_REPORT, *sweep, str(tmp_path / name), end]
        ended = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed})
        assert ended.returncode == (9 if end == "killed" else 0)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    whole, killed = left_by("whole", "whole", "1"), left_by("killed", "killed", "2")
    assert killed["trials.jsonl"].count(b"\n") == 3  # its settings, and two trials
    killed = left_by("killed", "gone on", "3")
    assert len(whole) > 12
    assert [name for name in whole if whole[name] != killed.get(name)] == []
    assert whole.keys() == killed.keys()


# In a browser


def opened(browser, text, directory):
    (directory / "report.html").write_text(text)
    browser.get((directory / "report.html").as_uri())
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.get_log("browser") == []  # no error

    def texts(selector):
        return browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].filter(one => !one.hidden)"
            ".map(one => one.textContent)",
            selector,
        )

    def click(selector, number=0):
        browser.execute_script(
            "document.querySelectorAll(arguments[0])[arguments[1]]"
            ".dispatchEvent(new MouseEvent('click', {bubbles: true}))",
            selector,
            number,
        )

    return texts, click


@pytest.mark.integration
def test_a_browser_sorts_filters_leads_to_trials_and_switches_curves_off(browser, tmp_path):
    texts, click = opened(browser, page_of(NETS, tmp_path), tmp_path)
    first = ".data:not(#of-trials) tbody"
    nets = f"{first} tr td:first-child"
    assert texts(nets)[:3] == ["lstm", "gru", "lstm"]
    click(".data th")
    assert texts(nets)[:3] == ["gru", "lstm", "lstm"]
    click(".data th")
    assert texts(nets)[:3] == ["lstm", "lstm", "gru"]
    # Its last table has a row a trial, in numbers' order; an unsolved one is never.
    of_trials = "#of-trials tbody tr"
    assert len(texts(of_trials)) == len(NETS)
    at = texts("#of-trials th").index("at")
    ends = ["1100", "1200", "1250", "1300", "1400", "1500", "1600"]
    for expected in ([*ends, "never"], [*ends[::-1], "never"]):
        click("#of-trials th", at)
        assert texts(f"{of_trials} td:nth-child({at + 1})") == expected
    click(f"{first} tr")
    assert len(texts(of_trials)) == 3
    assert texts("#shown") == ["3 of 8: lstm, 4"]
    click("#all")
    box = browser.find_element("id", "wanted")
    box.send_keys("gru 12")
    assert len(texts(of_trials)) == 2
    hidden = "return [...document.querySelectorAll('[data-group]')]"
    hidden += ".filter(one => one.style.display === 'none').map(one => one.dataset.group)"
    assert browser.execute_script(hidden) == []
    curves = "#learning-curves .switches input"
    click(curves, 0)
    assert browser.execute_script(hidden) == ["lstm"] * 6
    click(curves, 0)
    assert browser.execute_script(hidden) == []

    # A table of horizons goes by their numbers.
    texts, click = opened(browser, horizons_page(), tmp_path)
    for expected in (HORIZONS, HORIZONS[::-1]):
        click(".data th", 1)
        assert texts(".data:not(#of-trials) td:nth-child(2)") == [*expected, "-"]


KEPT = Path(__file__).parents[1] / "examples" / "horizon-run"


@pytest.fixture(scope="module")
def horizons(tmp_path_factory):
    """The page of kept horizons, in a run that was asked for one more cell."""
    directory = tmp_path_factory.mktemp("horizons")
    for name in ("trials.jsonl", "config.json", "protocol.json"):
        shutil.copy(KEPT / name, directory)
    config = json.loads((directory / "config.json").read_text())
    asked = [[f"{PREFIX}parity", cell, 8, 54] for cell in ("mgu", "lstm_peephole")]
    (directory / "config.json").write_text(json.dumps(config | {"asked": asked}))
    write_report(directory)
    return directory / "report.html"


@pytest.mark.integration
@pytest.mark.parametrize("width", [1200, 400])
def test_the_first_screen_has_the_verdict_and_every_field_of_the_map(browser, horizons, width):
    height = 900 if width > 400 else 800
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == 400},
    )
    try:
        browser.get(horizons.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        ends = browser.execute_script(
            "return [...document.querySelectorAll('.verdict:first-child, .map td')]"
            ".map(one => one.getBoundingClientRect()).flatMap(one => [one.right, one.bottom])"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert len(ends) == 2 * (1 + 13 * 6)
    assert max(ends[::2]) <= width
    assert max(ends[1::2]) <= height


@pytest.mark.integration
def test_a_field_of_the_map_opens_its_net_and_what_is_not_wanted_is_off(browser, horizons):
    texts, click = opened(browser, horizons.read_text(), horizons.parent)
    data = data_in(horizons.read_text())
    trials, roles = data["trials"], data["map"]["roles"]
    every = [[*trials["experiments"][of], *rest] for of, *rest in trials["trials"]]
    why = trials["headings"].index("run for")

    def counted(**wanted):
        at = {
            trials["headings"].index(name.replace("_", " ")): value
            for name, value in wanted.items()
        }
        return sum(all(row[k] == value for k, value in at.items()) for row in every)

    # The missing are named, in words and on the map, and no click opens them.
    assert texts(".map tbody tr:last-child td")[-1] == "not begun"
    assert any("Not begun, and not shown: lstm_peephole on parity." in one for one in texts("p"))
    field = ".map td[data-task=parity][data-cell={}]"
    click(field.format("lstm_peephole"))
    assert texts("#net") == []
    # A field has its net's words, curve and fresh trials; the last table has all of its trials.
    click(field.format("mgu"))
    (words,) = texts("#net")
    assert words.startswith("mgu on parity")
    net = next(
        one for one in data["map"]["nets"] if (one["task"], one["cell"]) == ("parity", "mgu")
    )
    assert net["words"] in words
    assert len(texts("#net svg title")) == len([tried for tried in net["tried"] if tried])
    assert len(texts("#net table tr")) == 1 + counted(
        task="parity", cell="mgu", run_for="fresh trials"
    )
    shown = counted(task="parity", cell="mgu")
    assert texts("#shown")[0].startswith(f"{shown} of {len(every)}: parity, mgu")
    assert all("mgu" in row and "parity" in row for row in texts("#of-trials tbody tr"))
    # Search trials apart from fresh ones.
    click("#all")
    kind = browser.find_element("id", "why")
    assert {*texts("#why option")} == {"all kinds", *(row[why] for row in every)}
    assert {*texts("#why option")} - {"all kinds"} <= {*roles.values()}
    for words in ("search", "fresh trials"):
        kind.find_element("css selector", f"option[value='{words}']").click()
        assert texts("#shown")[0].startswith(f"{counted(run_for=words)} of")
    # Numbers are rounded; the whole number is told when one points at it.
    told = browser.execute_script(
        "return [...document.querySelectorAll('#of-trials td[title]')]"
        ".map(one => [one.title, one.textContent])"
    )
    assert len(told) > 5
    assert {whole for whole, _ in told} <= {one for row in every for one in row}
    assert all(text == f"{float(f'{float(whole):.4g}')}" for whole, text in told)
    # Cells and tasks are switched off in the map, in tables and among trials.
    click("#all")
    click("#choice input[name=cell][value=mgu]")
    assert "mgu" not in {name.split("<")[0] for name in texts(".map tbody tr:not([hidden]) th")}
    assert texts("#shown")[0].startswith(f"{len(every) - counted(cell='mgu')} of")
    assert not any("mgu" in row for row in texts("#horizons tbody tr"))
    click("#choice input[name=task][value=parity]")
    assert "parity" not in texts(".map thead th")
    click("#choice input[name=task][value=parity]")
    click("#choice input[name=cell][value=mgu]")
    assert texts("#shown")[0].startswith(f"{len(every)} of")


@pytest.mark.integration
def test_a_row_of_one_tasks_horizons_opens_its_net(browser, tmp_path):
    shutil.copytree(KEPT / "quick", tmp_path, dirs_exist_ok=True)
    write_report(tmp_path)
    texts, click = opened(browser, (tmp_path / "report.html").read_text(), tmp_path)
    assert texts(".map") == []  # one bar a cell says more than one column of fields
    assert len(texts("#answer figure svg")) == 1
    click("#horizons tbody tr", 1)
    assert texts("#net h2") == ["gru on adding_halves"]
