"""Every registered router keeps the contract."""

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import pytest

from recroute.routers import Router, make_router, router_names
from recroute.splits import Split, split_dataset
from recroute.testing import RouterContract, planted_dataset


class TestOracle(RouterContract):
    router = "oracle"


class TestOracleMix(RouterContract):
    router = "oracle_mix"


class TestRandom(RouterContract):
    router = "random"
    better_than_random = False


class TestBestSingle(RouterContract):
    router = "best_single"
    better_than_random = False


class TestTaskBest(RouterContract):
    router = "task_best"


class TestKNN(RouterContract):
    router = "knn"


class TestLinear(RouterContract):
    router = "linear"


class TestMLP(RouterContract):
    router = "mlp"


class TestCluster(RouterContract):
    router = "cluster"


@pytest.mark.skipif(find_spec("transformers") is None, reason="needs the extra: pip install 'recroute[text]'")
class TestMLC(RouterContract):
    router, any_number_of_threads = "mlc", False

    @pytest.fixture(autouse=True)
    def _with_encoder(self, tiny_encoder: Path) -> None:
        self.encoder = tiny_encoder

    def make(self) -> Router:
        return make_router(
            "mlc", encoder_path=self.encoder, n_epochs=6, learning_rate=0.005, batch_size=16, n_warmup=10
        )


class TestSVD(RouterContract):
    router = "svd"


class TestALS(RouterContract):
    router = "als"


class TestIRT(RouterContract):
    router = "irt"


class TestEmbedLLM(RouterContract):
    router = "embedllm"


class TestKMeans(RouterContract):
    router = "kmeans"


class TestBradleyTerry(RouterContract):
    router = "bradley_terry"


class TestBPR(RouterContract):
    router = "bpr"


class TestLMF(RouterContract):
    router = "lmf"


class TestItemKNN(RouterContract):
    router = "item_knn"


class TestLightFM(RouterContract):
    router = "lightfm"


class TestEASE(RouterContract):
    router = "ease"


def test_no_router_is_without_a_contract_test() -> None:
    tested = {cls.router for cls in RouterContract.__subclasses__() if cls.__module__ == __name__}
    assert tested == set(router_names())


class TestRidge(RouterContract):
    router = "ridge"


class TestHierarchy(RouterContract):
    router = "hierarchy"


class TestAuto(RouterContract):
    router, holds_back = "auto", True


class TestGuarded(RouterContract):
    router, holds_back = "guarded", True


class TestCalibrated(RouterContract):
    router = "calibrated"


class TestRefreshed(RouterContract):
    router = "refreshed"

    def make(self) -> Router:
        return make_router("refreshed", router="knn(n_neighbors=20)")


class TestBudgeted(RouterContract):
    router, holds_back = "budgeted", True

    @cached_property
    def split(self) -> Split:
        return split_dataset(planted_dataset(missing=0.1, costs=True))

    def make(self) -> Router:
        return make_router("budgeted", router="knn", trade_off=20.0)
