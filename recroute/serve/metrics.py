"""Metrics for Prometheus, with a bounded number of labels."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from recroute.serve.live import LoadedRouter

SHARED = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
MAX_LLM_LABELS = 100  # choices of further LLMs are counted together
OTHER = "other"


class Metrics:
    """Metrics of one application, in their own registry.

    Where the environment names a folder for the metrics of several processes (SHARED, before `prometheus_client` is
    imported), each counts in files there, and any of them answers with the sums. What `prometheus_client` knows of a
    process is then left out, because it would be that of the process that happens to answer.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.router = Info("recroute_router", "The router in use.", registry=registry)
        if os.environ.get(SHARED):
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            registry = CollectorRegistry()
        else:
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=registry)
        self.requests = Counter("recroute_http_requests", "Requests answered.", ("path", "status"), registry=registry)
        self.seconds = Histogram(
            "recroute_http_request_seconds",
            "Request to answer.",
            ("path",),
            buckets=BUCKETS,
            registry=registry,
        )
        self.routing = Histogram(
            "recroute_routing_seconds",
            "Part of it spent choosing LLMs.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.prompts = Counter("recroute_prompts_routed", "Prompts routed.", registry=registry)
        self.chosen = Counter(
            "recroute_chosen_llm",
            f"Prompts by chosen LLM; beyond {MAX_LLM_LABELS} LLMs, all others as {OTHER}.",
            ("llm",),
            registry=registry,
        )
        self.cost = Counter(
            "recroute_predicted_cost",
            "Predicted cost of the chosen LLMs' answers, in the cost unit of the training data; 0 without costs.",
            registry=registry,
        )
        self.reference_cost = Counter(
            "recroute_reference_cost",
            "Predicted cost of the reference LLM's answers to the same prompts.",
            registry=registry,
        )
        self.feedback = Counter(
            "recroute_feedback", "Feedback on disk, and duplicates.", ("kind", "duplicate"), registry=registry
        )
        self.reloads = Counter("recroute_router_reloads", "Attempts to reload.", ("outcome",), registry=registry)
        self.loaded = Gauge(
            "recroute_router_loaded_timestamp_seconds",
            "When it was loaded; of several workers, the earliest.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._llms: set[str] = set()
        self._lock = threading.Lock()

    def set_router(self, loaded: LoadedRouter) -> None:
        n_llms = str(len(loaded.router.llm_ids_))
        self.router.info({"version": loaded.version, "name": loaded.router.name, "n_llms": n_llms})
        self.loaded.set(loaded.loaded_at.timestamp())

    def count_routes(self, routes: Iterable[Mapping[str, Any]], seconds: float) -> None:
        """Count an answer: the chosen LLM of each prompt, its predicted cost and that of the reference."""
        self.routing.observe(seconds)
        for route in routes:
            self.prompts.inc()
            self.chosen.labels(self._label(route["llm_id"])).inc()
            if "reference" in route:
                self.cost.inc(route["llms"][0]["predicted_cost"])
                self.reference_cost.inc(route["reference"]["predicted_cost"])

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _label(self, llm: str) -> str:
        if llm in self._llms:
            return llm
        with self._lock:
            if len(self._llms) >= MAX_LLM_LABELS:
                return OTHER
            self._llms.add(llm)
        return llm
