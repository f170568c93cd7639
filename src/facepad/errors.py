"""The exception classes: every error that facepad raises on purpose derives from `FacepadError`.

FacepadError
├── InputError                 the caller's input is wrong (command line: exit code 2)
│   ├── MediaError             an image or video that cannot be read
│   │   ├── ImageError         a file, byte string or array that is not a readable image
│   │   └── VideoError         a file, byte string or camera that is not a readable video
│   ├── ManifestError          a manifest.csv that breaks its contract
│   ├── DatasetError           a data set folder in an unexpected form, or with mostly unreadable files
│   ├── ScoresError            a scores file that breaks its contract
│   ├── MetricError            a metric that is not defined for the scores (one class only), or an unknown criterion
│   │   └── SeparableError     separable scores (the classes do not overlap), to which no slope can be fitted
│   ├── RecipeError            an unknown recipe, key or value
│   ├── ModelError             an unknown model, or weights that are missing or do not fit
│   │   ├── BundleError        a file that is not a model file, or a changed, truncated or too new model file
│   │   └── DownloadError      a public file that is not on this machine and cannot be downloaded
│   ├── PluginError            a row of a plug-in that cannot be imported or used
│   ├── OutputExistsError      an output folder or file that already exists
│   ├── BusyError              a folder that another process is working in
│   └── ResultError            a signed result or webhook that must not be accepted
└── RunError                   the work failed although the input is right (command line: exit code 1)
    ├── DivergedError          a training whose weights are no longer finite
    └── ServiceError           a liveness service that refused, failed or could not be reached
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "BundleError",
    "BusyError",
    "DatasetError",
    "DivergedError",
    "DownloadError",
    "FacepadError",
    "ImageError",
    "InputError",
    "ManifestError",
    "MediaError",
    "MetricError",
    "ModelError",
    "OutputExistsError",
    "PluginError",
    "RecipeError",
    "ResultError",
    "RunError",
    "ScoresError",
    "SeparableError",
    "ServiceError",
    "VideoError",
    "bounded_line",
    "first_line",
    "in_line",
    "number_of",
    "reason",
    "shown",
    "unknown_choice",
]

_SHORT = 60  # characters of a value in an error message


_LONGEST = 2000  # characters of a message


class FacepadError(Exception):
    """Base class of every error that facepad raises on purpose. The text of an error is one line.

    Line ends in the text, which come from the input, become escapes. A text of more than 2,000 characters loses its
    middle, because the input may make it as long as itself.

    >>> str(FacepadError("unknown key 'a\\nb'"))
    "unknown key 'a\\\\nb'"
    """

    def __str__(self) -> str:
        return bounded_line(super().__str__())


class InputError(FacepadError):
    """Wrong input of the caller. The message names the expected input, the given input and the remedy."""


class MediaError(InputError):
    """An image or video that cannot be read. The text of the error is "source: reason".

    Args:
        source: Path or other name of the image or video; None if it has no name (an array).
        reason: The reason why the image or video cannot be read, without the name.

    >>> error = ImageError("a.jpg", "is empty")
    >>> str(error), error.source, error.reason
    ('a.jpg: is empty', 'a.jpg', 'is empty')
    """

    def __init__(self, source: Path | str | None, reason: str) -> None:
        self.source = None if source is None else str(source)
        self.reason = reason
        super().__init__(self.source, reason)  # both arguments: pickle calls the class with `args`

    def __str__(self) -> str:
        return bounded_line(self.reason if self.source is None else f"{self.source}: {self.reason}")


class ImageError(MediaError):
    """A file, byte string or array that is not a readable image."""


class VideoError(MediaError):
    """A file or byte string that is not a readable video, or a camera that gives no picture."""


class ManifestError(InputError):
    """A manifest that is missing or breaks the CSV contract; the message names file and line."""


class DatasetError(InputError):
    """A data set folder in a form that its adapter does not expect, or with mostly unreadable files."""


class ScoresError(InputError):
    """A scores file that is missing or breaks its contract; the message names file and line."""


class MetricError(InputError):
    """A metric or threshold that is not defined for the given scores."""


class SeparableError(MetricError):
    """Separable scores: the classes do not overlap, and the best slope of a calibration would be infinite."""


class RecipeError(InputError):
    """An unknown recipe, key or value; the message lists the choices."""


class ModelError(InputError):
    """An unknown model, or weights that are missing or do not fit the model."""


class BundleError(ModelError):
    """A file that is not a model file, or a changed, truncated or too new model file. The message names the file."""


class DownloadError(ModelError):
    """A public file is not on this machine, and cannot be downloaded.

    Args:
        message: The whole message, with what to do.
        reason: The reason alone, in one line.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class PluginError(InputError):
    """A row of a plug-in that cannot be imported or used; the message names the package and the reason."""


class OutputExistsError(InputError):
    """An output folder or file that already exists. facepad does not overwrite it."""


class BusyError(InputError):
    """A folder that another process is working in; the message names the folder and the work."""


class ResultError(InputError):
    """A signed result or webhook that must not be accepted: forged, expired, of another session, or used before."""


class RunError(FacepadError):
    """The work failed although the input was right."""


class DivergedError(RunError):
    """A training whose weights are no longer finite."""


class ServiceError(RunError):
    """A liveness service that refused, failed, or could not be reached.

    Args:
        message: The message, one line.
        status: The HTTP status; None if there was no answer.
        problem: The problem document (RFC 9457); empty if the answer had no problem document.

    >>> ServiceError("busy", 429, {"type": "urn:facepad:problem:busy"}).name
    'busy'
    """

    def __init__(self, message: str, status: int | None = None, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = dict(problem or {})

    @property
    def name(self) -> str:
        """The problem's name, such as ``busy`` or ``unreadable``; empty without a problem document."""
        return str(self.problem.get("type", "")).rpartition(":")[2]


def bounded_line(text: str) -> str:
    """The text of a message in one line: line ends become escapes, and a long text loses its middle."""
    text = text.replace("\r", "\\r").replace("\n", "\\n")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2 - 5]} [...] {text[5 - _LONGEST // 2 :]}"


def reason(error: Exception) -> str:
    """The reason for a failed file operation: the system's message, without error number and path.

    Args:
        error: Usually an `OSError`. For an exception without a system message, the result is the whole text.
            For an exception without a text, it is the type.

    >>> reason(FileNotFoundError(2, "No such file or directory", "a.jpg")), reason(ValueError("embedded null byte"))
    ('No such file or directory', 'embedded null byte')
    """
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def first_line(error: Exception) -> str:
    """The first line of an error's text, or the error's type if it has no text. Libraries raise long texts.

    >>> first_line(RuntimeError("Got: 2 Expected: 1\\nin Reshape")), first_line(MemoryError())
    ('Got: 2 Expected: 1', 'MemoryError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def in_line(error: BaseException) -> str:
    r"""The whole text of an error of other code in one line, with a space for each line end and its indentation.

    >>> in_line(RuntimeError("2 errors:\n\tmissing")), in_line(KeyError("2 errors:\n\tmissing"))
    ('2 errors: missing', '2 errors: missing')
    """
    # The text of a KeyError has escapes for its line ends.
    text = str(error.args[0]) if isinstance(error, KeyError) and len(error.args) == 1 else str(error)
    return " ".join(text.split())


def shown(value: object) -> str:
    """A wrong value as an error message shows it: the value if it is short, else its type.

    >>> shown("5 %"), shown(list(range(100)))
    ("'5 %'", 'list')
    """
    text = repr(value)
    return text if len(text) <= _SHORT and text.isprintable() else type(value).__name__


def number_of(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> number_of(1, "image"), number_of(2, "person", "people")
    ('1 image', '2 people')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def unknown_choice(what: str, got: object, choices: Iterable[str]) -> str:
    """The error message for an unknown name: one line with the name, the most similar choice and all choices.

    A value that is not a name has no similar choice.

    >>> unknown_choice("protocol", "oficial", ["official", "random80"])
    "unknown protocol 'oficial' (did you mean 'official'?); choices: official, random80"
    """
    known = list(choices)
    if not isinstance(got, str):
        return f"unknown {what} {shown(got)}; choices: {', '.join(known)}"
    close = difflib.get_close_matches(got, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {what} {got!r}{hint}; choices: {', '.join(known)}"
