"""Telemetry for operators: Prometheus metrics of one or several processes, and one log line per request."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from contextlib import suppress
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from facepad.types import Decision

__all__ = ["CONTENT_TYPE", "MULTIPROCESS", "Telemetry"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of the Prometheus text format."""

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder in which processes share metrics. The Prometheus client reads it."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LOG = logging.getLogger("facepad.service")
_LIVE_FILE = re.compile(r"gauge_live\w*_(\d+)\.db")


class Telemetry:
    """The metrics of a server, in a separate registry, and the request log."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "facepad_requests", "Requests by route and HTTP status.", ("route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "facepad_request_seconds", "Seconds until the answer.", ("route",), buckets=_SECONDS, registry=registry
        )
        self.decisions = Counter(
            "facepad_decisions",
            "Presentations by decision (bona_fide, attack or undecided).",
            ("label",),
            registry=registry,
        )
        self.non_responses = Counter(
            "facepad_non_responses", "Presentations without a score, by reason.", ("reason",), registry=registry
        )
        self.inside = Gauge(
            "facepad_requests_inside", "Requests in progress.", registry=registry, multiprocess_mode="livesum"
        )
        self.webhooks = Counter(
            "facepad_webhooks", "Webhooks by outcome (delivered, failed or unwatched).", ("outcome",), registry=registry
        )
        self.key_uses = Gauge(
            "facepad_key_last_use_seconds",
            "Unix time of the last use of an API key.",
            ("key",),
            registry=registry,
            multiprocess_mode="max",
        )

    def key_used(self, name: str) -> None:
        """Note the use of a key."""
        self.key_uses.labels(name).set_to_current_time()

    def decided(self, decision: Decision) -> None:
        """Count the decision on a presentation."""
        self.decisions.labels(decision.label or "undecided").inc()
        if decision.score is None:
            for reason in decision.reasons:
                self.non_responses.labels(reason).inc()

    def answered(self, method: str, route: str, status: int, seconds: float, request_id: str, client: str) -> None:
        """Count and log a request. The log has the route, and not the URL, as a URL may contain personal data."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        record = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "client": client,
        }
        _LOG.info(json.dumps(record))

    def text(self) -> bytes:
        """All metrics in the Prometheus text format. Metrics of several processes are summed."""
        folder = os.environ.get(MULTIPROCESS)
        if folder is None:
            return generate_latest(self.registry)
        _forget_dead_workers(Path(folder))
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _forget_dead_workers(folder: Path) -> None:
    """Remove the gauges of killed workers, which would otherwise count requests in progress forever."""
    for file in folder.glob("gauge_live*.db"):
        match = _LIVE_FILE.fullmatch(file.name)
        if match and not psutil.pid_exists(int(match[1])):
            with suppress(OSError):
                multiprocess.mark_process_dead(int(match[1]))  # type: ignore[no-untyped-call]
