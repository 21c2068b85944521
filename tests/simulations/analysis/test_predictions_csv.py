"""predictions.csv, read back."""

import pytest

from common.errors import InputError
from common.summary.summary_file import read_summary
from simulations.analysis.evaluation import metrics_of
from simulations.analysis.predictions_csv import read_predictions
from simulations.analysis.roc_bands import mean_curve
from simulations.report.html import write_report
from simulations.report.run_comparison import compare_runs
from tests.simulations.report.cases import ALL_ARMS, RunFactory


def test_every_arms_predictions_are_of_the_same_images(make_run: RunFactory) -> None:
    classes = ["negative", "positive"]
    by_arm = read_predictions(make_run(arms=ALL_ARMS, folds=5, repeats=3), classes)
    assert set(by_arm) == {*ALL_ARMS, "local-all"}
    for key, predictions in by_arm.items():
        sets = 12 if key == "local-all" else 3
        assert predictions.probabilities.shape == (sets, 200, 2)
        assert predictions.models.shape == (sets, 200)
        assert sorted(set(predictions.repeats.tolist())) == [0, 1, 2]
        for name in ("images", "sites", "patients", "labels"):
            assert (getattr(predictions, name) == getattr(by_arm["federated"], name)).all()
    everywhere = by_arm["local-all"]
    # At home: of every hospital's model, its own images.
    for repeat in range(3):
        of_repeat = everywhere.of_repeat(repeat).probabilities
        own = by_arm["local"].of_repeat(repeat).probabilities[0]
        assert all((of_repeat[:, image] == own[image]).all(axis=1).any() for image in range(200))


def test_predictions_and_summary_agree(make_run: RunFactory) -> None:
    run = make_run(arms=ALL_ARMS, repeats=3)
    summary, by_arm = read_summary(run), read_predictions(run, ["negative", "positive"])
    for key, arm in summary.arms.items():
        right = (by_arm[key].predicted == by_arm[key].labels).sum(axis=1)
        assert right.mean() == pytest.approx(arm.correct)
        curve = mean_curve(by_arm[key])
        assert curve is not None
        if key != "local":
            assert curve.area() == pytest.approx(arm.auc)


def test_hospitals_own_models_are_not_ranked_against_each_other(make_run: RunFactory) -> None:
    """Two models, each perfect on its own patients, of which one gives higher scores throughout."""
    run = make_run(sites=(("a", 4), ("b", 4)), arms=("federated", "local"))
    header, *lines = (run / "predictions.csv").read_text().splitlines()
    own = []
    for line in lines:
        cells = line.split(",")
        if cells[0] == "local":
            positive = {"a": 0.1, "b": 0.7}[cells[1]] + 0.2 * (cells[7] == "positive")
            cells[8:] = ["positive" if positive > 0.5 else "negative", f"{1 - positive:.6f}", f"{positive:.6f}"]
        own.append(",".join(cells))
    (run / "predictions.csv").write_text("\n".join([header, *own]))
    local = read_predictions(run, ["negative", "positive"])["local"]
    assert metrics_of(local).auc == 1.0
    curve = mean_curve(local)
    assert curve is not None
    assert curve.area() == 1.0


def test_the_run_of_a_federation_says_what_to_read_instead(make_run: RunFactory) -> None:
    run = make_run()
    (run / "predictions.csv").unlink()
    for read in (write_report, lambda run: compare_runs([run, run])):
        with pytest.raises(InputError, match="is this the folder of a finished run"):
            read(run)
    (run / "hospitals.json").write_text("{}")
    for read in (write_report, lambda run: compare_runs([run, run])):
        with pytest.raises(InputError, match=r"no image left its hospital: read its summary\.json") as raised:
            read(run)
        assert "finished" not in str(raised.value)


def test_labels_may_be_names_or_indices(make_run: RunFactory) -> None:
    named, indexed = (
        read_predictions(make_run(labels_as=form), ["negative", "positive"]) for form in ("name", "index")
    )
    assert named["federated"].labels.tolist() == indexed["federated"].labels.tolist()


def test_one_name_is_one_patient_at_two_hospitals_too(make_run: RunFactory) -> None:
    run = make_run(sites=(("a", 4), ("b", 4)))
    path = run / "predictions.csv"
    path.write_text(path.read_text().replace(",b-0,", ",a-0,"))
    patients = read_predictions(run, ["negative", "positive"])["federated"].patients.tolist()
    assert patients == ["a-0", "a-0", "a-1", "a-1", "a-0", "a-0", "b-1", "b-1"]


def test_a_tie_by_rounding_is_what_was_predicted(make_run: RunFactory) -> None:
    run = make_run(sites=(("a", 3),), arms=("federated",))
    header = (run / "predictions.csv").read_text().splitlines()[0]
    lines = [f"federated,,0,0,a,{index},{index},negative,positive,0.500000,0.500000" for index in range(3)]
    (run / "predictions.csv").write_text("\n".join([header, *lines]))
    assert read_predictions(run, ["negative", "positive"])["federated"].predicted.tolist() == [[1, 1, 1]]
