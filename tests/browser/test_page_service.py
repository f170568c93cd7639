"""The page and its service: keys, a service that is busy or away, and what the page may not do."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="no playwright").expect

SCOPE = "research only: it tells red from blue"


def problem(slug: str, status: int, *, detail: str = "", **headers: str) -> dict[str, object]:
    document = {"type": f"urn:facepad:problem:{slug}", "title": slug, "status": status, "detail": detail}
    told = {"Content-Type": "application/problem+json", **headers}
    return {"status": status, "headers": told, "body": json.dumps(document | {"request_id": "1"})}


@pytest.fixture(scope="module")
def locked(serving, make_model, tmp_path_factory):
    """A service that asks for a key: its address, and the key."""
    folder = tmp_path_factory.mktemp("locked")
    model = make_model(folder / "tiny.facepad", scope=SCOPE)
    command = [sys.executable, "-m", "facepad", "api-key", "page-test", str(folder / "keys")]
    key = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    with serving(folder / "log", "--model", model, "--api-keys", folder / "keys") as address:
        yield address, key


def test_key_is_asked_for_and_used(visit, locked, faces):
    address, key = locked
    here = visit(address=address, expected=[401])
    page = here.page
    expect(page.get_by_label("API key")).to_be_focused()
    here.shoot("key")

    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#key-wrong")).to_have_text("The service does not know this key.")
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")

    expect(page.locator("#key-form")).to_be_hidden()
    expect(page.locator("#scope")).to_have_text(SCOPE)
    here.upload(faces["live"])
    here.see("Live")


def test_key_is_kept_nowhere(visit, locked):
    address, key = locked
    here = visit(address=address, expected=[401])
    here.page.get_by_label("API key").fill(key)
    here.page.keyboard.press("Enter")
    expect(here.page.locator("#key-form")).to_be_hidden()

    state = json.dumps(here.page.context.storage_state()) + here.page.evaluate("JSON.stringify({...sessionStorage})")
    assert key not in state
    assert here.page.locator("#key").input_value() == ""
    here.page.reload()

    expect(here.page.get_by_label("API key")).to_be_visible()


def test_key_that_was_withdrawn_is_asked_for_again(visit, faces):
    before = lambda page: page.route("**/v1/liveness*", lambda route: route.fulfill(**problem("unauthorized", 401)))  # noqa: E731
    here = visit(expected=[401], before=before)

    here.page.get_by_label("Choose files").set_input_files(faces["live"])

    expect(here.page.get_by_label("API key")).to_be_focused()
    expect(here.page.locator("#problem")).to_contain_text("An API key is needed")


def test_busy_service_is_asked_again_after_the_time_it_names(visit, faces):
    times = []

    def busy_once(route):
        times.append(time.monotonic())
        if len(times) == 1:
            route.fulfill(**problem("busy", 429, **{"Retry-After": "2"}))
        else:
            route.continue_()

    here = visit(expected=[429], before=lambda page: page.route("**/v1/liveness*", busy_once))
    here.follow("#hint")

    here.page.get_by_label("Choose files").set_input_files(faces["live"])

    here.see("Live")
    assert "The service is busy. Trying again in 2 s." in here.shown("#hint")
    assert times[1] - times[0] > 1.9
    assert len(here.saved()) == 1


def test_service_that_stays_busy_is_said(visit, faces):
    busy = problem("too-many-requests", 429, **{"Retry-After": "0"})
    here = visit(expected=[429], before=lambda page: page.route("**/v1/liveness*", lambda route: route.fulfill(**busy)))

    here.page.get_by_label("Choose files").set_input_files(faces["live"])

    expect(here.page.locator("#problem")).to_contain_text("Too many requests")
    expect(here.page.get_by_role("button", name="Start camera")).to_have_attribute("aria-disabled", "false")


def test_unreachable_service_is_said(visit, faces):
    here = visit(expected=["ERR_CONNECTION_REFUSED"])
    here.page.route("**/v1/**", lambda route: route.abort("connectionrefused"))

    here.page.get_by_label("Choose files").set_input_files(faces["live"])

    expect(here.page.locator("#problem")).to_contain_text("The service cannot be reached")
    here.shoot("unreachable")


def test_limit_that_a_file_exceeds_is_told_in_the_services_words(visit, faces):
    answer = problem("too-large", 413, detail="the limit is 32 MB")
    here = visit(
        expected=[413], before=lambda page: page.route("**/v1/liveness*", lambda route: route.fulfill(**answer))
    )

    here.page.get_by_label("Choose files").set_input_files(faces["live"])

    expect(here.page.locator("#problem")).to_contain_text("the limit is 32 MB")


def test_answer_of_a_proxy_that_is_no_json_is_said(visit, faces):
    page_of_proxy = {"status": 502, "body": "<h1>Bad Gateway</h1>", "content_type": "text/html"}
    before = lambda page: page.route("**/v1/liveness*", lambda route: route.fulfill(**page_of_proxy))  # noqa: E731
    here = visit(expected=[502], before=before)

    here.page.get_by_label("Choose files").set_input_files(faces["live"])

    expect(here.page.locator("#problem")).to_contain_text("The service answered 502")


def test_camera_without_https_is_explained(visit, locked):
    address, key = locked
    here = visit(address=address.replace("127.0.0.1", "plain.test"), expected=[401])
    # What the console then says: headers that count on HTTPS alone are ignored.
    expect(here.page.locator("#problem")).to_contain_text("The camera needs HTTPS here")
    here.page.get_by_label("API key").fill(key)
    here.page.keyboard.press("Enter")
    expect(here.page.locator("#scope")).to_have_text(SCOPE)

    here.page.get_by_role("button", name="Start camera").click()

    expect(here.page.locator("#problem")).to_contain_text("The camera needs HTTPS here")
    here.shoot("insecure")
    here.wrong[:] = [found for found in here.wrong if "Cross-Origin-Opener-Policy" not in found]


@pytest.mark.parametrize(("asking", "seconds"), [("judge(clip)", 45), ("judgeInSession(clip, session)()", 75)])
def test_answer_on_an_active_check_may_take_longer_than_others(visit, asking, seconds):
    here = visit(clock=True)
    here.hold()
    for address in ("**/v1/liveness*", "**/v1/uploads"):
        here.page.route(address, lambda route: None)
    here.page.evaluate(
        f"""async () => {{
          const {{ judge, judgeInSession }} = await import("/page/api.js");
          const [clip, session] = [new Blob(["x"]), {{ id: "a", token: "one-time" }}];
          {asking}.catch((problem) => {{ window.given_up = problem.slug; }});
        }}"""
    )

    here.go_on(seconds - 1)
    assert here.page.evaluate("window.given_up") is None
    here.go_on(2)

    here.page.wait_for_function("window.given_up === 'slow'")


def below(address: str, asked: list[str]):
    """A reverse proxy that has the service below a path; what any page asks for is noted."""

    def pass_on(route):
        url = route.request.url.replace(f"{address}/below", address)
        headers = {**route.request.headers, "origin": address}
        route.fulfill(response=route.fetch(url=url, headers=headers))

    def before(page):
        page.on("request", lambda request: asked.append(request.url))
        page.route(f"{address}/below/**", pass_on)

    return before


def test_page_and_documentation_work_below_a_path(visit, service, faces):
    asked = []

    here = visit(path="below/", before=below(service, asked))
    here.upload(faces["live"])
    here.see("Live")
    here.page.goto(f"{service}/below/docs")
    expect(here.page.locator("#docs")).to_contain_text("/v1/liveness")

    assert len(asked) > 10 and all(url.startswith((f"{service}/below/", "data:", "blob:")) for url in asked)


def test_documentation_shows_the_interface(visit, service):
    here = visit()

    here.page.goto(f"{service}/docs")

    expect(here.page.locator("#docs")).to_contain_text("/v1/liveness")
    here.shoot("docs")


def test_scope_of_the_model_stays_in_sight(visit, faces):
    here = visit(viewport={"width": 390, "height": 500})
    here.upload(faces["live"], faces["attack"])

    here.page.get_by_role("button", name="Clear").scroll_into_view_if_needed()

    expect(here.page.locator("#scope")).to_have_text(SCOPE)
    assert here.page.evaluate("scrollY") > 100
    expect(here.page.locator("#scope")).to_be_in_viewport(ratio=1)


def test_foreign_script_and_style_are_refused_by_the_browser(visit):
    here = visit()

    here.page.evaluate("""() => {
      document.body.insertAdjacentHTML("beforeend", "<p id=mark style='color: red'>x</p>");
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(script);
    }""")

    assert here.page.evaluate("window.ran") is None
    assert sum("Content Security Policy" in found for found in here.wrong) == 2
    here.wrong.clear()


def test_text_of_a_service_is_shown_and_never_run(visit, faces):
    markup = "<img src=x onerror=alert(1)>"

    def answer(route):
        given = route.fetch().json()
        route.fulfill(json=given | {"label": None, "reasons": [markup], "request_id": markup})

    here = visit(before=lambda page: page.route("**/v1/liveness*", answer))

    here.upload(faces["live"])

    expect(here.page.locator("#advice")).to_contain_text("<img src=x")
    assert here.page.locator("#advice img, #facts img").count() == 0
