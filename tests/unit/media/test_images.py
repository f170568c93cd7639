"""Reading and writing images: every format and mode, orientation, limits, and broken files."""

import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile

from facepad.errors import ImageError, InputError
from facepad.media.images import image_size, read_image, write_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def quarters():
    """20 x 30, red and green above blue and white: shows turns, mirrors and the order of channels."""
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:10, :15], pixels[:10, 15:], pixels[10:, :15], pixels[10:, 15:] = RED, GREEN, BLUE, WHITE
    return pixels


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_come_back_exactly(kind, quarters):
    assert np.array_equal(read_image(encoded(Image.fromarray(quarters), kind)), quarters)


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95, "subsampling": 0}), ("WEBP", {"quality": 95})])
def test_lossy_formats_come_back_nearly(kind, options, quarters):
    read = read_image(encoded(Image.fromarray(quarters), kind, **options))
    assert read.shape == quarters.shape and read.dtype == np.uint8
    inside = (slice(3, 7), slice(4, 11))  # away from the edges that the codecs smear
    assert np.abs(read[inside].astype(int) - quarters[inside]).max() < 12


def test_path_string_and_bytes_read_alike(tmp_path, quarters):
    path = tmp_path / "a.png"
    Image.fromarray(quarters).save(path)
    for source in (path, str(path), path.read_bytes()):
        assert np.array_equal(read_image(source), quarters)


def test_result_may_be_written(quarters):
    read_image(encoded(Image.fromarray(quarters), "PNG"))[0, 0] = 7


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind, orientation, quarters):
    # What the camera stored for each orientation, so that turning it upright gives `quarters`.
    stored = {
        1: quarters,
        2: quarters[:, ::-1],
        3: quarters[::-1, ::-1],
        4: quarters[::-1],
        5: quarters.transpose(1, 0, 2),
        6: np.rot90(quarters, 1),
        7: quarters[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(quarters, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
    read = read_image(data)
    assert image_size(data) == read.shape[:2] == quarters.shape[:2]
    for row, column in ((4, 6), (4, 24), (15, 6), (15, 24)):
        assert np.abs(read[row, column].astype(int) - quarters[row, column]).max() < 40


def test_broken_exif_does_not_cost_the_picture(quarters):
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00\x12\x01\x03\x00\xff\xff\xff\xff\xff\xff"
    assert read_image(encoded(Image.fromarray(quarters), "JPEG", exif=exif)).shape == quarters.shape


def test_grey_fills_three_channels():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(read_image(encoded(Image.fromarray(ramp), "PNG")), np.stack([ramp] * 3, axis=2))


def test_one_bit_becomes_black_and_white():
    bits = Image.fromarray(np.eye(9, dtype=np.uint8) * 255).convert("1")
    assert np.array_equal(read_image(encoded(bits, "PNG"))[:, :, 1], np.eye(9) * 255)


def test_palette_becomes_its_colours(quarters):
    palette = Image.fromarray(quarters).convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    assert np.array_equal(read_image(encoded(palette, "PNG")), quarters)


def test_cmyk_jpeg_has_the_right_colours(quarters):
    read = read_image(encoded(Image.fromarray(quarters).convert("CMYK"), "JPEG", quality=98))
    assert np.abs(read[5, 7].astype(int) - RED).max() < 12
    assert np.abs(read[15, 22].astype(int) - WHITE).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind):
    deep = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    assert read_image(encoded(Image.fromarray(deep), kind))[:, :, 0].tolist() == [[0, 0, 1], [128, 255, 255]]


def test_16_bit_rgb_is_scaled_not_clipped():
    # Pillow cannot write this, so the PNG is put together here: one row of two pixels.
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = struct.pack(">6H", 65535, 32768, 0, 256, 255, 4660)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\x00" + row))
        + chunk(b"IEND", b"")
    )
    assert read_image(png).tolist() == [[[255, 128, 0], [1, 0, 18]]]


def test_32_bit_pixels_are_refused():
    with pytest.raises(ImageError, match="32 bit"):
        read_image(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_composited_on_white(mode):
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0] = (0, 0, 0, 255)
    picture = Image.fromarray(pixels)
    options = {}
    if mode == "P":
        picture, options = picture.getchannel("A").point(lambda v: v // 255).convert("P"), {"transparency": b"\x00\xff"}
        picture.putpalette([0, 0, 0, 0, 0, 0])
    else:
        picture = picture.convert(mode)
    assert read_image(encoded(picture, "PNG", **options))[:, :, 0].tolist() == [[0, 255], [255, 255]]


def test_half_transparent_pixel_mixes_with_white():
    assert read_image(encoded(Image.new("RGBA", (1, 1), (200, 100, 0, 128)), "PNG"))[0, 0].tolist() == [227, 177, 127]


def test_animation_gives_its_first_frame(quarters):
    frames = [Image.fromarray(quarters), Image.new("RGB", (30, 20), BLUE)]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(read_image(data), quarters)


def test_min_size_reduces_a_jpeg_but_not_below():
    data = encoded(Image.fromarray(np.full((480, 640, 3), 90, np.uint8)), "JPEG")
    assert read_image(data, min_size=(160, 160)).shape == (240, 320, 3)
    assert read_image(data, min_size=(241, 100)).shape == (480, 640, 3)
    assert read_image(data, min_size=(2000, 2000)).shape == (480, 640, 3)


def test_min_size_leaves_other_formats_alone(quarters):
    assert read_image(encoded(Image.fromarray(quarters), "PNG"), min_size=(2, 2)).shape == quarters.shape


def test_pixel_limit_is_checked_before_decoding(monkeypatch, tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (3000, 2000)).save(path)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=r"bomb\.png: 3000x2000 pixels, the limit is 1000000"):
        read_image(path, max_pixels=1_000_000)


def test_pixel_limit_itself_is_allowed(quarters):
    data = encoded(Image.fromarray(quarters), "PNG")
    assert read_image(data, max_pixels=600).shape == quarters.shape
    with pytest.raises(ImageError):
        read_image(data, max_pixels=599)


def test_pillows_own_limit_neither_warns_nor_changes(monkeypatch, quarters):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(encoded(Image.fromarray(quarters), "PNG")).shape == quarters.shape
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_truncated_file_is_an_error_that_names_it(kind, keep, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "cut.img"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ImageError, match=r"cut\.img: cannot be decoded") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is no image", "not a JPEG, PNG, WebP, BMP, TIFF, HEIC or AVIF image"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "not a JPEG"),
        (b"GIF89a" + bytes(40), "not a JPEG"),
        (b"\xff\xd8\xff\xe0", "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "cannot be decoded"),
        (b"BM" + bytes(64), "cannot be decoded"),
        (b"II*\x00" + b"\xff" * 64, "cannot be decoded"),
    ],
)
def test_non_image_is_an_error_that_names_it(content, message, tmp_path):
    path = tmp_path / "odd.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"odd\.jpg: .*{message}|odd\.jpg: {message}"):
        read_image(path)


def test_bytes_are_named_by_their_length():
    with pytest.raises(ImageError, match=r"^image of 3 bytes: not a JPEG"):
        read_image(b"abc")


def test_random_damage_is_an_image_or_an_image_error(quarters):
    rng = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        data = np.frombuffer(encoded(Image.fromarray(quarters), kind), np.uint8)
        for _ in range(60):
            damaged = data.copy()
            damaged[rng.integers(4, len(data), 6)] = rng.integers(0, 256, 6)
            try:
                assert read_image(damaged.tobytes(), max_pixels=100_000).dtype == np.uint8
            except ImageError as error:
                assert str(error).startswith(f"image of {len(data)} bytes: ")


@pytest.mark.parametrize(("name", "message"), [("none.jpg", "No such file"), ("", "directory"), ("a\0b", "null")])
def test_unreadable_path_is_an_error_that_says_why(name, message, tmp_path):
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / name)


def test_size_comes_from_the_header(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG")
    assert image_size(data[: len(data) // 2]) == (48, 64)


def test_warnings_filters_are_as_before_after_overlapping_reads(quarters):
    data = encoded(Image.fromarray(quarters), "PNG")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [read_image(data) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".tiff"])
def test_written_lossless_image_reads_back(ending, tmp_path, quarters):
    path = tmp_path / "new" / f"out{ending}"
    write_image(path, quarters)
    assert np.array_equal(read_image(path), quarters)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".webp"])
def test_quality_changes_the_size_of_lossy_files(ending, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    sizes = []
    for quality in (30, 95):
        write_image(tmp_path / f"out{ending}", noise, quality=quality)
        sizes.append((tmp_path / f"out{ending}").stat().st_size)
    assert sizes[0] < sizes[1]
    assert read_image(tmp_path / f"out{ending}").shape == noise.shape


def test_view_of_an_image_is_written(tmp_path, quarters):
    write_image(tmp_path / "a.png", quarters[::-1, ::2])
    assert np.array_equal(read_image(tmp_path / "a.png"), quarters[::-1, ::2])


def test_writing_an_unknown_ending_names_the_choices(tmp_path, quarters):
    with pytest.raises(InputError, match=r"unknown image ending '\.gif'; choices: .*\.png"):
        write_image(tmp_path / "a.gif", quarters)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_writing_another_array_is_refused(wrong, tmp_path):
    with pytest.raises(InputError, match="expected uint8"):
        write_image(tmp_path / "a.png", wrong)
    assert not list(tmp_path.iterdir())


def test_writing_below_a_file_is_wrong_input(tmp_path, quarters):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        write_image(tmp_path / "file" / "a.png", quarters)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 3 x 2 grey pixels (width x height) with more chunks, those named IDAT at the place of the pixels."""
    made = {b"IHDR": struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0), b"IDAT": zlib.compress(bytes(8)), b"IEND": b""}
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in [(b"IHDR", b""), *chunks, (b"IEND", b"")]:
        data = data or made[kind]
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content


TURNED = Image.Exif()
TURNED[0x0112] = 6
EXIF, PIXELS = (b"eXIf", TURNED.tobytes()[6:]), (b"IDAT", b"")


@pytest.mark.parametrize(
    ("chunks", "size", "decodes"),
    [
        ((PIXELS,), (2, 3), False),
        ((EXIF, PIXELS), (3, 2), False),
        ((PIXELS, EXIF), (3, 2), True),
        ((PIXELS, (b"tEXt", b"a\0b")), (2, 3), True),
    ],
    ids=["none", "before", "after", "text"],
)
def test_size_of_a_png_is_read_without_decoding_unless_metadata_follow_the_pixels(monkeypatch, chunks, size, decodes):
    content, load, decoded = png(*chunks), PngImageFile.load, []
    monkeypatch.setattr(PngImageFile, "load", lambda image: decoded.append(image) or load(image))
    assert (image_size(content), bool(decoded)) == (size, decodes)
    assert read_image(content).shape[:2] == size
