"""Depth labels: how near each place of a bona fide face is, made once, stored beside the manifest, used in training."""

from facepad.depth.carry import carry_depth
from facepad.depth.engines import ENGINES, DepthEngine, create_engine, usual_engine
from facepad.depth.make import DepthSummary, make_depth
from facepad.depth.preview import write_preview
from facepad.depth.raster import EXTENT, SIZE
from facepad.depth.store import DepthMaps, load_depth
from facepad.depth.warp import warp_depth

__all__ = [
    "ENGINES",
    "EXTENT",
    "SIZE",
    "DepthEngine",
    "DepthMaps",
    "DepthSummary",
    "carry_depth",
    "create_engine",
    "load_depth",
    "make_depth",
    "usual_engine",
    "warp_depth",
    "write_preview",
]
