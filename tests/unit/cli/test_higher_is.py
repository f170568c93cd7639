"""The option --higher-is: scores whose high values mean attack."""

from __future__ import annotations

import json

from helpers.two_classes import lines, write


def test_swapped_scores_get_a_note_that_names_the_option_and_the_option_turns_them(tmp_path, facepad):
    right = write(tmp_path / "right.csv", lines("dev", "live", 1), lines("test", "live", 2))
    swapped = tmp_path / "swapped.csv"
    fields = [line.split(",") for line in right.read_text().split()[1:]]
    turned_back = [f"{label},{split},{0.0 - float(score)!r},{path}" for label, split, score, path in fields]
    write(swapped, turned_back)
    code, out, err = facepad("metrics", swapped)
    assert (code, err) == (0, "")
    assert "note: the AUC is " in out
    assert "below 50 %" in out
    assert "add --higher-is attack" in out
    code, out, _ = facepad("metrics", swapped, "--higher-is", "attack", "--json")
    found = json.loads(out)
    expected = json.loads(facepad("metrics", right, "--json")[1])
    assert found["threshold"]["value"] == expected["threshold"]["value"]
    assert all(found[measure] == expected[measure] for measure in ("eer", "auc", "apcer", "bpcer"))
    assert [note["kind"] for note in found["notes"]] == ["reading"]
    assert "every score is negated" in found["notes"][0]["text"]
    code, out, _ = facepad("metrics", right, "--higher-is", "attack")
    assert "leave out --higher-is attack" in out


def test_a_comparison_turns_both_files(tmp_path, facepad):
    first = write(tmp_path / "a.csv", lines("dev", "spoof", 1), lines("test", "spoof", 2))
    second = write(tmp_path / "b.csv", lines("dev", "spoof", 3), lines("test", "spoof", 4))
    code, out, err = facepad("compare", first, second)
    assert (code, err) == (0, "")
    assert out.count("add --higher-is attack") == 2
    code, out, _ = facepad("compare", first, second, "--higher-is", "attack", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["differences"]["eer"]["a"] < 0.2
    assert all("negated" in note["text"] for note in found["notes"] if note["kind"] == "reading")
