"""The output folder of a bulk run: whole parts, each key once, one run at a time, and refused folders."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from facepad.errors import BusyError, InputError, OutputExistsError
from facepad.types import AttackType, Box, Label, Sample, Split
from helpers.bulk import rows_of

pytest.importorskip("pyarrow", reason="facepad[scale] is not installed")
parquet = pytest.importorskip("pyarrow.parquet")

from facepad.scale import output as module  # noqa: E402
from facepad.scale.items import Item  # noqa: E402
from facepad.scale.keys import KeySet  # noqa: E402
from facepad.scale.output import SCHEMA, open_output  # noqa: E402
from facepad.scale.scoring import ItemResult  # noqa: E402
from helpers.patience import PATIENCE  # noqa: E402

IDENTITY = {"model_sha256": "a" * 64, "model": "tiny", "threshold": 0.5, "source": "/in", "frames": 20}


def item(key, **more):
    return Item(key, "image", key, **more)


def scored(key, score=0.75):
    return ItemResult(
        item(key), "scored", score, "bona_fide" if score >= 0.5 else "attack", faces=1, box=Box(1, 2, 3, 5)
    )


def test_rows_hold_the_result_and_the_line_of_the_manifest(tmp_path):
    sample = Sample("a.png", "anna", Label.ATTACK, AttackType.PRINT, Split.TEST, "v", 3)
    with open_output(tmp_path / "out", IDENTITY) as out:
        out.add([ItemResult(item("a.png#3", sample=sample), "no_face", reasons=("no_face",), faces=0), scored("b.png")])
    first, second = rows_of(tmp_path / "out")
    assert first == dict.fromkeys(SCHEMA.names) | {
        "key": "a.png#3", "kind": "image", "path": "a.png", "subject": "anna", "video": "v", "frame": 3,
        "label": "attack", "attack_type": "print", "split": "test", "status": "no_face", "threshold": 0.5,
        "reasons": ["no_face"], "faces": 0, "model_sha256": "a" * 64,
    }  # fmt: skip
    assert (second["score"], second["decision"], second["label"]) == (0.75, "bona_fide", None)
    assert [second[name] for name in ("x1", "y1", "x2", "y2")] == [1, 2, 3, 5]
    assert parquet.read_schema(tmp_path / "out" / "part-000000.parquet").equals(SCHEMA)


def test_second_run_gets_only_the_missing_items(tmp_path):
    with open_output(tmp_path / "out", IDENTITY) as out:
        assert [one.key for one in out.missing(map(item, "abca"))] == ["a", "b", "c"]
        assert out.repeated == 1
        out.add(map(scored, "ab"))
    with open_output(tmp_path / "out", IDENTITY) as out:
        assert (out.rows, out.counts["scored"]) == (2, 2)
        assert [one.key for one in out.missing(map(item, "abcd"))] == ["c", "d"]
        assert out.skipped == 2
        out.add(map(scored, "cd"))
    assert [row["key"] for row in rows_of(tmp_path / "out")] == list("abcd")


def test_key_that_comes_twice_is_written_once(tmp_path):
    with open_output(tmp_path / "out", IDENTITY) as out:
        out.add([scored("a", 0.75), scored("a", 0.25)])
        out.flush()
        out.add([scored("a", 0.25)])
    with open_output(tmp_path / "out", IDENTITY) as out:
        out.add([scored("a", 0.25)])
    assert [(row["key"], row["score"]) for row in rows_of(tmp_path / "out")] == [("a", 0.75)]


def test_parts_fill_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART_ROWS", 2)
    with open_output(tmp_path / "out", IDENTITY) as out:
        for key in "abcde":
            out.add([scored(key)])
        names = sorted(path.name for path in (tmp_path / "out").glob("*.parquet"))
        assert names == ["part-000000.parquet", "part-000001.parquet"]
    assert len(rows_of(tmp_path / "out")) == 5 and len(list((tmp_path / "out").glob("*.parquet"))) == 3


def test_results_are_kept_when_the_run_ends_with_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="oh"), open_output(tmp_path / "out", IDENTITY) as out:
        out.add([scored("a")])
        raise RuntimeError("oh")
    assert [row["key"] for row in rows_of(tmp_path / "out")] == ["a"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"model_sha256": "b" * 64},
            r"scores of another model sha256: aaaaaaaaaaaaaaaa... there, bbbbbbbbbbbbbbbb... now",
        ),
        ({"source": "/other"}, "scores of another source: /in there, /other now"),
        ({"frames": 5}, "scores of another frames: 20 there, 5 now"),
    ],
)
def test_output_of_another_model_or_setting_is_refused(tmp_path, change, line):
    with open_output(tmp_path / "out", IDENTITY) as out:
        out.add([scored("a")])
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    with pytest.raises(OutputExistsError, match=line), open_output(tmp_path / "out", IDENTITY | change):
        pass
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before


def test_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="holds no scores"), open_output(tmp_path, IDENTITY):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_damaged_part_is_refused_by_name(tmp_path):
    with open_output(tmp_path / "out", IDENTITY) as out:
        out.add([scored("a")])
    part = tmp_path / "out" / "part-000000.parquet"
    part.write_bytes(part.read_bytes()[:100])
    line = r"part-000000.parquet cannot be read .*remove the file and run again"
    with pytest.raises(OutputExistsError, match=line), open_output(tmp_path / "out", IDENTITY):
        pass
    part.unlink()
    with open_output(tmp_path / "out", IDENTITY) as out:
        assert out.rows == 0


def test_second_run_on_an_output_is_refused_and_names_the_first(tmp_path):
    with open_output(tmp_path / "out", IDENTITY), ThreadPoolExecutor(1) as thread:

        def again():
            with open_output(tmp_path / "out", IDENTITY):
                pass

        with pytest.raises(BusyError, match=r"another process is scoring in .*\(process \d+ on .*since .*\)"):
            thread.submit(again).result()
    again()


def test_killed_run_leaves_no_lock_and_its_half_written_part_goes(tmp_path):
    code = (
        "import os\nfrom pathlib import Path\nfrom facepad.scale.output import open_output\n"
        f"with open_output(Path({str(tmp_path / 'out')!r}), {IDENTITY!r}):\n    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=PATIENCE, check=False).returncode == -9
    (tmp_path / "out" / ".part-000000-abc.parquet").write_bytes(b"half")
    with open_output(tmp_path / "out", IDENTITY) as out:
        assert out.rows == 0
    assert not list((tmp_path / "out").glob(".part*"))


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/out"):
        with pytest.raises(InputError, match=f"cannot write .*{place}"), open_output(tmp_path / place, IDENTITY):
            pass


def test_summary_is_readable_json(tmp_path):
    with open_output(tmp_path / "out", IDENTITY) as out:
        out.write_summary({"complete": True})
    assert json.loads((tmp_path / "out" / "_SUMMARY.json").read_text()) == {"complete": True}


def test_keys_are_kept_exactly_as_a_set_keeps_them():
    seen, expected = KeySet(), set()
    for number in range(30_000):
        key = f"folder/{number * 7919 % 20_000}.jpg"
        assert seen.add(key) is (key not in expected)
        expected.add(key)
    assert len(seen) == len(expected) == 20_000
    assert all(key in seen for key in expected) and "folder/20000.jpg" not in seen
