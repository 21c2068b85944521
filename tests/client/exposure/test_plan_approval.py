"""The plans that a hospital was asked for, and its approval of them, in its IT's commands."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.cli.main import app
from client.exposure.plan_approval import AskedPlans, waiting_plans
from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from tests.client.hospital import APP, write_hospital

PLAN = TrainingPlan.from_flat({"federation.rounds": 3, "data.classes": "a[/red]\x7f,b"})


def test_a_plan_is_shown_by_what_it_changes_and_approved(tmp_path: Path) -> None:
    rules = {"apps": [APP], "families": ["efficientnet_lite0"], "plans": "approved"}
    hospital = write_hospital(tmp_path, tmp_path, rules=rules)
    kept = AskedPlans(hospital.plans)
    kept.remember(PLAN)
    file = ["--file", str(hospital.path)]
    shown = CliRunner().invoke(app, ["plans", *file]).output
    assert "each plan needs an approval" in shown
    assert "federation.rounds" in shown
    assert "[/red]\\x7f" in shown
    assert "not approved" in shown
    assert "Approve it?" in CliRunner().invoke(app, ["approve-plan", PLAN.digest[:16], *file], input="n\n").output
    assert not kept.approved(PLAN.digest)
    assert waiting_plans(hospital) == [PLAN.digest]
    done = CliRunner().invoke(app, ["approve-plan", PLAN.digest[:16], "--yes", *file])
    assert done.exit_code == 0
    assert kept.approved(PLAN.digest)
    assert waiting_plans(hospital) == []
    told = json.loads(CliRunner().invoke(app, ["plans", "--json", *file]).output)
    assert [(plan["digest"], plan["approved"]) for plan in told] == [(PLAN.digest, True)]


def test_a_plan_waits_only_where_the_rules_of_this_moment_want_it(tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path, tmp_path)
    AskedPlans(hospital.plans).remember(PLAN)
    assert waiting_plans(hospital) == []
    write_hospital(tmp_path, tmp_path, rules={"apps": [APP], "families": ["efficientnet_lite0"], "plans": "approved"})
    assert waiting_plans(hospital) == [PLAN.digest]
    hospital.path.write_text("rules: [")
    assert waiting_plans(hospital) == []


def test_an_empty_file_is_no_approval(tmp_path: Path) -> None:
    kept = AskedPlans(tmp_path / "plans")
    kept.remember(PLAN)
    (tmp_path / "plans" / f"{PLAN.digest}.approved").touch()
    assert not kept.approved(PLAN.digest)
    kept.approve(PLAN.digest)
    assert kept.approved(PLAN.digest)


def test_plans_that_go_while_they_are_listed_end_nobody(tmp_path: Path) -> None:
    kept = AskedPlans(tmp_path / "plans")
    kept.remember(PLAN)
    (tmp_path / "plans" / f"{'0' * 64}.json").symlink_to(tmp_path / "gone")
    assert kept.waiting() == [PLAN.digest]


def test_a_flood_of_plans_displaces_no_approved_one(tmp_path: Path) -> None:
    kept = AskedPlans(tmp_path / "plans")
    kept.remember(PLAN)
    kept.approve(PLAN.digest)
    for seed in range(60):
        kept.remember(PLAN.changed({"training.seed": seed}))
    assert kept.approved(PLAN.digest)
    assert len(kept.listed()) <= 52


def test_what_names_no_plan_is_said(tmp_path: Path) -> None:
    kept = AskedPlans(tmp_path / "plans")
    with pytest.raises(InputError, match="no plans were asked for"):
        kept.find("0" * 16)
    with pytest.raises(InputError, match="at least 16 digits"):
        kept.find("0" * 15)


def test_a_kept_plan_that_was_changed_is_refused(tmp_path: Path) -> None:
    kept = AskedPlans(tmp_path / "plans")
    kept.remember(PLAN)
    next((tmp_path / "plans").glob("*.json")).write_text(PLAN.changed({"training.seed": 2}).to_json())
    with pytest.raises(InputError, match="holds another plan than its name says"):
        kept.listed()
