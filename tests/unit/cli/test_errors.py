"""How the command line answers errors: exit codes, and one clear line."""

import pytest

from facepad import cli
from facepad.errors import InputError


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("torch", "'facepad[train]'"),
        ("sklearn.linear_model", "'facepad[train]'"),
        ("starlette", "'facepad[serve]'"),
        ("httpx2", "'facepad[serve]'"),
        ("ray", "'facepad[scale]'"),
        ("openvino", "'facepad[openvino]'"),
        ("numpy", "facepad"),
    ],
)
def test_missing_module_is_answered_with_the_extra_that_brings_it(monkeypatch, capsys, module, package):
    def fail(**_):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    line = f"facepad: this command needs {module}, which is not installed: pip install {package}"
    assert capsys.readouterr().err.splitlines() == [line]


@pytest.mark.parametrize("words", [["list", "recipes"], ["--help"], ["--version"]], ids=" ".join)
def test_closed_standard_output_is_one_line(monkeypatch, capsys, words):
    monkeypatch.setattr("sys.argv", ["facepad", *words])
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err.splitlines() == ["facepad: cannot write standard output: it is closed"]


def test_closed_standard_input_and_error_are_no_errors(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["facepad", "predict", "nowhere.jpg"])
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("sys.stderr", None)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("cannot read a\x1b[2J\nb"), 2, r"facepad: cannot read a\x1b[2J\nb"),
        (EOFError("Ran out of input"), 1, "facepad: unexpected EOFError: Ran out of input"),
        (KeyboardInterrupt(), 130, "facepad: stopped by Ctrl-C"),
    ],
    ids=["commands in a message", "end of a file", "Ctrl-C"],
)
def test_error_of_a_command_is_one_safe_line(facepad, monkeypatch, error, code, said):
    def fail(_):
        raise error

    monkeypatch.setattr("facepad.cli.listing.show", fail)
    found, _, err = facepad("list", "detectors")
    assert found == code
    assert err.strip().startswith(said) and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["predict", "missing.jpg"], "no input: missing.jpg does not exist"),
        (["predict", "missing.jpg", "gone.mp4"], "no input: missing.jpg does not exist (and 1 more)"),
        (["score", "missing.jpg", "out"], "no input: missing.jpg does not exist"),
        (["score", "empty.csv", "out"], "empty.csv: empty file"),
        (
            ["model", "fuse", "public-fusion", "demo", "both.facepad", "--on", "missing.csv"],
            "missing.csv does not exist",
        ),
        (["calibrate", "public-fusion", "missing.csv", "--out", "a.facepad"], "cannot read manifest missing.csv"),
        (["evaluate", "public-fusion", "missing.csv", "out"], "cannot read manifest missing.csv"),
        (["data", "prepare", "folder", "missing", "out", "--for", "public-fusion"], "missing does not exist"),
        (["export", "missing", "out.facepad"], "missing does not exist; a finished run folder was expected"),
        (["export", "public-fusion", "out.onnx"], "'facepad model extract public-fusion DIR' writes the plain ONNX"),
        (["export", "empty.csv", "out.onnx"], "'facepad model extract empty.csv DIR' writes the plain ONNX"),
        (["data", "depth", "missing.csv"], "missing.csv does not exist"),
        (["serve", "--api-keys", "missing"], "cannot read missing"),
        (
            ["serve", "--port", "0", "--webhook", "https://a.example", "--webhook-secret", "missing"],
            "cannot read missing",
        ),
        (["serve", "--port", "0", "--decision-log", "missing/log"], "the decision log cannot be written"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else None,
)
def test_a_missing_input_is_told_before_a_model_is_downloaded(facepad, no_network, monkeypatch, tmp_path, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").touch()
    code, out, err = facepad(*words)
    assert (code, out, no_network) == (2, "", [])
    assert says in err.splitlines()[-1] and len(err.splitlines()) == 1
