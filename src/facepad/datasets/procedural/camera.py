"""The camera for bona fide and attack presentations. It is the same for both, so only the presentation differs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.datasets.procedural.fields import Floats, dim, f32

__all__ = ["Camera", "sensor_grain", "to_display"]

_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera with the settings of one recording.

    Attributes:
        target: Mean display luminance after automatic exposure, in [0, 1].
        balance: White balance error: gains of red, green and blue.
        vignette: Loss of light in the corners, in [0, 1].
        blur: Gaussian sigma of the blur by lens and focus, in pixels.
        noise: Standard deviation of the noise at mid-grey, in [0, 1].
        quality: JPEG quality, 0 to 100.
    """

    target: float
    balance: tuple[float, float, float]
    vignette: float
    blur: float
    noise: float
    quality: int

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Camera:
        """Draw a random camera. Bona fide and attack presentations share this distribution."""
        red, blue = (float(v) for v in rng.uniform(0.94, 1.06, 2))
        return cls(
            target=float(rng.uniform(0.40, 0.55)),
            balance=(red, 1.0, blue),
            vignette=float(rng.uniform(0.0, 0.18)),
            blur=float(rng.uniform(0.35, 0.8)),
            noise=float(rng.uniform(0.003, 0.013)),
            quality=int(rng.integers(84, 96)),
        )

    def record(self, scene: NDArray[np.uint8], grain: Floats) -> NDArray[np.uint8]:
        """Record a scene that is given in display values.

        Args:
            scene: uint8 RGB (H, W, 3).
            grain: Noise of unit variance, (H, W, 3), from `sensor_grain`.

        Returns:
            uint8 RGB (H, W, 3).
        """
        height, width = scene.shape[:2]
        x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
        luma = cv2.transform(scene[::4, ::4].astype(np.float32), _LUMA) / 255
        mean, highlight = max(float(luma.mean()), 0.05), max(float(np.percentile(luma, 98)), 0.05)
        exposure = min(float(np.clip(self.target / mean, 0.65, 1.7)) ** 0.75, 1.0 / highlight)
        image = f32(cv2.transform(scene.astype(np.float32), np.diag(f32(self.balance) * (exposure / 255))))
        dim(image, f32(1 - self.vignette / 2 * (x * x + y * y)))
        image = f32(cv2.GaussianBlur(image, (0, 0), self.blur))
        image += grain * (0.5 + np.clip(image, 0, 1)) * self.noise
        return _quantised(image)

    def encode(self, image: NDArray[np.uint8]) -> bytes:
        """The bytes of a JPEG file with the recorded picture."""
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return data.tobytes()


def sensor_grain(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Noise of unit variance, (height, width, 3). Random shifts of the same noise give the noise of all frames."""
    return rng.standard_normal((*size, 3), dtype=np.float32)


def to_display(light: Floats) -> NDArray[np.uint8]:
    """Convert linear light to display values (uint8) with a square-root transfer curve."""
    return _quantised(np.sqrt(np.clip(light, 0, 1)))


def _quantised(image: Floats) -> NDArray[np.uint8]:
    quantised: NDArray[np.uint8] = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return quantised
