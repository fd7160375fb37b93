"""What the documents show is so: commands, code, links and the output of the first command."""

import re
import shlex
from pathlib import Path

import jax.numpy as jnp
import pytest
from helpers import run

import jaxrnn
from jaxrnn.cli.commands import COMMANDS
from jaxrnn.cli.words import parse
from jaxrnn.errors import InputError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
STUDIES = sorted(one.relative_to(ROOT).as_posix() for one in ROOT.glob("examples/**/README.md"))
PAGES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", *STUDIES, *PAGES]
PLACEHOLDERS = {"COMMAND": "sweep", "NAME": "6a", "T": "100"}


def commands_of(document):
    """Every call of the command line that a document shows, in a sentence or on a line."""
    text = (ROOT / document).read_text().replace("\\\n", "")
    shown = re.findall(r"`(jaxrnn\s[^`]+)`", text)
    shown += re.findall(r"^(?: {4}|\$ )(jaxrnn .*)$", text, re.M)
    return list(dict.fromkeys(" ".join(command.split()) for command in shown))


def code_of(page, position=0):
    """One of the pieces of Python that a page shows."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)[position]


def slug(heading):
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_command_that_is_shown_can_be_given():
    refused = {}
    for command in {one for document in DOCUMENTS for one in commands_of(document)}:
        _, *words = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)]
        try:
            parse(COMMANDS, words)
        except InputError as error:
            refused[command] = str(error)
        except SystemExit:  # when the help has been printed
            assert "--help" in words, command
    assert not refused


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere_and_every_picture_says_what_it_shows(document):
    whole = (ROOT / document).read_text()
    text = re.sub(r"^```.*?^```|^ {4}.*?$", "", whole, flags=re.M | re.S)
    for place in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in place:
            continue
        file, _, anchor = place.partition("#")
        path = (ROOT / document).parent / file if file else ROOT / document
        assert path.exists(), place
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
            assert anchor in map(slug, headings), place
    for words in re.findall(r"!\[([^]]*)\]", whole):
        assert len(words.split()) > 4, words


def test_the_readme_is_short_and_ci_runs_its_test_command():
    assert len(README.splitlines()) <= 120
    commands = re.findall(r"^ {4}(python3 -m venv .*)$", README, re.M)
    assert len(commands) == 2
    assert commands[0].endswith("jaxrnn sweep")
    assert commands[1].endswith("/pytest -n logical")
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.slow
def test_the_readmes_first_command_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"```console\n\$ (.*?)```", README, re.S)
    command, *shown = block.splitlines()
    monkeypatch.chdir(tmp_path)
    assert run(*shlex.split(command)[1:]) == 0
    # Another processor or jax may need some steps more or less.
    printed = [
        re.sub(r"[\d,]+", "0", line.rstrip()) for line in capsys.readouterr().out.split("\n")
    ]
    shown = [re.sub(r"[\d,]+", "0", line.rstrip()) for line in shown]
    start = printed.index(shown[0])
    assert printed[start : start + len(shown)] == shown


def table_rows(text):
    """The rows of Markdown tables, heads included."""
    return [line for line in text.splitlines() if line.startswith("|") and "--:" not in line]


def test_every_figure_of_the_tables_of_speed_is_one_that_a_benchmark_has_written():
    written = "\n".join(path.read_text() for path in (ROOT / "benchmarks/results").glob("*.md"))
    rows = table_rows((ROOT / "docs/speed.md").read_text())
    assert len(rows) > 15
    others = [row for row in rows if row not in written.splitlines()]
    # Of the rivals a line of the page is several of theirs.
    rivals = (ROOT / "benchmarks/results/rivals.md").read_text()
    assert others.pop(0).startswith("| net | T | jaxrnn, us | tensorflow |")
    assert len(others) == 4
    for row in others:
        net, length, *times = [cell.strip() for cell in row.strip("|").split("|")]
        one = rf"^\| {net} \| {length} \| \S+ \| (\S+) \| \S+ \| \S+ \| (\S+) \|"
        found = re.findall(one, rivals, re.M)
        assert times == [found[0][0], *(ratio for _, ratio in found[1:])]


def test_the_readme_and_the_first_page_have_the_numbers_of_the_kept_rows():
    kept = jaxrnn.summarize(jaxrnn.read_rows(ROOT / "examples/notebook-run"))
    asked = ("better", "lstm", 20)
    (line,) = (one for one in kept if (one.experiment, one.cell, one.length) == asked)
    found = f"{line.mean:,.0f}  {line.median:,.0f} {line.most:,.0f}"
    assert f"lstm (better) 20  {line.solved}/{line.trials} 69-100 {found}" in README
    assert found in (ROOT / "docs/start.md").read_text()


def test_the_readmes_python_runs(tmp_path, monkeypatch, capsys):
    code = code_of("README.md", -1)
    assert len(code.strip().splitlines()) <= 5
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    *_, last = capsys.readouterr().out.splitlines()
    steps = re.findall(r"\d+", last)
    assert len(steps) == 4
    assert all(1000 <= int(step) < 3000 for step in steps)


@pytest.mark.parametrize("page", ["README.md", "docs/howto/cell.md"])
def test_the_cell_that_a_page_shows_is_the_example(page):
    example = (ROOT / "examples/leaky.py").read_text()
    assert code_of(page) in example


def test_the_statistics_that_a_page_shows_are_computed(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(code_of("docs/howto/statistics.md"), {})
    sooner, low, high = map(float, re.findall(r"\d\.\d+", capsys.readouterr().out))
    assert 0 <= low < sooner < high <= 1


def test_a_cell_as_a_plain_function_scans_maps_and_differentiates():
    names: dict = {}
    exec(code_of("docs/howto/python.md"), names)
    assert names["ys"].shape == (9, 10)
    assert names["batch"].shape == (32, 9, 10)
    gradient = names["gradient"].input_weights
    # The loss is the first output of the last step; only symbols that were seen have a gradient.
    assert (jnp.abs(gradient).sum(1) > 0).sum() == len(set(names["xs"].tolist()))


def test_two_cells_are_compared_as_the_page_shows(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    code = code_of("docs/howto/horizon.md")
    exec(code, {})
    one, two = capsys.readouterr().out.splitlines()
    for shown in re.search(r"# (low=.*)\.\.\.", code)[1].split(", "):
        assert shown in one
    mean, low, high = map(float, re.findall(r"-?\d+\.\d+", two))
    assert 0 < low < mean < high


@pytest.mark.slow
def test_the_search_and_the_weights_that_pages_show(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(code_of("docs/howto/search.md"), {})
    *_, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"0\.\d+ \d+ \(0\.\d+, \d\.\d+\)", last)
    (command,) = re.findall(
        r"^ {4}(jaxrnn .*)$", (ROOT / "docs/howto/weights.md").read_text(), re.M
    )
    assert run(*shlex.split(command)[1:]) == 0
    names: dict = {}
    exec(code_of("docs/howto/weights.md"), names)
    assert names["ys"].shape == (9, 10)
