"""Weighted logistic regression, for calibration and for the fusion of models."""

from __future__ import annotations

import numpy as np

from facepad.metrics.arrays import Floats

__all__ = ["balanced_weights", "logistic_regression"]

_GRADIENT_TOLERANCE = 1e-12  # the fit ends below this norm of the gradient; the loss is near 1


def balanced_weights(labels: Floats) -> Floats:
    """Return sample weights that sum to 1/2 for each class, shape (N,); the labels must hold both 0 and 1."""
    positive = np.count_nonzero(labels == 1)
    return np.where(labels == 1, 0.5 / positive, 0.5 / (labels.size - positive))


def logistic_regression(columns: Floats, labels: Floats, weights: Floats, penalty: Floats | float = 0.0) -> Floats:
    """Find the factors f that minimise the weighted cross-entropy of ``sigmoid(f @ columns)``, a convex function of f.

    Args:
        columns: Inputs, shape (K, N), with values of about unit size. A row of ones gives an offset.
        labels: Labels of the samples, 1 or 0, or probabilities between them, shape (N,).
        weights: Weights of the samples, with sum 1, shape (N,).
        penalty: L2 penalty, shape (K,) or one number for all factors. The loss includes ``sum(penalty * f**2) / 2``.

    Returns:
        The factors, shape (K,).
    """
    from scipy.optimize import minimize  # only here: prediction fits nothing and starts faster without SciPy

    penalties = np.broadcast_to(penalty, len(columns))

    def loss(factors: Floats) -> float:
        logits = factors @ columns
        return float(weights @ (np.logaddexp(0, logits) - labels * logits) + penalties @ factors**2 / 2)

    def scores(factors: Floats) -> Floats:
        halves: Floats = np.tanh(factors @ columns / 2)
        return 0.5 * (1 + halves)

    def gradient(factors: Floats) -> Floats:
        slope: Floats = columns @ (weights * (scores(factors) - labels)) + penalties * factors
        return slope

    def curvature(factors: Floats) -> Floats:
        score = scores(factors)
        bend: Floats = (columns * (weights * score * (1 - score))) @ columns.T + np.diag(penalties)
        return bend

    start = np.zeros(len(columns))
    method = {"method": "trust-exact", "options": {"gtol": _GRADIENT_TOLERANCE}}
    factors: Floats = minimize(loss, start, jac=gradient, hess=curvature, **method).x
    return factors
