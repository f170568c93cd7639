"""The service in this process, from request to answer."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

import facepad as package
from facepad.errors import InputError
from facepad.predict.pipeline import Pipeline
from facepad.predict.predictor import Predictor
from facepad.service.app import create_app
from facepad.service.keys import add_key
from facepad.service.settings import Settings
from helpers.patience import PATIENCE
from helpers.served import ATTACK, DARK, LIVE, bearer, clip, encoded, parts, picture, problem

# Answers


def test_image_is_judged_as_the_predictor_judges_it(start, predictor):
    client = start()
    for image, label in ((LIVE, "bona_fide"), (ATTACK, "attack")):
        answer = client.post("/v1/liveness", content=encoded(image)).json()
        (decision,) = predictor.predict(encoded(image))
        assert (answer["label"], answer["score"]) == (label, decision.score)
        assert (answer["status"], answer["reasons"], answer["threshold"]) == ("scored", [], 0.5)
        assert answer["files"][0]["decisions"][0]["score"] == decision.score
        assert answer["files"][0]["size"] == [64, 64]
        assert answer["depth_map"] is None


def test_answer_names_model_and_threshold_with_origin(start, predictor):
    answer = start().post("/v1/liveness", content=encoded(LIVE)).json()
    model = answer["model"]
    assert (model["name"], model["sha256"]) == ("tiny", predictor.bundle.sha256)
    assert model["threshold"]["value"] == 0.5
    assert model["threshold"]["origin"]["source"] == "given"
    assert answer["facepad"] == package.__version__
    assert set(answer["timings"]) == {"read", "wait", "detect", "prepare", "score", "total"}
    assert all(seconds >= 0 for seconds in answer["timings"].values())


def test_faces_are_found_and_their_box_is_given(make_model, tmp_path, synthetic_faces, start):
    model = package.load(make_model(tmp_path / "faces.facepad"))
    client = start(predictor=model)
    content = synthetic_faces[0].read_bytes()
    answer = client.post("/v1/liveness?why=true", content=content).json()
    assert answer["occlusion_map"].startswith("data:image/jpeg;base64,")
    decision = model.predict(content)[0]
    assert answer["box"] == list(decision.box.xyxy)
    assert answer["score"] == decision.score
    assert answer["quality"] == asdict(decision.quality) == answer["files"][0]["decisions"][0]["quality"]
    nobody = client.post("/v1/liveness", content=encoded(picture(120, 120, 200))).json()
    assert (nobody["label"], nobody["score"], nobody["box"]) == (None, None, None)
    assert (nobody["status"], nobody["reasons"]) == ("no_face", ["no_face"])


def test_answer_without_a_query_is_the_answer_with_the_default_values(start):
    client = start()
    plain, asked = (
        client.post(f"/v1/liveness{query}", content=encoded(LIVE), headers={"x-request-id": "one"})
        for query in ("", "?depth=false&why=false&policy=all")
    )
    headers = [{**answer.headers, "content-length": None} for answer in (plain, asked)]
    answers = [answer.json() for answer in (plain, asked)]
    for decision in (*answers, *(one for answer in answers for file in answer["files"] for one in file["decisions"])):
        del decision["timings"]
    assert (plain.status_code, headers[0], list(answers[0].items())) == (200, headers[1], list(answers[1].items()))
    assert client.get("/v1/models").content == client.get("/v1/models?all").content


def test_poor_picture_is_undecided_with_its_reasons(start):
    answer = start().post("/v1/liveness", content=encoded(DARK)).json()
    assert (answer["label"], answer["status"]) == (None, "low_quality")
    assert "too_dark" in answer["reasons"]


def test_model_without_threshold_scores_and_stays_undecided(start, make_model, tmp_path):
    model = package.load(make_model(tmp_path / "m.facepad", crop_scale=None, threshold=None))
    answer = start(predictor=model).post("/v1/liveness", content=encoded(LIVE)).json()
    assert (answer["label"], answer["reasons"], answer["threshold"]) == (None, ["no_threshold"], None)
    assert answer["score"] > 0.5


def test_depth_map_comes_when_asked_for(start, predictor):
    answer = start().post("/v1/liveness?depth=true", content=encoded(LIVE)).json()
    kind, _, data = answer["depth_map"].partition(",")
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
    expected = predictor.predict(encoded(LIVE))[0].depth_map
    assert kind == "data:image/png;base64"
    np.testing.assert_allclose(shown / 255, expected, atol=0.5 / 255 + 1e-6)
    assert answer["files"][0]["decisions"][0]["depth_map"] == answer["depth_map"]


def test_occlusion_map_of_an_image_comes_when_asked_for(start, predictor):
    client = start()
    plain = client.post("/v1/liveness", files=parts(encoded(LIVE), encoded(ATTACK))).json()
    answer = client.post("/v1/liveness?why=true", files=parts(encoded(LIVE), encoded(ATTACK))).json()
    assert plain["occlusion_map"] is None
    assert [answer[name] for name in ("score", "label", "decided_by")] == [
        plain["score"],
        "attack",
        plain["decided_by"],
    ]
    kind, _, data = answer["occlusion_map"].partition(",")
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)
    expected = predictor.pipeline.why(ATTACK, None).drawn_on(ATTACK)
    assert kind == "data:image/jpeg;base64" and shown.shape == expected.shape
    places = [cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA).astype(int) for image in (shown, expected)]
    assert np.abs(places[0] - places[1]).max() < 8  # a JPEG of noise
    assert client.post("/v1/liveness?why=true", content=encoded(DARK)).json()["occlusion_map"] is None


def test_files_of_a_request_are_one_presentation(start, predictor):
    answer = start().post("/v1/liveness", files=parts(encoded(LIVE), encoded(ATTACK), encoded(LIVE))).json()
    scores = [predictor.predict(encoded(image))[0].score for image in (LIVE, ATTACK, LIVE)]
    assert [one["decisions"][0]["score"] for one in answer["files"]] == scores
    assert (answer["label"], answer["score"], answer["policy"]) == ("attack", scores[1], "all")
    assert answer["decided_by"] == {"file": 1, "frames": [0, 0], "frame": 0, "face": 0}


def test_live_files_outvote_an_attack_only_where_the_request_says_so(start, predictor):
    client, files = start(), parts(*[encoded(LIVE)] * 5, encoded(ATTACK), encoded(DARK))
    answers = {policy: client.post(f"/v1/liveness?policy={policy}", files=files).json() for policy in ("all", "mean")}
    assert [answers[policy]["label"] for policy in ("all", "mean")] == ["attack", "bona_fide"]
    assert answers["all"]["decided_by"]["file"] == 5
    undecided = client.post("/v1/liveness", files=parts(*[encoded(LIVE)] * 5, encoded(DARK))).json()
    assert (undecided["label"], undecided["score"], undecided["decided_by"]["file"]) == (None, None, 5)
    assert "too_dark" in undecided["reasons"]
    problem(client.post("/v1/liveness?policy=max", files=files), "bad-request")


@pytest.mark.parametrize("query", ["faces=all", "polici=min", "threshold=0.9", "policy=min&policy=mean"])
def test_unknown_or_repeated_query_parameter_is_refused(start, query):
    client = start()
    refused = client.post(f"/v1/liveness?{query}", content=encoded(LIVE))
    problem(refused, "bad-request")
    assert query.split("=")[0] in refused.json()["detail"]


def test_clip_that_is_half_a_replay_is_an_attack(start, tmp_path):
    answer = start().post("/v1/liveness?why=true", content=clip(tmp_path, [LIVE] * 15 + [ATTACK] * 5)).json()
    assert (answer["label"], answer["files"][0]["decision"]["label"]) == ("attack", "attack")
    assert answer["decided_by"]["frames"] == [15, 19] and answer["occlusion_map"] is None


def test_clip_is_judged_as_the_predictor_judges_it(start, predictor, tmp_path):
    content = clip(tmp_path, [LIVE] * 20 + [ATTACK] * 10)
    answer = start().post("/v1/liveness?depth=true", content=content).json()
    expected = predictor.predict_video(tmp_path / "clip.mp4")
    assert (answer["score"], answer["label"]) == (expected.decision.score, expected.decision.label)
    (file,) = answer["files"]
    assert file["kind"] == "clip"
    assert [frame["index"] for frame in file["frames"]] == [frame.index for frame in expected.frames]
    assert file["decision"]["depth_map"].startswith("data:image/png")


def test_many_at_once_get_their_own_answers(start, predictor):
    client = start()
    images = [encoded(picture(60 + 10 * n, 200 - 10 * n)) for n in range(16)]
    expected = [predictor.predict(image)[0].score for image in images]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda content: client.post("/v1/liveness", content=content).json(), images * 3))
    # In a batch the sums may be added up in another order than for a single image.
    assert [answer["score"] for answer in answers] == pytest.approx(expected * 3, abs=1e-6)


def as_json(*images: object) -> dict:
    return {"json": {"images": list(images)}}


def test_json_with_base64_or_data_uris_is_judged_like_files(start, tmp_path):
    client = start()
    plain, uri = (
        base64.b64encode(encoded(LIVE)).decode(),
        f"data:image/png;base64,{base64.b64encode(encoded(LIVE)).decode()}",
    )
    expected = client.post("/v1/liveness", content=encoded(LIVE)).json()
    wrapped = "\n".join(plain[place : place + 76] for place in range(0, len(plain), 76))
    for sent in (as_json(plain), as_json(uri), as_json(wrapped), {"content": json.dumps({"images": [plain]})}):
        answer = client.post("/v1/liveness", **sent).json()
        assert (answer["label"], answer["score"]) == ("bona_fide", expected["score"])
    mixed = client.post("/v1/liveness", **as_json(uri, base64.b64encode(encoded(ATTACK)).decode())).json()
    assert (mixed["label"], len(mixed["files"])) == ("attack", 2)
    moving = base64.b64encode(clip(tmp_path, [LIVE] * 5)).decode()
    assert client.post("/v1/liveness", **as_json(moving)).json()["files"][0]["kind"] == "clip"


def test_multipart_part_named_file_is_judged(start):
    client = start()
    answer = client.post("/v1/liveness", files={"file": ("a.png", encoded(LIVE))}).json()
    assert (answer["label"], len(answer["files"])) == ("bona_fide", 1)


# Refusals


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ({"content": b""}, "bad-request"),
        ({"content": b"GIF89a" + bytes(100)}, "unsupported-media"),
        ({"content": b"hello"}, "unsupported-media"),
        ({"content": encoded(LIVE)[:200]}, "unreadable"),
        ({"content": b"\xff\xd8\xff" + bytes(500)}, "unreadable"),
        ({"content": b"\x00\x00\x00\x18ftypmp42" + bytes(500)}, "unreadable"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "bad-request"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=a"}}, "bad-request"),
        ({"content": b"x", "headers": {"content-type": "multipart/mixed; boundary=a"}}, "bad-request"),
        ({"files": [("photo", ("a.png", encoded(LIVE)))]}, "bad-request"),
        ({"files": parts(encoded(LIVE)), "data": {"files": "text"}}, "bad-request"),
        ({"files": parts(b"")}, "bad-request"),
        ({"files": parts(encoded(LIVE), b"no image")}, "unsupported-media"),
        ({"files": parts(*[encoded(LIVE)] * 33)}, "too-large"),
        ({"files": parts(*[b"x"] * 1000)}, "too-large"),
        ({"content": encoded(LIVE), "params": {"depth": "perhaps"}}, "bad-request"),
        ({"json": {}}, "bad-request"),
        ({"json": {"images": []}}, "bad-request"),
        ({"json": {"images": "abc"}}, "bad-request"),
        ({"json": {"images": [7]}}, "bad-request"),
        ({"json": {"images": [""]}}, "bad-request"),
        ({"json": {"images": ["a"], "user_id": 7}}, "bad-request"),
        ({"json": {"images": ["not base64!"]}}, "bad-request"),
        ({"json": {"images": ["data:image/png,abc"]}}, "bad-request"),
        ({"json": {"images": ["https://example.org/a.png"]}}, "bad-request"),
        ({"json": {"images": ["aGVsbG8="]}}, "unsupported-media"),
        ({"json": {"images": ["aGVsbG8="] * 33}}, "too-large"),
        ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, "bad-request"),
        ({"content": encoded(LIVE), "headers": {"content-type": "application/json"}}, "bad-request"),
    ],
)
def test_wrong_request_gets_its_problem(start, sent, name):
    problem(start().post("/v1/liveness", **sent), name)


@pytest.mark.parametrize("sent", [{}, {"content": b"hello"}, {"json": {"image": "abc"}}, {"data": {"image": "abc"}}])
def test_refusal_says_what_the_service_takes(start, sent):
    detail = start().post("/v1/liveness", **sent).json()["detail"]
    assert all(name in detail for name in ("'files'", "'file'", '{"images": ['))


def test_unreadable_files_are_named_by_their_place(start):
    document = problem(start().post("/v1/liveness", files=parts(encoded(LIVE), encoded(LIVE)[:99])), "unreadable")
    assert [one["file"] for one in document["files"]] == [1]
    assert "1 of 2 files" in document["detail"]


def test_kind_of_a_polyglot_comes_from_its_bytes(start):
    answer = start().post(
        "/v1/liveness", content=encoded(LIVE) + b"<script>alert(1)</script>", headers={"content-type": "text/html"}
    )
    assert answer.json()["label"] == "bona_fide"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_bomb_of_pixels_is_refused_before_it_is_decoded(start, monkeypatch, ending):
    huge = cv2.imencode(ending, np.zeros((10_000, 10_000), np.uint8))[1].tobytes()
    assert len(huge) < 2_000_000
    decoded = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: decoded.append(image))
    assert "10000x10000" in problem(start().post("/v1/liveness", content=huge), "too-large")["detail"]
    assert not decoded


def test_body_above_the_limit_is_refused(start):
    client = start(max_bytes=1000)
    problem(client.post("/v1/liveness", content=b"x" * 1001), "too-large")
    problem(
        client.post("/v1/liveness", content=iter([b"x" * 600] * 2)), "too-large"
    )  # A body without a declared length.


@pytest.mark.parametrize("length", ["-1", "abc", "1e3"])
def test_length_that_is_not_a_number_is_refused(start, length):
    response = start().post("/v1/liveness", content=b"x", headers={"content-length": length})
    problem(response, "bad-request")


def test_jpeg_of_many_scans_is_refused_before_it_is_decoded(start):
    jpeg = cv2.imencode(".jpg", LIVE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    client = start()
    assert client.post("/v1/liveness", content=jpeg).status_code == 200
    last = jpeg.rindex(b"\xff\xda")
    problem(client.post("/v1/liveness", content=jpeg[:-2] + jpeg[last:-2] * 100 + jpeg[-2:]), "too-large")


def test_clip_of_many_large_frames_is_refused_before_it_is_decoded(start, tmp_path, monkeypatch):
    monkeypatch.setattr("facepad.service.examiner.CLIP_PIXELS", 64 * 64 * 20)
    client = start()
    assert client.post("/v1/liveness", content=clip(tmp_path, [LIVE] * 20)).status_code == 200
    problem(client.post("/v1/liveness", content=clip(tmp_path, [LIVE] * 21)), "too-large")


def test_clip_of_an_unknown_codec_is_unreadable(start, tmp_path):
    content = clip(tmp_path, [LIVE] * 5, "clip.avi")
    client = start()
    assert client.post("/v1/liveness", content=content).status_code == 200
    assert (
        "codec"
        in problem(client.post("/v1/liveness", content=content.replace(b"FMP4", b"ZZZZ")), "unreadable")["detail"]
    )


def test_time_out_also_ends_the_decoding(start, tmp_path, predictor):
    content, examined = clip(tmp_path, [LIVE] * 200), 0
    for seconds in (0.3, 3, 20):  # A busy machine may need longer until the first frame.
        slow = Slow(predictor.bundle)
        client = start(predictor=Predictor(slow), timeout=seconds)
        problem(client.post("/v1/liveness", content=content), "timeout")
        slow.go.set()
        while slow.entered.acquire(timeout=0.5):
            examined += 1
        if examined:
            break
    assert 1 <= examined <= 2  # Of 20 frames, those that were being examined.


def test_faces_beyond_the_most_prominent_are_not_scored(start, predictor, monkeypatch):
    one = predictor.pipeline.examine(encoded(LIVE))
    monkeypatch.setattr(predictor.pipeline, "examine", lambda _: replace(one, faces=one.faces * 40))
    answer = start().post("/v1/liveness", content=encoded(LIVE)).json()
    assert len(answer["files"][0]["decisions"]) == 16


def test_image_with_too_many_faces_is_undecided_if_all_must_be_live(start, make_model, tmp_path, monkeypatch):
    strict = package.load(make_model(tmp_path / "m.facepad", crop_scale=None), faces="all")
    one = strict.pipeline.examine(encoded(LIVE))
    for count, label in ((16, "bona_fide"), (17, None)):
        monkeypatch.setattr(strict.pipeline, "examine", lambda _, count=count: replace(one, faces=one.faces * count))
        answer = start(predictor=strict).post("/v1/liveness", content=encoded(LIVE)).json()
        assert answer["label"] == label and ("multiple_faces" in answer["reasons"]) is (label is None)


def test_long_clip_is_refused(start, tmp_path):
    content = clip(tmp_path, [LIVE] * 601, rate=1)
    assert "601 s" in problem(start().post("/v1/liveness", content=content), "too-large")["detail"]


def test_unknown_addresses_and_methods_get_problems(start):
    client = start()
    problem(client.get("/v2/liveness"), "not-found")
    problem(client.get("/../../etc/passwd"), "not-found")
    problem(client.get("/page/..%2f..%2fapp.py"), "not-found")
    response = client.get("/v1/liveness")
    problem(response, "method-not-allowed")
    assert response.headers["allow"] == "POST"


def test_header_that_would_be_injected_is_not_sent_back(start):
    response = start().get("/healthz", headers={"x-request-id": "a b<script>"})
    assert response.headers["x-request-id"] != "a b<script>"
    assert start().get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"


# Who may call


def test_keys_are_needed_where_there_are_keys(start, tmp_path):
    key = add_key(tmp_path / "keys", "login")
    client = start(api_keys=tmp_path / "keys")
    for headers in ({}, {"Authorization": f"Bearer {key}x"}, {"Authorization": f"Basic {key}"}, {"Authorization": key}):
        for method, address in (
            ("POST", "/v1/liveness"),
            ("POST", "/v1/liveness?policy=all"),
            ("GET", "/v1/models"),
            ("GET", "/v1/models?all"),
            ("GET", "/metrics"),
            ("POST", "/v1/sessions"),
            ("GET", "/v1/sessions/1"),
        ):
            response = client.request(method, address, headers=headers)
            problem(response, "unauthorized")
            assert response.headers["www-authenticate"] == "Bearer"
    allowed = {"Authorization": f"Bearer {key}"}
    assert client.get("/v1/models", headers=allowed).json()["models"][0]["name"] == "tiny"
    assert client.post("/v1/liveness", content=encoded(LIVE), headers=allowed).status_code == 200
    assert [client.get(address).status_code for address in ("/", "/healthz", "/readyz")] == [200, 200, 200]


def test_pages_of_other_origins_may_not_call(start):
    client = start()
    for origin in ("https://evil.example", "http://localhost:1", "null", "http://[", ""):
        response = client.post("/v1/liveness", content=encoded(LIVE), headers={"Origin": origin})
        problem(response, "forbidden-origin")
    own = client.post("/v1/liveness", content=encoded(LIVE), headers={"Origin": "http://localhost"})
    assert own.status_code == 200
    assert "access-control-allow-origin" not in own.headers


def test_origin_that_is_named_may_call(start):
    client = start(cors=("https://login.example",))
    asked = {"Origin": "https://login.example"}
    before = client.options("/v1/liveness", headers={**asked, "Access-Control-Request-Method": "POST"})
    assert before.headers["access-control-allow-origin"] == "https://login.example"
    answer = client.post("/v1/liveness", content=encoded(LIVE), headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://login.example")
    problem(
        client.post("/v1/liveness", content=encoded(LIVE), headers={"Origin": "https://evil.example"}),
        "forbidden-origin",
    )


def test_only_the_frame_of_the_widget_is_for_frames_and_only_of_named_origins(start):
    refused = ("frame-ancestors 'none'", "DENY")

    def policy(client, address: str) -> tuple[str, str | None]:
        headers = client.get(address).headers
        return headers["content-security-policy"].split("; ")[-1], headers.get("x-frame-options")

    named = start(cors=("https://login.example", "https://shop.example"))
    allowed = ("frame-ancestors https://login.example https://shop.example", None)
    assert policy(named, "/widget/frame.html") == allowed
    assert {policy(named, address) for address in ("/", "/docs", "/widget/frame.js", "/v1/models")} == {refused}
    assert policy(start(), "/widget/frame.html") == refused
    script = named.get("/widget/facepad-check.js", headers={"Origin": "https://login.example"})
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["access-control-allow-origin"] == "https://login.example"


def test_host_name_of_dns_rebinding_is_refused(start):
    for host in ("evil.example", "[::1", "", "localhost.evil.example", "localhost@evil.example"):
        problem(start().get("/v1/models", headers={"Host": host}), "forbidden-origin")
    for host in ("127.0.0.1:8000", "[::1]:8000", "LOCALHOST"):
        assert start().get("/v1/models", headers={"Host": host}).status_code == 200


def test_caller_beyond_the_rate_limit_is_told_when_to_retry(start, tmp_path):
    keys = {name: add_key(tmp_path / "keys", name) for name in ("a", "b")}
    client = start(rate=3, api_keys=tmp_path / "keys")

    def call(name):
        return client.post("/v1/liveness", content=encoded(LIVE), headers={"Authorization": f"Bearer {keys[name]}"})

    assert [call("a").status_code for _ in range(3)] == [200] * 3
    refused = call("a")
    problem(refused, "too-many-requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert call("b").status_code == 200


def test_head_is_answered_as_get_without_the_body(start):
    client = start()
    described = client.app.openapi()["paths"].items()
    paths = [path for path, methods in described if "get" in methods and "{" not in path]
    assert {"/healthz", "/metrics", "/v1/models"} <= set(paths)
    for path in [*paths, "/", "/docs", "/page/app.js", "/nowhere", "/v1/sessions/1", "/v1/liveness"]:
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("path", "target"), [("/docs/", "/docs"), ("/page?a=b&c", "/page/?a=b&c"), ("/v1/models/", "/v1/models")]
)
def test_redirect_does_not_name_the_host_of_the_caller(start, tmp_path, path, target):
    add_key(tmp_path / "keys.txt", "a")  # Without keys, only the names of this machine are accepted.
    client = start(api_keys=tmp_path / "keys.txt")
    redirect = client.get(path, headers={"Host": "evil.example/x?"}, follow_redirects=False)
    assert (redirect.status_code, redirect.headers["location"]) == (307, target)


def test_wrong_keys_are_limited_by_address_and_right_keys_are_not(start, tmp_path, monkeypatch):
    key = add_key(tmp_path / "keys.txt", "a")
    client = start(api_keys=tmp_path / "keys.txt")
    monkeypatch.setattr("facepad.service.guard.WRONG_KEYS", 3)
    for path in ("/v1/models", "/metrics", "/v1/sessions/1"):
        problem(client.get(path, headers=bearer("wrong")), "unauthorized")
    for headers in (bearer("wrong"), bearer("other"), {}):
        refused = client.get("/v1/models", headers=headers)
        problem(refused, "too-many-requests")
        assert 0 < int(refused.headers["retry-after"]) <= 60
    assert client.get("/v1/models", headers=bearer(key)).status_code == 200


# Load


class Slow(Pipeline):
    """A pipeline that examines nothing until it is let go."""

    def __init__(self, bundle):
        super().__init__(bundle)
        self.go, self.entered = threading.Event(), threading.Semaphore(0)

    def warm(self):
        return Pipeline(self.bundle).warm()

    def examine(self, image):
        self.entered.release()
        assert self.go.wait(PATIENCE)
        return super().examine(image)


def test_full_service_refuses_at_once_and_recovers(start, predictor):
    slow = Slow(predictor.bundle)
    client = start(predictor=Predictor(slow), queue=2)
    with ThreadPoolExecutor(2) as pool:
        inside = [pool.submit(client.post, "/v1/liveness", content=encoded(LIVE)) for _ in range(2)]
        for _ in inside:
            assert slow.entered.acquire(timeout=PATIENCE)
        refused = client.post("/v1/liveness", content=encoded(LIVE))
        problem(refused, "busy")
        assert refused.headers["retry-after"] == "1"
        slow.go.set()
        assert [one.result().status_code for one in inside] == [200, 200]
    assert client.post("/v1/liveness", content=encoded(LIVE)).status_code == 200


def test_request_that_takes_too_long_is_ended(start, predictor, monkeypatch):
    slow = Slow(predictor.bundle)
    client = start(predictor=Predictor(slow), timeout=0.2)
    response = client.post("/v1/liveness", content=encoded(LIVE))
    problem(response, "timeout")
    assert response.headers["retry-after"] == "1"
    slow.go.set()
    monkeypatch.setattr(client.app.state.running.judge, "_settings", Settings(timeout=PATIENCE))
    assert client.post("/v1/liveness", content=encoded(LIVE)).status_code == 200


def test_caller_that_fills_the_queue_does_not_shut_out_others(start, predictor, tmp_path):
    a, b = (bearer(add_key(tmp_path / "keys.txt", name)) for name in "ab")
    slow = Slow(predictor.bundle)
    client = start(predictor=Predictor(slow), queue=2, api_keys=tmp_path / "keys.txt")
    post = lambda headers: client.post("/v1/liveness", content=encoded(LIVE), headers=headers)  # noqa: E731
    with ThreadPoolExecutor(3) as pool:
        inside = [pool.submit(post, a), pool.submit(post, a)]
        for _ in inside:
            assert slow.entered.acquire(timeout=PATIENCE)
        problem(post(a), "busy")
        inside.append(pool.submit(post, b))
        gate = client.app.state.running.gate
        while not gate.requests_of("b") and not inside[-1].done():
            time.sleep(0.01)
        problem(post(b), "busy")
        slow.go.set()
        assert [one.result().status_code for one in inside] == [200, 200, 200]


def test_network_is_warm_before_the_service_is_ready(start, predictor, monkeypatch):
    scored = []
    decide = predictor.pipeline.decide
    monkeypatch.setattr(predictor.pipeline, "decide", lambda examined: scored.append(decide(examined)) or scored[-1])
    assert start().get("/readyz").status_code == 200
    assert len(scored) >= 2  # Once in each thread.
    assert all(decision.score is not None for batch in scored for (decision,) in batch)


def test_service_is_not_ready_before_it_has_started(predictor):
    client = TestClient(create_app(Settings(), predictor), base_url="http://localhost")
    problem(client.get("/readyz"), "not-ready")
    problem(client.post("/v1/liveness", content=encoded(LIVE)), "not-ready")
    assert client.get("/healthz").json() == {"status": "ok"}


def test_failure_inside_is_a_problem_without_traceback(start, predictor, caplog):
    slow = Slow(predictor.bundle)
    slow.go.set()
    client = start(predictor=Predictor(slow))

    def broken(image):
        raise KeyError("secret of the code")

    slow.examine = broken
    document = problem(client.post("/v1/liveness", content=encoded(LIVE)), "internal")
    assert "secret" not in json.dumps(document)
    assert document["request_id"] in caplog.text


# Traces


def test_nothing_is_written_anywhere(start, tmp_path, monkeypatch):
    """Not even a part of a multipart body that is longer than the usual buffer reaches the disk."""

    def forbidden(*_, **__):
        raise AssertionError("a file was made")

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    client = start()
    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp", "mkdtemp", "_mkstemp_inner"):
        monkeypatch.setattr(f"tempfile.{name}", forbidden)
    large = encoded(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8))
    assert len(large) > 2 * 1024 * 1024
    assert client.post("/v1/liveness", files=parts(large)).status_code == 200
    assert client.post("/v1/liveness", content=large).status_code == 200
    assert list(tmp_path.iterdir()) == []


def test_log_has_no_names_contents_or_queries(start, caplog):
    client = start()
    with caplog.at_level(logging.DEBUG, logger="facepad"):
        sent = [("files", ("anna-meier.png", encoded(LIVE)))]
        client.post("/v1/liveness?depth=true&who=anna-meier", files=sent)
        client.get("/anna-meier")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("facepad")]
    assert [json.loads(line)["route"] for line in lines] == ["/v1/liveness", "unknown"]
    assert "anna" not in "".join(lines)


def logged(file) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_decision_log_has_each_decision_and_no_picture(start, tmp_path, predictor):
    key = add_key(tmp_path / "keys", "login")
    client = start(decision_log=tmp_path / "decisions.jsonl", api_keys=tmp_path / "keys")
    headers = {"Authorization": f"Bearer {key}"}
    answers = [client.post("/v1/liveness", content=encoded(image), headers=headers) for image in (LIVE, ATTACK, DARK)]
    client.post("/v1/liveness", content=b"no picture", headers=headers)
    assert stat.S_IMODE((tmp_path / "decisions.jsonl").stat().st_mode) == 0o600
    lines = logged(tmp_path / "decisions.jsonl")
    assert [line["label"] for line in lines] == ["bona_fide", "attack", None]
    for line, answer in zip(lines, (answer.json() for answer in answers), strict=True):
        for name in ("request_id", "status", "reasons", "score", "threshold", "policy"):
            assert line[name] == answer[name]
        assert (line["key"], line["model_sha256"], line["session"]) == ("login", predictor.bundle.sha256, None)
    assert lines[0]["files"] == [hashlib.sha256(encoded(LIVE)).hexdigest()]
    assert max(map(len, (tmp_path / "decisions.jsonl").read_text().splitlines())) < 1000


def test_request_id_is_used_once_where_decisions_are_logged(start, tmp_path):
    client = start(decision_log=tmp_path / "decisions.jsonl", queue=8)
    named = {"X-Request-ID": "mine"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post("/v1/liveness", content=encoded(LIVE), headers=named), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    problem(client.post("/v1/liveness", content=encoded(LIVE), headers=named), "request-repeated")
    for _ in range(2):
        assert client.post("/v1/liveness", content=encoded(LIVE)).status_code == 200
    ids = [line["request_id"] for line in logged(tmp_path / "decisions.jsonl")]
    assert len(ids) == len(set(ids)) == 3


def test_decision_that_cannot_be_logged_is_not_given(start, tmp_path):
    log = tmp_path / "log" / "decisions.jsonl"
    with pytest.raises(InputError, match="cannot be written"):
        start(decision_log=log)
    log.parent.mkdir()
    client = start(decision_log=log)
    log.unlink()
    log.mkdir()
    assert "label" not in problem(client.post("/v1/liveness", content=encoded(LIVE)), "not-ready")


def test_metrics_count_what_happened(start):
    client = start()
    for image in (LIVE, LIVE, ATTACK, DARK):
        client.post("/v1/liveness", content=encoded(image))
    client.post("/v1/liveness", content=b"nothing")
    lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
    assert float(lines['facepad_decisions_total{label="bona_fide"}']) == 2
    assert float(lines['facepad_decisions_total{label="attack"}']) == 1
    assert float(lines['facepad_decisions_total{label="undecided"}']) == 1
    assert float(lines['facepad_non_responses_total{reason="too_dark"}']) == 1
    assert float(lines['facepad_requests_total{route="/v1/liveness",status="200"}']) == 4
    assert float(lines['facepad_requests_total{route="/v1/liveness",status="415"}']) == 1
    assert float(lines['facepad_request_seconds_count{route="/v1/liveness"}']) == 5
    assert float(lines["facepad_requests_inside"]) == 1  # This request.


def test_documentation_comes_from_here_alone(start):
    client = start()
    page = client.get("/docs").text
    assert "http://" not in page and "https://" not in page
    for address in ("/docs/ui/swagger-ui.css", "/docs/ui/swagger-ui-bundle.js", "/page/docs.js"):
        assert f'"{address[1:]}"' in page  # Relative, so that it also works below a path of a proxy.
        assert client.get(address).status_code == 200
    assert "/v1/liveness" in client.get("/openapi.json").json()["paths"]


def test_every_answer_carries_the_security_headers(start):
    client = start()
    for response in (client.get("/"), client.get("/none"), client.post("/v1/liveness", content=encoded(LIVE))):
        assert "script-src 'self'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert "x-request-id" in response.headers
