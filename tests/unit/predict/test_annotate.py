"""Annotated copies: the drawn boxes and captions, names that mirror the sources, no file overwritten."""

from pathlib import Path, PurePath

import numpy as np
import pytest

from facepad.errors import BusyError, InputError, OutputExistsError
from facepad.media.images import read_image, write_image
from facepad.media.videos import read_video, write_video
from facepad.modelfile.scorers import OcclusionMap
from facepad.predict.annotate import Annotations, annotate
from facepad.predict.sources import Source, SourceKind
from facepad.types import Box, Decision, FrameDecision, Label, Reason, VideoDecision

GREY = np.full((200, 300, 3), 90, np.uint8)
NO_FACE = Decision(None, None, 0.5, (Reason.NO_FACE,))


def decided(label, box=None, depth=None):
    score = 0.9 if label is Label.BONA_FIDE else 0.1
    return Decision(box, score, 0.5, (), depth)


def colour_at(image, x, y):
    red, green, blue = image[y, x].astype(int)
    if max(red, green, blue) - min(red, green, blue) < 20:
        return "grey"
    return "green" if green > red else "red"


@pytest.mark.parametrize(
    ("decision", "expected"),
    [(decided(Label.BONA_FIDE), "green"), (decided(Label.ATTACK), "red"), (NO_FACE, "grey")],
)
def test_colour_says_the_verdict(decision, expected):
    before = GREY.copy()
    drawn = annotate(GREY, [decision])
    assert np.array_equal(GREY, before) and drawn.shape == GREY.shape
    # Without a box the whole frame has the colour.
    assert colour_at(drawn, 299, 150) == colour_at(drawn, 150, 199) == expected
    assert not np.array_equal(drawn[199, 150], GREY[0, 0])


def test_box_is_drawn_where_the_face_is_and_captions_have_text():
    drawn = annotate(
        GREY, [decided(Label.ATTACK, Box(100, 80, 160, 140)), decided(Label.BONA_FIDE, Box(200, 80, 260, 140))]
    )
    assert colour_at(drawn, 100, 110) == colour_at(drawn, 130, 139) == "red"
    assert colour_at(drawn, 200, 110) == "green"
    assert np.array_equal(drawn[100:130, 110:150], GREY[100:130, 110:150])
    assert (drawn[60:80, 100:160] > 200).all(axis=2).sum() > 20


@pytest.mark.parametrize(
    "box", [Box(-50, -50, 40, 40), Box(280, 180, 400, 300), Box(-99, -99, 999, 999), Box(1, 1, 1.2, 1.2)]
)
@pytest.mark.parametrize("size", [(200, 300), (1, 1), (3, 40), (16, 16)])
def test_boxes_at_the_border_and_tiny_images_are_drawn(box, size):
    image = np.zeros((*size, 3), np.uint8)
    drawn = annotate(image, [decided(Label.ATTACK, box, np.ones((8, 8), np.float32))])
    assert drawn.shape == image.shape and drawn.any()


def test_depth_is_inset_at_the_lower_left_one_beside_the_other():
    depth = np.tile(np.linspace(0, 1, 16, dtype=np.float32), (16, 1))
    drawn = annotate(
        GREY,
        [decided(Label.ATTACK, Box(100, 20, 160, 80), depth), decided(Label.BONA_FIDE, Box(200, 20, 260, 80), depth)],
    )
    row = drawn[175]  # The side of an inset is a quarter of the image's shorter side.
    for start in (0, 50):
        values = row[start + 3 : start + 47, 0].astype(int)
        assert (np.diff(values) >= 0).all() and values[-1] - values[0] > 200
    assert colour_at(drawn, 0, 175) == "red" and colour_at(drawn, 50, 175) == "green"
    assert np.array_equal(row[110], GREY[0, 0])


def image_source(path, mirror=None):
    return Source(SourceKind.IMAGE, str(path), path, PurePath(mirror or path.name))


def test_names_mirror_the_sources_and_never_meet(tmp_path):
    path = tmp_path / "a.jpg"
    write_image(path, GREY)
    mirrors = ["photos/a.jpg", "a.jpg", "A.JPG", "a.jpg", "b", "b.webp", "c/b.webp"]
    with Annotations(tmp_path / "out") as copies:
        written = [copies.add(image_source(path, mirror), (NO_FACE,)) for mirror in mirrors]
        from_bytes = copies.add(Source(SourceKind.IMAGE, "-", path.read_bytes(), PurePath("stdin")), (NO_FACE,))
    assert [file.relative_to(tmp_path / "out").as_posix() for file in written] == [
        "photos/a.jpg", "a.jpg", "A-2.JPG", "a-3.jpg", "b.png", "b-2.png", "c/b.png"
    ]  # fmt: skip
    assert all(read_image(file).shape == GREY.shape for file in written)
    assert from_bytes.name == "stdin.png"


def test_folder_must_be_new_or_empty(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.jpg").touch()
    with pytest.raises(OutputExistsError, match="not empty"), Annotations(tmp_path / "full"):
        pass
    with pytest.raises(InputError, match="cannot write .* is not a folder"), Annotations(tmp_path / "full" / "a.jpg"):
        pass
    with (
        Annotations(tmp_path / "out"),
        pytest.raises(BusyError, match="is writing annotated copies in .*out"),
        Annotations(tmp_path / "out"),
    ):
        pass


@pytest.mark.parametrize(("picked", "rate"), [(None, 10), (4, 3)])
def test_video_shows_the_frames_that_were_looked_at(tmp_path, picked, rate):
    path = tmp_path / "clip.avi"
    write_video(path, [np.full((64, 96, 3), 40 + 10 * index, np.uint8) for index in range(12)], rate=10)
    frames = list(read_video(path, count=picked))
    looked = tuple(
        FrameDecision(frame.index, frame.seconds, (decided(Label.ATTACK, Box(20, 20, 60, 50)),)) for frame in frames
    )
    video = VideoDecision(decided(Label.ATTACK), looked, "mean")
    with Annotations(tmp_path / "out") as copies:
        written = copies.add(Source(SourceKind.VIDEO, "clip", path, PurePath("x/clip.avi")), video)
    assert written == tmp_path / "out" / "x" / "clip.mp4"
    copied = list(read_video(written))
    assert len(copied) == len(frames)
    assert copied[-1].seconds == pytest.approx((len(frames) - 1) / rate)
    for frame, copy in zip(frames, copied, strict=True):
        assert abs(float(copy.image[56, 80].mean()) - float(frame.image[56, 80].mean())) < 6
        assert colour_at(copy.image, 40, 49) == "red"


def test_camera_frames_are_numbered(tmp_path):
    source = Source(SourceKind.CAMERA, "camera:0", 0, PurePath("camera-0"))
    with Annotations(tmp_path / "out") as copies:
        written = [copies.add(source, FrameDecision(index, 0.0, (NO_FACE,)), GREY) for index in (0, 1)]
    assert [Path(file).relative_to(tmp_path / "out").as_posix() for file in written] == [
        "camera-0/000000.jpg",
        "camera-0/000001.jpg",
    ]


def test_occlusion_map_colours_the_copy_of_the_first_scored_face():
    seen = []

    def why(image, box):
        seen.append(box)
        return OcclusionMap(Box(0, 100, 160, 180), np.full((8, 8), -5, np.float32))

    scored = decided(Label.BONA_FIDE, Box(200, 20, 260, 80))
    drawn = annotate(GREY, [NO_FACE, scored], why)
    assert seen == [scored.box] and colour_at(drawn, 80, 150) == "red" and colour_at(drawn, 200, 150) == "grey"
    assert np.array_equal(annotate(GREY, [NO_FACE], why), annotate(GREY, [NO_FACE])) and len(seen) == 1
