"""The judge of a running service."""

from __future__ import annotations

import asyncio

import cv2

import facepad
from facepad.service import judge as module
from facepad.service.fair import FairThreads
from facepad.service.judge import Judge
from facepad.service.settings import Settings
from facepad.service.uploads import UploadedFile
from helpers.patience import PATIENCE
from helpers.squares import RED, picture


def test_caller_pays_for_each_further_face(make_model, tmp_path, stub_detector, monkeypatch):
    charged = []
    monkeypatch.setattr(FairThreads, "charge", lambda _, caller, cost: charged.append((caller, cost.pixels)))
    predictor = facepad.load(make_model(tmp_path / "tiny.facepad"), detector="stub")

    async def decide(*colours):
        judge = Judge(predictor.pipeline, Settings())
        content = cv2.imencode(".png", picture(*colours)[..., ::-1])[1].tobytes()
        await judge.decide([UploadedFile("image", content)], depth=False, caller="anna")

    asyncio.run(decide(RED))
    asyncio.run(decide(RED, RED, RED))
    one, three = 1e6 + 64 * 64, 1e6 + 64 * 192
    assert charged == [("anna", one), ("anna", 0), ("anna", three), ("anna", 2e6)]


def test_giving_back_continues_after_a_moment_without_threads(make_model, tmp_path, monkeypatch):
    tried = []
    predictor = facepad.load(make_model(tmp_path / "tiny.facepad", crop_scale=None))

    def give_back():
        tried.append(1)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module, "GIVE_BACK_SECONDS", 0.01)
    monkeypatch.setattr(module, "give_back_memory", give_back)

    async def rest():
        work = asyncio.create_task(Judge(predictor.pipeline, Settings()).run())
        while len(tried) < 3 and not work.done():
            await asyncio.sleep(0.01)
        ended = work.done()
        work.cancel()
        await asyncio.wait([work])
        return ended

    # The end of this task would end the threads of the judge.
    assert not asyncio.run(asyncio.wait_for(rest(), PATIENCE))


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

    assert asyncio.run(asyncio.wait_for(rest(), PATIENCE)) <= 1  # The one that has begun when the judge ends.
