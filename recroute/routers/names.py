"""Import paths of the built-in routers, by registry name."""

from __future__ import annotations

from recroute.util.registry import Registry

BUILT_IN = {  # in the order in which tables list them: bounds and baselines first
    "oracle": "recroute.routers.oracle:Oracle",
    "oracle_mix": "recroute.routers.oracle_mix:OracleMix",
    "random": "recroute.routers.random:Random",
    "best_single": "recroute.routers.best_single:BestSingle",
    "task_best": "recroute.routers.task_best:TaskBest",
    "knn": "recroute.routers.knn:KNN",
    "linear": "recroute.routers.linear:Linear",
    "mlp": "recroute.routers.mlp:MLP",
    "cluster": "recroute.routers.cluster:Cluster",
    "mlc": "recroute.routers.mlc:MLC",
    "svd": "recroute.routers.svd:SVD",
    "als": "recroute.routers.als:ALS",
    "bpr": "recroute.routers.bpr:BPR",
    "lmf": "recroute.routers.lmf:LMF",
    "item_knn": "recroute.routers.item_knn:ItemKNN",
    "lightfm": "recroute.routers.lightfm:LightFM",
    "ease": "recroute.routers.ease:EASE",
    "irt": "recroute.routers.irt:IRT",
    "embedllm": "recroute.routers.embedllm:EmbedLLM",
    "kmeans": "recroute.routers.kmeans:KMeans",
    "bradley_terry": "recroute.routers.bradley_terry:BradleyTerry",
    "ridge": "recroute.routers.ridge:Ridge",
    "hierarchy": "recroute.routers.hierarchy:Hierarchy",
    "guarded": "recroute.routers.guarded:Guarded",
    "calibrated": "recroute.routers.calibrated:Calibrated",
    "budgeted": "recroute.routers.budgeted:Budgeted",
    "refreshed": "recroute.routers.refreshed:Refreshed",
    "auto": "recroute.routers.auto:Auto",
}
ROUTERS = Registry("router", "recroute.routers", BUILT_IN)
