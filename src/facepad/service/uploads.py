"""Reads the files of a request body into memory, never to disk. Declared file names and types are ignored."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from facepad.media.formats import FORMAT_NAMES
from facepad.media.images import looks_like_image
from facepad.service.problems import Problem
from facepad.service.settings import Settings

__all__ = ["UploadKind", "UploadedFile", "check_declared", "read_small_body", "read_uploads", "sha256_of", "sniff"]

_FIELDS = ("files", "file")
_MULTIPART = "multipart/form-data"
_EXPECTED = (
    "expected an image or clip as the body, multipart parts named 'files' or 'file', "
    'or JSON as {"images": ["base64 or data URI", ...]}'
)
_MATROSKA, _ASF, _MPEG_PS = b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\x00\x00\x01\xba"
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # The first box of an MP4 or MOV file.

UploadKind = Literal["image", "clip"]
"""The kind of a file, recognised by the first bytes."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """One file of a request."""

    kind: UploadKind
    content: bytes = field(repr=False)


class _InMemory(MultiPartParser):
    """The multipart parser of Starlette without temporary files. Images of faces must never be written to disk."""

    spool_max_size = 2**62  # Memory is limited by the limit of the whole body.

    def close(self) -> None:
        """Close all files. The form that `parse` gives lacks the file of a part without an end."""
        for file in self._files_to_close_on_error:
            file.close()


def sniff(head: bytes) -> UploadKind | None:
    """The kind of a file by the first bytes. None means neither an image nor a clip.

    >>> sniff(b"\\xff\\xd8\\xff\\xe0"), sniff(b"\\x00\\x00\\x00\\x18ftypmp42"), sniff(b"GIF89a")
    ('image', 'clip', None)
    """
    if looks_like_image(head):
        return "image"
    clip = head.startswith((_MATROSKA, _ASF, _MPEG_PS)) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
    return "clip" if clip or head[4:8] in _BOXES else None


def sha256_of(files: Sequence[UploadedFile]) -> tuple[str, ...]:
    """SHA-256 of each file, in hexadecimal."""
    return tuple(hashlib.sha256(file.content).hexdigest() for file in files)


def check_declared(headers: Mapping[str, str], limit: int) -> None:
    """Refuse a body by the declared length, before the body is read.

    Raises:
        Problem: The length exceeds the limit, or is not a number.
    """
    declared = headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdigit()):
        raise Problem("bad-request", "Content-Length is not a number")
    if int(declared) > limit:
        raise _too_long(limit)


async def read_uploads(request: Request, settings: Settings, arrived: Callable[[int], None]) -> list[UploadedFile]:
    """Read the files of a request.

    The body is one file, or a multipart body with parts named ``files`` or ``file``, or a JSON object whose list
    ``images`` has files in base64 or as data URIs.

    Args:
        request: A request whose body has not been read.
        settings: The settings with the limits.
        arrived: Function that is called with the size of each piece. It may raise a `Problem` to refuse the piece.

    Raises:
        Problem: The body is too slow, too large, empty or malformed, or has too many files, or has a file that is
            neither an image nor a clip.
    """
    async with _arriving(settings):
        contents = await _body_contents(request, settings, arrived)
    if not contents:
        raise Problem("bad-request", _EXPECTED)
    return [_uploaded_file(content, number, len(contents)) for number, content in enumerate(contents)]


async def read_small_body(
    request: Request, settings: Settings, limit: int, arrived: Callable[[int], None] = lambda _: None
) -> bytes:
    """Read a request body of at most ``limit`` bytes. ``arrived`` is used as in `read_uploads`.

    Raises:
        Problem: The body is too slow or too large.
    """
    check_declared(request.headers, limit)
    async with _arriving(settings):
        return b"".join([chunk async for chunk in _limited_body(request, limit, arrived)])


@asynccontextmanager
async def _arriving(settings: Settings) -> AsyncIterator[None]:
    """Convert a slow body or an ended connection to a problem."""
    try:
        async with asyncio.timeout(settings.upload_seconds):
            yield
    except TimeoutError:
        raise Problem("upload-timeout", f"the request was not complete after {settings.upload_seconds:g} s") from None
    except ClientDisconnect:
        raise Problem("bad-request", "the connection ended before the request was complete") from None


def _uploaded_file(content: bytes, number: int, of: int) -> UploadedFile:
    which = "the file" if of == 1 else f"file {number}"
    if not content:
        raise Problem("bad-request", f"{which} is empty")
    kind = sniff(content[:16])
    if kind is None:
        raise Problem(
            "unsupported-media",
            f"{which} is neither an image ({FORMAT_NAMES}) nor a clip (MP4, MOV, WebM, Matroska, AVI ...); {_EXPECTED}",
        )
    return UploadedFile(kind, content)


async def _body_contents(request: Request, settings: Settings, arrived: Callable[[int], None]) -> list[bytes]:
    body = _limited_body(request, settings.max_bytes, arrived)
    if not request.headers.get("content-type", "").lower().startswith("multipart/"):
        whole = b"".join([chunk async for chunk in body])
        if _is_json(request.headers, whole):
            contents = await asyncio.to_thread(_json_contents, whole, settings.max_files)
            arrived(sum(map(len, contents)))
            return contents
        return [whole] if whole else []
    if not request.headers["content-type"].lower().startswith(_MULTIPART):
        raise Problem("bad-request", f"the body has another multipart type than {_MULTIPART}; {_EXPECTED}")
    parser = _InMemory(request.headers, body, max_files=settings.max_files, max_fields=0)
    try:
        return await _part_contents(await parser.parse())
    except MultiPartException as error:
        # The parser raises the same error for too many files and for a malformed body. Only the message differs.
        if "Too many files" in error.message:
            raise Problem("too-large", f"the limit is {settings.max_files} files") from None
        if "Too many fields" in error.message:
            raise Problem("bad-request", f"a part has no file; {_EXPECTED}") from None
        raise Problem("bad-request", "the multipart body is malformed") from None
    finally:
        parser.close()


def _is_json(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a body is JSON: by the declared type, or by the first character, with which no image or clip begins."""
    declared = headers.get("content-type", "").partition(";")[0].strip().lower()
    return declared == "application/json" or body[:64].lstrip()[:1] == b"{"


def _json_contents(body: bytes, limit: int) -> list[bytes]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem("bad-request", f"the body is not JSON; {_EXPECTED}") from None
    images = document.get("images") if isinstance(document, dict) and len(document) == 1 else None
    if not (isinstance(images, list) and images and all(isinstance(image, str) for image in images)):
        raise Problem("bad-request", f"the JSON has another form; {_EXPECTED}")
    if len(images) > limit:
        raise Problem("too-large", f"the limit is {limit} files")
    return [_decoded(image, number) for number, image in enumerate(images)]


def _decoded(text: str, number: int) -> bytes:
    """The content of a file in base64 or in a data URI. The media type of a data URI is ignored."""
    if text.startswith(("http://", "https://")):
        raise Problem("bad-request", f"file {number} is an address, which the service does not fetch; send base64")
    head, comma, rest = text.partition(",")
    if comma and not (head.startswith("data:") and head.endswith(";base64")):
        raise Problem("bad-request", f"file {number} is not a data URI in base64")
    try:
        return base64.b64decode("".join((rest if comma else text).split()), validate=True)
    except ValueError:
        raise Problem("bad-request", f"file {number} is not in base64") from None


async def _part_contents(form: FormData) -> list[bytes]:
    contents = []
    for name, part in form.multi_items():
        if name not in _FIELDS or not isinstance(part, UploadFile):
            raise Problem("bad-request", f"a part has another name; {_EXPECTED}")
        contents.append(await part.read())
    return contents


async def _limited_body(request: Request, limit: int, arrived: Callable[[int], None]) -> AsyncGenerator[bytes]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise _too_long(limit)
        arrived(len(chunk))
        yield chunk


def _too_long(limit: int) -> Problem:
    return Problem("too-large", f"the body is longer than the limit of {limit} bytes")
