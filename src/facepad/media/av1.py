"""The facts about an AVIF that Pillow does not tell: its transfer function, and the size that its AV1 headers name."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import av

from facepad.media.mp4_tables import why_unsafe

__all__ = ["AvifFacts", "read_avif_facts"]

_SEQUENCE_HEADER = 1  # the type of the unit (OBU) with the size
# Without a list of codecs, FFmpeg would decode the first picture when it opens the file.
_OPTIONS = {"format_whitelist": "mov", "protocol_whitelist": "none", "codec_whitelist": "none"}


@dataclass(frozen=True, slots=True)
class AvifFacts:
    """Facts about an AVIF.

    Attributes:
        coded_pixels: Number of pixels that a decoder decodes at most for one image: of all tiles and planes together.
            The size that the container names may be smaller.
        transfer: Code of the transfer function (ITU-T H.273), from the container.
    """

    coded_pixels: int
    transfer: int


def read_avif_facts(content: bytes) -> AvifFacts:
    """Read the headers of an AVIF. Nothing is decoded.

    The sections named in the comments of this module are those of the AV1 bitstream specification.

    Args:
        content: The bytes of the file.

    Raises:
        ValueError: The file has no picture, or a picture has no header.
        av.FFmpegError: The container cannot be read.
    """
    if why := why_unsafe(io.BytesIO(content), len(content)):
        raise ValueError(why)
    with av.open(io.BytesIO(content), "r", options=_OPTIONS) as file:
        streams = file.streams.video  # one for each tile, or for a whole sequence
        waiting = {stream.index for stream in streams}
        sizes = []
        transfer = streams[0].codec_context.color_trc if streams else 0
        for packet in file.demux(video=tuple(range(len(streams)))):
            if packet.size and packet.stream_index in waiting:
                waiting.discard(packet.stream_index)
                sizes.append(max(_pixels_of(header) for header in _sequence_headers(bytes(packet))))
    if waiting or not sizes:
        raise ValueError("a picture without data")
    return AvifFacts(sum(sizes), transfer)


def _sequence_headers(data: bytes) -> Iterator[bytes]:
    """The payloads of the sequence headers of a packet (sections 5.3 and 4.10.5)."""
    place = 0
    while place < len(data):
        first = data[place]
        place += 2 if first & 4 else 1  # with an extension, the header of the unit has two bytes
        size = len(data) - place
        if first & 2:
            size, shift = 0, 0
            while place < len(data):
                byte = data[place]
                size, shift, place = size | (byte & 127) << shift, shift + 7, place + 1
                if byte < 128:
                    break
        if first >> 3 & 15 == _SEQUENCE_HEADER:
            yield data[place : place + size]
        place += size


def _pixels_of(header: bytes) -> int:
    """Width times height of the largest frame that a sequence header allows (section 5.5.1)."""
    bits = _Bits(header)
    bits.read(4)  # profile, still picture
    if bits.read(1):
        bits.read(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return (bits.read(width_bits) + 1) * (bits.read(height_bits) + 1)


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.read(1):  # timing
        bits.read(64)
        if bits.read(1):
            bits.skip_uvlc()
        if bits.read(1):  # decoder model
            delay_bits = bits.read(5) + 1
            bits.read(42)
    initial_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if initial_delay and bits.read(1):
            bits.read(4)


class _Bits:
    """Reads numbers of any number of bits, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("a header that is cut off")
        return self._value >> self._left & (1 << count) - 1

    def skip_uvlc(self) -> None:
        """Skip a number of variable length (section 4.10.3)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        if zeros < 32:
            self.read(zeros)
