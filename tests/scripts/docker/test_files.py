"""The Dockerfile and the compose files agree with the checkout and with each other."""

import re
from fnmatch import fnmatch
from typing import Any

import pytest
import yaml

from tests.documents import section
from tests.scripts.docker.container import ROOT

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]


def stages() -> dict[str, str]:
    """The instructions of each stage, by its name; the last one has none."""
    parts = re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {(re.match(r"FROM \S+ AS (\S+)", part) or ["", ""])[1]: part for part in parts}


def is_let_through(path: str) -> bool:
    """Whether .dockerignore leaves this path to Docker: the last rule that covers it holds."""
    is_ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            parents = ["/".join(path.split("/")[: n + 1]) for n in range(path.count("/") + 1)]
            names = path.split("/") if "**/" in line else parents
            if any(fnmatch(one, pattern) and one.count("/") == pattern.count("/") for one in names):
                is_ignored = not line.startswith("!")
    return not is_ignored


def copied() -> list[str]:
    """What is copied from the checkout."""
    copies = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [path for copy in copies for path in copy.split()[:-1]]


def test_what_is_copied_is_there_and_let_through() -> None:
    assert "llm_api" in copied()
    for path in copied():
        assert (ROOT / path).exists(), path
        assert is_let_through(path), path
    assert is_let_through("llm_api/api/wiring.py")


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        "docs/figures.md",
        "examples/chat.py",
        "models/model.gguf",
        "tests/live.py",
        "scripts/bench/table.py",
    ],
)
def test_nothing_else_reaches_docker(path: str) -> None:
    assert not is_let_through(path)


def test_compilers_stay_in_stages_that_nothing_that_runs_is_based_on() -> None:
    compiling = {
        name for name, text in stages().items() if re.search("build-essential|g\\+\\+", text)
    }
    assert compiling == {"compiler-cpu", "compiler-cuda"}
    assert [name for name, text in stages().items() if "FROM compiler-" in text] == ["llama"]
    assert stages()["run-cpu"].startswith("FROM ${PYTHON_IMAGE}")
    assert stages()["run-cuda"].startswith("FROM run-cpu")
    assert stages()[""].startswith("FROM run-${VARIANT}")


def test_the_image_runs_as_somebody_else_than_root() -> None:
    run = stages()["run-cpu"]
    [user] = re.findall(r"^USER (\d+)$", run, re.MULTILINE)
    assert f"--uid {user}" in run
    assert int(user) > 0


def test_every_image_is_pinned_to_a_version() -> None:
    images = {service["image"] for service in SERVICES.values()} - {"llm_api:cpu"}
    assert len(images) == 6
    for image in images:
        assert re.search(r":v?\d+\.\d+", image), image


def test_only_loopback_is_published_unless_it_is_said() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 5
    assert all(port.startswith(("${PUBLISH:-127.0.0.1}:", "127.0.0.1:")) for port in ports)
    assert "ports" not in SERVICES["qdrant"]
    assert "ports" not in SERVICES["redis"]


def test_every_service_starts_again_and_is_limited() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped", name
        resources = service["deploy"]["resources"]
        assert "memory" in resources.get("limits", {}) or "devices" in resources["reservations"], (
            name
        )


@pytest.mark.parametrize("name", ["api", "replica", "gateway"])
def test_the_api_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "api:/srv/llm_api" in service["volumes"]
    assert service["environment"]["QDRANT_URL"] == "http://qdrant:6333"


def test_what_is_mounted_from_the_checkout_is_there() -> None:
    mounts = [mount for one in SERVICES.values() for mount in one.get("volumes", ())]
    folders = {mount.split(":")[0] for mount in mounts if mount.startswith(".")}
    assert len(folders) == 5
    assert [folder for folder in folders if not (ROOT / folder).exists()] == []


def test_the_page_tells_every_profile() -> None:
    profiles = {name for one in SERVICES.values() for name in one.get("profiles", ())}
    assert profiles == {"redis", "replicas", "vllm", "monitoring"}
    said = section("Docker")
    assert {name for name in profiles if f"`{name}`" not in said} == set()


def test_the_gateway_s_replicas_are_the_servers_of_its_profile() -> None:
    [model] = yaml.safe_load((ROOT / "docker" / "vllm.yaml").read_text(encoding="utf-8"))["models"]
    urls = [replica["url"] for replica in model["replicas"]]
    assert urls == [f"http://{name}:8000/v1" for name in SERVICES if name.startswith("vllm-")]
    assert model["model"] == SERVICES["vllm-0"]["command"][-1]
