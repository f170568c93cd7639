"""Generated hostile requests for the service: broken files, bodies and heads that no honest client sends."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pillow_heif
from PIL import Image

from facepad.media.images import read_image
from facepad.media.videos import write_video

_IMAGES = ("PNG", "WEBP", "BMP", "TIFF", "AVIF", "HEIF")
_CLIPS = (".mp4", ".avi", ".mov", ".mkv")
_FOREIGN = (
    b"GIF89a",
    b"%PDF-1.7\n",
    b"PK\x03\x04",
    b"<svg onload=alert(1)>",
    b"\x7fELF",
    b"#!/bin/sh\n",
    b"\x1f\x8b\x08",
)
_HUGE = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00", b"\x00\x01\x00\x00")
_TYPES = ("application/octet-stream", "image/jpeg", "text/plain", "application/json", "multipart/mixed", "", "\x7f/*;=")


@dataclass(frozen=True)
class Body:
    """The body of a request, with its declared type."""

    content: bytes
    media_type: str = "application/octet-stream"


@dataclass
class Hostile:
    """Makes hostile requests. The same seed gives the same requests.

    Attributes:
        rng: The random numbers of the requests.
        files: Sound files, which the requests break.
    """

    rng: Random
    files: Sequence[bytes] = field(repr=False)

    def file(self) -> bytes:
        """A broken file."""
        return self.rng.choice(FILES)(self)


def sound_files(picture: bytes, folder: Path) -> list[bytes]:
    """A small picture as a file of each kind that the service reads. The second file is a progressive JPEG.

    Args:
        picture: A file of a picture.
        folder: A folder for the clips.
    """
    pillow_heif.register_heif_opener()
    image = Image.fromarray(read_image(picture))
    large, small = image.resize((160, 120)), image.resize((80, 64))
    files = [_encoded(large, "JPEG"), _encoded(small, "JPEG", progressive=True)]
    files += [_encoded(small, kind) for kind in _IMAGES]
    for ending in _CLIPS:
        write_video(folder / f"clip{ending}", [np.array(small)] * 3)
        files.append((folder / f"clip{ending}").read_bytes())
    return files


def _encoded(image: Image.Image, kind: str, **options: bool) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


# Broken files


def cut(made: Hostile) -> bytes:
    """A file that is cut off."""
    content = made.rng.choice(made.files)
    return content[: made.rng.randrange(1, len(content))]


def flipped(made: Hostile) -> bytes:
    """A file with flipped bits."""
    content = bytearray(made.rng.choice(made.files))
    for _ in range(made.rng.choice((1, 1, 4, 30))):
        content[made.rng.randrange(len(content))] ^= 1 << made.rng.randrange(8)
    return bytes(content)


def large_header(made: Hostile) -> bytes:
    """A file with extreme numbers in its header."""
    content = bytearray(made.rng.choice(made.files))
    for _ in range(made.rng.choice((1, 2, 5))):
        place = made.rng.randrange(min(len(content) - 4, made.rng.choice((64, 600))))
        content[place : place + 4] = made.rng.choice(_HUGE)
    return bytes(content)


def polyglot(made: Hostile) -> bytes:
    """A file of one kind that continues as a file of another kind."""
    first, second = made.rng.choice([*made.files, *_FOREIGN]), made.rng.choice([*made.files, *_FOREIGN])
    return first[: made.rng.choice((12, 64, len(first)))] + second


def foreign(made: Hostile) -> bytes:
    """A file of a kind that the service does not read, or noise."""
    return made.rng.choice((*_FOREIGN, b"\xff\xd8\xff", b"")) + made.rng.randbytes(made.rng.randrange(400))


def bomb(made: Hostile) -> bytes:
    """A small file that is large when it is decoded, or says that it is."""
    return made.rng.choice((_png_bomb, _text_bomb, _scan_bomb, _png_bomb))(made)


def _png_bomb(made: Hostile) -> bytes:
    sides = (1, 300, 8000, 65_535, 2**31 - 1) if made.rng.random() < 0.995 else (6000,)
    return _empty_png(made.rng.choice(sides), made.rng.choice(sides))


@cache
def _empty_png(width: int, height: int) -> bytes:
    """A black PNG of this size. Above the service's limit of pixels, the data is shorter than the header says."""
    rows = height if width * height < 5 * 10**7 else 10
    return _png(width, height, (b"IDAT", zlib.compress(bytes((min(width, 65_535) // 8 + 2) * rows))))


@cache
def _zeros() -> bytes:
    return zlib.compress(bytes(2**23), 9)


def _text_bomb(made: Hostile) -> bytes:
    kind, head = made.rng.choice(((b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")))
    return _png(8, 8, (kind, head + _zeros()), (b"IDAT", zlib.compress(bytes(9 * 8))))


def _scan_bomb(made: Hostile) -> bytes:
    content = made.files[1]  # the progressive JPEG
    scan = content[content.index(b"\xff\xda") : -2]
    return content[:-2] + scan * made.rng.choice((2, 20, 99, 200)) + content[-2:]


def _png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    head = (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    framed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (head, *chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


FILES: tuple[Callable[[Hostile], bytes], ...] = (cut, flipped, large_header, polyglot, foreign, bomb)
"""The broken files."""


# Bodies


def raw(made: Hostile) -> Body:
    """A broken file as the body, with any declared type."""
    return Body(made.file(), made.rng.choice(_TYPES))


def in_json(made: Hostile) -> Body:
    """Files in base64 in JSON, also encoded several times."""
    text = made.file()
    for _ in range(made.rng.choice((1, 1, 2, 6))):
        text = base64.b64encode(text)
    head = made.rng.choice(("", "data:image/png;base64,", "data:;base64,", "data:image/png,", "data:,;base64,", ","))
    images = [head + text.decode()] * made.rng.choice((1, 1, 2, 33))
    return Body(json.dumps({"images": images}).encode(), made.rng.choice(("application/json", *_TYPES)))


def broken_json(made: Hostile) -> Body:
    """JSON that is nested too deeply, has other values, or is broken."""
    depth, rng = made.rng.choice((10, 5000, 100_000)), made.rng
    text = rng.choice(
        (
            b'{"images":' + b"[" * depth,
            b'{"images":' * depth + b"1" + b"}" * depth,
            b'{"images": [' + b"9" * depth + b"]}",
            b'{"images": ["\\ud800"]}',
            b'{"images": [1e999, NaN, null, true, {}]}',
            b'{"images": {"0": "AAAA"}, "images": []}',
            b'\xef\xbb\xbf{"images": ["AAAA"]}',
            '{"images": ["AAAA"]}'.encode(rng.choice(("utf-16", "utf-32", "utf-8"))),
            b'{"images": ["' + rng.randbytes(200) + b'"]}',
            b" " * depth + b"{",
        )
    )
    return Body(text, rng.choice(("application/json", "application/json; charset=x", "application/octet-stream")))


def multipart(made: Hostile) -> Body:
    """Multipart bodies with broken parts, names and ends."""
    rng, mark = made.rng, made.rng.choice(("b", "b" * 70, "b" * 3000, "b c"))
    name = rng.choice(("files", "file", "", "other", "files\\", "fi\0les", "x" * 9000))
    path = rng.choice(("a.png", "../../etc/passwd", "a\0.png", "", '";x="', "\u202e" * 50))
    head = f'Content-Disposition: form-data; name="{name}"; filename="{path}"\r\n\r\n'.encode()
    part = b"--" + mark.encode() + b"\r\n" + head + made.file() + b"\r\n"
    pieces = [part] * rng.choice((1, 1, 3, 40)) + [b"--" + mark.encode() + rng.choice((b"--\r\n", b"--", b"\r\n", b""))]
    if rng.random() < 0.4:
        rng.shuffle(pieces)
    if rng.random() < 0.4:
        pieces.insert(0, rng.choice((b"\r\n", b"--", part[:30], b"A: " + b"x" * 9000 + b"\r\n", b"\r" * 500)))
    quoted = rng.choice((mark, f'"{mark}"', mark[1:], "", f"{mark}; boundary=c"))
    return Body(b"".join(pieces), f"multipart/form-data; boundary={quoted}")


def session(made: Hostile) -> Body:
    """Bodies for the opening of a session, with wrong values and unknown fields."""
    rng = made.rng
    values = (None, "", "a", "a b", "x" * 200, "\0", "\ud800", 0, -1, 10**30, 1.5, True, [], ["passive"] * 3, {}, "all")
    names = ("reference", "checks", "model", "policy", "expires_in", "user_id", "__proto__", "")
    asked = {"reference": "anna"} | {rng.choice(names): rng.choice(values) for _ in range(rng.choice((0, 1, 1, 3)))}
    text = json.dumps(asked).encode()
    return Body(rng.choice((text, text, text[:-1], text + b"{}", b"[" * 4000)), "application/json")


BODIES: tuple[Callable[[Hostile], Body], ...] = (raw, raw, in_json, broken_json, multipart, multipart)
"""The bodies for the routes that take files."""


# Whole requests


def request(method: str, target: str, headers: Mapping[str, str], body: Body | None = None) -> bytes:
    """An HTTP/1.1 request in one piece."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None:
        lines += [f"Content-Type: {body.media_type}", f"Content-Length: {len(body.content)}"]
    head = "\r\n".join(lines).encode("utf-8", "surrogatepass")
    return head + b"\r\n\r\n" + (b"" if body is None else body.content)


_PATHS = (
    b"/", b"/v1/liveness", b"/v1/sessions", b"/v1/uploads", b"/v1/challenge", b"/v1/sessions/x", b"/metrics", b"/docs",
    b"/page/../../../etc/passwd", b"/page/..%2f..%2fetc/passwd", b"/widget/%00", b"/widget/frame.html", b"//", b"*",
    b"/v1/sessions/%ff%fe", b"/v1/sessions/" + b"a" * 5000, b"http://other/v1/models", b"/v1/models?" + b"a=" * 900,
    b"/v1/liveness?depth=maybe&policy=%00", b"/v1/liveness?depth=1&depth=0&policy=", b"/v1/uploads?check=%F0%28%8C%28",
    b"/\xff", b"", b"/openapi.json", b"/.well-known/jwks.json", b"/readyz", b"/page/", b"/docs/ui/%2e%2e/%2e%2e/app.py",
)  # fmt: skip
_METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"\0", b"A" * 300)
_HEADERS = (
    b"Host: [::1", b"Host: a b", b"Host:", b"Host: localhost\r\nHost: other", b"Origin: null", b"Origin: http://[",
    b"Origin: http://localhost", b"Authorization: Bearer", b"Authorization: Bearer " + b"k" * 9000,
    b"Authorization: Basic OjpA", b"Authorization: \xff\xfe", b"X-Request-ID: " + b"r" * 65, b"X-Request-ID: a",
    b"X-Request-ID: \xc3\xa4;\t", b"Content-Length: -1", b"Content-Length: 9" + b"9" * 40, b"Content-Length: 5, 6",
    b"Content-Length: 3\r\nContent-Length: 4", b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"Range: bytes=9-1",
    b"Range: bytes=0-0,1-1,2-2", b"If-None-Match: *", b"If-Modified-Since: never", b"Expect: 100-continue",
    b"Transfer-Encoding: gzip", b"Content-Encoding: gzip", b"Upgrade: h2c\r\nConnection: Upgrade", b"No colon",
    b" folded: x", b"A: " + b"x" * 40_000, b"\r\n".join([b"A: b"] * 400), b"\xff\xff: x", b"A: b\rc", b"A: b\nc: d",
    b"Accept-Encoding: gzip;q=x", b"Content-Type: multipart/form-data", b"Cookie: " + b"a=b;" * 900,
)  # fmt: skip
_ENDS = (b"", b"{}", b"4\r\nabcd\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\n\r\n", b'4;x="\r\nab', b"\0" * 50)


def head(made: Hostile, key: str) -> bytes:
    """Requests with broken request lines, headers, lengths and chunks, and bytes that are no HTTP."""
    rng = made.rng
    if rng.random() < 0.05:
        return rng.choice((b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n\r\n")) + rng.randbytes(
            60
        )
    version = rng.choice((b"HTTP/1.1",) * 6 + (b"HTTP/1.0", b"HTTP/0.9", b"HTTP/9.9", b""))
    lines = [b" ".join((rng.choice(_METHODS), rng.choice(_PATHS), version)), b"Host: localhost"]
    lines += rng.sample(_HEADERS, rng.choice((0, 1, 1, 2, 4)))
    if rng.random() < 0.6:
        lines.append(b"Authorization: Bearer " + key.encode())
    if rng.random() < 0.2:
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join([*lines, b"Connection: close", b"", rng.choice(_ENDS)])
