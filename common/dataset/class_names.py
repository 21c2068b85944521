"""Tells from the names of two classes which one is the disease, and whether the names leave a doubt."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from common.system.wording import words

_WORDS = re.compile(r"[a-z]+|\d+|[+-](?=$)")
_CAMEL_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")

# English, and what German, French, Spanish, Italian and Portuguese hospitals write; accents are stripped before.
_HEALTHY = words(
    """
    negative neg negatif negativo negativ normal normale healthy health benign benigne benigno control controls
    nevus naevus nevi naevi nv wnl clear clean intact unremarkable unaffected stable typical none false gesund gutartig
    kontrolle befundlos sain temoin sano benin saudavel -
    """
)
_DISEASED = words(
    """
    positive pos positif positivo positiv disease diseased abnormal abnormality abnormalities malignant malignancy
    yes true finding findings infected infection parasitized parasitised pathologic pathological affected sick ill
    tumor tumors tumour tumours cancer cancers cancerous lesion lesions nodule nodules mass polyp polyps fracture
    fractured fractures hemorrhage haemorrhage bleeding stroke edema oedema effusion plaque ulcer cyst metastatic
    covid glaucoma cataract defect defective suspicious anomaly irregular active symptomatic krank befund auffallig
    mel bcc scc akiec bosartig krebs malade anormal malin enfermo maligno cancer malato doente +
    """
)
_DISEASED_ENDINGS = ("oma", "omas", "itis", "osis", "pathy", "emia", "plasia", "sclerosis", "pneumonia", "ectasis")
_NO_DISEASE = frozenset({"stroma", "soma", "diagnosis", "mitosis", "meiosis"})
_NEGATIONS = words(
    """
    no not non without free absent absence never lacks kein keine nicht ohne sans pas sin senza sem nao
    """
)
_GLUED_NEGATIONS = ("non", "not", "no", "un")
# Names that mean "the rest", and names of whoever takes part: they decide only where no better word does.
_WEAKLY_HEALTHY = frozenset({"other", "others", "rest", "remaining", "background", "no"})
_WEAKLY_DISEASED = frozenset({"case", "cases", "patient", "patients"})
# "Non" belongs to these adjectives, and both kinds are diseases.
_KINDS_OF_DISEASE = frozenset({"hodgkin", "hodgkins", "small", "alcoholic", "proliferative", "ischemic", "ischaemic"})
_NEUTRAL = words(
    """
    case cases patient patients image images img scan scans class label group type tissue skin lung lungs chest eye
    eyes brain breast cell cells xray ct mri slide subject subjects person people sample samples
    """
)


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
    negated: bool


def tell_disease(first: str, second: str) -> DiseaseOfTwo:
    """Tell which of two class names means the disease.

    Names are split into words at everything that is no letter, before capitals and at digits. A name that negates the
    other (``no_``, ``non-``, ``without``, ``un...``) is healthy, or diseased where it negates health; then words that
    mean disease or health tell; then the greater of two numbers; then the alphabetically last name.

    Parameters
    ----------
    first, second : str
        Two different names.

    Returns
    -------
    DiseaseOfTwo
        `certain` where one name is the plain negation of the other, where one means disease and the other health, where
        one consists of telling words and the other says nothing, and for 0 and 1.
    """
    names = sorted((first, second), key=str.casefold)
    split = [split_words(name) for name in names]
    if negated := _negation_of_the_other(split):
        index, certain = negated
        return DiseaseOfTwo(names[index], certain)
    meanings = [_meaning(own, other) for own, other in (split, split[::-1])]
    if meanings[0].value != meanings[1].value:
        index = 0 if meanings[0].value > meanings[1].value else 1
        return DiseaseOfTwo(names[index], _leaves_no_doubt(meanings))
    return _by_number_or_last(names, split)


def split_words(name: str) -> list[str]:
    """Split a name into lower-case words without accents, numbers, and a sign at its end."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _WORDS.findall(_CAMEL_HUMP.sub(" ", plain).lower().strip())


def _negation_of_the_other(split: Sequence[list[str]]) -> tuple[int, bool] | None:
    """Return the index of the diseased name and whether that is certain, where one name is the other negated."""
    for index, (own, other) in enumerate((split, split[::-1])):
        kept, negations = _without_negations(own, other)
        if not negations or not kept or not _alike(kept, other):
            continue
        meaning = _value(other)
        if meaning < 0:
            return index, True
        doubtful = bool(_KINDS_OF_DISEASE & set(kept)) or (negations == ["un"] and meaning == 0)
        # "non-X disease" may negate X alone: another kind of the disease
        doubtful = doubtful or (negations == ["non"] and len(kept) > 1 and _value(kept[:1]) == 0 and _value(kept) > 0)
        return 1 - index, not doubtful
    return None


def _without_negations(own: list[str], other: list[str]) -> tuple[list[str], list[str]]:
    """Return a name's words without negations, glued ones included, and the negations."""
    kept, negations = [], []
    for word in own:
        if word in _NEGATIONS:
            negations.append(word)
        elif (prefix := _glued_negation(word, other)) is not None:
            negations.append(prefix)
            kept.append(word[len(prefix) :])
        else:
            kept.append(word)
    return kept, negations


def _glued_negation(word: str, other: list[str]) -> str | None:
    if word in _HEALTHY | _DISEASED:
        return None
    for prefix in _GLUED_NEGATIONS:
        rest = word.removeprefix(prefix)
        # "nodulosis" ends like a disease, but nobody means "no dulosis"
        tells = rest in _HEALTHY | _DISEASED or (prefix == "non" and _ends_like_a_disease(rest))
        if rest != word and (tells or _alike([rest], other)):
            return prefix
    return None


def _alike(some: list[str], others: list[str]) -> bool:
    """Tell whether two lists hold the same words, but for endings (fracture, fractured) and how they are joined."""
    joined, other = "".join(some), "".join(others)
    if not joined or not other:
        return False
    shorter = min(len(joined), len(other))
    return joined == other or (shorter >= 5 and joined[: shorter - 1] == other[: shorter - 1])


def _meaning(own: list[str], other: list[str]) -> _Meaning:
    only = [word for word in own if word not in other] or own
    kept, negations = _without_negations(only, other)
    value = _value(kept)
    if value == 0:
        weak = set(kept) or set(only)
        if weak and weak <= _WEAKLY_HEALTHY:
            return _Meaning(-1, "no" in weak and "yes" in other, False)
        if weak and weak <= _WEAKLY_DISEASED:
            return _Meaning(1, False, False)
        return _Meaning(-1 if negations else 0, False, bool(negations))
    wholly = all(_value([word]) != 0 or word in _NEUTRAL or word.isdigit() for word in kept)
    return _Meaning(-value if negations else value, wholly, bool(negations))


def _value(some: Sequence[str]) -> int:
    """Return 1 where words mean disease, -1 where they mean health (as of a benign tumour), 0 for neither."""
    if any(word in _HEALTHY for word in some):
        return -1
    return int(any(word in _DISEASED or _ends_like_a_disease(word) for word in some))


def _ends_like_a_disease(word: str) -> bool:
    return len(word) > 5 and word.endswith(_DISEASED_ENDINGS) and word not in _NO_DISEASE


def _leaves_no_doubt(meanings: Sequence[_Meaning]) -> bool:
    values = {meaning.value for meaning in meanings}
    telling = [meaning for meaning in meanings if meaning.value != 0]
    return (values == {-1, 1} and any(meaning.wholly for meaning in telling)) or all(each.wholly for each in telling)


def _by_number_or_last(names: Sequence[str], split: Sequence[list[str]]) -> DiseaseOfTwo:
    numbers = [[int(word) for word in own if word.isdigit()] for own in split]
    if all(len(found) == 1 for found in numbers) and numbers[0] != numbers[1]:
        plain = {name.strip() for name in names} == {"0", "1"}
        return DiseaseOfTwo(names[0] if numbers[0] > numbers[1] else names[1], plain)
    return DiseaseOfTwo(names[1], False)
