"""Rates of a whole system: against loops over presentations, by their invariants, and what is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepad.errors import MetricError, ScoresError
from facepad.metrics import (
    SYSTEM_MEASURES,
    Intent,
    Resampling,
    check_system,
    match_decisions,
    read_requirements,
    system_of,
    to_videos,
    whole_system,
    write_scores,
)
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

THRESHOLD = 0.5
FEW = Resampling(replicates=100)
KINDS = (AttackType.PRINT, AttackType.MASK_3D)


def presentation(number, intent="genuine", score=0.9, match="1", kind=AttackType.PRINT, video=None):
    live = intent in ("genuine", "zero_effort")
    attributes = [("intent", intent)] + ([("match", match)] if match is not None else [])
    return ScoreRecord(
        path=f"{number}.png",
        subject=f"s{number % 7}",
        video=video,
        frame=None,
        label=Label.BONA_FIDE if live else Label.ATTACK,
        attack_type=None if live else kind,
        split=Split.TEST,
        status=ScoreStatus.SCORED if score is not None else ScoreStatus.NO_FACE,
        score=score,
        attributes=tuple(attributes),
    )


def drawn(seed, n=80):
    """Presentations of all intents, two species, and some without a score."""
    rng = random.Random(seed)
    intents = [intent.value for intent in Intent]
    return [
        presentation(
            number,
            intents[number % 4],
            None if rng.random() < 0.1 else round(rng.random(), 2),
            rng.choice("01"),
            KINDS[rng.random() < 0.4],
        )
        for number in range(n)
    ]


def test_n_of_riapar_is_the_sum_of_the_n_of_iapar_and_frr():
    rates = whole_system(drawn(0), THRESHOLD, resampling=FEW).rates
    assert rates["riapar"].n == rates["iapar"].n + rates["frr"].n == 29


def test_the_method_of_riapar_names_the_sum_of_the_bounds():
    records = [presentation(n) for n in range(4)]
    records += [presentation(n, "impersonation", 0.1) for n in range(4, 9)]
    rates = whole_system(records, THRESHOLD, resampling=FEW).rates
    assert rates["riapar"].method == "sum of the bounds of its two rates"
    assert rates["riapar"].high == pytest.approx(rates["iapar"].high + rates["frr"].high)


def by_hand(records):
    """The rates, counted one presentation at a time."""

    def share(wanted, hit):
        group = [record for record in records if wanted(record)]
        return sum(map(hit, group)) / len(group) if group else None

    def passes(record):
        return record.score is not None and record.score >= THRESHOLD

    def matched(record):
        return record.attribute("match") == "1"

    def worst(intent, hit):
        shares = []
        for name in {record.species for record in records if record.attribute("intent") == intent}:
            group = [r for r in records if r.attribute("intent") == intent and r.species == name]
            shares.append(sum(map(hit, group)) / len(group))
        return max(shares)

    def of(intent):
        return lambda record: record.attribute("intent") == intent

    iapar = worst("impersonation", lambda r: passes(r) and matched(r))
    frr = share(of("genuine"), lambda r: not (passes(r) and matched(r)))
    return {
        "iapar": iapar,
        "frr": frr,
        "riapar": 1 + (iapar - (1 - frr)),
        "far": share(of("zero_effort"), lambda r: passes(r) and matched(r)),
        "concealment": worst("concealment", lambda r: passes(r) and not matched(r)),
        "iapmr": worst("impersonation", matched),
        "fnmr": share(of("genuine"), lambda r: not matched(r)),
        "fmr": share(of("zero_effort"), matched),
        "capnmr": worst("concealment", lambda r: not matched(r)),
    }


@pytest.mark.parametrize("seed", range(4))
def test_rates_equal_those_by_hand(seed):
    records = drawn(seed)
    system = whole_system(records, THRESHOLD, resampling=FEW)
    assert {key: rate.value for key, rate in system.rates.items()} == pytest.approx(by_hand(records))
    assert list(system.rates) == list(SYSTEM_MEASURES)
    assert all(rate.low <= rate.value <= rate.high for rate in system.rates.values())
    for name, rate in system.acquired.items():
        group = [record for record in records if record.species == name]
        assert rate.value == pytest.approx(sum(record.score is not None for record in group) / len(group))


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), match_all=st.booleans())
def test_a_system_accepts_no_more_than_its_parts(seed, match_all):
    records = drawn(seed, n=40)
    if match_all:
        records = [presentation(n, r.attribute("intent"), r.score, "1", r.attack_type) for n, r in enumerate(records)]
    system = whole_system(records, THRESHOLD, resampling=FEW)
    rates = {key: rate.value for key, rate in system.rates.items()}
    assert rates["iapar"] <= rates["iapmr"] and rates["far"] <= rates["fmr"] and rates["frr"] >= rates["fnmr"]
    assert rates["riapar"] == pytest.approx(rates["iapar"] + rates["frr"])
    apcer = max(
        sum(r.score is not None and r.score >= THRESHOLD for r in group) / len(group)
        for kind in KINDS
        if (group := [r for r in records if r.attack_type is kind and r.attribute("intent") == "impersonation"])
    )
    assert rates["iapar"] <= apcer
    if match_all:
        assert rates["iapar"] == apcer and rates["fnmr"] == 0 and rates["concealment"] == 0


def test_scores_of_a_comparison_are_decided_at_the_threshold_itself():
    records = [presentation(n, match=text) for n, text in enumerate(("0.4", "0.39", "1e0", "none", "-2"))]
    assert match_decisions(records, 0.4) == [True, False, True, None, False]


@pytest.mark.parametrize("words", [("1", "0"), ("yes", "no"), ("True", "FALSE"), ("1.0", "0.0")])
def test_decisions_are_read_from_pairs_of_words(words):
    records = [presentation(n, match=text) for n, text in enumerate((*words, "none"))]
    assert match_decisions(records) == [True, False, None]


@pytest.mark.parametrize(
    ("texts", "threshold", "words"),
    [
        (("yes", "0", "0"), None, r"expected one pair of words in match, got 2 '0', 1 'yes': does the file mix"),
        (("accept",), None, "expected 1 and 0, yes and no, true and false, or none in match, got 'accept'"),
        (
            ("0.37", "0.9"),
            None,
            r"comparison scores such as 0.37: name the lowest accepted score \(--match-threshold\)",
        ),
        (("0.5", "yes"), 0.4, "expected comparison scores in match .* got 'yes'"),
    ],
)
def test_mixed_and_unknown_values_of_match_are_refused(texts, threshold, words):
    with pytest.raises(ScoresError, match=words):
        match_decisions([presentation(n, match=text) for n, text in enumerate(texts)], threshold)


def test_a_presentation_that_passes_the_detection_needs_a_decision():
    records = [*drawn(1), presentation(100, match=None)]
    with pytest.raises(ScoresError, match=r"1 of 81 presentations pass the detection and have no value of match .*100"):
        whole_system(records, THRESHOLD, resampling=FEW)
    rejected = [*drawn(1), presentation(100, score=0.1, match=None)]
    system = whole_system(rejected, THRESHOLD, resampling=FEW)
    assert system.rates["iapmr"] is None and system.rates["iapar"] is not None
    assert any("1 presentation that the detection rejected was not compared" in note for note in system.notes)


def test_a_comparison_without_a_result_is_no_acceptance_and_no_error_of_the_comparison():
    records = [presentation(n, "genuine", 0.9, "none" if n < 2 else "1") for n in range(10)]
    system = whole_system([*records, presentation(11, "impersonation", 0.9, "0")], THRESHOLD, resampling=FEW)
    assert (system.rates["frr"].value, system.rates["fnmr"].value, system.rates["fnmr"].n) == (0.2, 0, 8)
    assert "2 comparisons have no result: the system accepts none of them, and the rates without PAD omit them" in (
        system.notes
    )
    system = whole_system([*records[1:], presentation(11, "impersonation", 0.9, "0")], THRESHOLD, resampling=FEW)
    assert "1 comparison has no result: the system does not accept it, and the rates without PAD omit it" in (
        system.notes
    )


def test_an_unknown_intent_and_frames_of_videos_are_refused():
    wrong = presentation(1, "impersonation")
    wrong = ScoreRecord(**{field: getattr(wrong, field) for field in ("path", "subject", "video", "frame", "label",
        "attack_type", "split", "status", "score")}, attributes=(("intent", "evasive"), ("match", "1")))  # fmt: skip
    with pytest.raises(ScoresError, match="unknown intent of attack 'evasive'; choices: impersonation, concealment"):
        whole_system([wrong], THRESHOLD)
    with pytest.raises(MetricError, match="whole-system rates count presentations, but a video has up to 2 frames"):
        whole_system([presentation(0, video="clip"), presentation(7, video="clip")], THRESHOLD)


def test_profiles_are_held_against_iapar_where_a_comparison_is_given():
    records = [presentation(n, "impersonation", 0.9, "0") for n in range(60)]
    records += [presentation(n + 100) for n in range(5)]
    requirements = read_requirements(["apcer=0.07", "iapar=0.07"], ["nist-800-63a-4"])
    found = check_system(records, THRESHOLD, requirements, whole_system(records, THRESHOLD, resampling=FEW))
    assert [(each.requirement.rate, each.presentations.verdict.value) for each in found] == [
        ("apcer", "FAIL"),
        ("iapar", "PASS"),
        ("iapar", "PASS"),
    ]
    with pytest.raises(MetricError, match="iapar=0.07 needs the decisions of a comparison"):
        check_system(records, THRESHOLD, requirements, None)


def bare(records):
    """The records without a comparison, as the scores file of a detector."""
    return [
        ScoreRecord(r.path, r.subject, r.video, r.frame, r.label, r.attack_type, r.split, r.status, r.score)
        for r in records
    ]


def compared(records, score_of):
    """The scores file of a comparison on the same presentations."""
    return [
        ScoreRecord(
            r.path, r.subject, r.video, r.frame, r.label, r.attack_type, r.split, ScoreStatus.SCORED, score_of(r)
        )
        for r in records
    ]


def test_a_second_scores_file_gives_the_rates_of_a_column(tmp_path):
    records = [record for record in drawn(3) if record.attribute("intent") in ("genuine", "impersonation")]
    other = compared(records, lambda r: 0.6 if r.attribute("match") == "1" else 0.2)
    write_scores(tmp_path / "match.csv", [*reversed(other), *compared([presentation(999)], lambda r: 0.1)])
    joined = system_of(bare(records), THRESHOLD, match=tmp_path / "match.csv", match_threshold=0.5)
    column = whole_system(records, THRESHOLD)
    assert joined.rates == column.rates and joined.match_threshold == 0.5
    assert joined.notes[0] == "match.csv: 1 line is of no measured presentation"
    of_dev = [replace(line, split=Split.DEV, path=f"dev-{line.path}") for line in other]
    write_scores(tmp_path / "both.csv", [*(replace(line, split=Split.TEST) for line in other), *of_dev])
    tested = [replace(record, split=Split.TEST) for record in bare(records)]
    joined = system_of(tested, THRESHOLD, match=tmp_path / "both.csv", match_threshold=0.5)
    assert joined.rates == column.rates and not any("of no measured" in note for note in joined.notes)


def test_intents_of_the_second_file_count_and_must_agree(tmp_path):
    records = drawn(5)
    other = [replace(r, status=ScoreStatus.SCORED, score=float(r.attribute("match")), attributes=r.attributes[:1])
             for r in records]  # fmt: skip
    write_scores(tmp_path / "match.csv", other)
    joined = system_of(bare(records), THRESHOLD, match=tmp_path / "match.csv", match_threshold=0.5)
    assert joined.rates == whole_system(records, THRESHOLD).rates
    wrong = [replace(records[0], attributes=(("intent", "zero_effort"),)), *records[1:]]
    with pytest.raises(ScoresError, match=r"0.png: expected one intent, got 'zero_effort' .* and 'genuine' in .*match"):
        system_of(wrong, THRESHOLD, match=tmp_path / "match.csv", match_threshold=0.5)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_that_no_comparison_can_reach_is_refused(threshold):
    with pytest.raises(MetricError, match="expected a finite number as the threshold of match"):
        system_of([presentation(1, match="0.7")], THRESHOLD, match_threshold=threshold)


def test_videos_are_joined_with_the_mean_comparison_of_their_frames(tmp_path):
    videos = [presentation(n, "genuine", video=f"v{n}") for n in range(4)]
    videos = [ScoreRecord(f"v{n}", r.subject, r.video, None, r.label, None, r.split, r.status, r.score)
              for n, r in enumerate(videos)]  # fmt: skip
    frames = [
        ScoreRecord(f"v{n}-{k}.png", r.subject, r.video, k, r.label, None, r.split, ScoreStatus.SCORED, score)
        for n, r in enumerate(videos)
        for k, score in enumerate((0.2, 0.9 if n else 0.3))
    ]
    write_scores(tmp_path / "match.csv", frames)
    system = system_of(videos, THRESHOLD, match=tmp_path / "match.csv", match_threshold=0.5, aggregation="mean")
    assert system.rates["fnmr"].value == 0.25


def test_videos_are_joined_whatever_other_videos_a_file_holds(tmp_path):
    frames = [replace(presentation(n), subject=f"s{n % 4}", video="clip", split=Split.TEST if n % 4 else Split.DEV)
              for n in range(8)]  # fmt: skip
    test = [video for video in to_videos(frames) if video.split is Split.TEST]
    write_scores(tmp_path / "match.csv", compared([frames[1], frames[5]], lambda r: 0.9))
    one = system_of([test[0]], THRESHOLD, match=tmp_path / "match.csv", match_threshold=0.5, aggregation="mean")
    assert (test[0].path, one.rates["fnmr"].value) == ("s1/clip", 0)


def test_a_limit_of_iapar_needs_an_impersonation():
    records = [presentation(1), presentation(2, "concealment")]
    with pytest.raises(MetricError, match="iapar<0.07 cannot be checked: no attack has the intent impersonation"):
        check_system(records, THRESHOLD, read_requirements([], ["nist-800-63a-4"]), whole_system(records, THRESHOLD))


def test_a_column_on_frames_of_videos_is_not_used_and_says_so(tmp_path, caplog):
    frames = [presentation(n, "impersonation" if n < 7 else "genuine", video="clip") for n in range(21)]
    assert system_of(frames, THRESHOLD) is None
    assert "the column match is not used" in caplog.text and "--level video" in caplog.text


def test_a_second_file_that_does_not_fit_is_refused(tmp_path):
    records = bare(drawn(3))
    write_scores(
        tmp_path / "part.csv", [*compared(records[5:], lambda r: 1.0), *compared([presentation(999)], lambda r: 1.0)]
    )
    with pytest.raises(
        ScoresError, match=r"measured presentation \(80\), 5 have none \(first: 0.png\), and 1 line is of"
    ):
        system_of(records, THRESHOLD, match=tmp_path / "part.csv")
    write_scores(tmp_path / "twice.csv", compared([*records, records[0]], lambda r: 1.0))
    with pytest.raises(ScoresError, match=r"twice.csv \(B\) does not fit the scores file \(A\): .*0.png twice in B"):
        system_of(records, THRESHOLD, match=tmp_path / "twice.csv")
    (tmp_path / "bare.csv").write_text("label,score\nlive,0.5\n")
    with pytest.raises(ScoresError, match="bare.csv needs a column path, by which the lines of two files are joined"):
        system_of(records, THRESHOLD, match=tmp_path / "bare.csv")
    with pytest.raises(MetricError, match="a threshold of match needs comparisons"):
        system_of(records, THRESHOLD, match_threshold=0.5)
    assert system_of(records, THRESHOLD) is None
