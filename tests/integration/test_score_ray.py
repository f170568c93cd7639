"""facepad score on Ray: a cluster of two nodes on this machine, killed actors and nodes, poison, wrong addresses."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from facepad.errors import InputError, ModelError
from helpers.bulk import NAN, POISON, RED, fussy, meeting, picture, pictures, rows_of

ray = pytest.importorskip("ray", reason="facepad[scale] is not installed")
pytest.importorskip("pyarrow", reason="facepad[scale] is not installed")

from facepad.scale import BulkSettings, score_source  # noqa: E402
from facepad.scale import ray_executor as module  # noqa: E402

# Ray leaves files and sockets open until the process ends, and warns of future changes.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def model(make_model, tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model") / "tiny.facepad", crop_scale=None)


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU core each."""
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    # Ray gives a node 30 seconds to start. Its clocks go slower here, because a busy machine may take longer.
    slow_node = {"monotonic": lambda: time.monotonic() / 8}
    slow_services = {"time": lambda: time.time() / 8}
    patch.setattr("ray._private.node.time", SimpleNamespace(**vars(time) | slow_node))
    patch.setattr("ray._private.services.time", SimpleNamespace(**vars(time) | slow_services))
    patch.setenv("RAY_worker_niceness", "0")
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.second = made.add_node(num_cpus=1)
    yield made
    made.shutdown()
    patch.undo()


@pytest.fixture
def run(cluster, model, tmp_path):
    def go(source, out="out", predictor=None, watch=lambda progress, output: None, **settings):
        settings = BulkSettings(**{"executor": "ray", "address": cluster.address, "batch_size": 4} | settings)
        return score_source(str(source), tmp_path / out, predictor or fussy(model), settings, watch=watch)

    return go


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_ray_decides_as_local_processes_do(run, tmp_path):
    folder = pictures(tmp_path / "in", 30)
    (folder / "empty.png").write_bytes(b"")
    (folder / "0007.png").write_bytes(picture(RED) + POISON)
    summary = run(folder)
    run(folder, "local", executor="local", address=None, jobs=1)
    ours, theirs = rows_of(tmp_path / "out"), rows_of(tmp_path / "local")
    for one, other in zip(ours, theirs, strict=True):
        assert one | {"score": None} == other | {"score": None}
        assert one["score"] == pytest.approx(other["score"], abs=1e-6)
    assert summary["counts"] == {
        "scored": 29, "no_face": 0, "unreadable": 1, "low_quality": 0, "crashed": 1, "unreached": 0
    }  # fmt: skip
    again = run(folder)
    assert (again["this_run"]["scored"], again["this_run"]["already_there"]) == (0, 31)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="actors are found in /proc")
def test_killed_actor_costs_no_input(run, model, tmp_path):
    folder = pictures(tmp_path / "in", 96)
    killed = []

    def watch(progress, output):
        if not killed:
            (_, process), *_ = progress.peaks
            killed.append(parent_of(process))
            os.kill(killed[0], signal.SIGKILL)

    summary = run(folder, predictor=fussy(model, 0.03), watch=watch)
    assert killed and summary["complete"] and summary["counts"]["scored"] == 96
    assert [row["key"] for row in rows_of(tmp_path / "out")] == [f"{number:04}.png" for number in range(96)]


def test_model_that_fails_ends_the_run_with_its_error(run, tmp_path):
    folder = pictures(tmp_path / "in", 2)
    (folder / "0001.png").write_bytes(picture(RED) + NAN)
    with pytest.raises(ModelError, match="not numbers"):
        run(folder)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:9", "127.0.0.1:9"])
def test_address_without_a_listener_is_refused(run, tmp_path, address):
    with pytest.raises(InputError, match=f"cannot connect to the Ray cluster at {address}: .*refused"):
        run(pictures(tmp_path / "in", 1), address=address)


def test_cluster_of_another_version_is_refused_in_a_line(run, tmp_path, monkeypatch):
    def init(**options):
        raise RuntimeError(
            "Version mismatch: The cluster was started with:\n  Ray: 1.0\nThis process was started with:"
        )

    monkeypatch.setattr(module.ray, "init", init)
    with pytest.raises(InputError, match=r"cannot connect to the Ray cluster at .*: Version mismatch: The cluster"):
        run(pictures(tmp_path / "in", 1))


def test_node_that_is_lost_costs_no_input(run, cluster, model, tmp_path):
    """The last test of this file, as the cluster is smaller afterwards."""
    folder = pictures(tmp_path / "in", 96)
    gone = []

    def watch(progress, output):
        if not gone and len(progress.peaks) > 1:
            gone.append(cluster.remove_node(cluster.second, allow_graceful=False))

    summary = run(folder, predictor=meeting(model, tmp_path / "meeting"), watch=watch)
    assert gone and summary["complete"] and summary["counts"]["scored"] == 96
    assert [row["key"] for row in rows_of(tmp_path / "out")] == [f"{number:04}.png" for number in range(96)]
