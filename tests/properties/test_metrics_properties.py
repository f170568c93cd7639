"""Invariants of the metrics under any scores, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from facepad import metrics
from facepad.metrics.ranking import rank
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

QUICK = settings(max_examples=50, deadline=None)  # no deadline: a busy machine is no defect
# Few whole numbers give many ties, and stay exact under the maps below; wide floats give the rest.
LEVELS = st.integers(-6, 6).map(float)
SIDE = st.lists(LEVELS, min_size=1, max_size=25) | st.lists(
    st.floats(-1e300, 1e300, allow_nan=False), min_size=1, max_size=12
)
TIED = st.lists(LEVELS, min_size=1, max_size=25)
NAMES = ("print", "replay_video", "mask_3d")
ATTACKS = st.lists(st.tuples(LEVELS, st.sampled_from(NAMES)), min_size=1, max_size=25)
LIMIT = st.sampled_from([0.0, 0.05, 0.2, 1 / 3, 0.5])
CRITERIA = ("eer", "min-hter", "bpcer@apcer=0.2", "apcer@bpcer=0.2")


def every_threshold(*sides):
    values = np.unique(np.concatenate(sides))
    return [*values, np.nextafter(values[-1], np.inf)]


@QUICK
@given(SIDE, SIDE)
def test_eer_lies_between_0_and_1_and_mirrors_with_the_classes(bona_fide, attack):
    error = metrics.eer(bona_fide, attack)
    assert 0.0 <= error <= 1.0
    mirrored = metrics.eer([-score for score in attack], [-score for score in bona_fide])
    assert mirrored == pytest.approx(error, abs=1e-12)


@QUICK
@given(SIDE, SIDE)
def test_eer_is_bounded_by_the_errors_of_every_threshold(bona_fide, attack):
    error = metrics.eer(bona_fide, attack)
    for threshold in every_threshold(bona_fide, attack):
        far, frr = metrics.far_pooled(attack, threshold), metrics.bpcer(bona_fide, threshold)
        assert min(far, frr) - 1e-12 <= error <= max(far, frr) + 1e-12


@QUICK
@given(SIDE, SIDE)
def test_auc_of_swapped_classes_adds_up_to_one(bona_fide, attack):
    assert metrics.auc(bona_fide, attack) + metrics.auc(attack, bona_fide) == pytest.approx(1.0)


@QUICK
@given(TIED, TIED, st.sampled_from([0.5, 2.0, 8.0]), st.integers(-10, 10))
def test_ranking_metrics_do_not_change_under_a_growing_map(bona_fide, attack, scale, shift):
    moved = [[scale * score + shift for score in side] for side in (bona_fide, attack)]
    assert metrics.eer(*moved) == metrics.eer(bona_fide, attack)
    assert metrics.auc(*moved) == metrics.auc(bona_fide, attack)
    for criterion in CRITERIA:
        threshold = metrics.threshold_at(bona_fide, attack, criterion)
        there = metrics.threshold_at(*moved, criterion)
        assert metrics.confusion_matrix(*moved, there) == metrics.confusion_matrix(bona_fide, attack, threshold)


@QUICK
@given(SIDE, SIDE, st.randoms(use_true_random=False))
def test_order_of_scores_does_not_matter(bona_fide, attack, random):
    shuffled = [random.sample(side, len(side)) for side in (bona_fide, attack)]
    assert metrics.eer(*shuffled) == metrics.eer(bona_fide, attack)
    for criterion in CRITERIA:
        assert metrics.threshold_at(*shuffled, criterion) == metrics.threshold_at(bona_fide, attack, criterion)


@QUICK
@given(SIDE, SIDE)
def test_repeating_every_score_changes_nothing(bona_fide, attack):
    assert metrics.eer(bona_fide * 3, attack * 2) == pytest.approx(metrics.eer(bona_fide, attack), abs=1e-12)
    assert metrics.auc(bona_fide * 3, attack * 2) == pytest.approx(metrics.auc(bona_fide, attack), abs=1e-12)


@QUICK
@given(SIDE, SIDE)
def test_min_hter_threshold_is_not_beaten_by_any_other(bona_fide, attack):
    chosen = metrics.hter(bona_fide, attack, metrics.threshold_at(bona_fide, attack, "min-hter"))
    best = min(metrics.hter(bona_fide, attack, threshold) for threshold in every_threshold(bona_fide, attack))
    assert chosen == pytest.approx(best, abs=1e-12)


@QUICK
@given(SIDE, SIDE)
def test_eer_threshold_balances_the_errors_best(bona_fide, attack):
    def imbalance(threshold):
        return abs(metrics.far_pooled(attack, threshold) - metrics.bpcer(bona_fide, threshold))

    chosen = imbalance(metrics.threshold_at(bona_fide, attack, "eer"))
    assert chosen == pytest.approx(min(map(imbalance, every_threshold(bona_fide, attack))), abs=1e-12)


@QUICK
@given(TIED, ATTACKS, LIMIT)
def test_fixed_apcer_threshold_keeps_the_limit_with_the_fewest_rejections(bona_fide, attacks, limit):
    scores, names = [score for score, _ in attacks], [name for _, name in attacks]
    assume(max(scores) >= min(bona_fide))  # separable scores take the middle of the gap instead
    chosen = metrics.threshold_at(bona_fide, scores, f"bpcer@apcer={limit}", names)
    assert metrics.apcer_max(scores, names, chosen) <= limit + 1e-9
    for threshold in every_threshold(bona_fide, scores):
        if metrics.apcer_max(scores, names, threshold) <= limit:
            assert metrics.bpcer(bona_fide, threshold) >= metrics.bpcer(bona_fide, chosen)
    assert metrics.bpcer_at_apcer(bona_fide, scores, limit, names) == metrics.bpcer(bona_fide, chosen)


@QUICK
@given(TIED, TIED, LIMIT)
def test_fixed_bpcer_threshold_keeps_the_limit_with_the_fewest_acceptances(bona_fide, attack, limit):
    assume(max(attack) >= min(bona_fide))
    chosen = metrics.threshold_at(bona_fide, attack, f"apcer@bpcer={limit}")
    assert metrics.bpcer(bona_fide, chosen) <= limit + 1e-9
    for threshold in every_threshold(bona_fide, attack):
        if metrics.bpcer(bona_fide, threshold) <= limit:
            assert metrics.far_pooled(attack, threshold) >= metrics.far_pooled(attack, chosen)


@QUICK
@given(SIDE, SIDE, st.sampled_from(CRITERIA))
def test_separable_scores_are_parted_without_error(some, others, criterion):
    middle = np.median([*some, *others])
    attack = [score for score in [*some, *others] if score <= middle]
    bona_fide = [score for score in [*some, *others] if score > middle]
    assume(bona_fide)
    threshold = metrics.threshold_at(bona_fide, attack, criterion)
    assert max(attack) < threshold <= min(bona_fide)
    assert metrics.hter(bona_fide, attack, threshold) == 0.0


@QUICK
@given(TIED, ATTACKS, LEVELS)
def test_worst_instrument_is_no_better_than_the_pool(bona_fide, attacks, threshold):
    scores, names = [score for score, _ in attacks], [name for _, name in attacks]
    assert metrics.apcer_max(scores, names, threshold) >= metrics.far_pooled(scores, threshold) - 1e-12
    assert metrics.acer(bona_fide, scores, names, threshold) >= metrics.hter(bona_fide, scores, threshold) - 1e-12


@QUICK
@given(SIDE, SIDE)
def test_roc_climbs_from_corner_to_corner_with_area_auc(bona_fide, attack):
    curve = metrics.roc(bona_fide, attack)
    assert (curve.far[0], curve.bona_fide_accepted[0]) == (0.0, 0.0)
    assert (curve.far[-1], curve.bona_fide_accepted[-1]) == (1.0, 1.0)
    assert np.all(np.diff(curve.far) >= 0)
    assert np.all(np.diff(curve.bona_fide_accepted) >= 0)
    assert np.all(np.diff(curve.thresholds) < 0)
    heights = (curve.bona_fide_accepted[1:] + curve.bona_fide_accepted[:-1]) / 2
    assert np.sum(np.diff(curve.far) * heights) == pytest.approx(metrics.auc(bona_fide, attack))


@QUICK
@given(st.data())
def test_weights_count_as_copies_of_the_scores(data):
    bona_fide, attacks = data.draw(TIED), data.draw(ATTACKS)
    scores, names = [score for score, _ in attacks], [name for _, name in attacks]
    copies = [
        np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(side), max_size=len(side))))
        for side in (bona_fide, scores)
    ]
    assume(copies[0].sum() > 0 and copies[1].sum() > 0)
    weighted = rank(bona_fide, scores, names).read(*copies)
    copied_names = np.repeat(names, copies[1])
    plain = rank(np.repeat(bona_fide, copies[0]), np.repeat(scores, copies[1]), copied_names).read()
    assert weighted.eer() == pytest.approx(plain.eer(), abs=1e-12)
    assert weighted.auc() == pytest.approx(plain.auc(), abs=1e-12)
    for read in (
        lambda p: p.nearest_to_eer(),
        lambda p: p.lowest_hter(),
        lambda p: p.lowest_with_apcer(0.2),
        lambda p: p.highest_with_bpcer(0.2),
    ):
        assert weighted.threshold(read(weighted)) == plain.threshold(read(plain))
    separating = [points.separating() for points in (weighted, plain)]
    assert (separating[0] is None) == (separating[1] is None)


@QUICK
@given(st.integers(1, 500), st.data())
def test_clopper_pearson_holds_the_share_mirrors_and_narrows(n, data):
    k = data.draw(st.integers(0, n))
    low, high = metrics.clopper_pearson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    mirrored = metrics.clopper_pearson(n - k, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-12)
    wider = metrics.clopper_pearson(k, n, confidence=0.99)
    assert wider[0] <= low
    assert high <= wider[1]


TOKEN = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("C", "Z")), min_size=1)


@st.composite
def score_records(draw, text=None):
    words = st.text(min_size=1, max_size=12).filter(lambda t: t == t.encode("utf-8", "ignore").decode())
    words = words if text is None else text
    kind = draw(st.none() | st.sampled_from(AttackType))
    status = draw(st.sampled_from(ScoreStatus))
    score = draw(st.floats(allow_nan=False, allow_infinity=False)) if status is ScoreStatus.SCORED else None
    return ScoreRecord(
        path=draw(words),
        subject=draw(words),
        video=draw(st.none() | words),
        frame=draw(st.none() | st.integers(0, 10**6)),
        label=Label.BONA_FIDE if kind is None else Label.ATTACK,
        attack_type=kind,
        split=draw(st.none() | st.sampled_from(Split)),
        status=status,
        score=score,
        attributes=draw(st.sampled_from([(), (("site", "north"),), (("b,c", 'x, "y"'), ('a "b"', "\n"))])),
    )


@QUICK
@given(records=st.lists(score_records(), min_size=1, max_size=6))
def test_any_scores_survive_their_csv(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("csv") / "scores.csv"
    metrics.write_scores(path, records)
    assert metrics.read_scores(path).records == tuple(records)


@QUICK
@given(records=st.lists(score_records(TOKEN.filter(lambda t: t[0] != "#")), min_size=1, max_size=6))
def test_any_scores_survive_bob_columns(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("bob") / "scores"
    metrics.write_bob_scores(path, records, columns=5)
    got = metrics.read_scores(path).records
    assert [(r.path, r.subject, r.attack_type, r.score) for r in got] == [
        (r.path, r.subject, r.attack_type, r.score) for r in records
    ]


@QUICK
@given(
    st.lists(st.tuples(LEVELS, st.sampled_from([None, *AttackType][:4]), st.integers(0, 3)), min_size=8, max_size=40),
    LEVELS,
    st.sampled_from(["subject", None]),
)
def test_every_interval_of_a_summary_holds_its_rate(rows, threshold, cluster):
    records = [
        ScoreRecord(str(i), f"s{subject}", None, None, Label.ATTACK if kind else Label.BONA_FIDE, kind, None,
                    ScoreStatus.SCORED, score)
        for i, (score, kind, subject) in enumerate(rows)
    ]  # fmt: skip
    assume(len({record.label for record in records}) == 2 and len({record.subject for record in records}) > 1)
    summary = metrics.summarize(records, threshold, resampling=metrics.Resampling(cluster, 100))
    rates = [*summary.rates.values(), *summary.bpcer_at_apcer.values(), *summary.non_responses_as_errors.values()]
    rates += [rate for r in summary.precision_recall.values() for rate in r.values() if rate]
    for rate in rates:
        assert 0 <= rate.low <= rate.value <= rate.high <= 1
        assert rate.low < rate.high or rate.method.startswith("bootstrap")
        assert rate.n >= 1
