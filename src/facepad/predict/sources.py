"""What a command line names to be predicted: files, folders, patterns, standard input and cameras become sources."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import BinaryIO

from facepad.errors import InputError
from facepad.files.disk import walk_files
from facepad.media.images import IMAGE_SUFFIXES
from facepad.types import VIDEO_SUFFIXES

__all__ = ["Kind", "Source", "find_sources"]

_CAMERA = "camera:"
_STDIN = "-"


class Kind(StrEnum):
    """What a source holds."""

    IMAGE = "image"
    VIDEO = "video"
    CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to predict.

    Attributes:
        kind: What it holds, by its name: a file is an image unless its ending is a video's.
        name: As the caller named it; always printable as UTF-8.
        content: A file's path, an image's bytes, or a camera's number.
        mirror: Its relative path below an output folder: a folder's name and what is below it, or a file's name.
    """

    kind: Kind
    name: str
    content: Path | bytes | int
    mirror: PurePath


def find_sources(words: Sequence[str], stdin: BinaryIO) -> list[Source]:
    """Every source that the words name, each once, in their order; a folder's or pattern's files sorted.

    Args:
        words: Paths of files, folders (with everything below them that is an image or a video by its ending), patterns
            (``*``, ``?``, ``[...]``, ``**``), ``-`` for an image on standard input, and last ``camera:0``. A file
            need not exist: reading it will say so.
        stdin: Read when the words hold ``-``.

    Raises:
        InputError: a folder without images and videos or one that cannot be read, a pattern that matches nothing, a
            camera that is no number or not the last input, or no words.
    """
    sources: dict[tuple[Kind, Path | bytes | int], Source] = {}  # the first name that a source has, not each of them
    for word in dict.fromkeys(words):
        for source in _sources(word, stdin):
            sources.setdefault((source.kind, source.content), source)
    if not sources:
        raise InputError("no input: name images, videos, folders, patterns, - or camera:0")
    if any(kind is Kind.CAMERA for kind, _ in list(sources)[:-1]):
        raise InputError("a camera does not end by itself: name one at most, after the other inputs")
    return list(sources.values())


def _sources(word: str, stdin: BinaryIO) -> Iterator[Source]:
    path = Path(word)
    if word == _STDIN:
        yield Source(Kind.IMAGE, _STDIN, stdin.read(), PurePath("stdin"))
    elif path.is_dir():
        yield from _below(path)
    elif word.startswith(_CAMERA) and not path.exists():
        yield _camera(word)
    elif glob.has_magic(word) and not path.exists():
        matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            raise InputError(f"no input: nothing matches {word}")
        for match in matches:
            yield from _below(Path(match)) if Path(match).is_dir() else [_file(Path(match))]
    else:
        yield _file(path)


def _below(folder: Path) -> Iterator[Source]:
    wanted = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    files = sorted(file for file in walk_files(folder) if file.suffix.lower() in wanted and not _hidden(file, folder))
    if not files:
        raise InputError(f"no input: folder {folder} holds no images or videos ({', '.join(sorted(wanted))})")
    name = folder.resolve().name
    for file in files:
        yield _file(file, PurePath(name) / file.relative_to(folder))


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _file(path: Path, mirror: PurePath | None = None) -> Source:
    kind = Kind.VIDEO if path.suffix.lower() in VIDEO_SUFFIXES else Kind.IMAGE
    # Names need not be text on every system; JSON and terminals want them to be.
    name = str(path).encode("utf-8", "backslashreplace").decode()
    return Source(kind, name, path, mirror or PurePath(path.name))


def _camera(word: str) -> Source:
    number = word.removeprefix(_CAMERA)
    if not (number.isascii() and number.isdigit() and len(number) < 5):
        raise InputError(f"expected a camera's number, such as camera:0, got {word}")
    return Source(Kind.CAMERA, word, int(number), PurePath(f"camera-{int(number)}"))
