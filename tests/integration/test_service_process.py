"""`facepad serve` as one process, and as several with a Redis server: signals, crashes, shared limits and metrics."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import cv2
import httpx2
import numpy as np
import pytest

from facepad.client import Client, SessionRequest
from facepad.errors import InputError, ServiceError
from facepad.service.keys import add_key
from facepad.service.server import listen
from facepad.service.settings import Settings
from helpers.patience import PATIENCE, end, eventually
from helpers.ports import free_port

RED = cv2.imencode(".png", np.random.default_rng(0).integers((40, 70, 180), (80, 110, 220), (64, 64, 3), np.uint8))[1]
PHOTO = RED.tobytes()


class Service:
    """A running `facepad serve`."""

    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self.process, self.log = process, log
        self.url = eventually(self._address, f"an address in {log.read_text()}")
        with Client(self.url) as client:
            eventually(client.ready, "ready")

    def _address(self) -> str | None:
        assert self.process.poll() is None, self.log.read_text()
        match = re.search(r"serving on (\S+)", self.log.read_text())
        return match[1] if match else None

    def client(self, key: str | None = None, **options) -> Client:
        return Client(self.url, key, transport=httpx2.HTTPTransport(), **options)

    def workers(self) -> list[int]:
        pid = self.process.pid
        children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return [child for child in children if b"spawn_main" in _command(child)]

    def starts(self) -> int:
        return self.log.read_text().count("startup complete")

    def logged(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # The process has just ended.
        return b""


@contextmanager
def serving(folder: Path, *words: object):
    log = folder / "serve.log"
    command = [sys.executable, "-m", "facepad", "serve", "--port", "0", *map(str, words)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield Service(process, log)
    finally:
        end(process)


@pytest.fixture(scope="module")
def model(make_model, tmp_path_factory) -> Path:
    """A model of whole frames: red is bona fide."""
    return make_model(tmp_path_factory.mktemp("model") / "tiny.facepad", crop_scale=None)


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """Address and process of a Redis server without files."""
    command = shutil.which("redis-server")
    if not command:
        pytest.skip("redis-server is not installed")
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([command, *words], stdout=subprocess.DEVNULL)

    try:
        eventually(lambda: connects(("127.0.0.1", port)), "a Redis server")
        yield f"redis://127.0.0.1:{port}/0", process
    finally:
        process.send_signal(signal.SIGCONT)
        end(process)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Callers, each with a separate rate limit: the key file, and the keys by name."""
    file = tmp_path_factory.mktemp("keys") / "keys.txt"
    names = ("limited", "limited-2", "limited-3", "metered", "stubborn", "patient", "opening")
    return file, {name: add_key(file, name) for name in names}


@pytest.fixture(scope="module")
def pairs(model, redis, keys, tmp_path_factory):
    """The services that `pair` has started; the last one may run."""
    address, _ = redis
    words = ("--model", model, "--workers", 2, "--store", address, "--api-keys", keys[0], "--rate", 20)
    started: list[Service] = []
    with ExitStack() as ends:

        def running() -> Service:
            if not started or started[-1].process.poll() is not None:
                started.append(ends.enter_context(serving(tmp_path_factory.mktemp("pair"), *words)))
                eventually(lambda: started[-1].starts() == 2, "both workers")
            return started[-1]

        yield running


@pytest.fixture
def pair(pairs):
    """A service of two workers with a limit of 20 requests a minute per caller. A test that has ended it left none."""
    return pairs()


@contextmanager
def stopped(*pids: int):
    """Stop these processes while the block runs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def through(service: Service, worker: int, key: str, times: int) -> list[int]:
    """The statuses of requests that only this worker can answer."""
    statuses = []
    with stopped(*(pid for pid in service.workers() if pid != worker)), service.client(key, tries=1) as client:
        for _ in range(times):
            try:
                client.check(PHOTO)
                statuses.append(200)
            except ServiceError as error:
                statuses.append(error.status)
    return statuses


def connects(place: tuple[str, int]) -> bool:
    with closing(socket.socket()) as asking:
        return asking.connect_ex(place) == 0


def everything(connection: socket.socket) -> bytes:
    """All bytes until the other side ends the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_process_answers_and_logs_and_ends_by_sigterm(model, tmp_path):
    with serving(tmp_path, "--model", model) as service:
        with service.client() as client:
            answer = client.check(PHOTO)
            assert answer.live and client.models() == (answer.model,)
        assert f"model tiny, SHA-256 {answer.model.sha256}" in service.log.read_text()
        service.process.terminate()
        assert service.process.wait(PATIENCE) == -signal.SIGTERM
        (line,) = [line for line in service.logged() if line["route"] == "/v1/liveness"]
    assert (line["status"], line["request_id"]) == (200, answer.request_id)


def test_answers_are_sent_at_once():
    async def has_no_delay(listening: socket.socket) -> bool:
        option: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            option.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(connected, sock=listening):
            with closing(socket.create_connection(listening.getsockname())):
                return bool(await option)

    assert asyncio.run(has_no_delay(listen(Settings(port=0))))


def test_nothing_is_written_into_the_home_folder(model, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)  # Importing facepad has set it.
    monkeypatch.setenv("HOME", str(home))
    with serving(tmp_path, "--model", model) as service, service.client() as client:
        assert client.check(PHOTO).live
    assert list(home.rglob("*")) == []  # No cache, and no identifier of an engine's telemetry.


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_lets_accepted_requests_be_answered(model, tmp_path, workers, request):
    shared = () if workers == 1 else ("--workers", 2, "--store", request.getfixturevalue("redis")[0])
    head = b"POST /v1/liveness HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(PHOTO)
    with serving(tmp_path, "--model", model, *shared) as service, ExitStack() as ends:
        eventually(lambda: service.starts() == workers, "every worker")
        place = ("127.0.0.1", int(service.url.rpartition(":")[2]))
        callers = [ends.enter_context(socket.create_connection(place, timeout=PATIENCE)) for _ in range(4)]
        for caller in callers:
            caller.sendall(head + PHOTO[:1000])
        inside = "facepad_requests_inside 5.0"  # Four, and the one that asks.
        eventually(lambda: inside in httpx2.get(f"{service.url}/metrics", trust_env=False).text, "four requests inside")
        service.process.terminate()
        eventually(lambda: not connects(place), "no more connections")
        for caller in callers:
            caller.sendall(PHOTO[1000:])
        answers = [everything(caller) for caller in callers]
        assert service.process.wait(PATIENCE) == (-signal.SIGTERM if workers == 1 else 0)
    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"200"] * 4
    assert all(json.loads(answer.partition(b"\r\n\r\n")[2])["label"] == "bona_fide" for answer in answers)


def test_rate_limit_holds_across_workers(pair, keys):
    first, second = pair.workers()
    for name in ("limited", "limited-2", "limited-3"):
        started = time.monotonic()
        statuses = [through(pair, worker, keys[1][name], 12) for worker in (first, second)]
        if time.monotonic() - started < 50:  # The limit is one per minute: a busy machine may take longer.
            break
    assert statuses == [[200] * 12, [200] * 8 + [429] * 4]


def test_session_goes_from_worker_to_worker_and_holds_once(pair, keys):
    first, second = pair.workers()

    @contextmanager
    def only(worker: int):
        """A client that only this worker can answer. Its connections are new, because each belongs to one worker."""
        with stopped(*{first, second} - {worker}), pair.client(keys[1]["opening"], tries=1) as client:
            yield client

    with only(first) as backend:
        session = backend.open_session(SessionRequest("anna"))
    with only(second) as browser:
        assert browser.upload(session.token, PHOTO).state == "done"
    with only(first) as browser, pytest.raises(ServiceError) as again:
        browser.upload(session.token, PHOTO)
    assert again.value.name == "session-refused"
    with only(first) as backend:
        result = backend.session(session.id)
    assert (result.live, result.reference) == (True, "anna")


def test_metrics_of_workers_add_up(pair, keys):
    key = keys[1]["metered"]
    before = answered(pair, key)
    for worker in pair.workers():
        assert through(pair, worker, key, 3) == [200] * 3
    eventually(lambda: answered(pair, key) == before + 6, "six more requests")
    lines = [line for line in pair.logged() if (line["client"], line["route"]) == ("metered", "/v1/liveness")]
    assert len(lines) == 6


def answered(service: Service, key: str) -> int:
    """The count of answers, once all requests have ended. A worker counts a request after it has sent the answer."""

    def quiet() -> str | None:
        text = httpx2.get(f"{service.url}/metrics", headers={"Authorization": f"Bearer {key}"}, trust_env=False).text
        return text if "facepad_requests_inside 1.0" in text else None  # This request alone.

    text = eventually(quiet, "no request inside")
    match = re.search(r'facepad_requests_total\{route="/v1/liveness",status="200"\} (\d+)', text)
    return int(match[1]) if match else 0


def test_killed_worker_comes_back_and_callers_who_try_again_lose_nothing(pair, keys):
    victim, survivor = pair.workers()
    key, found, stop, starts = keys[1]["stubborn"], [], threading.Event(), pair.starts()
    counted = answered(pair, keys[1]["metered"])

    def ask() -> None:
        with pair.client(key, tries=20) as client:
            while not stop.is_set() and len(found) < 15:
                found.append(client.check(PHOTO).label)
                time.sleep(0.1)

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        eventually(lambda: len(found) > 2, "answers")
        os.kill(victim, signal.SIGKILL)
        workers = eventually(lambda: len(now := pair.workers()) == 2 and victim not in now and now, "a new worker")
        eventually(lambda: pair.starts() == starts + 1, "its start")
    finally:
        stop.set()
        caller.join()
    assert survivor in workers and found and set(found) == {"bona_fide"}
    (new,) = set(workers) - {survivor}
    assert through(pair, new, keys[1]["metered"], 1) == [200]
    # The requests of the dead worker count, too, except one that it had answered and not yet counted.
    all_of_them = counted + len(found) + 1
    eventually(lambda: answered(pair, keys[1]["metered"]) in (all_of_them - 1, all_of_them), "the counts")


def test_worker_killed_while_it_is_asked_for_a_sign_of_life_is_replaced_at_once(pair):
    (victim, _), starts = pair.workers(), pair.starts()
    with stopped(victim):
        time.sleep(1.5)  # The worker is asked twice a second, and has 30 s to answer.
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(now := pair.workers()) == 2 and victim not in now, "a new worker", within=25)
    eventually(lambda: pair.starts() == starts + 1, "its start")


def test_store_that_is_silent_ends_requests_and_readiness(pair, redis, keys):
    with pair.client(keys[1]["patient"], tries=1, timeout=PATIENCE) as client:
        assert client.check(PHOTO).live
        with stopped(redis[1].pid):
            with pytest.raises(ServiceError) as raised:
                client.check(PHOTO)
            assert not client.ready()
        assert (raised.value.status, raised.value.name) == (503, "not-ready")
        eventually(client.ready, "ready again")
        assert client.check(PHOTO).live


def test_killed_parent_takes_its_workers_along_and_leaves_the_address_free(pair):
    workers, port = pair.workers(), int(pair.url.rpartition(":")[2])
    os.kill(pair.process.pid, signal.SIGKILL)
    pair.process.wait()
    eventually(lambda: not any(map(_command, workers)), "the end of the workers")

    def is_free() -> bool:  # A process closes its sockets shortly after it has lost its command line.
        with suppress(InputError):
            listen(Settings(port=port)).close()
            return True
        return False

    eventually(is_free, "a free address")
