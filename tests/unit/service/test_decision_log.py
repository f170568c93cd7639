"""The decision log: its lines, its permissions, and what happens if it cannot be written."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from threading import Timer

import pytest

from facepad.errors import InputError
from facepad.service.decision_log import DecisionLog, LoggedDecision
from facepad.service.problems import Problem
from helpers.patience import PATIENCE


def decision(request_id: str) -> LoggedDecision:
    decided = {"label": "attack", "status": "scored", "reasons": (), "score": 0.1, "threshold": 0.5, "policy": "all"}
    session = {"session": None, "reference": None, "check": None, "duplicate_media": None}
    model = {"model": "m", "model_sha256": "0" * 64, "files": ("1" * 64,)}
    request = {"time": "2026-01-01T00:00:00.000+00:00", "request_id": request_id, "key": "-"}
    return LoggedDecision(**request, **decided, **session, **model)


def test_each_decision_is_a_line_of_a_file_for_its_owner(tmp_path):
    log = DecisionLog(tmp_path / "decisions.jsonl")

    async def write():
        await asyncio.gather(*(log.write(decision(f"r{number}")) for number in range(50)))

    asyncio.run(write())
    lines = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    assert sorted(line["request_id"] for line in lines) == sorted(f"r{number}" for number in range(50))
    assert lines[0] == decision(lines[0]["request_id"]).model_dump(mode="json")
    assert stat.S_IMODE((tmp_path / "decisions.jsonl").stat().st_mode) == 0o600


def test_file_that_was_moved_away_is_begun_anew(tmp_path):
    log = DecisionLog(tmp_path / "log")
    asyncio.run(log.write(decision("old")))
    (tmp_path / "log").rename(tmp_path / "log.1")
    asyncio.run(log.write(decision("new")))
    assert json.loads((tmp_path / "log").read_text())["request_id"] == "new"


def test_a_line_that_a_full_disk_cut_off_does_not_spoil_the_next_decision(tmp_path):
    path = tmp_path / "log"
    log = DecisionLog(path)
    asyncio.run(log.write(decision("first")))
    with path.open("a") as stream:
        stream.write('{"time": "2026')
    asyncio.run(log.write(decision("second")))
    asyncio.run(log.write(decision("third")))
    first, torn, second, third = path.read_text().splitlines()
    assert torn == '{"time": "2026'
    assert [json.loads(line)["request_id"] for line in (first, second, third)] == ["first", "second", "third"]


def test_a_line_that_another_process_is_writing_gets_no_empty_line(tmp_path):
    path = tmp_path / "log"
    log = DecisionLog(path)
    begun, rest = json.dumps({"request_id": "other"})[:5], json.dumps({"request_id": "other"})[5:] + "\n"
    path.write_text(begun)

    def end() -> None:
        with path.open("a") as stream:
            stream.write(rest)

    Timer(0.01, end).start()
    asyncio.run(log.write(decision("own")))
    assert [json.loads(line)["request_id"] for line in path.read_text().splitlines()] == ["other", "own"]


def test_log_that_cannot_be_written_is_a_problem(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        DecisionLog(tmp_path / "none" / "log")
    log = DecisionLog(tmp_path / "log")
    (tmp_path / "log").unlink()
    (tmp_path / "log").mkdir()
    with pytest.raises(Problem, match="cannot be written"):
        asyncio.run(log.write(decision("r")))


@pytest.mark.timeout(PATIENCE)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_pipe_without_a_reader_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="the decision log cannot be written"):
        DecisionLog(tmp_path / "pipe")
