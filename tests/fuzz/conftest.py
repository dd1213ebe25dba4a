"""What a long run has to show for itself."""

from typing import Any

from fuzzing import N_LONG, ended


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if N_LONG:
        terminalreporter.section("verbs that ran")
        for (verb, code), n in sorted(ended.items()):
            terminalreporter.line(f"{verb}: exit {code}: {n:,}")
        terminalreporter.line(f"{sum(ended.values()):,} in all")
