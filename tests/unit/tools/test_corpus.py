"""Every finding of the hunt (`make fuzz`) stays mended."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")  # readers of recipes, and the seeds
from tools.fuzz.readers import READERS, outcome

CORPUS = Path(__file__).parents[2] / "corpus"
FINDINGS = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", FINDINGS, ids=[path.relative_to(CORPUS).as_posix() for path in FINDINGS])
def test_a_former_finding_is_accepted_or_refused_with_a_clear_message(path, tmp_path):
    case = Path(shutil.copy(path, tmp_path))
    assert outcome(READERS[path.parent.name], case) in ("accepted", "refused")
