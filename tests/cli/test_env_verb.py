"""recroute env: what is here by the package's own metadata, and the command that brings what is not."""

import importlib.metadata
import json
import tomllib
from email.message import Message
from pathlib import Path

import pytest

from recroute.cli.app import run
from recroute.cli.env import ADDS, requirements, unavailable_routers
from recroute.errors import RecrouteError

ROOT = Path(__file__).parents[2]
ASKED = (
    "numpy>=2.0",
    "pytest>=999",
    "no-such-package>=1",
    'old-python-only>=1; python_version < "3"',
    'text-thing>=3.0; extra == "text"',
    'numpy>=1.0; python_version >= "3" and extra == "text"',
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with requirements of every kind."""
    known = Message()
    for text in ASKED:
        known["Requires-Dist"] = text
    known["Provides-Extra"] = "text"
    monkeypatch.setattr("recroute.cli.env.metadata", lambda name: known)


def test_requirements_are_read_from_the_metadata(asked: None) -> None:
    found = requirements()
    default = {package.name: package for package in found[""]}
    assert list(default) == ["numpy", "pytest", "no-such-package"]
    assert default["numpy"].state == importlib.metadata.version("numpy")
    assert default["pytest"].state == f"{importlib.metadata.version('pytest')}, needs >=999"
    assert default["no-such-package"].state == "missing"
    assert [(package.name, package.fits) for package in found["text"]] == [("text-thing", False), ("numpy", True)]


def test_a_package_that_is_not_installed_is_one_line() -> None:
    with pytest.raises(RecrouteError, match="is not installed here"):
        requirements("no-such-distribution")


def test_every_extra_says_what_it_adds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    assert set(project["optional-dependencies"]) <= set(ADDS)


def test_a_missing_library_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recroute.cli.env.find_spec", lambda name: None)
    lacking = unavailable_routers()
    assert lacking["lightfm"] == "pip install 'recroute[lightfm]'"
    assert lacking["mlc"] == "pip install 'recroute[text]'"
    monkeypatch.setattr("recroute.cli.env.find_spec", lambda name: object())
    assert unavailable_routers() == {}


def test_the_verb_shows_and_writes_it(
    asked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "mine" / "records.parquet").touch()
    monkeypatch.setenv("RECROUTE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("recroute.cli.env.find_spec", lambda name: None)
    assert run(["env", "--json", str(tmp_path / "env.json")]) == 0
    out = capsys.readouterr().out
    for said in ("mine", "missing", "sentence-transformers", "mlc is not available: pip install 'recroute[text]'"):
        assert said in out
    facts = json.loads((tmp_path / "env.json").read_text("utf8"))
    assert facts["datasets"] == ["mine"]
    assert facts["blas"]
    assert facts["extras"]["text"]["install"] == "pip install 'recroute[text]'"
    assert facts["unavailable_routers"]["lightfm"] == "pip install 'recroute[lightfm]'"
    assert {package["name"] for package in facts["packages"]} == {"numpy", "pytest", "no-such-package"}


@pytest.mark.parametrize(("named", "said"), [(None, "not set"), ("/no/such/folder", "no such folder")])
def test_what_recroute_data_names(
    named: str | None, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RECROUTE_DATA", raising=False)
    if named is not None:
        monkeypatch.setenv("RECROUTE_DATA", named)
    assert run(["env"]) == 0
    assert said in capsys.readouterr().out
