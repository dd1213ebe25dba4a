"""Counters for Prometheus; the number of labels is bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterable

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

from recroute.serve.live import Loaded

BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
MOST_LLMS = 100  # with a label of their own; the choices of all others are counted together
OTHER = "other"


class Metrics:
    """Of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.requests = Counter("recroute_http_requests", "Requests answered.", ("path", "status"), registry=registry)
        self.seconds = Histogram(
            "recroute_http_request_seconds", "Request to answer.", ("path",), buckets=BUCKETS, registry=registry
        )
        self.routing = Histogram(
            "recroute_routing_seconds", "Of it, choosing LLMs, in recroute.", buckets=BUCKETS, registry=registry
        )
        self.prompts = Counter("recroute_prompts_routed", "Prompts routed.", registry=registry)
        self.chosen = Counter(
            "recroute_chosen_llm",
            f"Prompts by chosen LLM; beyond {MOST_LLMS} LLMs together, as {OTHER}.",
            ("llm",),
            registry=registry,
        )
        self.feedback = Counter(
            "recroute_feedback", "Feedback on disk; duplicates apart.", ("kind", "duplicate"), registry=registry
        )
        self.reloads = Counter("recroute_router_reloads", "Attempts to reload.", ("outcome",), registry=registry)
        self.router = Info("recroute_router", "Which router answers.", registry=registry)
        self.loaded = Gauge("recroute_router_loaded_timestamp_seconds", "When it was loaded.", registry=registry)
        self._llms: set[str] = set()
        self._lock = threading.Lock()

    def set_router(self, loaded: Loaded) -> None:
        n_llms = str(len(loaded.router.llm_ids_))
        self.router.info({"version": loaded.version, "name": loaded.router.name, "n_llms": n_llms})
        self.loaded.set(loaded.loaded_at.timestamp())

    def count_choices(self, llms: Iterable[str], seconds: float) -> None:
        self.routing.observe(seconds)
        for llm in llms:
            self.prompts.inc()
            self.chosen.labels(self._label(llm)).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _label(self, llm: str) -> str:
        if llm in self._llms:
            return llm
        with self._lock:
            if len(self._llms) >= MOST_LLMS:
                return OTHER
            self._llms.add(llm)
        return llm
