import numpy as np

from recroute.bridges import fit_ridge
from recroute.routers import make_router
from recroute.routers.ease import choose_penalty, llm_weights, regress, same_rows
from recroute.testing import planted_dataset


def test_the_weights_between_llms_are_each_llms_own_ridge_regression_on_the_others(rng: np.random.Generator) -> None:
    residual = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6))
    weights = llm_weights(residual.T @ residual, reg=3.0)
    assert (np.diag(weights) == 0).all()
    for j in range(6):
        others = np.delete(np.arange(6), j)
        A = residual[:, others]
        expected = np.linalg.solve(A.T @ A + 3.0 * np.eye(5), A.T @ residual[:, j])
        np.testing.assert_allclose(weights[others, j], expected)


def test_regression_with_unobserved_cells_equals_one_solve_for_each_llm(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(60, 5)), rng.normal(size=(60, 7))
    Y[:20, 2:4] = np.nan  # two LLMs were not run on a task
    Y[rng.random(60) < 0.3, 6] = np.nan
    weight = regress(X, Y, 2.0)
    for j in range(7):
        rows = ~np.isnan(Y[:, j])
        expected = np.linalg.solve(X[rows].T @ X[rows] + 2.0 * np.eye(5), X[rows].T @ Y[rows, j])
        np.testing.assert_allclose(weight[:, j], expected)


def test_llms_observed_on_the_same_instances_share_a_gram_matrix() -> None:
    Y = np.zeros((30, 6))
    Y[:10, [1, 4]], Y[5, 2] = np.nan, np.nan
    assert [group.tolist() for group in same_rows(Y)] == [[0, 3, 5], [1, 4], [2]]


def test_an_llm_without_records_is_predicted_by_its_mean_and_the_ease(rng: np.random.Generator) -> None:
    assert regress(rng.normal(size=(9, 3)), np.full((9, 1), np.nan), 1.0).tolist() == [[0.0]] * 3


def test_without_smoothing_complete_data_give_the_ridge_regression_of_the_scores() -> None:
    data = planted_dataset(n_instances=120)
    router = make_router("ease", smoothing=0, reg=2.0).fit(data)
    X = router.vectors(data)
    weight, offset = fit_ridge(X, data.interactions.dense(), 2.0)
    np.testing.assert_allclose(router.score(data), X @ weight + offset, atol=1e-4)


def test_the_penalty_has_the_least_leave_one_out_error(rng: np.random.Generator) -> None:
    X = rng.normal(size=(40, 8))
    Y = X[:, :2] + rng.normal(size=(40, 2))

    def left_out_error(reg: float) -> float:
        errors = 0.0
        for i in range(40):
            rest = np.arange(40) != i
            errors += float(((X[i] @ regress(X[rest], Y[rest], reg) - Y[i]) ** 2).sum())
        return errors

    chosen = choose_penalty(X, Y)
    assert left_out_error(chosen) <= min(left_out_error(chosen * 10 ** (1 / 3)), left_out_error(chosen / 10 ** (1 / 3)))


def test_smoothing_mixes_in_what_the_other_llms_say() -> None:
    data = planted_dataset(n_instances=120)
    plain, all_others, half = (make_router("ease", smoothing=s, llm_reg=1.0).fit(data) for s in (0, 1, 0.5))
    deviation = data.interactions.dense() - plain.llm_mean_
    surplus = plain.score(data) - plain.llm_mean_
    expected = plain.llm_mean_ + surplus @ llm_weights(deviation.T.astype(np.float64) @ deviation, 1.0)
    np.testing.assert_allclose(all_others.score(data), expected, atol=1e-5)
    np.testing.assert_allclose(half.score(data), (plain.score(data) + all_others.score(data)) / 2, atol=1e-5)


def test_at_full_smoothing_an_llms_own_text_weights_play_no_part() -> None:
    data = planted_dataset(n_instances=120, n_llms=9)
    predicted = make_router("ease", smoothing=1.0).fit(data).score(data)
    translate = data.tasks == "translate"  # LLMs 1, 4 and 7 solve those: each is known by its two twins
    assert predicted[translate, 1].mean() > predicted[~translate, 1].mean() + 0.3
