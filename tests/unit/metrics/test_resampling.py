"""Resamples: what is drawn as a whole, how often, and that the seed alone decides."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from facepad.errors import MetricError
from facepad.metrics import Resampling
from facepad.metrics.resampling import resample_weights


def test_resample_weights_draw_n_of_n_and_depend_on_the_seed_only():
    first, again = (np.array(list(resample_weights(7, 2000, seed=3))) for _ in range(2))
    assert np.all(first.sum(axis=1) == 7)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, np.array(list(resample_weights(7, 2000, seed=4))))
    np.testing.assert_allclose(first.mean(axis=0), 1.0, atol=0.1)
    np.testing.assert_allclose(first.var(axis=0), 6 / 7, atol=0.15)


def test_too_few_replicates_are_refused():
    with pytest.raises(MetricError, match="at least 100 bootstrap replicates for a 95 % interval, got 99"):
        Resampling(replicates=99)


def test_measuring_is_imported_without_scipy():
    """Prediction imports the metrics, and SciPy would slow its start."""
    code = "import facepad.metrics, sys; print(sorted(name for name in sys.modules if name.startswith('scipy')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
