"""Bodies of requests: which files they hold, and which are refused."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from starlette.requests import Request

from facepad.service.problems import Problem
from facepad.service.settings import Settings
from facepad.service.uploads import check_declared, read_small_body, read_uploads, sha256_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
CLIP = b"\x00\x00\x00\x18ftypmp42" + bytes(20)


def request(body: bytes, kind: str = "application/octet-stream") -> Request:
    """A request whose body comes in two pieces."""
    pieces = [body[:7], body[7:]]

    async def receive() -> dict:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    return Request({"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}, receive)


def read(body: bytes, kind: str = "application/octet-stream", **settings) -> list:
    return asyncio.run(read_uploads(request(body, kind), Settings(**settings), lambda _: None))


def form(*parts: tuple[str, bytes | None]) -> bytes:
    """A multipart body; a part without content is a field of text."""
    lines = []
    for name, content in parts:
        file = b"" if content is None else b'; filename="a"'
        lines.append(b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n' % (name.encode(), file))
        lines.append((content or b"text") + b"\r\n")
    return b"".join(lines) + b"--b--\r\n"


FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("body", "kind", "kinds"),
    [
        (PNG, "application/octet-stream", ["image"]),
        (CLIP, "text/html", ["clip"]),
        (form(("files", PNG), ("files", CLIP)), FORM, ["image", "clip"]),
        (form(("file", PNG)), FORM, ["image"]),
        (json.dumps({"images": [base64.b64encode(PNG).decode()]}).encode(), "application/json", ["image"]),
        (json.dumps({"images": [f"data:x;base64,{base64.b64encode(CLIP).decode()}"]}).encode(), "text/plain", ["clip"]),
    ],
)
def test_files_of_a_body_are_read(body, kind, kinds):
    files = read(body, kind)
    assert [file.kind for file in files] == kinds
    assert len(set(map(len, sha256_of(files)))) == 1


@pytest.mark.parametrize(
    ("body", "kind", "name"),
    [
        (b"", "image/png", "bad-request"),
        (b"hello", "image/png", "unsupported-media"),
        (b"{", "application/json", "bad-request"),
        (b'{"images": []}', "application/json", "bad-request"),
        (b'{"images": ["?"]}', "application/json", "bad-request"),
        (b'{"images": ["data:image/png,x"]}', "application/json", "bad-request"),
        (b'{"images": ["a", "b", "c"]}', "application/json", "too-large"),
        (PNG, "multipart/mixed; boundary=b", "bad-request"),
        (b"--b", "multipart/form-data", "bad-request"),
        (form(("photo", PNG)), FORM, "bad-request"),
        (form(("files", None)), FORM, "bad-request"),
        (form(*[("files", PNG)] * 3), FORM, "too-large"),
        (bytes(200), "image/png", "too-large"),
    ],
)
def test_other_bodies_are_refused_by_name(body, kind, name):
    with pytest.raises(Problem) as raised:
        read(body, kind, max_files=2, max_bytes=400 if kind == FORM else 100)
    assert raised.value.name == name
    if name == "bad-request":
        assert "JSON as" in raised.value.detail or "file 0" in raised.value.detail or "malformed" in raised.value.detail


def test_address_instead_of_a_file_is_refused_with_the_reason():
    with pytest.raises(Problem, match="file 0 is an address, which the service does not fetch"):
        read(b'{"images": ["https://example.org/a,b.jpg"]}', "application/json", max_files=2, max_bytes=100)


def test_small_body_has_a_limit_before_and_while_it_arrives():
    assert asyncio.run(read_small_body(request(b"12345678"), Settings(), 8)) == b"12345678"
    with pytest.raises(Problem, match="longer than the limit of 7 bytes"):
        asyncio.run(read_small_body(request(b"12345678"), Settings(), 7))
    for length in ("9", "-1", "1e3"):
        with pytest.raises(Problem):
            check_declared({"content-length": length}, 8)
