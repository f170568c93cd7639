"""Bulk scoring of images and videos into Parquet files, by local processes or on a Ray cluster."""

from facepad.scale.job import BATCH, BulkSettings, require_source, score_source
from facepad.scale.output import SCHEMA, SUMMARY
from facepad.scale.progress import Progress

__all__ = ["BATCH", "SCHEMA", "SUMMARY", "BulkSettings", "Progress", "require_source", "score_source"]
