"""Send load to a service, as a separate process: python benchmarks/load.py < plan.json > rows.json

The script sends plain HTTP/1.1 over a few sockets, because it shares the CPU cores with the service and must use little
CPU time. The plan has these keys:

- `port`: the port of the service
- `requests`: the requests, each with `body` (path of a file) and the expected `status` and `score`
- `phases`: the phases, which run one after the other. Each phase has `seconds`, and either `clients` or `rate`.
  `clients` is a number of clients that wait for each answer before the next request. `rate` is a number of requests per
  second, at random times and without waiting for answers.
- `client`: if true, facepad.client.AsyncClient sends the requests, with retries
- `seed`: the seed of the random times

The output is JSON. Each row has: phase, request id, due time and end (seconds of the system's monotonic clock), status
(0: no answer; -1: not sent, because too many requests were running), whether the answer is as expected, and the error.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from _common import parser
from _server import MOST, Row

SLACK = 60.0  # timeout of a request in seconds
TOLERANCE = 1e-3  # of a score, because other images in the batch may change the last digits


class Sockets:
    """Sends requests over connections that stay open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, body: bytes, request_id: str) -> tuple[int, bytes]:
        reader, writer = await self._connection()
        try:
            head = "POST /v1/liveness HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
            head += f"X-Request-ID: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            said = await reader.readuntil(b"\r\n\r\n")
            headers = said.lower()
            length = int(headers.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            content = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if b"connection: close" in headers:
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(said.split(b" ", 2)[1]), content

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.pop()
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)


class ThroughClient:
    """Sends requests with facepad's client, as a user's program does."""

    def __init__(self, port: int) -> None:
        from facepad.client import AsyncClient

        self._client = AsyncClient(f"http://127.0.0.1:{port}", total=30, tries=10)

    async def ask(self, body: bytes, request_id: str) -> tuple[int, bytes]:
        from facepad.errors import ServiceError

        try:
            answer = await self._client.check(body)
        except ServiceError as error:
            if error.status is None:
                raise ConnectionError(str(error)) from error
            return error.status, b""
        return 200, answer.model_dump_json().encode()


class Load:
    """Sends the requests of a plan, and stores a row for each result."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._plan = plan
        self._asker = ThroughClient(plan["port"]) if plan.get("client") else Sockets(plan["port"])
        self._wanted = [(Path(one["body"]).read_bytes(), one["status"], one["score"]) for one in plan["requests"]]
        self._numbers = count()
        self._random = random.Random(plan.get("seed", 0))
        self._under_way = 0
        self.rows: list[Row] = []

    async def run(self) -> None:
        waiting: list[asyncio.Task[bool]] = []
        for phase, wanted in enumerate(self._plan["phases"]):
            until = time.monotonic() + wanted["seconds"]
            if "clients" in wanted:
                await asyncio.gather(*(self._client(phase, until) for _ in range(wanted["clients"])))
                continue
            for due in self._times(wanted["rate"], until):
                await asyncio.sleep(due - time.monotonic())
                waiting.append(asyncio.create_task(self._one(phase, due)))
        await asyncio.gather(*waiting)

    def _times(self, rate: float, until: float) -> Iterator[float]:
        due = time.monotonic()
        while (due := due + self._random.expovariate(rate)) < until:
            yield due

    async def _client(self, phase: int, until: float) -> None:
        while (now := time.monotonic()) < until:
            if not await self._one(phase, now):  # the service is stopping: avoid a busy loop
                await asyncio.sleep(0.05)

    async def _one(self, phase: int, due: float) -> bool:
        number = next(self._numbers)
        name = f"load-{number}"
        body, status, score = self._wanted[number % len(self._wanted)]
        if self._under_way >= MOST:
            self.rows.append((phase, name, due, time.monotonic(), -1, False, "not sent"))
            return False
        self._under_way += 1
        try:
            async with asyncio.timeout(SLACK):
                answered, content = await self._asker.ask(body, name)
        except (OSError, EOFError, TimeoutError) as error:
            self.rows.append((phase, name, due, time.monotonic(), 0, False, type(error).__name__))
            return False
        else:
            expected = answered == status and (status != 200 or abs(json.loads(content)["score"] - score) < TOLERANCE)
            self.rows.append((phase, name, due, time.monotonic(), answered, expected, ""))
            return True
        finally:
            self._under_way -= 1


def main(words: Sequence[str] | None = None) -> None:
    parser(__doc__).parse_args(words)
    load = Load(json.load(sys.stdin))
    started = time.monotonic()
    asyncio.run(load.run())
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.monotonic() - started
    busy = (used.ru_utime + used.ru_stime) / seconds
    json.dump({"rows": load.rows, "started": started, "seconds": seconds, "processors": busy}, sys.stdout)


if __name__ == "__main__":
    main()
