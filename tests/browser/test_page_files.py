"""Pictures and clips that are chosen or dropped: what the page shows of the service's answers."""

from __future__ import annotations

import json

import pytest

from facepad.media.images import read_image
from facepad.media.videos import write_video

expect = pytest.importorskip("playwright.sync_api", reason="no playwright").expect


def test_chosen_picture_of_a_person_is_live_with_score_threshold_face_and_depth(visit, faces):
    here = visit()
    page = here.page
    page.get_by_label("Show which places of a picture decided").check()

    here.upload(faces["live"])

    here.see("Live")
    expect(page.locator("#sentence")).to_contain_text("reaches the threshold 0.500")
    expect(page.get_by_role("img", name="Score 0.")).to_be_visible()
    expect(page.locator("#picture-box rect.face")).to_have_count(1)
    assert page.locator("#depth-map").evaluate("image => image.complete && image.naturalWidth") == 16
    assert page.locator("#why-map").evaluate("image => image.complete && image.naturalWidth") > 16
    expect(page.get_by_role("status")).to_contain_text("Live. The score")
    here.shoot("live")


def test_chosen_picture_of_an_attack_is_described_in_words(visit, faces):
    here = visit()

    here.upload(faces["attack"])

    here.see("Attack")
    expect(here.page.locator("#why")).to_be_hidden()
    expect(here.page.locator("#sentence")).to_contain_text("is below the threshold 0.500")
    expect(here.page.get_by_role("status")).to_contain_text("Attack. The score")
    here.shoot("attack")


def test_picture_without_a_face_is_undecided_and_says_what_to_do(visit, faces):
    here = visit()

    here.upload(faces["nobody"])

    here.see("Undecided")
    expect(here.page.locator("#advice")).to_contain_text("Look at the camera")
    expect(here.page.locator("#bar")).to_be_hidden()
    expect(here.page.locator("#depth")).to_be_hidden()
    here.shoot("undecided")


def test_mark_of_the_threshold_stands_where_its_value_is(visit, faces):
    here = visit()

    here.upload(faces["attack"])

    track, mark = (here.page.locator(name).bounding_box() for name in (".track", "#bar-threshold"))
    assert mark["x"] + mark["width"] / 2 == pytest.approx(track["x"] + track["width"] / 2, abs=2)
    fill = here.page.locator("#bar-score").bounding_box()
    score = float(here.page.locator("#history tbody tr td").last.text_content())
    assert fill["width"] / track["width"] == pytest.approx(score, abs=0.02)


def test_face_box_lies_where_the_service_says(visit, faces):
    here = visit()
    here.upload(faces["live"])
    x1, _, x2, _ = here.saved()[0]["answer"]["box"]
    width = read_image(faces["live"]).shape[1]

    frame = here.page.locator("#picture-box").bounding_box()
    box = here.page.locator("#picture-box rect.face").bounding_box()

    scale = frame["width"] / width
    assert box["x"] - frame["x"] == pytest.approx(x1 * scale, abs=3)
    assert box["width"] == pytest.approx((x2 - x1) * scale, abs=6)


def test_file_that_is_no_picture_is_refused_with_what_to_choose(visit, tmp_path):
    here = visit(expected=[415])
    text = tmp_path / "notes.txt"
    text.write_text("no picture")

    here.page.get_by_label("Choose files").set_input_files(text)

    expect(here.page.get_by_role("alert").filter(visible=True)).to_contain_text("Neither a picture nor a clip")
    expect(here.page.locator("#history")).to_be_hidden()


def test_broken_picture_is_refused_and_the_next_one_clears_the_problem(visit, faces, tmp_path):
    here = visit(expected=[422])
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(faces["live"].read_bytes()[:400])

    here.page.get_by_label("Choose files").set_input_files(broken)
    expect(here.page.locator("#problem")).to_contain_text("The file cannot be read")
    here.upload(faces["live"])

    here.see("Live")
    expect(here.page.locator("#problem")).to_be_hidden()


def test_verdict_of_a_file_is_gone_when_the_next_one_is_refused(visit, faces, tmp_path):
    here = visit(expected=[422])
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(faces["live"].read_bytes()[:400])
    here.upload(faces["live"])
    here.see("Live")

    here.page.get_by_label("Choose files").set_input_files(broken)
    expect(here.page.locator("#problem")).to_contain_text("The file cannot be read")

    here.see_no_verdict("The file cannot be read.")
    here.shoot("refused-second-file")


def test_verdict_of_a_file_is_gone_while_the_next_one_is_judged(visit, faces):
    here = visit()
    here.upload(faces["live"])
    here.page.route("**/v1/liveness*", lambda route: None)

    here.page.get_by_label("Choose files").set_input_files(faces["attack"])

    here.see_no_verdict("Judging")


def test_last_of_several_files_leaves_no_verdict_where_it_is_refused(visit, faces, tmp_path):
    here = visit(expected=[415])
    text = tmp_path / "notes.txt"
    text.write_text("no picture")

    here.page.get_by_label("Choose files").set_input_files([faces["live"], text])
    expect(here.page.locator("#problem")).to_contain_text("One of 2 files cannot be judged")

    here.see_no_verdict("notes.txt cannot be judged.")
    assert [entry["source"] for entry in here.saved()] == ["live.jpg"]


def test_several_files_are_judged_each_for_itself(visit, faces):
    here = visit()

    here.upload(faces["live"], faces["attack"], faces["nobody"])

    verdicts = here.page.locator("#history tbody tr td:nth-child(3)").all_text_contents()
    assert verdicts == ["Undecided", "Attack", "Live"]


def test_files_that_cannot_be_judged_do_not_stop_the_others(visit, faces, tmp_path):
    here = visit(expected=[415, 400])
    text, empty = tmp_path / "notes.txt", tmp_path / "empty.jpg"
    text.write_text("no picture")
    empty.touch()

    here.page.get_by_label("Choose files").set_input_files([text, faces["live"], empty, faces["attack"]])

    expect(here.page.locator("#problem")).to_contain_text("2 of 4 files cannot be judged")
    expect(here.page.locator("#problem")).to_contain_text("notes.txt, empty.jpg")
    assert [entry["source"] for entry in here.saved()] == ["live.jpg", "attack.jpg"]


def test_file_beyond_the_limit_is_refused_by_the_service(visit, faces, tmp_path):
    here = visit(expected=[413])
    large = tmp_path / "large.jpg"
    large.write_bytes(faces["live"].read_bytes() + bytes(40 * 2**20))

    here.page.get_by_label("Choose files").set_input_files(large)

    expect(here.page.locator("#problem")).to_contain_text("The file is too large")


def test_dropped_picture_is_judged(visit, faces):
    here = visit()
    page = here.page
    bytes_ = list(faces["attack"].read_bytes())
    make = """bytes => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", { type: "image/jpeg" }));
      return transfer;
    }"""
    transfer = page.evaluate_handle(make, bytes_)

    page.dispatch_event("#stage", "dragover", {"dataTransfer": transfer})
    expect(page.get_by_text("Drop to judge it")).to_be_visible()
    page.dispatch_event("#stage", "drop", {"dataTransfer": transfer})

    here.see("Attack")
    expect(page.get_by_text("Drop to judge it")).to_be_hidden()
    expect(page.locator("#history tbody tr")).to_contain_text("dropped.jpg")


def test_clip_shows_the_scores_of_its_frames(visit, faces, tmp_path):
    here = visit()
    clip = tmp_path / "clip.mp4"
    write_video(clip, [read_image(faces[name]) for name in ("live",) * 7 + ("attack",)], rate=10)

    here.upload(clip)

    here.see("Live")
    expect(here.page.locator("#frames-caption")).to_contain_text("Scores of 8 of 8 frames")
    heights = here.page.locator("#frame-scores rect").evaluate_all(
        "bars => bars.map(bar => +bar.getAttribute('height'))"
    )
    assert len(heights) == 8 and min(heights[:7]) > 50 > heights[7]
    here.shoot("clip")


@pytest.mark.parametrize(
    ("reason", "improve"),
    [
        ("face_too_small", "Come closer"),
        ("too_dark", "light falls on the face"),
        ("too_bright", "out of direct light"),
        ("too_blurred", "Hold still"),
        ("challenge_failed", "Start again"),
        ("something_new", "something new"),
    ],
)
def test_each_reason_says_what_to_improve(visit, faces, reason, improve):
    def answer(route):
        given = route.fetch().json()
        route.fulfill(json=given | {"label": None, "score": None, "status": "low_quality", "reasons": [reason]})

    here = visit(before=lambda page: page.route("**/v1/liveness*", answer))

    here.upload(faces["live"])

    here.see("Undecided")
    expect(here.page.locator("#advice")).to_contain_text(improve)


def test_model_without_threshold_gives_scores_only(visit, faces):
    def answer(route):
        changed = {"label": None, "threshold": None, "reasons": ["no_threshold"]}
        route.fulfill(json=route.fetch().json() | changed)

    here = visit(before=lambda page: page.route("**/v1/liveness*", answer))

    here.upload(faces["live"])

    here.see("Undecided")
    expect(here.page.locator("#sentence")).to_contain_text("This model gives scores only")
    expect(here.page.locator("#bar-threshold")).to_be_hidden()


def test_history_is_downloaded_without_pictures(visit, faces):
    here = visit()
    here.upload(faces["live"], faces["nobody"])

    entries = here.saved()

    assert [entry["source"] for entry in entries] == ["live.jpg", "nobody.jpg"]
    assert entries[0]["answer"]["label"] == "bona_fide" and entries[1]["answer"]["reasons"] == ["no_face"]
    assert "depth_map" not in json.dumps(entries) and "base64" not in json.dumps(entries)


def test_cleared_history_is_empty(visit, faces):
    here = visit()
    here.upload(faces["live"])

    here.page.get_by_role("button", name="Clear").click()

    expect(here.page.locator("#history")).to_be_hidden()
    expect(here.page.get_by_role("button", name="Download as JSON")).to_be_disabled()
