"""The service under slow, broken and hostile callers: none crashes it, and each gets a problem document."""

from __future__ import annotations

import gc
import json
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager

import cv2
import numpy as np
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.testclient import TestClient

import facepad as package
from facepad.service import connections as module
from facepad.service.app import create_app
from facepad.service.keys import add_key
from facepad.service.server import server_options
from facepad.service.settings import Settings
from helpers.patience import PATIENCE

PNG = cv2.imencode(".png", np.random.default_rng(0).integers(40, 200, (48, 48, 3), dtype=np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def predictor(make_model, tmp_path_factory):
    return package.load(make_model(tmp_path_factory.mktemp("model") / "tiny.facepad", crop_scale=None))


@pytest.fixture(scope="module")
def client(predictor):
    with TestClient(create_app(Settings(rate=0, max_bytes=200_000), predictor), base_url="http://localhost") as client:
        yield client


# The OpenAPI document

FORM = ("files", "file")


@pytest.fixture(scope="module")
def schema(predictor, tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    key = add_key(keys, "schemathesis")
    # The service offers sessions; the poses in a clip do not matter here.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("facepad.service.app.PoseEstimator", object)
        app = create_app(Settings(rate=0, attempts=0, max_bytes=200_000, api_keys=keys, challenges=True), predictor)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    schema.config.update(headers={"Authorization": f"Bearer {key}"})
    schema.config.checks.negative_data_rejection.expected_statuses.append("413")  # Too many files.
    return schema


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/liveness"),
        ("POST", "/v1/sessions"),
        ("GET", "/v1/sessions/{session_id}"),
        ("GET", "/v1/uploads"),
        ("POST", "/v1/uploads"),
        ("POST", "/v1/challenge"),
        ("POST", "/v1/guidance"),
        ("GET", "/v1/models"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/.well-known/jwks.json"),
    ],
)
def test_answers_are_as_described(schema, method, path):
    """Every request gets a described status, a body that fits its schema, and never an internal failure."""

    @given(schema[path][method].as_strategy() | schema[path][method].as_strategy(GenerationMode.NEGATIVE))
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case):
        # No schema describes which bytes are an image.
        excluded = [positive_data_acceptance, *[negative_data_rejection] * is_allowed_by_another_branch(case)]
        case.call_and_validate(base_url="http://localhost", excluded_checks=excluded)

    check()


def is_allowed_by_another_branch(case) -> bool:
    """A form needs `files` or `file`. Schemathesis takes a form for wrong that lacks one of them and has the other."""
    said = getattr(case.meta.phase.data, "description", None) or ""
    return "`required` at /anyOf/" in said and isinstance(case.body, dict) and not case.body.keys().isdisjoint(FORM)


def test_every_described_address_is_tried(schema):
    tried = {mark.args[1][n] for mark in test_answers_are_as_described.pytestmark for n in range(len(mark.args[1]))}
    described = {(one.ok().method.upper(), one.ok().path) for one in schema.get_all_operations()}
    assert described == tried


# Fuzzing the upload parser


pieces = st.sampled_from(
    [
        b"--b\r\n",
        b"--b--",
        b"--b--\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b'Content-Disposition: form-data; name="files"; filename="a.png"\r\n',
        b'Content-Disposition: form-data; name="files"; filename="../../etc/passwd\x00"\r\n',
        b'Content-Disposition: form-data; name="other"\r\n',
        b"Content-Disposition: form-data\r\n",
        b"Content-Type: image/png\r\nX-Injected: 1\r\n",
        b"A: " + b"x" * 5000 + b"\r\n",
        PNG,
        PNG[:60],
        b"GIF89a",
    ]
)


@given(st.lists(pieces | st.binary(max_size=40), max_size=14))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_multipart_body_gets_an_answer_or_a_problem(client, bits):
    response = client.post(
        "/v1/liveness", content=b"".join(bits), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert response.status_code in (200, 400, 413, 415, 422), response.text
    if response.status_code != 200:
        assert response.json()["type"].startswith("urn:facepad:problem:")


def test_file_of_a_part_without_an_end_is_closed(client):
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + PNG
    answer = client.post("/v1/liveness", content=part, headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 400
    gc.collect()  # An open file would warn here, and not in a later test.


@given(
    st.binary(max_size=300),
    st.sampled_from([PNG, b"\xff\xd8\xff\xe0", b"\x00\x00\x00\x18ftypmp42", b"\x1a\x45\xdf\xa3"]),
)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_raw_body_gets_an_answer_or_a_problem(client, noise, head):
    for body in (head + noise, head[: len(noise)] + noise, noise):
        assert client.post("/v1/liveness", content=body).status_code in (200, 400, 413, 415, 422)


@given(st.text(st.characters(codec="latin-1"), max_size=80))
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_content_type_gets_an_answer_or_a_problem(client, kind):
    for value in (kind, f"multipart/form-data; boundary={kind}", f"multipart/form-data; {kind}"):
        headers = {"content-type": value.replace("\r", "").replace("\n", "").replace("\0", "").encode("latin-1")}
        assert client.post("/v1/liveness", content=PNG, headers=headers).status_code in (200, 400)


# Over a real connection


@pytest.fixture
def serving(predictor):
    """Serve in a thread of this process; yields a function that opens connections."""
    with served(predictor, Settings()) as connect:
        yield connect


@pytest.fixture
def impatient(predictor, monkeypatch):
    """As `serving`, with little time for requests: for tests whose callers are too slow for any machine."""
    monkeypatch.setattr(module, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.1)
    with served(predictor, Settings(upload_seconds=0.7)) as connect:
        yield connect


@contextmanager
def served(predictor, options):
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(options, predictor), **server_options(options, listening)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield lambda: closing(socket.create_connection(listening.getsockname(), timeout=PATIENCE))
    server.should_exit = True
    thread.join(PATIENCE)
    listening.close()
    assert not thread.is_alive()


def received(connection) -> tuple[int, dict]:
    """Status and JSON of the answer on a connection."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        if lengths and len(body) >= lengths[0]:
            return int(head.split()[1]), json.loads(body)
    raise AssertionError(f"connection ended after {data!r}")


def request(length: int, *headers: bytes) -> bytes:
    lines = [b"POST /v1/liveness HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % length, *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def test_slow_body_is_refused(impatient):
    with impatient() as connection:
        connection.sendall(request(len(PNG)) + PNG[:50])
        status, document = received(connection)
    assert (status, document["type"]) == (408, "urn:facepad:problem:upload-timeout")


def test_connection_with_slow_headers_is_closed(impatient):
    with impatient() as connection:
        connection.sendall(b"POST /v1/liveness HTTP/1.1\r\nHost: local")
        assert connection.recv(100) == b""


def test_second_request_with_slow_headers_is_closed_too(impatient):
    with impatient() as connection:
        connection.sendall(request(len(PNG)) + PNG)
        assert received(connection)[0] == 200
        connection.sendall(b"POST /v1/liveness HTTP/1.1\r\nHost: local")
        assert connection.recv(100) == b""


def test_headers_without_end_are_refused(serving):
    with serving() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nA: " + b"x" * 100_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"DELETE /v1/models HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n", b""),
        (b"HEAD /readyz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n", b""),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"no length\r\n"),
    ],
    ids=["before the answer", "of HEAD", "after the answer"],
)
def test_broken_body_gets_one_answer_and_is_no_failure(serving, caplog, first, second):
    with serving() as connection:
        connection.sendall(first)
        answers = connection.recv(65536)
        connection.sendall(second)
        while part := connection.recv(65536):
            answers += part
    with serving() as connection:  # The service has then ended the first request.
        connection.sendall(request(len(PNG)) + PNG)
        assert received(connection)[0] == 200
    assert answers.count(b"HTTP/1.1 ") == 1
    assert [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"] == []


def test_connection_that_ends_in_a_body_harms_no_other(serving):
    with serving() as connection:
        connection.sendall(request(len(PNG)) + PNG[:50])
    with serving() as connection:
        connection.sendall(request(len(PNG)) + PNG)
        assert received(connection)[0] == 200


def test_callers_who_announce_much_and_send_nothing_do_not_hold_up_others(serving):
    with ExitStack() as stack:
        for number in range(20):
            announced = b"Transfer-Encoding: chunked" if number % 2 else b"X-Nothing: 1"
            stack.enter_context(serving()).sendall(request(32 * 1024 * 1024, announced))
        connection = stack.enter_context(serving())
        connection.sendall(request(len(PNG)) + PNG)
        assert received(connection)[0] == 200


def test_slow_callers_do_not_hold_up_others(serving):
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(serving()).sendall(request(len(PNG)) + PNG[:50])
        connection = stack.enter_context(serving())
        connection.sendall(request(len(PNG)) + PNG)
        assert received(connection)[0] == 200
