"""The identity and the momentary expression of a procedural face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facepad.datasets.procedural.fields import Floats, f32, hsv, linear

__all__ = ["HAIR_STYLES", "Expression", "Subject"]

HAIR_STYLES = ("short", "long", "side", "buzz", "bob", "curly", "fringe", "bald")
"""Names of the hair styles that a drawn subject can have."""
_LONG_STYLES = ("long", "bob", "fringe")
_SKIN = linear((246, 214, 194), (232, 187, 158), (208, 156, 122), (170, 116, 84), (126, 82, 60))
_HAIR = linear((38, 30, 28), (74, 50, 36), (122, 82, 52), (196, 158, 104), (142, 66, 36), (150, 148, 146))
_IRIS = linear((84, 56, 36), (62, 92, 116), (92, 104, 66), (48, 34, 26), (110, 120, 124))
_BROWN_EYES = (0, 3)
_GLASSES = (None, None, "round", None, "square", None)
_COLLARS = ("crew", "shirt", "v")
_Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Subject:
    """One identity: the properties that are equal in all images of a person.

    Lengths are in millimetres from the middle between the pupils (``chin`` and ``nose_length`` downwards,
    ``brow_height`` upwards). Colours are linear RGB. ``jaw``, ``lip_red``, ``beard``, ``wrinkles`` and ``freckles`` lie
    in [0, 1]. ``lips`` is a factor around 1, and ``eye_tilt`` is a slope.
    """

    seed: int
    half_width: float
    jaw: float
    chin: float
    pupil_distance: float
    eye_height: float
    eye_tilt: float
    brow_height: float
    brow_thickness: float
    nose_width: float
    nose_length: float
    nose_depth: float
    mouth_width: float
    lips: float
    lip_red: float
    skin: _Colour
    hair: _Colour
    iris: _Colour
    hair_style: str
    beard: float
    wrinkles: float
    freckles: float
    glasses: str | None
    cloth: _Colour
    collar: str

    @classmethod
    def sample(cls, seed: int, index: int) -> Subject:
        """Draw person ``index`` of the population ``seed``. Neighbouring persons differ in skin, hair and glasses."""
        rng = np.random.default_rng([seed, index, 1])
        offset = np.random.default_rng([seed, 2]).uniform(size=3)
        spread = (offset + index * np.array([0.618034, 0.754878, 0.569840])) % 1.0
        style = HAIR_STYLES[(index * 3 + int(offset[2] * 8)) % len(HAIR_STYLES)]
        soft = style in _LONG_STYLES or (style in ("side", "curly") and rng.random() < 0.4)
        tone = float(spread[0]) * 3.6
        dark = tone > 2.2
        hair = _HAIR[int(rng.integers(0, 2))] if dark else _HAIR[int(spread[1] * 6)]
        iris = _IRIS[_BROWN_EYES[int(rng.integers(2))]] if dark else _IRIS[int(rng.integers(0, 5))]
        u = rng.uniform
        return cls(
            seed=int(rng.integers(2**31)),
            half_width=u(66, 70) if soft else u(68, 74),
            jaw=u(0.0, 0.45) if soft else u(0.4, 1.0),
            chin=u(104, 110) if soft else u(108, 117),
            pupil_distance=u(60, 66),
            eye_height=u(5.6, 6.8) if soft else u(4.8, 6.0),
            eye_tilt=u(-0.10, 0.03),
            brow_height=u(19, 22) if soft else u(16.5, 20),
            brow_thickness=u(2.4, 3.4) if soft else u(3.6, 5.2),
            nose_width=u(14, 17) if soft else u(15.5, 20),
            nose_length=u(38, 43) if soft else u(41, 46),
            nose_depth=u(17, 22),
            mouth_width=u(46, 54),
            lips=u(0.95, 1.3) if soft else u(0.65, 1.0),
            lip_red=u(0.5, 1.0) if soft else u(0.05, 0.35),
            skin=_triple(_mix(_SKIN, tone) * f32(u(0.94, 1.04, 3))),
            hair=_triple(hair * f32(u(0.85, 1.15))),
            iris=_triple(iris),
            hair_style=style,
            beard=0.0 if soft else float(rng.choice([0.0, 0.25, 0.45, 0.95])),
            wrinkles=float(u(0, 1) ** 2) * (0.4 if soft else 1.0),
            freckles=float(rng.random() < 0.25 and not dark),
            glasses=_GLASSES[index % len(_GLASSES)],
            cloth=_triple(hsv(u(0, 1), u(0.05, 0.36), u(0.22, 0.75))),
            collar=_COLLARS[int(rng.integers(3))],
        )

    @property
    def mouth_y(self) -> float:
        """Position of the line between closed lips, in mm below the pupils."""
        return self.nose_length + (self.chin - self.nose_length) * 0.355


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression: lid opening in [0, 1.2] (1 = normal), gaze in mm; smile, mouth and brows in [0, 1]."""

    lids: float = 1.0
    gaze: tuple[float, float] = (0.0, 0.0)
    smile: float = 0.2
    mouth_open: float = 0.0
    brow_raise: float = 0.0


def _triple(values: Floats) -> _Colour:
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def _mix(table: Floats, position: float) -> Floats:
    low = min(int(position), len(table) - 2)
    return f32(table[low] + (table[low + 1] - table[low]) * (position - low))
