"""The image formats that facepad reads: their file name endings, their first bytes, and Pillow's parsers."""

from __future__ import annotations

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

__all__ = ["FORMAT_NAMES", "HEAD", "IMAGE_SUFFIXES", "format_of", "parser_of"]

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".heic", ".heif", ".hif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff"}
    | {".webp"}
)
"""The file name endings of images, in lower case."""

FORMAT_NAMES = "JPEG, PNG, WebP, BMP, TIFF, HEIC or AVIF"
"""The formats, for messages."""

HEAD = 64
"""Number of first bytes of a file that `format_of` needs to tell HEIC and AVIF apart. For all else, 12 are enough."""

# Only these parsers are tried, because a hostile file could attack every parser. Pillow's classes are called directly.
# Pillow's own pixel limit, which holds for the whole process, and its warning then do not apply.
_PARSERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
# Brands of ISO/IEC 23008-12 and of AVIF, for still images and for sequences. MP4 and MOV have other brands.
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF = frozenset({b"avif", b"avis"})
_ANY_CODEC = frozenset({b"mif1", b"mif2", b"msf1", b"miaf"})


def format_of(head: bytes) -> str | None:
    """The format of a file by its first bytes; None if it is not an image that facepad reads.

    >>> format_of(b"BM......"), format_of(b"GIF89a"), format_of(b"\\x00\\x00\\x00\\x18ftypheic")
    ('BMP', None, 'HEIC')
    """
    if head[:4] == b"RIFF":
        return "WebP" if head[8:12] == b"WEBP" else None
    if head[4:8] == b"ftyp":
        return _format_of_brands(head)
    return next((name for signature, name in _SIGNATURES.items() if head.startswith(signature)), None)


def _format_of_brands(head: bytes) -> str | None:
    """The format of a file that begins with the box ``ftyp``: a major brand, a version, and compatible brands."""
    major, end = head[8:12], min(int.from_bytes(head[:4], "big"), len(head))
    if major in _ANY_CODEC:
        compatible = {head[start : start + 4] for start in range(16, end, 4)}
        return "AVIF" if compatible & _AVIF else "HEIC"
    return "HEIC" if major in _HEIC else "AVIF" if major in _AVIF else None


def parser_of(name: str) -> type[ImageFile.ImageFile] | None:
    """Pillow's parser of a format that `format_of` returns; None if the library of the format is missing here."""
    if name == "HEIC":
        try:
            from pillow_heif.as_plugin import HeifImageFile  # Imported here because few images are HEIC.
        except ImportError:
            return None
        return HeifImageFile
    if name == "AVIF":
        return AvifImagePlugin.AvifImageFile if AvifImagePlugin.SUPPORTED else None
    return _PARSERS[name]
