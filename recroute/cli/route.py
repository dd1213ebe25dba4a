"""recroute route: the LLM for a prompt."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from recroute.cli.budget import Budget, Quality, expectation, retarget
from recroute.cli.explanation import print_explanation
from recroute.cli.options import JsonPath, Quiet
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.data import Prompts
from recroute.errors import DataError
from recroute.routers import load_router
from recroute.routers.ranking import shown
from recroute.util.files import write_json


def route(
    router_dir: Annotated[Path, typer.Argument(help="Folder of a fitted router.")],
    prompts: Annotated[list[str] | None, typer.Argument(help="Prompts; none reads them from --input.")] = None,
    input_path: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Prompts from a file: text (one a line) or .jsonl with a key prompt; - is standard input.",
        ),
    ] = None,
    top_k: Annotated[int, typer.Option("--top-k", min=1, help="LLMs to name for each prompt.")] = 1,
    llms: Annotated[str | None, typer.Option("--llms", help="Choose among these LLMs only: a,b,c.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add intervals, the predicted task, and the nearest known prompts.")
    ] = False,
    budget: Budget = None,
    quality: Quality = None,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Name the LLM for each prompt.

    A router fitted with --budget or --quality takes another one here, by the cost curve saved with it.

    Example: recroute route my_router "What is 12 times 13?" --top-k 3
    """
    check_places(json_path, inputs=(router_dir, input_path))
    texts = [*(prompts or []), *(_read_prompts(input_path) if input_path else [])]
    if not texts:
        raise DataError("no prompt to route; give one as an argument or a file with --input")
    router = retarget(load_router(router_dir), budget, quality)
    pool = None if llms is None else [name.strip() for name in llms.split(",")]
    asked_for = Prompts.of(texts)  # encoded once
    ranking = router.rank(asked_for, top_k, pool)
    explained = router.explain(asked_for, top_k, pool) if explain else None
    table = Table(title=f"{router.label}, {len(router.llm_ids_)} LLMs", title_justify="left")
    table.add_column("prompt", max_width=40, no_wrap=True)
    table.add_column("LLM", overflow="fold")
    scores, costs = router.score_parts(asked_for, ranking)
    table.add_column("predicted score", justify="right")
    if costs is not None:
        table.add_column("predicted cost", justify="right")
    results = []
    for i, (text, names) in enumerate(zip(texts, ranking.names, strict=True)):
        predicted, spent = scores[i].tolist(), None if costs is None else costs[i].tolist()
        result = {"prompt": text, "llms": names, "predicted_score": predicted}
        if spent is not None:
            result["predicted_cost"] = spent
        if explained is not None:
            result["explanation"] = explained[i].to_dict()
        results.append(result)
        asked = " ".join(text.split())
        for j, name in enumerate(names):
            table.add_row(asked, name, shown(predicted[j]), *([] if spent is None else [f"{spent[j]:.4g}"]))
            asked = ""  # the prompt stands in the first row of its LLMs
    if json_path is not None:
        write_json(json_path, {"router": router.label, "routes": results})
    screen = console(quiet, json_path)
    screen.print(table)
    for text, explanation in zip(texts, explained or [], strict=False):
        print_explanation(screen, text, explanation)
    if (expected := expectation(router)) is not None:
        screen.print(expected, markup=False, soft_wrap=True)


def _read_prompts(path: Path) -> list[str]:
    if str(path) == "-" and sys.stdin is None:
        raise DataError("standard input is closed; name a file")
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); convert it") from None
    lines = [line for line in text.split("\n") if line.strip()]  # not splitlines: U+2028 may stand in a prompt
    if path.suffix != ".jsonl":
        return lines
    prompts = []
    for number, line in enumerate(lines, 1):
        try:
            prompt = json.loads(line)["prompt"]
        except (ValueError, KeyError, TypeError):
            prompt = None
        if not isinstance(prompt, str):
            raise DataError(f'{path}, line {number} is no JSON object with a text under "prompt"; mend that line')
        prompts.append(prompt)
    return prompts
