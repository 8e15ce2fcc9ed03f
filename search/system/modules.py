"""Modules that lie beside a script or below its folder: found wherever it is run from, and known by their texts."""

import contextlib
import importlib
import os
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from search.system.digests import digest
from search.system.errors import UserError
from search.system.validation import nearest

T = TypeVar("T")

INSTALLED = tuple({path for name, path in sysconfig.get_paths().items() if name.endswith("lib") or "stdlib" in name})
PACKAGES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))  # of other users, say
OWN = {"search", "__main__", "__mp_main__"}


@dataclass(frozen=True)
class Home:
    """Where the modules of a script lie, and files that it names: these by what they are called there."""

    modules: Path
    files: Mapping[str, str] = field(default_factory=dict)

    def file(self, name: str, path: str) -> Path | None:
        """Return the file of that name: where it was; or else at ``path``, from beside the script, or from here."""
        places = [Path(self.files[name])] if name in self.files else []
        places += [self.modules / path, Path.cwd() / path]
        return next((place.resolve() for place in places if place.is_file()), None)


class Beside:
    """The modules that lie in one folder or below it, while a script of that folder runs.

    They are imported anew for each script: another folder may have modules of the same names, and they may have
    changed. ``texts`` maps those that the script has imported to their texts, by the paths at which a folder must hold
    them to be imported from there: mostly those within this folder. ``files`` maps names that the script gives to
    files to where these lie; ``memory`` is for what is made of modules and files, while the script is as it was read.
    ``is_early`` is true while it is being read.
    """

    def __init__(self, folder: Path, files: Mapping[str, str] | None = None) -> None:
        """Import nothing yet."""
        self.folder, self.files = folder.resolve(), dict(files or {})
        self.memory: dict[Any, Any] = {}
        self.is_early = False
        self._below = tuple({str(path).rstrip(os.sep) + os.sep for path in (self.folder, folder.absolute())})
        scripts = [*self.folder.glob("*.py"), *(path for path in self.folder.glob("*/") if path.name.isidentifier())]
        self._names = {path.stem for path in scripts} - OWN - sys.stdlib_module_names
        self.texts: dict[str, str] = {}
        self._modules: dict[str, ModuleType] = {}
        self._paths = [str(self.folder)]
        self._others: dict[str, Any] = {}  # modules of elsewhere: there are thousands, to be looked at but once
        self._views: dict[str, tuple[int, str, dict[str, Any]]] = {}  # how many modules, the last of them, and ours

    @contextlib.contextmanager
    def importable(self) -> Iterator[None]:
        """Let the modules of the folder be imported inside the block.

        Raises UserError after it where one of them is no text.
        """
        hidden = {name: sys.modules.pop(name) for name in self._loaded("before")}
        sys.modules.update(self._modules)
        before = list(sys.path)
        sys.path[:0] = self._paths
        try:
            with self.at_work():
                yield
        finally:
            # While sys.path is ours: a path of namespaces follows it.
            new = {name: sys.modules.pop(name) for name in self._loaded("after")}
            self._modules.update(new)
            self._leave(before)
            sys.modules.update(hidden)
        for name, module in new.items():
            self._note(name, module)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Let ``beside_now`` return this inside the block."""
        token = _at_work.set(self)
        try:
            yield
        finally:
            _at_work.reset(token)

    def home(self) -> Home:
        """Return where modules and files lie, for other processes."""
        return Home(self.folder, dict(self.files))

    def adopt(self, texts: Mapping[str, str], files: Mapping[str, str]) -> None:
        """Note modules and files that something was made of for the script, as if it had imported them itself."""
        self.texts.update(texts)
        self.files.update(files)

    def calling(self, function: Callable[..., T]) -> Callable[..., T]:
        """Return the function as one that may import these modules when it is called."""

        @wraps(function)
        def call(*values: Any, **named: Any) -> T:
            with self.importable():
                return function(*values, **named)

        return call

    # DECISIONS: A space is called a thousand times as a search begins
    def _loaded(self, when: str) -> list[str]:
        """Return the names of loaded modules that are of this folder, or that have the names of such.

        ``when`` is before or after a call. Mostly nothing was imported since the last one.
        """
        view = len(sys.modules), next(reversed(sys.modules))  # what is imported comes last
        *known, ours = self._views.get(when, (0, "", {}))
        if view == tuple(known) and all(sys.modules.get(name) is module for name, module in ours.items()):
            return list(ours)
        names = [name for name in list(sys.modules) if self._others.get(name) is not sys.modules[name]]
        for name in names:
            if not self._is_own(name, _places(sys.modules[name])):
                self._others[name] = sys.modules[name]
        ours = {name: sys.modules[name] for name in names if self._others.get(name) is not sys.modules[name]}
        self._views[when] = *view, ours
        return list(ours)

    def _is_own(self, name: str, places: Collection[str]) -> bool:
        top = name.partition(".")[0]
        if top in OWN or not places or _are_installed(places):
            return False
        return top in self._names or name in self._modules or any(map(self._is_below, places))

    def _is_below(self, place: str) -> bool:
        return f"{place}{os.sep}".startswith(self._below)

    def _leave(self, before: Iterable[str]) -> None:
        """Take from ``sys.path`` what was put there for this folder, also by the script, until the next block."""
        for path in self._paths:
            with contextlib.suppress(ValueError):
                sys.path.remove(path)
        old = set(before)
        added = [path for path in sys.path if path not in old and self._is_below(str(Path(path).absolute()))]
        sys.path[:] = [path for path in sys.path if path not in added]
        self._paths = [*added, *self._paths]

    def _note(self, name: str, module: ModuleType) -> None:
        """Keep the text of a module of this folder; a folder without ``__init__.py`` has none."""
        file = module.__dict__.get("__file__")
        if not isinstance(file, str) or not self._is_below(file):
            return
        is_package = "__path__" in module.__dict__
        kept = "/".join(name.split(".")) + ("/__init__.py" if is_package else ".py")
        if kept in self.texts:
            return
        try:
            self.texts[kept] = Path(file).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UserError(
                f"{file}, which the space imports, is no text in UTF-8. A search keeps the modules below the folder of "
                "its space as texts. Save it as UTF-8; or install it as a package, which is not kept."
            ) from None


_at_work: ContextVar[Beside | None] = ContextVar("at_work", default=None)


def beside_now() -> Beside:
    """Return the modules beside the script that runs now; of the working directory where none does."""
    return _at_work.get() or Beside(Path.cwd())


@dataclass(frozen=True)
class Made:
    """What a function of a module made, the digest of the code that made it, and the texts of its modules by path."""

    value: Any
    sha256: str
    texts: Mapping[str, str]


def made_by(make: str, home: Home, where: str) -> Made:
    """Return what "module:function" makes, of a module beside a script or an installed one.

    Raises UserError, which begins with ``where``, if there is no such function, or if it fails.
    """
    place, _, name = make.partition(":")
    beside = Beside(home.modules)
    with beside.importable():
        module = _imported(place, home, where)
        function = getattr(module, name, None)
        if not callable(function):
            near = nearest(name, [known for known, value in vars(module).items() if callable(value)])
            hint = f" Did you mean {near!r}?" if near else ""
            raise UserError(f"{where}: the module {place} has no function {name!r}.{hint}")
        try:
            value = function()
        except Exception as error:  # noqa: BLE001 it is anyone's code
            raise UserError(f"{where}: {name}() fails: {type(error).__name__}: {error}") from None
        code = Path(module.__file__).read_text(encoding="utf-8", errors="replace") if module.__file__ else ""
    return Made(value, digest([code, sorted(beside.texts.items())]), dict(beside.texts))


def _imported(place: str, home: Home, where: str) -> ModuleType:
    parents = [".".join(place.split(".")[:length]) for length in range(1, place.count(".") + 2)]
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name in parents:
            raise UserError(f"{where}: there is no module {place} in {home.modules}, nor is one installed.") from None
        raise UserError(f"{where}: {place} cannot be imported: {error}.") from None
    except Exception as error:  # noqa: BLE001 it is anyone's code
        raise UserError(f"{where}: {place} cannot be imported: {type(error).__name__}: {error}") from None


def _places(module: Any) -> list[str]:
    """Return where a module lies: its file, or the folders of a package that has no file; [] where it has neither.

    Only its own names are looked at: asking some modules for others loads them.
    """
    names = getattr(module, "__dict__", {})
    if isinstance(file := names.get("__file__"), str):
        return [file]
    return [str(path) for path in names.get("__path__", ())]


def _are_installed(places: Collection[str]) -> bool:
    """Return whether these are places of Python's own modules or of installed packages."""
    return any(place.startswith(INSTALLED) or any(part in place for part in PACKAGES) for place in places)
