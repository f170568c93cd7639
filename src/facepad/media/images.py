"""Reading an image file or byte string as uint8 RGB, and writing an image file."""

from __future__ import annotations

import io
import math
import os
import struct
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from facepad.errors import ImageError, InputError, reason, shown
from facepad.files.disk import write_bytes
from facepad.files.opening import MaxBytes, read_bytes
from facepad.files.shards import open_file
from facepad.media.formats import FORMAT_NAMES, HEAD, IMAGE_SUFFIXES, format_of, parser_of
from facepad.media.hdr import TRANSFERS, to_sdr

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "ImageHeader",
    "from_pillow",
    "image_size",
    "looks_like_image",
    "read_header",
    "read_image",
    "stored_size",
    "write_image",
]

MAX_PIXELS = 64_000_000
"""Pixel limit of an image, and of a frame of a video, in the library, the commands and the service.

Usual photographs of phones have 12 to 50 million pixels. The pixels of one image then need at most 192 MB.
"""

_WRITERS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
_PARTS = 3  # Maximum coded pixels per pixel of the limit: the image, its transparency, and a thumbnail or padding.
_MAKE, _MODEL, _ORIENTATION = 0x010F, 0x0110, 0x0112
_EXIF, _TAKEN = 0x8769, 0x9003  # the block of the camera's tags, and the time of the exposure in it
# Not `PIL.ImageOps.exif_transpose`: that function also rewrites the EXIF data, and fails if the data is damaged.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
_PNG_SIGNATURE, _PNG_CHUNKS = 8, 100_000  # Bytes of the signature, and the maximum number of chunks to look at.
_PNG_METADATA = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def read_image(
    source: Path | str | bytes, *, max_pixels: int = MAX_PIXELS, min_size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG, WebP, BMP, TIFF, HEIC or AVIF image to RGB, and rotate it upright by its orientation.

    Grey, palette, CMYK and 16 bit images become 8 bit RGB. A 16 bit value becomes its high byte. HDR (PQ, HLG) in HEIC
    and AVIF is converted to SDR. Transparent pixels are composited on white. Colour profiles are not applied. All tiles
    of an image are read. Of an animation, a sequence or a multi-page file, only one image is read: the first image, or
    the primary image of a HEIC.

    Args:
        source: A file path, which may name a member of a tar shard (`facepad.files.shards`), or the bytes of a file.
        max_pixels: Maximum number of pixels. The header is checked before the image is decoded.
        min_size: A sufficient (height, width). A JPEG may then be decoded at 1/2, 1/4 or 1/8 of its size, which is
            faster, as long as both sides are at least this long. Other formats are decoded at full size.

    Returns:
        A writable uint8 array of shape (height, width, 3).

    Raises:
        ImageError: the source is missing, empty, truncated, too large, or has another format. The message names the
            file.
    """
    with _opened(source, max_pixels) as image:
        # For a HEIC, Pillow would take the embedded thumbnail, which may show another picture.
        if min_size is not None and isinstance(image, JpegImagePlugin.JpegImageFile):
            # The EXIF orientation may swap the sides, so both sides must be at least the longer one.
            image.draft(None, (max(min_size), max(min_size)))
        image.load()
        return _upright_rgb(image)


def from_pillow(image: Image.Image, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Convert a Pillow image to RGB, and rotate it upright, with the rules of `read_image`.

    Of an AVIF, only the file tells that it is HDR. Its pixels are converted to SDR if Pillow has not decoded it yet, or
    has opened it by a path.

    Returns:
        A writable uint8 array of shape (height, width, 3).

    Raises:
        ImageError: the image is too large or empty, has 32 bits per channel, or its file cannot be decoded.
    """
    name = str(getattr(image, "filename", "") or "Pillow image")
    with _decoding(name), _QuietPillow():
        _refuse_size(name, image.size, max_pixels)
        if isinstance(image, AvifImagePlugin.AvifImageFile) and (content := _avif_content(image)):
            _refuse_size_of_parts(name, image, io.BytesIO(content), max_pixels)
        image.load()
        return _upright_rgb(image)


def image_size(source: Path | str | bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """The (height, width) of the upright image at full size, read from the header.

    Raises:
        ImageError: the source is missing, empty, too large, or has another format or a damaged header.
    """
    with _opened(source, max_pixels) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # For a rotated TIFF, newer versions of Pillow give the upright size, and older versions the stored size.
            # These tags always hold the stored size.
            width, height = image.tag_v2[256], image.tag_v2[257]
        return (width, height) if _orientation(image) in _SIDEWAYS else (height, width)


def stored_size(source: Path | str | bytes) -> tuple[int, int]:
    """The (height, width) of an image as stored, before it is rotated upright. Nothing is decoded.

    Unlike `image_size`, this function is safe for an image of any size: a PNG with metadata after its pixels must be
    decoded to find the orientation.

    Raises:
        ImageError: the source is missing, empty, or has another format or a damaged header.
    """
    with _opened(source, 2**62) as image:
        return image.size[1], image.size[0]


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The facts about an image file that its header tells.

    Attributes:
        format: Name of the file format, such as "JPEG".
        camera: Make and model of the camera (EXIF); empty if the file does not name them.
        taken: Local time of the exposure (EXIF); None if the file does not give it.
        tables: The quantisation tables of a JPEG, by number, 64 values each; empty for other formats.
    """

    format: str
    camera: str
    taken: datetime | None
    tables: Mapping[int, tuple[int, ...]]


def read_header(source: Path | str | bytes) -> ImageHeader:
    """Read the header of an image file, without decoding the image. Damaged metadata counts as missing.

    Raises:
        ImageError: the source is missing, empty, or has another format or a damaged header.
    """
    with _opened(source, MAX_PIXELS) as image:
        tables = getattr(image, "quantization", None) or {}
        camera, taken = _exposure(image)
        return ImageHeader(image.format or "", camera, taken, {key: tuple(table) for key, table in tables.items()})


def looks_like_image(head: bytes) -> bool:
    """Whether the first bytes of a file (12 are enough) belong to a format that `read_image` reads.

    >>> looks_like_image(b"BM......"), looks_like_image(b"GIF89a")
    (True, False)
    """
    return format_of(head) is not None


def write_image(path: Path, image: NDArray[np.uint8], quality: int = 95) -> None:
    """Write an RGB image atomically. The ending of the file name chooses the format.

    The image is not synced to the disk, because commands write thousands of images, and can write them again.

    Args:
        path: File to write: .jpg, .jpeg, .png, .webp, .bmp, .tif or .tiff. Missing parent folders are created.
        image: uint8 array of shape (height, width, 3).
        quality: Quality of JPEG and WebP, 1 to 100.

    Raises:
        InputError: an unknown file name ending, or an array of another type or shape.
        RunError: the file cannot be written.
    """
    path = Path(path)
    kind = _WRITERS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"cannot write {path}: unknown image ending {path.suffix!r}; choices: {', '.join(_WRITERS)}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"cannot write {path}: expected uint8 (height, width, 3), got {image.dtype} {image.shape}")
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(content, format=kind, quality=quality)
    write_bytes(path, content.getvalue(), sync=False)


@contextmanager
def _opened(source: Path | str | bytes, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """The image, of which only the header is read. Every error inside the block becomes an ImageError."""
    if not isinstance(source, bytes | str | os.PathLike):
        raise ImageError(None, f"expected a path or the bytes of an image, got {shown(source)}")
    name = f"image of {len(source)} bytes" if isinstance(source, bytes) else str(source)
    with _stream(source, name) as stream, _QuietPillow(), _decoding(name):
        image = _parser(stream, name)(stream)
        _refuse_size(name, image.size, max_pixels)
        _refuse_size_of_parts(name, image, stream, max_pixels)
        yield image


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn every error of Pillow into an ImageError. Hostile files make its parsers raise nearly any exception."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise ImageError(name, f"cannot be decoded ({lines[0] if lines else type(error).__name__})") from error


def _refuse_size(name: str, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageError(name, f"{width}x{height} pixels, the limit is {max_pixels} pixels")


def _refuse_size_of_parts(name: str, image: ImageFile.ImageFile, stream: BinaryIO, max_pixels: int) -> None:
    """Refuse a HEIC or AVIF whose tiles are far larger than the image, before they are decoded."""
    if image.format == "AVIF":
        from facepad.media.av1 import read_avif_facts  # Imported here because other images need no video library.

        stream.seek(0)
        facts = read_avif_facts(stream.read())
        pixels = facts.coded_pixels
        image.info["nclx_profile"] = {"transfer_characteristics": facts.transfer}  # as pillow-heif tells it
    elif tiling := image.info.get("tiling"):
        pixels = math.prod(tiling[key] for key in ("num_columns", "num_rows", "tile_width", "tile_height"))
    else:
        return
    if pixels > _PARTS * max_pixels:
        raise ImageError(name, f"{pixels} coded pixels, the limit is {_PARTS * max_pixels} coded pixels")


def _avif_content(image: AvifImagePlugin.AvifImageFile) -> bytes:
    """The bytes of the file of a Pillow image; empty if Pillow has decoded the image and does not know the path."""
    if image.tile and image.fp is not None:
        image.fp.seek(0)
        return image.fp.read()
    path = Path(os.fsdecode(image.filename))
    content = read_bytes(path, MaxBytes.IMAGE) if path.is_file() else b""
    return content if format_of(content[:HEAD]) == "AVIF" else b""


def _stream(source: Path | str | bytes, name: str) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes):
        if len(source) > MaxBytes.IMAGE:
            raise ImageError(name, f"more bytes than the limit of {MaxBytes.IMAGE} bytes")
        return io.BytesIO(source)
    try:
        return open_file(source, MaxBytes.IMAGE)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise ImageError(name, f"cannot be read ({reason(error)})") from error


def _parser(stream: BinaryIO, name: str) -> type[ImageFile.ImageFile]:
    head = stream.read(HEAD)
    stream.seek(0)
    if not head:
        raise ImageError(name, "is empty")
    found = format_of(head)
    if found is None:
        raise ImageError(name, f"not a {FORMAT_NAMES} image")
    parser = parser_of(found)
    if parser is None:
        library = "pillow-heif" if found == "HEIC" else "Pillow with AVIF"
        raise ImageError(name, f"{found} cannot be read without {library}: convert to JPEG")
    return parser


def _orientation(image: Image.Image) -> int:
    try:
        if isinstance(image, PngImagePlugin.PngImageFile) and not _has_late_metadata(image):
            # `PngImageFile.getexif` would decode the image first, to read metadata after the pixels.
            return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - an image with damaged metadata stays readable for any exception of Pillow
        return 1


def _has_late_metadata(image: PngImagePlugin.PngImageFile) -> bool:
    """Whether a PNG has metadata after its pixels, or may have: a damaged file, or one with very many chunks."""
    stream = image.fp
    if stream is None:  # The image is decoded, and its metadata are read.
        return True
    before, pixels = stream.tell(), False
    try:
        stream.seek(_PNG_SIGNATURE)
        for _ in range(_PNG_CHUNKS):
            length, kind = struct.unpack(">I4s", stream.read(8))
            pixels |= kind == b"IDAT"
            if kind == b"IEND" or (pixels and kind in _PNG_METADATA):
                return bool(kind != b"IEND")
            stream.seek(length + 4, io.SEEK_CUR)
    except struct.error:
        pass
    finally:
        stream.seek(before)
    return True


def _exposure(image: Image.Image) -> tuple[str, datetime | None]:
    """The camera, or an empty text, and the time of the exposure, or None."""
    try:
        exif = image.getexif()
        words = [str(exif.get(tag, "")).strip("\0 ") for tag in (_MAKE, _MODEL)]
        taken = exif.get_ifd(_EXIF).get(_TAKEN)
    except Exception:  # noqa: BLE001 - an image with damaged metadata stays readable, whatever Pillow raises
        return "", None
    try:
        return " ".join(filter(None, words)), datetime.strptime(str(taken).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return " ".join(filter(None, words)), None


def _upright_rgb(image: Image.Image) -> NDArray[np.uint8]:
    turn = _TURNS.get(_orientation(image))
    pixels = _to_rgb(image if turn is None else image.transpose(turn))
    transfer = image.info.get("nclx_profile", {}).get("transfer_characteristics")
    return to_sdr(pixels, transfer) if transfer in TRANSFERS else pixels


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ValueError("32 bit pixels; save the image with 8 or 16 bits per channel")
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(canvas, image.convert("RGBA"))
    # np.array makes a writable copy, which torch and OpenCV need; np.asarray gives a read-only view.
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


class _QuietPillow:
    """Hide the warnings of Pillow's parsers (about unusual metadata) while any thread decodes.

    `warnings.catch_warnings` is not safe with threads: each thread would restore the filters of another thread. Here
    the first thread sets the filter, and the last thread restores the previous filters.
    """

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _inside: ClassVar[int] = 0
    _saved: ClassVar[warnings.catch_warnings[None] | None] = None

    def __enter__(self) -> None:
        cls = _QuietPillow
        with cls._lock:
            if cls._inside == 0:
                cls._saved = warnings.catch_warnings()
                cls._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\b|pillow_heif|facepad\.media\.images")
            cls._inside += 1

    def __exit__(self, *exception: object) -> None:
        cls = _QuietPillow
        with cls._lock:
            cls._inside -= 1
            if cls._inside == 0 and cls._saved is not None:
                cls._saved.__exit__(None, None, None)
