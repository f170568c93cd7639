"""The widget in a browser, on a page of another origin: it uploads once, and the signed result is verified."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from facepad.client import Client, OpenedSession, SessionRequest
from facepad.media.images import read_image
from facepad.service.keys import add_key
from facepad.service.signing import add_signing_key
from helpers.patience import PATIENCE

expect = pytest.importorskip("playwright.sync_api", reason="no playwright").expect
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python")

PAGE = """<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">
<script type="module" src="{service}/widget/facepad-check.js"></script>
<main><h1>Shop</h1><facepad-check service="{service}" session="mine" token="{token}" {more}></facepad-check></main>
<script>window.heard = []; for (const type of ["facepad-done", "facepad-error"])
  addEventListener(type, (event) => heard.push([type, event.detail]));</script></html>"""
FRAME = """<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">
<script>window.heard = []; addEventListener("message", ({{ data, origin }}) => heard.push([origin, data]));</script>
<iframe allow="camera" src="{service}/widget/frame.html#token={token}&{more}"></iframe></html>"""


@dataclass
class Shop:
    """A web site that embeds the widget, and the client of its backend."""

    server: ThreadingHTTPServer
    service: str
    client: Client

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def show(self, token: str, html: str = PAGE, more: str = "") -> None:
        self.server.html = html.format(service=self.service, token=token, more=more).encode()

    def open(self) -> OpenedSession:
        return self.client.open_session(SessionRequest("anna", checks=["passive"]))


class Pages(BaseHTTPRequestHandler):
    """Answers every request with the page of the shop."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.html)

    def log_message(self, *_: object) -> None:
        """No log."""


@pytest.fixture(scope="module")
def shop(serving, make_model, tmp_path_factory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = add_key(folder / "keys.txt", "shop")
    add_signing_key(folder / "signing.json")
    options = ["--api-keys", folder / "keys.txt", "--signing-keys", folder / "signing.json"]
    options += ["--cors", f"http://127.0.0.1:{server.server_port}", "--attempts", 0]
    model = make_model(folder / "tiny.facepad")
    with serving(folder / "log", "--model", model, *options) as address, Client(address, key) as client:
        yield Shop(server, address, client)
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit_shop(launch, shop) -> Iterator[Callable[..., object]]:
    """Open the page of the shop; errors of scripts fail the test."""
    opened, wrong = [], []

    def open_page(camera=None, *, allowed: bool = True, before=lambda page: None, **context: object) -> object:
        page = launch(camera, allowed=allowed).new_context(**context).new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.set_default_timeout(1000 * PATIENCE)
        before(page)
        page.goto(shop.origin)
        opened.append(page.context)
        return page

    yield open_page
    for context in opened:
        context.close()
    assert not wrong


def button(page, name: str):
    return page.get_by_role("button", name=name)


def test_camera_on_another_origin_gives_a_signed_result_and_the_page_no_verdict(visit_shop, shop, camera_file):
    session = shop.open()
    shop.show(session.token)
    page = visit_shop(camera_file("live"), color_scheme="dark")
    requests = []
    page.on("request", lambda request: requests.append(request))

    button(page, "Start camera").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Fill the oval with your face, and look into the camera.")
    found = axe.Axe().run(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Thank you. The check is complete.")

    assert found.violations_count == 0, found.generate_report()
    expect(page.get_by_role("status")).to_be_focused()
    assert page.evaluate("heard") == [["facepad-done", {"session": "mine", "check": "passive"}]]
    signed = shop.client.session(session.id).signed
    assert shop.client.verify(signed, reference="anna", session=session.id).live
    [sent] = [request for request in requests if request.method == "POST"]
    assert sent.headers["authorization"] == f"Bearer {session.token}"
    assert sent.response().json() == {"state": "done"}
    page.reload()  # The token is used up.
    expect(page.get_by_role("alert")).to_have_text("The check has expired. Go back, and begin again.")
    [[kind, detail]] = page.evaluate("heard")
    assert (kind, detail["name"], detail["final"]) == ("facepad-error", "session-refused", True)


def test_refused_camera_leaves_the_choice_of_a_photo(visit_shop, shop, camera_file, faces):
    session = shop.open()
    shop.show(session.token, more='lang="de-AT"')
    page = visit_shop(camera_file("live"), allowed=False)

    button(page, "Kamera starten").click()
    expect(page.get_by_role("alert")).to_contain_text("Die Kamera ist nicht erlaubt.")
    assert page.evaluate("heard[0][1].final") is False
    page.get_by_label("Stattdessen ein Foto wählen").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"no photo"}
    )
    expect(page.get_by_role("alert")).to_contain_text("Weder ein Bild noch ein Video.")
    page.get_by_label("Stattdessen ein Foto wählen").set_input_files(faces["attack"])
    expect(page.get_by_role("status")).to_have_text("Danke. Die Prüfung ist abgeschlossen.")
    assert shop.client.session(session.id).answer.label == "attack"

    other = shop.open()
    page.evaluate("document.querySelector('facepad-check').setAttribute('camera-only', '')")
    page.evaluate(f"document.querySelector('facepad-check').setAttribute('token', '{other.token}')")
    expect(button(page, "Kamera starten")).to_be_visible()  # A new token starts anew.
    expect(page.get_by_label("Stattdessen ein Foto wählen")).to_be_hidden()


def test_frame_does_the_same_and_tells_its_page(visit_shop, shop, camera_file):
    session = shop.open()
    shop.show(session.token, FRAME, "lang=pt")
    page = visit_shop(camera_file("live"))
    frame = page.frame_locator("iframe")

    frame.get_by_role("button", name="Ligar a câmara").click()
    frame.get_by_role("button", name="Tirar a foto").click()

    expect(frame.get_by_role("status")).to_have_text("Obrigado. A verificação está concluída.")
    message = {"type": "facepad-done", "detail": {"session": None, "check": "passive"}}
    assert page.evaluate("heard") == [[shop.service, message]]
    assert shop.client.session(session.id).live
    page.goto(f"{shop.service}/widget/frame.html#token={shop.open().token}")  # As the link of an attacker does.
    expect(page.get_by_role("main")).to_have_text("This page works only in a frame of another page.")


class Check:
    """A service made by hand that offers an active check: what it answers, and what the widget sends."""

    def __init__(self, seconds: float = 15) -> None:
        self.task = {"steps": ["turn_left", "come_closer"], "expires_in": 60, "max_seconds": seconds}
        self.guidance: dict[str, object] = {"seen": 0, "hint": None}
        self.frames, self.sent = [], []

    def serve(self, page) -> None:
        page.route("**/v1/challenge", lambda route: route.fulfill(json=self.task))
        page.route("**/v1/guidance*", self._guide)
        page.route("**/v1/uploads*", self._upload)

    def _guide(self, route):
        self.frames.append(route.request)
        return route.fulfill(json=self.guidance)

    def _upload(self, route):
        if route.request.method == "GET":
            return route.fulfill(json={"checks": ["challenge"], "expires_in": 300})
        self.sent.append(route.request)
        return route.fulfill(json={"state": "done"})


def go_on_until(page, happened: Callable[[], bool]) -> None:
    """Move the stopped clock of a page until something has happened: no step ends while a busy machine looks."""
    while not happened():  # for the limit of time of the test
        page.clock.run_for(100)
        page.wait_for_timeout(20)


def test_active_check_ticks_each_step_and_sends_one_clip(visit_shop, shop, camera_file):
    check = Check(600)
    shop.show("t", FRAME, "lang=fr")
    whole = visit_shop(camera_file("live"), before=lambda page: (check.serve(page), page.clock.install()))
    page = whole.frame_locator("iframe")
    status, steps = page.get_by_role("status"), page.locator("#task li")
    button(page, "Démarrer la caméra").click()
    expect(page.get_by_role("button", name="Filmer", exact=True)).to_be_visible()
    whole.clock.pause_at(whole.evaluate("Date.now() / 1000") + 1)
    page.get_by_role("button", name="Filmer", exact=True).click()

    for hint, text in ((None, "Regardez droit"), (None, "Tournez lentement"), ("look_back", "Regardez à nouveau")):
        check.guidance = {"seen": 0, "hint": hint}
        go_on_until(whole, lambda text=text: text in status.inner_text())
    check.guidance = {"seen": 1, "hint": None}
    go_on_until(whole, lambda: steps.nth(0).inner_text().startswith("✓ Tournez"))
    go_on_until(whole, lambda: "Approchez-vous lentement" in status.inner_text())
    expect(steps).to_have_text([re.compile("✓ Tournez"), re.compile("^Approchez")])
    assert not check.sent
    check.guidance = {"seen": 2, "hint": None}
    go_on_until(whole, lambda: steps.nth(1).inner_text().startswith("✓ Approchez"))

    whole.clock.resume()
    expect(status).to_have_text("Merci. La vérification est terminée.")
    [request] = check.sent
    assert request.url.endswith("?check=challenge") and request.headers["content-type"] == "video/webm"
    assert ["start=true" in frame.url for frame in check.frames] == [True] + [False] * (len(check.frames) - 1)
    assert all(frame.headers["authorization"] == "Bearer t" for frame in check.frames)
    assert all(read_image(frame.post_data_buffer).shape[1] <= 480 for frame in check.frames)


def test_another_movement_ends_the_recording_and_leaves_the_token(visit_shop, shop, camera_file):
    check = Check()
    check.guidance = {"seen": 0, "hint": "start_again"}
    shop.show("t")
    page = visit_shop(camera_file("live"), before=check.serve)
    button(page, "Start camera").click()
    page.get_by_role("button", name="Record", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("Another movement was seen.")
    assert page.evaluate("heard.map(([, { name, final }]) => [name, final])") == [["start-again", False]]
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
    assert not check.sent


def test_active_check_without_a_camera_names_the_steps_and_takes_a_file(visit_shop, shop, camera_file):
    check = Check(5)
    shop.show("t", FRAME, "lang=fr")
    page = visit_shop(camera_file("live"), before=check.serve).frame_locator("iframe")
    button(page, "Filmer avec une autre application").click()
    texts = ("Regardez droit vers la caméra", "Tournez lentement la tête vers votre gauche", "Approchez-vous lentement")
    for number, text in enumerate(texts):
        expect(page.get_by_role("listitem").nth(number)).to_contain_text(text)

    page.get_by_label("Choisir la vidéo").set_input_files(
        {"name": "a.webm", "mimeType": "video/webm", "buffer": b"clip"}
    )

    expect(page.get_by_role("status")).to_have_text("Merci. La vérification est terminée.")
    assert len(check.sent) == 1 and not check.frames


def test_active_check_goes_by_time_where_nothing_guides(visit_shop, shop, camera_file):
    check = Check(5)
    shop.show("t")

    def before(page):
        check.serve(page)
        page.route("**/v1/guidance*", lambda route: route.fulfill(status=404, body=""))

    page = visit_shop(camera_file("live"), before=before)
    button(page, "Start camera").click()
    page.evaluate("""() => {
      const status = document.querySelector("facepad-check").shadowRoot.getElementById("status");
      window.said = [];
      new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
    }""")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Thank you.")
    steps = ["Look straight", "Turn your head", "Come slowly closer", "Thank you."]
    assert [step for text in page.evaluate("said") for step in steps if step in text] == steps
    assert len(check.sent) == 1
