import json
from pathlib import Path

import pytest

from recroute.data import Dataset
from recroute.errors import RecrouteError
from recroute.routers import load_router, make_router

TABLES = ("llms.parquet", "prompts.parquet")


@pytest.fixture
def folder(planted: Dataset, tmp_path: Path) -> Path:
    router = make_router("svd").fit(planted)
    assert router.prior  # learned, so that it is saved
    router.save(tmp_path / "router")
    return tmp_path / "router"


def test_the_folder_describes_itself(folder: Path) -> None:
    description = json.loads((folder / "router.json").read_text("utf8"))
    assert description["name"] == "svd"
    assert description["hyperparameters"] == make_router("svd").hyperparameters()
    assert description["llm_ids"] == [f"llm-{i}" for i in range(6)]
    evidence = {f"evidence-{name}.npy" for name in ("codes", "values", "vectors")}
    assert set(description["sha256"]) == {"arrays.npz", "encoder.npz", "prior.npz", *TABLES} | evidence


@pytest.mark.parametrize("name", ["router.json", *(f"{name}.npz" for name in ("arrays", "encoder", "prior")), *TABLES])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "empty"])
def test_every_damage_is_noticed(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        flipped = content[:40] + bytes([content[40] ^ 255]) + content[41:]
        path.write_bytes({"cut": content[:-7], "flip": flipped, "empty": b""}[damage])
    with pytest.raises(RecrouteError) as refused:
        load_router(folder)
    assert "\n" not in str(refused.value)


def test_a_later_format_is_refused(folder: Path) -> None:
    description = json.loads((folder / "router.json").read_text("utf8"))
    (folder / "router.json").write_text(json.dumps(description | {"format": 99}), "utf8")
    with pytest.raises(RecrouteError, match="later one"):
        load_router(folder)


def test_saving_again_replaces_the_router(planted: Dataset, folder: Path) -> None:
    make_router("knn").fit(planted).save(folder)
    assert load_router(folder).name == "knn"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["router"]


def test_an_unfitted_router_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(RecrouteError, match="not fitted"):
        make_router("svd").save(tmp_path / "router")
    assert not (tmp_path / "router").exists()


def test_a_foreign_folder_is_not_replaced(planted: Dataset, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf8")
    with pytest.raises(RecrouteError, match="name another place"):
        make_router("best_single").fit(planted).save(tmp_path)
    assert (tmp_path / "notes.txt").read_text("utf8") == "mine"
