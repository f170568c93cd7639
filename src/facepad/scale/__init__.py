"""Bulk scoring: many images and videos to Parquet, in local processes or on a Ray cluster."""

from facepad.scale.job import BATCH, Progress, score_source
from facepad.scale.output import SCHEMA, SUMMARY

__all__ = ["BATCH", "SCHEMA", "SUMMARY", "Progress", "score_source"]
