"""Face detection (faces as canonical squares), crops of faces, head pose, and image quality."""

from facepad.faces.box_cache import FoundBox
from facepad.faces.boxes import find_boxes
from facepad.faces.detectors import (
    DEFAULT_DETECTOR,
    DETECTOR_FILES,
    DETECTORS,
    Detector,
    create_detector,
    default_detector,
)
from facepad.faces.fit import box_misfit, read_with_box, require_fit, why_unusable
from facepad.faces.geometry import (
    Border,
    blank_face,
    crop,
    iou,
    keep_only_face,
    map_box,
    outside,
    scale_box,
    square_around,
)

__all__ = [
    "DEFAULT_DETECTOR",
    "DETECTORS",
    "DETECTOR_FILES",
    "Border",
    "Detector",
    "FoundBox",
    "blank_face",
    "box_misfit",
    "create_detector",
    "crop",
    "default_detector",
    "find_boxes",
    "iou",
    "keep_only_face",
    "map_box",
    "outside",
    "read_with_box",
    "require_fit",
    "scale_box",
    "square_around",
    "why_unusable",
]
