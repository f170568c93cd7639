"""The files in deploy/ fit the service: options, metrics and addresses that they name are there. No image is built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from facepad.cli.app import app
from facepad.modelfile.catalog import described_models
from facepad.service.app import create_app
from facepad.service.keys import add_key
from facepad.service.settings import Settings
from facepad.service.telemetry import Telemetry
from facepad.types import Reason

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
GUIDE = ROOT / "docs" / "how-to" / "serve.md"
YAML = sorted(path for path in DEPLOY.rglob("*") if path.suffix in (".yaml", ".yml"))
SHOWN = [DEPLOY / "grafana" / "facepad.json", DEPLOY / "prometheus" / "alerts.yml"]


def documents(path: Path) -> list:
    return list(yaml.safe_load_all(path.read_text()))


def container(kind: str = "containers") -> dict:
    (deployment, _) = documents(DEPLOY / "kubernetes" / "deployment.yaml")
    (only,) = deployment["spec"]["template"]["spec"][kind]
    return only


def commands() -> dict[str, list[str]]:
    """The words of every `facepad serve` of these files and of the guide."""
    dockerfile, unit = (DEPLOY / "Dockerfile").read_text(), (DEPLOY / "facepad.service").read_text()
    found = {
        "Dockerfile": json.loads(re.search(r"^CMD (.+)", dockerfile, re.MULTILINE)[1]),
        "systemd": re.search(r"^ExecStart=\S+/facepad (.+)", unit, re.MULTILINE)[1].split(),
        "compose": documents(DEPLOY / "compose.yaml")[0]["services"]["facepad"]["command"],
        "kubernetes": container()["args"],
    }
    lines = GUIDE.read_text().replace("\\\n", " ").splitlines()
    shown = [line.partition("#")[0].split()[1:] for line in lines if line.startswith("facepad serve")]
    return found | {f"guide, {number}": words for number, words in enumerate(shown, 1)}


@pytest.mark.parametrize("path", YAML, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_yaml_is_read(path):
    assert all(isinstance(document, dict) for document in documents(path))


def test_every_command_is_one_that_facepad_understands():
    found = commands()
    assert len(found) >= 7
    serve = get_command(app).commands["serve"]
    for where, (name, *words) in found.items():
        assert name == "serve", where
        serve.make_context(
            "serve", [re.sub(r"\$\{.*?\}", "x", word) for word in words]
        )  # refuses what it does not know


def test_every_service_names_a_model_and_gets_a_folder_of_models():
    downloads = {
        "compose": documents(DEPLOY / "compose.yaml")[0]["services"]["models"]["command"],
        "kubernetes": container("initContainers")["args"],
        "Dockerfile": re.search(r"facepad (download .+?)  ", (DEPLOY / "Dockerfile").read_text())[1].split(),
        "systemd": re.search(r"/facepad (download .+)", (DEPLOY / "facepad.service").read_text())[1].split(),
    }
    folders = {"systemd": "/opt/facepad/models"}
    served = commands()
    for where, (name, *words) in downloads.items():
        assert name == "download" and words[1:] == ["--to", folders.get(where, "/models")], where
        get_command(app).commands["download"].make_context("download", [*words])
        assert served[where][:3] == ["serve", "--model", words[0]], where
        assert words[0] in described_models()
    for mounted in (container()["volumeMounts"], container("initContainers")["volumeMounts"]):
        assert "/models" in [mount["mountPath"] for mount in mounted]


def test_what_is_reachable_from_elsewhere_has_keys():
    for where, words in commands().items():
        host = words[words.index("--host") + 1] if "--host" in words else "127.0.0.1"
        assert Settings(host=host).loopback or "--api-keys" in words, where
        workers = words[words.index("--workers") + 1] if "--workers" in words else "1"
        assert workers == "1" or "--store" in words, where


def metrics() -> set[str]:
    """The names under which Prometheus stores what the service measures."""
    endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    families = Telemetry().registry.collect()
    return {family.name + ending for family in families for ending in endings[family.type]}


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_metrics_that_are_shown_are_measured(path):
    named = set(re.findall(r"facepad_[a-z_]+", path.read_text()))
    assert named and named <= metrics()


def test_dashboard_shows_every_metric():
    named = re.findall(r"facepad_[a-z_]+", SHOWN[0].read_text())
    assert {re.sub("_(total|bucket|sum|count)$", "", name) for name in named} == {
        family.name for family in Telemetry().registry.collect()
    }


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_labels_that_are_shown_are_measured(path):
    text = path.read_text().replace('\\"', '"')
    labels = {"route": set(), "label": {"bona_fide", "attack", "undecided"}, "reason": set(map(str, Reason))}
    labels["route"] = set(create_app().openapi()["paths"])
    for name, known in labels.items():
        assert set(re.findall(rf'{name}!?="([^"]+)"', text)) <= known


def test_panels_of_the_dashboard_do_not_overlap():
    panels = json.loads(SHOWN[0].read_text())["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_addresses_that_are_asked_are_there():
    (prometheus,) = documents(DEPLOY / "prometheus" / "prometheus.yml")[0]["scrape_configs"]
    probes = [container()[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    asked = {prometheus["metrics_path"], *(probe["path"] for probe in probes)}
    asked |= set(re.findall(r"127\.0\.0\.1:8000(/\w+)", (DEPLOY / "Dockerfile").read_text()))
    assert asked == {"/metrics", "/healthz", "/readyz"} <= set(create_app().openapi()["paths"])
    assert {probe["port"] for probe in probes} == {port["name"] for port in container()["ports"]}


def test_container_has_no_rights_that_it_does_not_need():
    held = container()["securityContext"]
    assert held["readOnlyRootFilesystem"] and not held["allowPrivilegeEscalation"]
    assert held["capabilities"] == {"drop": ["ALL"]}
    compose = documents(DEPLOY / "compose.yaml")[0]["services"]["facepad"]
    assert compose["read_only"] and compose["cap_drop"] == ["ALL"]
    user = re.search(r"^USER (\d+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert int(user[1]) > 0


def test_files_that_are_copied_and_mounted_are_there():
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE) for word in line.split()]
    mounted = [
        volume.partition(":")[0]
        for service in documents(DEPLOY / "compose.yaml")[0]["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    ]
    resources = documents(DEPLOY / "kubernetes" / "kustomization.yaml")[0]["resources"]
    assert copied and mounted
    assert all((ROOT / name).exists() for name in copied)
    assert all((DEPLOY / name).exists() for name in mounted)
    assert all((DEPLOY / "kubernetes" / name).exists() for name in resources)
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"/deploy/keys.txt", "/deploy/kubernetes/keys.txt", "/deploy/metrics-key.txt"} <= set(ignored)


def test_unit_is_one_that_systemd_understands(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "facepad.service"
    text = (DEPLOY / "facepad.service").read_text()
    unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE))
    seen = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert (seen.returncode, seen.stderr) == (0, "")


def test_manifests_are_one_that_kustomize_builds(tmp_path):
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    folder = shutil.copytree(DEPLOY / "kubernetes", tmp_path / "kubernetes")
    add_key(folder / "keys.txt", "caller")
    built = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=True).stdout
    parts = {(part["kind"], part["metadata"]["name"]): part for part in yaml.safe_load_all(built)}
    pod = parts["Deployment", "facepad"]["spec"]["template"]["spec"]
    assert ("Secret", pod["volumes"][0]["secret"]["secretName"]) in parts
    assert pod["containers"][0]["image"] == "registry.example/facepad:0.1.0"
    assert {part["metadata"].get("namespace", "facepad") for part in parts.values()} == {"facepad"}
