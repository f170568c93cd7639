"""Helpers of the tests of bulk scoring: small images, models that misbehave, and a web server that is also a bucket."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import cv2
import numpy as np

from facepad.errors import ModelError
from facepad.modelfile.bundle import Bundle, read_bundle
from facepad.predict.inputs import ImageInput
from facepad.predict.pipeline import Examined, Pipeline
from facepad.predict.predictor import Predictor, load

POISON, BROKEN, NAN = b"POISON", b"BROKEN", b"NAN"
RED, BLUE = (180, 60, 60), (60, 60, 180)


def picture(colour, number=0) -> bytes:
    """A sharp square PNG of 64 px, of a colour that the tiny model reads."""
    checks = (np.indices((64, 64)).sum(axis=0) // 4 % 2 * 40)[..., None]
    image = (np.asarray(colour) + checks).astype(np.uint8)
    image[0, 0] = number % 256, number // 256 % 256, 0
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def pictures(folder: Path, count: int) -> Path:
    """A folder of images, every other one bona fide."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:04}.png").write_bytes(picture(BLUE if number % 2 else RED, number))
    return folder


class Fussy(Pipeline):
    """A pipeline that dies of one kind of image, trips over another, and may take its time."""

    def __init__(self, bundle: Bundle, pause: float = 0.0) -> None:
        super().__init__(bundle, threads=1)
        self.pause = pause

    def __reduce__(self):
        return type(self), (self.bundle, self.pause)

    def examine(self, image: ImageInput) -> Examined:
        if isinstance(image, bytes) and POISON in image:
            os._exit(7)
        if isinstance(image, bytes) and BROKEN in image:
            raise ZeroDivisionError("a library's own fault")
        if isinstance(image, bytes) and NAN in image:
            raise ModelError("model tiny gives scores that are not numbers (NaN)")
        time.sleep(self.pause)
        return super().examine(image)


def fussy(model: Path, pause: float = 0.0) -> Predictor:
    """A predictor with a fussy pipeline."""
    return Predictor(Fussy(read_bundle(model), pause))


class Meeting(Fussy):
    """A pipeline that is slow until two processes have had an image."""

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        super().__init__(bundle)
        self.folder = folder

    def __reduce__(self):
        return type(self), (self.bundle, self.folder)

    def examine(self, image: ImageInput) -> Examined:
        (self.folder / str(os.getpid())).touch()
        for _ in range(100):
            time.sleep(0.05)
            if len(list(self.folder.iterdir())) > 1:
                break
        return super().examine(image)


def meeting(model: Path, folder: Path) -> Predictor:
    """A predictor that is slow until a second process takes part. Each process leaves a file in the folder."""
    folder.mkdir()
    return Predictor(Meeting(read_bundle(model), folder))


class DeadlyToLoad(Predictor):
    """A predictor whose copies end the processes that load them."""

    def __reduce__(self):
        return os._exit, (9,)


def deadly_to_load(model: Path) -> DeadlyToLoad:
    """A predictor whose copies end the processes that load them."""
    return DeadlyToLoad(load(model, threads=1).pipeline)


@dataclass
class Bucket:
    """Objects of a fake store, and its failures.

    Attributes:
        objects: Content by path (``bucket/key``).
        forbidden: Paths that are answered with 403; a bucket's name forbids its listing.
        failing: How often a path is still answered with 503.
        asked: Paths of the requests.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    failing: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def query(self) -> str:
        """The options that make pyarrow use this server."""
        return f"?endpoint_override=127.0.0.1:{self.port}&scheme=http&anonymous=true&region=us-east-1"

    @property
    def web(self) -> str:
        """The URL of the same objects."""
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def serve_bucket() -> Iterator[Bucket]:
    """Serve S3's listing and reading, and plain web requests, on this machine."""
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, bucket))
    bucket.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, bucket: Bucket, *arguments: object) -> None:
        self.bucket = bucket
        super().__init__(*arguments)

    def log_message(self, *arguments: object) -> None:
        return

    def do_HEAD(self) -> None:
        self._reply()

    def do_GET(self) -> None:
        self._reply()

    def _reply(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path).strip("/"), parse_qs(parts.query, keep_blank_values=True)
        self.bucket.asked.append(path)
        if self.bucket.failing.get(path, 0) > 0:
            self.bucket.failing[path] -= 1
            return self._send(503, b"<Error><Code>SlowDown</Code></Error>")
        if path in self.bucket.forbidden:
            return self._send(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        if path in self.bucket.objects:
            return self._send_part(self.bucket.objects[path])
        if "/" not in path and any(key.startswith(f"{path}/") for key in self.bucket.objects):
            return self._send(200, self._listing(path, query).encode() if "list-type" in query else b"")
        what = b"NoSuchKey" if "/" in path else b"NoSuchBucket"
        return self._send(404, b"<Error><Code>" + what + b"</Code></Error>")

    def _listing(self, name: str, query: dict[str, list[str]]) -> str:
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        keys = sorted(key.partition("/")[2] for key in self.bucket.objects if key.startswith(f"{name}/{prefix}"))
        files, folders = [], set()
        for key in keys:
            head, mark, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if mark:
                folders.add(f"{prefix}{head}/")
            else:
                size = len(self.bucket.objects[f"{name}/{key}"])
                stamp = "2026-01-01T00:00:00.000Z"
                files.append(
                    f"<Contents><Key>{escape(key)}</Key><LastModified>{stamp}</LastModified><ETag>x</ETag>"
                    f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
                )
        common = "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders))
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{name}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(files) + len(folders)}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{''.join(files)}{common}</ListBucketResult>"
        )

    def _send_part(self, content: bytes) -> None:
        wanted = self.headers.get("Range")
        if not wanted:
            return self._send(200, content)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1 if last else len(content), len(content))
        return self._send(206, content[start:stop], {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"})

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Accept-Ranges": "bytes", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def kill_a_child(of: int, name: str = "") -> bool:
    """Kill -9 the first child process; false if there is no child process yet."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == of and name in (entry / "cmdline").read_text():
                os.kill(int(entry.name), signal.SIGKILL)
                return True
        except OSError:
            continue
    return False


def rows_of(out: Path) -> list[dict]:
    """All rows of an output, by key."""
    from pyarrow import parquet

    rows = [row for part in sorted(out.glob("part-*.parquet")) for row in parquet.read_table(part).to_pylist()]
    return sorted(rows, key=lambda row: row["key"])


def log_of(out: Path) -> list[dict]:
    """The lines of the run's log."""
    return [json.loads(line) for line in (out / "_LOG.jsonl").read_text().splitlines()]


def summary_of(out: Path) -> dict:
    """The summary that a run left."""
    return json.loads((out / "_SUMMARY.json").read_text())


def bundle_at(path: Path) -> Bundle:
    """A model file."""
    return read_bundle(path)
