"""Bulk scoring: many images and videos to Parquet, in local processes or on a Ray cluster."""

from facepad.scale.job import BATCH, BulkSettings, score_source
from facepad.scale.output import SCHEMA, SUMMARY
from facepad.scale.progress import Progress

__all__ = ["BATCH", "SCHEMA", "SUMMARY", "BulkSettings", "Progress", "score_source"]
