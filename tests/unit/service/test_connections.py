"""Callers that open connections and do not finish do not keep others from being answered."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest
import uvicorn
from uvicorn.server import ServerState

from facepad.errors import InputError
from facepad.service import connections as module
from facepad.service.connections import Connections, PatientProtocol, connection_limit
from helpers.patience import PATIENCE

UNFINISHED = b"GET / HTTP/1.1\r\nHost: local"
NO_BODY = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
WHOLE = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = 16_000_000


class Server:
    """A server with at most 20 connections in a thread. `/wait` waits, and `/large` gives a large answer."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.go, self.waiting, self.ended = threading.Event(), threading.Semaphore(0), threading.Event()
        http = partial(PatientProtocol, Connections(20))
        options = {"http": http, "lifespan": "off", "interface": "asgi3", "log_config": None, "backlog": 8}
        self.server = uvicorn.Server(uvicorn.Config(self.answer, **options))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]})

    async def answer(self, scope, receive, send) -> None:
        while scope["method"] == "POST" and (await receive()).get("more_body"):
            pass
        if scope["path"] == "/wait":
            self.waiting.release()
            while not self.go.is_set():
                await asyncio.sleep(0.01)
        content = b"x" * (LARGE if scope["path"] == "/large" else 2)
        length = (b"content-length", b"%d" % len(content))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": content, "more_body": scope["path"] == "/large"})
        if scope["path"] == "/large":
            await send({"type": "http.response.body", "body": b""})  # Waits until most of the content is sent.
            self.ended.set()

    def open(self, content: bytes) -> socket.socket:
        connection = socket.create_connection(self.listening.getsockname(), timeout=PATIENCE)
        connection.sendall(content)
        return connection

    def get(self, path: bytes = b"/") -> bytes:
        with self.open(WHOLE % path) as connection:
            return connection.recv(100)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.1)
    monkeypatch.setattr(module, "HEAD_SECONDS", 10 * PATIENCE)
    server = Server()
    server.thread.start()
    while not server.server.started:
        assert server.thread.is_alive()
        time.sleep(0.01)
    server.listening.listen(512)
    yield server
    server.go.set()
    server.server.should_exit = True
    server.thread.join(PATIENCE)
    assert not server.thread.is_alive()
    server.listening.close()


@pytest.fixture
def open_connections(server):
    """Open connections that send this; they are closed at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda content, count: [stack.enter_context(server.open(content)) for _ in range(count)]


def closed(connection: socket.socket, within: float = PATIENCE) -> bool:
    connection.settimeout(within)
    with contextlib.suppress(TimeoutError):
        return connection.recv(100) == b""
    return False


@pytest.mark.parametrize("content", [b"", UNFINISHED, NO_BODY], ids=["nothing", "head", "body"])
def test_callers_that_do_not_finish_leave_room_for_others(server, open_connections, content):
    connections = []
    for _ in range(4):
        connections += open_connections(content, 20)
        assert server.get().startswith(b"HTTP/1.1 200")
        assert len(server.server.server_state.connections) <= 21
    assert closed(connections[0]) and not closed(connections[-1], within=0.2)


def test_connections_without_a_request_make_room_before_those_with_half_a_body(server, open_connections):
    (half,), _ = open_connections(NO_BODY, 1), open_connections(UNFINISHED, 19)
    while len(server.server.server_state.connections) < 20:
        time.sleep(0.01)
    time.sleep(0.2)  # Longer than a new connection may wait for its request.
    open_connections(UNFINISHED, 15)
    half.sendall(b"123456789")
    assert half.recv(100).startswith(b"HTTP/1.1 200")


def test_requests_that_are_being_answered_are_not_ended(server, open_connections):
    inside = open_connections(WHOLE % b"/wait", 20)
    for _ in inside:
        assert server.waiting.acquire(timeout=PATIENCE)
    with server.open(b"") as refused:
        assert closed(refused)
    server.go.set()
    assert all(connection.recv(100).startswith(b"HTTP/1.1 200") for connection in inside)


def test_caller_that_does_not_read_its_answer_is_cut_off(server, monkeypatch):
    monkeypatch.setattr(module, "SEND_SECONDS", 0.2)
    with server.open(WHOLE % b"/large") as connection:
        assert server.ended.wait(PATIENCE)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while content := connection.recv(1_000_000):
                received += len(content)
    assert received < LARGE


def test_slow_reader_gets_the_whole_answer(server, monkeypatch):
    for seconds in (1.0, 5.0, 25.0):  # A busy machine may stop the reader for longer than it has.
        monkeypatch.setattr(module, "SEND_SECONDS", seconds)
        received, started = 0, time.monotonic()
        with server.open(WHOLE % b"/large") as connection, contextlib.suppress(ConnectionResetError):
            while content := connection.recv(1_000_000):
                received += len(content)
                time.sleep(0.08 * seconds)
                if received >= LARGE:
                    break
        if received >= LARGE:
            break
    assert received >= LARGE and time.monotonic() - started > seconds


class Peer(asyncio.Transport):
    """A peer that has not read all of its answers."""

    def __init__(self, connections: Connections, clock: SimpleNamespace) -> None:
        super().__init__()
        self.unread, self.cut_off = 0, False
        config = uvicorn.Config(lambda: None, interface="asgi3", lifespan="off", log_config=None)
        self.connection = PatientProtocol(
            connections, config=config, server_state=ServerState(), app_state={}, _loop=clock
        )
        self.connection.connection_made(self)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.cut_off = True


@pytest.fixture
def clock():
    """An event loop with a time that the test sets, and without calls."""
    clock = SimpleNamespace(now=0.0, call_later=lambda *_: None)
    clock.time = lambda: clock.now
    return clock


def test_answered_connection_waits_for_a_request_once_its_answer_is_read(clock):
    peer = Peer(Connections(1), clock)
    for clock.now in range(60):
        peer.unread = 60_000 - 1000 * clock.now
        peer.connection.end_if_slow(clock.now)
    peer.unread = 0
    for clock.now in (60, 70, 71):
        assert not peer.cut_off
        peer.connection.end_if_slow(clock.now)
    assert peer.cut_off


def test_peer_that_reads_keeps_its_place_before_one_that_does_not(clock):
    connections = Connections(2)
    reading, silent = Peer(connections, clock), Peer(connections, clock)
    for peer in (reading, silent):
        peer.unread = 90_000
        peer.connection.end_if_slow(0)
    clock.now, reading.unread = 5, 50_000
    reading.connection.end_if_slow(5)
    new = Peer(connections, clock)
    assert [peer.cut_off for peer in (reading, silent, new)] == [False, True, False]


@pytest.mark.parametrize(("allowed", "least", "most"), [(1024, 300, 480), (20_000, 1000, 1000), (-1, 1000, 1000)])
def test_limit_is_below_the_limit_of_open_files(monkeypatch, allowed, least, most):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, allowed))
    assert least <= connection_limit() <= most


def test_limit_of_open_files_that_is_too_low_is_refused(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(InputError, match=r"may open 64 files, and the service needs at least \d+: raise the limit"):
        connection_limit()
