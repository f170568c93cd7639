"""The inputs of ``facepad predict``: files, folders, patterns, standard input and cameras become sources."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import BinaryIO

from facepad.errors import InputError
from facepad.files.disk import printable, walk_files
from facepad.media.images import IMAGE_SUFFIXES
from facepad.types import VIDEO_SUFFIXES

__all__ = ["Source", "SourceKind", "find_sources"]

_CAMERA = "camera:"
_STDIN = "-"


class SourceKind(StrEnum):
    """The kind of a source."""

    IMAGE = "image"
    VIDEO = "video"
    CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class Source:
    """One image, video or camera to decide on.

    Attributes:
        kind: Image, video or camera. A file whose name does not end like a video's is an image.
        name: The name that the caller gave; always valid UTF-8.
        content: A file's path, an image's bytes, or a camera's number.
        mirror: The relative path of its copy in an output folder: the name of the caller's folder and the path in it,
            or a file's name.
    """

    kind: SourceKind
    name: str
    content: Path | bytes | int
    mirror: PurePath


def find_sources(words: Sequence[str], stdin: BinaryIO) -> list[Source]:
    """Every source that the words name, each once, in their order; the files of a folder or pattern are sorted.

    Args:
        words: Paths of files, folders (with all images and videos below them, by their endings), patterns (``*``,
            ``?``, ``[...]``, ``**``), ``-`` for an image on standard input, and last ``camera:0``. A missing file is
            an error only when it is read.
        stdin: Read when ``-`` is among the words.

    Raises:
        InputError: A folder has no images and videos, or cannot be read; a pattern matches nothing; a camera has no
            number or is not the last input; there are no words.
    """
    sources: dict[tuple[SourceKind, Path | bytes | int], Source] = {}  # A source with several names keeps the first.
    for word in dict.fromkeys(words):
        for source in _sources_of(word, stdin):
            sources.setdefault((source.kind, source.content), source)
    if not sources:
        raise InputError("no input: name images, videos, folders, patterns, - or camera:0")
    if any(kind is SourceKind.CAMERA for kind, _ in list(sources)[:-1]):
        raise InputError("a camera does not end by itself: name one at most, after the other inputs")
    return list(sources.values())


def _sources_of(word: str, stdin: BinaryIO) -> Iterator[Source]:
    path = Path(word)
    if word == _STDIN:
        yield Source(SourceKind.IMAGE, _STDIN, stdin.read(), PurePath("stdin"))
    elif path.is_dir():
        yield from _folder_sources(path)
    elif word.startswith(_CAMERA) and not path.exists():
        yield _camera_source(word)
    elif glob.has_magic(word) and not path.exists():
        matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            raise InputError(f"no input: nothing matches {word}")
        for match in matches:
            yield from _folder_sources(Path(match)) if Path(match).is_dir() else [_file_source(Path(match))]
    else:
        yield _file_source(path)


def _folder_sources(folder: Path) -> Iterator[Source]:
    wanted = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    files = sorted(file for file in walk_files(folder) if file.suffix.lower() in wanted and not _hidden(file, folder))
    if not files:
        raise InputError(f"no input: folder {folder} holds no images or videos ({', '.join(sorted(wanted))})")
    name = folder.resolve().name
    for file in files:
        yield _file_source(file, PurePath(name) / file.relative_to(folder))


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _file_source(path: Path, mirror: PurePath | None = None) -> Source:
    kind = SourceKind.VIDEO if path.suffix.lower() in VIDEO_SUFFIXES else SourceKind.IMAGE
    return Source(kind, printable(path), path, mirror or PurePath(path.name))


def _camera_source(word: str) -> Source:
    number = word.removeprefix(_CAMERA)
    if not (number.isascii() and number.isdigit() and len(number) < 5):
        raise InputError(f"expected a camera's number, such as camera:0, got {word}")
    return Source(SourceKind.CAMERA, word, int(number), PurePath(f"camera-{int(number)}"))
