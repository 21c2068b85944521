"""Words that names of classes are made of: of health, of disease, of negation, and those that tell nothing.

English, and what German, French, Spanish, Italian and Portuguese hospitals write; lower case, without accents.
"""

from common.system.wording import words

HEALTHY = words(
    """
    negative neg negatif negativo negativ normal normale healthy health benign benigne benigno control controls
    nevus naevus nevi naevi nv wnl clean intact unremarkable unaffected stable typical none false gesund gutartig
    ok okay good fine healed cured alive viable usable adequate sufficient
    kontrolle normalbefund befundlos sain temoin sano benin saudavel -
    """
)
BENIGN_STATES = words("benign benigne benigno benin gutartig")
BENIGN = BENIGN_STATES | words("nevus naevus nevi naevi nv")
"""Healthy against a malignant class, and diseased against a normal one."""
DISEASED = words(
    """
    positive pos positif positivo positiv disease diseased abnormal abnormality abnormalities malignant malignancy
    yes ja oui si sim true present presence confirmed finding findings infected infection parasitized parasitised
    pathologic pathological affected sick ill unwell krank krankheit befund auffallig mel bcc scc akiec bosartig krebs
    malade anormal malin enfermo maligno malato doente defect defective suspicious suspect anomaly irregular active
    symptomatic cancer cancers cancerous tumor tumors tumour tumours lesion lesions lesao nodule nodules mass masses
    calcification calcifications polyp polyps fracture fractured fractures fraktur hemorrhage haemorrhage bleeding
    stroke infarct infarction ischemia ischaemia edema oedema effusion plaque ulcer cyst cysts stone stones metastatic
    metastases adenomatous hyperplastic dysplastic necrotic covid tb malaria influenza monkeypox mpox measles
    chickenpox pneumothorax consolidation opacity embolism thrombus aneurysm abscess hernia rupture ruptured tear torn
    glaucoma cataract drusen cnv dme amd dr diabetic diabetes demented dementia alzheimer alzheimers parkinson
    parkinsons referable autism epilepsy vitiligo eczema acne wart warts caries cavity +
    """
)
DISEASED_ENDINGS = (
    "oma", "omas", "itis", "osis", "pathy", "emia", "plasia", "sclerosis", "pneumonia", "ectasis", "iasis", "penia",
)  # fmt: skip
NO_DISEASE = frozenset({"stroma", "soma", "diagnosis", "mitosis", "meiosis"})
"""Words that end like a disease and are none."""

STATES = words(
    """
    malignant cancerous infected active referable positive symptomatic abnormal suspicious affected diseased pathologic
    pathological metastatic ruptured fractured
    """
)
"""What a disease is like; its negation is no other disease: non-malignant tumour, against non-covid pneumonia."""

NEGATIONS = words(
    """
    no not non without free absent absence never lacks rule ruled excluded kein keine nicht ohne nein sans pas sin senza
    sem nao
    """
)
GLUED_NEGATIONS = ("non", "not", "no", "un", "in")
# They may belong to an adjective (untreated, non-proliferative) and leave the disease as it is.
ADJECTIVES_NEGATIONS = frozenset({"non", "un", "in"})
KINDS_OF_DISEASE = words("hodgkin hodgkins small alcoholic proliferative ischemic ischaemic tuberculous")
"""Adjectives whose negation is another disease."""

# They decide only where no better word does: the rest, whoever takes part, degrees.
WEAKLY_HEALTHY = words("other others rest remaining background clear low mild early minor")
WEAKLY_DISEASED = words("case cases patient patients high severe advanced late major")

FILLERS = words("with mit con avec com has having of for the a any out seen evidence sign signs apparent de d du di da")
NEUTRAL = words(
    """
    case cases patient patients image images img scan scans class label group type tissue skin lung lungs chest eye
    eyes brain breast cell cells xray ct mri slide subject subjects person people sample samples retina fundus cornea
    kidney liver heart bone bones colon cecum pylorus stomach mucosa thyroid prostate spine knee wrist hand tooth teeth
    lymph node blood smear
    """
)
