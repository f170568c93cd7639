"""The cross-data-set protocols by name: which sets train and are tested, published rows, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facepad.datasets.manifest import read_manifest
from facepad.datasets.origin import add_run
from facepad.errors import InputError
from facepad.metrics import Resampling
from facepad.modelfile.bundle import write_bundle
from facepad.modelfile.catalog import find_model
from facepad.report.cross import PUBLISHED_CROSS
from facepad.types import Split
from facepad.workflow.cross.job import cross
from facepad.workflow.cross.plan import CrossSettings, make_plan
from facepad.workflow.cross.protocols import PROTOCOLS, divide_by_protocol
from helpers.recipes import ONE_STAGE

SETS = {"M": "msu-mfsd", "C": "casia-mfsd", "I": "replay-attack", "O": "oulu-npu"}
RESAMPLING = Resampling(replicates=100)


@pytest.fixture(scope="module")
def sets(manifest_like, tmp_path_factory):
    """Letter -> a manifest of a quarter of the tiny images, with the origin of the letter's data set."""
    base = tmp_path_factory.mktemp("mcio")
    made = {}
    for place, (letter, dataset) in enumerate(SETS.items()):
        (base / dataset).mkdir()

        def quarter(sample, place=place):
            return sample if int(Path(sample.path).stem) // 18 == place else None

        made[letter] = manifest_like(base / dataset, quarter)
        _say_origin(made[letter], dataset)
    return made


def _say_origin(manifest, dataset, protocol="grandtest"):
    add_run(manifest.parent, {"dataset": dataset, "protocol": protocol, "detector": "dlib",
                              "manifests": {manifest.name: {}}})  # fmt: skip


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "small.toml").write_text(ONE_STAGE)
    return tmp_path / "small.toml"


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("mcio", {"OCI-to-M": "OCI", "OMI-to-C": "OMI", "OCM-to-I": "OCM", "ICM-to-O": "ICM"}),
        ("limited", {"MI-to-C": "MI", "MI-to-O": "MI"}),
        ("single", {"C-to-I": "C", "I-to-C": "I"}),
    ],
)
def test_each_run_is_tested_on_the_sets_that_it_has_not_seen(protocol, expected, sets, recipe, tmp_path):
    from facepad.training.recipe import load_recipe

    data = [sets[letter] for letter in reversed(PROTOCOLS[protocol].letters)]
    out = tmp_path / "out"
    plan = make_plan(CrossSettings(protocol=protocol, data=data, recipes=[load_recipe(str(recipe))]), out)
    assert {cell.test: cell.member.fold for cell in plan.cells} == expected
    assert {member.fold for member in plan.members} == set(expected.values())
    for cell in plan.cells:
        tested = sets[cell.test[-1]]
        assert cell.manifest == tested
        learnt = read_manifest(plan.train[cell.member.fold])
        assert cell.dev == plan.train[cell.member.fold]
        assert {sample.split for sample in learnt} >= {Split.TRAIN, Split.DEV}
        paths = {(plan.train[cell.member.fold].parent / s.path).resolve() for s in learnt}
        assert len(paths) >= 12 * len(cell.member.fold)
        assert paths.isdisjoint((tested.parent / s.path).resolve() for s in read_manifest(tested))


def test_a_model_is_measured_beside_the_published_rows(sets, tiny_run, tmp_path):
    model = write_bundle(tmp_path / "tiny.facepad", find_model(tiny_run).read())
    settings = CrossSettings(protocol="mcio", data=list(sets.values()), models=[model], resampling=RESAMPLING)
    done = cross(tmp_path / "out", settings)
    assert [each.name for each in done.content.sets] == ["OCI-to-M", "OMI-to-C", "OCM-to-I", "ICM-to-O"]
    text = (tmp_path / "out/cross.md").read_text()
    lines = text[text.index("## HTER beside published results, frames") :].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    assert [row[:2] for row in rows[1:6]] == [
        ["tiny", "source's dev"],
        ["tiny", "test itself"],
        ["SSDG-R", "test set"],
        ["SA-FAS", "test set"],
        ["CFPL", "test set"],
    ]
    assert rows[3][2:] == ["7.4", "10.4", "11.7", "15.6"]
    assert r"SSDG-R & test set & 7.4 & 10.4 & 11.7 & 15.6 \\" in (tmp_path / "out/cross.tex").read_text()
    page = (tmp_path / "out/cross.html").read_text()
    assert "HTER beside published results" in page and "SA-FAS" in page
    document = json.loads((tmp_path / "out/cross.json").read_text())
    assert [row["name"] for row in document["published"]] == ["SSDG-R", "SA-FAS", "CFPL"]
    assert document["settings"]["protocol"] == "mcio"


def test_published_rows_are_fractions_and_name_the_origin_of_their_threshold():
    tests = {f"{train}-to-{letter}" for p in PROTOCOLS.values() for train, tested in p.runs for letter in tested}
    for row in PUBLISHED_CROSS:
        assert row.hter.keys() <= tests
        assert all(0 < value < 1 for value in row.hter.values())
        assert row.threshold in ("test set", "not stated")


def test_sets_without_prepare_json_are_named_by_their_letter(sets, manifest_like, tmp_path):
    (tmp_path / "own").mkdir()
    own = manifest_like(tmp_path / "own", lambda sample: sample)
    division = divide_by_protocol("single", [f"C={own}", sets["I"]])
    assert division.sources["C"] == {"casia-mfsd": own}
    assert division.notes == []
    _say_origin(own, "casia-mfsd", "high-quality")
    assert divide_by_protocol("single", [own, sets["I"]]).notes == [
        "C (casia-mfsd) was prepared with its protocol high-quality, but single takes the whole set"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--protocol", "ocim", "--data", "{M}"), "unknown protocol 'ocim'; choices: mcio, limited, single"),
        (("--protocol", "mcio", "--data", "{M}", "{C}"), "needs --data with I (replay-attack), O (oulu-npu) too"),
        (("--protocol", "mcio"), "needs --data with M (msu-mfsd), C (casia-mfsd), I (replay-attack), O (oulu-npu) too"),
        (("--protocol", "mcio", "--data", "{M}", "{M}"), "are both M (msu-mfsd); name each set once"),
        (
            ("--protocol", "single", "--data", "C={own}", "i={own}"),
            "is given as C (casia-mfsd) and as I (replay-attack); name each set once",
        ),
        (
            ("--protocol", "single", "--data", "{C}", "{O}"),
            "O is not a set of single: C (casia-mfsd), I (replay-attack)",
        ),
        (("--protocol", "mcio", "--data", "C={M}"), "is given as C (casia-mfsd), but its prepare.json says msu-mfsd"),
        (("--protocol", "mcio", "--data", "{own}"), "no prepare.json says which set of mcio this is; write one of M="),
        (("--protocol", "mcio", "--data", "X={own}"), "X is not a set of mcio"),
        (("--protocol", "mcio", "--data", "none.csv"), "manifest none.csv does not exist"),
        (("--protocol", "mcio", "--data", "{M}", "--test", "{C}"), "name its sets with --data alone"),
        (("--data", "{M}", "--test", "{C}"), "--data names the sets of a --protocol"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_bad_input_is_one_line(words, message, facepad, sets, tiny_manifest, tmp_path):
    paths = {**sets, "own": tiny_manifest}
    out = tmp_path / "out"
    code, _, err = facepad("cross", out, *(word.format(**paths) for word in words), "--model", "silent-face")
    assert (code, len(err.strip().splitlines())) == (2, 1), err
    assert message in err
    assert not out.exists()


def test_an_unknown_protocol_is_refused_in_python():
    with pytest.raises(InputError, match="unknown protocol 'x'"):
        divide_by_protocol("x", [])
