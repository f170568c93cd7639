"""Depth maps of bona fide faces: making them once, storing them beside the manifest, and loading them for training."""

from facepad.depth.carry import carry_depth
from facepad.depth.labellers import LABELLERS, DepthLabeller, create_labeller, usual_labeller
from facepad.depth.make import DepthSummary, make_depth
from facepad.depth.preview import write_preview
from facepad.depth.raster import EXTENT, SIZE
from facepad.depth.store import DepthMaps, load_depth
from facepad.depth.warp import warp_depth

__all__ = [
    "EXTENT",
    "LABELLERS",
    "SIZE",
    "DepthLabeller",
    "DepthMaps",
    "DepthSummary",
    "carry_depth",
    "create_labeller",
    "load_depth",
    "make_depth",
    "usual_labeller",
    "warp_depth",
    "write_preview",
]
