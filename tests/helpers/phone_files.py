"""Files as phones and cameras make them, generated; each shows `PICTURE` when it is read rightly."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import av
import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

pillow_heif.register_heif_opener()
QUARTERS = ((180, 60, 60), (60, 160, 60), (60, 60, 180), (200, 200, 200))
PICTURE = np.kron(np.array(QUARTERS, np.uint8).reshape(2, 2, 3), np.ones((64, 96, 1), np.uint8))
"""Red and green above blue and white, 128 x 192: shows turns, mirrors, missing tiles and wrong colours."""

GREY = "grey.jpg"  # the one file without the colours
ORIENTATIONS = range(1, 9)

_EXIF_ORIENTATION = 0x0112
# The display matrix (a, b, c, d) that makes the stored frame of an orientation upright: (x, y) is shown at
# (a x + c y, b x + d y).
_MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
PQ, HLG = 16, 18
_BT2020 = 9
_FROM_BT709 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087
_WEIGHTS = np.array([0.2627, 0.6780, 0.0593])


def stored(orientation: int) -> NDArray[np.uint8]:
    """The pixels that a camera stores, which the EXIF orientation turns upright."""
    turned = {
        1: PICTURE,
        2: PICTURE[:, ::-1],
        3: PICTURE[::-1, ::-1],
        4: PICTURE[::-1],
        5: PICTURE.transpose(1, 0, 2),
        6: np.rot90(PICTURE, 1),
        7: PICTURE[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PICTURE, -1),
    }
    return np.ascontiguousarray(turned[orientation])


def image_file(kind: str, image: Image.Image | None = None, orientation: int = 1, **options: object) -> bytes:
    """An image file of a Pillow format."""
    image = image or Image.fromarray(stored(orientation))
    content = io.BytesIO()
    if orientation != 1:
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = orientation
        image.info["exif"] = exif.tobytes()  # the encoder of HEIC makes a rotation property of it
        options["exif"] = image.info["exif"]
    image.save(content, kind, **options)
    return content.getvalue()


def clip(
    codec: str = "libx264",
    pixels: str = "yuv420p",
    *,
    kind: str = "mp4",
    orientation: int = 1,
    stamps: tuple[int, ...] = (0, 40, 80, 120),
    options: dict[str, str] | None = None,
) -> bytes:
    """A clip of equal frames; ``stamps`` are their times in 1/1000 s."""
    frame = av.VideoFrame.from_ndarray(stored(orientation), "rgb24")
    content = _encoded([frame] * len(stamps), stamps, codec, pixels, kind, options)
    return content if orientation == 1 else _with_matrix(content, _MATRICES[orientation])


def hdr_clip(transfer: int, image: NDArray[np.uint8] = PICTURE) -> bytes:
    """A clip in HDR (HEVC, 10 bits, BT.2020) of a picture whose white has 203 cd/m2, as ITU-R BT.2408 asks."""
    light = (image / 255.0) ** 2.4 * 203 @ _FROM_BT709.T
    frames = [_hdr_frame(_pq(light) if transfer == PQ else _hlg(light), transfer) for _ in range(4)]
    return _encoded(frames, (0, 40, 80, 120), "libx265", "yuv420p10le", "mp4", {"x265-params": "log-level=none"})


def _encoded(frames, stamps, codec, pixels, kind, options) -> bytes:
    content = io.BytesIO()
    container_options = {"movflags": "frag_keyframe+empty_moov"} if kind == "fragmented" else {}
    with av.open(content, "w", format="mp4" if kind == "fragmented" else kind, options=container_options) as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "8", **(options or {})})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        for name in ("color_trc", "color_primaries", "colorspace", "color_range"):
            setattr(stream.codec_context, name, getattr(frames[0], name))
        for frame, stamp in zip(frames, stamps, strict=True):
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return content.getvalue()


def _with_matrix(content: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """The clip with another display matrix in its track header."""
    a, b, c, d = (value << 16 for value in matrix)
    start = content.index(b"tkhd") + 44
    return content[:start] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[start + 36 :]


def _hdr_frame(signal: NDArray[np.float64], transfer: int) -> av.VideoFrame:
    red, _, blue = np.moveaxis(signal, -1, 0)
    luma = signal @ _WEIGHTS
    planes = (luma * 219 + 16, *(_half(c) * 224 + 128 for c in ((blue - luma) / 1.8814, (red - luma) / 1.4746)))
    frame = av.VideoFrame(signal.shape[1], signal.shape[0], "yuv420p10le")
    for plane, values in zip(frame.planes, planes, strict=True):
        padded = np.zeros((plane.height, plane.line_size // 2), "<u2")
        padded[:, : plane.width] = np.rint(values * 4)
        plane.update(padded.tobytes())
    frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = transfer, _BT2020, _BT2020, 1
    return frame


def _half(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    return plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).mean((1, 3))


def _pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """The signal of light in cd/m2 (SMPTE ST 2084)."""
    power = (light / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def _hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """The signal of light in cd/m2 on a display of 1000 cd/m2 (ARIB STD-B67)."""
    scene = light / 1000 * np.maximum(light @ _WEIGHTS / 1000, 1e-9)[..., None] ** (1 / 1.2 - 1)
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


def _deep_png() -> bytes:
    return cv2.imencode(".png", PICTURE[..., ::-1].astype(np.uint16) * 257)[1].tobytes()


def _deep_heic() -> bytes:
    """10 bits per channel, as in the HIF files of cameras."""
    content, deep = io.BytesIO(), PICTURE.astype(np.uint16) * 257
    pillow_heif.encode("RGB;16", (PICTURE.shape[1], PICTURE.shape[0]), deep.tobytes(), content, quality=95)
    return content.getvalue()


def _transparent_png() -> bytes:
    opaque = np.full((*PICTURE.shape[:2], 1), 255, np.uint8)
    return image_file("PNG", Image.fromarray(np.concatenate([PICTURE, opaque], axis=2)))


def _mpo() -> bytes:
    second = Image.new("RGB", (PICTURE.shape[1], PICTURE.shape[0]), "blue")
    return image_file("MPO", save_all=True, append_images=[second], quality=95)


IMAGES: dict[str, Callable[[], bytes]] = {
    **{f"exif-{o}.jpg": partial(image_file, "JPEG", orientation=o, quality=95) for o in ORIENTATIONS},
    **{f"turned-{o}.heic": partial(image_file, "HEIF", orientation=o, quality=95) for o in ORIENTATIONS},
    **{f"turned-{o}.avif": partial(image_file, "AVIF", orientation=o, quality=95, speed=10) for o in (1, 3, 5, 6)},
    "tiled.heic": partial(image_file, "HEIF", quality=95, tile_size=64),
    "camera.hif": _deep_heic,
    "transparent.heic": lambda: image_file("HEIF", Image.fromarray(PICTURE).convert("RGBA"), quality=95),
    "saved.jfif": partial(image_file, "JPEG", quality=95),
    "saved.jpe": partial(image_file, "JPEG", quality=95),
    "stereo.mpo": _mpo,
    "printed-cmyk.jpg": lambda: image_file("JPEG", Image.fromarray(PICTURE).convert("CMYK"), quality=95),
    "palette.png": lambda: image_file("PNG", Image.fromarray(PICTURE).quantize(8)),
    "deep.png": _deep_png,
    "transparent.png": _transparent_png,
    "scan.tif": partial(image_file, "TIFF"),
    "plain.bmp": partial(image_file, "BMP"),
    "web.webp": partial(image_file, "WEBP", quality=95),
    GREY: lambda: image_file("JPEG", Image.fromarray(PICTURE).convert("L"), quality=95),
}
"""File name -> a function that makes the file."""

CLIPS: dict[str, Callable[[], bytes]] = {
    **{f"matrix-{o}.mp4": partial(clip, orientation=o) for o in ORIENTATIONS},
    "quicktime.mov": partial(clip, kind="mov"),
    "hevc.mp4": partial(clip, "libx265", options={"x265-params": "log-level=none"}),
    "browser.webm": partial(clip, "libvpx", kind="webm", options={"deadline": "realtime", "b": "2M"}),
    "fragmented.mp4": partial(clip, kind="fragmented"),
    "variable-rate.mp4": partial(clip, stamps=(0, 10, 200, 210, 900)),
    "deep-sdr.mp4": partial(clip, "libx265", "yuv420p10le", options={"x265-params": "log-level=none"}),
    "hdr-pq.mp4": partial(hdr_clip, PQ),
    "hdr-hlg.mp4": partial(hdr_clip, HLG),
}
"""File name -> a function that makes the file."""


def shows_the_picture(image: NDArray[np.uint8], name: str = "") -> bool:
    """Whether an image has the size of `PICTURE`, and the colour of each quarter (a grey file: the luminance)."""
    if image.shape != PICTURE.shape:
        return False
    expected = np.array(QUARTERS, float)
    if name == GREY:
        expected = np.repeat(expected @ [[0.299], [0.587], [0.114]], 3, axis=1)
    found = [image[y : y + 40, x : x + 60].mean((0, 1)) for y in (12, 76) for x in (18, 114)]
    return bool(np.abs(np.array(found) - expected).max() < 8)
