import csv
from types import SimpleNamespace

import pytest

pytest.importorskip("lightning")

from facepad.errors import InputError, ModelError, RunError
from facepad.files.disk import read_json, write_json
from facepad.modelfile.run_folder import RunFolder
from facepad.training import loggers
from facepad.training.loggers import make_logger
from facepad.training.tracking import Tracking


def rows_of(path):
    with path.open(newline="") as file:
        return [(row["step"], row["dev_loss"]) for row in csv.DictReader(file)]


def test_resumed_csv_logger_keeps_the_rows_of_the_process_before(tmp_path):
    for step in (0, 1):
        logger = make_logger("csv", RunFolder(tmp_path), "head")
        logger.log_metrics({"dev_loss": 0.5 + step}, step)
        logger.finalize("success")
    logger = make_logger("csv", RunFolder(tmp_path), "head")
    logger.log_metrics({"dev_loss": 3.0, "train_loss": 1.0}, 2)  # a further column
    logger.save()
    make_logger("csv", RunFolder(tmp_path), "tune").log_metrics({"dev_loss": 9.0}, 0)
    assert rows_of(tmp_path / "csv" / "head" / "metrics.csv") == [("0", "0.5"), ("1", "1.5"), ("2", "3.0")]


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"x" * 200_000], ids=["no-text", "long"])
def test_damaged_csv_file_of_a_resumed_run_is_one_line_and_further_fields_are_left_out(tmp_path, damage):
    path = tmp_path / "csv" / "head" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"step,dev_loss\n0,0.5,7,8\n")
    make_logger("csv", RunFolder(tmp_path), "head")
    assert rows_of(path) == [("0", "0.5")]
    path.write_bytes(path.read_bytes() + damage)
    with pytest.raises(ModelError, match=r"metrics\.csv is damaged; remove it"):
        make_logger("csv", RunFolder(tmp_path), "head")


def test_missing_package_and_unknown_logger_are_refused_before_training(monkeypatch):
    monkeypatch.setattr("facepad.training.tracking.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the package mlflow, which is not installed: pip install mlflow"):
        Tracking(logger="mlflow")
    assert Tracking(logger="csv").logger == "csv"
    with pytest.raises(InputError, match="unknown logger 'mlfow'"):
        Tracking(logger="mlfow")


class Online:
    """A logger of MLflow or W&B without its package: it keeps what it gets."""

    def __init__(self, *given, run_id=None, id=None, **settings):
        self.run_id, self.version = run_id or "new", id
        self.given, self.settings, self.hparams, self.statuses = given, settings, [], []
        self.log_hyperparams = self.hparams.append
        self.experiment = SimpleNamespace(update_run=lambda run, status: self.statuses.append((run, status)))


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_all_stages_and_resumed_runs_share_one_run_and_log_the_recipe_once(tmp_path, monkeypatch, name):
    monkeypatch.setattr(loggers, "MLFlowLogger", Online)
    monkeypatch.setattr(loggers, "WandbLogger", Online)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = RunFolder(tmp_path)
    write_json(run.recipe_file, {"recipe": {"name": "demo"}})
    first, second = (make_logger(name, run, stage) for stage in ("head", "tune"))
    assert (first.hparams, second.hparams) == ([{"name": "demo"}], [])
    assert (first.settings["prefix"], second.settings["prefix"]) == ("head", "tune")
    if name == "mlflow":
        assert first.given == ("facepad", tmp_path.name, f"sqlite:///{tmp_path}/mlflow.db")
        assert second.run_id == "new" and second.statuses == [("new", "RUNNING")]
    else:
        assert first.version == second.version and first.settings["resume"] == "allow"
    assert read_json(run.logger_file) == {name: first.run_id if name == "mlflow" else first.version}
    run.logger_file.write_text("{")
    with pytest.raises(ModelError, match="is damaged; remove it"):
        make_logger(name, run, "tune")


def test_server_that_refuses_the_run_is_one_line(tmp_path, monkeypatch):
    def refuse_otherwise(*_, **__):
        raise ValueError("no server\nat all")

    monkeypatch.setattr(loggers, "MLFlowLogger", refuse_otherwise)
    with pytest.raises(RunError, match="the logger mlflow cannot begin: no server$"):
        make_logger("mlflow", RunFolder(tmp_path), "head")


@pytest.mark.no_cover
@pytest.mark.filterwarnings("ignore")  # of the packages that mlflow uses
def test_mlflow_keeps_the_curves_of_both_stages_offline(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    pytest.importorskip("sqlalchemy", reason="mlflow has no database")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for stage, loss in (("head", 0.5), ("head", 0.25), ("tune", 0.125)):
        logger = make_logger("mlflow", RunFolder(tmp_path), stage)
        logger.log_metrics({"dev_loss": loss}, 1)
        logger.finalize("success")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (found,) = client.search_runs([client.get_experiment_by_name("facepad").experiment_id])
    assert found.data.metrics == {"head-dev_loss": 0.25, "tune-dev_loss": 0.125}
    assert found.info.status == "FINISHED" and found.info.run_name == tmp_path.name
