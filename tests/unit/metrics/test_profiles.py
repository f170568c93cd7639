"""Profiles of requirements: each has a source and says what it leaves out, and its verdicts follow its rule."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import pytest

from facepad.errors import MetricError
from facepad.metrics import (
    PROFILES,
    Requirement,
    Verdict,
    check_requirements,
    failed,
    findings_dict,
    format_findings,
    format_plan,
    profile_notes,
    profile_results,
    read_requirements,
)
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split


def attacks(n, kind=AttackType.PRINT, accepted=0):
    return [
        ScoreRecord(
            f"{kind}{i}", f"s{i}", None, None, Label.ATTACK, kind, Split.TEST, ScoreStatus.SCORED, float(i < accepted)
        )
        for i in range(n)
    ]


def at_most(errors, n, rate):
    """P(at most ``errors`` errors), summed up term by term."""
    return sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(errors + 1))


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_states_its_source_and_what_it_leaves_out(name):
    profile = PROFILES[name]
    assert profile.source and profile.title
    assert profile.covers.endswith(".") and profile.missing.endswith(".")
    assert all(each.rate in ("apcer", "bpcer") and 0 <= each.limit < 1 for each in profile.requirements)
    assert all(each.least > 0 for each in profile.requirements if each.limit == 0)
    (findings, *_) = [check_requirements(attacks(10), 0.5, read_requirements([], [name]))]
    notes = profile_notes(findings)
    assert any(profile.source in note for note in notes) and any("does not cover: " in note for note in notes)


@pytest.mark.parametrize("name", ["nist-800-63a-4", "fido-biometric"])
@pytest.mark.parametrize("errors", [0, 1, 2, 5])
def test_a_limit_of_seven_percent_takes_the_least_n_whose_errors_are_improbable(name, errors):
    (requirement,) = read_requirements([], [name])
    needed = next(n for n in range(errors + 1, 1000) if at_most(errors, n, 0.07) < 0.05)
    assert requirement.needed(errors) == needed
    (found,) = check_requirements(attacks(needed, accepted=errors), 0.5, [requirement])
    assert found.presentations.verdict is Verdict.PASS
    (found,) = check_requirements(attacks(needed - 1, accepted=errors), 0.5, [requirement])
    assert found.presentations.verdict is (Verdict.FAIL if errors else Verdict.TOO_FEW)


@pytest.mark.parametrize(
    ("n", "accepted", "verdict"),
    [(150, 0, Verdict.PASS), (149, 0, Verdict.TOO_FEW), (150, 1, Verdict.FAIL), (5000, 1, Verdict.FAIL)],
)
def test_a_level_of_ibeta_allows_no_error_and_counts_presentations(n, accepted, verdict):
    requirements = read_requirements([], ["ibeta-level-1"])
    (found,) = check_requirements(attacks(n, accepted=accepted), 0.5, requirements)
    assert found.presentations.verdict is verdict
    assert found.to_dict()["needed_without_error"] == 150


def of_species(*counts):
    """Attacks of several species: (number of presentations, number of accepted ones) of each."""
    return [
        replace(each, path=f"{each.path}-{place}", attributes=(("species", f"kind {place}"),))
        for place, (n, accepted) in enumerate(counts)
        for each in attacks(n, AttackType.UNKNOWN, accepted)
    ]


@pytest.mark.parametrize(
    ("counts", "verdict", "reasons"),
    [
        ([(150, 0)] * 6, Verdict.PASS, ("900 presentations of 150 people",)),
        ([(150, 0)], Verdict.TOO_FEW, ("1 of 6 PAI species", "150 presentations of 150 people")),
        (
            [(150, 0)] * 5 + [(149, 0)],
            Verdict.TOO_FEW,
            ("kind 5: 149 of 150 presentations", "899 presentations of 150 people"),
        ),
        (
            [(150, 0)] * 5 + [(150, 1)],
            Verdict.FAIL,
            ("kind 5: 1 error in 150 presentations", "900 presentations of 150 people"),
        ),
        (
            [(150, 0), (20, 0), (300, 2)],
            Verdict.FAIL,
            (
                "kind 2: 2 errors in 300 presentations",
                "3 of 6 PAI species",
                "kind 1: 20 of 150 presentations",
                "470 presentations of 300 people",
            ),
        ),
    ],
)
def test_a_profile_as_a_whole_has_the_worst_verdict_of_its_parts(counts, verdict, reasons):
    findings = check_requirements(of_species(*counts), 0.5, read_requirements(["apcer=0.5"], ["ibeta-level-1"]))
    (found,) = profile_results(findings)
    assert (found.profile, found.verdict, found.reasons) == ("ibeta-level-1", verdict, reasons)
    assert failed(findings) == (verdict is Verdict.FAIL), "the exit code is that of the findings"
    line = f"profile ibeta-level-1 as a whole: {verdict}" + (f" ({'; '.join(reasons)})" if reasons else "")
    assert line in format_findings(findings).splitlines()
    assert findings_dict(findings)["profiles"] == [
        {"profile": "ibeta-level-1", "verdict": verdict.value, "reasons": list(reasons)}
    ]


@pytest.mark.parametrize(
    ("subjects", "words"),
    [
        (["ann", "ben"], "900 presentations of 2 people"),
        (["ann"], "900 presentations of 1 person"),
        ([""], "900 presentations, whose people are not named"),
    ],
)
def test_a_pass_that_counts_presentations_names_its_people(subjects, words):
    records = [
        replace(each, subject=subjects[place % len(subjects)]) for place, each in enumerate(of_species(*[(150, 0)] * 6))
    ]
    findings = check_requirements(records, 0.5, read_requirements([], ["ibeta-level-1"]))
    lines = format_findings(findings).splitlines()
    assert f"profile ibeta-level-1 as a whole: PASS ({words})" in lines
    assert not any("TOO FEW" in line for line in lines), "150 presentations are not held against 150 people"
    if all(subjects):
        assert findings[0].to_dict()["subjects"]["verdict"] is None
        assert lines[1].endswith(f"0 of {len(subjects)}  -")


def test_a_profile_with_a_bound_has_a_verdict_for_subjects():
    records = [replace(each, subject="ann") for each in attacks(42)]
    findings = check_requirements(records, 0.5, read_requirements([], ["nist-800-63a-4"]))
    assert findings[0].subjects.verdict is Verdict.TOO_FEW
    assert profile_results(findings)[0].reasons == ()


def test_requirements_without_a_profile_have_no_result_of_profiles():
    findings = check_requirements(attacks(10), 0.5, read_requirements(["apcer=0.5"]))
    assert profile_results(findings) == [] and findings_dict(findings)["profiles"] == []


def test_a_strict_limit_is_not_met_by_an_equal_bound():
    # Without an error in one presentation the bound is exactly 95 %.
    assert Requirement("apcer", 0.95).verdict(0, 1) is Verdict.PASS
    strict = Requirement("apcer", 0.95, strict=True)
    assert strict.verdict(0, 1) is Verdict.TOO_FEW
    assert (strict.needed(), Requirement("apcer", 0.95).needed()) == (2, 1)


@pytest.mark.parametrize(
    ("profiles", "words"),
    [
        (["nist-800-63a"], r"unknown profile 'nist-800-63a' \(did you mean 'nist-800-63a-4'\?\)"),
        (["ibeta-level-1", "ibeta-level-1"], "profile ibeta-level-1 is named twice"),
    ],
)
def test_unknown_and_repeated_profiles_are_refused(profiles, words):
    with pytest.raises(MetricError, match=words):
        read_requirements([], profiles)


def test_rows_of_equal_limits_name_their_profiles():
    requirements = read_requirements([], ["fido-biometric", "nist-800-63a-4"])
    _, fido, nist, *_ = format_plan(requirements).splitlines()
    assert fido.startswith("apcer<0.07 (fido-biometric)  each PAI") and nist.startswith(
        "apcer<0.07 (nist-800-63a-4)  each"
    )


def test_plan_names_people_species_and_presentations():
    text = format_plan(read_requirements(["bpcer=0.1"], ["ibeta-level-2", "nist-800-63a-4"]))
    assert "collect at least: 29 bona fide people" in text
    assert "collect at least: 150 presentations of each PAI species" in text
    assert "5 PAI species for ibeta-level-2, so 750 attack presentations" in text
