"""The logistic regression behind calibration and fusion."""

from __future__ import annotations

import numpy as np

from facepad.metrics.arrays import Floats

__all__ = ["balanced_weights", "logistic_regression"]

_GRADIENT_TOLERANCE = 1e-12  # the fit ends below this norm of the gradient; the loss is near 1


def balanced_weights(labels: Floats) -> Floats:
    """Weights that sum to 1/2 for each class, shape (N,); labels are 1 or 0, and both occur."""
    positive = np.count_nonzero(labels == 1)
    return np.where(labels == 1, 0.5 / positive, 0.5 / (labels.size - positive))


def logistic_regression(columns: Floats, labels: Floats, weights: Floats, penalty: Floats | float = 0.0) -> Floats:
    """The factors f that minimise the weighted cross-entropy of ``sigmoid(f @ columns)``, which is convex in f.

    Args:
        columns: Inputs, shape (K, N), of about unit size; a row of ones gives an offset.
        labels: 1 or 0, shape (N,).
        weights: Weights of the samples, shape (N,); they sum to 1.
        penalty: L2 penalty: the sum of ``penalty * f**2 / 2`` is added to the loss. Shape (K,), or one number for all
            factors.

    Returns:
        The factors, shape (K,).
    """
    from scipy.optimize import minimize  # only here: prediction fits nothing and starts faster without SciPy

    shrinking = np.broadcast_to(penalty, len(columns))

    def loss(factors: Floats) -> float:
        logits = factors @ columns
        return float(weights @ (np.logaddexp(0, logits) - labels * logits) + shrinking @ factors**2 / 2)

    def scores(factors: Floats) -> Floats:
        halves: Floats = np.tanh(factors @ columns / 2)
        return 0.5 * (1 + halves)

    def gradient(factors: Floats) -> Floats:
        slope: Floats = columns @ (weights * (scores(factors) - labels)) + shrinking * factors
        return slope

    def curvature(factors: Floats) -> Floats:
        score = scores(factors)
        bend: Floats = (columns * (weights * score * (1 - score))) @ columns.T + np.diag(shrinking)
        return bend

    start = np.zeros(len(columns))
    method = {"method": "trust-exact", "options": {"gtol": _GRADIENT_TOLERANCE}}
    factors: Floats = minimize(loss, start, jac=gradient, hess=curvature, **method).x
    return factors
