"""facepad metrics, plan and list: requirements and profiles on the command line."""

from __future__ import annotations

import json
import random
from dataclasses import replace

from facepad.metrics import PROFILES, Intent, epsc, presentations_of, trials_of, whole_system, write_scores
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split


def attacks(n, kind=AttackType.PRINT, accepted=0):
    return [
        ScoreRecord(
            f"{kind}{i}", f"s{i}", None, None, Label.ATTACK, kind, Split.TEST, ScoreStatus.SCORED, float(i < accepted)
        )
        for i in range(n)
    ]


def bona_fide(n):
    return [
        ScoreRecord(f"l{i}", f"s{i}", None, None, Label.BONA_FIDE, None, Split.TEST, ScoreStatus.SCORED, 1.0)
        for i in range(n)
    ]


def test_commands_take_profiles_and_list_them(tmp_path, facepad):
    write_scores(tmp_path / "scores.csv", [*attacks(60), *attacks(60, AttackType.MASK_3D, accepted=9), *bona_fide(5)])
    words = ("metrics", tmp_path / "scores.csv", "--criterion", "0.5", "--profile", "nist-800-63a-4")
    code, out, _ = facepad(*words)
    assert code == 5 and "apcer<0.07" in out and "section 3.11" in out
    code, out, _ = facepad(*words, "--json")
    mask, printed = json.loads(out)["requirements"]
    assert (mask["species"], mask["presentations"]["verdict"], printed["presentations"]["verdict"]) == (
        "mask_3d",
        "FAIL",
        "PASS",
    )
    assert (printed["profile"], printed["strict"]) == ("nist-800-63a-4", True)
    code, out, _ = facepad("list", "profiles")
    assert code == 0 and all(name in out for name in PROFILES)
    code, _, err = facepad("plan", "--profile", "fido-biometrics")
    assert code == 2 and "did you mean" in err


def compared():
    """Lines of a system on dev and test, with comparison scores and three intents."""
    rng = random.Random(0)
    lines = []
    for number in range(120):
        intent = (Intent.GENUINE, Intent.ZERO_EFFORT, Intent.IMPERSONATION)[number % 3]
        attack = intent is Intent.IMPERSONATION
        lines.append(
            ScoreRecord(
                path=f"{number}.png",
                subject=f"s{number % 7}",
                video=None,
                frame=None,
                label=Label.ATTACK if attack else Label.BONA_FIDE,
                attack_type=AttackType.PRINT if attack else None,
                split=Split.DEV if number % 2 else Split.TEST,
                status=ScoreStatus.SCORED,
                score=rng.random(),
                attributes=(("intent", intent.value), ("match", repr(rng.random()))),
            )
        )
    return lines


def test_metrics_gives_the_rates_and_the_curve_of_a_system_with_comparison_scores(tmp_path, facepad):
    lines = compared()
    write_scores(tmp_path / "scores.csv", lines)
    words = ("metrics", tmp_path / "scores.csv")
    code, out, _ = facepad(*words, "--match-threshold", 0.5, "--json")
    document = json.loads(out)
    found, threshold = document["whole_system"], document["threshold"]["value"]
    dev, test = ([line for line in lines if line.split is split] for split in (Split.DEV, Split.TEST))
    curve = epsc(*(trials_of(presentations_of(part, threshold, 0.5)) for part in (dev, test)))
    assert code == 0 and found["epsc"] == curve.to_dict() and found["no_epsc"] is None
    assert found["riapar"]["value"] == whole_system(test, threshold, 0.5).rates["riapar"].value
    code, out, _ = facepad(*words, "--match-threshold", 0.5, "--require", "iapar=0.01")
    assert code == 5 and "RIAPAR: IAPAR + FRR" in out and "APAR print" in out and "iapar=0.01" in out
    code, _, err = facepad(*words)
    assert code == 2 and "name the lowest accepted score (--match-threshold)" in err


def test_a_misspelt_rate_and_iapar_without_a_comparison_are_refused(tmp_path, facepad):
    for words, message in (
        (("plan", "--require", "iapr=0.07"), "did you mean 'iapar'"),
        (("metrics", tmp_path / "absent.csv", "--require", "apcer=7"), "between 0 and 1"),
        (("cross", tmp_path / "out", "--require", "iapar=0.07"), "iapar=0.07 needs the decisions of a comparison"),
    ):
        code, _, err = facepad(*words)
        assert code == 2 and message in err


def test_metrics_measures_groups_of_a_column_and_refuses_another(tmp_path, facepad):
    described = [
        replace(each, attributes=(("gender", "fm"[n % 2]), ("age", "young" if n < 30 else "old")))
        for n, each in enumerate([*attacks(60, accepted=9), *bona_fide(60)])
    ]
    write_scores(tmp_path / "scores.csv", described)
    words = ("metrics", tmp_path / "scores.csv", "--criterion", "0.5", "--by")
    code, out, _ = facepad(*words, "Gender", "--json")
    groups = json.loads(out)["groups"]
    assert code == 0 and [each["values"] for each in groups["groups"]] == [{"gender": "f"}, {"gender": "m"}]
    assert groups["gaps"]["apcer"].keys() == {"difference", "highest", "lowest", "species", "p", "permutations"}
    code, out, _ = facepad(*words, "gender,age")
    assert code == 0 and "by gender, age " in out and "Largest gap of APCER of print: " in out
    code, out, err = facepad(*words, "gendre")
    assert (code, out) == (2, "") and "did you mean 'gender'" in err and err.count("\n") == 1
