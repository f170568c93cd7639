"""Files that were uploaded before: the same bytes, nearly the same pictures, and other pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facepad.service.duplicates import MediaPrint, dhash, find_duplicate


def scene(seed: int, size: int = 200) -> np.ndarray:
    """A smooth picture with structure."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)


def recompressed(image: np.ndarray, quality: int = 50) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def of(sha256: str, *images: np.ndarray) -> MediaPrint:
    return MediaPrint.of(sha256, [dhash(image) for image in images])


def test_each_bit_tells_whether_the_grey_values_rise():
    rising = np.tile(np.linspace(0, 255, 90).astype(np.uint8)[None, :, None], (80, 1, 3))
    assert dhash(rising) == 2**64 - 1
    assert dhash(np.ascontiguousarray(rising[:, ::-1])) == 0


@pytest.mark.parametrize("seed", range(5))
def test_resized_and_recompressed_picture_is_nearly_the_same_and_another_is_not(seed):
    first = scene(seed)
    smaller = cv2.resize(first, (120, 120), interpolation=cv2.INTER_AREA)
    for changed in (recompressed(first), smaller, scene(seed, 1200)):
        assert find_duplicate([of("b", changed)], [of("x", scene(99)), of("a", first)]) == "near"
    assert find_duplicate([of("b", scene(seed + 50))], [of("a", first)]) is None


def test_same_bytes_are_exact_and_nothing_before_is_no_duplicate():
    assert find_duplicate([of("a", scene(1))], [of("a", scene(1))]) == "exact"
    assert find_duplicate([of("b", scene(7)), of("a", scene(1))], [of("a", scene(1))]) == "exact"
    assert find_duplicate([of("a", scene(1))], []) is None


def test_clip_is_nearly_the_same_only_if_each_compared_frame_is():
    frames = [scene(seed) for seed in range(10)]
    earlier = [of("a", *frames)]
    assert len(earlier[0].hashes) == 4
    assert find_duplicate([of("b", *map(recompressed, frames))], earlier) == "near"
    assert find_duplicate([of("b", *frames[:9], scene(60))], earlier) is None
    halves = [of("a", *frames[:4]), of("c", *frames[6:])]
    assert find_duplicate([of("b", frames[0], frames[9])], halves) is None  # No single file has both frames.
