"""What `data.denoise=auto` chose, in words: nobody else decided it, and a result depends on it."""

from collections.abc import Sequence

from common.dataset.records import ImageRecord
from common.plan.groups import DataPlan
from common.system.wording import plural


def describe_noise_filter(records: Sequence[ImageRecord], data: DataPlan) -> list[str]:
    """Return in a sentence which images are filtered and how; nothing where the plan itself says it."""
    if data.denoise != "auto":
        return []
    grey = sum(record.grey for record in records)
    coloured = len(records) - grey
    if not coloured:
        chosen = f"median for all {plural(grey, 'image')}, which are grey"
    elif not grey:
        chosen = f"none for all {plural(coloured, 'image')}, which are coloured"
    else:
        chosen = f"median for {plural(grey, 'grey image')}, none for {plural(coloured, 'coloured one')}"
    return [f"noise filter (data.denoise=auto): {chosen}"]
