"""Logistic regression against scikit-learn and a slow optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from facepad.metrics import balanced_weights, logistic_regression


def simulated(seed, n=400, k=3):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(float)
    inputs = rng.normal(size=(n, k)) + np.outer(labels, rng.random(k) * 2)
    return inputs, labels


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("strength", [0.0, 1.0, 50.0])
def test_factors_equal_those_of_scikit_learn(seed, strength):
    inputs, labels = simulated(seed)
    n, k = inputs.shape
    columns = np.vstack([inputs.T, np.ones(n)])
    penalty = np.append(np.full(k, strength / n), 0.0)
    found = logistic_regression(columns, labels, balanced_weights(labels), penalty)
    inverse = 1 / strength if strength else np.inf
    model = LogisticRegression(C=inverse, class_weight="balanced", solver="newton-cholesky", tol=1e-12)
    model.fit(inputs, labels)
    assert found == pytest.approx(np.append(model.coef_[0], model.intercept_), abs=1e-7)


def test_factors_minimise_the_penalised_loss():
    inputs, labels = simulated(9, n=60, k=1)
    columns, weights = np.vstack([inputs.T, np.ones(60)]), balanced_weights(labels)

    def loss(factors):
        right = np.where(labels == 1, 1, -1) * (factors @ columns)
        return weights @ np.log1p(np.exp(-right)) + 0.05 * (factors @ factors)

    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000}
    slow = minimize(loss, np.zeros(2), method="Nelder-Mead", options=options).x
    assert logistic_regression(columns, labels, weights, 0.1) == pytest.approx(slow, abs=1e-5)


def test_balanced_weights_give_each_class_one_half():
    weights = balanced_weights(np.array([1.0, 0.0, 0.0, 0.0]))
    assert weights.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
