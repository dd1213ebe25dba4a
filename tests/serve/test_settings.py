"""Settings of the service: there without the extra, checked, their secret not printed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recroute.errors import DataError, RecrouteError
from recroute.serve.proxy import read_settings
from recroute.serve.settings import ServeSettings


def test_settings_and_the_verb_need_no_extra() -> None:
    without = "import sys; sys.modules.update(dict.fromkeys(['fastapi', 'uvicorn', 'prometheus_client', 'pydantic']))"
    code = f"{without}; from recroute.serve import ServeSettings; import recroute.cli.serve; print(ServeSettings.poll)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(found.stdout) == 2.0


def test_token_is_not_printed() -> None:
    settings = ServeSettings(router_dir=Path("r"), token="secret")
    assert "secret" not in repr(settings)
    assert "timeout=10.0" in repr(settings)


def test_threads_are_the_cores_of_this_machine() -> None:
    assert ServeSettings(router_dir=Path("r")).threads == (os.cpu_count() or 1)
    assert ServeSettings(router_dir=Path("r"), threads=3).threads == 3


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("timeout", 0.0, "more than 0"),
        ("timeout", float("nan"), "more than 0"),
        ("reload_timeout", -1.0, "more than 0"),
        ("threads", 0, "at least 1"),
        ("max_waiting", 0, "at least 1"),
        ("poll", -0.1, "at least 0"),
        ("seed", 2**31, "between 0 and"),
    ],
)
def test_limits(name: str, value: float, limit: str) -> None:
    with pytest.raises(DataError, match=limit):
        ServeSettings(router_dir=Path("r"), **{name: value})


def test_router_folder_is_required_and_other_kinds_refused() -> None:
    with pytest.raises(TypeError, match="router_dir"):
        ServeSettings()
    with pytest.raises(RecrouteError, match="max_prompts"):
        ServeSettings(router_dir=Path("r"), max_prompts="many")


def test_the_configuration_of_the_proxy_has_the_settings_of_the_service() -> None:
    served, of_strategy = read_settings({"router": "r", "feedback": "f", "stay": 0, "llm_of": {"a": "b"}})
    assert served == ServeSettings(router_dir=Path("r"), feedback_dir=Path("f"), stay=0)
    assert of_strategy == {"llm_of": {"a": "b"}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "names no router"),
        ("my_router", "names no router"),
        ({"feedback": "f"}, "names no router"),
        ({"router": "r", "stays": 0.1}, "unknown setting 'stays' of callback_settings.recroute .*stay"),
        ({"router": "r", "token": "t"}, "unknown setting 'token'"),
        ({"router": 5}, "router_dir"),
        ({"router": "r", "feedback": True}, "feedback_dir"),
        ({"router": "r", "stay": "much"}, "stay"),
        ({"router": "r", "explore": "epsilon:0.1"}, "exploration needs a feedback folder"),
        ({"router": "r", "conversation": "middle"}, "'middle' is none of: last"),
        ({"router": "r", "llm_of": ["a"]}, r"llm_of of .* is \['a'\]; give LLM ids by deployment"),
    ],
)
def test_a_wrong_configuration_of_the_proxy_is_refused_in_one_line(given: Any, message: str) -> None:
    with pytest.raises(RecrouteError, match=message) as found:
        read_settings(given)
    assert "\n" not in str(found.value)
