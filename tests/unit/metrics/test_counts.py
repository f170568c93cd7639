"""Counted decisions, and rates as quotients of them, against counting one sample at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepad.errors import MetricError
from facepad.metrics import PRECISION_RECALL, measures
from facepad.metrics.counts import Share, count_decisions, missing_as_errors, rate_in

QUICK = settings(max_examples=60, deadline=None)
COUNTS = st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=2, max_size=4).map(lambda rows: np.array(rows, float))


def samples(counts):
    """Each counted sample as (instrument or None, outcome)."""
    kinds = [*range(len(counts) - 1), None]
    for kind, row in zip(kinds, counts, strict=True):
        for outcome, times in zip(("accepted", "rejected", "missing"), row, strict=True):
            yield from [(kind, outcome)] * int(times)


def share(found, condition, among):
    chosen = [sample for sample in found if among(*sample)]
    return sum(condition(*sample) for sample in chosen) / len(chosen) if chosen else np.nan


def slow_rates(counts):
    found = list(samples(counts))
    kinds = range(len(counts) - 1)

    def accepted(kind, outcome):
        return outcome == "accepted"

    def scored_attack(kind, outcome):
        return kind is not None and outcome != "missing"

    each = [share(found, accepted, lambda k, o, kind=kind: k == kind and o != "missing") for kind in kinds]
    worst = max((rate for rate in each if not np.isnan(rate)), default=np.nan)
    far = share(found, accepted, scored_attack)
    bpcer = share(found, lambda k, o: o == "rejected", lambda k, o: k is None and o != "missing")
    right = share(found, lambda k, o: (k is None) == (o == "accepted"), lambda k, o: o != "missing")
    return {
        "far_pooled": far,
        "apcer": worst,
        "bpcer": bpcer,
        "hter": (far + bpcer) / 2,
        "acer": (worst + bpcer) / 2,
        "accuracy": right,
        "apnrr": share(found, lambda k, o: o == "missing", lambda k, o: k is not None),
        "bpnrr": share(found, lambda k, o: o == "missing", lambda k, o: k is None),
    }


@QUICK
@given(COUNTS)
def test_every_rate_equals_counting_one_sample_at_a_time(counts):
    table = {measure.key: measure.rate for measure in measures.MEASURES}
    for key, expected in slow_rates(counts).items():
        assert float(rate_in(counts, table[key])) == pytest.approx(expected, nan_ok=True), key


@QUICK
@given(COUNTS)
def test_strict_rates_equal_counting_missing_samples_as_errors(counts):
    strict = [(k, ("rejected" if k is None else "accepted") if o == "missing" else o) for k, o in samples(counts)]
    found = missing_as_errors(counts)
    assert sorted(map(str, samples(found))) == sorted(map(str, strict))
    assert found.sum() == counts.sum()


@QUICK
@given(COUNTS, st.booleans())
def test_precision_recall_and_f1_equal_their_definitions(counts, attack_positive):
    found = [(kind is not None, outcome) for kind, outcome in samples(counts) if outcome != "missing"]
    pairs = [(is_attack == attack_positive, (o == "rejected") == attack_positive) for is_attack, o in found]
    hits = sum(actual and decided for actual, decided in pairs)
    decided, actual = sum(d for _, d in pairs), sum(a for a, _ in pairs)
    precision, recall = (hits / n if n else np.nan for n in (decided, actual))
    f1 = 2 * hits / (decided + actual) if decided + actual else np.nan
    for key, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        definition = PRECISION_RECALL[key][1]
        rate = rate_in(counts, definition if attack_positive else definition.mirrored())
        assert float(rate) == pytest.approx(expected, nan_ok=True), key


def test_published_figures_of_the_tla_paper_fit_the_attack_positive_reading():
    # 1 of 1,024 real images rejected and 5 of 1,500 attacks accepted: the paper's FAR .00097 is our BPCER.
    counts = np.array([[5.0, 1495.0, 0.0], [1023.0, 1.0, 0.0]])
    rates = {key: float(rate_in(counts, definition)) for key, (_, definition) in PRECISION_RECALL.items()}
    assert (round(rates["precision"], 4), round(rates["recall"], 4), round(rates["f1"], 3)) == (0.9993, 0.9967, 0.998)


def test_mirrored_share_mirrors_back():
    definition = PRECISION_RECALL["f1"][1]
    assert definition.mirrored() != definition and definition.mirrored().mirrored() == definition


def test_rates_of_resamples_are_those_of_each():
    counts = np.random.default_rng(0).integers(0, 9, (20, 3, 3)).astype(float)
    for measure in ("apcer", "acer", "bpcer"):
        rated = {m.key: m.rate for m in measures.MEASURES}[measure]
        assert rate_in(counts, rated) == pytest.approx([float(rate_in(one, rated)) for one in counts], nan_ok=True)


def test_instruments_have_rows_in_the_order_of_their_names():
    counts = count_decisions(0.5, bona_fide=[0.9], attack=[0.6, 0.1, 0.2], instruments=["print", "mask", "print"])
    assert counts.tolist() == [[0, 1, 0], [1, 1, 0], [1, 0, 0]]


def test_instruments_of_another_number_are_refused():
    with pytest.raises(MetricError, match="one instrument per attack score"):
        count_decisions(0.5, attack=[0.1, 0.2], instruments=["print"])


def test_share_without_samples_is_nan_and_not_zero():
    nothing = Share(((1, 0, 0), (0, 0, 0)), ((1, 1, 0), (0, 0, 0)))
    assert np.isnan(rate_in(np.zeros((2, 3)), nothing))
