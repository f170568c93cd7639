"""A web server of one folder, with or without ranges, that can break off its answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    range: str | None


@dataclass
class FileServer:
    """Set its attributes to change how it answers.

    Attributes:
        folder: What it serves.
        url: Its address.
        requests: What was asked, in order.
        ranges: Whether it sends only the part that is asked for.
        breaks_after: Bytes of an answer after which the connection ends; None for never.
    """

    folder: Path
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    ranges: bool = True
    breaks_after: int | None = None


@contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """Serve a folder from a free port of this machine while the block runs."""
    server = FileServer(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers["Range"]
            server.requests.append(Request(self.path, asked))
            content = (folder / self.path.lstrip("/")).read_bytes()
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:][: server.breaks_after])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
