"""The kinds of image that a predictor takes: one picture decides alike in every kind, and other objects are refused."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facepad
from facepad.errors import ImageError, InputError
from facepad.media.images import write_image
from facepad.predict.inputs import in_rgb, looks_like_bgr, read_input
from facepad.types import Box, Label
from helpers.squares import BLUE, RED, picture

pytestmark = pytest.mark.usefixtures("stub_detector")

GREY = (120, 120, 120)


@pytest.fixture
def photo(tmp_path):
    """A PNG of a red square and a blue square."""
    write_image(tmp_path / "a.png", picture(RED, BLUE))
    return tmp_path / "a.png"


def test_every_kind_of_image_decides_alike(predictor, photo):
    expected = predictor.predict(photo)
    content = photo.read_bytes()
    image = picture(RED, BLUE)
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    kinds = [content, bytearray(content), memoryview(content), io.BytesIO(content)]
    kinds += [Image.open(photo), Image.fromarray(image), Image.fromarray(opaque), image, opaque]
    assert [predictor.predict(kind) for kind in kinds] == [expected] * len(kinds)
    with photo.open("rb") as file:
        assert predictor.predict(file) == expected and not file.closed
    assert predictor.predict_batch([io.BytesIO(content), Image.open(photo), opaque]) == [expected] * 3


@pytest.mark.parametrize("alpha", [False, True])
def test_arrays_of_opencv_need_their_order(predictor, alpha):
    image = picture(RED, BLUE)
    bgr = image[..., ::-1]
    if alpha:
        bgr = np.dstack([bgr, np.full(image.shape[:2], 255, np.uint8)])
    expected = predictor.predict(image)
    assert predictor.predict(bgr, channels="bgr") == expected
    assert predictor.predict_batch([bgr, bgr], channels="bgr") == [expected] * 2
    assert predictor.predict_together([bgr, bgr], channels="bgr").score == pytest.approx(expected[0].score)
    assert facepad.Stream(predictor).update(bgr, channels="bgr").face.score == expected[0].score
    assert predictor.predict(bgr)[0].label is Label.ATTACK


def test_order_of_channels_does_not_change_other_kinds(predictor, photo):
    expected = predictor.predict(photo)
    assert predictor.predict(photo, channels="bgr") == expected
    assert predictor.predict(Image.open(photo), channels="bgr") == expected
    grey = picture(GREY)[..., 0]
    assert in_rgb(grey, "bgr") is grey


def test_unknown_order_of_channels_is_refused(predictor):
    for call in (predictor.predict, lambda image, **options: predictor.predict_batch([image], **options)):
        with pytest.raises(InputError, match="unknown order of channels 'grb' .*; choices: rgb, bgr"):
            call(picture(RED), channels="grb")


def test_grey_arrays_have_equal_channels():
    grey = picture(GREY)[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    for array in (grey, grey[..., None], Image.fromarray(grey)):
        assert np.array_equal(read_input(array), expected)
    assert read_input(np.zeros((5, 3), np.uint8)).shape == (5, 3, 3)


def test_transparent_pixels_are_white():
    array = np.zeros((4, 4, 4), np.uint8)
    array[:2, :, 3] = 255
    seen = read_input(array)
    assert (seen[:2] == 0).all() and (seen[2:] == 255).all()


def test_pillow_images_are_upright_and_limited(tmp_path):
    image, exif = Image.fromarray(picture(RED, BLUE)), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert read_input(Image.open(tmp_path / "a.jpg")).shape == (128, 64, 3)
    assert np.array_equal(read_input(Image.open(tmp_path / "a.jpg")), read_input(tmp_path / "a.jpg"))
    with pytest.raises(ImageError, match="10000x10000 pixels, the limit is"):
        read_input(Image.new("1", (10_000, 10_000)))
    picture_file = tmp_path / "b.png"
    write_image(picture_file, picture(RED))
    picture_file.write_bytes(picture_file.read_bytes()[:-40])
    with Image.open(picture_file) as cut, pytest.raises(ImageError, match=r"b\.png: cannot be decoded"):
        read_input(cut)


def read_to_the_end():
    file = io.BytesIO(b"written")
    file.seek(0, io.SEEK_END)
    return file


def closed():
    file = io.BytesIO(b"")
    file.close()
    return file


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (read_to_the_end, r"nothing is left to read in the file: rewind it with seek\(0\)"),
        (closed, "the file cannot be read"),
        (lambda: io.StringIO("text"), "open in binary mode, got str from read"),
        (lambda: io.BytesIO(b"no image"), "not a JPEG"),
        (lambda: np.zeros((4, 4, 2), np.uint8), r"got uint8 \(4, 4, 2\)"),
        (lambda: np.zeros((4, 4), bool), r"got bool \(4, 4\)"),
        (lambda: np.zeros((0, 4), np.uint8), r"got uint8 \(0, 4\)"),
        (lambda: np.uint8(3), "got uint8"),
        (lambda: 3, "binary file, Pillow image or uint8 array, got int"),
    ],
)
def test_other_objects_are_refused_in_one_line(predictor, make, message):
    with pytest.raises(ImageError, match=message) as caught:
        predictor.predict(make())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "images",
    ["a.jpg", b"JPEG", Path("a.jpg"), io.BytesIO(b"JPEG"), Image.new("RGB", (8, 8)), picture(RED), None, 5],
    ids=range(8),
)
def test_one_image_in_place_of_several_is_refused(predictor, images):
    for decide in (predictor.predict_batch, predictor.predict_together):
        with pytest.raises(InputError, match=r"^images: expected several images, as in \[image\], got "):
            decide(images)


def test_batch_may_be_one_array(predictor):
    batch = np.stack([picture(RED), picture(BLUE)])
    assert predictor.predict_batch(batch) == predictor.predict_batch(list(batch))
    assert len(predictor.predict_batch(batch[..., 0])) == 2


def test_first_face_of_an_array_that_is_blue_asks_about_the_order_once(model, caplog):
    predictor = facepad.load(model, detector="stub")
    with caplog.at_level(logging.WARNING, "facepad"):
        predictor.predict(np.zeros((64, 64, 3), np.uint8))  # no face
        assert not caplog.records
        predictor.predict(picture(BLUE))
        predictor.predict(picture(BLUE))
    assert [record.message for record in caplog.records] == [
        'the face in the array is bluer than red; an array of OpenCV needs channels="bgr"'
    ]


def test_blue_face_in_a_batch_asks_about_the_order_once(model, caplog):
    predictor = facepad.load(model, detector="stub")
    with caplog.at_level(logging.WARNING, "facepad"):
        predictor.predict_batch([picture(BLUE)], channels="bgr")
        assert not caplog.records
        predictor.predict_batch(iter([np.zeros((64, 64, 3), np.uint8), *[picture(BLUE)] * 9]))
    assert len(caplog.records) == 1 and 'channels="bgr"' in caplog.records[0].message


def test_files_grey_faces_and_arrays_of_known_order_ask_nothing(model, tmp_path, caplog):
    write_image(tmp_path / "a.png", picture(BLUE))
    with caplog.at_level(logging.WARNING, "facepad"):
        for image, channels in ((tmp_path / "a.png", "rgb"), (picture(GREY), "rgb"), (picture(RED), "bgr")):
            facepad.load(model, detector="stub").predict(image, channels=channels)
        predictor = facepad.load(model, detector="stub")
        predictor.predict(picture(RED))
        predictor.predict(picture(BLUE))  # The first array has shown the order.
    assert not caplog.records


@pytest.mark.parametrize("tone", [(215, 180, 158), (198, 134, 66), (90, 60, 45), (60, 40, 32)])
def test_skin_of_every_tone_tells_the_order(tone):
    image = picture(tone)
    assert not looks_like_bgr(image, Box(0, 0, 64, 64)) and looks_like_bgr(image[..., ::-1], Box(0, 0, 64, 64))
