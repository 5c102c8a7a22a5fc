"""Imports code of a scenario's author, and tells what is wrong with it in one line.

A module named in a scenario is looked for in the scenario's folder first, as Python does with the
folder of a script that it runs. What was imported by then keeps its name: a `select.py` beside the
scenario does not come in the way of the standard library's. Importing runs the module, in the
process that checks the scenario and in every generator process. The former may read several
scenarios, so there `borrowed` forgets what came from the folder. The latter `admit`s the folders of
all its scenarios until `forget`, for a function may import something when it runs.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from loadmux.errors import ScriptFailed
from loadmux.language.meaning.stepvalues import Function

AsyncFunction = Callable[..., Awaitable[object]]

OURS = Path(__file__).resolve().parents[2]
BUNDLED = OURS / "bundled"
MARK = "__loadmux_scenario__"


@dataclass(frozen=True, slots=True)
class Definition:
    """What `@scenario(...)` was told, kept on the function as its attribute MARK."""

    keywords: Mapping[str, Any]
    line: int


@contextmanager
def borrowed(folder: str) -> Iterator[None]:
    """Within the block modules are looked for in `folder` first; after it all is as before."""
    path, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path[:] = path
        root = Path(folder)
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and belongs(Path(file), root):
                del sys.modules[name]
        importlib.invalidate_caches()


_admitted: dict[str, frozenset[str]] = {}
"""The folders that are on the path, each with the modules that were imported before."""


def admit(folder: str) -> None:
    """Look for modules in `folder` first from now on.

    Raises ValueError where one of its modules has the name of one that was imported from another
    such folder: whoever asked for it would get the wrong one.
    """
    if folder in _admitted:
        return
    for name, file in _brought_in():
        other = Path(folder, name)
        if other.with_suffix(".py").is_file() or (other / "__init__.py").is_file():
            raise ValueError(
                f"two scenarios of this run have a module {name!r} of their own, one in {folder},"
                f" the other is {file}: give one of them another name"
            )
    _admitted[folder] = frozenset(sys.modules)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()


def forget() -> None:
    """Undo `admit`, so that what is imported next is what the files say then."""
    for name, _ in list(_brought_in(whole=True)):
        del sys.modules[name]
    for folder in _admitted:
        sys.path.remove(folder)
    _admitted.clear()


def _brought_in(whole: bool = False) -> Iterator[tuple[str, str]]:
    """Modules that came from admitted folders, with their files; `whole`: those in packages too."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and (whole or "." not in name):
            for folder, before in _admitted.items():
                if name not in before and belongs(Path(file), Path(folder)):
                    yield name, file
                    break


def sources() -> Iterator[str]:
    """The texts of the author's modules that were imported from admitted folders."""
    for _, file in _brought_in(whole=True):
        with suppress(OSError, UnicodeDecodeError):
            yield Path(file).read_text(encoding="utf-8")


def texts(folder: str) -> dict[str, str]:
    """The texts of the author's modules that were imported from a folder, by their paths in it."""
    found, root = {}, Path(folder)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file is not None and belongs(Path(file), root):
            with suppress(OSError, UnicodeDecodeError):
                found[str(Path(file).relative_to(root))] = Path(file).read_text(encoding="utf-8")
    return found


def name_of(path: str) -> str:
    """What the module of a Python scenario is called."""
    return f"_scenario_{Path(path).stem}"


def import_file(path: str) -> ModuleType:
    """The module in a file; again the same one where this process has it already.

    Raises ScriptFailed, at the line of the file where it went wrong.
    """
    name = name_of(path)
    known = sys.modules.get(name)
    if known is not None and known.__file__ == path:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise failed(error, str(Path(path).parent)) from None
    return module


def find(function: Function) -> AsyncFunction:
    """The function itself. Raises ValueError with what is wrong with it, for one line."""
    if function.path is not None:
        if not Path(function.path).is_file():
            raise ValueError(f"there is no file {function.path} here; the scenario's code is in it")
        try:
            module = import_file(function.path)
        except ScriptFailed as error:
            raise ValueError(f"cannot import {function.path!r}: {error}") from None
    else:
        module = _import(function.module, function.folder)
    found: Any = module
    for name in function.function.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            where = getattr(module, "__file__", None) or "built in"
            raise ValueError(
                f"the module {module.__name__!r} ({where}) has no {function.function!r}"
            ) from None
    check(found, function.function)
    return found  # type: ignore[no-any-return]


def _import(name: str, folder: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            text = f"there is no module {name!r}; modules are looked for in {folder} first"
            raise ValueError(text) from None
        raise ValueError(f"cannot import {name!r}: {failed(error, folder)}") from None
    except (Exception, SystemExit) as error:
        raise ValueError(f"cannot import {name!r}: {failed(error, folder)}") from None


def where_of(function: object) -> str:
    """`FILE:LINE` of a function's first line."""
    code = getattr(function, "__code__", None)
    return "?:0" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def check(function: object, name: str) -> None:
    """Raises ValueError unless it is an `async def` that can be called with a user."""
    if not inspect.iscoroutinefunction(function):
        raise ValueError(f"{name!r} is not an 'async def' function")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise ValueError(f"{name!r} must take one argument, the user") from None


def failed(error: BaseException, folder: str, otherwise: str | None = None) -> ScriptFailed:
    """An exception of the author's code: its place is the innermost line within `folder`.

    Where none of the lines is in there: `otherwise`, or the innermost of them all.
    """
    what = " ".join("".join(traceback.format_exception_only(error)[-1:]).split())
    if isinstance(error, SyntaxError) and error.filename is not None:
        return ScriptFailed(f"{error.filename}:{error.lineno}", what)
    trace = error.__traceback__
    return ScriptFailed(place(trace, folder, otherwise), what, trace)


def own(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the first line of the author's on, without the calls that led there."""
    while trace is not None and trace.tb_next is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if OURS not in file.parents or BUNDLED in file.parents:
            break
        trace = trace.tb_next
    return trace


def place(trace: TracebackType | None, folder: str, otherwise: str | None) -> str:
    """`FILE:LINE` of a traceback; see `failed`."""
    root = Path(folder).resolve()
    frames = traceback.extract_tb(trace)
    inside = [one for one in frames if belongs(Path(one.filename).resolve(), root)]
    if not inside and (otherwise is not None or not frames):
        return otherwise or "?:0"
    last = (inside or frames)[-1]
    return f"{last.filename}:{last.lineno}"


def belongs(file: Path, root: Path) -> bool:
    """Whether a file below `root` is the author's: no installed package, and not this one."""
    installed = "site-packages" in file.parts or "dist-packages" in file.parts
    ours = OURS in file.parents
    if BUNDLED in root.parents:
        installed = ours = False
    return root in file.parents and not installed and not ours
