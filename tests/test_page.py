"""The page of a report: what stands in it, and in a real browser what can be done with it."""

import json
import re
from html import unescape
from xml.etree import ElementTree

import pytest
from helpers import changed, grid_rows, paper_rows, rows, rows_ending_at, run, write_rows

from jaxrnn import SUITES
from jaxrnn.report.document import write_report
from jaxrnn.report.page import SVG
from jaxrnn.report.render import NAME_WIDTH

NETS = [
    *rows("lstm", 4, [1100, None, 1300]),
    *rows("gru", 4, [1200, 1250]),
    *rows("lstm", 5, [1400, 1500, 1600]),
]
CARD = [
    row
    for cell in ("lstm", "gru")
    for task in ("adding", "noise_free")
    for row in rows_ending_at(SUITES[f"card-{task}"].at(cell, trials=3), [2900, None, 3100])
]


def page_of(made, directory):
    write_rows(directory, made)
    write_report(directory)
    return (directory / "report.html").read_text()


def drawings(text):
    return [ElementTree.fromstring(one) for one in re.findall(r"<svg.*?</svg>", text, re.S)]


def told(drawing):
    """What the dots and lines of a drawing say."""
    return [one.text for one in drawing.iter(f"{{{SVG}}}title")]


def test_each_dot_says_its_trial(tmp_path):
    steps, curves, *_ = drawings(page_of(NETS, tmp_path))
    assert sorted(told(steps)) == sorted(
        f"{row['cell']}, T = {row['length']}, trial {row['trial']}, seed 0: "
        + (f"solved at {row['solved_at']:,}" if row.solved else f"unsolved after {row['steps']:,}")
        for row in NETS
    )
    assert len(told(curves)) == len(NETS)
    (dots, *_) = drawings(page_of(paper_rows("2a", 101, [14_999, None, 11_999]), tmp_path))
    assert [text.rpartition(": ")[2] for text in told(dots)] == [
        "solved at 5,000",
        "solved at 2,000",
    ]


def test_a_page_is_the_same_whenever_it_is_made_and_needs_nothing_else(tmp_path):
    text = page_of(NETS, tmp_path)
    assert page_of(NETS, tmp_path) == text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    meant = {*re.findall(r'(?:href="#|url\(#)([^")]+)', text)}
    assert len(meant) > 3
    for name in meant:  # or a picture would show another one's dots
        assert text.count(f' id="{name}"') == 1


def test_each_row_of_a_grid_leads_to_its_own_trials(tmp_path):
    made = [*grid_rows(), *rows("lstm", 7, [500], name="grid", task_options={"num_symbols": 9})]
    made += rows("lstm", 7, [600, None], name="grid", task_options={"num_symbols": 8})
    text = page_of(made, tmp_path)
    trials = json.loads(text.partition('type="application/json">')[2].partition("</script>")[0])
    places = {name: number for number, name in enumerate(trials["headings"])}
    counts = []
    for about in re.findall(r'<tr data-about="([^"]+)">', text):
        wanted = json.loads(unescape(about))
        of = [
            number
            for number, one in enumerate(trials["experiments"])
            if all(one[places[name]] == value for name, value in wanted.items())
        ]
        counts.append(sum(trial[0] in of for trial in trials["trials"]))
    assert sorted(counts) == [1, 2, 2, 2, 2, 2, 3]


def test_text_from_files_stays_text(tmp_path):
    own = "</script><img class=own>.py:f"
    made = [changed(row, cell=own) for row in NETS[:2]] + NETS[2:]
    (tmp_path / "notes.md").write_text("<img class=own>\n\n| a |\n|--|\n| <b class=own>1</b> |\n")
    text = page_of(made, tmp_path)
    assert "<img class=own" not in text
    assert "<b class=own" not in text
    assert text.count("</script>") == 2
    assert "<td>&lt;b class=own&gt;1&lt;/b&gt;</td>" in text  # in a table of the notes
    trials = json.loads(text.partition('type="application/json">')[2].partition("</script>")[0])
    assert any(own in one for one in trials["experiments"])


def test_a_drawing_of_too_many_points_is_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxrnn.report.page.MOST", 100)
    text = page_of(NETS, tmp_path)
    assert "<svg" not in text
    assert text.count('src="data:image/png;base64,') == 3


def test_papers_get_their_formats(tmp_path, capsys):
    page_of(NETS, tmp_path)
    assert not [*tmp_path.glob("*.svg"), *tmp_path.glob("*.pdf")]
    assert run("report", tmp_path, "--format", "svg", "pdf") == 0
    stems = {path.stem for path in tmp_path.glob("*.png")}
    for suffix, begin in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        files = [*tmp_path.glob(f"*.{suffix}")]
        assert {path.stem for path in files} == stems
        assert all(path.read_bytes().startswith(begin) for path in files)
    assert run("report", tmp_path, "--format", "jpg") == 2
    assert "format jpg is not one of pdf, svg" in capsys.readouterr().err


def test_the_browser_is_opened_if_asked_for(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    write_rows(tmp_path, NETS)
    assert run("report", tmp_path) == 0
    assert not opened
    assert run("report", tmp_path, "--open") == 0
    assert opened == [(tmp_path / "report.html").as_uri()]


# In a browser


def opened(browser, made, directory):
    page_of(made, directory)
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


def test_a_browser_sorts_filters_and_switches_curves_off(browser, tmp_path):
    texts, click = opened(browser, NETS, tmp_path)
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
    click("#of-trials th", at)
    ends = texts(f"{of_trials} td:nth-child({at + 1})")
    assert ends == ["1100", "1200", "1250", "1300", "1400", "1500", "1600", "never"]
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
    curves = "figure:nth-of-type(2) .switches input"
    click(curves, 0)
    assert browser.execute_script(hidden) == ["lstm"] * 6
    click(curves, 0)
    assert browser.execute_script(hidden) == []


def test_a_browser_leads_from_a_cell_of_the_card_to_its_trials(browser, tmp_path):
    texts, click = opened(browser, CARD, tmp_path)
    click(".data tbody tr:nth-child(2) td:nth-child(3)")
    assert texts("#shown") == ["3 of 12: gru, adding"]
    assert all("gru" in row and "adding" in row for row in texts("#of-trials tbody tr"))


@pytest.mark.parametrize("width", [1200, 400])
def test_a_browser_shows_all_of_it_in_its_width(width, browser, tmp_path):
    name = f"a_directory/{'of_ones_own' * 5}.py:f"
    assert len(name) > NAME_WIDTH
    browser.set_window_size(width, 900)
    opened(browser, [*NETS, *(changed(row, cell=name) for row in NETS[:3])], tmp_path)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(wide) <= 0
