"""Modules that lie beside a script: found wherever it is run from, and known by their texts."""

import contextlib
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")

INSTALLED = tuple({path for name, path in sysconfig.get_paths().items() if name.endswith("lib") or "stdlib" in name})
OWN = {"search", "__main__"}


class Beside:
    """The modules that lie in one folder, while a script of that folder runs.

    They are imported anew for each script: another folder may have modules of the same names, and they may have
    changed. ``texts`` maps those that the script has imported to their texts, by their paths within the folder.
    """

    def __init__(self, folder: Path) -> None:
        """Import nothing yet."""
        self.folder = folder.resolve()
        files = [*self.folder.glob("*.py"), *(path.parent for path in self.folder.glob("*/__init__.py"))]
        self._names = {path.stem for path in files} - OWN - sys.stdlib_module_names
        self.texts: dict[str, str] = {}
        self._modules: dict[str, ModuleType] = {}

    @contextlib.contextmanager
    def importable(self) -> Iterator[None]:
        """Let the modules of the folder be imported inside the block."""
        hidden = {name: sys.modules.pop(name) for name in self._loaded() if not _is_installed(sys.modules[name])}
        sys.modules.update(self._modules)
        sys.path.insert(0, str(self.folder))
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(str(self.folder))
            for name in [name for name in self._loaded() if not _is_installed(sys.modules[name])]:
                if name not in self._modules:
                    self._note(sys.modules[name])
                self._modules[name] = sys.modules.pop(name)
            sys.modules.update(hidden)

    def calling(self, function: Callable[..., T]) -> Callable[..., T]:
        """Return the function as one that may import these modules when it is called."""

        @wraps(function)
        def call(*values: Any, **named: Any) -> T:
            with self.importable():
                return function(*values, **named)

        return call

    def _loaded(self) -> list[str]:
        """Return the names of loaded modules, and of their own ones, that could be of this folder."""
        tops = {name for name in self._names if name in sys.modules}
        return [name for name in sys.modules if name.partition(".")[0] in tops] if tops else []

    def _note(self, module: ModuleType) -> None:
        """Keep the text of a module of this folder."""
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and (path := Path(file).resolve()).is_relative_to(self.folder):
            self.texts[path.relative_to(self.folder).as_posix()] = path.read_text(encoding="utf-8")


def _is_installed(module: ModuleType) -> bool:
    """Return whether a module belongs to Python or to an installed package."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and file.startswith(INSTALLED)
