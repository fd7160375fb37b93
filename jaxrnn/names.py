"""The names that an experiment gives its parts: those of a table, and a user's own code.

``file.py:name`` is a name in a file, whose path starts where the command is given. ``module:name``
is a name in a module that Python finds, also in the current directory. ``__main__:name`` is a name
in a script or a notebook; a script may name its own file, too. ``data.npz`` is a task of the arrays
in that file. Code is imported when such a name is
looked up. Only a call that gives the name does that; a row, a checkpoint or any other file never
does.
"""

import ast
import hashlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from inspect import Parameter
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from jaxrnn.errors import InputError, look_up, shown
from jaxrnn.experiment import Experiment, Options

Built = TypeVar("Built")

NAMED = ("task", "cell", "initializer", "objective", "measure", "optimizer", "schedule")
"""The settings that name a part."""

Sources = Mapping[str, bytes]
"""The content of files, by their path as it stands in the names."""

_carried: ContextVar[Sources | None] = ContextVar("_carried", default=None)


def is_own(name: str | None) -> bool:
    """Whether a name is of a user's own code or data."""
    return name is not None and (":" in name or is_file(name))


def is_file(name: str) -> bool:
    """Whether a name is that of a file of data."""
    return name.endswith(".npz")


def find(table: Mapping[str, Any], kind: str, name: str) -> Any:
    """The object that a name stands for, from the table or from the code that it names.

    Raises InputError for a name that is neither, naming the choices, and for code that fails.
    """
    if not is_own(name) or is_file(name):
        return look_up(table, kind, name, "file.py:name")
    origin, _, attribute = name.rpartition(":")
    module = _module(origin)
    if not hasattr(module, attribute):
        defined = (
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        )
        choices = ", ".join(sorted(defined)) or "nothing"
        raise InputError(f"{kind} {name}: {origin} has no {attribute!r}, it has {choices}")
    found = getattr(module, attribute)
    if not callable(found):
        raise InputError(f"{kind} {name} is {shown(found)}: it has to be a function")
    return found


def own_names(experiments: Iterable[Experiment]) -> list[str]:
    """The names of users' own code among the parts of the experiments, each once."""
    names = (getattr(experiment, part) for experiment in experiments for part in NAMED)
    return [name for name in dict.fromkeys(names) if is_own(name)]


def are_named(experiment: Experiment, names: Collection[str]) -> bool:
    """Whether these ``names``, which a call gives, include all of an experiment's
    :func:`own_names`: only then may its code be imported for its rows."""
    return {*own_names([experiment])} <= {*names}


def digests(experiments: Iterable[Experiment]) -> dict[str, str]:
    """For each of their :func:`own_names` a part of the SHA-256 of its code.

    The code is the whole file. If there is no file, as in a notebook, it is the object's own text,
    if Python knows it. Files that the file imports are not included. An object that has a
    ``digest`` adds that: the digest of the data that it was made from.
    """
    return {name: hashlib.sha256(_text(name)).hexdigest()[:16] for name in own_names(experiments)}


def sources(experiments: Iterable[Experiment]) -> Sources:
    """The files of their :func:`own_names`, for another machine."""
    origins = (
        name if is_file(name) else name.rpartition(":")[0] for name in own_names(experiments)
    )
    return {origin: read(origin) for origin in origins if origin.endswith((".py", ".npz"))}


@contextmanager
def carried(files: Sources) -> Iterator[None]:
    """Inside this context names refer to these files, not to the files of this machine."""
    token = _carried.set(files)
    try:
        yield
    finally:
        _carried.reset(token)


def called(owner: str, function: Callable[..., Built], *arguments: Any, **options: Any) -> Built:
    """Call a user's function; an exception becomes one sentence that names its ``owner``."""
    with _told(owner, MemoryError, OverflowError):  # jaxrnn.training.memory handles these
        return function(*arguments, **options)


@lru_cache(maxsize=256)  # so that equal experiments have equal parts
def build(
    kind: type[Built], owner: str, builder: Callable[..., Built], options: Options, *sizes: int
) -> Built:
    """Call a builder; one-sentence errors for unknown options and for a result of the wrong
    kind."""
    given = dict(options)
    check_options(owner, builder, given, len(sizes))
    built = called(owner, builder, *sizes, **given)
    if not isinstance(built, kind):
        raise InputError(f"{owner} gives {shown(built)}, not a {kind.__name__}")
    return built


def options_of(owner: str, builder: Callable[..., Any], num_sizes: int = 0) -> list[Parameter]:
    """The parameters of a builder after its sizes; InputError for what is no function."""
    try:
        signature = inspect.signature(builder)
    except (TypeError, ValueError):
        raise InputError(
            f"{owner} is {shown(builder)}: it has to be a function that builds it"
        ) from None
    return list(signature.parameters.values())[num_sizes:]


def check_options(
    owner: str, builder: Callable[..., Any], given: Mapping[str, Any], num_sizes: int = 0
) -> None:
    """Raise InputError for an option that a builder does not take, and for one that it needs."""
    parameters = options_of(owner, builder, num_sizes)
    known = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
    for option in given:
        if option not in known and len(known) == len(parameters):
            choices = f"no option {option!r}: choose from {', '.join(known)}"
            raise InputError(f"{owner} takes {choices if known else 'no options'}")
    for one in parameters:
        if one.name in known and one.name not in given and one.default is one.empty:
            raise InputError(
                f"{owner} needs its option {one.name}: take an experiment that gives it, "
                f"or Experiment's {owner.split()[0]}_options"
            )


@contextmanager
def _told(owner: str, *others: type[Exception]) -> Iterator[None]:
    """Inside this context an exception becomes one sentence: its ``owner``, and where in a user's
    own file it was raised. The ``others`` stay as they are."""
    stay: tuple[type[BaseException], ...] = (InputError, KeyboardInterrupt, *others)
    try:
        yield
    except stay:
        raise
    except BaseException as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename in _own_files:
                what += f" ({frame.filename} line {frame.lineno})"
                break
        raise InputError(f"{owner} fails with {what}") from error


def _module(origin: str) -> ModuleType:
    if origin.endswith(".py"):
        main = sys.modules["__main__"]
        if _carried.get() is None and _is_same(getattr(main, "__file__", None), origin):
            _own_files.add(str(main.__file__))
            return main  # the script that asks
        if origin in _being_run:
            raise InputError(
                f"{origin} runs an experiment of its own while it is imported: put that under "
                'if __name__ == "__main__":'
            )
        return _run_file(origin, read(origin))
    with _importing(origin, Path.cwd()):
        return importlib.import_module(origin)


def read(origin: str) -> bytes:
    """The content of a file; raises InputError."""
    if origin in (files := _carried.get() or {}):
        return files[origin]
    try:
        return Path(origin).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {origin}: {error.strerror or error}") from None


def _is_same(file: str | None, origin: str) -> bool:
    return file is not None and Path(file).resolve() == Path(origin).resolve()


_own_files: set[str] = set()
_being_run: set[str] = set()


@lru_cache(maxsize=64)
def _run_file(origin: str, text: bytes) -> ModuleType:
    """The module of a file; of the same text once, so that equal experiments have equal parts."""
    digest = hashlib.sha256(text).hexdigest()[:16]
    module = ModuleType(f"jaxrnn_own_{digest}")
    module.__file__ = origin
    sys.modules[module.__name__] = module  # where dataclasses look for what they are in
    _own_files.add(origin)
    _being_run.add(origin)
    directory = Path(origin).resolve().parent
    try:
        with _importing(origin, directory):
            for node in ast.walk(ast.parse(text, origin)):
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                # Python would give it a loaded module of that name, not the file beside it.
                for name in {one.partition(".")[0] for one in names}:
                    beside = [directory / f"{name}.py", directory / name / "__init__.py"]
                    loaded = getattr(sys.modules.get(name), "__file__", None)
                    is_beside = any(one.exists() for one in beside)
                    if loaded and is_beside and not any(_is_same(loaded, str(b)) for b in beside):
                        raise InputError(
                            f"{origin} imports {name}, and {loaded} has that name already: give "
                            "the one beside it another name"
                        )
            exec(compile(text, origin, "exec"), vars(module))
    finally:
        _being_run.remove(origin)
    return module


@contextmanager
def _importing(origin: str, directory: Path) -> Iterator[None]:
    """Inside this context files of a directory can be imported."""
    sys.path.insert(0, str(directory))
    try:
        with _told(origin):
            yield
    finally:
        sys.path.remove(str(directory))


def _text(name: str) -> bytes:
    """The text of the code that a name is in, and the digest of its data."""
    if is_file(name):
        return read(name)
    origin, _, attribute = name.rpartition(":")
    module = _module(origin)
    own: Any = getattr(module, attribute, None)
    data: bytes = getattr(own, "digest", b"")
    try:
        if origin.endswith(".py"):
            return read(origin) + data
        if getattr(module, "__file__", None):
            return Path(inspect.getsourcefile(module) or "").read_bytes() + data
        return inspect.getsource(own).encode() + data
    except (OSError, TypeError):
        return data
