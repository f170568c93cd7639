"""Requirements: bounds against a direct search of the binomial distribution, verdicts, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from math import comb

import pytest

from facepad.errors import MetricError
from facepad.metrics import (
    CHOSEN_ON_ITSELF,
    Requirement,
    Verdict,
    check_requirements,
    check_system,
    choose_threshold,
    failed,
    finding_notes,
    format_plan,
    parse_requirements,
    read_requirements,
    whole_system,
    write_scores,
)
from facepad.metrics.requirements import Count, upper_bound
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

APCER, BPCER = Requirement("apcer", 0.07), Requirement("bpcer", 0.1)


def at_most(errors: int, n: int, rate: float) -> float:
    """P(at most ``errors`` errors)."""
    return sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(errors + 1))


@pytest.mark.parametrize(("errors", "n"), [(0, 1), (0, 42), (1, 60), (5, 20), (19, 20)])
def test_bound_is_the_rate_at_which_so_few_errors_have_a_probability_of_5_percent(errors, n):
    assert at_most(errors, n, upper_bound(errors, n)) == pytest.approx(0.05)


def test_each_free_species_is_held_against_the_limit_alone():
    records = [
        ScoreRecord(
            f"{name} {n}", f"s{n}", None, None, Label.ATTACK, kind, None, ScoreStatus.SCORED, 0.1, (("species", name),)
        )
        for name, kind in (("wax", AttackType.UNKNOWN), ("wig", AttackType.UNKNOWN), ("canon", AttackType.PRINT))
        for n in range(42)
    ]
    found = check_requirements(records, 0.5, [APCER])
    assert [(each.species, each.presentations.n, each.presentations.verdict) for each in found] == [
        (name, 42, Verdict.PASS) for name in ("canon", "wax", "wig")
    ]


def test_bound_of_errors_alone_is_1():
    assert upper_bound(7, 7) == 1.0


@pytest.mark.parametrize("limit", [0.01, 0.07, 0.15, 0.5])
@pytest.mark.parametrize("errors", [0, 1, 3])
def test_number_that_a_limit_takes_is_the_smallest(limit, errors):
    needed = Requirement("apcer", limit).needed(errors)
    assert upper_bound(errors, needed) <= limit < upper_bound(errors, needed - 1)


@pytest.mark.parametrize(
    ("errors", "n", "verdict"),
    [
        (0, 42, Verdict.PASS),
        (0, 41, Verdict.TOO_FEW),
        (1, 41, Verdict.FAIL),
        (1, 65, Verdict.FAIL),
        (1, 66, Verdict.PASS),
    ],
)
def test_verdict(errors, n, verdict):
    assert Count.of(errors, n, APCER).verdict is verdict


def record(number, score, kind=None, subject=None, video=None, status=ScoreStatus.SCORED):
    label = Label.ATTACK if kind else Label.BONA_FIDE
    subject = f"s{number}" if subject is None else subject
    return ScoreRecord(f"{kind}{number}", subject, video, None, label, kind, Split.TEST, status, score)


def test_each_species_is_held_against_the_limit_alone():
    records = [record(n, 0.1, AttackType.PRINT) for n in range(50)]
    records += [record(n, 0.9 if n < 8 else 0.1, AttackType.REPLAY_PHOTO, subject=f"s{n % 4}") for n in range(50)]
    records += [record(n, 0.9) for n in range(40)]
    records.append(record(99, None, AttackType.PRINT, status=ScoreStatus.NO_FACE))
    printed, replayed, live = check_requirements(records, 0.5, [APCER, BPCER])
    assert (printed.species, printed.presentations.verdict, printed.unscored) == ("print", Verdict.PASS, 1)
    assert (printed.subjects.errors, printed.subjects.n) == (0, 50)
    assert (replayed.presentations.errors, replayed.presentations.verdict) == (8, Verdict.FAIL)
    assert (replayed.subjects.errors, replayed.subjects.n, replayed.subjects.verdict) == (4, 4, Verdict.FAIL)
    assert (live.species, live.presentations.verdict) == (None, Verdict.PASS)
    assert failed([printed, replayed]) and not failed([printed, live])


def test_a_species_without_any_score_is_too_few_and_names_the_presentations():
    missing = [record(n, None, AttackType.PRINT, status=ScoreStatus.NO_FACE) for n in range(3)]
    (found,) = check_requirements(missing, 0.5, [APCER])
    assert (found.presentations.errors, found.presentations.n, found.presentations.bound) == (0, 0, 1.0)
    assert (found.presentations.verdict, found.unscored) == (Verdict.TOO_FEW, 3)


def test_scores_without_subjects_have_no_count_of_subjects():
    (found,) = check_requirements([record(n, 0.9, subject="") for n in range(30)], 0.5, [BPCER])
    assert found.subjects is None and found.to_dict()["subjects"] is None


def test_frames_of_videos_are_fine_without_requirements():
    assert check_requirements([record(n, 0.9, subject="anna", video="clip") for n in range(3)], 0.5, []) == []


def test_frames_of_a_video_and_an_empty_class_are_refused():
    with pytest.raises(MetricError, match=r"a video has up to 3 frames here: .*--level video"):
        check_requirements([record(n, 0.9, subject="anna", video="clip") for n in range(3)], 0.5, [BPCER])
    with pytest.raises(MetricError, match="bpcer=0.1 cannot be checked: there is no bona fide presentation"):
        check_requirements([record(1, 0.1, AttackType.PRINT)], 0.5, [BPCER])
    with pytest.raises(MetricError, match="iapar=0.07 needs the decisions of a comparison"):
        check_requirements([record(1, 0.1, AttackType.PRINT)], 0.5, [Requirement("iapar", 0.07)])
    with pytest.raises(MetricError, match="apcer=0.07 cannot be checked: there is no attack"):
        check_requirements([record(1, 0.9)], 0.5, [APCER])


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["acer=0.1"], r"unknown rate of a requirement 'acer' \(did you mean 'apcer'\?\)"),
        (["apcer"], "such as apcer=0.07, got 'apcer'"),
        (["apcer=7"], "between 0 and 1"),
        (["apcer=0"], "between 0 and 1"),
        (["apcer=nan"], "between 0 and 1"),
        (["apcer=7%"], "between 0 and 1, got 'apcer=7%': write 0.07$"),
        (["apcer<7 %"], "write 0.07$"),
        (["apcer=0,07"], "write 0.07$"),
        (["apcer=7,5%"], "write 0.075$"),
        (["apcer=700%"], "such as apcer=0.07"),
        (["apcer>0.07"], "such as apcer=0.07, got 'apcer>0.07'"),
        (["apcer<0.07", "apcer=0.07"], "two limits of apcer"),
        (["apcer=0.0_7"], "between 0 and 1"),
        (["apcer=0.1", "APCER=0.2"], "two limits of apcer"),
        (["apcer=0.1", "apcer=0.2"], "two limits of apcer"),
    ],
)
def test_requirements_that_cannot_be_read_are_refused(texts, words):
    with pytest.raises(MetricError, match=words):
        parse_requirements(texts)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("apcer<0.07", Requirement("apcer", 0.07, strict=True)),
        ("APCER < .07", Requirement("apcer", 0.07, strict=True)),
        ("apcer<=0.07", APCER),
        ("apcer = 0.07", APCER),
    ],
)
def test_requirements_are_read_in_the_forms_that_reports_print(text, meant):
    assert parse_requirements([text]) == (meant,)
    assert parse_requirements([str(meant)]) == (meant,)


def test_plan_says_that_the_number_is_chosen_before_the_test():
    said = "note: plan a longer test before it starts"
    assert said in format_plan([APCER]) and said not in format_plan([Requirement("apcer", 0, least=150)])
    passes = finding_notes(check_requirements([record(n, 0.1, AttackType.PRINT) for n in range(42)], 0.5, [APCER]))
    assert not any("longer test" in note for note in passes)


def test_notes_and_plans_count_one_in_the_singular():
    low = Requirement("apcer", 0.96)
    (note,) = finding_notes(check_requirements([record(0, 0.1, AttackType.PRINT)], 0.5, [low]))
    assert note == "without an error, 1 presentation shows that a rate is within 96 %"
    assert "collect at least: 1 presentation of each" in format_plan([low])
    assert "collect at least: 1 bona fide person," in format_plan([replace(low, rate="bpcer")])


def test_notes_name_the_classes_without_a_score_and_a_threshold_that_was_chosen_on_the_presentations():
    records = [record(n, 0.1, AttackType.PRINT) for n in range(9)] + [record(n, 0.9) for n in range(9)]
    records += [record(n, None, status=ScoreStatus.NO_FACE) for n in (20, 21)]
    records.append(record(22, None, AttackType.MASK_3D, status=ScoreStatus.NO_FACE))
    itself = choose_threshold(records, "eer", source="a.csv", notes=[CHOSEN_ON_ITSELF])
    notes = finding_notes(check_requirements(records, itself, [APCER, BPCER]))
    assert "presentations without a score are not counted (see APNRR and BPNRR): 1 mask_3d, 2 bona fide" in notes
    assert any("the threshold was chosen on these presentations" in note for note in notes)
    other = finding_notes(
        check_requirements(records, choose_threshold(records, "eer", source="dev.csv"), [APCER, BPCER])
    )
    assert not any("chosen on these presentations" in note for note in other)
    (system,) = check_system(records, itself, [replace(APCER, rate="iapar")], whole_system(matched(records), 0.5))[:1]
    assert system.optimistic and system.to_dict()["optimistic"]


def matched(records):
    return [replace(each, attributes=(("match", "1"),)) for each in records]


def test_a_limit_that_is_named_twice_is_told_once():
    records = [
        ScoreRecord(
            f"{n}", f"s{n}", None, None, Label.ATTACK, AttackType.PRINT, None, ScoreStatus.SCORED, float(n in (3, 4))
        )
        for n in range(20)
    ]
    twice = read_requirements(["apcer=0.07"], ["nist-800-63a-4", "fido-biometric"])
    notes = [note for note in finding_notes(check_requirements(records, 0.5, twice)) if "profile" not in note]
    assert notes == [
        "without an error, 42 presentations show that a rate is below 7 %",
        "apcer<0.07 of print: with 2 errors, 88 presentations would pass",
        "plan a longer test before it starts: if a test goes on until it passes, the 95 % does not hold",
    ]
    # The numbers of a limit of 95 % differ with and without equality, so both are told.
    both = [Requirement("apcer", 0.95), Requirement("apcer", 0.95, strict=True)]
    assert [note.split()[3] for note in finding_notes(check_requirements(records, 0.5, both))] == ["2", "1"]


def test_people_are_planned_for_bounds_alone():
    assert "each of another person" in format_plan([APCER])
    zero = format_plan([Requirement("apcer", 0, least=150)])
    assert "150 presentations of each PAI species" in zero and "person" not in zero and "the bound" not in zero


def test_a_limit_of_zero_beside_a_bound_needs_no_further_people():
    both = format_plan([APCER, Requirement("apcer", 0, least=150)])
    assert "collect at least: 150 presentations of each PAI species, 42 of them of different people\n" in both


def test_commands_show_the_verdicts_and_the_numbers(tmp_path, facepad):
    records = [record(n, 0.1 + 0.001 * n, AttackType.PRINT) for n in range(45)]
    records += [record(n, 0.9 - 0.001 * n) for n in range(10)]
    write_scores(tmp_path / "scores.csv", records)
    words = ("metrics", tmp_path / "scores.csv", "--require", "bpcer=0.1", "--require")
    code, out, _ = facepad(*words, "apcer=0.07", "--criterion", "0.5")
    assert code == 0 and "PASS" in out and "TOO FEW" in out
    assert "29 presentations show that a rate is within 10 %" in out
    code, out, _ = facepad(*words, "apcer=0.01", "--criterion", "0.05", "--json")
    assert code == 5
    live, attack = json.loads(out)["requirements"]
    assert (live["presentations"]["verdict"], attack["presentations"]["verdict"]) == ("TOO FEW", "FAIL")
    assert attack["needed_without_error"] == 299
    code, out, _ = facepad("plan", "--require", "apcer=0.15")
    assert code == 0 and "apcer=0.15" in out and " 19 " in out
    code, _, err = facepad("plan")
    assert code == 2 and "such as --require apcer=0.07" in err
