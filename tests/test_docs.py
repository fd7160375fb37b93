"""What the documents show is so: commands, code, links and the output of the first command."""

import re
import shlex
from pathlib import Path

import numpy as np
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
PLACEHOLDERS = {"COMMAND": "sweep", "NAME": "6a", "T": "100", "SHELL": "bash"}


def commands_of(document):
    """Every call of the command line that a document shows, in a sentence or on a line."""
    text = (ROOT / document).read_text().replace("\\\n", "")
    shown = re.findall(r"`(jaxrnn\s[^`]+)`", text)
    shown += re.findall(r"^(?: {4}|\$ )(jaxrnn .*)$", text, re.M)
    return list(dict.fromkeys(" ".join(command.split()) for command in shown))


def code_of(page, position=0):
    """One of the pieces of Python that a page shows."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)[position]


def test_every_command_that_is_shown_can_be_given():
    refused = {}
    for command in {one for document in DOCUMENTS for one in commands_of(document)}:
        _, *words = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)]
        if words in [[name] for name in COMMANDS]:
            continue  # a command's name, not a call of it
        try:
            parse(COMMANDS, words)
        except InputError as error:
            refused[command] = str(error)
        except SystemExit:  # when the help or a script has been printed
            assert {"--help", "--help-all", "--completion"} & {*words}, command
    assert not refused


def test_every_link_leads_somewhere_and_every_picture_says_what_it_shows():
    for document in DOCUMENTS:
        whole = (ROOT / document).read_text()
        text = re.sub(r"^```.*?^```|^ {4}.*?$", "", whole, flags=re.M | re.S)
        for file, anchor in re.findall(r"\]\((?!\w+://)([^)#]*)#?([^)]*)\)", text):
            path = (ROOT / document).parent / file if file else ROOT / document
            assert path.exists(), (document, file)
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M) if anchor else [""]
            anchors = [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings]
            assert anchor in anchors, (document, file)
        for words in re.findall(r"!\[([^]]*)\]", whole):
            assert len(words.split()) > 4, words


def test_the_readme_is_short_and_ci_runs_its_test_command():
    assert len(README.splitlines()) <= 120
    sets_up, tests = re.findall(r"^ {4}(python3 -m venv .*)$", README, re.M)
    assert sets_up.endswith("jaxrnn sweep")
    assert tests.endswith("/pytest -n logical")
    assert tests in (ROOT / ".ci" / "run").read_text().splitlines()


def test_every_figure_of_the_tables_of_speed_is_one_that_a_benchmark_has_written():
    written = "\n".join(path.read_text() for path in (ROOT / "benchmarks/results").glob("*.md"))
    rows = re.findall(r"^\|(?!.*--:).*$", (ROOT / "docs/speed.md").read_text(), re.M)
    assert len(rows) > 15
    heads, *others = (row for row in rows if row not in written.splitlines())
    # Of the rivals a line of the page is several of theirs.
    assert heads.startswith("| net | T | jaxrnn, us | tensorflow |")
    assert len(others) == 4
    rivals = (ROOT / "benchmarks/results/rivals.md").read_text()
    for row in others:
        net, length, *times = [cell.strip() for cell in row.strip("|").split("|")]
        one = rf"^\| {net} \| {length} \| \S+ \| (\S+) \| \S+ \| \S+ \| (\S+) \|"
        found = re.findall(one, rivals, re.M)
        assert times == [found[0][0], *(ratio for _, ratio in found[1:])]


def test_the_readme_and_the_first_page_have_the_numbers_of_the_kept_rows():
    kept = jaxrnn.summarize(jaxrnn.read_rows(ROOT / "examples/notebook-run"))
    asked = ("better", "lstm", 20)
    (line,) = (one for one in kept if (one.experiment, one.cell, one.length) == asked)
    solved = f"{line.solved} of {line.trials} trials solved at T = 20 (95%: 69-100 %),"
    assert f"lstm (better) on noise_free: {solved}\n" in README
    assert f"after {line.median:,.0f} sequences in the median. It is solved sooner" in README
    found = f"{line.mean:,.0f}  {line.median:,.0f} {line.most:,.0f}"
    assert f"lstm (better) 20  {line.solved}/{line.trials} 69-100 {found}" in (
        (ROOT / "docs/start.md").read_text()
    )


@pytest.mark.integration
def test_the_python_that_the_readme_and_pages_show_runs(tmp_path, monkeypatch, capsys):
    def told_by(page, position=0):
        exec(code_of(page, position), names)
        return capsys.readouterr().out

    for page in ("README.md", "docs/howto/cell.md"):
        assert code_of(page) in (ROOT / "examples/leaky.py").read_text()

    names: dict = {}
    monkeypatch.chdir(tmp_path)
    steps = re.findall(r"\d+", told_by("README.md", -1).splitlines()[-1])
    assert len(steps) == 4
    assert all(1000 <= int(step) < 3000 for step in steps)

    monkeypatch.chdir(ROOT)
    statistics = told_by("docs/howto/statistics.md")
    sooner, low, high = map(float, re.findall(r"\d\.\d+", statistics))
    assert 0 <= low < sooner < high <= 1

    shown = re.search(r"# (\[.*)\.\.\.", code_of("docs/howto/horizon.md"))[1]
    assert told_by("docs/howto/horizon.md").startswith(shown)

    told_by("docs/howto/python.md")
    assert names["ys"].shape == (9, 10)
    assert names["batch"].shape == (32, 9, 10)
    gradient = names["gradient"].input_weights
    # The loss is the first output of the last step; only symbols that were seen have a gradient.
    assert (np.abs(gradient).sum(1) > 0).sum() == len(set(names["xs"].tolist()))


@pytest.mark.slow
def test_the_commands_and_the_search_that_pages_show(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```console\n\$ (.*?)```", README, re.S)
    command, *shown = block.splitlines()
    assert run(*shlex.split(command)[1:]) == 0
    # Another processor or jax may need some steps more or less.
    printed = re.sub(r"[\d,]+", "0", re.sub(r" +$", "", capsys.readouterr().out, flags=re.M))
    assert re.sub(r"[\d,]+", "0", "\n".join(map(str.rstrip, shown))) in printed

    exec(code_of("docs/howto/search.md"), {})
    *_, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"0\.\d+ \d+ \(0\.\d+, \d\.\d+\)", last)

    weights = (ROOT / "docs/howto/weights.md").read_text()
    (command,) = re.findall(r"^ {4}(jaxrnn .*)$", weights, re.M)
    assert run(*shlex.split(command)[1:]) == 0
    names: dict = {}
    exec(code_of("docs/howto/weights.md"), names)
    assert names["ys"].shape == (9, 10)
