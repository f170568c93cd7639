"""Another threshold for a loaded model: a number that is set by hand, or one of the model's presets."""

from __future__ import annotations

from dataclasses import replace

from facepad.errors import InputError, unknown_choice
from facepad.metrics import PRESETS, Note, NoteKind, Threshold, ThresholdOrigin, parse_criterion
from facepad.modelfile.bundle import Bundle
from facepad.runtime.arguments import is_number

__all__ = ["SET_BY_HAND", "with_threshold"]

SET_BY_HAND = "set by hand"
"""The source of a threshold that a user sets by hand."""


def with_threshold(bundle: Bundle, wanted: str | float | None) -> Bundle:
    """The model with another threshold. The networks, the calibration and the hash stay.

    Args:
        bundle: The model.
        wanted: A number in [0, 1], also as text, or the name of a preset (`facepad.metrics.PRESETS`). None keeps the
            model's threshold.

    Raises:
        InputError: the number is out of range, the name is unknown, or the model has no presets.
    """
    if wanted is None:
        return bundle
    known = isinstance(wanted, str) and wanted in PRESETS
    threshold = _preset(bundle, str(wanted)) if known else _by_hand(bundle, wanted)
    changed = bundle.description.model_copy(update={"threshold": threshold})
    return replace(bundle, description=changed, sha256=bundle.digest)


def _preset(bundle: Bundle, name: str) -> Threshold:
    found = [preset.threshold for preset in bundle.description.presets if preset.name == name]
    if not found:
        raise InputError(
            f"model {bundle.description.name} has no preset {name}: it was not calibrated on data with presets "
            "(facepad calibrate makes them); give a number in [0, 1]"
        )
    return found[0]


def _by_hand(bundle: Bundle, wanted: str | float) -> Threshold:
    try:
        value = float(wanted if isinstance(wanted, str) or is_number(wanted) else "")
    except ValueError:
        raise InputError(f"{unknown_choice('threshold', wanted, PRESETS)}; or a number in [0, 1]") from None
    if not 0 <= value <= 1:
        raise InputError(f"a threshold on P(bona fide) lies in [0, 1], got {wanted}")
    note = Note(NoteKind.GIVEN, f"{SET_BY_HAND}, not chosen on data")
    weak = [each for each in bundle.description.calibration.notes if each.kind is NoteKind.WEAK]
    return Threshold(value, str(parse_criterion(value)), ThresholdOrigin(SET_BY_HAND, notes=(note, *weak)))
