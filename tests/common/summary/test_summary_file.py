"""`summary.json`: nothing of a record is lost on its way through the file, and a mistyped name is an error."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from common.errors import InputError
from common.summary.arm import ArmRecord, CurvePointRecord, MetricsRecord
from common.summary.summary import CostRecord, DatasetRecord, DesignRecord, SiteRecord, Summary, VariantRecord
from common.summary.summary_file import read_summary, write_summary


def summary_of(**changes: Any) -> Summary:
    dataset = DatasetRecord(name="skin", synthetic=False, images=3, classes=["no", "yes"])
    design = DesignRecord(folds=1, repeats=1, tested=1)
    return Summary(rarefed="0", created="today", name="x", dataset=dataset, study=design).extended(**changes)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    arm = ArmRecord(correct=1.5, total=2, samples_seen=7, learning_curve=[CurvePointRecord(progress=0.5)], auc=None)
    write_summary(tmp_path, summary_of(arms={"federated": arm}))
    assert read_summary(tmp_path) == summary_of(arms={"federated": arm})


def test_a_field_that_was_not_set_is_left_out_and_none_is_null() -> None:
    assert MetricsRecord(correct=3, total=4, auc=None).to_json() == {"correct": 3, "total": 4, "auc": None}
    assert SiteRecord(name="north", images=2, patients=None).to_json() == {
        "name": "north",
        "images": 2,
        "patients": None,
    }


def test_files_keep_the_names_that_they_had() -> None:
    arm = ArmRecord(learning_curve=[], samples_seen=7)
    assert arm.to_json() == {"history": [], "image_passes": 7}


def test_a_record_travels_as_text() -> None:
    point = CurvePointRecord(progress=0.5, train_loss=float("nan"))
    assert CurvePointRecord.model_validate_json(point.to_json_text()).to_json() == {"progress": 0.5, "train_loss": None}


def test_keys_stand_in_the_order_of_the_class_whatever_was_set_first() -> None:
    assert list(MetricsRecord(total=4).extended(auc=0.5, correct=3).to_json()) == ["correct", "total", "auc"]


def test_a_mistyped_name_is_an_error_where_a_record_is_built_and_ignored_where_one_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="corect"):
        MetricsRecord(**{"corect": 3, "total": 4})
    with pytest.raises(ValidationError, match="corect"):
        MetricsRecord(correct=3, total=4).extended(corect=4)
    later = summary_of().to_json() | {"of_a_later_version": 1}
    (tmp_path / "summary.json").write_text(json.dumps(later))
    assert read_summary(tmp_path) == summary_of()


def test_a_variant_of_before_its_side_was_written_is_read(tmp_path: Path) -> None:
    variant = VariantRecord(family="resnet50", strategy="fedavg", partition="iid", sites=2, size=224)
    write_summary(tmp_path, summary_of(variants=[variant]))
    assert read_summary(tmp_path).variants == [variant]
    earlier = json.loads((tmp_path / "summary.json").read_text())
    del earlier["variants"][0]["size"]
    (tmp_path / "summary.json").write_text(json.dumps(earlier))
    assert read_summary(tmp_path).variants[0].size is None


def test_a_number_that_json_has_no_word_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_summary(tmp_path, summary_of(arms={"federated": ArmRecord(auc=float("nan"))}))


def test_what_a_federation_sends_is_counted_in_float32() -> None:
    cost = CostRecord.of_federation(wall_seconds=1.234, exchanged_weights=10, all_weights=30, rounds=3, sites=2)
    assert (cost.wall_s, cost.bytes_up_per_site_per_round, cost.bytes_model_full) == (1.23, 40, 120)
    assert cost.bytes_exchanged == 3 * 2 * (40 + 40)
    assert CostRecord(rounds=3).bytes_exchanged is None


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"summary\.json: No such file"):
        read_summary(tmp_path)
