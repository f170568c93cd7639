"""facepad score from end to end on this machine: decisions, resuming, deaths, poisoned inputs, exit codes."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from facepad.cli import score as command
from facepad.errors import BusyError, InputError, ModelError, OutputExistsError, RunError
from facepad.media.images import read_image
from facepad.media.videos import write_video
from facepad.predict.predictor import load
from helpers.bulk import (
    BLUE,
    BROKEN,
    NAN,
    POISON,
    RED,
    bundle_at,
    deadly_to_load,
    fussy,
    kill_a_child,
    log_of,
    picture,
    pictures,
    rows_of,
    serve_bucket,
    summary_of,
)

pytest.importorskip("pyarrow", reason="facepad[scale] is not installed")
pytest.importorskip("fsspec", reason="facepad[scale] is not installed")

from facepad.scale import BulkSettings, log, score_source
from facepad.scale.items import Item
from facepad.scale.pool import Pool
from helpers.patience import PATIENCE, eventually


@pytest.fixture(scope="module")
def model(make_model, tmp_path_factory):
    """A model of whole frames, which needs no faces."""
    return make_model(tmp_path_factory.mktemp("model") / "tiny.facepad", crop_scale=None)


@pytest.fixture
def run(model, tmp_path):
    """Score in child processes, with a fussy predictor unless another one is given."""

    def go(source, out="out", predictor=None, watch=lambda progress, output: None, **settings):
        settings = BulkSettings(**{"jobs": 1, "batch_size": 4} | settings)
        return score_source(str(source), tmp_path / out, predictor or fussy(model), settings, watch=watch)

    return go


def test_decisions_are_those_of_predict(run, model, tmp_path):
    folder = pictures(tmp_path / "in", 5)
    write_video(folder / "clip.mp4", [read_image(picture(RED, number)) for number in range(5)])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.png").write_bytes(picture(RED)[:200])
    summary = run(folder, predictor=load(model, threads=1), frames=3)
    predictor, rows = load(model, threads=1), {row["key"]: row for row in rows_of(tmp_path / "out")}
    for number in range(5):
        (expected,), row = predictor.predict(folder / f"{number:04}.png"), rows[f"{number:04}.png"]
        assert row["score"] == pytest.approx(expected.score, abs=1e-6)
        assert (row["decision"], row["status"], row["threshold"]) == (expected.label.value, "scored", 0.5)
    video = predictor.predict_video(folder / "clip.mp4", frames=3).decision
    clip = rows["clip.mp4"]
    assert (clip["kind"], clip["frames"], clip["status"]) == ("video", 3, "scored")
    assert clip["score"] == pytest.approx(video.score, abs=1e-6) and clip["decision"] == video.label.value
    assert rows["empty.jpg"]["status"] == "unreadable" and rows["empty.jpg"]["detail"] == "is empty"
    assert "cannot be decoded" in rows["cut.png"]["detail"] and rows["cut.png"]["score"] is None
    assert len(rows) == summary["inputs"] == 8 and summary["complete"]
    assert (summary["counts"]["scored"], summary["counts"]["unreadable"]) == (6, 2)
    assert rows["0000.png"]["model_sha256"] == bundle_at(model).sha256


def test_clip_that_is_half_a_replay_is_an_attack(run, tmp_path):
    (tmp_path / "in").mkdir()
    frames = [read_image(picture(colour, 1)) for colour in [RED] * 15 + [BLUE] * 5]
    write_video(tmp_path / "in" / "clip.mp4", frames)
    run(tmp_path / "in")
    assert [row["decision"] for row in rows_of(tmp_path / "out")] == ["attack"]


def test_second_run_scores_only_missing_inputs_and_keeps_the_rows(run, tmp_path):
    folder = pictures(tmp_path / "in", 6)
    run(folder)
    before = rows_of(tmp_path / "out")
    assert len(before) == 6
    again = run(folder)
    assert [line["event"] for line in log_of(tmp_path / "out")] == ["started", "finished"] * 2
    assert (again["this_run"]["scored"], again["this_run"]["already_there"]) == (0, 6)
    (folder / "new.png").write_bytes(picture(BLUE))
    summary = run(folder)
    assert (summary["this_run"]["scored"], summary["this_run"]["already_there"], summary["inputs"]) == (1, 6, 7)
    rows = rows_of(tmp_path / "out")
    assert [row for row in rows if row["key"] != "new.png"] == before and len(rows) == 7


def test_poisoned_image_is_found_and_the_rest_is_scored(run, tmp_path):
    folder = pictures(tmp_path / "in", 9)
    (folder / "0004.png").write_bytes(picture(RED) + POISON)
    summary = run(folder, jobs=2)
    rows = {row["key"]: row for row in rows_of(tmp_path / "out")}
    assert rows["0004.png"]["status"] == "crashed"
    assert rows["0004.png"]["detail"] == "its process died (exit code 7)"
    assert summary["counts"]["crashed"] == 1 and summary["counts"]["scored"] == 8 and summary["complete"]


def test_image_that_a_library_fails_on_is_recorded_with_the_error(run, tmp_path):
    folder = pictures(tmp_path / "in", 5)
    (folder / "0001.png").write_bytes(picture(RED) + BROKEN)
    summary = run(folder)
    (bad,) = [row for row in rows_of(tmp_path / "out") if row["status"] == "crashed"]
    assert (bad["key"], bad["detail"]) == ("0001.png", "ZeroDivisionError: a library's own fault")
    assert summary["counts"]["scored"] == 4


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="children are found in /proc")
def test_killed_process_costs_no_input(run, model, tmp_path):
    folder = pictures(tmp_path / "in", 40)
    killed = []

    def watch(progress, output):
        if progress.done >= 8 and len(killed) < 2:
            killed.append(kill_a_child(os.getpid(), "spawn_main"))

    summary = run(folder, jobs=2, predictor=fussy(model, 0.01), watch=watch)
    assert killed == [True, True]
    assert summary["counts"]["scored"] == 40 and summary["complete"]
    assert [row["key"] for row in rows_of(tmp_path / "out")] == [f"{number:04}.png" for number in range(40)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_run_is_completed_by_the_next(run, model, tmp_path, how):
    folder = pictures(tmp_path / "in", 200)
    code = (
        "import sys, pathlib\nfrom helpers.bulk import *\n"
        "from facepad.scale import BulkSettings, score_source, output\noutput.PART_SECONDS = 0\n"
        "if __name__ == '__main__':\n"
        "    model, source, out = map(pathlib.Path, sys.argv[1:])\n"
        "    summary = score_source(str(source), out, fussy(model, 0.2), BulkSettings(jobs=1, batch_size=4))\n"
        "    sys.exit(130 if summary['interrupted'] else 0)\n"
    )
    script = tmp_path / "drive.py"
    script.write_text(code)
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    driver = subprocess.Popen(
        [sys.executable, script, model, folder, tmp_path / "out"], env=os.environ | {"PYTHONPATH": path}
    )
    eventually(lambda: list((tmp_path / "out").glob("part-*")), "a part")
    driver.send_signal(how)
    assert driver.wait(PATIENCE) == (130 if how == signal.SIGINT else -9)
    there = len(rows_of(tmp_path / "out"))
    assert 0 < there < 200
    if how == signal.SIGINT:
        assert summary_of(tmp_path / "out")["complete"] is False
        assert log_of(tmp_path / "out")[-1]["event"] == "interrupted"
    summary = run(folder)
    assert (summary["this_run"]["already_there"], summary["this_run"]["scored"]) == (there, 200 - there)
    assert [row["key"] for row in rows_of(tmp_path / "out")] == [f"{number:04}.png" for number in range(200)]


def test_file_that_vanishes_during_the_run_is_recorded_as_unreadable(run, tmp_path):
    folder = pictures(tmp_path / "in", 3)
    (folder / "list.txt").write_text("0000.png\n0001.png\n0001.png\ngone.png\n0002.png\n")
    summary = run(folder / "list.txt")
    (gone,) = [row for row in rows_of(tmp_path / "out") if row["key"] == "gone.png"]
    assert (gone["status"], gone["detail"]) == ("unreadable", "it does not exist")
    assert summary["counts"]["scored"] == 3 and summary["this_run"]["listed_again"] == 1


def test_summary_names_the_origin_of_a_threshold_by_hand(model, tmp_path):
    source = pictures(tmp_path / "in", 2)
    summary = score_source(str(source), tmp_path / "out", load(model, threads=1, threshold=0.9), BulkSettings(jobs=1))
    assert (summary["threshold"], summary["threshold_origin"]["source"]) == (0.9, "set by hand")


def test_objects_that_fail_are_requested_again_and_left_to_the_next_run(run, tmp_path):
    with serve_bucket() as bucket:
        bucket.objects = {f"b/{number}.png": picture(RED, number) for number in range(4)} | {"b/zero.png": b""}
        bucket.forbidden, bucket.failing = {"b/1.png"}, {"b/2.png": 2, "b/3.png": 10**6}
        bucket.objects["b/list.txt"] = b"0.png\n1.png\n2.png\n3.png\nzero.png\n"
        summary = run(f"{bucket.web}b/list.txt")
        assert (summary["counts"]["scored"], summary["counts"]["unreadable"], summary["counts"]["unreached"]) == (
            2,
            2,
            1,
        )
        assert summary["this_run"]["unreached"][0]["key"] == "3.png" and summary["complete"] is False
        rows = {row["key"]: row["detail"] for row in rows_of(tmp_path / "out")}
        assert "forbidden" in rows["1.png"] and rows["zero.png"] == "is empty" and "3.png" not in rows
        bucket.failing = {}
        again = run(f"{bucket.web}b/list.txt")
    assert (again["this_run"]["scored"], again["complete"], again["inputs"]) == (1, True, 5)


def test_two_runs_on_one_output_are_refused(run, model, tmp_path):
    folder = pictures(tmp_path / "in", 8)
    refused = []

    def watch(progress, output):
        def again():
            try:
                run(folder)
            except BusyError as error:
                refused.append(str(error))

        if not refused:
            other = threading.Thread(target=again)
            other.start()
            other.join()

    run(folder, watch=watch)
    assert "another process is scoring" in refused[0] and len(rows_of(tmp_path / "out")) == 8


def test_output_of_another_model_is_refused(run, make_model, tmp_path):
    folder = pictures(tmp_path / "in", 2)
    run(folder)
    make_model(tmp_path / "other.facepad", crop_scale=None, threshold=0.7)
    with pytest.raises(OutputExistsError, match="scores of another model"):
        run(folder, predictor=load(tmp_path / "other.facepad", threads=1))


def test_limits_of_quality_decide_and_belong_to_the_output(facepad, model, tmp_path):
    words = ("score", pictures(tmp_path / "in", 1), tmp_path / "out", "--model", model, "--jobs", 1)
    assert facepad(*words, "--quality", "max_luminance=1")[0] == 3
    assert [row["reasons"] for row in rows_of(tmp_path / "out")] == [["too_bright"]]
    code, _, err = facepad(*words)
    assert (code, "scores of another quality" in err) == (2, True)


def test_processes_that_never_start_end_the_run(run, model, tmp_path):
    with pytest.raises(RunError, match=r"die before they have loaded the model \(exit code 9\)"):
        run(pictures(tmp_path / "in", 2), predictor=deadly_to_load(model))


def test_empty_source_leaves_no_output(run, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="holds no images or videos"):
        run(tmp_path / "in")
    assert not (tmp_path / "out").exists()


def test_output_within_the_source_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="lies within SOURCE"):
        run(pictures(tmp_path / "in", 2), out="in/out")


def test_model_that_fails_ends_the_run_and_keeps_the_results(run, tmp_path):
    folder = pictures(tmp_path / "in", 4)
    (folder / "list.txt").write_text("0000.png\n0001.png\n0002.png\n0003.png\n")
    (folder / "0003.png").write_bytes(picture(RED) + NAN)
    with pytest.raises(ModelError, match="not numbers"):
        run(folder / "list.txt", batch_size=1)
    assert "0000.png" in [row["key"] for row in rows_of(tmp_path / "out")]
    last = log_of(tmp_path / "out")[-1]
    assert (last["event"], last["error"]) == ("failed", "ModelError") and "not numbers" in last["message"]


def test_log_holds_progress_and_failures(run, tmp_path, monkeypatch):
    monkeypatch.setattr(log, "LOG_SECONDS", 0.0)
    folder = pictures(tmp_path / "in", 6)
    (folder / "bad.png").write_bytes(b"x" * 50)
    run(folder, batch_size=7)
    started, progress, finished = log_of(tmp_path / "out")
    assert started["engine"] == "local" and started["process"] == os.getpid()
    assert progress["done"] == finished["this_run"]["scored"] == 7
    assert progress["counts"] == {"scored": 6, "unreadable": 1}
    assert [kind.partition(":")[0] for kind in progress["failures"]] == ["unreadable"]
    assert progress["peak_memory_bytes"] > 0 and progress["seconds_by_step"]


def test_pool_keeps_its_processes_between_runs(model, tmp_path):
    folder = pictures(tmp_path / "in", 4)
    items = [Item(path.name, "image", str(path)) for path in sorted(folder.iterdir())]
    with Pool(pickle.dumps(fussy(model)), 1) as pool:
        first = list(pool.run([items[:2]]))
        alive = pool.processes
        second = list(pool.run([items[2:]]))
        assert pool.processes == alive and len(alive) == 1
    assert [one.item.key for result in (*first, *second) for one in result.items] == [item.key for item in items]
    assert pool.processes == ()


def test_batches_are_taken_only_a_few_ahead_of_the_results(model, tmp_path):
    folder, taken = pictures(tmp_path / "in", 12), []

    def batches():
        for path in sorted(folder.iterdir()):
            taken.append(path.name)
            yield [Item(path.name, "image", str(path))]

    with Pool(pickle.dumps(fussy(model)), 1) as pool:
        results = pool.run(batches())
        next(results)
        assert len(taken) <= 3
        assert len(list(results)) == 11


def test_progress_is_printed_in_lines_without_a_terminal(facepad, model, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "LINE_SECONDS", 0.0)
    folder = pictures(tmp_path / "in", 4)
    _, _, err = facepad("score", folder, tmp_path / "out", "--model", model, "--jobs", 1, "--batch-size", 2)
    lines = [line for line in err.splitlines() if line.startswith("scoring: ")]
    assert len(lines) == 2 and lines[1].startswith("scoring: 4 of 4, 0 s left, ")


def test_command_prints_and_exits_by_the_contract(facepad, model, tmp_path):
    folder = pictures(tmp_path / "in", 4)
    (folder / "animation.gif").touch()
    words = ("score", folder, tmp_path / "out", "--model", model, "--jobs", 1)
    code, out, err = facepad(*words)
    assert "1 file was not read: 1 .gif" in err.splitlines()
    assert (code, out) == (0, "") and "scored 4 in" in err and f"written: {tmp_path / 'out'}" in err
    (folder / "bad.png").write_bytes(b"x" * 50)
    code, out, err = facepad(*words, "--json")
    summary = json.loads(out)
    assert code == 3 and summary == summary_of(tmp_path / "out")
    assert summary["this_run"]["not_read"] == {".gif": 1}
    assert summary["counts"]["unreadable"] == 1 and "1 x unreadable: not a JPEG, PNG" in err
    code, _, err = facepad(*words[:-2], "--address", "auto")
    assert code == 2 and "needs --engine ray" in err
    code, _, err = facepad("score", tmp_path / "nowhere", tmp_path / "out2", "--model", model)
    assert code == 2 and "nowhere does not exist" in err and not (tmp_path / "out2").exists()
