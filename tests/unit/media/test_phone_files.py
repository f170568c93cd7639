"""Reading what phones and cameras make: each generated file shows the same picture, upright and whole."""

from __future__ import annotations

import inspect
import io
import re
import struct
import sys
import tracemalloc
from contextlib import suppress
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import AvifImagePlugin, Image

from facepad.errors import ImageError, VideoError
from facepad.media.av1 import read_avif_facts
from facepad.media.formats import IMAGE_SUFFIXES, format_of, parser_of
from facepad.media.hdr import to_sdr
from facepad.media.images import MAX_PIXELS, from_pillow, image_size, read_header, read_image
from facepad.media.videos import VIDEO_SUFFIXES, read_video
from facepad.service.settings import Settings
from helpers.phone_files import CLIPS, HLG, IMAGES, PICTURE, PQ, clip, hdr_clip, image_file, shows_the_picture


def test_the_picture_is_told_from_its_mirrors_and_its_parts():
    assert shows_the_picture(PICTURE)
    wrong = (PICTURE[::-1], PICTURE[:, ::-1], PICTURE[..., ::-1], PICTURE[:64], PICTURE // 2 + 64)
    assert not any(map(shows_the_picture, wrong))


@pytest.mark.parametrize("name", IMAGES)
def test_image_is_read_whole_upright_and_in_its_colours(name):
    content = IMAGES[name]()
    assert shows_the_picture(read_image(content), name)
    assert image_size(content) == PICTURE.shape[:2]
    assert f".{name.rpartition('.')[2]}" in IMAGE_SUFFIXES


@pytest.mark.parametrize("name", CLIPS)
def test_clip_is_read_upright_and_in_its_colours(name):
    video = read_video(CLIPS[name]())
    frames = list(video)
    assert len(frames) == (5 if name.startswith("variable") else 4)
    assert all(shows_the_picture(frame.image) for frame in frames)
    assert video.defect is None
    assert f".{name.rpartition('.')[2]}" in VIDEO_SUFFIXES


@pytest.mark.parametrize(("transfer", "name"), [(PQ, "PQ"), (HLG, "HLG")])
def test_hdr_gives_the_pixels_of_sdr_and_a_note(transfer, name):
    rng = np.random.default_rng(0)
    colours = np.kron(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
    video = read_video(hdr_clip(transfer, colours))
    frames = list(video)
    read = frames[0].image[6::16, 6::16].astype(int)  # inside the squares, where the codec smears nothing
    assert np.abs(read - colours[6::16, 6::16]).mean() < 3
    assert video.note == f"HDR ({name}) was converted to SDR"


def test_light_above_white_is_clipped_and_stays_neutral():
    signal = np.repeat(np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None], 3, axis=2)
    for transfer, white in ((PQ, 0.58), (HLG, 0.75)):
        grey = to_sdr(signal, transfer).astype(int)
        assert (grey[0, int(64 * white) + 1 :] == 255).all()
        assert (np.diff(grey[0, :, 1]) >= 0).all() and np.ptp(grey, axis=2).max() <= 1


def test_hdr_is_converted_in_little_memory():
    image = np.full((1030, 1000, 3), 20_000, np.uint16)
    to_sdr(image[:1], HLG)  # makes the table of the light
    tracemalloc.start()
    shown = to_sdr(image, HLG)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (shown == shown[0, 0]).all()
    assert peak < 2.5 * shown.nbytes


TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])  # BT.2087


def _light(signal, transfer):
    """The light of a signal; 1 is the white of SDR (SMPTE ST 2084, ARIB STD-B67 on a display of 1000 cd/m2)."""
    if transfer == PQ:
        root = signal ** (32 / 2523)
        return 10_000 / 203 * (np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610)
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return 1000 / 203 * scene * (scene @ [0.2627, 0.6780, 0.0593])[..., None] ** 0.2


def hdr_image(kind):
    """A uniform picture of 58 % in PQ, which is the white of SDR."""
    content = bytearray(image_file(kind, Image.fromarray(np.full((64, 64, 3), 148, np.uint8)), quality=95))
    transfer = content.index(b"nclx") + 6
    content[transfer : transfer + 2] = PQ.to_bytes(2, "big")
    return bytes(content)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_image_in_hdr_is_converted_as_a_file_and_as_a_pillow_image(kind, tmp_path):
    content, path = hdr_image(kind), tmp_path / "a"
    path.write_bytes(content)
    decoded = Image.open(path)
    decoded.load()
    for shown in (
        read_image(content),
        from_pillow(Image.open(io.BytesIO(content))),
        from_pillow(Image.open(path)),
        from_pillow(decoded),
    ):
        assert shown.min() >= 250


def test_decoded_avif_whose_path_holds_another_picture_now_stays_readable(tmp_path):
    path = tmp_path / "a.avif"
    path.write_bytes(image_file("AVIF", quality=95, speed=10))
    decoded = Image.open(path)
    decoded.load()
    path.write_bytes(image_file("JPEG"))
    assert shows_the_picture(from_pillow(decoded))


def test_bytes_and_16_bits_of_an_hdr_picture_are_converted_alike():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 160, (40, 40, 3), dtype=np.uint8)
    for transfer in (PQ, HLG):
        small, deep = to_sdr(picture, transfer).astype(int), to_sdr(picture * np.uint16(257), transfer).astype(int)
        assert np.abs(small - deep).mean() < 1


def test_hdr_equals_the_powers_of_float64():
    rng = np.random.default_rng(1)
    signal = rng.integers(0, 256, (50, 50, 3), dtype=np.uint8)
    for transfer in (PQ, HLG):
        light = _light(signal / 255, transfer) @ TO_BT709.T
        expected = np.rint(np.clip(light, 0, 1) ** (1 / 2.4) * 255)
        assert np.abs(to_sdr(signal, transfer) - expected).max() <= 1


def test_thumbnail_of_a_heic_is_never_read():
    content = image_file("HEIF", quality=95, thumbnails=[64])
    assert read_image(content, min_size=(16, 16)).shape == PICTURE.shape


def test_library_and_service_have_one_limit_of_pixels():
    for read in (read_image, from_pillow, read_video):
        assert inspect.signature(read).parameters["max_pixels"].default == MAX_PIXELS
    assert Settings().max_pixels == MAX_PIXELS == 64_000_000


@pytest.mark.parametrize("page", ["datasets.md", "how-to/predict.md"])
def test_documents_name_every_ending_of_an_image(page):
    text = (Path(__file__).parents[3] / "docs" / page).read_text(encoding="utf-8")
    assert not [ending for ending in IMAGE_SUFFIXES if not re.search(rf"{re.escape(ending)}[` ,)]", text)]


def test_generic_brand_is_told_apart_by_the_compatible_brands():
    for kind, name in (("HEIF", "HEIC"), ("AVIF", "AVIF")):
        content = image_file(kind)
        generic = content[:8] + b"mif1" + content[12:]
        assert format_of(content[:64]) == format_of(generic[:64]) == name
        assert shows_the_picture(read_image(generic))
        assert read_header(generic).format in ("HEIF", "AVIF")


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_image_is_never_read_as_a_clip(kind, tmp_path):
    path = tmp_path / "renamed.mp4"
    path.write_bytes(image_file(kind))
    for source in (path, path.read_bytes()):
        with pytest.raises(VideoError, match=r"is an image \((HEIC|AVIF)\), not a video"):
            read_video(source)


def test_missing_library_is_refused_with_the_remedy(monkeypatch):
    heic, avif = image_file("HEIF"), image_file("AVIF")
    monkeypatch.setitem(sys.modules, "pillow_heif.as_plugin", None)
    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    with pytest.raises(ImageError, match="HEIC cannot be read without pillow-heif: convert to JPEG"):
        read_image(heic)
    with pytest.raises(ImageError, match="AVIF cannot be read without Pillow with AVIF: convert to JPEG"):
        read_image(avif)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_pixel_limit_is_checked_before_decoding(kind, monkeypatch):
    content = image_file(kind, Image.new("L", (2000, 1000)))
    parser = parser_of(format_of(content[:64]))
    monkeypatch.setattr(parser, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="2000x1000 pixels, the limit is 1000000 pixels"):
        read_image(content, max_pixels=1_000_000)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_damaged_file_is_an_image_or_an_image_error(kind):
    rng, content = np.random.default_rng(2), np.frombuffer(image_file(kind), np.uint8)
    for number in range(60):
        damaged = content.copy()
        damaged[rng.integers(12, len(content), 6)] = rng.integers(0, 256, 6)
        cut = damaged[: len(content) * (number + 1) // 60]
        for data in (damaged, cut):
            try:
                assert read_image(data.tobytes(), max_pixels=100_000).dtype == np.uint8
            except ImageError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_sequence_gives_one_image(kind):
    later = [Image.new("RGB", (PICTURE.shape[1], PICTURE.shape[0]), "blue")] * 3
    content = image_file(kind, save_all=True, append_images=later)
    assert shows_the_picture(read_image(content))


def test_track_of_hevc_with_the_brand_of_an_image_is_refused():
    content = CLIPS["hevc.mp4"]()
    disguised = content[:8] + b"hevc" + content[12:]
    with pytest.raises(VideoError, match=r"is an image \(HEIC\)"):
        read_video(disguised)
    with pytest.raises(ImageError, match="cannot be decoded"):
        read_image(disguised)


def test_tiles_far_larger_than_the_image_are_refused():
    content = bytearray(image_file("HEIF", Image.new("RGB", (256, 256)), tile_size=128))
    config = content.index(struct.pack(">BBBBHH", 0, 0, 1, 1, 256, 256))  # a grid of 2 x 2 tiles
    content[config : config + 8] = struct.pack(">BBBBHH", 0, 0, 1, 1, 64, 64)
    with pytest.raises(ImageError, match="65536 coded pixels, the limit is 30000 coded pixels"):
        read_image(with_size(bytes(content), (256, 256), (64, 64)), max_pixels=10_000)


def with_size(content: bytes, size: tuple[int, int], other: tuple[int, int]) -> bytes:
    """The file with another size (width, height) of its image in the container."""
    property_of_size = b"ispe" + bytes(4)
    old, new = (property_of_size + struct.pack(">II", *pair) for pair in (size, other))
    assert old in content
    return content.replace(old, new)


@pytest.mark.parametrize("image", [Image.new("RGB", (512, 512)), Image.new("RGBA", (512, 512), (9, 9, 9, 99))])
def test_avif_that_hides_its_size_is_refused_before_decoding(image, monkeypatch):
    content = with_size(image_file("AVIF", image, speed=10), (512, 512), (64, 64))
    monkeypatch.setattr(AvifImagePlugin.AvifImageFile, "load", lambda self: pytest.fail("decoded"))
    coded = 512 * 512 * (2 if image.mode == "RGBA" else 1)
    with pytest.raises(ImageError, match=f"{coded} coded pixels, the limit is 30000 coded pixels"):
        read_image(content, max_pixels=10_000)


def test_heic_that_hides_its_size_is_refused():
    content = with_size(image_file("HEIF", Image.new("RGB", (512, 512))), (512, 512), (64, 64))
    with pytest.raises(ImageError, match="cannot be decoded .*512x512 exceeds the maximum image size"):
        read_image(content)


@pytest.mark.parametrize("options", [{}, {"preset": "12"}], ids=["libaom", "svt"])
def test_coded_pixels_are_those_of_the_first_frame_of_each_picture(options):
    """libaom writes the short header of a still picture, SVT-AV1 the long one of a video."""
    content = clip("libsvtav1", options=options) if options else image_file("AVIF", speed=10)
    assert read_avif_facts(content).coded_pixels == PICTURE.shape[0] * PICTURE.shape[1]


@given(st.binary(max_size=40))
def test_damaged_av1_header_is_a_number_or_an_error(noise):
    content = image_file_of_avif()
    start = content.index(b"mdat") + 4
    with suppress(ValueError, av.FFmpegError):
        assert read_avif_facts(content[:start] + noise + content[start + len(noise) :]).coded_pixels > 0


@cache
def image_file_of_avif() -> bytes:
    return image_file("AVIF", speed=10)


@pytest.mark.parametrize(("name", "table", "count"), [("matrix-1.mp4", b"stsz", 12), ("fragmented.mp4", b"trun", 8)])
def test_tables_that_promise_more_frames_than_the_file_can_hold_are_refused(name, table, count):
    content = bytearray(CLIPS[name]())
    start = content.index(table) + count
    content[start : start + 4] = (2**20).to_bytes(4, "big")
    with pytest.raises(VideoError, match="its tables promise more frames than the file can hold"):
        read_video(bytes(content))
