"""Compiled programs are kept where they can be, and what is damaged there is replaced."""

import os
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxrnn.cli import cache

DIRECTORY = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])


@pytest.fixture(autouse=True)
def nothing_said_and_nothing_set(monkeypatch):
    cache._say.cache_clear()
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("empty", lambda whole: b""),
        ("truncated", lambda whole: whole[: len(whole) // 2]),
        ("garbage", lambda whole: os.urandom(5000)),
    ],
)
def test_a_damaged_program_is_replaced_and_told_once(name, damage, capsys):
    def program(x):
        return 3 * x + 1

    def files_of_compiling_anew():
        """In the cache, as a new process would compile the program."""
        jax.clear_caches()
        assert jax.jit(program)(jnp.float32(2)) == 7
        found = DIRECTORY.glob(f"jit_{program.__name__}-*")
        return [path for path in found if not path.name.endswith("-atime")]

    program.__name__ = f"damaged_{name}"
    (path,) = files_of_compiling_anew()
    whole = path.read_bytes()
    cache.keep_compiled()
    path.write_bytes(damage(whole))
    for _ in range(2):
        assert files_of_compiling_anew() == [path]
        assert len(path.read_bytes()) > 0.9 * len(whole)
    told = f"jaxrnn: a damaged compiled program in {DIRECTORY} is compiled anew\n"
    assert capsys.readouterr().err == told


def test_other_warnings_are_shown_as_ever(capsys):
    shown = []
    warnings.showwarning = lambda *arguments: shown.append(str(arguments[0]))
    cache.keep_compiled()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("mind the gap", stacklevel=1)
    assert shown == ["mind the gap"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("home", ["file", "file/below", "~", "users"])
def test_programs_are_kept_in_the_users_cache_directory_or_one_line_says_why_not(
    home, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    directory = Path(home) if home == "~" else tmp_path / home
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: directory / name)
    for _ in range(2):
        cache.keep_compiled()
    place, works = directory / "jaxrnn" / "compiled", home == "users"
    told = f"jaxrnn: compiled programs are not kept, {place} cannot be written\n"
    assert capsys.readouterr().err == ("" if works else told)
    assert not Path("~").exists()
    assert jax.config.jax_compilation_cache_dir == str(place if works else DIRECTORY)
    assert place.is_dir() == works
