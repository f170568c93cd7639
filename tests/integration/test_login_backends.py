"""The login backends in Python and Node: only the result of the attempt's own session lets a user in, and only once."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facepad.service.signing import Signer, add_signing_key
from helpers.login import BACKENDS, running
from helpers.patience import PATIENCE
from helpers.ports import free_port

httpx2 = pytest.importorskip("httpx2")


class Service(ThreadingHTTPServer):
    """A liveness service that signs whatever a test wants."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        add_signing_key(folder / "signing.json")
        add_signing_key(folder / "foreign.json")
        self.signer, self.foreign = Signer(folder / "signing.json"), Signer(folder / "foreign.json")
        self.session, self.reference, self.signed = "", "", ""

    def sign(self, signer: Signer | None = None, **changes: object) -> str:
        now = int(time.time())
        claims = {"iss": "facepad", "aud": "login", "sub": self.reference, "jti": self.session, "iat": now}
        claims |= {"exp": now + 300, "label": "bona_fide", "status": "scored", "reasons": [], "score": 0.9}
        claims |= {"threshold": 0.5, "check": "passive", "policy": "all", "files": ["0" * 64], "duplicate_media": None}
        claims |= {"model": {"name": "m", "sha256": "0" * 64}, "request_id": "r"}
        return (signer or self.signer).sign(claims | changes)


class Answers(BaseHTTPRequestHandler):
    """The routes that a backend uses."""

    server: Service

    def do_GET(self) -> None:
        if self.path == "/.well-known/jwks.json":
            return self.tell(self.server.signer.public_keys())
        common = {"id": self.server.session, "reference": self.server.reference, "state": "done", "expires_in": 300}
        nothing = dict.fromkeys(("check", "answer", "problem", "duplicate_media"))
        return self.tell(common | nothing | {"checks": ["passive"], "sha256": [], "signed": self.server.signed})

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.reference = content["reference"]
        opened = {"id": self.server.session, "token": "t", "checks": ["passive"], "expires_in": 300}
        self.tell(opened | {"reference": self.server.reference}, 201)

    def tell(self, document: dict, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: object) -> None:
        """No log."""


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    server = Service(tmp_path_factory.mktemp("service"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request, service, tmp_path_factory) -> Iterator[httpx2.Client]:
    log = tmp_path_factory.mktemp("backend") / "log"
    url = f"http://127.0.0.1:{service.server_port}"
    with (
        running(request.param, free_port(), log, LIVENESS_URL=url, LIVENESS_KEY="key") as origin,
        httpx2.Client(base_url=origin, timeout=PATIENCE) as client,
    ):
        yield client


def log_in(backend, service: Service, session: str, signed=Service.sign, user: str | None = None) -> tuple[int, str]:
    """Log in with a result that ``signed`` makes when the session is open."""
    service.session = session
    started = backend.post("/login/start", json={"user": user or session})
    if started.status_code == 503:  # A backend on a machine that stood still gives up: its user tries again.
        started = backend.post("/login/start", json={"user": user or session})
    assert started.status_code == 200, started.text
    attempt = started.json()["attempt"]
    service.signed = signed(service)
    answer = backend.post("/login/finish", json={"attempt": attempt})
    again = backend.post("/login/finish", json={"attempt": attempt})
    assert again.status_code == 403 and "over" in again.json()["detail"]  # An attempt counts once.
    return answer.status_code, answer.text


def test_reference_is_no_plain_hash_of_the_user_and_stays_the_same(backend, service):
    references = []
    for session in ("pseudonym-1", "pseudonym-2"):
        assert log_in(backend, service, session, user="ben")[0] == 200
        references.append(service.reference)
    assert references[0] == references[1] != hashlib.sha256(b"ben").hexdigest()


def test_live_face_is_let_in_and_a_replayed_result_refused(backend, service):
    assert log_in(backend, service, "first", user="anna") == (200, '{"user":"anna","liveness":"passed"}')
    replayed = service.signed

    same = log_in(backend, service, "first", lambda _: replayed, user="anna")
    other = log_in(backend, service, "second", lambda _: replayed, user="anna")

    assert same[0] == 403 and "accepted before" in same[1]
    assert other[0] == 403 and "another session" in other[1]


@pytest.mark.parametrize(
    "signed",
    [
        lambda service: None,
        lambda service: "not.a.result",
        lambda service: service.sign().replace(".", ".e", 1),
        lambda service: service.sign(service.foreign),
        lambda service: service.sign(exp=int(time.time()) - 60),
        lambda service: service.sign(sub="somebody"),
        lambda service: service.sign(iss="elsewhere"),
        lambda service: service.sign(label="attack"),
        lambda service: service.sign(label=None, reasons=["no_face"]),
    ],
    ids=["none", "garbage", "changed", "foreign", "expired", "reference", "issuer", "attack", "undecided"],
)
def test_no_other_result_lets_anybody_in(backend, service, signed, request):
    status, _ = log_in(backend, service, request.node.callspec.id, signed)
    assert status == 403


def test_sixth_try_of_a_user_is_refused(backend, service):
    statuses = [backend.post("/login/start", json={"user": "bert"}).status_code for _ in range(6)]
    assert [status == 429 for status in statuses] == [False] * 5 + [True]
    assert set(statuses[:5]) <= {200, 503}  # 503 from a backend that waited long for the service.
    assert backend.post("/login/start", json={}).status_code in (400, 422)
