"""What holds for the project around the package: one version, a whole wheel, nothing at the top that is not ours."""

import re
import subprocess
import tomllib
from pathlib import Path
from shutil import which

import pytest

import recroute

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))
IN_NO_WHEEL = {".md"}  # pages beside the parts are read in the repository and on the site
TOP = {
    *("setup.cfg", "pyproject.toml", "recroute", "notebooks", "tests", "data_cards", "README.md"),
    *("LICENSE", "CHANGELOG.md", "CITATION.cff"),
}


@pytest.mark.skipif(not (ROOT / ".git").exists() or which("git") is None, reason="needs the repository")
def test_the_top_holds_what_the_design_says() -> None:
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    names = subprocess.check_output(command, cwd=ROOT, text=True, encoding="utf8").split("\0")
    top = {Path(name).parts[0] for name in names if name}
    assert {name for name in top if not name.startswith(".")} <= TOP


def files() -> list[Path]:
    """Every file of the package, relative to it."""
    found = [path.relative_to(ROOT / "recroute") for path in (ROOT / "recroute").rglob("*") if path.is_file()]
    return [path for path in found if "__pycache__" not in path.parts]


def test_the_wheel_has_every_file_of_the_package() -> None:
    """Modules by their `__init__.py`, other files by the patterns of `package-data`."""
    data = {one for pattern in PROJECT["tool"]["setuptools"]["package-data"]["recroute"] for one in matches(pattern)}
    for path in files():
        if path.suffix == ".py":
            folders = [ROOT / "recroute" / folder for folder in path.parents]
            assert all((folder / "__init__.py").exists() for folder in folders), f"{path} is in no package"
        else:
            assert path in data or path.suffix in IN_NO_WHEEL or path.name == "Dockerfile", f"{path} is in no wheel"


def matches(pattern: str) -> list[Path]:
    found = [path.relative_to(ROOT / "recroute") for path in (ROOT / "recroute").glob(pattern)]
    assert found, f"package-data: nothing matches {pattern}"
    return found


def test_the_wheel_has_nothing_else() -> None:
    assert PROJECT["tool"]["setuptools"]["packages"] == {"find": {"include": ["recroute*"]}}
    assert [path.parent.name for path in ROOT.glob("recroute*/__init__.py")] == ["recroute"]
    assert not [path for path in files() if path.name.startswith("test_")]


def test_the_version_is_written_once() -> None:
    """In `recroute/_version.py`, which pyproject.toml reads; the changelog opens with it."""
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "recroute._version.__version__"}
    assert "version" in PROJECT["project"]["dynamic"]
    assert not re.search(r"^version:", (ROOT / "CITATION.cff").read_text(encoding="utf8"), re.MULTILINE)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
    heads = re.findall(r"^## \[(.+?)\] - (unreleased|\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)
    assert heads[0][0] == recroute.__version__


def test_ci_takes_the_interpreter_from_the_environment() -> None:
    assert '"${PYTHON:-python3.11}" -m venv' in (ROOT / ".ci" / "run").read_text(encoding="utf8")
    workflow = (ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf8")
    versions = re.findall(r'"(3\.\d+)"', workflow.split("matrix:")[1])
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"
    assert re.search(r"run: \.ci/run\n\s+env:\n\s+PYTHON: python\n", workflow)
