"""facepad predict from end to end: lines, the JSON document and its schema, exit codes, broken inputs, Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import weakref
from importlib.util import find_spec
from pathlib import Path, PurePath

import cv2
import numpy as np
import pytest

from facepad.errors import ImageError
from facepad.media.images import read_image, write_image
from facepad.media.videos import read_video, write_video
from facepad.metrics import Note, NoteKind, Threshold, ThresholdOrigin
from facepad.modelfile.bundle import read_bundle, write_bundle
from facepad.predict.pipeline import Pipeline
from facepad.predict.predictor import load
from facepad.predict.run import Outcome, Results, predict_sources
from facepad.predict.schema import Document
from facepad.predict.sources import Source, SourceKind
from facepad.predict.stream import Stream
from facepad.types import FrameDecision
from helpers.digests import digests
from helpers.patience import PATIENCE, eventually
from helpers.squares import BLUE, NOBODY, RED, picture

SCHEMA = Path(__file__).parents[2] / "docs" / "predict.schema.json"
DARK = (1, 1, 1)  # too dark to be scored
pytestmark = pytest.mark.usefixtures("stub_detector")


@pytest.fixture(scope="module")
def model(make_model, tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model") / "tiny.facepad")


@pytest.fixture
def predict(facepad, model):
    """The command with the tiny model and the stub detector: (exit code, stdout, stderr)."""
    return lambda *words: facepad("predict", *words, "--model", model, "--detector", "stub")


def checked(text: str) -> dict:
    """The JSON document of a text, valid by the pydantic models and by the committed schema."""
    document = json.loads(text)
    Document.model_validate_json(text)
    if find_spec("jsonschema"):  # A development package.
        import jsonschema

        jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    return document


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    write_image(folder / "anna" / "live.png", picture(RED))
    write_image(folder / "ben" / "attack.png", picture(BLUE))
    write_image(folder / "ben" / "nobody.png", picture(NOBODY))
    write_image(folder / "two.png", picture(RED, BLUE))
    return folder


def test_schema_is_current():
    expected = Document.model_json_schema(mode="serialization")
    made = "python -c 'import json; from facepad.predict.schema import Document as D; "
    made += 'print(json.dumps(D.model_json_schema(mode="serialization"), indent=1))\' > docs/predict.schema.json'
    assert json.loads(SCHEMA.read_text()) == expected, f"write the file again: {made}"


def test_schema_refuses_another_document():
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"results": []}, json.loads(SCHEMA.read_text()))


def test_lines_are_aligned_one_per_face(predict, photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    code, out, err = predict("photos")
    assert (code, err) == (3, "")  # nobody.png is undecided
    lines = out.splitlines()
    assert lines == [
        "photos/anna/live.png   live       score 0.9910  threshold 0.5000",
        "photos/ben/attack.png  attack     score 0.0090  threshold 0.5000",
        "photos/ben/nobody.png  undecided  score -       threshold 0.5000  no_face",
        "photos/two.png         live       score 0.9910  threshold 0.5000  face 1 of 2, decides",
        "photos/two.png         attack     score 0.0090  threshold 0.5000  face 2 of 2",
    ]


def test_line_of_the_face_that_decides_says_so(predict, photos):
    _, out, _ = predict(photos / "two.png", "--faces", "all")
    assert [line.split("  ")[-1] for line in out.splitlines()] == ["face 1 of 2", "face 2 of 2, decides"]


def test_json_is_one_document_by_the_schema(predict, photos, model):
    code, out, err = predict(photos, "--json")
    document = checked(out)
    assert (code, err) == (3, "")
    assert document["model"]["name"] == "tiny" and document["model"]["license"] == "Apache-2.0"
    assert len(document["model"]["sha256"]) == 64 and document["model"]["threshold"]["origin"]["source"] == "given"
    assert [(Path(r["path"]).name, r["kind"]) for r in document["results"]] == [
        (name, "image") for name in ("live.png", "attack.png", "nobody.png", "two.png")
    ]
    live, nobody = document["results"][0]["decisions"][0], document["results"][2]["decisions"][0]
    assert live["box"] == [0, 0, 64, 64] and live["label"] == "bona_fide" and live["reasons"] == []
    assert nobody["label"] is None and nobody["score"] is None and nobody["reasons"] == ["no_face"]
    assert document["counts"] == {
        "inputs": 4, "decisions": 5, "bona_fide": 2, "attack": 2, "undecided": 1, "unreadable": 0
    }  # fmt: skip
    assert document["failures"] == [] and document["complete"] is True


def test_quality_limits_decide_and_the_measured_values_are_in_the_document(predict, photos):
    code, out, _ = predict(photos / "anna", "--json", "--quality", "min_face=65,max_roll=none")
    decision = checked(out)["results"][0]["decisions"][0]
    assert (code, decision["reasons"], decision["score"]) == (3, ["face_too_small"], None)
    assert (decision["quality"]["side"], decision["quality"]["outside"], decision["quality"]["roll"]) == (64, 0, None)
    assert predict(photos / "anna", "--quality", "min_face=64")[0] == 0
    code, out, err = predict(photos / "anna", "--quality", "min_fase=64")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "unknown quality limit 'min_fase' (did you mean 'min_face'?)" in err


@pytest.mark.parametrize(
    ("colours", "faces", "code", "face"),
    [((DARK, RED), "largest", 3, 0), ((RED, DARK), "largest", 0, 0), ((RED, DARK), "all", 3, 1)],
)
def test_live_face_beside_an_undecided_face_is_a_success_only_if_it_counts(
    predict, tmp_path, colours, faces, code, face
):
    write_image(tmp_path / "two.png", picture(*colours))
    found, out, _ = predict(tmp_path / "two.png", "--json", "--faces", faces)
    (result,) = checked(out)["results"]
    assert {one["label"] for one in result["decisions"]} == {"bona_fide", None}
    assert (found, result["decided_by"]["face"]) == (code, face)


def test_fail_on_attack_exits_with_4_even_when_something_is_unreadable(predict, photos):
    assert predict(photos, "--fail-on", "attack")[0] == 4
    assert predict(photos / "anna", "--fail-on", "attack")[0] == 0
    (photos / "broken.jpg").write_bytes(b"no image")
    assert predict(photos, "--fail-on", "attack")[0] == 4
    assert predict(photos / "anna", photos / "broken.jpg", "--fail-on", "attack")[0] == 3


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jpg", b"", "is empty"),
        ("text.jpg", b"hello, this is no image", "not a JPEG, PNG, WebP, BMP, TIFF, HEIC or AVIF image"),
        ("wave.webp", b"RIFF\x00\x00\x00\x00WAVEfmt ", "not a JPEG"),
        ("gif.png", b"GIF89a" + bytes(40), "not a JPEG"),
        ("head.jpg", b"\xff\xd8\xff\xe0", "cannot be decoded"),
        ("head.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "cannot be decoded"),
        ("head.bmp", b"BM" + bytes(64), "cannot be decoded"),
        ("head.tif", b"II*\x00" + b"\xff" * 64, "cannot be decoded"),
        ("cut.png", "cut", "cannot be decoded"),
        ("bomb.png", "bomb", "10001x10000 pixels, the limit is 64000000 pixels"),
        ("gone.jpg", None, "cannot be read (No such file or directory)"),
        ("empty.avi", b"", "is empty"),
        ("text.mp4", b"no video" * 99, "cannot be opened as a video"),
        ("cut.mp4", "cut", "cannot be opened as a video"),
        ("black.mp4", "damaged", "none of its 3 frames can be decoded"),
        ("gone.mov", None, "cannot be read (No such file or directory)"),
    ],
)
def test_broken_inputs_are_reported_and_the_rest_goes_on(predict, photos, name, content, reason):
    path = photos.parent / name
    if content == "cut":
        write_image(path, picture(RED)) if name.endswith("png") else write_video(path, [picture(RED)] * 3)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif content == "bomb":
        cv2.imwrite(str(path), np.zeros((10_000, 10_001), np.uint8))
    elif content == "damaged":
        write_video(path, [picture(RED, size=128)] * 3)
        data = path.read_bytes()
        start = data.index(b"mdat") + 4
        path.write_bytes(
            data[:start] + bytes(len(data[start : data.index(b"moov") - 4])) + data[data.index(b"moov") - 4 :]
        )
    elif content is not None:
        path.write_bytes(content)
    code, out, err = predict(photos / "anna" / "live.png", path, photos / "ben" / "attack.png")
    assert code == 3 and [line.split()[1] for line in out.splitlines()] == ["live", "attack"]
    assert err.startswith(f"unreadable: {path}: {reason}") and err.count("\n") == 1
    code, out, _ = predict(path, "--json")
    document = checked(out)
    assert code == 2 and document["results"] == []
    assert document["failures"][0]["path"] == str(path) and document["failures"][0]["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["empty"], "no input: folder empty holds no images or videos"),
        (["*.nothing"], "no input: nothing matches *.nothing"),
        (["camera:x"], "expected a camera's number"),
        (["a.png", "--detector", "dlip"], "unknown detector 'dlip'"),
        (["a.png", "--model", "nothing"], "unknown model 'nothing'"),
        (["a.png", "--model", "a.png"], "is not a facepad model"),
        (["a.png", "--annotate", "full"], "output folder full is not empty"),
        (["a.png", "--why"], "--why colours the copies of --annotate, and needs --annotate DIR"),
        (["a.png", "--frames", "0"], "--frames"),
        (["a.png", "--threshold", "1.5"], "a threshold on P(bona fide) lies in [0, 1], got 1.5"),
        (["a.png", "--threshold", "strict"], "model tiny has no preset strict"),
        (["a.png", "--fail-on", "bona_fide"], "--fail-on"),
        ([], "INPUT"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(facepad, model, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    write_image(Path("a.png"), picture(RED))
    write_image(Path("full/a.png"), picture(RED))
    Path("empty").mkdir()
    code, out, err = facepad("predict", *words, *([] if "--model" in words else ["--model", model]))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_default_model_offline_decides_and_names_the_command(facepad, photos, no_network):
    code, out, err = facepad("predict", photos / "anna" / "live.png", "--detector", "stub")
    assert code == 0 and out.split()[1] in ("live", "attack") and "no_threshold" not in out
    (line,) = [line for line in err.splitlines() if "facepad download" in line]
    assert "distilled-research decides" in line and "research only" in line and "ACER" in line


def test_standard_input_is_an_image(predict, monkeypatch, tmp_path):
    write_image(tmp_path / "a.png", picture(BLUE))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "a.png").read_bytes())))
    assert predict("-")[1].split()[:2] == ["-", "attack"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    code, _, err = predict("-")
    assert (code, err) == (2, "unreadable: -: is empty\n")


def test_scope_is_printed_once_on_stderr(facepad, make_model, photos):
    model = make_model(photos.parent / "a.facepad", scope="For research only.")
    code, out, err = facepad("predict", photos / "anna", "--model", model, "--detector", "stub", "--json")
    assert (code, err) == (0, "For research only.\n")
    assert checked(out)["model"]["scope"] == "For research only."


def test_threshold_by_hand_decides_and_the_document_names_its_origin(predict, photos):
    score = json.loads(predict(photos / "anna", "--json")[1])["results"][0]["decisions"][0]["score"]
    for threshold, label in ((score / 2, "bona_fide"), ((score + 1) / 2, "attack")):
        code, out, err = predict(photos / "anna", "--json", "--threshold", threshold)
        document = checked(out)
        assert (code, err, document["results"][0]["decisions"][0]["label"]) == (0, "", label)
        assert document["model"]["threshold"]["origin"]["source"] == "set by hand"
        assert document["results"][0]["decisions"][0]["threshold"] == pytest.approx(threshold)


def test_weak_threshold_is_noted_on_stderr_and_in_the_document(facepad, model, photos, tmp_path):
    bundle = read_bundle(model)
    weak = Threshold(0.5, "eer", ThresholdOrigin("desk", notes=(Note(NoteKind.WEAK, "weak: few people"),)))
    changed = bundle.description.model_copy(update={"threshold": weak})
    path = write_bundle(tmp_path / "weak.facepad", type(bundle)(changed, bundle.files))
    _, out, err = facepad("predict", photos / "anna", "--model", path, "--detector", "stub", "--json")
    assert err == "note: weak: few people\n"
    assert checked(out)["model"]["threshold"]["origin"]["notes"] == [{"kind": "weak", "text": "weak: few people"}]


def test_video_is_one_line_and_all_frames_in_json(predict, tmp_path):
    path = tmp_path / "clip.avi"
    write_video(path, [picture(colour) for colour in (RED, RED, NOBODY, BLUE)], rate=10)
    code, out, _ = predict(path, "--policy", "min")
    assert code == 0 and out.split()[1] == "attack" and out.rstrip().endswith("min of 4 frames")
    code, out, _ = predict(path, "--frames", "2", "--json")
    (result,) = checked(out)["results"]
    assert (result["kind"], result["policy"], result["note"]) == ("video", "all", None)
    assert result["decided_by"] == {"file": 0, "frames": [3, 3], "frame": 3, "face": 0}
    assert [frame["index"] for frame in result["frames"]] == [1, 3]
    assert [frame["decisions"][0]["label"] for frame in result["frames"]] == ["bona_fide", "attack"]
    scores = [frame["decisions"][0]["score"] for frame in result["frames"]]
    assert result["decisions"][0]["score"] == min(scores) and len(result["decisions"]) == 1
    assert checked(out)["counts"]["decisions"] == 1


def test_damaged_video_that_can_be_read_is_noted(predict, tmp_path):
    path = tmp_path / "cut.avi"
    write_video(path, [np.roll(picture(RED, size=128), 3 * index, axis=0) for index in range(12)])
    data = path.read_bytes()
    start, end = data.index(b"movi"), data.index(b"idx1")
    path.write_bytes(data[: start + (end - start) * 9 // 10])
    code, out, err = predict(path, "--json")
    assert code == 0 and "its header names 12 frames" in err
    assert "its header names 12 frames" in checked(out)["results"][0]["note"]


def test_damaged_video_is_copied_by_its_examined_frames(predict, photos, tmp_path):
    path, out = photos / "damaged.avi", tmp_path / "out"
    noise = np.random.default_rng(0).integers(0, 30, (30, 128, 128, 3), dtype=np.uint8)
    write_video(path, [picture(RED, size=128) + one for one in noise], rate=10)
    data = bytearray(path.read_bytes())
    start, end = data.index(b"movi"), data.index(b"idx1")
    data[(start + end) // 2 : (start + end) // 2 + (end - start) // 5] = bytes((end - start) // 5)
    path.write_bytes(data)
    _, text, err = predict(photos, "--frames", 20, "--annotate", out, "--json")
    assert "cannot be decoded" in err and "no copy" not in err
    looked = len(next(one for one in checked(text)["results"] if one["kind"] == "video")["frames"])
    assert 0 < looked < 20 and len(list(read_video(out / "photos" / "damaged.mp4"))) == looked


def test_input_that_cannot_be_read_again_has_no_copy_and_the_rest_goes_on(predict, photos, tmp_path, monkeypatch):
    def gone(path):
        raise ImageError(path, "is empty")

    monkeypatch.setattr("facepad.predict.annotate.read_image", gone)
    code, out, err = predict(photos / "anna", photos / "ben", "--annotate", tmp_path / "out")
    assert code == 3 and len(out.splitlines()) == 3
    assert [line.split(": ")[0] for line in err.splitlines()] == ["no copy"] * 3


class Camera:
    """Red frames, then Ctrl-C."""

    def __init__(self, number):
        self.left = 6

    def isOpened(self):
        return True

    def read(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return True, picture(RED)[..., ::-1].copy()

    def release(self):
        pass


def test_camera_gives_a_line_per_frame_until_frames_or_ctrl_c(predict, monkeypatch, tmp_path):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    code, out, _ = predict("camera:0", "--frames", "5", "--annotate", tmp_path / "out")
    lines = out.splitlines()
    assert code == 0 and [line.split()[1] for line in lines] == ["undecided"] * 4 + ["live"]
    assert "too_few_frames" in lines[3] and lines[3].endswith("1 more frames") and "more frames" not in lines[4]
    assert sorted(path.name for path in (tmp_path / "out" / "camera-0").iterdir())[-1] == "000004.jpg"
    code, out, err = predict("camera:0", "--json")
    document = checked(out)
    assert code == 130 and "stopped by Ctrl-C" in err and document["complete"] is False
    (result,) = document["results"]
    assert (result["path"], result["kind"], len(result["frames"])) == ("camera:0", "video", 6)
    assert (result["decisions"][0]["label"], result["decided_by"]["frames"]) == ("bona_fide", [0, 5])


def test_camera_is_undecided_until_it_has_shown_enough_frames(predict, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    code, out, _ = predict("camera:0", "--frames", "2", "--json")
    (decision,) = checked(out)["results"][0]["decisions"]
    assert code == 3 and (decision["label"], decision["reasons"]) == (None, ["too_few_frames"])
    assert predict("camera:0", "--policy", "mean")[0] == 2


def test_camera_may_follow_other_inputs(predict, photos, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    code, out, _ = predict(photos / "anna", "camera:0", "--frames", "2")
    assert code == 3 and [line.split()[0].rpartition("/")[2] for line in out.splitlines()] == [
        "live.png",
        "camera:0",
        "camera:0",
    ]


def test_missing_camera_is_a_failure_beside_the_decisions(predict, photos):
    code, out, _ = predict(photos / "anna", "camera:97", "--json")
    document = checked(out)
    assert code == 3 and document["counts"]["bona_fide"] == 1 and document["complete"]
    reason = "camera 97 cannot be opened: check that it is connected, not in use, and allowed"
    assert document["failures"] == [{"path": "camera:97", "reason": reason}]
    assert predict("camera:97") == (2, "", f"unreadable: camera:97: {reason}\n")


def test_camera_without_json_keeps_no_frames_and_decides_alike(model):
    predictor = load(model, detector="stub", threads=1)
    source, stream = Source(SourceKind.CAMERA, "camera:0", 0, PurePath("camera-0")), Stream(predictor)
    whole, bare = Results(), Results(frames=False)
    depths = []
    for index, colour in enumerate((RED, NOBODY, *[BLUE] * 5, *[RED] * 20)):
        found = FrameDecision(index, 0.0, predictor.predict(picture(colour)))
        depths += [weakref.ref(one.depth_map) for one in found.decisions if one.depth_map is not None]
        state = stream.follow(found.decisions)
        for results in (whole, bare):
            results.add(Outcome(source, found, state=state))
    assert state.decision.label == "bona_fide"
    del found, state, stream
    assert len(depths) == 26 and not any(depth() is not None for depth in depths)
    (kept,), (short,) = (each.document(predictor.bundle).results for each in (whole, bare))
    assert (len(kept.frames), len(short.frames)) == (27, 0)
    assert kept.decisions == short.decisions and kept.decisions[0].label == "attack"  # The attack of frames 2 to 6.


def test_annotated_copies_mirror_the_inputs(predict, photos, tmp_path):
    write_video(photos / "ben" / "clip.avi", [picture(BLUE)] * 3)
    (photos / "broken.jpg").write_bytes(b"")
    before = digests(photos)
    code, _, _ = predict(photos, "--annotate", tmp_path / "out")
    assert code == 3 and digests(photos) == before
    copies = list(digests(tmp_path / "out"))
    names = ["anna/live.png", "ben/attack.png", "ben/clip.mp4", "ben/nobody.png", "two.png"]
    assert copies == [f"photos/{name}" for name in names]
    assert not np.array_equal(read_image(tmp_path / "out" / "photos" / "two.png"), picture(RED, BLUE))
    assert len(list(read_video(tmp_path / "out" / "photos" / "ben" / "clip.mp4"))) == 3


def test_why_colours_the_copies_and_changes_no_decision(predict, photos, tmp_path):
    image = photos / "anna" / "live.png"
    plain, why = (
        predict(image, "--annotate", tmp_path / name, *words) for name, words in (("plain", ()), ("why", ("--why",)))
    )
    assert plain == why
    one, other = (read_image(next((tmp_path / name).rglob("*.png"))).astype(int) for name in ("plain", "why"))
    assert one.shape == other.shape and not np.array_equal(one, other)


def test_many_files_with_three_broken_take_bounded_memory(model, tmp_path, monkeypatch):
    write_image(tmp_path / "set" / "000.png", picture(RED))
    for number in range(1, 400):
        os.link(tmp_path / "set" / "000.png", tmp_path / "set" / f"{number:03}.png")
    for number in (7, 200, 399):
        (tmp_path / "set" / f"{number:03}.png").unlink()
        (tmp_path / "set" / f"{number:03}.png").write_bytes(b"broken")
    alive: list[weakref.ref] = []
    most = 0

    def counting(source):
        nonlocal most
        image = read_image(source)
        alive.append(weakref.ref(image))
        most = max(most, sum(ref() is not None for ref in alive))
        return image

    monkeypatch.setattr("facepad.predict.inputs.read_image", counting)
    from facepad.predict.sources import find_sources

    predictor = load(model, detector="stub")
    results = Results()
    for outcome in predict_sources(predictor, find_sources([str(tmp_path / "set")], io.BytesIO())):
        results.add(outcome)
    document = results.document(predictor.bundle)
    assert (document.counts.inputs, document.counts.bona_fide, document.counts.unreadable) == (400, 397, 3)
    paths = [Path(result.path).name for result in document.results]
    assert paths == sorted(paths) and [Path(failure.path).stem for failure in document.failures] == [
        "007",
        "200",
        "399",
    ]
    assert len(alive) == 397 and most <= 2 * max(2, os.cpu_count() or 1)


def test_ctrl_c_keeps_the_decisions_so_far(predict, tmp_path, monkeypatch):
    for number in range(40):
        write_image(tmp_path / "set" / f"{number:02}.png", picture(BLUE))
    decide, calls = Pipeline.decide, []

    def interrupted(self, examined):
        calls.append(len(examined))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return decide(self, examined)

    monkeypatch.setattr(Pipeline, "decide", interrupted)
    code, out, err = predict(tmp_path / "set", "--json", "--fail-on", "attack")
    document = checked(out)
    assert code == 130 and "stopped by Ctrl-C" in err
    assert document["complete"] is False and len(document["results"]) == sum(calls[:2]) == document["counts"]["attack"]


def test_a_real_ctrl_c_leaves_a_whole_document(make_model, tmp_path):
    whole_frames = make_model(tmp_path / "a.facepad", crop_scale=None)
    write_image(tmp_path / "set" / "0000.png", picture(RED))
    for number in range(1, 4000):
        os.link(tmp_path / "set" / "0000.png", tmp_path / "set" / f"{number:04}.png")
    command = [sys.executable, "-m", "facepad", "predict", "set", "--json", "--model", str(whole_frames)]
    command += ["--annotate", "out"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: list((tmp_path / "out").glob("set/*")) or process.poll() is not None, "a picture")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    document = checked(out)
    assert process.returncode == 130 and err == "facepad: stopped by Ctrl-C\n"
    assert document["complete"] is False and 0 < len(document["results"]) < 4000


def test_reader_that_closes_the_output_ends_the_work_quietly(model, tmp_path):
    write_image(tmp_path / "photos" / "0000.png", picture(NOBODY))
    for number in range(1, 4000):
        os.link(tmp_path / "photos" / "0000.png", tmp_path / "photos" / f"{number:04}.png")
    command = [sys.executable, "-m", "facepad", "predict", str(tmp_path / "photos"), "--model", str(model)]
    command += ["--annotate", str(tmp_path / "shown")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "0000.png" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=PATIENCE) == 128 + signal.SIGPIPE
        assert process.stderr.read() == ""
    assert len(list((tmp_path / "shown").rglob("*.png"))) < 4000


def test_control_characters_in_names_are_escaped(predict, photos):
    photos.joinpath("\x1b[31mred\n.png").write_bytes((photos / "two.png").read_bytes())
    photos.joinpath("\x1b[2J.jpg").write_bytes(b"")
    _, out, err = predict(photos)
    assert "\x1b" not in out + err and r"\x1b[31mred\n.png" in out and r"\x1b[2J.jpg: is empty" in err
    assert len(out.splitlines()) == 7


def test_help_imports_no_heavy_module():
    code = """
import sys
sys.argv = ["facepad", "predict", "--help"]
from facepad.cli import main
try:
    main()
except SystemExit as stop:
    sys.exit(stop.code or any(name in sys.modules for name in ("torch", "cv2", "onnxruntime", "av")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0 and "--annotate" in done.stdout


def test_deciding_on_an_image_imports_no_unneeded_module(photos, model):
    code = f"""
import sys
sys.argv = ["facepad", "predict", {str(photos / "anna" / "live.png")!r}, "--model", {str(model)!r}]
from facepad.cli import main
try:
    main()
except SystemExit as stop:
    unneeded = ["av", "torch", "rich", "matplotlib", "requests", "filelock", "platformdirs", "pandas"]
    unneeded += ["facepad.predict.annotate", "facepad.modelfile.catalog.described", "facepad.predict.schema"]
    print(*(name for name in unneeded if name in sys.modules), file=sys.stderr)
"""
    environment = os.environ | {"FACEPAD_HOME": str(photos)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, env=environment
    )
    assert (done.stdout.count("live.png"), done.stderr.strip()) == (1, "")
