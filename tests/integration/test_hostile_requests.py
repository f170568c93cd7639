"""A part of the generated requests of benchmarks/fuzz_service.py: each gets an answer, and none is a failure."""

from __future__ import annotations

from random import Random

import pytest
from starlette.testclient import TestClient

from facepad.service.app import create_app
from facepad.service.settings import Settings
from helpers.served import LIVE, encoded
from hostile import BODIES, FILES, Hostile, head, session, sound_files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return sound_files(encoded(LIVE), tmp_path_factory.mktemp("clips"))


@pytest.mark.parametrize("seed", range(4))
def test_hostile_bodies_get_an_answer_or_a_problem(predictor, files, seed):
    made = Hostile(Random(seed), files)
    settings = Settings(rate=0, attempts=0, max_bytes=2**22, max_pixels=10**6)
    with TestClient(create_app(settings, predictor), base_url="http://localhost") as client:
        for path, kinds in (("/v1/liveness", dict.fromkeys(BODIES)), ("/v1/sessions", [session] * 5)):
            for body in [kind(made) for kind in kinds for _ in range(3)]:
                headers = {"content-type": body.media_type.encode("utf-8", "surrogatepass")}
                response = client.post(path, content=body.content, headers=headers)
                assert response.status_code < 500
                if not response.is_success:
                    assert response.json()["type"].startswith("urn:facepad:problem:")


def test_same_seed_makes_the_same_requests(files):
    made = [Hostile(Random(7), files) for _ in range(2)]
    first, second = ([kind(one) for kind in (*FILES, *BODIES, session)] + [head(one, "key")] for one in made)
    assert first == second


def test_sound_files_are_of_all_kinds_and_readable(predictor, files):
    with TestClient(create_app(Settings(rate=0), predictor), base_url="http://localhost") as client:
        assert [client.post("/v1/liveness", content=file).status_code for file in files] == [200] * len(files)
