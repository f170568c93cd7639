"""The report on several systems: its files, its verification, and bad input."""

from __future__ import annotations

import csv
import functools
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from facepad import metrics
from facepad.metrics.from_file import measured_file
from facepad.metrics.multiple import holm
from facepad.report.systems import ReportOptions, measure_systems, named_files, verify_report, write_systems
from facepad.report.text import percent
from helpers.reports import Page

FILES = {"report.html", "report.md", "report.csv", "report.tex", "report.json", "tests.csv", "inputs.json", ".lock"}


def write(path: Path, seed: int, gap: float = 0.3, people: int = 8) -> Path:
    """Scores of one system. All systems score the same presentations."""
    draw = random.Random(seed)
    lines = ["path,subject,label,attack_type,split,score,milliseconds"]
    for split in ("dev", "test"):
        for number in range(4 * people):
            live = number % 2 == 0
            kind = "" if live else ("print", "mask_3d")[number // 2 % 2]
            score = draw.gauss(0.5 + gap / 2 if live else 0.5 - gap / 2, 0.15)
            who = f"{split}{number % people}"
            label = "live" if live else "spoof"
            lines.append(f"{split}/{number}.png,{who},{label},{kind},{split},{score!r},{draw.uniform(5, 9):.3f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("systems")
    return [
        write(folder / f"{name}.csv", seed, gap) for seed, name, gap in ((0, "a", 0.5), (1, "b", 0.2), (2, "c", 0.4))
    ]


@functools.cache  # not a fixture of the module, which would draw all resamples
def measured(*paths):
    return measure_systems(named_files(paths), ReportOptions())


@pytest.fixture
def content(systems):
    return measured(*systems)


@pytest.fixture
def made(systems, tmp_path):
    """A copy of the folder of a report on two systems, beside copies of their files."""
    source = systems[0].parent / "made"
    if not source.exists():
        files = [Path(shutil.copy(path, tmp_path)) for path in systems[:2]]
        moved = [
            replace(system, files=own)
            for system, own in zip(measured(*systems[:2]).systems, named_files(files), strict=True)
        ]
        write_systems(tmp_path / "out", replace(measured(*systems[:2]), systems=moved))
        shutil.copytree(tmp_path, source)
        return tmp_path / "out"
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    return tmp_path / "out"


def test_each_system_has_the_numbers_of_metrics_and_each_pair_those_of_compare(content, systems):
    for system, path in zip(content.systems, systems, strict=True):
        assert system.content.summary.rates == metrics.metrics_from_file(path).rates
    assert [test.names for test in content.tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    found = metrics.compare_files(systems[0], systems[1])
    assert content.tests[0].comparison.differences == found.differences
    for key in found.differences:
        p_values = [test.comparison.differences[key].p for test in content.tests]
        assert [test.adjusted[key] for test in content.tests] == holm(p_values)


def test_page_tables_and_json_hold_the_same_numbers(made):
    page = Page((made / "report.html").read_text())
    assert page.sections() == ["systems", "curves", "tests", "times", "system-1", "system-2", "inputs"]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    labels = [attrs.get("aria-label", "") for tag, attrs in page.tags if tag == "svg"]
    assert sum(label.startswith("ROC curves of all systems") for label in labels) == 1
    assert sum(label.startswith("DET curves of all systems") for label in labels) == 1
    document = json.loads((made / "report.json").read_text())
    texts = {name: (made / name).read_text() for name in ("report.html", "report.md", "report.tex")}
    rows = list(csv.DictReader((made / "report.csv").read_text().splitlines()))
    for system in document["systems"]:
        name, rate = system["name"], system["field"]["bpcer20"]
        [row] = [row for row in rows if (row["system"], row["measure"]) == (name, "bpcer20")]
        assert {key: float(row[key]) for key in ("value", "low", "high", "n")} == {
            k: v for k, v in rate.items() if k != "method"
        }
        assert all(percent(rate["value"], unit=False) in text for text in texts.values())
    differences = list(csv.DictReader((made / "tests.csv").read_text().splitlines()))
    assert float(differences[0]["p_holm"]) == document["tests"][0]["p_holm"]["eer"]
    tested = document["tests"][0]
    row, counts = differences[-1], tested["comparison"]["mcnemar"]["all"]
    assert (row["measure"], row["value_a"], row["value_b"]) == ("mcnemar", str(counts["only_a"]), str(counts["only_b"]))
    assert (float(row["p"]), float(row["p_holm"])) == (counts["p"], tested["p_holm"]["mcnemar"])
    assert {row["measure"] for row in differences} == tested["p_holm"].keys()
    assert r"TPR@FPR=1 \% & APCER@BPCER=1 \% \\" in texts["report.tex"]
    assert texts["report.tex"].count(" & ") == 10 * 5, "a head and two lines for each system, with ten rates"


def test_names_of_systems_are_text_on_the_page(tmp_path):
    odd = write(tmp_path / "<b>$x_1$ & 50%.csv", 1)
    page = write_systems(tmp_path / "out", measure_systems(named_files([odd]), ReportOptions())).read_text()
    assert "<b>$x_1$" not in page
    assert "<b>$x_1$ & 50%" in Page(page).text
    assert r"$<$b$>$\$x\_1\$ \& 50\%" in (tmp_path / "out/report.tex").read_text()


def test_a_report_is_made_again_and_compared(facepad, systems, tmp_path):
    out = tmp_path / "out"
    code, text, err = facepad("report", *systems[1:], out)
    assert code == 0, err
    assert "| b | " in text
    assert {path.name for path in out.iterdir()} == FILES
    code, text, err = facepad("report", "--verify", out)
    assert (code, err) == (0, "")
    assert "unchanged" in text
    assert facepad("report", systems[0], out)[0] == 2, "the folder is not empty"


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("a.csv", ",live,,test,0.", ",live,,test,1.", ["input ../a.csv has", "systems.0.metrics."]),
        ("out/report.html", "Tests between", "Guesses between", ["report.html has changed"]),
        ("out/report.json", '"bootstrap": 2000', '"bootstrap": 2001', ["report.json has", "bootstrap is 2000"]),
        ("a.csv", "label", "labels", ["input ../a.csv has changed", "the report cannot be made again: "]),
        ("out/inputs.json", '"../a.csv"', '"a\\u0000"', ["cannot be read: it is not the name of a file"]),
        ("out/inputs.json", '"aggregation": null', '"aggregation": "max"', ["unknown aggregation 'max'"]),
        ("out/inputs.json", '"aggregation": null', '"aggregation": [1]', ["unknown aggregation '[1]'"]),
        ("out/inputs.json", '"thresholds": {\n    "a": ', '"thresholds": {\n    "a": 1', ["thresholds.a is 0."]),
        ("out/inputs.json", '"facepad": "0', '"facepad": "99.0', []),
    ],
)  # fmt: skip
def test_verification_says_what_differs(facepad, made, file, old, new, says):
    path = made.parent / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    code, text, err = facepad("report", "--verify", made)
    assert code == (1 if says else 0)
    assert all(each in text for each in says)
    assert says or "made by facepad 99.0" in err


def test_outputs_that_are_not_listed_are_named(facepad, systems, tmp_path):
    out = tmp_path / "out"
    facepad("report", *systems[:2], out, "--require", "apcer=0.5")
    document = json.loads((out / "inputs.json").read_text())
    assert document["outputs"].keys() == (FILES | {"requirements.csv"}) - {"inputs.json", ".lock"}
    (out / "report.html").write_text("All is well.")
    (out / "inputs.json").write_text(json.dumps(document | {"outputs": {}}))
    code, text, _ = facepad("report", "--verify", out)
    assert code == 1
    assert {line.split()[0] for line in text.splitlines()} == document["outputs"].keys()
    assert "report.html is missing in the outputs of inputs.json" in text


def test_each_difference_is_one_line_whatever_the_manifest_holds(made):
    path = made / "inputs.json"
    document = json.loads(path.read_text())
    document |= {"facepad": "0\n1", "outputs": {"a\nb": "x" * 5000}, "inputs": []}
    path.write_text(json.dumps(document))
    changed, notes = verify_report(made)
    assert any(line.startswith("a\\nb cannot be read") for line in changed)
    assert all("\n" not in line and len(line) <= 2000 for line in [*changed, *notes])


def test_verification_names_a_missing_input(facepad, made):
    (made.parent / "a.csv").unlink()
    code, text, err = facepad("report", "--verify", made)
    assert (code, text) == (1, "input ../a.csv cannot be read: No such file or directory\n")
    assert "not computed again" in err


def test_a_report_can_be_verified_in_another_place(facepad, tmp_path):
    dev, test = write(tmp_path / "here/dev.csv", 1), write(tmp_path / "here/test.csv", 2)
    test.write_text("\n".join(line for line in test.read_text().splitlines() if ",dev," not in line))
    assert facepad("report", test, tmp_path / "here/out", "--dev", dev)[0] == 0
    (tmp_path / "here").rename(tmp_path / "there")
    code, text, err = facepad("report", "--verify", tmp_path / "there/out")
    assert (code, err) == (0, ""), text


def test_a_signed_report_is_verified_with_the_public_key(facepad, tmp_path):
    pytest.importorskip("jwt")
    path, signing, other = write(tmp_path / "a.csv", 0), tmp_path / "signing.json", tmp_path / "other.json"
    for file in (signing, other):
        assert facepad("signing-key", file)[0] == 0
    assert facepad("report", path, tmp_path / "out", "--sign-with", signing)[0] == 0
    public = tmp_path / "out/keys.json"
    assert '"d"' not in public.read_text(), "the private key stays where it is"
    code, text, _ = facepad("report", "--verify", tmp_path / "out", "--keys", public)
    assert (code, "signed" in text) == (0, True)
    path.unlink()  # the numbers are not computed again
    code, text, _ = facepad("report", "--verify", tmp_path / "out", "--keys", other)
    assert (code, text.splitlines()[0]) == (1, "inputs.jws: it was signed by a key that is not among the public keys")
    inputs = tmp_path / "out/inputs.json"
    inputs.write_text(inputs.read_text().replace('"made": "2', '"made": "1'))
    code, text, _ = facepad("report", "--verify", tmp_path / "out", "--keys", public)
    assert (code, text.splitlines()[0]) == (1, "inputs.jws: the signature is of another file")
    other.write_text('{"keys": [1]}')
    code, _, err = facepad("report", "--verify", tmp_path / "out", "--keys", other)
    assert (code, err) == (2, f"facepad: {other} is not a file of public keys (expected a list of keys)\n")
    (tmp_path / "out/inputs.jws").unlink()
    code, text, _ = facepad("report", "--verify", tmp_path / "out", "--keys", public)
    assert (code, text.splitlines()[0]) == (1, "inputs.jws is missing: the report is not signed")


def test_a_requirement_that_fails_gives_exit_code_5_and_is_checked_again(facepad, systems, tmp_path):
    words = ("report", *systems[:2], tmp_path / "out", "--require", "apcer=0.01", "--criterion", "apcer@bpcer=0.01")
    code, text, _ = facepad(*words)
    assert code == 5
    verdicts = [line.split(" | ")[3] for line in text.splitlines() if line.startswith(("| a | apcer", "| b | apcer"))]
    document = json.loads((tmp_path / "out/report.json").read_text())
    found = [each for system in document["systems"] for each in system["requirements"]]
    assert verdicts == [each["presentations"]["verdict"] for each in found]
    assert "FAIL" in verdicts
    rows = list(csv.DictReader((tmp_path / "out/requirements.csv").read_text().splitlines()))
    assert [row["verdict"] for row in rows] == verdicts
    assert [float(row["bound"]) for row in rows] == [each["presentations"]["bound"] for each in found]
    assert r"a & apcer=0.01 & mask 3d & " in (tmp_path / "out/report.tex").read_text()
    page = Page((tmp_path / "out/report.html").read_text())
    assert "requirements" in page.sections()
    assert facepad("report", "--verify", tmp_path / "out")[0] == 0, "the report is unchanged, whatever its verdicts"


def test_a_profile_as_a_whole_is_in_every_format(facepad, systems, tmp_path):
    code, text, _ = facepad("report", *systems[:2], tmp_path / "out", "--profile", "ibeta-level-1", "--criterion", 1)
    assert code == 0, "TOO FEW is no failure"
    out = tmp_path / "out"
    parts = ("2 of 6 PAI species", "mask_3d: 8 of 150 presentations", "print: 8 of 150 presentations")
    reason = "; ".join((*parts, "16 presentations of 4 people"))
    document = json.loads((out / "report.json").read_text())
    for system in document["systems"]:
        [found] = system["profiles"]
        assert (found["verdict"], "; ".join(found["reasons"])) == ("TOO FEW", reason)
    rows = list(csv.DictReader((out / "requirements.csv").read_text().splitlines()))
    assert [(row["system"], row["reason"]) for row in rows if not row["requirement"]] == [("a", reason), ("b", reason)]
    assert all(row["subject_errors"] and not row["subject_verdict"] for row in rows if row["requirement"])
    shown = reason.replace("_", " ")
    assert f"b & ibeta-level-1 & TOO FEW & {shown}" in (out / "report.tex").read_text()
    page = Page((out / "report.html").read_text()).text
    for place in (text, (out / "report.md").read_text(), page):
        assert shown in place


def test_times_of_videos_are_those_of_their_frames(tmp_path):
    path = tmp_path / "videos.csv"
    lines = ["path,subject,video,frame,label,score,seconds"]
    for number in range(24):
        label, score = ("live", 0.6 + number / 100) if number // 2 % 2 else ("spoof", 0.5 + number / 100)
        lines.append(f"{number}.png,s{number // 4},v{number // 2},{number % 2},{label},{score},{number + 1}")
    path.write_text("\n".join([*lines, ""]))
    [system] = measure_systems(named_files([path]), ReportOptions(aggregation="mean")).systems
    assert (system.times.n, system.times.p50) == (24, 12.5)
    assert len(system.content.measured) == 12
    assert not any("seconds" in note.text for note in system.content.summary.notes)


def test_systems_on_other_presentations_are_not_compared(tmp_path):
    first, second = write(tmp_path / "a.csv", 0), write(tmp_path / "b.csv", 1)
    second.write_text(second.read_text().replace(".png", ".jpg"))
    content = measure_systems(named_files([first, second]), ReportOptions())
    [test] = content.tests
    assert test.comparison is None
    assert "expected scores of the same samples" in test.reason
    write_systems(tmp_path / "out", content)
    assert "Not compared: expected scores" in (tmp_path / "out/report.html").read_text()


def test_lines_without_names_are_not_taken_for_the_same_presentations(facepad, tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        path.write_text("label,score\n" + "live,0.2\nspoof,0.6\nlive,0.5\nspoof,0.9\n" * 4)
    code, text, err = facepad("report", *paths, tmp_path / "out")
    assert code == 0
    assert "cannot be compared: the file of a does not name its presentations (column path)." in text
    assert err.count("add --higher-is attack") == 2, "the notes on each system are printed"


def test_a_used_output_folder_is_refused_before_the_scores_are_read(tmp_path, facepad):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    code, _, err = facepad("report", tmp_path / "missing.csv", tmp_path / "out")
    assert (code, "is not empty" in err) == (2, True), err


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("x/scores.csv", "y/scores.csv"), ["x", "y"]),
        (("1/x/scores.csv", "2/x/scores.csv"), ["1", "2"]),
        (("1/x/scores.csv", "2/y/scores.csv"), ["1/x", "2/y"]),
        (("a/scores.csv", "b/c/scores.csv"), ["a", "b/c"]),
        (("a.csv", "a.txt"), ["a.csv", "a.txt"]),
    ],
)
def test_files_with_one_name_are_named_by_what_differs_in_their_paths(tmp_path, files, names):
    assert [each.name for each in named_files([tmp_path / file for file in files])] == names


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{out}"], "name at least one scores file"),
        (["{a}", "{b}"], "the last path is the new output folder, and {b} is a file"),
        (["{a}", "{live}", "{out}"], "{live}: no attack scores"),
        (["{a}", "{out}", "--dev", "{live}"], "{live}: no attack scores"),
        (["{a}", "{a}", "{out}"], "expected each scores file once"),
        (["{a}", "{out}", "--dev", "{b}", "--dev", "{b}"], "one --dev for each scores file, in order, got 2 for 1"),
        (["{a}", "{out}", "--keys", "{b}"], "--keys needs --verify"),
        (["{a}", "{out}", "--verify"], "takes the folder of the report alone"),
        (["{a}", "{b}", "{out}"] + 3 * ["--match", "{b}"], "one --match for all 2 scores files, or one for each, in"),
        (["{a}", "{out}", "--match", "{absent}"], "cannot read scores file"),
        (["{out}", "--verify", "--match", "{b}"], "--verify takes the options from inputs.json"),
        (["{out}", "--verify"], "is not the folder of a report"),
        (["{out}", "--verify", "--require", "apcer=0.1"], "--verify takes the options from inputs.json"),
        (["{out}", "--verify", "--dev", "{b}"], "--verify takes the options from inputs.json"),
        (["{a}", "{b}", "{out}", "--match-threshold", "0.5"], "a threshold of match needs comparisons"),
        (["{absent}", "{out}"], "cannot read scores file"),
        (["{a}", "{out}", "--criterion", "bpcer30"], "unknown criterion"),
        (["{a}", "{out}", "--require", "apcer=7"], "expected a limit between 0 and 1"),
        (["{a}", "{out}", "--profile", "nist"], "unknown profile"),
        (["{a}", "{out}", "--sign-with", "{b}"], "is not a file of signing keys"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(facepad, systems, tmp_path, words, says):
    names = {"a": systems[0], "b": systems[1], "out": tmp_path / "out", "absent": tmp_path / "absent.csv"}
    names["live"] = tmp_path / "live.csv"
    names["live"].write_text("path,label,split,score\na,live,dev,0.5\n")
    code, text, err = facepad("report", *(word.format(**names) for word in words))
    assert (code, text) == (2, "")
    assert says.format(**names) in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{}", "[]", '{"inputs": 5}', "no JSON"])
def test_a_damaged_manifest_is_one_line(facepad, tmp_path, text):
    (tmp_path / "inputs.json").write_text(text)
    code, _, err = facepad("report", "--verify", tmp_path)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "inputs.json is not the manifest of a report" in err


def test_a_column_of_matches_gives_the_rates_of_the_whole_system_in_every_file(tmp_path, facepad):
    path = write(tmp_path / "scores.csv", 0, 0.4)
    head, *lines = path.read_text().splitlines()
    matched = [
        f"{line},{number % 3 / 2},{'zero_effort' if number % 4 == 2 else ''}" for number, line in enumerate(lines)
    ]
    path.write_text("\n".join([f"{head},match,intent", *matched, ""]))
    words = ("report", path, tmp_path / "out", "--match-threshold", 0.5)
    code, _, _ = facepad(*words, "--require", "iapar=0.001")
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    found = document["systems"][0]
    summary, parts = measured_file(path)
    rates = metrics.whole_system(parts.measured, summary.threshold.value, 0.5).rates
    assert found["whole_system"]["riapar"] == rates["riapar"].to_dict()
    assert {each["rate"] for each in found["requirements"]} == {"iapar"}
    bare = write(tmp_path / "bare.csv", 1)
    both = measure_systems(named_files([path, bare]), ReportOptions(match_threshold=0.5)).systems
    assert both[0].whole is not None and both[1].whole is None, "a system without matches is measured without them"
    assert found["whole_system"]["epsc"]["weights"][-1] == 1
    assert "Expected performance and spoofability" in (tmp_path / "out" / "report.html").read_text()
    assert code == (5 if rates["iapar"].value else 0)
    for name in ("report.html", "report.md"):
        text = (tmp_path / "out" / name).read_text()
        assert "RIAPAR: IAPAR + FRR" in text and percent(rates["riapar"].value, unit=False) in text
    assert "whole_system:riapar" in (tmp_path / "out" / "report.csv").read_text()
    assert facepad("report", "--verify", tmp_path / "out")[0] == 0
    code, _, err = facepad("report", path, tmp_path / "other")
    assert code == 2 and "name the lowest accepted score (--match-threshold)" in err


def comparison(path: Path, scores: Path, accepts: str) -> Path:
    """A scores file of a comparison that accepts the presentations whose number ends in one of these digits."""
    lines = [line.split(",") for line in scores.read_text().splitlines()[1:]]
    rows = [f"{name},{who},{label},{int(name[:-4][-1] in accepts)}" for name, who, label, *_ in lines]
    path.write_text("\n".join(["path,subject,label,score", *rows, ""]))
    return path


def test_names_in_notes_stay_as_they_are(tmp_path, facepad):
    path = write(tmp_path / "a.csv", 0)
    lines = path.read_text().splitlines()
    species = {35: "Wig", 37: "wig"}
    lines = [f"{line},{'species' if n == 0 else species.get(n - 1, '')}" for n, line in enumerate(lines)]
    path.write_text("\n".join([*lines, ""]))
    code, _, err = facepad("report", path, tmp_path / "out", "--dev", write(tmp_path / "dev.csv", 3))
    assert code == 0, err
    text = (tmp_path / "out" / "report.md").read_text()
    assert "- Only one presentation has a score, so APCER can only be 0 % or 100 %: Wig, wig" in text
    assert "In dev.csv: 32 lines of other splits are not used for the threshold" in text


def test_notes_name_the_file_of_a_comparison_without_its_folders(tmp_path, facepad):
    scores = write(tmp_path / "a.csv", 0, 0.1)
    match = comparison(tmp_path / "match.csv", scores, "0123456789")
    out = tmp_path / "evidence"
    code, _, err = facepad("report", scores, out, "--match", match, "--match-threshold", 0.5)
    assert code == 0, err
    for name in ("report.md", "report.html", "report.json"):
        text = (out / name).read_text()
        assert "match.csv: 32 lines are of no measured presentation" in text and str(match) not in text, name


def test_files_of_a_comparison_are_for_all_systems_or_for_each_in_order(tmp_path, facepad):
    scores = [write(tmp_path / f"{name}.csv", seed, 0.1) for seed, name in enumerate("ab")]
    all_match = comparison(tmp_path / "all.csv", scores[0], "0123456789")
    few = comparison(tmp_path / "few.csv", scores[0], "012")

    def rates(out, *matches):
        given = [word for match in matches for word in ("--match", match)]
        code, _, err = facepad("report", *scores, out, "--match-threshold", 0.5, "--require", "iapar=0.9", *given)
        assert code in (0, 5), err
        assert facepad("report", "--verify", out)[0] == 0
        return [each["whole_system"] for each in json.loads((out / "report.json").read_text())["systems"]]

    for place, matches in enumerate(([all_match], [few], [all_match, few])):
        found = rates(tmp_path / f"out-{place}", *matches)
        for system, path, match in zip(found, scores, matches * (2 // len(matches)), strict=True):
            summary, parts = measured_file(path)
            alone = metrics.system_of(parts.measured, summary.threshold.value, match=match, match_threshold=0.5)
            assert system["riapar"] == alone.rates["riapar"].to_dict()
    files = json.loads((tmp_path / "out-2" / "inputs.json").read_text())["inputs"]
    assert [(each["system"], each["role"], each["path"]) for each in files if each["role"] == "match"] == [
        ("a", "match", "../all.csv"),
        ("b", "match", "../few.csv"),
    ]
    few.write_text(few.read_text().replace(",1\n", ",0\n"))
    code, text, _ = facepad("report", "--verify", tmp_path / "out-2")
    assert code == 1 and "input ../few.csv has changed" in text and "systems.1.whole_system.iapmr" in text


def test_groups_of_a_column_are_in_the_report_and_measured_again(facepad, tmp_path):
    scores = write(tmp_path / "ours.csv", 0, people=24)
    head, *lines = scores.read_text().splitlines()
    told = [f"{line},{'fm'[int(line.split(',')[1][-1]) // 2 % 2]},maker 1" for line in lines]
    scores.write_text("\n".join([f"{head},gender,series", *told, ""]))
    code, _, err = facepad("report", scores, tmp_path / "wrong", "--by", "gendre")
    assert code == 2 and "ours.csv: the measured samples have no column 'gendre' (did you mean 'gender'?)" in err
    assert facepad("report", scores, tmp_path / "out", "--by", "gender")[0] == 0
    (system,) = json.loads((tmp_path / "out" / "report.json").read_text())["systems"]
    assert [each["values"] for each in system["metrics"]["groups"]["groups"]] == [{"gender": "f"}, {"gender": "m"}]
    page, markdown = ((tmp_path / "out" / name).read_text() for name in ("report.html", "report.md"))
    for place in (page, markdown):
        assert (
            "Largest gap of BPCER: " in place
            and "maker 1" in place
            and "mask 3d (worst)" in place.replace(' <span class="badge attack">worst</span>', " (worst)")
        )
    assert facepad("report", "--verify", tmp_path / "out")[0] == 0
