"""The z-buffer beside a slow one, and the values of stored maps."""

import numpy as np

from facepad.depth import SIZE
from facepad.depth.raster import FARTHEST, rasterise, to_levels


def slow_raster(vertices, triangles, size):
    """Pixel by pixel, triangle by triangle: an independent way to the same surface."""
    surface = np.full((size, size), np.inf)
    for a, b, c in vertices[triangles]:
        matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
        if abs(np.linalg.det(matrix)) < 1e-12:
            continue
        for row in range(size):
            for column in range(size):
                weights = np.linalg.solve(matrix, [(column + 0.5) / size, (row + 0.5) / size, 1])
                if (weights >= 0).all():
                    surface[row, column] = min(surface[row, column], weights @ (a[2], b[2], c[2]))
    return surface


def test_raster_equals_a_slow_one():
    rng = np.random.default_rng(3)
    vertices = rng.uniform(-0.3, 1.3, (24, 3))
    triangles = rng.integers(0, 24, (20, 3))
    assert np.allclose(rasterise(vertices, triangles, 12), slow_raster(vertices, triangles, 12))


def test_raster_takes_the_nearer_of_two_and_leaves_no_gap_between_neighbours():
    steps = np.linspace(0, 1, 38)
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    numbers = np.arange(38 * 38).reshape(38, 38)
    upper = np.stack([numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, :-1]], -1).reshape(-1, 3)
    lower = np.stack([numbers[:-1, 1:], numbers[1:, 1:], numbers[1:, :-1]], -1).reshape(-1, 3)
    vertices = np.stack([x, y, 2 + x], axis=1)
    near = np.array([[0.25, 0.25, 1], [0.75, 0.25, 1], [0.25, 0.75, 1]])
    triangles = np.concatenate([upper, lower, [[38 * 38, 38 * 38 + 1, 38 * 38 + 2]]])
    surface = rasterise(np.concatenate([vertices, near]), triangles)
    middles = (np.arange(SIZE) + 0.5) / SIZE
    expected = np.tile(2 + middles, (SIZE, 1))
    columns, rows = np.meshgrid(middles, middles)
    expected[(columns >= 0.25) & (rows >= 0.25) & (columns + rows <= 1)] = 1
    assert np.allclose(surface, expected)


def test_raster_without_a_triangle_or_with_one_outside_is_background():
    assert np.isinf(rasterise(np.zeros((0, 3)), np.zeros((0, 3), dtype=int))).all()
    assert np.isinf(rasterise(np.array([[2.0, 2, 0], [3, 2, 0], [2, 3, 0]]), np.array([[0, 1, 2]]))).all()
    edge_on = np.array([[0.1, 0.1, 0], [0.5, 0.5, 1], [0.9, 0.9, 2]])
    assert np.isinf(rasterise(edge_on, np.array([[0, 1, 2]]), size=63)).all()


def test_levels_put_the_nearest_at_255_and_keep_the_face_apart_from_the_background():
    surface = np.full((SIZE, SIZE), np.inf)
    surface[10:20, 10:20] = np.linspace(7, 9, 100).reshape(10, 10)
    levels = to_levels(surface)
    assert levels[10, 10] == 255 and levels[19, 19] == round(255 * FARTHEST) > 0
    assert (levels[np.isinf(surface)] == 0).all() and np.all(np.diff(levels[10, 10:20].astype(int)) < 0)
    assert to_levels(np.full((4, 4), np.inf)) is None
    assert to_levels(np.full((2, 2), 3.0)).tolist() == [[255, 255], [255, 255]]
