"""The site is built without a warning, loses no text, names everything that is public, and fits a
screen."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import jaxrnn
from jaxrnn.training.objectives import MEASURES

DOCS = Path(__file__).parents[1] / "docs"


def test_no_line_of_a_page_is_a_comment():
    """As one would be to MyST that begins with %."""
    parser = pytest.importorskip("myst_parser.parsers.mdit").create_md_parser
    from myst_parser.config.main import MdParserConfig
    from myst_parser.mdit_to_docutils.base import DocutilsRenderer

    conf = runpy.run_path(str(DOCS / "conf.py"))
    ours = MdParserConfig(disable_syntax=conf["myst_disable_syntax"])

    def comments(text, config):
        tokens = parser(config, DocutilsRenderer).parse(text)
        return [token.content for token in tokens if token.type == "myst_line_comment"]

    lost = comments("95\n% of them, and\n\n- 90\n  % of these\n", MdParserConfig())
    assert lost == [" of them, and", " of these"]
    pages = [*DOCS.rglob("*.md"), *(conf["ROOT"] / page for page in conf["ORIGINS"].values())]
    assert len(pages) > 30
    for page in pages:
        assert not comments(f"{page.read_text()}\n\n% of the last line\n", ours), page


def test_the_reference_has_every_public_name_once():
    text = (DOCS / "api.md").read_text()
    named = re.findall(r"^\.\. (?:auto\w+|data):: (?:[\w.]+\.)?(\w+)$", text, re.M)
    tables = (jaxrnn.TASKS, jaxrnn.INITIALIZERS, jaxrnn.OBJECTIVES, MEASURES)
    tables += (jaxrnn.OPTIMIZERS, jaxrnn.SCHEDULES)
    assert sorted(named) == sorted({*jaxrnn.__all__, *(name for one in tables for name in one)})


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    pytest.importorskip("sphinx")
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", DOCS, built]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return built


@pytest.mark.integration
def test_the_site_has_every_public_name_with_its_source(site):
    text = (site / "api.html").read_text()
    for name in jaxrnn.__all__:
        entry = text[text.index(f'id="jaxrnn.{name}"') :]
        if not isinstance(getattr(jaxrnn, name), dict | jaxrnn.Suite):
            assert "[source]" in entry[: entry.index("</dt>")], name


@pytest.mark.integration
@pytest.mark.parametrize("width", [1200, 400])
def test_every_page_fits_a_screen(site, browser, width):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    for page in sorted(DOCS.rglob("*.md")):
        browser.get((site / page.relative_to(DOCS).with_suffix(".html")).as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, page
        missing = browser.execute_script(
            "return [...document.images].filter(i => !i.naturalWidth && i.loading != 'lazy')"
            ".map(i => i.src)"
        )
        assert not missing, page
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
