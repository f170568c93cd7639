"""The server refuses a model that can never answer yes, unless it is told to serve scores only."""

import pytest
import uvicorn


@pytest.fixture
def bare(make_model, tmp_path):
    """A model without a threshold."""
    return make_model(tmp_path / "bare.facepad", threshold=None, crop_scale=None)


def test_model_without_a_threshold_is_refused_in_one_line(bare, facepad):
    code, out, err = facepad("serve", "--model", bare, "--port", 0)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "model tiny has no threshold" in err and "facepad calibrate" in err and "--allow-undecided" in err


def test_model_without_a_threshold_is_served_if_undecided_is_allowed(bare, facepad, monkeypatch):
    started = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: started.append(sockets))
    code, _, err = facepad("serve", "--model", bare, "--port", 0, "--allow-undecided")
    assert code == 0 and len(started) == 1 and "model tiny" in err
