import sys
from threading import Thread
from types import ModuleType

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from recroute.util.threads import SHARED_FROM, _libraries, one_blas_thread, one_thread


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.parametrize(("rows", "cells", "held"), [(2, 10, True), (1, SHARED_FROM, True), (1, 10, False)])
def test_blas_is_held_where_it_would_share_a_product_and_restored_afterwards(rows: int, cells: int, held: bool) -> None:
    with threadpool_limits(limits=2):
        with one_thread(rows, cells):
            assert blas_threads() == ({1} if held else {2})
            with one_thread(rows, cells):
                pass
            assert blas_threads() == ({1} if held else {2})
        assert blas_threads() == {2}


def test_it_is_restored_after_an_error() -> None:
    with threadpool_limits(limits=2):
        with pytest.raises(ZeroDivisionError), one_thread(2, 2):
            raise ZeroDivisionError
        assert blas_threads() == {2}


def test_another_thread_leaves_the_main_thread_as_it_is() -> None:
    def rank() -> None:
        with one_thread(2, 2):
            pass

    with threadpool_limits(limits=2):
        with one_thread(2, 2):
            thread = Thread(target=rank)
            thread.start()
            thread.join()
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_libraries_are_searched_again_only_after_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    with one_blas_thread():
        before = _libraries.cache_info().misses
    with one_blas_thread():
        assert _libraries.cache_info().misses == before
    monkeypatch.setitem(sys.modules, "a_library_with_its_own_blas", ModuleType("blas"))
    with one_blas_thread():
        assert _libraries.cache_info().misses == before + 1
