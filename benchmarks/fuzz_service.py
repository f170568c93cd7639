"""Send hostile requests to the service: python benchmarks/fuzz_service.py [--cases N] [--seed N] [--out FILE]

Prints a Markdown page. The service is `facepad serve` with the shipped model, API keys, sessions, challenges, signed
results and a decision log. Schemathesis generates requests for all routes from the OpenAPI document of the service, and
hostile.py generates broken files, bodies and heads. No request may be answered with a failure (5xx). The service may
close the connection of a request that is not complete. The challenges need `FACEPAD_MODELS`.
"""

from __future__ import annotations

import argparse
import json
import math
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from random import Random
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from _common import made_by, markdown, packages, parser, publish
from _server import Server, forget_highest, resident, serving
from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.service.judge import GIVE_BACK_SECONDS
from facepad.service.keys import add_key
from facepad.service.signing import add_signing_key
from hostile import BODIES, Body, Hostile, head, request, session, sound_files

ROUND, HOSTILE = 100, 100  # requests of schemathesis for one route, and hostile requests, in turns
POINTS = (1, 10, 25, 50, 75, 100)  # parts of the requests in percent, after which the memory is measured
EARLY = 10  # the part with which the memory at the end is compared
REST = GIVE_BACK_SECONDS + 2  # seconds without a request before the memory is measured
TOKEN = 5  # requests of schemathesis with one upload token
FORM = "multipart/form-data"
DESCRIBED = ", from the OpenAPI document"
TIMEOUT = 120.0  # seconds until a request counts as not answered
CLOSED, SILENT = "closed", "no answer"
BOTH = ["passive", "challenge"]


@dataclass
class Fuzz:
    """A running service, the hostile requests, and the counts of answers.

    Attributes:
        port: The port of the service.
        key: An API key of the service.
        made: The hostile requests.
        keep: A folder for the requests with a wrong answer.
        counts: Number of answers by kind of request, and by status or by `CLOSED` or `SILENT`.
        wrong: Descriptions of wrong answers.
    """

    port: int
    key: str
    made: Hostile
    keep: Path | None
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """Number of requests so far."""
        return self.counts.total()

    def send(self, kind: str, sent: bytes, *, ends: bool = False) -> tuple[str, bytes]:
        """Send a request over a new connection (see `exchange`), and count the answer. Returns status and body."""
        status, body = exchange(self.port, sent, ends=ends)
        self.count(kind, status, body, sent)
        return status, body

    def count(self, kind: str, status: str, body: bytes, sent: bytes) -> None:
        """Count an answer."""
        self.counts[kind, status] += 1
        if status.startswith("5") or status == SILENT or b"Traceback" in body:
            self.note(f"{kind}: {status} {body[:200]!r}", sent)

    def note(self, what: str, sent: bytes) -> None:
        """Note a wrong answer, and keep the request."""
        print(what, file=sys.stderr)
        self.wrong.append(what)
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{len(self.wrong)}.http").write_bytes(sent)

    def bearer(self, token: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {token or self.key}", "Connection": "close"}

    def open(self) -> dict[str, Any]:
        """A new session, for any check."""
        asked = {"reference": "anna", "checks": BOTH, "expires_in": 60}
        body = Body(json.dumps(asked).encode(), "application/json")
        _, answer = self.send("POST /v1/sessions", request("POST", "/v1/sessions", self.bearer(), body))
        opened: dict[str, Any] = json.loads(answer)
        return opened

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def exchange(port: int, sent: bytes, *, ends: bool = False) -> tuple[str, bytes]:
    """Send bytes over a new connection, and read until the service closes the connection.

    Args:
        port: The port of the service.
        sent: The bytes, with ``Connection: close`` if they are a request.
        ends: Whether to tell the service that no more bytes follow, as the request may be incomplete.

    Returns:
        The status, `CLOSED` or `SILENT`, and the body.
    """
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        try:
            connection.sendall(sent)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The service may answer and close before it has read everything.
        try:
            while piece := connection.recv(65536):
                received += piece
        except TimeoutError:
            return SILENT, received
        except OSError:
            pass
    answered, _, body = received.partition(b"\r\n\r\n")
    words = answered.split(b" ", 2)
    return (words[1].decode("latin-1"), body) if len(words) > 1 else (CLOSED, b"")


# Kinds of requests


def judge(fuzz: Fuzz) -> None:
    """A hostile body for a judgement."""
    body = fuzz.made.rng.choice(BODIES)(fuzz.made)
    fuzz.send("POST /v1/liveness", request("POST", "/v1/liveness", fuzz.bearer(), body))


def upload(fuzz: Fuzz) -> None:
    """A hostile upload into a session, passive or after the beginning of a challenge, and the result of the session."""
    opened, rng = fuzz.open(), fuzz.made.rng
    check = rng.choice(BOTH)
    token = fuzz.bearer(opened["token"])
    if check == "challenge":
        fuzz.send("POST /v1/challenge", request("POST", "/v1/challenge", token))
    body = rng.choice(BODIES)(fuzz.made)
    fuzz.send("POST /v1/uploads", request("POST", f"/v1/uploads?check={check}", token, body))
    target = f"/v1/sessions/{opened['id']}"
    fuzz.send("GET /v1/sessions/{session_id}", request("GET", target, fuzz.bearer()))


def open_session(fuzz: Fuzz) -> None:
    """A hostile body for the opening of a session."""
    fuzz.send("POST /v1/sessions", request("POST", "/v1/sessions", fuzz.bearer(), session(fuzz.made)))


def broken_head(fuzz: Fuzz) -> None:
    """A broken request line, header, length or chunk, for any address."""
    fuzz.send("any address, broken head", head(fuzz.made, fuzz.key), ends=True)


KINDS: tuple[Callable[[Fuzz], None], ...] = (judge, judge, judge, judge, upload, open_session, broken_head, broken_head)
"""The hostile requests, each as often as it stands here."""


class Described:
    """Requests that schemathesis generates from the OpenAPI document of the service, for one route after the other."""

    def __init__(self, fuzz: Fuzz) -> None:
        schema = schemathesis.openapi.from_url(f"{fuzz.address}/openapi.json")
        schema.config.update(headers={"Authorization": f"Bearer {fuzz.key}"}, request_timeout=TIMEOUT)
        schema.config.checks.negative_data_rejection.expected_statuses.append("413")  # Too many files.
        self._routes = [one.ok() for one in schema.get_all_operations()]
        self._fuzz, self._rounds = fuzz, 0
        self._http = requests.Session()

    def round(self) -> None:
        """Send some requests to the next route."""
        route = self._routes[self._rounds % len(self._routes)]
        self._rounds += 1
        name = f"{route.method.upper()} {route.path}"
        of_browser = route.path in ("/v1/uploads", "/v1/challenge", "/v1/guidance")
        tokens = self._tokens() if of_browser else repeat(None)

        @seed(self._rounds)
        @settings(
            max_examples=ROUND,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(route.as_strategy() | route.as_strategy(GenerationMode.NEGATIVE))
        def try_case(case: Case) -> None:
            self._try(name, case, next(tokens))

        try_case()

    def _tokens(self) -> Iterator[dict[str, str]]:
        """Headers with an upload token. Few have the same token, because the uploads of a session are limited."""
        while True:
            token = self._fuzz.bearer(self._fuzz.open()["token"])
            self._fuzz.send("POST /v1/challenge", request("POST", "/v1/challenge", token))
            yield from repeat({"Authorization": token["Authorization"]}, TOKEN)

    def _try(self, name: str, case: Case, token: dict[str, str] | None) -> None:
        kind = name + DESCRIBED
        try:
            response = case.call(base_url=self._fuzz.address, session=self._http, headers=token, timeout=TIMEOUT)
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL):
            return  # No request was sent.
        except requests.exceptions.RequestException as error:
            status = SILENT if isinstance(error, requests.exceptions.Timeout) else CLOSED
            self._fuzz.count(kind, status, b"", case.as_curl_command().encode())
            return
        self._fuzz.count(kind, str(response.status_code), response.content, case.as_curl_command().encode())
        # No schema describes which bytes are an image. In a form, what violates the schema can become right bytes: a
        # part without a name, for example, is not sent.
        excluded = [positive_data_acceptance, negative_data_rejection]
        try:
            case.validate_response(response, excluded_checks=excluded[: 1 + (case.media_type == FORM)])
        except (Failure, FailureGroup, requests.exceptions.RequestException) as error:
            self._fuzz.note(f"{name}: {error}", case.as_curl_command().encode())


# The run


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--cases", type=int, default=10_000, help="number of requests (default: 10000)")
    options.add_argument("--seed", type=int, default=0, help="seed of the hostile requests (default: 0)")
    options.add_argument("--keep", type=Path, help="folder for the requests with a wrong answer, and the log")
    options.add_argument("--out", type=Path, help="also write the page to this file")
    chosen = options.parse_args(words)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = add_key(folder / "keys.txt", "fuzz")
        add_signing_key(folder / "signing.json")
        generate(folder / "people", SyntheticSet(subjects=4, images_per_subject=4), jobs=1)
        picture = next(iter(sorted((folder / "people").rglob("*.jpg")))).read_bytes()
        made = Hostile(Random(chosen.seed), sound_files(picture, folder))
        files = ("--api-keys", folder / "keys.txt", "--signing-keys", folder / "signing.json")
        log = ("--decision-log", folder / "decisions.jsonl")
        limits = ("--challenges", "--attempts", "0", "--timeout", TIMEOUT, "--max-mb", "4")
        with serving(folder, *map(str, (*files, *log, *limits))) as server:
            fuzz = Fuzz(server.port, key, made, chosen.keep)
            memory = run(fuzz, server, chosen.cases)
            ended = server.process.poll()
        logged = server.log.read_text(errors="replace")
        if chosen.keep is not None:
            chosen.keep.mkdir(parents=True, exist_ok=True)
            (chosen.keep / "serve.log").write_text(logged)
    fuzz.wrong += [f"the service ended with {ended}"] * (ended is not None)
    text = page(chosen, fuzz, memory, logged.count("Traceback"), time.perf_counter() - started)
    publish(text, chosen.out)
    if fuzz.wrong or "Traceback" in logged:
        sys.exit(1)


@dataclass
class Memory:
    """The resident memory of the service in MiB.

    Attributes:
        pid: The process of the service.
        at_rest: The memory after each part of the requests in percent, when the service has had no request for a
            moment. The last value is the memory at the end.
    """

    pid: int
    at_rest: dict[int, float] = field(default_factory=dict)

    def measure(self, part: int) -> None:
        """Measure the memory at rest. A file that is judged at the moment says nothing on what the service keeps."""
        time.sleep(REST)
        self.at_rest[part] = resident(self.pid)
        print(f"{part} % of the requests, {self.at_rest[part]:.0f} MiB at rest", file=sys.stderr)
        if part == EARLY:
            forget_highest(self.pid)

    @property
    def highest(self) -> float:
        """The highest memory at any moment after the part `EARLY`, as the kernel has noted it."""
        return resident(self.pid, highest=True)


def run(fuzz: Fuzz, server: Server, cases: int) -> tuple[dict[int, float], float]:
    """Send requests until their number is reached, or until Ctrl-C.

    Returns:
        The memory of the service at rest after each part of the requests, and its highest memory (see `Memory`).
    """
    described, memory, points = Described(fuzz), Memory(server.process.pid), list(POINTS)
    with suppress(KeyboardInterrupt):
        while fuzz.cases < cases:
            described.round()
            for _ in range(HOSTILE):
                fuzz.made.rng.choice(KINDS)(fuzz)
            print(f"{fuzz.cases} requests, {resident(memory.pid):.0f} MiB, {len(fuzz.wrong)} wrong", file=sys.stderr)
            passed = [part for part in points if fuzz.cases >= part / 100 * cases]
            if passed:
                memory.measure(passed[-1])
                points = points[len(passed) :]
    if points:
        memory.measure(int(100 * fuzz.cases / cases))
    return memory.at_rest, memory.highest


def page(
    chosen: argparse.Namespace, fuzz: Fuzz, memory: tuple[Mapping[int, float], float], tracebacks: int, seconds: float
) -> str:
    at_rest, highest = memory
    early, late = at_rest.get(EARLY, math.nan), list(at_rest.values())[-1]
    failed = sum(count for (_, status), count in fuzz.counts.items() if status.startswith("5"))
    silent = sum(count for (_, status), count in fuzz.counts.items() if status == SILENT)
    command = f"python benchmarks/fuzz_service.py --cases {chosen.cases} --seed {chosen.seed}"
    text = (
        "<!-- written by benchmarks/fuzz_service.py --out -->\n# Hostile requests to the service\n\n"
        f"{made_by(command)}, {packages('fastapi', 'uvicorn', 'schemathesis', 'hypothesis')}.\n"
        f"{fuzz.cases} requests in {seconds / 60:.0f} minutes, one after the other. Schemathesis generated "
        f"{_described(fuzz) / fuzz.cases:.0%} of them. The service is\n`facepad serve` with the shipped model, "
        "API keys, sessions, challenges, signed results and a decision log.\n\n"
    )
    rows = [
        ("requests", ">= 100000", fuzz.cases, fuzz.cases >= 100_000),
        ("answers with a failure (5xx)", "0", failed, not failed),
        ("requests without an answer", "0", silent, not silent),
        ("answers that the OpenAPI document does not describe", "0", len(fuzz.wrong) - failed - silent, not fuzz.wrong),
        ("tracebacks in the log", "0", tracebacks, not tracebacks),
        (
            f"memory at rest at the end, compared with {EARLY} % of the requests",
            "<= 1.1 x",
            f"{late:.0f} MiB, {late / early:.2f} x",
            late <= 1.1 * early,
        ),
        (f"highest memory after {EARLY} % of the requests", "-", f"{highest:.0f} MiB, {highest / early:.2f} x", None),
    ]
    text += markdown(
        ["measurement", "target", "result", "reached"],
        ((*row, {True: "yes", False: "**no**", None: "-"}[fine]) for *row, fine in rows),
    )
    kinds = sorted({kind for kind, _ in fuzz.counts})
    answers = [
        (kind, sum(per.values()), ", ".join(f"{status}: {per[status]}" for status in sorted(per)))
        for kind, per in ((kind, _of(fuzz, kind)) for kind in kinds)
    ]
    text += (
        "\n## Answers by status\n\nSchemathesis generates the requests *from the OpenAPI document*, with right and "
        "with wrong values. Each of\ntheir answers is compared with the document. The other requests have broken "
        "files, bodies and heads. *Closed* means that\nthe service closed the connection of an incomplete request.\n\n"
    )
    text += markdown(["requests", "number", "answers"], answers)
    text += (
        "\n## Memory\n\nThe memory is the resident memory of the process. It was measured at rest: after each part of "
        f"the requests, the service\ngot no request for {REST:.0f} seconds, in which it gave freed memory back to the "
        "system. The sessions of the last minutes\nare still in this memory. The highest memory in the first table is "
        f"the highest of any moment after {EARLY} % of the\nrequests, also while a large picture was decoded.\n\n"
    )
    return text + markdown(["% of the requests", "MiB"], ((part, f"{size:.0f}") for part, size in at_rest.items()))


def _described(fuzz: Fuzz) -> int:
    return sum(count for (kind, _), count in fuzz.counts.items() if kind.endswith(DESCRIBED))


def _of(fuzz: Fuzz, kind: str) -> dict[str, int]:
    return {status: count for (name, status), count in fuzz.counts.items() if name == kind}


if __name__ == "__main__":
    main()
