"""The command line: thin commands over the library; heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys

import typer

from facepad.cli import data, deploy, learn, model, names, predict, score, serve  # noqa: F401  # importing them adds their commands
from facepad.cli.app import OUTPUT, app, say
from facepad.errors import FacepadError, InputError
from facepad.files.disk import writing
from facepad.runtime.log import log_to_stderr

__all__ = ["app", "main"]

_CTRL_C = 130
_EXTRAS = {
    "serve": {
        "fastapi",
        "fastapi_offline",
        "python_multipart",
        "starlette",
        "uvicorn",
        "limits",
        "prometheus_client",
        "redis",
    },
    "scale": {"pyarrow", "fsspec", "aiohttp", "ray"},
}
# What a shell shows of a tool that SIGPIPE ended, as it ends cat and grep. Python ignores that signal, and should: it
# would also end a process whose network connection breaks. So we end in silence with the same code: work that nobody
# wanted to see the end of neither succeeded nor failed, and scripts with `set -o pipefail` know this number.
_READER_GONE = 141


def main() -> None:
    """Run the command line.

    Exit codes: 0 success, 1 the run failed, 2 wrong usage or input, 130 Ctrl-C, 141 the reader of a pipe has gone;
    `predict` has two more.
    """
    log_to_stderr()
    try:
        code = _run()
    except BrokenPipeError:
        code = _READER_GONE
    _drop_output()
    sys.exit(code)


def _run() -> int:
    """Run a command; what went wrong is said on stderr."""
    try:
        code = app(standalone_mode=False) or 0
        with writing(OUTPUT):
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except SystemExit as stop:  # typer's own end for a broken pipe has code 1, as if the run had failed
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        raise
    except (KeyboardInterrupt, typer.Abort):
        code = _CTRL_C
    except Exception as error:
        if os.environ.get("FACEPAD_DEBUG"):
            raise
        code, line = _explain(error)
        if line:  # without arguments typer has shown the help already
            say(f"facepad: {line}")
    if code == _CTRL_C:  # some versions of typer return it, some raise
        say("facepad: stopped by Ctrl-C")
    return code


def _drop_output() -> None:
    """Give up output that cannot be written, and was told of; else the interpreter would try again and complain."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):  # typer replaces them when a pipe broke
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _explain(error: Exception) -> tuple[int, str]:
    """Exit code and one line for an error."""
    if isinstance(error, InputError):
        return 2, str(error)
    if isinstance(error, FacepadError):
        return 1, str(error)
    if isinstance(error, ModuleNotFoundError):
        extra = next((name for name, modules in _EXTRAS.items() if error.name in modules), "train")
        return 2, f"this command needs {error.name}, which is not installed: pip install 'facepad[{extra}]'"
    if hasattr(error, "format_message"):  # a usage error of typer's command line parser
        message = error.format_message().replace("Value error, ", "", 1)  # a library's word within the parser's
        return 2, message and f"{message} (--help shows the usage)"
    return 1, f"unexpected {type(error).__name__}: {error} (facepad --debug ... shows where)"
