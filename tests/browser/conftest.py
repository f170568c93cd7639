"""The page in a real browser, before the real service: what the tests of this folder share.

Screenshots go to the folder that FACEPAD_SCREENSHOTS names, else to the test's temporary one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from facepad.media.images import read_image
from helpers.patience import PATIENCE, end, eventually

_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --host-resolver-rules=MAP_plain.test_127.0.0.1"
)
_NOT_LOADED = "Failed to load resource: "
LONGEST = 1000 * PATIENCE
"""Milliseconds that a test waits for the page."""


def _playwright():
    return pytest.importorskip("playwright.sync_api", reason="no playwright")


def _expect(locator):
    return _playwright().expect(locator)


_FOLLOW = """selectors => {
  window.shown = Object.fromEntries(selectors.map((selector) => [selector, []]));
  for (const [selector, texts] of Object.entries(window.shown)) {
    const element = document.querySelector(selector);
    const observer = new MutationObserver(() => texts.push(element.textContent));
    observer.observe(element, { childList: true, characterData: true, subtree: true });
  }
}"""
_FILM = """frames => new Promise((done) => {
  const video = document.getElementById("camera");
  const next = () => { frames -= 1; if (frames > 0) video.requestVideoFrameCallback(next); else done(); };
  video.requestVideoFrameCallback(next);
})"""


@dataclass
class Visit:
    """A page before the service, and what may not happen there.

    Attributes:
        page: The page, opened.
        address: The service.
        expected: Statuses of HTTP, or network errors, that the test provokes; the browser's console tells each.
        wrong: What went wrong so far: errors of the console, exceptions, requests to elsewhere.
    """

    page: object
    address: str
    shots: Path
    expected: set[int | str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self.wrong.append(f"exception: {error}"))
        self.page.on("request", self._asked)

    def _told(self, message) -> None:
        provoked = message.text.startswith(_NOT_LOADED) and any(str(what) in message.text for what in self.expected)
        if message.type in ("error", "warning") and not provoked:
            self.wrong.append(f"console: {message.text}")

    def _asked(self, request) -> None:
        if not request.url.startswith((f"{self.address}/", "data:", f"blob:{self.address}/")):
            self.wrong.append(f"request to elsewhere: {request.url}")

    def upload(self, *files: Path | dict) -> None:
        """Choose files, and wait until each is judged."""
        rows = self.page.locator("#history tbody tr")
        before = rows.count()
        self.page.get_by_label("Choose files").set_input_files(list(files))
        _expect(rows).to_have_count(before + len(files))

    def start_camera(self) -> None:
        """Start the camera, and wait for its picture and for what depends on it."""
        self.page.get_by_role("button", name="Start camera").click()
        _expect(self.page.get_by_role("status")).to_have_text("The camera is on.")

    def see(self, word: str) -> None:
        """Wait for a verdict."""
        _expect(self.page.locator("#word")).to_have_text(word)

    def see_no_verdict(self, why: str) -> None:
        """Wait until no verdict is shown, and check that nothing is left of the last one."""
        page = self.page
        _expect(page.locator("#word")).to_have_text("No verdict")
        _expect(page.locator("#sentence")).to_contain_text(why)
        assert page.locator("#result").get_attribute("data-tone") == "none"
        assert page.locator("#stage").get_attribute("data-tone") is None
        for part in ("#chip", "#bar", "#advice", "#evidence", "#shown", "#details"):
            _expect(page.locator(part)).to_be_hidden()
        _expect(page.locator(".box rect")).to_have_count(0)

    def follow(self, *selectors: str) -> None:
        """Keep each text that these elements show from now on. A busy machine may not see a short one in time."""
        self.page.evaluate(_FOLLOW, list(selectors))

    def shown(self, selector: str) -> list[str]:
        """The texts that a followed element has shown, in order."""
        return self.page.evaluate("selector => window.shown[selector]", selector)

    def hold(self) -> None:
        """Stop the page's clock, so that no step ends while a busy machine looks; for a page opened with ``clock``.

        The camera goes on. `go_on` moves the clock.
        """
        self.page.clock.pause_at(self.page.evaluate("Date.now() / 1000") + 1)

    def go_on(self, seconds: float | None = None) -> None:
        """Move the page's clock by some seconds, or let it run."""
        if seconds is None:
            self.page.clock.resume()
        else:
            self.page.clock.run_for(round(1000 * seconds))

    def film(self, frames: int = 10) -> None:
        """Wait until the camera has shown some more pictures."""
        self.page.evaluate(_FILM, frames)

    def saved(self) -> list[dict]:
        """The entries of the downloaded history."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Download as JSON").click()
        assert re.fullmatch(r"facepad-[\dT-]+\.json", download.value.suggested_filename)
        return json.loads(download.value.path().read_text())["entries"]

    def shoot(self, name: str) -> Path:
        """Keep a picture of the page."""
        path = self.shots / f"{name}.png"
        self.page.evaluate("scrollTo(0, 0)")
        self.page.screenshot(path=path, full_page=True)
        return path


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[str]]:
    """Start `facepad serve`, whose output goes to a log: a context manager with the address."""
    return _serving


@contextmanager
def _serving(log: Path, *options: object) -> Iterator[str]:
    """`facepad serve` in a separate process on a free port; yields the address when the service is ready."""
    command = [sys.executable, "-m", "facepad", "serve", "--port", "0", "--allow-undecided", *map(str, options)]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stderr=written, stdout=written)
    try:
        yield eventually(lambda: _ready(process, log), "a service that is ready")
    finally:
        end(process)


def _ready(process: subprocess.Popen[bytes], log: Path) -> str | None:
    assert process.poll() is None, f"the service did not start: {log.read_text()}"
    said = re.search(r"serving on (http://\S+)", log.read_text())
    try:
        if said and urllib.request.urlopen(f"{said[1]}/readyz", timeout=PATIENCE).status == 200:
            return said[1]
    except OSError:
        pass
    return None


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program."""
    named = os.environ.get("FACEPAD_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip(f"no chromium: none of {', '.join(_BROWSERS)} is installed, and FACEPAD_CHROMIUM names none")
    return found


# Not for the whole session: Playwright keeps an event loop running in this thread, which other tests would meet.
@pytest.fixture(scope="module")
def launch(chromium: str) -> Iterator[Callable[..., object]]:
    """A browser; ``camera`` is a file of pictures that its camera shows, without one it has no camera."""
    with ExitStack() as stack:
        engine = stack.enter_context(_playwright().sync_playwright())
        _playwright().expect.set_options(timeout=LONGEST)
        launched: dict[tuple[Path | None, bool], object] = {}

        def start(camera: Path | None = None, *, allowed: bool = True) -> object:
            if (camera, allowed) not in launched:
                switches = [switch.replace("_", " ") for switch in _SWITCHES.split()]
                if camera is not None:
                    switches.append(f"--use-fake-ui-for-media-stream{'' if allowed else '=deny'}")
                    switches += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}"]
                browser = engine.chromium.launch(executable_path=chromium, args=switches, timeout=LONGEST)
                stack.callback(browser.close)
                launched[camera, allowed] = browser
            return launched[camera, allowed]

        yield start


@pytest.fixture(scope="session")
def service(serving, make_model, tmp_path_factory) -> Iterator[str]:
    """The address of a service with a model made by hand: red faces are bona fide, blue ones attacks."""
    folder = tmp_path_factory.mktemp("service")
    model = make_model(folder / "tiny.facepad", scope="research only: it tells red from blue")
    with serving(folder / "log", "--model", model) as address:
        yield address


@pytest.fixture
def visit(launch, service, tmp_path) -> Iterator[Callable[..., Visit]]:
    """Open the page; whatever goes wrong there by the end fails the test."""
    shots = Path(os.environ.get("FACEPAD_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        visits = []

        def open_page(
            camera: Path | None = None,
            *,
            address: str = service,
            path: str = "",
            allowed: bool = True,
            expected: Sequence[int | str] = (),
            before: Callable[[object], object] = lambda page: None,
            clock: bool = False,
            **context: object,
        ) -> Visit:
            usual = {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True}
            page = launch(camera, allowed=allowed).new_context(**(usual | context)).new_page()
            stack.callback(page.context.close)
            page.set_default_timeout(LONGEST)
            made = Visit(page, address, shots, set(expected))
            made.watch()
            visits.append(made)
            if clock:
                page.clock.install()
            before(page)
            page.goto(f"{address}/{path}")
            return made

        yield open_page
        wrong = [found for made in visits for found in made.wrong]
        assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="session")
def faces(synthetic_faces: list[Path], tmp_path_factory) -> dict[str, Path]:
    """Pictures by the answer of the service: ``live``, ``attack`` and ``nobody``."""
    folder = tmp_path_factory.mktemp("pictures")
    person = read_image(next(path for path in synthetic_faces if "bona_fide" in path.name))
    red, blue = person.copy(), person.copy()
    red[..., 2] //= 2
    blue[..., 0] //= 2
    nobody = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, person.shape, dtype=np.uint8), (0, 0), 3)
    written = {}
    for name, image in (("live", red), ("attack", blue), ("nobody", nobody)):
        written[name] = folder / f"{name}.jpg"
        cv2.imwrite(str(written[name]), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return written


@pytest.fixture(scope="session")
def camera_file(faces, tmp_path_factory) -> Callable[..., Path]:
    """Make what a browser's camera shows: each named picture for some seconds, again and again."""
    folder = tmp_path_factory.mktemp("camera")

    def make(*names: str, seconds: float = 1) -> Path:
        path = folder / f"{'-'.join(names)}-{seconds:g}.y4m"
        if not path.exists():
            path.write_bytes(b"".join(_y4m([read_image(faces[name]) for name in names], round(seconds * 10))))
        return path

    return make


@pytest.fixture(scope="session")
def turning_camera(tmp_path_factory) -> Callable[[Sequence[float]], Path]:
    """Make what a browser's camera shows: a head with these yaws in degrees, 10 per second, again and again."""
    from skimage.data import astronaut

    from helpers.turning_head import TurningHead

    def make(yaws: Sequence[float]) -> Path:
        head = TurningHead(astronaut())
        drawn = {yaw: head.frame(yaw) for yaw in set(yaws)}
        path = tmp_path_factory.mktemp("camera") / "head.y4m"
        path.write_bytes(b"".join(_y4m([drawn[yaw] for yaw in yaws], 1)))
        return path

    return make


def _y4m(images: Sequence[np.ndarray], frames: int) -> Iterator[bytes]:
    height, width, _ = images[0].shape
    yield f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode()
    for image in images:
        frame = b"FRAME\n" + cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).tobytes()
        yield frame * frames
