"""Which of two names means the disease, and where that is only a guess."""

import pytest

from common.dataset.class_names import tell_disease

# (healthy, diseased)
CERTAIN = [
    ("no_hemorrhage", "hemorrhage"),
    ("non-covid", "covid"),
    ("NonCOVID", "COVID"),
    ("Uninfected", "Parasitized"),
    ("uninfected", "infected"),
    ("not_glaucoma", "glaucoma"),
    ("without_polyp", "polyp"),
    ("nevus", "melanoma"),
    ("nv", "mel"),
    ("Normal cases", "Malignant cases"),
    ("Normal cases", "Bengin_unknown_word"),
    ("normal", "abnormal"),
    ("no_tumor", "tumor"),
    ("notumor", "glioma"),
    ("no_tumour", "tumour"),
    ("0", "1"),
    ("nonAMD", "AMD"),
    ("no nodule", "nodule"),
    ("benign", "malignant"),
    ("benign_tumor", "malignant_tumor"),
    ("healthy", "unhealthy"),
    ("normal", "not_normal"),
    ("nonmelanoma", "melanoma"),
    ("control", "patient"),
    ("control", "case"),
    ("negative", "positive"),
    ("Negative", "kaposi"),
    ("COVID_neg", "COVID_pos"),
    ("COVID-", "COVID+"),
    ("No_DR", "DR"),
    ("ok", "not ok"),
    ("healed", "not healed"),
    ("viable", "non-viable"),
    ("benign", "non-benign"),
    ("gutartig", "nicht gutartig"),
    ("normal tissue", "not normal tissue"),
    ("NoDR", "DR"),
    ("not_fractured", "fracture"),
    ("non-cancer", "cancer"),
    ("not_mel", "mel"),
    ("no", "yes"),
    ("false", "true"),
    ("No Finding", "Pneumonia"),
    ("no_abnormality", "abnormality"),
    ("tumor_free", "tumor"),
    ("gesund", "krank"),
    ("unauffällig", "auffällig"),
    ("ohne Befund", "Befund"),
    ("sain", "malade"),
    ("bénin", "malin"),
    ("sin_cancer", "cancer"),
    ("0_normal", "1_tumor"),
    ("1_normal", "0_tumor"),
    ("normal", "sarcoidosis"),
    ("HealthyLung", "FibrosisLung"),
    ("stable", "unstable"),
    ("no_lung_cancer", "lung_cancer"),
    ("without_polyp", "with_polyp"),
    ("ohne_tumor", "mit_tumor"),
    ("sin_lesion", "con_lesion"),
    ("pas_de_lésion", "lésion"),
    ("no_evidence_of_disease", "disease"),
    ("fracture ruled out", "fracture"),
    ("absent", "present"),
    ("lesion_no", "lesion_yes"),
    ("nein", "ja"),
    ("não", "sim"),
    ("Glaucoma -ve", "Glaucoma +ve"),
    ("ER (-)", "ER (+)"),
    ("tumor=0", "tumor=1"),
    ("Normal", "AbNormal"),
    ("CT_NonCOVID", "CT_COVID"),
    ("No_DR", "Proliferate_DR"),
    ("NODR", "DR"),
    ("non_glaucoma", "suspicious_glaucoma"),
    ("NonDemented", "MildDemented"),
    ("benign_without_callback", "malignant"),
    ("non-malignant tumour", "malignant tumour"),
    ("inactive TB", "active TB"),
    ("density1Benign", "density1Malignant"),
    ("Normalbefund", "Pathologisch"),
    ("normal-cecum", "ulcerative-colitis"),
]
# (healthy, diseased): taken so, and called a guess
GUESSED = [
    ("no_tumor", "benign_tumor"),
    ("no fracture", "stable fracture"),
    ("no glaucoma", "normal tension glaucoma"),
    ("no cancer", "triple negative cancer"),
    ("no_nevus", "nevus"),
    ("no stable angina", "stable angina"),
    ("no normal tension glaucoma", "normal tension glaucoma"),
    ("no benign tumor", "benign tumor"),
    ("benign_tumor", "non-benign_tumor"),
    ("nevus", "non-nevus"),
    ("stable angina", "unstable angina"),
    ("no_free_fluid", "free_fluid"),
    ("no free air", "free air"),
    ("non-xyz", "xyz"),
    ("cats", "dogs"),
    ("alpha", "beta"),
    ("class_a", "class_b"),
    ("1", "2"),
    ("9", "10"),
    ("stage0", "stage1"),
    ("other", "kaposi"),
    ("control_site_x", "kaposi"),
    ("AD", "HC"),
    ("carcinoma", "melanoma"),
    ("non-small-cell carcinoma", "small-cell carcinoma"),
    ("non_hodgkin", "hodgkin"),
    ("nonproliferative retinopathy", "proliferative retinopathy"),
    ("normal", "benign"),
    ("normal", "normal variant"),
    ("low-grade", "high-grade"),
    ("mild", "severe"),
    ("clear_cell", "papillary"),
    ("calcification", "mass"),
    ("Pneumonia", "TB"),
    ("Cyst", "Stone"),
    ("treated_tumor", "tumor"),
    ("post-stroke", "stroke"),
    ("dyed-lifted-polyps", "polyps"),
    ("untreated cancer", "treated cancer"),
    ("non-covid pneumonia", "covid pneumonia"),
    ("nonmelanoma skin cancer", "melanoma"),
    ("triple_negative", "luminal"),
    ("bilateral", "unilateral"),
    ("tumor_removed", "tumor"),
]


@pytest.mark.parametrize("names", [("nonunion", "union"), ("patent", "not patent")])
def test_a_negation_of_what_is_not_known_is_a_guess(names: tuple[str, str]) -> None:
    assert not tell_disease(*names).certain


@pytest.mark.parametrize(("healthy", "diseased"), CERTAIN)
def test_names_that_leave_no_doubt(healthy: str, diseased: str) -> None:
    for pair in ((healthy, diseased), (diseased, healthy)):
        told = tell_disease(*pair)
        assert (told.name, told.certain) == (diseased, True)


@pytest.mark.parametrize(("healthy", "diseased"), GUESSED)
def test_a_guess_is_called_one(healthy: str, diseased: str) -> None:
    for pair in ((healthy, diseased), (diseased, healthy)):
        told = tell_disease(*pair)
        assert (told.name, told.certain) == (diseased, False)
