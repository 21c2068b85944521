"""`summary.json` in a run folder: written from records, read back and checked."""

import json
from pathlib import Path

from pydantic import ValidationError

from common.errors import InputError
from common.summary.summary import Summary
from common.system.files import write_json_atomically

SUMMARY_NAME = "summary.json"


def write_summary(run: Path, summary: Summary) -> None:
    """Write a run folder's `summary.json`."""
    write_json_atomically(run / SUMMARY_NAME, summary.to_json())


def read_summary(run: Path) -> Summary:
    """Read a run folder's `summary.json`.

    Keys that this rarefed does not know are ignored: a later one may say more.

    Raises
    ------
    InputError
        When the file is missing, not a summary (the message names the first key that is wrong), or of a rarefed that
        wrote another form.
    """
    path = run / SUMMARY_NAME
    try:
        content = json.loads(path.read_bytes())
        if isinstance(content, dict) and "arms" in content and "study" not in content:
            raise InputError(f"{path}: written by another version of rarefed; run it again")
        return Summary.model_validate(content, extra="ignore")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is this the folder of a finished run?") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {where}: {first['msg']}; broken, or of another version: run it again") from error
    except ValueError as error:
        raise InputError(f"{path}: the file is no JSON ({error}); run it again") from error
