"""Numbers and names in words."""

from __future__ import annotations

import pytest

from facepad.report.text import GAP, flatten, percent


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (1.0, "100"), (0.5, "50.00"), (0.000333, "0.033"), (0.99976, "99.976"), (0.00097, "0.097")],
)
def test_percent_keeps_small_distances_visible(value, shown):
    assert percent(value, unit=False) == shown
    assert percent(value) == f"{shown}{GAP}%"


def test_recipe_is_flattened_as_overrides_name_its_keys():
    flat = dict(flatten({"a": {"b": None, "c": True}, "stages": [{"lr": 1e-4}, {"lr": 1e-5}], "taps": ["x", "y"]}))
    assert flat == {"a.c": "true", "stages.0.lr": "0.0001", "stages.1.lr": "1e-05", "taps": '["x", "y"]'}
