"""Finds the sources of ``facepad predict``: files, folders, patterns, standard input and cameras."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import BinaryIO

from facepad.errors import InputError
from facepad.files.disk import printable, walk_files
from facepad.files.endings import NotRead
from facepad.files.opening import MaxBytes
from facepad.media.images import IMAGE_SUFFIXES
from facepad.types import VIDEO_SUFFIXES

__all__ = ["Source", "SourceKind", "find_sources", "refuse_missing"]

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
        kind: Image, video or camera. A file without a video file extension is an image.
        name: The name given by the caller, as valid UTF-8.
        content: The path of a file, the bytes of an image, or the number of a camera.
        mirror: The relative path of an annotated copy in an output folder. For a file that the caller names, it is the
            file name. For a file found in a folder, it is the folder name and the path below the folder.
    """

    kind: SourceKind
    name: str
    content: Path | bytes | int
    mirror: PurePath


def find_sources(words: Sequence[str], stdin: BinaryIO, not_read: NotRead | None = None) -> list[Source]:
    """Find all sources that the words name, in order, without duplicates. Files of a folder or pattern are sorted.

    Args:
        words: Paths of files, folders, patterns (``*``, ``?``, ``[...]``, ``**``), ``-`` for an image on standard
            input, and as the last word ``camera:0``. A folder stands for all images and videos below the folder,
            recognised by file extension. A missing file is an error only when it is read.
        stdin: The standard input. It is read if ``-`` is one of the words.
        not_read: Counts the files of folders that are neither images nor videos. Hidden files are not counted.

    Raises:
        InputError: A folder has no images and videos, or cannot be read; a pattern matches nothing; a camera has no
            number or is not the last input; there are no words, or one is empty.
    """
    sources: dict[tuple[SourceKind, Path | bytes | int], Source] = {}  # The first name of a source is kept.
    counts = NotRead() if not_read is None else not_read
    if "" in words:  # An unset variable of a script. As a path it would be the present folder.
        raise InputError("an input is empty; for the present folder write .")
    for word in dict.fromkeys(words):
        for source in _sources_of(word, stdin, counts):
            sources.setdefault((source.kind, source.content), source)
    if not sources:
        raise InputError("no input: name images, videos, folders, patterns, - or camera:0")
    if any(kind is SourceKind.CAMERA for kind, _ in list(sources)[:-1]):
        raise InputError("a camera does not end by itself: name at most one camera, after the other inputs")
    return list(sources.values())


def refuse_missing(sources: Sequence[Source]) -> None:
    """Refuse sources that are all missing files, before a model is loaded for them.

    Raises:
        InputError: No source exists.
    """
    missing = [source.name for source in sources if isinstance(source.content, Path) and not source.content.exists()]
    if missing and len(missing) == len(sources):
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(f"no input: {missing[0]} does not exist{more}")


def _sources_of(word: str, stdin: BinaryIO, not_read: NotRead) -> Iterator[Source]:
    path = Path(word)
    if word == _STDIN:
        yield Source(SourceKind.IMAGE, _STDIN, stdin.read(MaxBytes.IMAGE + 1), PurePath("stdin"))
    elif path.is_dir():
        yield from _folder_sources(path, not_read)
    elif word.startswith(_CAMERA) and not path.exists():
        yield _camera_source(word)
    elif glob.has_magic(word) and not path.exists():
        matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            raise InputError(f"no input: nothing matches {word}")
        for match in matches:
            yield from _folder_sources(Path(match), not_read) if Path(match).is_dir() else [_file_source(Path(match))]
    else:
        yield _file_source(path)


def _folder_sources(folder: Path, not_read: NotRead) -> Iterator[Source]:
    wanted = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    files, others = [], NotRead()
    for file in sorted(walk_files(folder, hidden=False)):
        if file.suffix.lower() in wanted:
            files.append(file)
        else:
            others.add(file.name)
    if not files:
        found = f"; {others}" if others else ""
        raise InputError(f"no input: folder {folder} holds no images or videos ({', '.join(sorted(wanted))}){found}")
    not_read.endings.update(others.endings)
    name = folder.resolve().name
    for file in files:
        yield _file_source(file, PurePath(name) / file.relative_to(folder))


def _file_source(path: Path, mirror: PurePath | None = None) -> Source:
    kind = SourceKind.VIDEO if path.suffix.lower() in VIDEO_SUFFIXES else SourceKind.IMAGE
    return Source(kind, printable(path), path, mirror or PurePath(path.name))


def _camera_source(word: str) -> Source:
    number = word.removeprefix(_CAMERA)
    if not (number.isascii() and number.isdigit() and len(number) < 5):
        raise InputError(f"expected a camera's number, such as camera:0, got {word}")
    return Source(SourceKind.CAMERA, word, int(number), PurePath(f"camera-{int(number)}"))
