"""The rates at fixed points of the curve against slow definitions, Holm's correction, and decision times."""

from __future__ import annotations

import itertools
import random
import statistics
from dataclasses import replace

import numpy as np
import pytest

from facepad import metrics
from facepad.errors import MetricError, ScoresError
from facepad.metrics.field import FIELD_MEASURES, field_rates
from facepad.metrics.multiple import holm
from facepad.metrics.times import decision_times
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus

FAST = metrics.Resampling(replicates=100)
KINDS = (AttackType.PRINT, AttackType.MASK_3D)


def drawn(seed: int, n: int = 60, ties: bool = False) -> list[ScoreRecord]:
    draw = random.Random(seed)
    records = []
    for number in range(n):
        live = number % 3 == 0
        score = draw.gauss(0.6 if live else 0.4, 0.2)
        records.append(
            ScoreRecord(
                path=f"{number}.png",
                subject=f"s{number % 10}",
                video=None,
                frame=None,
                label=Label.BONA_FIDE if live else Label.ATTACK,
                attack_type=None if live else KINDS[number % 2],
                split=None,
                status=ScoreStatus.SCORED,
                score=round(score, 1) if ties else score,
            )
        )
    return records


def slow_rates(records: list[ScoreRecord]) -> dict[str, float]:
    """Every measure by trying all thresholds, from the definitions alone."""
    live = [r.score for r in records if r.attack_type is None]
    species = {kind: [r.score for r in records if r.attack_type is kind] for kind in KINDS}
    attacks = list(itertools.chain(*species.values()))
    values = sorted({r.score for r in records})
    thresholds = [*values, values[-1] + 1]

    def bpcer(at: float) -> float:
        return sum(score < at for score in live) / len(live)

    def apcer(at: float) -> float:
        return max(sum(score >= at for score in scores) / len(scores) for scores in species.values() if scores)

    def far(at: float) -> float:
        return sum(score >= at for score in attacks) / len(attacks)

    found = {f"bpcer{n}": min(bpcer(at) for at in thresholds if apcer(at) <= 1 / n) for n in (10, 20, 100)}
    found["tpr_at_fpr_1"] = max(1 - bpcer(at) for at in thresholds if far(at) <= 0.01)
    found["apcer_at_bpcer_1"] = min(apcer(at) for at in thresholds if bpcer(at) <= 0.01)
    return found


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_field_rates_equal_their_slow_definitions(seed, ties):
    records = drawn(seed, n=30 + 40 * seed, ties=ties)
    found = field_rates(records, FAST)
    assert list(found) == [measure.key for measure in FIELD_MEASURES]
    assert {key: rate.value for key, rate in found.items()} == pytest.approx(slow_rates(records))
    assert all(rate.low <= rate.value <= rate.high for rate in found.values())


def test_bpcer20_is_the_bpcer_at_an_apcer_of_5_percent_of_the_summary():
    records = drawn(3)
    summary = metrics.summarize(records, 0.5, resampling=FAST)
    found = field_rates(records, FAST)
    for n in (10, 20, 100):
        assert found[f"bpcer{n}"] == summary.bpcer_at_apcer[1 / n]


def test_the_bound_of_an_apcer_of_0_counts_the_people_of_the_rarest_instrument():
    shift = {Label.BONA_FIDE: 5.0, Label.ATTACK: 0.0}
    records = [replace(r, score=r.score + shift[r.label]) for r in drawn(1)]
    rare = [r for r in records if r.attack_type is not AttackType.MASK_3D or r.subject in ("s1", "s5", "s7")]
    people = {r.subject for r in rare if r.attack_type is AttackType.MASK_3D}
    rate = field_rates(rare, FAST)["apcer_at_bpcer_1"]
    assert (rate.value, rate.high) == (0.0, metrics.clopper_pearson(0, len(people))[1])
    alone = [replace(r, subject="") for r in rare]
    lines = sum(r.attack_type is AttackType.MASK_3D for r in rare)
    assert field_rates(alone, FAST)["apcer_at_bpcer_1"].high == metrics.clopper_pearson(0, lines)[1]


def slow_holm(p_values: list[float]) -> list[float]:
    """The adjusted p-value is the smallest level at which the step-down procedure of Holm rejects the hypothesis."""

    def rejected(level: float) -> set[int]:
        found: set[int] = set()
        for step, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[place] > level / (len(p_values) - step):
                break
            found.add(place)
        return found

    levels = sorted({min(1.0, p * n) for p in p_values for n in range(1, len(p_values) + 1)} | {1.0})
    return [next(level for level in levels if place in rejected(level * (1 + 1e-12)) or level == 1.0)
            for place in range(len(p_values))]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_the_step_down_procedure(seed):
    draw = random.Random(seed)
    p_values = [draw.choice([draw.random() ** 3, 0.01, 1.0]) for _ in range(1 + 2 * seed)]
    assert holm(p_values) == pytest.approx(slow_holm(p_values))


def test_holm_of_none_and_of_no_probability():
    assert holm([]) == []
    with pytest.raises(MetricError, match=r"p-values in \[0, 1\], got 1.5"):
        holm([0.5, 1.5])


@pytest.mark.parametrize(("column", "unit"), [("seconds", 1.0), ("milliseconds", 0.001)])
def test_decision_times_are_the_percentiles_of_the_column(column, unit):
    draw = random.Random(2)
    times = [draw.lognormvariate(3, 1) for _ in range(41)]
    base = drawn(0)[:42]
    records = [replace(r, attributes=((column, repr(t)),)) for r, t in zip(base, times, strict=False)] + [base[-1]]
    found = decision_times(records)
    assert found.n == 41, "a line without a time is left out"
    assert found.p50 == pytest.approx(unit * statistics.median(times))
    quantiles = statistics.quantiles(times, n=100, method="inclusive")
    assert found.p95 == pytest.approx(unit * quantiles[94])
    assert decision_times(base) is None


@pytest.mark.parametrize("text", ["fast", "-1", "1_0", "nan"])
def test_a_time_that_is_no_number_is_refused(text):
    with pytest.raises(ScoresError, match=rf"0.png: expected a number of at least 0 as seconds, got {text!r}"):
        decision_times([replace(drawn(0)[0], attributes=(("seconds", text),))])


def test_two_columns_of_times_are_refused():
    both = (("milliseconds", "1"), ("seconds", "1"))
    with pytest.raises(ScoresError, match="one column of times, got milliseconds and seconds"):
        decision_times([replace(drawn(0)[0], attributes=both)])
    assert np.isfinite(decision_times([replace(drawn(0)[0], attributes=both[:1])]).p95)
