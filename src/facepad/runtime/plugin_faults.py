"""The plug-ins and own files whose code raised an unexpected error, for the message about it."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from facepad.runtime.plugins import Plugin, own_files, used_plugins

__all__ = ["others_code"]


def others_code(error: BaseException) -> str:
    """The words of a message for the plug-ins and own files whose code raised an unexpected error.

    If the traceback shows none of them, these are all that are in use: an error may follow from what their code
    returned. Empty without plug-ins. Of an error in a worker process, there is only the text of the traceback.
    """
    text = "".join(traceback.format_exception(error))
    own = {str(path): f'{path}"' for path in own_files()}
    modules = {_words(plugin): _file_of(plugin.entry.module) for plugin in used_plugins()}
    packages = {_words(plugin): _package_of(plugin) for plugin in used_plugins()}
    functions = {_words(plugin): _function_of(plugin) for plugin in used_plugins()}
    # Several plug-ins of a package may be in use. The function of an entry point tells more than its module, and the
    # module more than the package.
    raised = _called(functions, text) or _seen(modules | own, text) or _seen(packages, text)
    if raised:
        return f"in {' or '.join(raised)}"
    used = [*modules, *own]
    return f"with {' and '.join(used)} in use" if used else ""


def _seen(places: Mapping[str, str], text: str) -> list[str]:
    return [words for words, place in places.items() if place and f'File "{place}' in text]


def _called(functions: Mapping[str, tuple[str, str]], text: str) -> list[str]:
    return [
        words
        for words, (file, name) in functions.items()
        if file and name and re.search(rf'File "{re.escape(file)}, line \d+, in {re.escape(name)}$', text, re.MULTILINE)
    ]


def _function_of(plugin: Plugin) -> tuple[str, str]:
    """The file and the name of an entry point's object, as a traceback shows them if the object is a function."""
    return _file_of(plugin.entry.module), plugin.entry.attr


def _words(plugin: Plugin) -> str:
    return f"the plug-in {plugin.entry.name!r} ({plugin.entry.group}) of the package {plugin}"


def _file_of(module: str) -> str:
    """The path of a module in a traceback; empty for a module without a file."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return f'{file}"' if file else ""


def _package_of(plugin: Plugin) -> str:
    """The start of the paths of a plug-in's top package in a traceback, or the path of its only module."""
    file = _file_of(plugin.entry.module.partition(".")[0])
    path = Path(file.rstrip('"'))
    return f"{path.parent}{os.sep}" if path.name == "__init__.py" else file
