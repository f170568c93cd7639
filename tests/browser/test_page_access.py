"""Everybody can use the page: by keyboard, with a screen reader, on a phone, in the dark, without motion."""

from __future__ import annotations

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="no playwright").expect
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python")

PHONE = {"width": 360, "height": 740}


def focused(here) -> str:
    return here.page.evaluate("document.activeElement.id || document.activeElement.tagName")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shown", [None, "live", "attack", "nobody"])
def test_axe_finds_no_violation(visit, faces, scheme, shown):
    here = visit(color_scheme=scheme, reduced_motion="reduce")
    if shown:
        here.upload(faces[shown])
        here.page.get_by_text("Details of this answer").click()

    found = axe.Axe().run(here.page)

    here.shoot(f"{scheme}-{shown}")
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_with_the_camera_and_a_problem(visit, camera_file, scheme):
    here = visit(camera_file("live"), expected=(501,), color_scheme=scheme, reduced_motion="reduce")
    here.start_camera()
    here.page.get_by_role("button", name="Take picture").click()
    here.see("Live")
    here.page.evaluate("document.getElementById('key-form').hidden = false")
    here.page.route("**/v1/**", lambda route: route.fulfill(status=502, body=""))
    here.expected.add(502)
    here.page.get_by_role("button", name="Take picture").click()
    expect(here.page.locator("#problem")).to_be_visible()

    found = axe.Axe().run(here.page)

    here.shoot(f"{scheme}-camera")
    assert found.violations_count == 0, found.generate_report()


def test_keyboard_alone_reaches_every_control_in_reading_order(visit, camera_file):
    here = visit(camera_file("live"), expected=(501,))
    keyboard = here.page.keyboard

    keyboard.press("Tab")
    assert focused(here) == "start"
    keyboard.press("Enter")
    expect(here.page.locator("#capture")).to_be_focused()
    keyboard.press("Enter")
    here.see("Live")
    assert focused(here) == "capture"
    reached = []
    for _ in range(9):
        keyboard.press("Tab")
        reached.append(focused(here))

    assert reached[:5] == ["live", "record", "file", "stop", "ask-why"]
    assert reached[5:8] == ["SUMMARY", "download", "clear"]
    keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")
    assert focused(here) in ("clear", "download")


def test_live_view_starts_and_stops_by_the_space_bar(visit, camera_file):
    here = visit(camera_file("live"), expected=(501,))
    here.start_camera()

    here.page.locator("#live").focus()
    here.page.keyboard.press("Space")
    here.see("Live")
    here.page.keyboard.press("Space")

    expect(here.page.locator("#live")).to_have_attribute("aria-pressed", "false")


def test_focus_is_seen(visit):
    here = visit()

    here.page.keyboard.press("Tab")
    outline = here.page.locator("#start").evaluate("button => getComputedStyle(button).outlineStyle")
    here.page.keyboard.press("Tab")
    label = here.page.locator(".picker label").evaluate("label => getComputedStyle(label).outlineStyle")

    assert (outline, label) == ("solid", "solid")


def test_file_chooser_opens_by_keyboard(visit, faces):
    here = visit()
    # Playwright takes choosers over from the first listener on, but does not wait until the browser knows.
    choosers = []
    here.page.on("filechooser", lambda chooser: choosers.append(chooser))
    here.page.locator("#file").focus()
    while not choosers:  # for the limit of time of the test
        here.page.keyboard.press("Enter")
        here.page.wait_for_timeout(500)
    choosers[0].set_files(faces["attack"])

    here.see("Attack")


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_page_never_scrolls_sideways(visit, faces, width):
    here = visit(viewport={"width": width, "height": 740})
    here.upload(faces["attack"], faces["live"])
    here.page.get_by_text("Details of this answer").click()

    wide = here.page.evaluate("document.documentElement.scrollWidth")

    here.shoot(f"width-{width}")
    assert wide <= width


def test_phone_shows_the_camera_and_its_buttons_without_scrolling(visit, camera_file):
    here = visit(camera_file("live"), expected=(501,), viewport=PHONE, is_mobile=True, has_touch=True)

    here.start_camera()

    expect(here.page.get_by_role("button", name="Take picture")).to_be_in_viewport(ratio=1)
    box = here.page.get_by_role("button", name="Take picture").bounding_box()
    assert box["height"] >= 44
    here.shoot("phone-camera")


@pytest.mark.parametrize(("motion", "seconds"), [("reduce", "0s"), ("no-preference", "0.25s")])
def test_motion_stops_for_who_asks_for_it(visit, faces, motion, seconds):
    here = visit(reduced_motion=motion)

    here.upload(faces["live"])

    moved = here.page.locator("#bar-score").evaluate("bar => getComputedStyle(bar).transitionDuration")
    assert moved == seconds
