"""Tab: verbs, router names and layouts, in the shells that people use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recroute.cli.app import VERBS, run
from recroute.data.sources import layout_names
from recroute.routers import router_names


def tab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What bash gets to choose from for the last word."""
    monkeypatch.setenv("_RECROUTE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "\n".join(["recroute", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    with pytest.raises(SystemExit) as end:
        run([])
    assert end.value.code == 0
    return capsys.readouterr().out.split()


def test_words_are_completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert tab(monkeypatch, capsys, "") == list(VERBS)
    assert tab(monkeypatch, capsys, "ev") == ["evaluate"]
    assert tab(monkeypatch, capsys, "data", "d") == ["download", "describe", "doctor"]
    assert tab(monkeypatch, capsys, "data", "import", "") == layout_names()
    assert tab(monkeypatch, capsys, "data", "download", "routerb") == ["routerbench"]
    assert tab(monkeypatch, capsys, "fit", "my_dataset", "--o") == ["--out"]


@pytest.mark.parametrize(
    "verb", ["fit", "evaluate", "scale", "frontier", "tune", "coldstart", "cascade", "pool", "off-policy"]
)
def test_routers_are_completed(verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert tab(monkeypatch, capsys, verb, "my_dataset", "--router", "") == router_names()
    assert tab(monkeypatch, capsys, verb, "my_dataset", "--router", "knn", "--router", "kn")[:1] == ["knn"]


@pytest.mark.parametrize(
    ("shell", "line"), [("zsh", '"evaluate":"Routing quality'), ("fish", "evaluate\tRouting quality")]
)
def test_other_shells_get_a_line_on_each_verb(
    shell: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    with pytest.raises(SystemExit):
        run(["--show-completion", shell])
    assert f"_RECROUTE_COMPLETE=complete_{shell}" in capsys.readouterr().out
    monkeypatch.setenv("_RECROUTE_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "recroute ev")
    with pytest.raises(SystemExit):
        run([])
    assert line in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_bash_that_installed_completion_completes(tmp_path: Path) -> None:
    program = tmp_path / "recroute"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from recroute.cli import main; main()" "$@"\n', "utf8")
    program.chmod(0o755)
    script = """
    recroute --install-completion
    source "$HOME/.bashrc"
    COMP_WORDS=(recroute data im); COMP_CWORD=2
    _recroute_completion recroute
    echo "completed: ${COMPREPLY[@]}"
    complete -p recroute
    """
    home = {**os.environ, "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", script], env=home, capture_output=True, text=True, check=True)
    assert "bash completion installed" in done.stdout
    assert "completed: import" in done.stdout
    assert "-F _recroute_completion recroute" in done.stdout
