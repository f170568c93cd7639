"""The login example in a browser: its page, its backend and the service, on two origins."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from facepad.service.keys import KeyLimits, add_key
from facepad.service.signing import add_signing_key

EXAMPLE = Path(__file__).parents[2] / "examples" / "login"


@contextmanager
def backend(port: int, log: Path, **environment: str):
    """The backend of the example in a process of its own."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLE), "backend:app", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | environment)
    try:
        for _ in range(600):
            with closing(socket.socket()) as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def test_login_passes_a_live_face_once_and_refuses_an_attack(serving, launch, make_model, faces, tmp_path):
    expect = pytest.importorskip("playwright.sync_api").expect
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    key = add_key(tmp_path / "keys.txt", "login", KeyLimits.of(scopes=["sessions"]))
    add_signing_key(tmp_path / "signing.json")
    origin = f"http://127.0.0.1:{port}"
    options = ["--api-keys", tmp_path / "keys.txt", "--signing-keys", tmp_path / "signing.json", "--cors", origin]
    model = make_model(tmp_path / "tiny.facepad")
    with (
        serving(tmp_path / "service.log", "--model", model, *options) as service,
        backend(port, tmp_path / "backend.log", LIVENESS_URL=service, LIVENESS_KEY=key),
    ):
        page = launch().new_page()
        sent = []
        page.on("request", lambda request: sent.append(request))
        page.goto(origin)
        page.get_by_label("User").fill("anna")
        for picture, said in (
            ("live", "Welcome, anna."),
            ("live", "used before"),
            ("attack", "no live face"),
            ("nobody", "no_face"),
        ):
            page.get_by_label("Photo").set_input_files(faces[picture])
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("status")).to_contain_text(said)
        uploads = [request for request in sent if request.method == "POST" and request.url.startswith(service)]
        assert [request.url for request in uploads] == [f"{service}/v1/uploads"] * 4
        assert len({request.headers["authorization"] for request in uploads}) == 4
        assert all(key not in str(request.all_headers()) for request in sent)
        page.close()
