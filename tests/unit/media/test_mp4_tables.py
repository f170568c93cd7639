"""The check of the tables of MP4 files."""

from __future__ import annotations

import io

from facepad.media.mp4_tables import why_unsafe


class Watched(io.BytesIO):
    """A file that remembers how much was asked of it."""

    asked = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.asked = max(self.asked, size or 0)
        return super().read(size)


def test_a_box_with_a_huge_length_is_read_to_the_end_of_the_file_only():
    content = (1).to_bytes(4, "big") + b"moov" + (2**60).to_bytes(8, "big") + b"stsz"
    stream = Watched(content)
    assert why_unsafe(stream, len(content)) is None
    assert stream.asked <= len(content)
