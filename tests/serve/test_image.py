"""The files of the image, as far as they can be tested without Docker."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import recroute.serve
from recroute.cli.app import run

yaml = pytest.importorskip("yaml")
FOLDER = Path(recroute.serve.__file__).parent
DOCKERFILE = (FOLDER / "Dockerfile").read_text("utf8")
ROOT = FOLDER.parents[1]


def written(instruction: str) -> list[str]:
    """The list that an instruction of the Dockerfile is given."""
    (found,) = re.findall(rf"^{instruction} .*?(\[.*\])$", DOCKERFILE, re.MULTILINE)
    texts: list[str] = json.loads(found)
    return texts


def compose() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf8"))["services"]
    return services


def test_the_image_and_the_example_start_the_service(
    router_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Any] = []
    monkeypatch.setattr("recroute.serve.run.run", lambda app, listener, patience: served.append(app))
    monkeypatch.setenv("RECROUTE_TOKEN", "secret")
    name, *arguments = written("ENTRYPOINT")
    assert name == "recroute"
    router = compose()["router"]
    places = {"my_router": str(router_dir), "feedback": str(tmp_path / "feedback")}
    command = [places.get(argument, argument) for argument in router["command"]]
    assert run([*arguments, *command, "--port", "0"]) == 0
    settings = served[0].state.service.settings
    assert (settings.access_log, settings.open_metrics, settings.token) == ("json", True, "secret")
    assert f"http://127.0.0.1:{router['ports'][0].partition(':')[0]}/healthz" in written("HEALTHCHECK")[-1]
    compile(written("HEALTHCHECK")[-1], "HEALTHCHECK", "exec")


def test_the_files_that_are_named_are_there() -> None:
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split())
    for service in compose().values():
        if "build" in service:
            assert (FOLDER / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert yaml.safe_load((FOLDER / "prometheus.yaml").read_text("utf8"))["scrape_configs"][0]["static_configs"] == [
        {"targets": ["router:8000"]}
    ]
    assert "USER 65534:65534" in DOCKERFILE


def test_serving_does_not_need_what_is_left_out(router_dir: Path) -> None:
    """Packages that the Dockerfile uninstalls, here by name of their modules."""
    (left_out,) = re.findall(r"pip uninstall -y (.*) \\", DOCKERFILE)
    modules = {"pillow": "PIL", "fonttools": "fontTools"}
    names = [modules.get(name, name) for name in left_out.split() if name != "pip"]
    code = f"""
import sys
sys.modules.update(dict.fromkeys({names!r}))
import recroute.cli.app, recroute.cli.serve, recroute.cli.refresh
from pathlib import Path
from fastapi.testclient import TestClient
from recroute.serve import ServeSettings, create_app
with TestClient(create_app(ServeSettings(router_dir=Path({str(router_dir)!r})))) as client:
    print(client.post("/route", json={{"prompt": "x", "explain": True}}).status_code)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ.copy())
    assert found.stdout.strip() == "200", found.stderr
