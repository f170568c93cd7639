"""The arithmetic of the snippets in docs/how-to/other-platforms.md, written in the same steps with plain numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def pixel_at(image: np.ndarray, row: int, column: int, border: str) -> np.ndarray:
    """The colour of a pixel, also outside the image."""
    height, width = image.shape[:2]
    if border == "constant" and not (0 <= row < height and 0 <= column < width):
        return np.array([127.0] * 3)
    row, column = row % (2 * height), column % (2 * width)
    return image[min(row, 2 * height - 1 - row), min(column, 2 * width - 1 - column)].astype(float)


def area_shares(length: float, size: int) -> list[list[tuple[int, float]]]:
    """For each new pixel, the pixels in its area, each with its share of the area."""
    step = length / size
    rows = []
    for place in range(size):
        first, last = place * step, (place + 1) * step
        pixels = range(math.floor(first), math.ceil(last - 1e-9))
        rows.append([(pixel, (min(pixel + 1, last) - max(pixel, first)) / step) for pixel in pixels])
    return rows


def cut(image: np.ndarray, box: list[float], crop: dict[str, Any]) -> np.ndarray:
    """The crop of a network, as whole numbers ``(height, width, 3)`` in 0..255."""
    (x1, y1, x2, y2), (rows, columns) = box, crop["size"]
    side = crop["scale"] * max(x2 - x1, y2 - y1)
    left = (x1 + x2) / 2 + crop["shift"][0] * (x2 - x1) - side / 2
    top = (y1 + y2) / 2 + crop["shift"][1] * (y2 - y1) - side / 2
    if side >= rows and side >= columns:
        return shrunk(image, (left, top, side), crop)
    result = np.zeros((rows, columns, 3))
    for y in range(rows):
        for x in range(columns):
            result[y, x] = linear(image, top + (y + 0.5) * side / rows, left + (x + 0.5) * side / columns, crop)
    return np.rint(result)


def linear(image: np.ndarray, y: float, x: float, crop: dict[str, Any]) -> np.ndarray:
    """The colour at a place between pixels; pixel 0 has its centre at 0.5."""
    row, column = math.floor(y - 0.5), math.floor(x - 0.5)
    down, right = y - 0.5 - row, x - 0.5 - column
    a, b, c, d = (pixel_at(image, row + i, column + j, crop["border"]) for i in (0, 1) for j in (0, 1))
    return (1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d)


def shrunk(image: np.ndarray, square: tuple[float, float, float], crop: dict[str, Any]) -> np.ndarray:
    """Three steps: shift by a part of a pixel downwards, then to the right, each rounded; then average areas."""
    left, top, side = square
    first_row, first_column, count = math.floor(top), math.floor(left), math.ceil(side) + 1
    down, right = top - first_row, left - first_column
    window = np.array(
        [[pixel_at(image, first_row + y, first_column + x, crop["border"]) for x in range(count)] for y in range(count)]
    )
    window = np.rint((1 - down) * window[:-1] + down * window[1:])
    window = np.rint((1 - right) * window[:, :-1] + right * window[:, 1:])
    rows, columns = crop["size"]
    across = area_shares(side, columns)
    result = np.zeros((rows, columns, 3))
    for y, vertical in enumerate(area_shares(side, rows)):
        line = sum(weight * window[row] for row, weight in vertical)
        for x, horizontal in enumerate(across):
            result[y, x] = sum(share * line[column] for column, share in horizontal)
    return np.rint(result)


def tensor(pixels: np.ndarray, form: dict[str, Any]) -> np.ndarray:
    """The network's input ``(1, ...)``."""
    values = pixels[:, :, ::-1] if form["channels"] == "bgr" else pixels
    if form["dtype"] == "float32":
        values = ((values * form["scale"] - form["mean"]) / form["std"]).astype(np.float32)
    else:
        values = values.astype(np.uint8)
    return values[None] if form["layout"] == "nhwc" else values.transpose(2, 0, 1)[None]


def logit(output: list[float], form: dict[str, Any]) -> float:
    """The logit of bona fide."""
    if form["kind"] == "logit":
        return output[0]
    values = [math.log(min(max(x, 1e-12), 1 - 1e-12)) for x in output] if form["kind"] == "probabilities" else output
    others = [x for place, x in enumerate(values) if place != form["bona_fide"]]
    most = max(others)
    return values[form["bona_fide"]] - most - math.log(sum(math.exp(x - most) for x in others))


def score(logits: list[float], document: dict[str, Any]) -> float:
    """P(bona fide) of the fused model."""
    total = sum(network["weight"] * x for network, x in zip(document["networks"], logits, strict=True))
    line = document["calibration"]
    return 1 / (1 + math.exp(-(line["slope"] * total + line["offset"])))
