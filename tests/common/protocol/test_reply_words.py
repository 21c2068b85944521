"""The closed list of words of a reply."""

import pytest

from common.protocol.reply_words import UNKNOWN, head_word, version_word


@pytest.mark.parametrize("version", ["0.1.0", "1.2rc1", "1.0.post2.dev3+local.1"])
def test_a_version_stays(version: str) -> None:
    assert version_word(version) == version


@pytest.mark.parametrize("word", ["\u0663.\u0661", "\uff11.0", "1.0rc\u0967", "1.0\n", "x", "1" * 33, 1, None])
def test_another_word_does_not(word: object) -> None:
    assert version_word(word) == UNKNOWN


def test_digits_of_other_scripts_are_no_head() -> None:
    assert head_word("\u0660" * 12 + ":" + "a" * 64) == ""
