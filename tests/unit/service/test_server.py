"""The server refuses a model that can never answer yes, unless it is told to serve scores only."""

import sys

import pytest
import uvicorn

from facepad.faces.quality import Quality
from facepad.service.app import load_predictor
from facepad.service.keys import add_key
from facepad.service.settings import Settings
from facepad.service.signing import add_signing_key
from facepad.types import Reason
from helpers.squares import picture


@pytest.fixture
def bare(make_model, tmp_path):
    """A model without a threshold."""
    return make_model(tmp_path / "bare.facepad", threshold=None, crop_scale=None)


def test_model_without_a_threshold_is_refused_in_one_line(bare, facepad):
    code, out, err = facepad("serve", "--model", bare, "--port", 0)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "model tiny has no threshold" in err and "facepad calibrate" in err and "--allow-undecided" in err


def test_threshold_by_hand_gives_such_a_model_decisions(bare, facepad, monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: None)
    assert facepad("serve", "--model", bare, "--port", 0, "--threshold", 0.4)[0] == 0
    settings = Settings(model=str(bare), threshold="0.4")
    threshold = load_predictor(Settings.model_validate_json(settings.model_dump_json())).bundle.description.threshold
    assert (threshold.value, threshold.origin.source) == (0.4, "set by hand")
    code, _, err = facepad("serve", "--model", bare, "--port", 0, "--threshold", "strict")
    assert (code, err.count("\n")) == (2, 1) and "model tiny has no preset strict" in err


def test_quality_limits_reach_the_pipeline_of_each_worker(bare, facepad, monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: None)
    limits = ("--quality", "min_luminance=130,max_roll=none")
    assert facepad("serve", "--model", bare, "--port", 0, "--allow-undecided", *limits)[0] == 0
    settings = Settings(model=str(bare), quality=Quality.parse(limits[1]))
    predictor = load_predictor(Settings.model_validate_json(settings.model_dump_json()))
    assert predictor.predict(picture((100, 100, 100)))[0].reasons == (Reason.TOO_DARK,)
    code, _, err = facepad("serve", "--model", bare, "--port", 0, "--quality", "max_roll=far")
    assert (code, err.count("\n")) == (2, 1) and "quality limit max_roll: expected a number or none" in err


def test_model_without_a_threshold_is_served_if_undecided_is_allowed(bare, facepad, monkeypatch):
    started = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: started.append(sockets))
    code, _, err = facepad("serve", "--model", bare, "--port", 0, "--allow-undecided")
    assert code == 0 and len(started) == 1 and "model tiny" in err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--timeout", "inf", "3600"),
        ("--timeout", "1e300", "3600"),
        ("--timeout", "nan", "3600"),
        ("--issuer", "", "issuer: string should have at least 1 character"),
    ],
)
def test_setting_out_of_its_range_is_refused_in_one_line(facepad, option, value, said):
    code, out, err = facepad("serve", "--port", 0, option, value)
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err


def test_secret_of_webhooks_without_a_backend_is_refused_in_one_line(bare, facepad, monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: None)
    options = ("--allow-undecided", "--webhook-secret", "missing.txt")
    code, out, err = facepad("serve", "--model", bare, "--port", 0, *options)
    assert (code, out, err.count("\n")) == (2, "", 1) and "give --webhook URL" in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
@pytest.mark.parametrize(
    ("option", "mode", "what"),
    [
        ("--api-keys", 0o644, None),  # It holds only hashes.
        ("--api-keys", 0o646, "change"),
        ("--signing-keys", 0o600, None),
        ("--signing-keys", 0o640, None),
        ("--signing-keys", 0o644, "read"),
        ("--signing-keys", 0o666, "change"),
    ],
)
def test_file_of_keys_that_is_open_to_all_is_named(bare, facepad, tmp_path, monkeypatch, option, mode, what):
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: None)
    keys = tmp_path / "keys"
    add_key(keys, "a") if option == "--api-keys" else add_signing_key(keys)
    keys.chmod(mode)
    code, _, err = facepad("serve", "--model", bare, "--port", 0, "--allow-undecided", option, keys)
    said = [line for line in err.splitlines() if line.startswith(f"{keys}: every user of this machine can")]
    assert code == 0 and [line.split(" can ")[1].split()[0] for line in said] == ([what] if what else [])
