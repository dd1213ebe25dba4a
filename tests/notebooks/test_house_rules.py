"""What holds for every notebook as it lies in the repository."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = (
    "01_first_router",
    "02_factor_models",
    "03_pool_growth",
    "04_tuning",
    "05_cold_start",
    "06_cost_and_pools",
    "07_your_own_data_and_router",
    "08_second_attempts",
)
MACHINE_PATH = re.compile(r"/(home|root|Users|tmp|work|mnt|opt|usr)/|[A-Z]:\\\\")


def cells(name: str, kind: str | None = None) -> list[str]:
    """Sources of the cells of one kind, or of all."""
    found = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf8"))["cells"]
    return ["".join(cell["source"]) for cell in found if kind in (None, cell["cell_type"])]


def test_these_are_the_notebooks_and_each_is_run() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)
    for name in NAMES:
        assert f'run("{name}")' in (Path(__file__).parent / f"test_{name}.py").read_text(encoding="utf8")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_machine_or_a_run_is_stored(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf8")
    notebook = json.loads(text)
    assert not MACHINE_PATH.search(text)
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    # any Python that has ipykernel offers this kernel; a version or an environment's name would tie it to one
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert notebook["metadata"]["kernelspec"]["display_name"] == "Python 3"
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}
    assert set(notebook["metadata"]["language_info"]) == {"name"}


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_short_and_defines_nothing(name: str) -> None:
    """A cell that writes a module, as a reader would write it, may: that is a file and not the notebook's own code."""
    assert len(cells(name)) <= 15
    for source in cells(name, "code"):
        if source.startswith("%%writefile"):
            assert source.startswith("%%writefile {folder}/")
        else:
            assert not re.search(r"^\s*(@|(async )?def |class )|lambda", source, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_says_what_it_runs_on(name: str) -> None:
    first, imports = cells(name)[:2]
    assert "**simulated**" in first
    assert "RECROUTE_DATA" in first
    assert "RECROUTE_DATA" in imports
    assert "rr.simulate(" in imports
