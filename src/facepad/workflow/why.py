"""Occlusion maps of the images with the highest losses, for the report of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facepad.datasets.manifest import resolve
from facepad.errors import ImageError
from facepad.media.images import read_image
from facepad.modelfile.scorers import Scorer, occlusion_map
from facepad.report.content import ReportContent
from facepad.report.losses import IMAGE_SIDE, hardest_records
from facepad.report.pictures import jpeg_uri
from facepad.types import Sample

__all__ = ["occlusion_pictures"]


def occlusion_pictures(
    scorer: Scorer, manifest: Path, samples: Sequence[Sample], content: ReportContent
) -> dict[str, str]:
    """Path of a record -> its image in the colours of the occlusion map, as the ``data:`` URI of a small picture.

    A video is represented by the frame that the report shows. An unreadable image has no picture.
    """
    by_path = {sample.path: sample for sample in samples}
    pictures = {}
    for records in hardest_records(content).values():
        for record in records:
            sample = by_path[content.pictures.get(record.path, record.path)]
            try:
                image = read_image(resolve(manifest, sample))
            except ImageError:
                continue  # an unreadable image must not stop a report
            drawn = occlusion_map(scorer, image, sample.box).drawn_on(image)
            pictures[record.path] = jpeg_uri(drawn, IMAGE_SIDE)
    return pictures
