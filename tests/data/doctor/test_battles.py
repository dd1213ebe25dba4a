from recroute.data import Dataset
from recroute.data.doctor import diagnose
from recroute.testing import drawn_preferences, planted_dataset


def findings(data: Dataset) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {found.check: (found.severity, found.llms) for found in diagnose(data).findings}


def test_sound_preferences_have_no_finding() -> None:
    assert findings(drawn_preferences(planted_dataset(), 2000)) == {}
    assert "position_bias" not in findings(planted_dataset())


def test_being_preferred_for_ones_place_is_told() -> None:
    (found,) = diagnose(drawn_preferences(planted_dataset(), 2000, first_shown=0.3)).findings
    assert found.check == "position_bias"
    assert found.values["first_shown"] > 3 * found.values["standard_error"]


def test_groups_that_never_met_are_an_error() -> None:
    rows = [("q", "a", "b"), ("q", "b", "c"), ("q", "d", "e")] * 40
    outcome = (["win"] * 3 + ["loss"] * 3) * 20
    columns = {name: [row[i] for row in rows] for i, name in enumerate(("instance_id", "llm_a", "llm_b"))}
    data = Dataset.from_records(None, preferences=columns | {"outcome": outcome})
    assert findings(data)["groups_apart"] == ("error", ("d", "e"))
    joined = {name: [*values, value] for (name, values), value in zip(columns.items(), ("q", "c", "d"), strict=True)}
    data = Dataset.from_records(None, preferences=joined | {"outcome": [*outcome, "win"]})
    assert "groups_apart" not in findings(data)


def test_llms_with_few_battles_are_named() -> None:
    rows = [("q", "a", "b")] * 40 + [("q", "a", "c")]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(("instance_id", "llm_a", "llm_b"))}
    data = Dataset.from_records(None, preferences=columns | {"outcome": ["win", "loss"] * 20 + ["win"]})
    assert findings(data)["few_battles"] == ("note", ("c",))
