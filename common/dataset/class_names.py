"""Tells from the names of two classes which one is the disease, and whether the names leave a doubt."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from common.dataset.class_words import (
    ADJECTIVES_NEGATIONS,
    BENIGN,
    BENIGN_STATES,
    DISEASED,
    DISEASED_ENDINGS,
    FILLERS,
    GLUED_NEGATIONS,
    HEALTHY,
    KINDS_OF_DISEASE,
    NEGATIONS,
    NEUTRAL,
    NO_DISEASE,
    STATES,
    WEAKLY_DISEASED,
    WEAKLY_HEALTHY,
)

# a sign counts at the end only, as in COVID+ and "glaucoma -ve"; elsewhere it is a hyphen
_WORDS = re.compile(r"[a-z]+|\d+|[+-](?=(?:ve)?[^a-z0-9]*$)")
_ABNORMAL = re.compile(r"ab[ _-]?normal", re.IGNORECASE)  # AbNormal is one word
_CAMEL_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


@dataclass(frozen=True)
class DiseaseOfTwo:
    """Which of two classes is the disease.

    Attributes
    ----------
    name : str
        The diseased class.
    certain : bool
        The names leave no doubt. False: a guess, which whoever shows a result must call one.
    """

    name: str
    certain: bool


@dataclass(frozen=True)
class _Meaning:
    """What a name says once the words that both names have are left aside."""

    value: int  # 1 disease, -1 health, 0 nothing
    wholly: bool  # no word was left that might mean anything else
    shared: bool  # all its words are in the other name too
    torn: bool = False  # what it negates is a disease, and what it does not negate too: non-covid pneumonia


@dataclass(frozen=True)
class _Negated:
    """A name without its negations."""

    kept: list[str]
    negations: list[str]
    before: list[str]  # the words before the first negation
    behind: list[str]  # the others

    @property
    def adjective(self) -> bool:
        """Whether the negation is one that may belong to an adjective alone."""
        return bool(self.negations) and self.negations[0] in ADJECTIVES_NEGATIONS


def tell_disease(first: str, second: str) -> DiseaseOfTwo:
    """Tell which of two class names means the disease.

    Names are split into words at everything that is no letter, before capitals and at digits. A name that negates the
    other (``no_``, ``non-``, ``without``, ``un...``) is healthy, or diseased where it negates health; then words that
    mean disease or health tell; then words that do so weakly (``other``, ``low``); then the greater of two numbers;
    then the alphabetically last name.

    Parameters
    ----------
    first, second : str
        Two different names.

    Returns
    -------
    DiseaseOfTwo
        `certain` where one name is the plain negation of the other, where one means disease and the other health, where
        one consists of telling words of its own and the other says nothing, and for 0 and 1.
    """
    names = sorted((first, second), key=str.casefold)
    split = [split_words(name) for name in names]
    if negated := _negation_of_the_other(split):
        index, certain = negated
        return DiseaseOfTwo(names[index], certain)
    meanings = [_meaning(own, other) for own, other in (split, split[::-1])]
    values = [meaning.value for meaning in meanings]
    if values[0] != values[1]:
        return DiseaseOfTwo(names[values.index(max(values))], _leaves_no_doubt(meanings))
    degrees = [_degree(own, other) for own, other in (split, split[::-1])]
    if degrees[0] != degrees[1]:
        return DiseaseOfTwo(names[degrees.index(max(degrees))], certain=False)
    return _by_number_or_last(names, split)


def split_words(name: str) -> list[str]:
    """Split a name into lower-case words without accents, numbers, and a sign at its end."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = _ABNORMAL.sub("abnormal", plain)
    return _WORDS.findall(_CAMEL_HUMP.sub(" ", plain).lower().strip())


def speaks_of_health(name: str) -> bool:
    """Tell whether a name has a word that means health or disease."""
    return _value(split_words(name)) != 0


def _negation_of_the_other(split: Sequence[list[str]]) -> tuple[int, bool] | None:
    """Return the index of the diseased name and whether that is certain, where one name is the other negated."""
    for index, (own, other) in enumerate((split, split[::-1])):
        negated = _without_negations(own, other)
        kept, negated_by_it = _without_fillers(negated.kept), _without_fillers(other)
        if not negated.negations or not kept:
            continue
        if not _alike(kept, negated_by_it) and not set(kept) <= set(negated_by_it):
            continue
        alone = _means_health_alone(kept)
        if alone or (negated.adjective and _value(kept) < 0):  # "non-nevus" is something else, "no nevus" is nothing
            return index, alone
        # "no tumour" beside a benign one, "no nevus", "not patent": what is negated may be no disease.
        known = _value(kept) > 0 and _value(other) > 0
        return 1 - index, known and not _may_be_another_disease(negated, kept)
    return None


def _means_health_alone(some: Sequence[str]) -> bool:
    """Tell whether words mean health and name no finding: "normal tissue", against "stable angina" and "nevus"."""
    return _value(some) < 0 and all(word in (HEALTHY - BENIGN) | BENIGN_STATES | NEUTRAL | FILLERS for word in some)


def _may_be_another_disease(negated: _Negated, kept: Sequence[str]) -> bool:
    """Tell whether a negation may leave the disease as it is: non-covid pneumonia, untreated cancer, non-Hodgkin."""
    if not KINDS_OF_DISEASE.isdisjoint(kept):
        return True
    if not negated.adjective:
        return False
    first, *others = negated.behind or [""]
    if _value([first]) != 0:
        return first not in STATES and _value(others) > 0
    return negated.negations[0] != "non" or len(kept) > 1


def _without_negations(own: Sequence[str], other: Sequence[str]) -> _Negated:
    """Part a name from its negations, glued ones included."""
    negations: list[str] = []
    before: list[str] = []
    behind: list[str] = []
    for word in own:
        negates = word in NEGATIONS and word not in other  # else both speak of "free fluid"
        prefix = word if negates else _glued_negation(word, other)
        if prefix is not None:
            negations.append(prefix)
        if rest := word if prefix is None else word[len(prefix) :]:
            (behind if negations else before).append(rest)
    return _Negated([*before, *behind], negations, before, behind)


def _glued_negation(word: str, other: Sequence[str]) -> str | None:
    if word in HEALTHY | DISEASED:
        return None
    for prefix in GLUED_NEGATIONS:
        rest = word.removeprefix(prefix)
        # "nodulosis" ends like a disease, but nobody means "no dulosis"
        tells = rest in HEALTHY | DISEASED or (prefix == "non" and _ends_like_a_disease(rest))
        if rest != word and (tells or rest in other or _alike([rest], other)):
            return prefix
    return None


def _without_fillers(some: Sequence[str]) -> list[str]:
    return [word for word in some if word not in FILLERS] or list(some)


def _alike(some: Sequence[str], others: Sequence[str]) -> bool:
    """Tell whether two lists hold the same words, but for endings (fracture, fractured) and how they are joined."""
    joined, other = "".join(some), "".join(others)
    if not joined or not other:
        return False
    shorter = min(len(joined), len(other))
    return joined == other or (shorter >= 5 and joined[: shorter - 1] == other[: shorter - 1])


def _meaning(own: Sequence[str], other: Sequence[str]) -> _Meaning:
    only = [word for word in own if word not in other]
    negated = _without_negations(only or own, other)
    value, torn = _negated_value(negated)
    if value == 0:
        # "absent" or "no" alone, or a negation of what is not known: of a disease, most likely
        return _Meaning(-1 if negated.negations and only else 0, wholly=False, shared=not only, torn=torn)
    wholly = all(_value([word]) != 0 or word in NEUTRAL | FILLERS or word.isdigit() for word in negated.kept)
    return _Meaning(value, wholly, shared=not only, torn=torn)


def _negated_value(negated: _Negated) -> tuple[int, bool]:
    """Return what a name means, -1 to 1 as `_value`, and whether it is torn."""
    before = _value(negated.before)
    if not negated.negations:
        return before, False
    if FILLERS.issuperset(negated.behind):
        return -before, False  # "tumor free", "fracture ruled out"
    first, *others = negated.behind
    torn = negated.adjective and first not in STATES and _value([first]) > 0 and _value(others) > 0
    return before or -_value(negated.behind), torn


def _value(some: Sequence[str]) -> int:
    """Return 1 where words mean disease, -1 where they mean health (as of a benign tumour), 0 for neither."""
    if any(word in HEALTHY for word in some):
        return -1
    return int(any(word in DISEASED or _ends_like_a_disease(word) for word in some))


def _ends_like_a_disease(word: str) -> bool:
    return len(word) > 5 and word.endswith(DISEASED_ENDINGS) and word not in NO_DISEASE


def _leaves_no_doubt(meanings: Sequence[_Meaning]) -> bool:
    if any(meaning.torn for meaning in meanings):
        return False
    values = {meaning.value for meaning in meanings}
    telling = [meaning for meaning in meanings if meaning.value != 0]
    if values == {-1, 1}:
        return any(meaning.wholly for meaning in telling)
    # where both names hold the telling word, as in "stroke" and "post-stroke", it does not part them
    return all(meaning.wholly and not meaning.shared for meaning in telling)


def _degree(own: Sequence[str], other: Sequence[str]) -> int:
    """Return how diseased a name is where plain words do not tell: 1 more, -1 less, 0 unknown."""
    only = [word for word in own if word not in other] or list(own)
    if _value(only) < 0:
        return int(not BENIGN.isdisjoint(only))  # of "benign" and "normal", the former
    if WEAKLY_DISEASED.issuperset(only):
        return 1
    return -1 if WEAKLY_HEALTHY.issuperset(only) else 0


def _by_number_or_last(names: Sequence[str], split: Sequence[list[str]]) -> DiseaseOfTwo:
    numbers = [[int(word) for word in own if word.isdigit()] for own in split]
    if all(len(found) == 1 for found in numbers) and numbers[0] != numbers[1]:
        index = 0 if numbers[0] > numbers[1] else 1
        return DiseaseOfTwo(names[index], _no_and_yes(split))
    return DiseaseOfTwo(names[1], certain=False)


def _no_and_yes(split: Sequence[list[str]]) -> bool:
    """Tell whether two names are 0 and 1, or these of one disease, as ``tumor=0`` and ``tumor=1``."""
    numbers = {word for own in split for word in own if word.isdigit()}
    rest = [[word for word in own if not word.isdigit()] for own in split]
    return {int(number) for number in numbers} == {0, 1} and rest[0] == rest[1] and (not rest[0] or _value(rest[0]) > 0)
