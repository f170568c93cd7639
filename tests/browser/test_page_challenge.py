"""The active check of the page in a browser: its steps, live guidance, and what a failure leaves."""

from __future__ import annotations

import re

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="no playwright").expect

NO_CHECKS = (501,)  # The service of most tests offers no active check.
BUSY = (429, 503)  # A busy machine may refuse a frame of the guidance.


def button(here, name: str):
    return here.page.get_by_role("button", name=name)


def test_active_check_is_hidden_where_the_service_offers_none(visit, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS)

    here.start_camera()

    expect(button(here, "Active check")).to_be_hidden()


SESSION = {"id": "abc", "token": "one-time", "reference": "r", "checks": ["challenge"], "expires_in": 300}


def task(*steps: str, seconds: float) -> dict:
    return {"steps": steps, "expires_in": 60, "max_seconds": seconds}


def test_active_check_shows_the_steps_in_order_and_sends_the_clip_with_its_token(visit, camera_file):
    sent, answers = [], []

    def upload(route):
        sent.append(route.request.all_headers())
        headers = {key: value for key, value in sent[0].items() if key != "authorization"}
        answers.append(route.fetch(url=route.request.url.replace("uploads", "liveness"), headers=headers).json())
        route.fulfill(json={"state": "done"})

    def result(route):
        steps = [
            {"action": "turn_left", "passed": True, "seconds": 2.5},
            {"action": "come_closer", "passed": False, "seconds": None},
        ]
        changed = {
            "label": None,
            "reasons": ["challenge_failed"],
            "challenge": {"passed": False, "steps": steps, "note": "seen: a jump"},
        }
        route.fulfill(json={"state": "done", "answer": answers[0] | changed})

    def before(page):
        page.route("**/v1/sessions", lambda route: route.fulfill(status=201, json=SESSION))
        page.route("**/v1/challenge", lambda route: route.fulfill(json=task("turn_left", "come_closer", seconds=6)))
        page.route("**/v1/guidance*", lambda route: route.fulfill(json={"seen": 0, "hint": None}))
        page.route("**/v1/uploads", upload)
        page.route("**/v1/sessions/abc", result)

    here = visit(camera_file("live"), before=before, clock=True)
    here.start_camera()
    here.follow("#step-text", "#announce")
    here.hold()

    button(here, "Active check").click()

    expect(here.page.locator("#step")).to_be_visible()
    here.shoot("active-check")
    here.film()
    for _ in range(60):  # the seconds that the clip may have
        here.go_on(0.1)
    expect(here.page.locator("#step")).to_be_hidden()
    here.go_on()
    here.see("Undecided")
    steps = ["Look straight at the camera", "Turn your head slowly to your left", "Come slowly closer"]
    for place in ("#step-text", "#announce"):
        found = [step for text in here.shown(place) for step in steps if step in text]
        assert list(dict.fromkeys(found)) == steps, place
    assert [headers["authorization"] for headers in sent] == ["Bearer one-time"]
    advice = here.page.locator("#advice")
    for text in ("The steps were not all seen", "Seen at 2.5 s.", "Not seen.", "seen: a jump"):
        expect(advice).to_contain_text(text)
    assert len(here.saved()) == 1


@pytest.mark.parametrize("fails", ["session", "clip", "off", "movement"])
def test_active_check_without_an_answer_leaves_no_verdict_of_before(visit, camera_file, fails):
    hint = "start_again" if fails == "movement" else None
    off = {"type": "urn:facepad:problem:challenges-off", "title": "", "status": 501, "detail": ""}

    def before(page):
        page.route("**/v1/sessions", lambda route: route.fulfill(status=201, json=SESSION))
        page.route("**/v1/challenge", lambda route: route.fulfill(json=task("turn_left", seconds=4)))
        page.route("**/v1/guidance*", lambda route: route.fulfill(json={"seen": 0, "hint": hint}))

    here = visit(camera_file("live"), expected=(501, 502), before=before, clock=True)
    here.start_camera()
    button(here, "Take picture").click()
    here.see("Live")
    reasons = {"off": "There is no active check", "movement": "Another movement was seen"}
    broken = {"status": 501, "json": off} if fails == "off" else {"status": 502, "body": ""}
    address = "**/v1/uploads" if fails == "clip" else "**/v1/sessions"
    if fails != "movement":
        here.page.route(address, lambda route: route.fulfill(**broken))

    if fails == "clip":
        here.hold()
    button(here, "Active check").click()
    if fails == "clip":
        expect(here.page.locator("#step")).to_be_visible()
        here.see_no_verdict("Nothing is judged yet.")
        here.go_on()

    why = reasons.get(fails, "The service answered 502")
    expect(here.page.locator("#problem")).to_contain_text(why)
    here.see_no_verdict(f"{why}.")


@pytest.fixture(scope="module")
def challenging(models_folder, serving, make_model, tmp_path_factory):
    """The address of a service that offers active checks."""
    folder = tmp_path_factory.mktemp("challenging")
    options = ["--model", make_model(folder / "tiny.facepad"), "--challenges", "--attempts", 0]
    with serving(folder / "log", *options) as address:
        yield address


@pytest.mark.models
def test_active_check_of_the_service_is_failed_by_who_does_not_move(challenging, visit, camera_file):
    here = visit(camera_file("live"), address=challenging, expected=BUSY, clock=True)
    here.start_camera()
    here.hold()

    button(here, "Active check").click()
    expect(here.page.locator("#step")).to_be_visible()
    here.film()
    while here.page.locator("#step").is_visible():  # A busy machine would record for longer than a clip may have.
        here.go_on(0.25)
    here.go_on()
    here.see("Undecided")

    expect(here.page.locator("#advice")).to_contain_text("The steps were not all seen")
    [entry] = here.saved()
    assert entry["answer"]["reasons"] == ["challenge_failed"]
    assert [step["passed"] for step in entry["answer"]["challenge"]["steps"]] == [False, False]
    here.page.goto("about:blank")


def session_with(steps: list[str]):
    """A handler that opens sessions until the draw is these steps."""

    def handle(route):
        for _ in range(200):
            session = route.fetch().json()
            headers = {"Authorization": f"Bearer {session['token']}"}
            drawn = route.fetch(url=route.request.url.replace("sessions", "challenge"), headers=headers, post_data=b"")
            if drawn.json()["steps"] == steps:
                return route.fulfill(status=201, json=session)
        return pytest.fail("the challenge was never drawn")

    return handle


NOTE = """() => {
  window.noted = []; // What is announced, and the upload of the clip, in order.
  new MutationObserver(() => noted.push(announce.textContent))
    .observe(document.getElementById("announce"), { childList: true });
  const plain = window.fetch;
  window.fetch = (...asked) => {
    if (String(asked[0]).includes("v1/uploads")) noted.push("upload");
    return plain(...asked);
  };
}"""
STRAIGHT = [0] * 8
TURN = [16, 16, 32, 32, *[48] * 10, 32, 32, 16, 16]


@pytest.mark.models
def test_steps_are_ticked_while_the_clip_is_recorded(challenging, visit, turning_camera):
    camera = turning_camera(STRAIGHT * 7 + TURN + STRAIGHT + [-yaw for yaw in TURN] + STRAIGHT * 2)
    here = visit(camera, address=challenging, expected=BUSY)
    frames = []
    here.page.route("**/v1/sessions", session_with(["turn_left", "turn_right"]))
    here.page.on("request", lambda request: frames.append(request.url) if "/v1/guidance" in request.url else None)

    for _ in range(5):  # A busy machine may look away during a turn. The person then tries again.
        frames.clear()
        here.page.evaluate(NOTE)
        here.start_camera()  # The film begins anew.
        button(here, "Active check").click()
        expect(button(here, "Active check")).to_have_attribute("aria-disabled", "false")
        noted = here.page.evaluate("noted")
        if "Step 2 of 2 was seen" in noted:
            break
        button(here, "Stop camera").click()

    said = [text for text in noted if "was seen" in text or text == "upload"]
    assert said[-2:] == ["Step 2 of 2 was seen", "upload"]  # A slow answer ticks both steps at once.
    assert said[:-2] in ([], ["Step 1 of 2 was seen"])
    for number in (0, 1):
        expect(here.page.locator("#steps li").nth(number)).to_have_text(re.compile("✓ Turn your head slowly"))
    expect(here.page.locator("#word")).not_to_have_text("No verdict")
    assert all(len(entry["answer"]["challenge"]["steps"]) == 2 for entry in here.saved())
    starts = [frame.endswith("?start=true") for frame in frames]  # Until the service has taken the first frame.
    assert starts == sorted(starts, reverse=True) and set(starts) == {True, False}
