"""facepad metrics, plan and list: requirements and profiles on the command line."""

from __future__ import annotations

import json

from facepad.metrics import PROFILES, write_scores
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split


def attacks(n, kind=AttackType.PRINT, accepted=0):
    return [
        ScoreRecord(
            f"{kind}{i}", f"s{i}", None, None, Label.ATTACK, kind, Split.TEST, ScoreStatus.SCORED, float(i < accepted)
        )
        for i in range(n)
    ]


def test_commands_take_profiles_and_list_them(tmp_path, facepad):
    live = [
        ScoreRecord(f"l{i}", f"s{i}", None, None, Label.BONA_FIDE, None, Split.TEST, ScoreStatus.SCORED, 1.0)
        for i in range(5)
    ]
    write_scores(tmp_path / "scores.csv", [*attacks(60), *attacks(60, AttackType.MASK_3D, accepted=9), *live])
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
