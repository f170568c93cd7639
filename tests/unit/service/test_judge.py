"""The judge of a running service."""

from __future__ import annotations

import asyncio

import facepad
from facepad.service import judge as module
from facepad.service.judge import Judge
from facepad.service.settings import Settings


def test_freed_memory_is_given_back_from_time_to_time_without_requests(make_model, tmp_path, monkeypatch):
    given_back = []
    monkeypatch.setattr(module, "GIVE_BACK_SECONDS", 0.01)
    monkeypatch.setattr(module, "give_back_memory", lambda: given_back.append(1))
    predictor = facepad.load(make_model(tmp_path / "tiny.facepad", crop_scale=None))

    async def rest():
        work = asyncio.create_task(Judge(predictor.pipeline, Settings()).run())
        while len(given_back) < 3:
            await asyncio.sleep(0.01)
        work.cancel()
        await asyncio.wait([work])
        ended = len(given_back)
        await asyncio.sleep(0.1)
        return len(given_back) - ended

    assert asyncio.run(asyncio.wait_for(rest(), 30)) <= 1  # The one that has begun when the judge ends.
