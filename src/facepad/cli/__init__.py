"""The command line. Commands call the library, and import slow modules only when they run."""

from __future__ import annotations

import io
import os
import re
import sys
from importlib.metadata import requires

import typer

# Importing a module adds its commands, in the order of the help.
from facepad.cli import (  # noqa: F401  # isort: skip
    data,
    adapt,
    calibrate,
    export,
    train,
    evaluate,
    metrics,
    compare,
    report,
    convert,
    cross,
    model,
    listing,
    download,
    demo,
    predict,
    score,
    serve,
)
from facepad.cli.app import OUTPUT, ExitCode, app, say
from facepad.errors import FacepadError, InputError, RunError, in_line
from facepad.files.disk import writing
from facepad.runtime.log import log_to_stderr
from facepad.runtime.plugin_faults import others_code

__all__ = ["app", "main"]

#: Module -> package in facepad's requirements that installs the module, if the names differ.
_PACKAGE_OF = {
    "aiohttp": "fsspec",
    "jwt": "pyjwt",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "starlette": "fastapi",
}

#: The open null devices, which keep their descriptors in use.
_NULLS: list[io.TextIOBase] = []


def main() -> None:
    """Run the command line.

    Exit codes: 0 success, 1 the run failed, 2 wrong usage or input, 3 some inputs could not be read or decided
    (`predict`, `score`), 4 `--fail-on` matched, 5 a requirement failed, 130 Ctrl-C, 141 the reader of a pipe has
    stopped reading.
    """
    _replace_closed_streams()
    log_to_stderr()
    try:
        code = _run()
    except BrokenPipeError:
        # 141 is the exit code of a tool that SIGPIPE ended, such as cat. Python ignores SIGPIPE, because this signal
        # would also end a process if a network connection breaks.
        code = ExitCode.READER_GONE
    _drop_output()
    sys.exit(code)


class _ClosedOutput(io.TextIOBase):
    """Standard output that the caller closed (``>&-``)."""

    def write(self, text: str) -> int:
        raise RunError(f"cannot write {OUTPUT}: it is closed")


def _replace_closed_streams() -> None:
    """Replace the standard streams that the caller closed, which Python represents as None.

    The null device takes their descriptors. Otherwise the next file that is opened would get one of them, and the
    messages of a C library would be written to this file.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            null = os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w", encoding="utf-8")
            setattr(sys, name, _ClosedOutput() if name == "stdout" else null)
            _NULLS.append(null)


def _run() -> int:
    """Run a command, print an error on stderr, and return the exit code."""
    try:
        code = app(standalone_mode=False) or 0
        with writing(OUTPUT):
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except SystemExit as stop:  # typer turns a broken pipe into exit code 1, the code of a failed run
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        raise
    except KeyboardInterrupt:
        code = ExitCode.CTRL_C
    except typer.Abort as abort:  # typer's answer to an EOFError, such as that of a file that ends too early
        code = _report(abort.__cause__) if isinstance(abort.__cause__, EOFError) else ExitCode.CTRL_C
    except Exception as error:  # noqa: BLE001 - every error becomes one line
        code = _report(error)
    if code == ExitCode.CTRL_C:  # after Ctrl-C, some versions of typer return this code, and other versions raise
        say("facepad: stopped by Ctrl-C")
    return code


def _report(error: Exception) -> int:
    """Print an error in one line, or with --debug its traceback, and return the exit code."""
    if os.environ.get("FACEPAD_DEBUG"):
        raise error
    code, line = _explain(error)
    if line:  # the line is empty if there were no arguments: typer has shown the help then
        say(f"facepad: {line}")
    return code


def _drop_output() -> None:
    """Discard output that could not be written. Otherwise the interpreter tries again at exit, and prints an error."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):  # typer replaces sys.stdout after a broken pipe
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _explain(error: Exception) -> tuple[int, str]:
    """Exit code and one line for an error."""
    if isinstance(error, InputError):
        return ExitCode.WRONG_INPUT, str(error)
    if isinstance(error, FacepadError):
        return ExitCode.FAILED, str(error)
    if isinstance(error, ModuleNotFoundError):
        package = _package_with(error.name or "")
        line = f"this command needs {error.name}, which is not installed: pip install {package}"
        return ExitCode.WRONG_INPUT, line
    if hasattr(error, "format_message"):  # a usage error of typer's command line parser
        message = error.format_message().replace("Value error, ", "", 1)  # pydantic's prefix
        return ExitCode.WRONG_INPUT, message and f"{message} (--help shows the usage)"
    where = others_code(error)
    what = f"unexpected {type(error).__name__}{where and f' {where}'}: {in_line(error)}"
    return ExitCode.FAILED, f"{what} (facepad --debug ... shows the traceback)"


def _package_with(module: str) -> str:
    """The pip requirement that installs a missing module: facepad with an extra, quoted for a shell.

    >>> _package_with("starlette.requests"), _package_with("jwt"), _package_with("sklearn"), _package_with("numpy")
    ("'facepad[serve]'", "'facepad[serve]'", "'facepad[train]'", 'facepad')
    """
    name = module.partition(".")[0]
    wanted = _PACKAGE_OF.get(name, name.replace("_", "-"))
    found = (re.match(r"""([\w.-]+).*extra == ['"]([\w-]+)['"]""", line) for line in requires("facepad") or ())
    extras = {match[2] for match in found if match and match[1] == wanted} - {"dev"}  # dev contains all other extras
    if not extras:
        return "facepad"
    # export contains all of train, and serve all of client
    extra = next((each for each in ("train", "serve") if each in extras), min(extras))
    return f"'facepad[{extra}]'"
