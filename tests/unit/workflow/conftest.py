"""What workflows measure does not depend on how often a network is exported."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpers.exports import remembered_exports


@pytest.fixture(scope="module", autouse=True)
def _remembered_exports() -> Iterator[None]:
    with remembered_exports():
        yield
