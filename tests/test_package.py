"""What is built and installed: its files, its version, and what type checkers see of it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from helpers import run

import jaxrnn

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = f"jaxrnn-{PROJECT['version']}"

# What a user may write. Each line that ends in "# wrong" is to be refused, the others are not.
SCRIPT = """
import jaxrnn
import numpy as np
from jaxrnn import Experiment, lstm, noise_free, run_trials

outcomes = run_trials(Experiment(cell="lstm", length=4, learning_rate=(0.1, 0.3), trials=2))
steps: list[int | None] = [outcome.solved_at for outcome in outcomes]
Experiment(clip=[1, 2], learning_rate=np.array([0.1, 0.3]), trials=2, cell_options={"p": 2})
net: jaxrnn.Cell = jaxrnn.stack(lstm(10, 20, 10), jaxrnn.simple_rnn(10, 20, 10))
best: jaxrnn.Suite = jaxrnn.SUITES["6a-best"]
task: jaxrnn.Task = jaxrnn.TASKS["adding"](100)
whose: str = best.source.title + jaxrnn.__version__

run_trials("lstm")  # wrong
Experiment(lenght=4)  # wrong
word: str = noise_free(4)  # wrong
jaxrnn.lstn(10, 20, 10)  # wrong
outcomes[0].solved  # wrong
"""
WRONG = [number for number, line in enumerate(SCRIPT.splitlines(), 1) if line.endswith("# wrong")]
# What jax's and numpy's own types are is not asked here, and would take mypy half a minute.
MYPY = """
[mypy]
[mypy-chex.*,jax.*,jaxlib.*,numpy.*,optax.*]
follow_imports = skip
"""


# Of what is installed, not of the tree that these tests run in.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def execute(*words, **options):
    words = list(map(str, words))
    return subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT, **options)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The directory of the sdist and of the wheel that is built from it, without a network, in a
    copy of what is kept."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "runs", "build", "dist", "*.egg-info")
    tree = shutil.copytree(ROOT, tmp_path_factory.mktemp("tree") / "jaxrnn", ignore=left_out)
    shutil.copytree(ROOT / ".ci", tree / ".ci")
    done = execute(sys.executable, "-m", "build", "--no-isolation", tree)
    assert done.returncode == 0, done.stdout + done.stderr
    return tree / "dist"


@pytest.mark.integration
def test_what_is_built_holds_what_is_kept_and_nothing_that_was_made(built):
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        names = wheel.namelist()
        metadata = wheel.read(f"{NAME}.dist-info/METADATA").decode()
    package = ROOT / "jaxrnn"
    shipped = [*package.rglob("*.py"), *package.glob("yardstick/rows/*/*")]
    shipped += [package / name for name in ("py.typed", "__init__.pyi", "report/page.html")]
    own = {name for name in names if not name.startswith(f"{NAME}.dist-info/")}
    assert own == {str(path.relative_to(ROOT)) for path in shipped}
    assert "jaxrnn/yardstick/rows/horizon/trials.jsonl.xz" in own
    assert f"{NAME}.dist-info/licenses/LICENSE" in names
    head = metadata.partition("\n\n")[0]
    assert "\nLicense-Expression: Apache-2.0\n" in head
    assert "\nAuthor: the jaxrnn maintainers\n" in head
    assert "URL" not in head.upper()  # there is none yet

    with tarfile.open(built / f"{NAME}.tar.gz") as sdist:
        names = {one.name.removeprefix(f"{NAME}/") for one in sdist.getmembers() if one.isfile()}
    tree = built.parent
    kept = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    made = r"dist/|jaxrnn\.egg-info/|docs/_build/|docs/tutorials/.*ipynb"
    kept, names = ({one for one in all_ if not re.match(made, one)} for all_ in (kept, names))
    assert names - kept == {"PKG-INFO", "setup.cfg"}
    assert kept <= names


@pytest.mark.slow
def test_type_checkers_see_into_an_installed_package_and_it_says_its_version(built, tmp_path):
    """In a virtual environment with the wheel, and the packages that this one has."""
    place = tmp_path / "place"
    venv.create(place, symlinks=True)
    paths = sysconfig.get_paths(vars={"base": str(place), "platbase": str(place)})
    (Path(paths["purelib"]) / "others.pth").write_text(sysconfig.get_path("purelib"))
    python = Path(paths["scripts"]) / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"]
    done = execute(*pip, "--no-index", built / f"{NAME}-py3-none-any.whl")
    assert done.returncode == 0, done.stdout + done.stderr
    for code in ("-m", "jaxrnn", "--version"), ("-c", "import jaxrnn; print(jaxrnn.__version__)"):
        done = execute(python, *code, cwd=tmp_path)
        assert done.stdout.split()[-1] == PROJECT["version"], done.stderr

    names = [*jaxrnn.__all__, "__version__"]
    reveal = [f"reveal_type(jaxrnn.{name})" for name in names]
    (tmp_path / "script.py").write_text("\n".join([SCRIPT, *reveal]))
    (tmp_path / "mypy.ini").write_text(MYPY)
    told = execute(
        *(sys.executable, "-m", "mypy", "--python-executable", python, "script.py"), cwd=tmp_path
    ).stdout
    by_mypy = re.findall(r"^script.py:(\d+): error", told, re.M)
    assert list(map(int, by_mypy)) == WRONG, told
    seen = re.findall(r'note: Revealed type is "(.*)"$', told, re.M)
    assert len(seen) == len(names)
    assert "Any" not in seen

    settings = {"typeCheckingMode": "standard", "venvPath": str(tmp_path), "venv": place.name}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    words = ("-m", "basedpyright", "--outputjson", "script.py")
    told = execute(sys.executable, *words, cwd=tmp_path).stdout
    found = json.loads(told)["generalDiagnostics"]
    errors = [one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error"]
    assert errors == WRONG, found
    seen = [one["message"] for one in found if one["severity"] == "information"]
    assert len(seen) == len(names)
    assert not [message for message in seen if "Unknown" in message]


def test_the_command_says_its_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"jaxrnn {PROJECT['version']}\n"


def test_ci_takes_the_lowest_version_of_everything_that_is_required():
    extras = PROJECT["optional-dependencies"]
    needed = [extras[name] for name in ("dask", "docs", "frames", "submissions", "test")]
    wanted = [*PROJECT["dependencies"], *(one for extra in needed for one in extra)]
    wanted.remove("jaxrnn[dask,docs,frames,submissions]")
    bounds = [re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)(?:,|$)", one) for one in wanted]
    assert None not in bounds, wanted
    lines = (ROOT / ".ci" / "lowest.txt").read_text().splitlines()
    assert lines[1:] == [f"{name}=={bound}" for name, bound in map(re.Match.groups, bounds)]


def test_what_the_package_imports_is_required():
    code = "\n".join(path.read_text() for path in (ROOT / "jaxrnn").rglob("*.py"))
    imported: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(node.module)
    imported = {name.partition(".")[0] for name in imported}
    imported -= {
        "jaxrnn",
        "distributed",
        "equinox",
        "flax",
        "pandas",
        "yaml",
        *sys.stdlib_module_names,
    }
    imported.remove("typing_extensions")  # type checkers alone read it, and bring it
    required = {re.match(r"[\w-]+", one)[0] for one in PROJECT["dependencies"]}
    modules = {"PIL": "pillow", "markdown_it": "markdown-it-py"}
    assert {modules.get(name, name) for name in imported} == required - {"jaxlib"}


def test_the_licence_and_the_citation_belong_to_the_package():
    licence = (ROOT / "LICENSE").read_text()
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", licence)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["cff-version"], citation["title"]) == ("1.2.0", PROJECT["name"])
    for field in ("version", "license", "authors"):
        assert citation[field] == PROJECT[field]
