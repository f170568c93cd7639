"""Folder trees of videos: the folder names give labels, subjects and splits, as in a tree of images."""

from __future__ import annotations

from functools import partial

from facepad.datasets.adapter import Adapter
from facepad.datasets.folder import FOLDER, scan_tree
from facepad.media.videos import VIDEO_SUFFIXES

__all__ = ["VIDEO_FOLDER"]

VIDEO_FOLDER = Adapter(
    name="video-folder",
    title="a folder tree of your own videos",
    licence="the licence of your videos",
    citation="",
    protocols=FOLDER.protocols,
    scan=partial(scan_tree, suffixes=VIDEO_SUFFIXES, noun="video"),
    videos=True,
)
"""The adapter of a tree of videos."""
