"""Tables of names that other packages extend with plug-ins, and users with Python files of their own."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import threading
from collections import UserDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import Path
from typing import Any, TypeVar

from facepad.errors import PluginError, in_line

__all__ = ["OWN_FILES", "Plugin", "PluginTable", "own_files", "used_plugins", "wrong_type"]

OWN_FILES = "FACEPAD_PLUGINS"
"""The environment variable that names Python files whose import adds rows to facepad's tables."""

_LOG = logging.getLogger(__name__)
_IMPORTING = threading.RLock()  # an own file reads the tables while it is imported
_imported: set[str] = set()
_used: set[Plugin] = set()

Row = TypeVar("Row")


@dataclass(frozen=True)
class Plugin:
    """A row that an installed package adds to a table of facepad by an entry point.

    Attributes:
        entry: The entry point. Its name is the name of the row.
        package: Name of the package.
        version: Version of the package.
        refusal: The reason why facepad does not import the row; None if facepad may import it.
    """

    entry: EntryPoint
    package: str
    version: str
    refusal: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.package} {self.version}"

    @cached_property
    def imported(self) -> tuple[Any, str | None]:
        """The row, and the reason why it cannot be imported (None if it can). The import runs once."""
        if self.refusal:
            return None, self.refusal
        try:
            with _importing():
                return self.entry.load(), None
        except _ImportFailedError as failure:
            return None, str(failure)


class PluginTable(UserDict[str, Row]):
    """A table of facepad's own rows, of the rows that a program adds, and of the rows of plug-ins, by name.

    Plug-ins are searched if a name is not in the table, or if the names are listed. A broken plug-in is not listed.
    Its name is known, and looking it up raises an error.

    Args:
        group: Group of the plug-ins' entry points, such as ``facepad.datasets``.
        what: The word for a row in messages, such as "data set".
        rows: facepad's own rows.
        fault: Function of the name and the object of a plug-in. It returns what is wrong with them, or None.
    """

    def __init__(
        self, group: str, what: str, rows: Mapping[str, Row], *, fault: Callable[[str, object], str | None]
    ) -> None:
        super().__init__(rows)
        self._group, self._what, self._fault = group, what, fault
        self._own = frozenset(rows)

    def __contains__(self, name: object) -> bool:
        # `_plugins` may import a file that adds the name.
        return name in self.data or name in self._plugins() or name in self.data

    def __getitem__(self, name: str) -> Row:
        """The row of a name.

        Raises:
            KeyError: the name is unknown.
            PluginError: the name is of a broken plug-in.
        """
        if name in self.data or name not in self._plugins():
            return self.data[name]
        plugin = self._plugins()[name]
        if broken := self._why_broken(plugin):
            raise PluginError(self._line(plugin, broken))
        _used.add(plugin)
        row: Row = plugin.imported[0]
        return row

    def listed(self) -> dict[str, Row]:
        """All rows by name, for a listing: plug-ins whose rows are only listed are not in use (`used_plugins`)."""
        plugins = self._plugins()
        return {name: self.data[name] if name in self.data else plugins[name].imported[0] for name in self}

    def __iter__(self) -> Iterator[str]:
        plugins = self._plugins()
        yield from list(self.data)
        yield from (name for name in plugins if name not in self.data and not self._why_broken(plugins[name]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def find(self, name: str) -> Row | None:
        """The row of a name; None if the name is unknown, or of a broken plug-in (which is one line in the log)."""
        try:
            return self[name]
        except PluginError as error:
            _LOG.warning("%s", error)
        except KeyError:
            pass
        return None

    def origin(self, name: str) -> Plugin | None:
        """The plug-in that gives a row; None for a row of facepad or of the running program.

        A plug-in that takes the name of one of facepad's own rows is one line in the log.
        """
        plugin = self._plugins().get(name)
        if plugin is None or name not in self.data:
            return plugin
        if name in self._own:
            _LOG.warning("%s", self._line(plugin, str(self._why_broken(plugin))))
        return None

    def is_added(self, name: str) -> bool:
        """Whether the running program has added a row (or one of the user's own files)."""
        return name in self.data and name not in self._own

    def broken(self) -> dict[str, str]:
        """The broken plug-ins of this table: name -> one line that names the package and the reason."""
        found = {name: (plugin, self._why_broken(plugin)) for name, plugin in self._plugins().items()}
        return {name: self._line(plugin, why) for name, (plugin, why) in found.items() if why}

    def _plugins(self) -> Mapping[str, Plugin]:
        _import_own_files()
        return _installed_plugins(self._group, tuple(sys.path))

    def _why_broken(self, plugin: Plugin) -> str | None:
        if plugin.entry.name in self._own:
            return f"has the name of a {self._what} of facepad"
        row, why = plugin.imported
        return why or self._fault(plugin.entry.name, row)

    def _line(self, plugin: Plugin, why: str) -> str:
        return f"the {self._what} {plugin.entry.name!r} of the package {plugin} {why}"


def wrong_type(expected: type, row: object) -> str | None:
    """What is wrong with the object of a plug-in that has another type; None if nothing is wrong.

    >>> wrong_type(str, 5)
    'must be of type str, not int'
    """
    return None if isinstance(row, expected) else f"must be of type {expected.__name__}, not {type(row).__name__}"


@lru_cache(maxsize=16)
def _installed_plugins(group: str, path: tuple[str, ...]) -> Mapping[str, Plugin]:
    """The plug-ins of a group, by name, of the packages on ``sys.path``, which is ``path``."""
    plugins: dict[str, Plugin] = {}
    for entry in _entries(group):
        package, version = (entry.dist.name, entry.dist.version) if entry.dist else ("(unknown)", "")
        rival = plugins.get(entry.name)
        refusal = f"has the same name as that of the package {rival}: remove one of the packages" if rival else None
        plugins[entry.name] = Plugin(entry, package, version, refusal)
    return plugins


def _entries(group: str) -> Iterable[EntryPoint]:
    try:
        return entry_points(group=group)
    except Exception:  # noqa: BLE001 - a package is damaged, and Python lists all packages or none
        packages = {package.name: package for package in reversed(list(distributions()))}  # the first of a name counts
        return [entry for package in packages.values() for entry in _entries_of(package, group)]


def _entries_of(package: Distribution, group: str) -> Iterable[EntryPoint]:
    """The entry points of a package; none of a damaged package, which is one line in the log."""
    try:
        return package.entry_points.select(group=group)
    except Exception as error:  # noqa: BLE001 - any package on the machine may be damaged in any way
        _LOG.warning("plug-ins are not used of %s, whose entry_points.txt is damaged: %s", package.name, in_line(error))
        return []


def used_plugins() -> list[Plugin]:
    """The installed plug-ins whose rows were looked up, by group and name."""
    path = tuple(sys.path)
    installed = [one for one in _used if one in _installed_plugins(one.entry.group, path).values()]
    return sorted(installed, key=lambda one: (one.entry.group, one.entry.name))


def own_files() -> list[Path]:
    """The Python files that `OWN_FILES` names."""
    return [Path(name).resolve() for name in os.environ.get(OWN_FILES, "").split(os.pathsep) if name]


def _import_own_files() -> None:
    """Import the Python files that `OWN_FILES` names, each once. A file that fails is one line in the log."""
    with _IMPORTING:
        for path in own_files():
            if str(path) in _imported:
                continue
            _imported.add(str(path))
            try:
                with _importing():
                    _import_file(path)
            except _ImportFailedError as failure:
                _LOG.warning("%s: %s %s", OWN_FILES, path, failure)


def _import_file(path: Path) -> None:
    name = f"facepad_own_{path.stem}"  # a file called onnx.py must not take the place of the package
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)


class _ImportFailedError(Exception):
    """Code of other people cannot be imported. The text is one line."""


@contextmanager
def _importing() -> Iterator[None]:
    """Import code of other people. The code may raise anything, and prints on stderr: stdout is only for results.

    Raises:
        _ImportFailedError: the code raises an exception.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = in_line(error)
        raise _ImportFailedError(f"cannot be imported: {type(error).__name__}{': ' if text else ''}{text}") from error
