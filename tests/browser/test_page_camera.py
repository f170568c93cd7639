"""The camera: single pictures, the live view, clips, the active check, and the message if no camera exists."""

from __future__ import annotations

import itertools
import json
import time

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="no playwright").expect

NO_CHECKS = (501,)  # the service that most tests talk to offers no active check
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def button(here, name):
    return here.page.get_by_role("button", name=name, exact=True)


def test_picture_taken_with_the_camera_is_judged(visit, faces, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS)
    here.start_camera()
    expect(button(here, "Take picture")).to_be_focused()

    button(here, "Take picture").click()

    here.see("Live")
    expect(here.page.locator("#history tbody tr")).to_contain_text("Camera")
    assert here.saved()[0]["answer"]["files"][0]["size"] == [480, 640]
    here.shoot("camera")


def test_oval_guides_the_face_and_shades_the_rest(visit, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS)

    here.start_camera()

    stage, oval = (here.page.locator(name).bounding_box() for name in ("#stage", "#guide ellipse"))
    assert 0.6 < oval["height"] / stage["height"] < 0.95
    assert oval["x"] + oval["width"] / 2 == pytest.approx(stage["x"] + stage["width"] / 2, abs=2)
    assert here.page.locator("#view").get_attribute("class") == "view mirrored"


def test_live_view_follows_what_the_camera_shows(visit, camera_file):
    here = visit(camera_file("live", "attack", "nobody", seconds=4), expected=NO_CHECKS)
    here.start_camera()

    button(here, "Live view").click()

    expect(button(here, "Live view")).to_have_attribute("aria-pressed", "true")
    for word in ("Live", "Attack", "Undecided"):
        here.see(word)
    expect(here.page.locator("#live-box rect.face")).to_have_count(0)
    here.see("Live")
    expect(here.page.locator("#live-box rect.face")).to_have_count(1)
    here.shoot("live-view")
    button(here, "Live view").click()
    expect(button(here, "Live view")).to_have_attribute("aria-pressed", "false")
    [entry] = here.saved()
    assert {"bona_fide", "attack", None} == {picture["label"] for picture in entry["pictures"]}
    times = [picture["seconds"] for picture in entry["pictures"]]
    assert times == sorted(set(times))


def test_live_view_asks_at_most_thrice_a_second_and_one_at_a_time(visit, camera_file):
    kept = []

    def at_once(route):
        if not kept:
            kept.append(route.fetch().json())
        route.fulfill(json=kept[0])

    before = lambda page: page.route("**/v1/liveness*", at_once)  # noqa: E731
    here = visit(camera_file("live"), expected=NO_CHECKS, before=before)
    here.start_camera()
    here.page.evaluate("""() => {
      const plain = window.fetch, sleep = window.setTimeout;
      window.times = [];
      window.begun = [];
      window.setTimeout = (does, milliseconds) => {
        if (milliseconds === 3000) window.begun.push(performance.now()); // Each look begins with this timeout.
        return sleep(does, milliseconds);
      };
      window.fetch = async (...asked) => {
        const time = { from: performance.now(), to: Infinity };
        window.times.push(time);
        const answer = await plain(...asked);
        time.to = performance.now();
        return answer;
      };
    }""")

    button(here, "Live view").click()
    expect(here.page.locator("#history tbody tr")).to_contain_text("6 live")
    times = here.page.evaluate("window.times")

    pairs = list(itertools.pairwise(times[:6]))
    assert all(before["to"] <= after["from"] for before, after in pairs)
    begun = here.page.evaluate("window.begun")
    assert all(after - before > 325 for before, after in itertools.pairwise(begun)) and len(begun) > 5


def test_live_view_pauses_while_the_page_is_hidden(visit, camera_file):
    asked = []
    here = visit(camera_file("live"), expected=NO_CHECKS)
    here.page.on("request", lambda request: asked.append(request.url) if "/v1/liveness" in request.url else None)
    here.start_camera()
    button(here, "Live view").click()
    here.see("Live")

    here.page.evaluate(HIDE, True)
    expect(here.page.locator("#hint")).to_have_text("Paused while this page is hidden.")
    here.see_no_verdict("Paused while this page is hidden.")
    hidden = len(asked)
    here.page.wait_for_timeout(1500)
    assert len(asked) == hidden

    with here.page.expect_request("**/v1/liveness*"):
        here.page.evaluate(HIDE, False)


def test_live_view_waits_as_long_as_a_busy_service_says_and_goes_on(visit, camera_file):
    times = []

    def busy_once(route):
        times.append(time.monotonic())
        if len(times) > 1:
            route.continue_()
        else:
            problem = {"type": "urn:facepad:problem:busy", "title": "", "status": 429, "detail": "", "request_id": "1"}
            headers = {"Retry-After": "2", "Content-Type": "application/problem+json"}
            route.fulfill(status=429, headers=headers, body=json.dumps(problem))

    before = lambda page: page.route("**/v1/liveness*", busy_once)  # noqa: E731
    here = visit(camera_file("live"), expected=(429, *NO_CHECKS), before=before)
    here.start_camera()
    here.follow("#hint")

    button(here, "Live view").click()

    here.see("Live")
    assert "The service is busy. Going on in 2 s." in here.shown("#hint")
    assert times[1] - times[0] > 1.9


def test_live_view_goes_on_when_the_service_is_back(visit, camera_file):
    asked = []

    def away_twice(route):
        asked.append(time.monotonic())
        if len(asked) > 2:
            route.continue_()
        else:
            route.abort("connectionrefused")

    before = lambda page: page.route("**/v1/liveness*", away_twice)  # noqa: E731
    here = visit(camera_file("live"), expected=("ERR_CONNECTION_REFUSED", *NO_CHECKS), before=before)
    here.start_camera()
    here.follow("#hint")

    button(here, "Live view").click()

    here.see("Live")
    said = [text for text in here.shown("#hint") if "cannot be reached" in text]
    assert said == [f"The service cannot be reached. Going on in {seconds} s." for seconds in (2, 4)]
    expect(here.page.locator("#chip")).to_contain_text("Live 0.")


def test_live_view_shows_no_verdict_while_the_service_is_away(visit, camera_file):
    here = visit(camera_file("live"), expected=("ERR_CONNECTION_REFUSED", *NO_CHECKS))
    here.start_camera()
    button(here, "Live view").click()
    expect(here.page.locator("#chip")).to_contain_text("Live 0.")

    here.page.route("**/v1/liveness*", lambda route: route.abort("connectionrefused"))
    expect(here.page.locator("#hint")).to_contain_text("The service cannot be reached. Going on in")

    here.see_no_verdict("The service cannot be reached. Going on in")
    here.shoot("live-view-away")


def test_live_view_shows_no_verdict_while_an_answer_is_late(visit, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS)
    here.start_camera()
    button(here, "Live view").click()
    here.see("Live")

    here.page.route("**/v1/liveness*", lambda route: None)

    expect(here.page.locator("#hint")).to_have_text("Waiting for the service.")
    here.see_no_verdict("Waiting for the service.")


def test_live_view_that_ends_leaves_no_verdict(visit, camera_file):
    here = visit(camera_file("live"), expected=(502, *NO_CHECKS))
    here.start_camera()
    button(here, "Live view").click()
    here.see("Live")
    button(here, "Live view").click()
    here.see_no_verdict("The live view is off.")
    button(here, "Live view").click()
    here.see("Live")

    here.page.route("**/v1/liveness*", lambda route: route.fulfill(status=502, body=""))

    here.see_no_verdict("The service answered 502.")


def test_live_view_tells_screen_readers_changes_alone(visit, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS)
    here.start_camera()
    here.page.evaluate("""() => {
      window.told = [];
      const status = document.getElementById("announce");
      new MutationObserver(() => window.told.push(status.textContent)).observe(status, { childList: true });
    }""")

    button(here, "Live view").click()
    expect(here.page.locator("#history tbody tr")).to_contain_text("7 live")

    assert [text.split(".")[0] for text in here.page.evaluate("window.told")] == ["Undecided", "Live"]


def test_recorded_clip_has_three_seconds_and_is_judged_as_one(visit, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS, clock=True)
    here.start_camera()
    here.hold()

    started = time.monotonic()
    button(here, "Record clip").click()
    expect(here.page.locator("#step-text")).to_have_text("Recording")
    here.film()
    here.go_on(2.9)
    expect(here.page.locator("#step")).to_be_visible()
    here.go_on(0.2)
    expect(here.page.locator("#step")).to_be_hidden()
    longest = time.monotonic() - started
    here.go_on()

    here.see("Live")
    entry = here.saved()[0]
    assert entry["source"] == "Clip" and entry["answer"]["files"][0]["kind"] == "clip"
    seconds = [frame["seconds"] for frame in entry["answer"]["files"][0]["frames"]]
    assert len(seconds) > 2 and max(seconds) < longest
    expect(here.page.locator("#frames")).to_be_visible()


def test_refused_permission_says_what_to_do_and_leaves_files(visit, faces, camera_file):
    here = visit(camera_file("live"), allowed=False)

    button(here, "Start camera").click()

    expect(here.page.locator("#problem")).to_contain_text("The camera is not allowed")
    here.shoot("refused")
    here.upload(faces["live"])
    here.see("Live")


def test_missing_camera_is_said(visit):
    here = visit()

    button(here, "Start camera").click()

    expect(here.page.locator("#problem")).to_contain_text("No camera was found")


def test_camera_is_chosen_where_there_are_several(visit, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS)
    here.page.evaluate("""() => {
      const media = navigator.mediaDevices, open = media.getUserMedia.bind(media);
      window.opened = [];
      media.enumerateDevices = async () =>
        ["front", "rear"].map((name) => ({ kind: "videoinput", deviceId: name, label: name }));
      media.getUserMedia = (asked) => {
        window.opened.push(asked.video.deviceId?.exact ?? "usual");
        return open({ video: true });
      };
    }""")
    here.start_camera()

    here.page.get_by_label("Camera", exact=True).and_(here.page.locator("select")).select_option("rear")

    expect(here.page.locator("#capture")).to_be_visible()
    expect(here.page.locator("#hint")).to_contain_text("Fill the oval")
    assert here.page.evaluate("window.opened") == ["usual", "rear"]


def test_question_for_the_camera_keeps_no_file_waiting(visit, faces):
    here = visit()
    here.page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => new Promise(() => {}); }")

    button(here, "Start camera").click()
    expect(here.page.locator("#hint")).to_have_text("Waiting for the camera …")
    here.upload(faces["live"])

    here.see("Live")


def test_what_is_dropped_during_a_recording_is_told_to_wait(visit, faces, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS, clock=True)
    here.start_camera()
    here.hold()
    button(here, "Record clip").click()
    expect(here.page.locator("#step")).to_be_visible()

    here.page.get_by_label("Choose files").set_input_files(faces["attack"])

    expect(here.page.locator("#hint")).to_contain_text("One thing at a time")
    here.film()
    here.go_on()
    here.see("Live")
    assert len(here.saved()) == 1


def test_picture_can_be_taken_out_of_the_live_view_while_the_service_is_slow(visit, camera_file):
    asked = []

    def first_hangs(route):
        asked.append(route.request.url)
        if len(asked) > 1:
            route.continue_()

    before = lambda page: page.route("**/v1/liveness*", first_hangs)  # noqa: E731
    here = visit(camera_file("live"), expected=NO_CHECKS, before=before, clock=True)
    here.start_camera()
    here.hold()  # The page never gives up the first request.
    with here.page.expect_request("**/v1/liveness*"):
        button(here, "Live view").click()

    button(here, "Take picture").click()

    here.see("Live")
    assert [entry["source"] for entry in here.saved()] == ["Camera"]


def test_stopped_camera_leaves_the_stage(visit, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS)
    here.start_camera()

    button(here, "Stop camera").click()

    expect(button(here, "Start camera")).to_be_focused()
    expect(here.page.locator("#empty")).to_be_visible()
    assert here.page.locator("#camera").evaluate("video => video.srcObject") is None


def test_stopped_camera_takes_its_verdict_with_it_and_leaves_that_of_a_file(visit, faces, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS)
    here.start_camera()
    button(here, "Take picture").click()
    here.see("Live")

    button(here, "Stop camera").click()

    here.see_no_verdict("The camera is off.")
    here.start_camera()
    here.upload(faces["attack"])
    here.see("Attack")
    button(here, "Stop camera").click()
    expect(button(here, "Start camera")).to_be_focused()
    here.see("Attack")


def test_camera_that_goes_away_during_the_live_view_is_said(visit, camera_file):
    here = visit(camera_file("live"), expected=NO_CHECKS)
    here.start_camera()
    button(here, "Live view").click()
    here.see("Live")

    here.page.locator("#camera").evaluate(
        "video => { for (const track of video.srcObject.getTracks()) track.dispatchEvent(new Event('ended')); }"
    )

    expect(here.page.locator("#problem")).to_contain_text("The camera has stopped")
    expect(button(here, "Start camera")).to_be_visible()
    expect(button(here, "Live view")).to_be_hidden()
    here.see_no_verdict("The live view is off.")
