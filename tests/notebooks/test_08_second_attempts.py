from collections.abc import Callable

import pytest


@pytest.mark.filterwarnings("ignore")  # nbclient and its kernel close their sockets late; that is theirs to mend
def test_it_runs_and_shows_pictures(run: Callable[[str], int]) -> None:
    assert run("08_second_attempts") >= 1
