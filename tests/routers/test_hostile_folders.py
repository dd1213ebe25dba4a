"""A router's folder of a stranger is checked before it is used: one line names the folder, the file and the array."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fuzz.router_folders import fresh, sign, write_header

from recroute.errors import RouterError
from recroute.routers import load_router

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(old_routers: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: fresh(old_routers / name, tmp_path / "router")


def refused(folder: Path, match: str) -> None:
    sign(folder)
    with pytest.raises(RouterError, match=match) as error:
        load_router(folder)
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)


def change(file: Path, edit: Change) -> None:
    with np.load(file) as content:
        arrays = dict(content)
    edit(arrays)
    np.savez(file, **arrays)


def put(name: str, of: Callable[[Any], Any]) -> Change:
    def edit(arrays: dict[str, Any]) -> None:
        arrays[name] = of(arrays[name])

    return edit


def with_nan(array: Any) -> Any:
    found = array.copy()
    found.flat[0] = np.nan
    return found


@pytest.mark.parametrize(
    ("router", "edit", "match"),
    [
        ("svd", put("llm_factors_", with_nan), r"llm_factors_\[0, 0\] is nan"),
        ("svd", put("llm_factors_", lambda a: a[:-1]), r"llm_factors_ is float64 \(5, 3\), not .*n_llms = 6"),
        ("svd", put("llm_factors_", lambda a: a.T), "array llm_factors_ is"),
        ("svd", put("bridge.weight", lambda a: a[:, :-1]), "n_factors = 3"),
        ("svd", put("bias_", lambda a: a.astype(complex)), "'<c16' holds neither numbers nor text"),
        ("svd", put("bias_", lambda a: a.astype(">f8")), "array bias_ is"),
        ("svd", put("bias_", lambda a: a + 1e300), "not between -1e\\+30 and 1e\\+30"),
        ("svd", lambda arrays: arrays.pop("bias_"), "array bias_ is missing"),
        ("svd", lambda arrays: arrays.update(more=np.zeros(2)), "array more does not belong there"),
        ("guarded", put("best_", lambda a: a + 99), r"best_\[0\] is 10\d, not between 0 and 5"),
        ("guarded", put("part0.vectors_", lambda a: a[:, :-1]), r"part0.vectors_ is .*width = 29"),
        ("auto", put("weight_", lambda a: 0 * a), "all weights of auto are 0"),
        ("auto", put("part_names_", lambda a: a[:1]), "n_parts = 3"),
        ("refreshed_auto", put("sums.gram", lambda a: a[:, :-1]), "array sums.gram is"),
        ("budgeted", put("curve", lambda a: a[:, ::-1]), "not in ascending order"),
        ("knn", put("scores.values", lambda a: a[::-1]), "codes of its scores do not fit"),
        ("sparse", put("scores.indices", lambda a: a + 7), "cells of its scores do not fit"),
        ("task_best", put("task_names_", lambda a: np.full(len(a), "x")), "holds a value twice"),
        ("kmeans", put("label_", lambda a: a - 1 - a.max()), "label_.* is -"),
    ],
)
def test_an_array_that_is_not_what_was_declared(
    folder: Callable[[str], Path], router: str, edit: Change, match: str
) -> None:
    path = folder(router)
    change(path / "arrays.npz", edit)
    refused(path, match)


@pytest.mark.parametrize(
    ("file", "edit", "match"),
    [
        ("encoder.npz", put("0.idf", lambda a: a[:-1]), r"array 0\.\w+ is"),
        ("encoder.npz", put("0.components", with_nan), "components.* is nan"),
        ("prior.npz", put("noise", lambda a: 0 * a), r"noise\[0\] is 0"),
        ("prior.npz", put("task", lambda a: a + 50), "task.*not between 0 and"),
        ("prior.npz", put("instance_ids", lambda a: a[::-1]), "list different prompts"),
    ],
)
def test_a_file_beside_the_arrays(folder: Callable[[str], Path], file: str, edit: Change, match: str) -> None:
    path = folder("auto")
    change(path / file, edit)
    refused(path, match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda table: table[::-1], "lists other LLMs"),
        (lambda table: table[:0], "has no rows"),
        (lambda table: table.drop("llm_id"), "column 'llm_id' is missing"),
        (lambda table: table.with_columns(price_in=pl.lit(-1.0)), "price_in"),
        (lambda table: table.with_columns(family=pl.lit(3)), "family"),
    ],
)
def test_the_table_of_llms(folder: Callable[[str], Path], change: Callable[[pl.DataFrame], Any], match: str) -> None:
    path = folder("svd")
    load_router(path).save(path)  # older folders have none
    change(pl.read_parquet(path / "llms.parquet")).write_parquet(path / "llms.parquet")
    refused(path, match)


def test_a_prior_that_is_learned_from_a_folder(folder: Callable[[str], Path]) -> None:
    path = folder("svd")
    load_router(path).save(path)
    (path / "prior.npz").unlink()
    description = json.loads((path / "router.json").read_text("utf8"))
    del description["sha256"]["prior.npz"]
    (path / "router.json").write_text(json.dumps(description), "utf8")
    assert len(load_router(path).prior.llm_ids) == 6


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("format", "1", "format is '1', not a positive whole number"),
        ("format", 0, "format is 0"),
        ("name", ["svd"], "name is list, not the name of a router"),
        ("name", "x.toml", "not the name of a router"),
        ("name", "nobody", "unknown router"),
        ("hyperparameters", [], "hyperparameters is list"),
        ("hyperparameters", {"n_factors": [3]}, "hyperparameters is dict"),
        ("hyperparameters", {"n_factors": -3}, "n_factors=-3 must be"),
        ("hyperparameters", {"nothing": 3}, "unknown hyperparameter 'nothing'"),
        ("encoder", "tfidf", "encoder is 'tfidf'"),
        ("encoder", {"kind": "tfidf"}, "its kind, name or source is missing"),
        ("encoder", None, "array vocabulary does not belong there"),
        ("llm_ids", [], "llm_ids is list, not a list of LLM ids"),
        ("llm_ids", ["a", "a", "b", "c", "d", "e"], "'a' occurs twice"),
        ("llm_ids", ["a", 1], "not a list of LLM ids"),
        ("llm_ids", ["\ud800"], "not a list of LLM ids"),
        ("llm_ids", [f"llm-{i}" for i in range(5)], "of 6 LLMs, but the router has 5"),
        ("sha256", {"../x": "0" * 64}, "a mapping of files in this folder"),
        ("sha256", {}, "no SHA-256 of arrays.npz"),
        ("evidence", {"codes": "arrays.npz:nothing"}, "no array holds the evidence"),
    ],
)
def test_an_entry_of_the_description(folder: Callable[[str], Path], key: str, value: Any, match: str) -> None:
    path = folder("svd")
    description = json.loads((path / "router.json").read_text("utf8"))
    (path / "router.json").write_text(json.dumps({**description, key: value}), "utf8")
    with pytest.raises(ValueError, match=match) as error:
        load_router(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"format": ' + "9" * 5000 + "}", "\udcff"], ids=range(5))
def test_a_description_that_is_none(folder: Callable[[str], Path], text: str) -> None:
    path = folder("svd")
    (path / "router.json").write_bytes(text.encode("utf8", "surrogateescape"))
    refused(path, "router.json is damaged")


def test_routers_inside_of_routers_without_end(folder: Callable[[str], Path]) -> None:
    path = folder("guarded")
    description = json.loads((path / "router.json").read_text("utf8"))
    description["hyperparameters"]["router"] = "guarded(router=" * 5000 + "knn" + ")" * 5000
    (path / "router.json").write_text(json.dumps(description), "utf8")
    refused(path, "nests routers")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_in_place_of_any_file(folder: Callable[[str], Path]) -> None:
    for name in ("arrays.npz", "evidence-codes.npy", "prior.npz", "prompts.parquet"):
        path = folder("svd")
        (path / name).unlink()
        os.mkfifo(path / name)
        refused(path, name)


@pytest.mark.parametrize(
    ("router", "name"),
    [("kmeans", "ease_"), ("cluster", "member_"), ("hierarchy", "loadings_"), ("svd", "instance_factors_")],
)
def test_a_folder_without_what_growing_takes(folder: Callable[[str], Path], router: str, name: str) -> None:
    path = folder(router)
    change(path / "arrays.npz", lambda arrays: arrays.pop(name))
    sign(path)
    with pytest.raises(RouterError, match=f"saved without {name}"):
        load_router(path).add_llms(None, pl.DataFrame({"llm_id": ["one-more"]}))


def test_evidence_with_bytes_behind_it(folder: Callable[[str], Path]) -> None:
    path = folder("svd")
    with (path / "evidence-codes.npy").open("ab") as file:
        file.write(b"more")
    refused(path, "evidence-codes.npy is missing or damaged")


def test_evidence_is_checked_before_it_is_used(folder: Callable[[str], Path]) -> None:
    path = folder("svd")
    codes = np.load(path / "evidence-codes.npy")
    np.save(path / "evidence-codes.npy", np.full_like(codes, 200))
    sign(path)
    router = load_router(path)
    with pytest.raises(RouterError, match="codes of its scores do not fit"):
        router.score_std(["a prompt"])


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(-1,)", "(2,"])
def test_a_header_that_announces_what_is_not_there(folder: Callable[[str], Path], shape: str) -> None:
    path = folder("svd")
    write_header(path / "arrays.npz", f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}", in_zip=True)
    refused(path, "arrays.npz cannot be read")


def test_a_compressed_bomb_is_not_unpacked(folder: Callable[[str], Path]) -> None:
    path = folder("svd")
    np.savez_compressed(path / "arrays.npz", bias_=np.zeros(1 << 24))
    refused(path, "announces 1 arrays")


def test_a_router_with_numbers_that_are_none_is_not_saved_over_a_sound_one(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    path = folder("svd")
    router = load_router(path)
    before = (path / "arrays.npz").read_bytes()
    router.bias_ = router.bias_ * np.nan  # type: ignore[attr-defined]
    with pytest.raises(RouterError, match=r"cannot be saved: array bias_\[0\] is nan"):
        router.save(path)
    assert (path / "arrays.npz").read_bytes() == before


def test_names_of_files_that_no_system_takes(folder: Callable[[str], Path]) -> None:
    path = folder("grown")
    text = (path / "router.json").read_text("utf8")
    stored = next(file.name for file in path.iterdir() if file.suffix == ".npy")
    (path / "router.json").write_text(text.replace(stored, "9" * 400), "utf8")
    with pytest.raises(RouterError) as error:
        load_router(path)
    assert "\n" not in str(error.value)
