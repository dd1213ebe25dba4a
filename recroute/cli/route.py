"""recroute route: the LLM for a prompt."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from recroute.cli.budget import BUDGET, QUALITY, expectation, retarget
from recroute.cli.options import COST, OUTPUTS, QUIET, ROUTER_DIR, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.data import Prompts
from recroute.errors import DataError
from recroute.report.document import Cell, Document, Number, Table, cut
from recroute.routers import Ranking, Router, load_router
from recroute.routers.ranking import clip_score
from recroute.routers.reference import predict_reference
from recroute.util.files import write_json

LONGEST_PROMPT = 40  # characters of a prompt in the table
PROMPTS = Option("prompts", list[str] | None, None, help="Prompts; none reads them from --input.", is_argument=True)
INPUT = Option(
    "input_path",
    Path | None,
    None,
    flag="--input",
    help="Prompts from a file: text (one a line) or .jsonl with a key prompt; - is standard input.",
)
TOP_K = Option("top_k", int, 1, help="LLMs to name for each prompt.", low=1)
TRIED = Option(
    "tried",
    list[str] | None,
    None,
    flag="--tried",
    help="LLM that has answered, with the score of its answer, as llm-a=0; may be repeated. The others are ranked by "
    "what that tells.",
)
VERIFIER = Option(
    "verifier",
    str,
    "exact",
    help="What --tried gives: exact (scores), or noisy:TPR,TNR (verdicts 0 or 1 of a judge with these rates).",
)
TOGETHER = Option("together", int | None, None, help="Name a set of so many LLMs to ask at once.", low=1)
LLMS = Option("llms", str | None, None, help="Choose among these LLMs only: a,b,c.")
EXPLAIN = Option(
    "explain",
    bool,
    False,
    flag="--explain",
    help="Add intervals, the predicted task, and the nearest known prompts.",
)
REFERENCE = Option(
    "reference",
    str | None,
    None,
    help="LLM to compare predicted costs with (default: the one with the highest mean score on train).",
    panel=COST,
)


@verb(
    *(ROUTER_DIR, PROMPTS, INPUT, TOP_K, LLMS, TRIED, VERIFIER, TOGETHER, EXPLAIN, BUDGET, QUALITY, REFERENCE),
    *(OUTPUTS["json"], QUIET),
)
def route(chosen: Any) -> None:
    """Name the LLM for each prompt.

    A router fitted with --budget or --quality takes another one here, by the cost curve saved with it. With --tried the
    others are ranked by what an answer that failed, or did not, says of them; --together names a set instead. What both
    need is learned here each time, unless the router was fitted with --attempts.

    Example: recroute route my_router "What is 12 times 13?" --top-k 3
    """
    json_path, source = chosen.json_path, chosen.input_path
    check_places(json_path, inputs=(chosen.router_dir, source))
    texts = [*(chosen.prompts or []), *(_read_prompts(source) if source else [])]
    if not texts:
        raise DataError("no prompt to route; give one as an argument or a file with --input")
    router = retarget(load_router(chosen.router_dir), chosen.budget, chosen.quality)
    pool = None if chosen.llms is None else [name.strip() for name in chosen.llms.split(",")]
    prompts = Prompts.of(texts)  # encoded once
    ranking = _ranking(router, prompts, pool, chosen)
    explained = router.explain(prompts, chosen.top_k, pool) if chosen.explain else []
    routes = _routes(router, prompts, ranking, chosen)
    for found, explanation in zip(routes, explained, strict=False):
        found["explanation"] = explanation.to_dict()
    if json_path is not None:
        write_json(json_path, {"router": router.label, "routes": routes})
    screen = console(chosen.quiet, json_path)
    what = "predicted score" if chosen.together is None else "expected best score so far"
    screen.show(Document(title="Routes", blocks=[_table(router, routes, what)]))
    for text, explanation in zip(texts, explained, strict=False):
        screen.show(explanation.document(text))
    if (expected := expectation(router)) is not None:
        screen.say(expected)
    if "reference" in routes[0]:
        screen.say(_savings(routes))


def _ranking(router: Router, prompts: Prompts, pool: list[str] | None, chosen: Any) -> Ranking:
    """The LLMs of each prompt: by text, given the answers that were tried, or as a set."""
    if chosen.reference is not None and not (chosen.tried is None and chosen.together is None):
        raise DataError("--reference is compared with first choices; leave it out, or --tried and --together")
    if chosen.together is not None:
        if chosen.tried is not None or chosen.explain or chosen.top_k != 1:
            raise DataError("--together names a set; leave out --tried, --explain and --top-k")
        return router.choose_set(prompts, chosen.together, pool)
    if chosen.tried is None:
        return router.rank(prompts, chosen.top_k, pool)
    if chosen.explain:
        raise DataError("--explain tells why by the text alone; leave it out, or --tried")
    return router.rank(prompts, chosen.top_k, pool, tried=_tried(chosen.tried), verifier=chosen.verifier)


def _routes(router: Router, prompts: Prompts, ranking: Ranking, chosen: Any) -> list[dict[str, Any]]:
    """The LLMs of each prompt with predicted scores, and with predicted costs and the reference where costs count."""
    scores, costs, reference = ranking.predicted_score, None, None
    if chosen.tried is None and chosen.together is None:
        scores, costs = router.score_parts(prompts, ranking)
        reference = predict_reference(router, prompts, chosen.reference)
    texts = prompts.texts or []
    routes: list[dict[str, Any]] = [
        {"prompt": text, "llms": names, "predicted_score": score.tolist()}
        for text, names, score in zip(texts, ranking.names, scores, strict=True)
    ]
    if costs is not None and reference is not None:
        for route, cost, alone in zip(routes, costs, reference.to_dicts(), strict=True):
            route |= {"predicted_cost": cost.tolist(), "reference": alone}
    return routes


def _savings(routes: list[dict[str, Any]]) -> str:
    """Predicted costs of the first choices and of the reference."""
    cost = sum(route["predicted_cost"][0] for route in routes)
    alone = sum(route["reference"]["predicted_cost"] for route in routes)
    return f"predicted cost of these prompts: {cost:.4g}, with {routes[0]['reference']['llm_id']} alone: {alone:.4g}"


def _tried(items: list[str]) -> dict[str, float]:
    """Scores by LLM of a repeated --tried llm=score; an id may hold = itself."""
    found = {}
    for item in items:
        name, sign, score = item.rpartition("=")
        try:
            found[name.strip()] = float(score)
        except ValueError:
            sign = ""
        if not sign:
            raise DataError(f"--tried {item!r} is not an LLM and its score, such as llm-a=0")
    return found


def _table(router: Router, routes: list[dict[str, Any]], what: str) -> Table:
    """A row for each LLM; the prompt stands in the first row of its LLMs."""
    rows: list[list[Cell]] = []
    for found in routes:
        for j, name in enumerate(found["llms"]):
            cost = [Number(found["predicted_cost"][j], form=".4g")] if "predicted_cost" in found else []
            score = Number(clip_score(found["predicted_score"][j]))
            rows.append([cut(found["prompt"], LONGEST_PROMPT) if j == 0 else "", name, score, *cost])
    heads = ["prompt", "LLM", what, *(["predicted cost"] if "predicted_cost" in routes[0] else [])]
    return Table(title=f"{router.label}, {len(router.llm_ids_)} LLMs", heads=heads, rows=rows)


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
            raise DataError(f'{path}, line {number} is not a JSON object with a text under "prompt"; fix that line')
        prompts.append(prompt)
    return prompts
