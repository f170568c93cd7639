"""The same file gets the same answer from the command, from the service and from bulk scoring."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

import facepad as package
from facepad.scale.items import Item, media_of
from facepad.scale.scoring import score_batch
from facepad.service.app import create_app
from facepad.service.settings import Settings
from helpers.phone_files import CLIPS, GREY, IMAGES, PICTURE, image_file

FILES = IMAGES | CLIPS


@pytest.fixture(scope="module")
def model(make_model, tmp_path_factory):
    """A model of whole frames, which needs no faces."""
    return make_model(tmp_path_factory.mktemp("model") / "tiny.facepad", crop_scale=None)


@pytest.fixture(scope="module")
def predictor(model):
    return package.load(model)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phone")
    for name, make in FILES.items():
        (folder / name).write_bytes(make())
    (folder / "animation.gif").write_bytes(b"GIF89a")
    (folder / "notes.txt").touch()
    return folder


@pytest.fixture(scope="module")
def client(predictor):
    with TestClient(create_app(Settings(), predictor), base_url="http://localhost") as client:
        yield client


def test_command_service_and_bulk_scoring_agree_on_each_file(folder, facepad, model, predictor, client):
    code, out, err = facepad("predict", folder, "--json", "--model", model)
    assert code == 0
    assert err.splitlines()[0] == "2 files were not read: 1 .gif, 1 .txt"
    command = {}
    for result in json.loads(out)["results"]:
        decision = result["decisions"][0]
        command[result["path"].rpartition("/")[2]] = (decision["score"], decision["label"], result.get("note"))
    assert set(command) == set(FILES)
    items = [Item(name, media_of(name), str(folder / name)) for name in FILES]
    bulk = {one.item.key: (one.score, one.decision) for one in score_batch(predictor, items).items}
    right = predictor.predict(PICTURE)[0].score
    for name in FILES:
        answer = client.post("/v1/liveness", content=(folder / name).read_bytes()).json()
        score, label, note = command[name]
        assert answer["score"] == pytest.approx(score, abs=1e-6), name
        assert bulk[name][0] == pytest.approx(score, abs=1e-6), name
        assert answer["label"] == bulk[name][1] == label, name
        assert answer["files"][0]["kind"] == ("clip" if name in CLIPS else "image"), name
        assert (answer["files"][0].get("note") if name in CLIPS else None) == note, name
        assert name == GREY or score == pytest.approx(right, abs=0.02), name


def test_heic_is_one_whole_image_to_the_service_and_an_unreadable_file_where_it_is_damaged(client):
    content = image_file("HEIF", tile_size=64)
    file = client.post("/v1/liveness", content=content).json()["files"][0]
    assert (file["kind"], file["size"]) == ("image", list(PICTURE.shape[:2]))
    answer = client.post("/v1/liveness", content=content[: len(content) // 2])
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:facepad:problem:unreadable")


def test_disguised_sequence_is_no_clip_to_the_service(client):
    content = CLIPS["hevc.mp4"]()
    answer = client.post("/v1/liveness", content=content[:8] + b"hevc" + content[12:])
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:facepad:problem:unreadable")
