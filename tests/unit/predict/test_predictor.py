"""From an image to decisions: scores by hand, reasons for no decision, refused input, videos, threads."""

import io
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest

import facepad
from facepad.errors import ImageError, InputError, ModelError, VideoError
from facepad.faces.angles import FaceAngles
from facepad.faces.quality import Quality
from facepad.faces.yunet import YUNET
from facepad.files.downloads import find_local
from facepad.media.images import MAX_PIXELS, write_image
from facepad.media.videos import write_video
from facepad.modelfile.catalog import DEFAULT_MODEL, FALLBACK_MODEL, PART_MODEL, described_models, load_default
from facepad.modelfile.catalog.described import read_described
from facepad.modelfile.scorers import BundleScorer
from facepad.predict.policy import decide_frames
from facepad.types import Box, Decision, Face, FrameDecision, Label, Reason, ScoreStatus
from helpers.patience import PATIENCE
from helpers.squares import BLUE, RED, Squares, picture

DEFAULT_FILES = [network.file for network in read_described(described_models()[DEFAULT_MODEL]).networks]

NO_LIMITS = Quality(**dict.fromkeys(field.name for field in fields(Quality)))

pytestmark = pytest.mark.usefixtures("stub_detector")


def by_hand(colour):
    return 1 / (1 + np.exp(-10 * (colour[0] - colour[2]) / 255))


def test_each_face_gets_its_score_and_decision(predictor):
    live, attack = predictor.predict(picture(RED, BLUE))
    assert live.score == pytest.approx(by_hand(RED), abs=1e-5) and attack.score == pytest.approx(
        by_hand(BLUE), abs=1e-5
    )
    assert (live.label, attack.label) == (Label.BONA_FIDE, Label.ATTACK)
    assert (live.verdict, attack.verdict) == ("live", "attack")
    assert (live.box, attack.box) == (Box(0, 0, 64, 64), Box(64, 0, 128, 64))
    assert live.threshold == 0.5 and live.status is ScoreStatus.SCORED and live.reasons == ()
    assert live.depth_map.shape == (16, 16) and live.depth_map.mean() == pytest.approx(200 / 255, abs=0.01)
    assert set(live.timings) == {"detect", "prepare", "score"} and min(live.timings.values()) >= 0


def test_score_at_the_threshold_is_accepted(predictor, make_model, tmp_path):
    score = predictor.predict(picture(RED))[0].score
    for threshold, label in ((score, Label.BONA_FIDE), (np.nextafter(score, 1), Label.ATTACK)):
        strict = facepad.load(make_model(tmp_path / "a.facepad", threshold=float(threshold)), detector="stub")
        assert strict.predict(picture(RED))[0].label is label


def test_path_text_and_bytes_decide_alike(predictor, tmp_path):
    path = tmp_path / "a.png"
    write_image(path, picture(RED))
    expected = predictor.predict(picture(RED))
    for source in (path, str(path), path.read_bytes()):
        assert predictor.predict(source) == expected


def test_no_face_is_one_undecided_decision(predictor):
    (decision,) = predictor.predict(np.zeros((64, 64, 3), np.uint8))
    assert decision == Decision(None, None, 0.5, (Reason.NO_FACE,)) and decision.status is ScoreStatus.NO_FACE
    assert decision.verdict == "undecided"


def test_poor_face_has_reasons_and_no_score_and_the_others_keep_theirs(predictor):
    flat = picture(RED, (250, 250, 250), BLUE)
    flat[:, 64:128] = 250
    live, poor, attack = predictor.predict(flat)
    assert poor.status is ScoreStatus.LOW_QUALITY and poor.score is None and poor.box == Box(64, 0, 128, 64)
    assert poor.reasons == (Reason.TOO_BRIGHT, Reason.TOO_BLURRED)
    assert (live.label, attack.label) == (Label.BONA_FIDE, Label.ATTACK)


@pytest.mark.parametrize(
    ("angles", "reasons"),
    [
        (FaceAngles(-29.0, 49.0), ()),
        (FaceAngles(-31.0, 0.0), (Reason.TILTED,)),
        (FaceAngles(0.0, 61.0), (Reason.TURNED,)),
    ],
)
def test_tilted_or_turned_face_is_undecided_and_its_angles_are_measured(model, monkeypatch, angles, reasons):
    monkeypatch.setattr(Squares, "angles", lambda self, image, face, closely: angles)
    (decision,) = facepad.load(model, detector="stub").predict(picture(RED))
    assert (decision.quality.roll, decision.quality.yaw) == (angles.roll, angles.yaw)
    assert decision.reasons == reasons
    assert decision.status is (ScoreStatus.LOW_QUALITY if reasons else ScoreStatus.SCORED)
    (decision,) = facepad.load(model, detector="stub", quality=NO_LIMITS).predict(picture(RED))
    assert decision.score is not None


def test_angles_of_a_crowd_are_measured_closely_for_the_first_faces_only(model, monkeypatch):
    close = []
    monkeypatch.setattr(Squares, "angles", lambda self, image, face, closely: close.append(closely))
    facepad.load(model, detector="stub").predict(picture(*[RED] * 20))
    assert close == [True] * 4 + [False] * 16


def test_measured_quality_is_in_every_decision_on_a_face(predictor):
    image = picture(RED, BLUE)
    image[:, 64:] //= 4
    live, dark = predictor.predict(image)
    assert (live.quality.side, live.quality.outside, live.quality.roll) == (64, 0, None)
    assert 90 < live.quality.luminance < 130 and live.quality.sharpness > 0.1
    assert dark.reasons == (Reason.TOO_DARK,) and dark.quality.luminance < live.quality.luminance
    assert predictor.predict(np.zeros((64, 64, 3), np.uint8))[0].quality is None


def test_model_without_threshold_gives_a_score_and_no_decision(make_model, tmp_path):
    predictor = facepad.load(make_model(tmp_path / "a.facepad", threshold=None, depth=False), detector="stub")
    (decision,) = predictor.predict(picture(RED))
    assert decision.score == pytest.approx(by_hand(RED), abs=1e-5)
    assert (decision.label, decision.threshold, decision.reasons) == (None, None, (Reason.NO_THRESHOLD,))
    assert decision.depth_map is None
    video = decide_frames([FrameDecision(0, 0.0, (decision,))])
    assert video.score == decision.score and video.reasons == (Reason.NO_THRESHOLD,)


def test_whole_frame_model_needs_no_face(make_model, tmp_path):
    predictor = facepad.load(make_model(tmp_path / "a.facepad", crop_scale=None))
    (decision,) = predictor.predict(picture(BLUE))
    assert decision.box is None and decision.label is Label.ATTACK
    (dark,) = predictor.predict(np.zeros((64, 64, 3), np.uint8))
    assert dark.status is ScoreStatus.LOW_QUALITY and Reason.TOO_DARK in dark.reasons


@pytest.mark.parametrize(
    "box", [Box(-30, -30, 34, 34), Box(40, 40, 104, 104), Box(-64, -64, 128, 128), Box(3, 3, 3.01, 3.01)]
)
def test_face_at_the_border_or_of_no_pixels_is_refused_by_name_and_decided_without_limits(model, monkeypatch, box):
    monkeypatch.setattr(Squares, "detect", lambda self, image: [Face(box, 1.0)])
    (decision,) = facepad.load(model, detector="stub").predict(picture(RED))
    assert (Reason.FACE_TOO_SMALL if box.width < 32 else Reason.FACE_AT_BORDER) in decision.reasons
    assert decision.status is ScoreStatus.LOW_QUALITY
    (decision,) = facepad.load(model, detector="stub", quality=NO_LIMITS).predict(picture(RED))
    assert 0 <= decision.score <= 1 and decision.box == box


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (16, 16)])
def test_tiny_images_have_no_face(model, size):
    (decision,) = facepad.load(model).predict(np.full((*size, 3), 120, np.uint8))
    assert decision.reasons == (Reason.NO_FACE,)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3)), r"expected a uint8 RGB array \(height, width, 3\) in 0..255, got float64 \(4, 4, 3\)"),
        (np.full((4, 4, 3), 300, np.int64), "got int64"),
        (np.zeros((3, 4, 5), np.uint8), r"got uint8 \(3, 4, 5\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got uint8 \(0, 4, 3\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"got uint8 \(1, 4, 4, 3\)"),
        (np.broadcast_to(np.zeros(3, np.uint8), (10_000, 10_000, 3)), f"10000x10000 pixels, the limit is {MAX_PIXELS}"),
        ([[1, 2, 3]], "got list"),
        (None, "got NoneType"),
        (b"", "is empty"),
        (b"no image", "not a JPEG"),
        ("nowhere.jpg", r"nowhere\.jpg: cannot be read"),
    ],
    ids=range(11),
)
def test_input_that_is_not_an_image_is_refused_in_one_line(predictor, image, message):
    with pytest.raises(ImageError, match=message) as caught:
        predictor.predict(image)
    assert "\n" not in str(caught.value)


def test_views_of_arrays_are_taken(predictor):
    bgr = picture(RED)[..., ::-1]
    assert predictor.predict(bgr[..., ::-1]) == predictor.predict(picture(RED))
    assert predictor.predict(bgr)[0].label is Label.ATTACK  # An array does not tell its order of channels.


def test_batch_equals_single_images_in_order(predictor):
    images = [picture(RED), picture(BLUE, RED, BLUE), np.zeros((64, 64, 3), np.uint8)] * 30
    results = predictor.predict_batch(iter(images))
    assert results == [predictor.predict(image) for image in images]
    assert predictor.predict_batch([]) == []


def test_batch_refuses_a_broken_image(predictor):
    with pytest.raises(ImageError, match="not a JPEG"):
        predictor.predict_batch([picture(RED), b"broken"])


def test_one_predictor_serves_many_threads(predictor):
    images = [picture(*(colours)) for colours in ((RED,), (BLUE,), (RED, BLUE), (BLUE, BLUE))] * 10
    expected = [predictor.predict(image) for image in images]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(predictor.predict, images)) == expected


def test_real_faces_are_found_by_the_models_own_detector(model, synthetic_faces):
    predictor = facepad.load(model)
    for path in synthetic_faces:
        decisions = predictor.predict(path)
        assert decisions[0].status is ScoreStatus.SCORED and decisions[0].box.width > 80


def frames_of(*colours):
    return [picture(colour) if colour else np.zeros((64, 64, 3), np.uint8) for colour in colours]


@pytest.mark.parametrize(
    ("policy", "pick"), [("all", np.min), ("mean", np.mean), ("median", np.median), ("min", np.min)]
)
def test_video_is_decided_by_the_frames_that_have_a_score(predictor, tmp_path, policy, pick):
    path = tmp_path / "a.avi"
    write_video(path, frames_of(RED, None, RED, BLUE), rate=10)
    video = predictor.predict_video(path, policy=policy)
    assert [frame.index for frame in video.frames] == [0, 1, 2, 3]
    assert [frame.seconds for frame in video.frames] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert [frame.decisions[0].verdict for frame in video.frames] == ["live", "undecided", "live", "attack"]
    scores = [frame.decisions[0].score for frame in video.frames if frame.decisions[0].score is not None]
    assert video.decision.score == pytest.approx(pick(scores)) and (video.policy, video.note) == (policy, None)
    assert video.decision.label is (Label.ATTACK if policy in ("all", "min") else Label.BONA_FIDE)
    assert video.decision.timings["detect"] == sum(frame.decisions[0].timings["detect"] for frame in video.frames)


def test_video_takes_as_many_frames_as_asked_for(predictor, tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, frames_of(*[RED] * 50), rate=25)
    assert len(predictor.predict_video(path).frames) == 20
    assert [frame.index for frame in predictor.predict_video(path, frames=2).frames] == [12, 37]
    assert len(predictor.predict_video(path, frames=1000).frames) == 50


def test_clip_that_is_half_a_replay_is_an_attack(predictor, tmp_path):
    for name, colours in (("halves", [RED] * 20 + [BLUE] * 20), ("quarter", [RED] * 15 + [BLUE] * 5)):
        write_video(tmp_path / f"{name}.avi", frames_of(*colours), rate=10)
        video = predictor.predict_video(tmp_path / f"{name}.avi")
        assert video.decision.label is Label.ATTACK
        first, last = video.decision.decided_by.frames
        assert colours[first] == colours[last] == BLUE
        if name == "quarter":
            assert predictor.predict_video(tmp_path / "quarter.avi", policy="mean").decision.label is Label.BONA_FIDE


def test_images_together_are_as_live_as_the_weakest(predictor):
    assert predictor.predict_together([picture(RED)] * 3).label is Label.BONA_FIDE
    found = predictor.predict_together(iter([picture(RED), picture(BLUE), *[picture(RED)] * 5]))
    assert (found.label, found.decided_by.file, found.box) == (Label.ATTACK, 1, Box(0, 0, 64, 64))
    assert predictor.predict_together([picture(RED), frames_of(None)[0]]).reasons == (Reason.NO_FACE,)
    assert predictor.predict_together([picture(RED)] * 5 + [picture(BLUE)], policy="mean").label is Label.BONA_FIDE
    with pytest.raises(InputError, match="at least one file"):
        predictor.predict_together([])


def test_several_faces_are_judged_by_the_policy_for_faces(model, tmp_path):
    mixed = [RED, BLUE]
    found = {faces: facepad.load(model, detector="stub", faces=faces) for faces in ("largest", "all", "one")}
    labels = {faces: one.predict_together([picture(*mixed)]).label for faces, one in found.items()}
    assert labels == {"largest": Label.BONA_FIDE, "all": Label.ATTACK, "one": None}
    assert found["one"].predict(picture(*mixed))[0].reasons == (Reason.MULTIPLE_FACES,)
    assert found["one"].predict(picture(RED))[0].label is Label.BONA_FIDE
    write_video(tmp_path / "a.avi", [picture(*mixed)] * 8)
    labels = [one.predict_video(tmp_path / "a.avi").decision.label for one in found.values()]
    assert labels == [Label.BONA_FIDE, Label.ATTACK, None]
    with pytest.raises(InputError, match="unknown policy for faces 'two'"):
        facepad.load(model, faces="two")


def test_video_without_faces_is_undecided(predictor, tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, frames_of(None, None))
    decision = predictor.predict_video(path).decision
    assert (decision.status, decision.reasons) == (ScoreStatus.NO_FACE, (Reason.NO_FACE,))


def test_bytes_and_binary_files_of_a_video_are_decided_as_its_path(predictor, tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, frames_of(RED, BLUE, RED))
    content = path.read_bytes()
    with path.open("rb") as file:
        for video in (content, bytearray(content), memoryview(content), io.BytesIO(content), file):
            found, expected = predictor.predict_video(video), predictor.predict_video(path)
            assert replace(found.decision, timings={}) == replace(expected.decision, timings={})
        with pytest.raises(VideoError, match="rewind it with seek"):
            predictor.predict_video(file)
    with path.open(encoding="latin1") as text, pytest.raises(VideoError, match="binary mode"):
        predictor.predict_video(text)
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        predictor.predict_video(b"no video")


def test_bad_videos_and_words_are_refused(predictor, tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, frames_of(RED))
    with pytest.raises(VideoError, match="cannot be read"):
        predictor.predict_video(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="unknown policy 'max'; choices: all, mean, median, min"):
        predictor.predict_video(path, policy="max")
    with pytest.raises(InputError, match="frames must be at least 1, got 0"):
        predictor.predict_video(path, frames=0)
    with pytest.raises(InputError, match="at least one frame"):
        decide_frames([])


def test_load_refuses_wrong_arguments_in_one_line(model, tmp_path):
    with pytest.raises(ModelError, match="unknown model 'nothing'"):
        facepad.load("nothing")
    (tmp_path / "broken").write_bytes(b"PK")
    with pytest.raises(ModelError, match="broken"):
        facepad.load(tmp_path / "broken")
    with pytest.raises(InputError, match="unknown detector 'dlip'"):
        facepad.load(model, detector="dlip")
    with pytest.raises(ModelError, match="unknown engine"):
        facepad.load(model, engine="tensorflow")
    with pytest.raises(InputError, match="threads must be at least 1, got 0"):
        facepad.load(model, threads=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("path_or_name", "model"),
        ("detector", "unknown detector"),
        ("engine", "unknown engine"),
        ("threads", "threads must be"),
        ("quality", "quality: expected limits"),
        ("faces", "unknown policy for faces"),
        ("threshold", "threshold"),
    ],
)
def test_wrong_type_of_an_argument_of_load_is_refused_by_name(model, name, message):
    default = name not in ("quality", "faces")  # of the others, None is the default
    for wrong in (None, 5.5, True, "x", "", b"x", [1], (), {}, object(), np.zeros((9, 9)), -1, np.nan):
        if wrong is not None or not default:
            with pytest.raises(InputError, match=message) as caught:
                facepad.load(**{"path_or_name": model, name: wrong})
            assert "\n" not in str(caught.value)


def test_wrong_type_of_an_argument_of_predict_is_refused_by_name(predictor):
    for wrong in (None, 5, [1], {}, np.zeros((9, 9)), True):
        with pytest.raises(InputError, match="unknown order of channels"):
            predictor.predict(picture(RED), channels=wrong)
        with pytest.raises(InputError, match="unknown order of channels"):
            predictor.predict_batch([], channels=wrong)
        with pytest.raises(InputError, match="unknown policy"):
            predictor.predict_together([picture(RED)], policy=wrong)
        with pytest.raises(InputError, match="unknown policy"):
            predictor.predict_video("a.mp4", policy=wrong)
        with pytest.raises(InputError, match="video: expected a video's path, bytes or binary file"):
            predictor.predict_video(wrong)
    for wrong in (None, 0, 2.5, [1], {}, np.zeros((9, 9)), True):
        with pytest.raises(InputError, match="frames must be"):
            predictor.predict_video("a.mp4", frames=wrong)


def test_name_that_is_too_long_for_the_disk_is_an_unknown_model():
    with pytest.raises(ModelError, match="unknown model"):
        facepad.load("x" * 5000)


def test_default_model_decides_where_its_files_are(models_folder):
    if not all((models_folder / name).is_file() for name in DEFAULT_FILES):
        pytest.skip("the networks of the default model are not there")
    predictor = facepad.load()
    assert predictor.bundle.description.name == DEFAULT_MODEL and predictor.pipeline.detector == "yunet"
    assert 0 < predictor.pipeline.threshold < 1


def test_default_model_offline_is_the_shipped_one_and_one_line_ends_that(no_network, caplog):
    predictor = facepad.load()
    assert predictor.bundle.description.name == FALLBACK_MODEL and 0 < predictor.pipeline.threshold < 1
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert predictor.pipeline.detector == "dlib" and lines[1:] == [
        "faces are found by dlib, but the model was trained on faces found by yunet"
    ]
    for words in (DEFAULT_MODEL, FALLBACK_MODEL, "research only", "29 % ACER", "facepad download"):
        assert words in lines[0] and "\n" not in lines[0]


def test_reason_why_the_default_model_is_missing_is_told(no_network, caplog, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "file"))
    assert load_default().description.name == FALLBACK_MODEL
    assert "cannot be downloaded now (cannot write " in caplog.records[0].getMessage()


def test_default_model_offline_takes_yunet_where_its_file_is(models_folder, no_network, caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEPAD_MODELS", str(models_folder))
    if not (file := find_local(YUNET)):
        pytest.skip("the file of YuNet is not there")
    (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    assert facepad.load().pipeline.detector == "yunet"
    assert [record.levelname for record in caplog.records if record.levelname == "WARNING"] == ["WARNING"]
    assert facepad.load(detector="dlib").pipeline.detector == "dlib"


def test_default_model_with_a_wrong_file_is_an_error(monkeypatch, tmp_path):
    for name in (*DEFAULT_FILES, YUNET.name):
        (tmp_path / name).write_bytes(b"another network")
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="is not the file that model public-trio describes"):
        facepad.load()


def test_default_model_offline_is_the_fusion_whose_files_are_there(
    models_folder, no_network, caplog, monkeypatch, tmp_path
):
    names = [network.file for network in read_described(described_models()[PART_MODEL]).networks] + [YUNET.name]
    if not all((models_folder / name).is_file() for name in names):
        pytest.skip(f"the networks of {PART_MODEL} are not there")
    for name in names:
        shutil.copy(models_folder / name, tmp_path)
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    predictor = facepad.load()
    assert predictor.bundle.description.name == PART_MODEL and predictor.pipeline.detector == "yunet"
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    for words in (DEFAULT_MODEL, PART_MODEL, "34 % ACER", "facepad download"):
        assert words in line
    (tmp_path / names[0]).unlink()
    assert facepad.load(detector="dlib").bundle.description.name == FALLBACK_MODEL


def test_file_in_the_working_directory_does_not_replace_a_shipped_model(make_model, tmp_path, monkeypatch, no_network):
    monkeypatch.chdir(tmp_path)
    own = make_model(tmp_path / FALLBACK_MODEL)
    for model in (None, FALLBACK_MODEL):
        assert facepad.load(model, detector="dlib").bundle.description.name == FALLBACK_MODEL
    for model in (f"./{FALLBACK_MODEL}", own, own.relative_to(tmp_path)):
        assert facepad.load(model).bundle.description.name == "tiny"
    own.unlink()
    own.mkdir()
    assert facepad.load().bundle.description.name == FALLBACK_MODEL


def test_detector_that_made_given_boxes_is_replaced_by_ours(make_model, tmp_path):
    path = make_model(tmp_path / "a.facepad", detector="nuaa's own, else dlib")
    assert facepad.load(path).predict(np.zeros((99, 99, 3), np.uint8))[0].reasons == (Reason.NO_FACE,)


def test_scores_that_are_nan_are_an_error(predictor, monkeypatch):
    score = BundleScorer.score

    def no_number(scorer, batch):
        scores = score(scorer, batch)
        scores.values[:] = np.nan
        return scores

    monkeypatch.setattr(BundleScorer, "score", no_number)
    with pytest.raises(ModelError, match=r"model tiny gives scores that are not numbers"):
        predictor.predict(picture(RED))


def test_engines_agree(model):
    pytest.importorskip("openvino")
    first, second = (facepad.load(model, detector="stub", engine=engine) for engine in ("onnxruntime", "openvino"))
    assert first.predict(picture(RED))[0].score == pytest.approx(second.predict(picture(RED))[0].score, abs=1e-5)


@pytest.mark.parametrize(("score", "threshold"), [(0.5, None), (None, 0.5), (None, None)])
def test_decision_needs_a_score_and_a_threshold_or_reasons(score, threshold):
    with pytest.raises(ValueError, match="or the reasons why it is undecided"):
        Decision(None, score, threshold)
    assert Decision(None, score, threshold, (Reason.NO_THRESHOLD,)).label is None


def test_importing_facepad_stays_light():
    heavy = "(m for m in ('torch', 'cv2', 'onnxruntime', 'numpy') if m in sys.modules)"
    code = f"import sys, facepad; facepad.Decision; print(*{heavy})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=PATIENCE
    )
    assert (done.stdout.strip(), done.returncode) == ("", 0)
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        facepad.laod  # noqa: B018
