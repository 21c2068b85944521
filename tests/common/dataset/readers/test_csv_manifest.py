"""A CSV manifest becomes records, and what is wrong with it is said in one line."""

from pathlib import Path

import pytest

from common.dataset.loading import load_dataset
from common.dataset.settings import DatasetSettings
from common.imaging.limits import ImageLimits
from tests.common.dataset.written_data import failure, labels, picture, table


class TestCsv:
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_dialects(self, tmp_path: Path, separator: str, encoding: str, newline: str) -> None:
        rows = [
            ["note", "path ", "label", "patient_id", "site"],
            ['"häut, x; y"', " pix/b.png", "yes ", "p1", "north"],
            [],
            ["", "pix\\a.png", "no", "p2", "south"],
        ]
        root = table(tmp_path, newline.join(separator.join(row) for row in rows), encoding=encoding)
        dataset = load_dataset(root)
        assert labels(dataset) == {"pix/a.png": "no", "pix/b.png": "yes"}
        assert [record.patient for record in dataset.records] == ["p2", "p1"]
        assert [record.site for record in dataset.records] == ["south", "north"]
        assert dataset.patient_source == "column 'patient_id'"
        assert dataset.name == tmp_path.name

    def test_a_csv_by_its_own_name_and_other_columns(self, tmp_path: Path) -> None:
        root = table(tmp_path, "file,dx,who,clinic\npix/a.png,1,p,n\npix/b.png,0,q,n\n", name="list.csv")
        settings = DatasetSettings("file", "dx", "who", "clinic")
        dataset = load_dataset(root / "list.csv", settings)
        assert dataset.name == "list"
        assert [(r.patient, r.site, r.label) for r in dataset.records] == [("p", "n", 1), ("q", "n", 0)]

    def test_no_patient_column(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label,patient\npix/a.png,1,p\npix/b.png,0,p\n")
        none = load_dataset(root, DatasetSettings(patient_column="none"))
        assert [record.patient for record in none.records] == ["pix/a.png", "pix/b.png"]
        by_name = load_dataset(root, DatasetSettings(patient_pattern="."))
        assert [record.patient for record in by_name.records] == ["a", "b"]
        message = failure(root, DatasetSettings(patient_column="patient", patient_pattern="."))
        assert "set one of the two to 'none'" in message

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("path,label\n", "no images"),
            ("where,label\npix/a.png,x", "no path column 'path'; the columns there are 'where', 'label'"),
            ("path;what\npix/a.png;x", "no label column 'label'; the columns there are 'path', 'what'"),
            ("pix/a.png,x\npix/b.png,y", "row 1 must name the columns, such as path,label; it holds 'pix/a.png', 'x'"),
            ("path,class,dx\npix/a.png,x,x", "the label may be in 'class' or in 'dx'; name one in data.label_column"),
            ("path,Label,LABEL\npix/a.png,x,y", "the label may be in 'Label' or in 'LABEL'"),
            ("path,label,Patient key (hashed)\npix/a.png,x,1", "'Patient key (hashed)' may tell the patient"),
            ('path,label\npix/a.png,"x\npix/b.png,y\npix/c.png,y\n', "row 2: a double quote is opened here and never"),
            ('path,label,note\npix/a.png,x,"n\npix/b.png,y,"\npix/c.png,y,z\n', "row 2: a double quote swallows 1 of"),
            ('path,label\npix/a.png,"x\nx"\n', "row 2: the column 'label' has several lines"),
            ("path,label\npix/a.png,x\npix/b.png,nan\n", "row 3: 'nan' in the column 'label' is no value"),
            ("path,label\npix/a.png,x|y\npix/b.png,x\n", "row 2: 'x|y' names several classes"),
            ("path,MEL,NV\npix/a.png,1,0\npix/b.png,1,1\n", "row 3: no label column, and 'MEL' and 'NV' are both 1"),
            ("path,MEL,NV\npix/a.png,1,0\npix/b.png,0,0\n", "row 3: no label column, and none of 'MEL', 'NV'"),
            ("path,melanoma\npix/a.png,1\npix/b.png,0\n", "if 'melanoma', which holds 0 and 1, is it, name it"),
            ("PK\x03\x04", "is an Excel workbook under another name"),
            ("path,label\nA,x\n", "row 2: 'A' may be "),
            ("path,label,label\npix/a.png,x,y", "column 'label' is there 2 times"),
            ("path,label\npix/a.png,\n", "row 2: the column 'label' is empty"),
            ("path,label\npix/a.png\n", "row 2: the column 'label' is empty"),
            ("path,label\n,x\n", "row 2: the column 'path' is empty"),
            ("path,label,patient\npix/a.png,x,p\n\npix/b.png,y,\n", "row 4: the column 'patient' is empty"),
            ("path,label\npix/a.png,x\npix/u.png,y\npix/v.png,y\npix/w.png,y", "row 3: there is no file 'pix/u.png'"),
            ("path,label\npix,x\n", "row 2: there is no file 'pix'"),
            ("path,label\npix/a.png,x\npix/u.png,y\npix/v.png,y\n", "and 1 further rows"),
            ("path,label\npix/a.png,x\npix/b.png,y\npix/../pix/a.png,x\n", "row 4: 'pix/a.png' is in row 2 already"),
            ("path,label\n/etc/hosts,x\n", "row 2: '/etc/hosts' is not a path relative"),
            ("path,label\nC:\\x.png,x\n", "is not a path relative"),
            ("path,label\n..\\x.png,x\n", "row 2: '../x.png' leads out of"),
            ("path,label\npix/../../x.png,x\n", "leads out of"),
            ("path,label\npix/a\0.png,x\n", "is no text file (it holds zero bytes)"),
            ("path,label\npix/link.png,x\n", "row 2: 'pix/link.png' leads out of"),
            ("path,label\npix/loop.png,x\n", "row 2: "),
            ("path,label\npix/a.png,x,left over\n", "row 2: has 3 cells where the header has 2"),
            ("path,label\npix/a.png,only\n", "only the class 'only'"),
            ("path,label\n" + "x" * 200_000 + ",y\n", "is no CSV file"),
            ("x" * 200_000, "is no CSV file"),
        ],
    )  # fmt: skip
    def test_rows_that_cannot_be_used(self, tmp_path: Path, text: str, message: str) -> None:
        root = table(tmp_path / "root", text)
        picture(root / "other" / "A.png", 9)
        (root / "pix" / "link.png").symlink_to(picture(tmp_path / "outside.png", 1))
        (root / "pix" / "loop.png").symlink_to(root / "pix" / "loop.png")
        assert message in failure(root)

    def test_columns_asked_for_must_be_there(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label\npix/a.png,x\npix/b.png,y\n")
        there = "the columns there are 'path', 'label'"
        assert f"no patient column 'lesion'; {there}" in failure(root, DatasetSettings(patient_column="lesion"))
        assert f"no site column 'clinic'; {there}" in failure(root, DatasetSettings(site_column="clinic"))

    def test_not_utf8_and_too_large(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label\npix/ä.png,x\n", encoding="latin-1")
        assert "row 2: is not UTF-8 text (byte 15)" in failure(root)
        assert "more than the limit" in failure(root, limits=ImageLimits(max_bytes=10))

    def test_columns_taken_for_classes_are_said(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,male,female\npix/a.png,1,0\npix/b.png,0,1\n")
        assert any("classes are the columns of 0 and 1, 'male', 'female'" in note for note in load_dataset(root).notes)

    def test_a_label_that_is_mistyped_once(self, tmp_path: Path) -> None:
        rows = [f"pix/{name}.png,{'melanoma' if index % 2 else 'nevus'}" for index, name in enumerate("abcdefgh")]
        for number, name in enumerate("efgh", start=10):
            picture(tmp_path / "pix" / f"{name}.png", number)
        wrong = "\n".join(["path,label", *rows[:-1], "pix/h.png,melanomma"])
        assert "row 9: the label 'melanomma' is nearly 'melanoma', which 3 rows have" in failure(table(tmp_path, wrong))
        all_three = DatasetSettings(classes=("nevus", "melanoma", "melanomma"))
        assert len(load_dataset(tmp_path / "manifest.csv", all_three).classes) == 3
        grades = wrong.replace("melanomma", "stage 12").replace("melanoma", "stage 11")
        assert len(load_dataset(table(tmp_path, grades)).classes) == 3

    def test_one_patient_of_all_is_nobody(self, tmp_path: Path) -> None:
        names = [f"{number:02}" for number in range(12)]
        for number, name in enumerate(names):
            picture(tmp_path / "pix" / f"{name}.png", number)
        rows = [f"pix/{name}.png,{'xy'[int(name) % 2]},{'0' if int(name) < 11 else '7'}" for name in names]
        message = failure(table(tmp_path, "\n".join(["path,label,patient", *rows])))
        assert "'0' in the column 'patient' is the patient of 11 of 12 images" in message

    def test_dangling_manifest_link(self, tmp_path: Path) -> None:
        (tmp_path / "list.csv").symlink_to(tmp_path / "gone")
        assert "no such folder or file" in failure(tmp_path / "list.csv")

    @pytest.mark.parametrize(
        ("text", "encoding", "name"),
        [
            ("path\tlabel\npix/a.png\tx\npix/b.png\ty\n", "utf-16", "manifest.csv"),
            ("path\tlabel\npix/a.png\tx\npix/b.png\ty\n", "utf-8", "manifest.tsv"),
            ("sep=;\npath;label\npix/a.png;x\npix/b.png;y\n", "utf-8", "Manifest.CSV"),
            ("path|label\npix/a.png|x\npix/b.png|y\n", "utf-8", "manifest.csv"),
            (' "path", "label"\npix/a.png, x\npix/b.png, "y"\n', "utf-8", "manifest.csv"),
            ("Image ID,Diagnosis\na,x\nb,y\n", "utf-8", "manifest.csv"),
            ("path,label\nPIX/A.PNG,x\npix/b,y\n", "utf-8", "manifest.csv"),
            ("path,x,y,age\npix/a.png,1.0,0.0,61\npix/b.png,0,1,70\n", "utf-8", "manifest.csv"),
        ],
    )
    def test_tables_of_other_programs(self, tmp_path: Path, text: str, encoding: str, name: str) -> None:
        dataset = load_dataset(table(tmp_path, text, name, encoding))
        assert labels(dataset) == {"pix/a.png": "x", "pix/b.png": "y"}

    @pytest.mark.parametrize(
        "header", ["Patient ID", "PatientID", "PATIENT", "subject_id", "Case ID", "Participant", "patient-no.", "MRN"]
    )
    def test_a_patient_however_the_column_is_spelt(self, tmp_path: Path, header: str) -> None:
        text = f"Path,Label,{header},Site\npix/a.png,x,7.0,north\npix/b.png,y,8,south\n"
        dataset = load_dataset(table(tmp_path, text))
        assert [record.patient for record in dataset.records] == ["7", "8"]
        assert [record.site for record in dataset.records] == ["north", "south"]
        assert dataset.patient_source == f"column {header!r}"

    def test_a_person_counts_before_his_lesion(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label,lesion_id,Patient\npix/a.png,x,l1,p\npix/b.png,y,l2,p\n")
        assert {record.patient for record in load_dataset(root).records} == {"p"}
        by_lesion = load_dataset(root, DatasetSettings(patient_column="Lesion ID"))
        assert {record.patient for record in by_lesion.records} == {"l1", "l2"}

    def test_what_patients_are_like_is_not_who_they_are(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label,patient_age,Patient Sex\npix/a.png,x,61,f\npix/b.png,y,61,f\n")
        assert load_dataset(root).patient_source == "each image its own patient"

    def test_the_column_none_insists(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label,Patient key (hashed)\npix/a.png,x,1\npix/b.png,y,1\n")
        assert (
            len({record.patient for record in load_dataset(root, DatasetSettings(patient_column="none")).records}) == 2
        )

    def test_numbers_with_and_without_decimals_are_one_label(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label\npix/a.png,1\npix/b.png,1.0\npix/c.png,0\n")
        assert load_dataset(root).classes == ("0", "1")

    def test_accents_are_found_however_they_are_coded(self, tmp_path: Path) -> None:
        picture(tmp_path / "Mu\u0308ller.png", 1)
        picture(tmp_path / "b.png", 2)
        (tmp_path / "manifest.csv").write_text("path,label\nM\u00fcller.png,x\nb.png,y\n", encoding="utf-8")
        assert len(load_dataset(tmp_path).records) == 2

    def test_two_manifests_are_one_too_many(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label\npix/a.png,x\n")
        table(tmp_path, "path\tlabel\npix/a.png\tx\n", "manifest.tsv")
        assert "keep one manifest there" in failure(root)

    def test_what_the_manifest_does_not_list_is_said(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label\npix/a.png,x\npix/b.png,y\n")
        (root / "labels-2.csv").write_text("path,label\n")
        (root / "pix" / "scan.gif").write_bytes(b"GIF89a")
        dataset = load_dataset(root)
        assert [image.name for image in dataset.excluded] == ["pix/c.png", "pix/d.png", "pix/scan.gif"]
        assert dataset.files.lines() == [
            "6 files found, 2 used, 3 images left out",
            "left out: 1 .gif: .gif is not read; convert it to PNG",
            "left out: 2 .png: manifest.csv does not list it",
            "not images: labels-2.csv; of tables only a manifest.csv is read",
        ]

    def test_a_whole_folder_that_the_manifest_does_not_list_is_said(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label\npix/a.png,x\npix/b.png,y\npix/c.png,x\npix/d.png,y\n")
        picture(root / "rare" / "deeper" / "e.png", 9)
        (root / "rare" / ".DS_Store").write_bytes(b"x")
        assert load_dataset(root).files.lines() == [
            "5 files found, 4 used, 1 image left out",
            "left out: 1 .png: manifest.csv does not list it",
        ]

    def test_masks_that_the_manifest_lists_are_used_and_said(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label\npix/a.png,x\npix/a_mask.png,x\npix/b.png,y\npix/c.png,x\npix/d.png,y\n")
        picture(root / "pix" / "a_mask.png", 9)
        dataset = load_dataset(root)
        assert dataset.remark == "1 row of the manifest may name masks, such as pix/a_mask.png; delete those that do"
        assert len(dataset.records) == 5

    def test_a_patient_of_two_sites_counts_to_the_one_with_most_images(self, tmp_path: Path) -> None:
        rows = ["a.png,x,p,north", "b.png,x,p,south", "c.png,y,p,south", "d.png,y,q,north"]
        root = table(tmp_path, "path,label,patient,site\n" + "".join(f"pix/{row}\n" for row in rows))
        dataset = load_dataset(root)
        assert [record.site for record in dataset.records] == ["south", "south", "south", "north"]
        assert dataset.moved is not None
        assert dataset.moved.startswith("1 patient with images at several sites: ")
        assert "(1 image moved)" in dataset.moved

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("path,label,patient\npix/a.png,x,-\npix/b.png,y,1\n", "row 2: '-' in the column 'patient' is no patient"),
            (
                "path,label,patient\npix/a.png,x,1\npix/b.png,y,Unknown\n",
                "row 3: 'Unknown' in the column 'patient' is no",
            ),
            (
                "path,label,patient\npix/a.png,x,1.23457E+11\npix/b.png,y,2\n",
                "a number whose last digits a spreadsheet",
            ),
            (
                "path,label,patient\npix/a.png,x,p1\npix/b.png,y,P1\n",
                "row 3: the patient 'P1' is written 'p1' in row 2",
            ),
            (
                "path,label,patient\npix/a.png,x,007\npix/b.png,y,7\n",
                "row 3: the patient '7' is written '007' in row 2",
            ),
            (
                "path,label,site\npix/a.png,x,North\npix/b.png,y,north\n",
                "row 3: the site 'north' is written 'North' in row 2",
            ),
            ("path,label\n" + "a" * 5000 + ",x\n", "row 2: 'aaaaaaaaaa"),
            ("path,label\npix/a.png,#REF!\npix/b.png,y\n", "row 2: '#REF!' in the column 'label' is no value"),
            ('path,label\npix/a.png,"x;y"\npix/b.png,y\n', "row 2: 'x;y' names several classes"),
            ("path,label\npix/a.png,['x']\npix/b.png,y\n", "row 2: \"['x']\" names several classes"),
            (
                'path,label\npix/a.png,"x, y"\npix/b.png,y\npix/c.png,x\n',
                "the label 'x, y' names several classes, which",
            ),
            (
                "path,label\npix/a.png,basal_cell\npix/b.png,basal cell\npix/c.png,x\n",
                "row 3: the label 'basal cell' is written 'basal_cell' in row 2",
            ),
            ("path,label\npix/a.png,0\npix/b.png,00\npix/c.png,1\n", "row 3: the label '00' is written '0' in row 2"),
            ("path,label\npix/a.png,1\npix/b.png,True\npix/c.png,0\n", "row 3: the label 'True' stands beside '1', in"),
            ("path,label\npix/a.png,no\npix/b.png,N\npix/c.png,yes\n", "row 3: the label 'N' stands beside 'no', in"),
            ("path,label,patient\npix/a.png,x,k. A.\npix/b.png,y,1\n", "row 2: 'k. A.' in the column 'patient' is no"),
            ("path,label,patient\npix/a.png,x,Anonymous^^\npix/b.png,y,1\n", "row 2: 'Anonymous^^' in the column"),
            ("path,label,patient\npix/a.png,x,'0\npix/b.png,y,00\n", "row 3: the patient '00' is written '0' in row 2"),
            (
                "path,label,lesion_id,Patient Name\npix/a.png,x,1,a\npix/b.png,y,2,a\n",
                "the column 'Patient Name' may tell",
            ),
            ("path,label,case_id,patient_uid\npix/a.png,x,1,a\npix/b.png,y,2,a\n", "and so may 'case_id'; name one in"),
            ("path,label,Nachname\npix/a.png,x,A\npix/b.png,y,B\npix/c.png,y,B\n", "the column 'Nachname' may tell"),
            (
                "path,label,case_id,surname\npix/a.png,x,1,A\npix/b.png,y,2,B\npix/c.png,y,3,B\n",
                "'surname' may tell the patient, and so",
            ),
            (
                "path,label,patient\npix/a.png,x,000000\npix/b.png,y,1\n",
                "row 2: '000000' in the column 'patient' is no",
            ),
            (
                "path,label\npix/a.png,pos\npix/b.png,positive\npix/c.png,neg\n",
                "row 3: the label 'positive' stands beside",
            ),
            ("path,label,病人\npix/a.png,x,A\npix/b.png,y,B\n", "the column '病人' may tell the patient"),
            ("path,train,test\npix/a.png,1,0\npix/b.png,0,1\n", "'train', which holds 0 and 1, looks like a split"),
            (
                'path,label,note,reader\npix/a.png,x\npix/b.png,"y\npix/c.png,x\npix/d.png,y"\n',
                "row 3: a double quote swallows 2 of the rows",
            ),
            (
                'path,label,note\npix/a.png,x,"big" one\npix/b.png,y,\n',
                "row 2: a cell in double quotes goes on after its",
            ),
            ('path,label\npix/a.png,"x\n' + "pix/b.png,y\n" * 20000, "row 2: a double quote is opened here and never"),
            ("path label\npix/a.png x\npix/b.png y\n", "row 1: holds one cell, 'path label'; the first row must name"),
            ("Export of 2024\n\npath,label\npix/a.png,x\n", "row 1: holds one cell, 'Export of 2024'"),
            ("sep=;\npath,label\npix/a.png,x\n", "row 2: holds one cell, 'path,label'"),
        ],
    )
    def test_what_would_be_misread_without_a_word(self, tmp_path: Path, text: str, message: str) -> None:
        assert message in failure(table(tmp_path, text))

    def test_a_label_is_what_is_seen_of_it(self, tmp_path: Path) -> None:
        root = table(
            tmp_path, "path,label\npix/a.png,basal  cell\u200b\npix/b.png,basal cell\npix/c.png,none\npix/d.png,none"
        )
        assert set(labels(load_dataset(root)).values()) == {"basal cell", "none"}

    def test_an_old_workbook_under_another_name(self, tmp_path: Path) -> None:
        (table(tmp_path, "") / "manifest.csv").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99))
        assert "is an Excel workbook under another name; save it as 'CSV UTF-8'" in failure(tmp_path)

    @pytest.mark.parametrize(
        "header", ["Pat-ID", "PTID", "Study Subject", "subj_id", "Patientennummer", "Fall-ID", "Proband"]
    )
    def test_more_names_of_patients(self, tmp_path: Path, header: str) -> None:
        root = table(tmp_path, f"path,label,{header}\npix/a.png,x,1\npix/b.png,y,1\n")
        assert load_dataset(root).patient_source == f"column {header!r}"

    @pytest.mark.parametrize(
        "header", ["Paziente", "ID patient", "Hospital Number", "StudyInstanceUID", "exam_id", "Record No"]
    )
    def test_a_column_that_may_group_images_by_patient_is_asked_for(self, tmp_path: Path, header: str) -> None:
        root = table(tmp_path, f"path,label,{header}\npix/a.png,x,1\npix/b.png,y,1\npix/c.png,x,2\npix/d.png,y,2\n")
        assert f"{header!r} may tell the patient" in failure(root)
        assert load_dataset(root, DatasetSettings(patient_column="none")).patient_source == "each image its own patient"

    @pytest.mark.parametrize("header", ["patient_sex", "camera_id", "image_id", "rad_id", "Age"])
    def test_a_column_of_something_else_is_not_asked_for(self, tmp_path: Path, header: str) -> None:
        root = table(tmp_path, f"path,label,{header}\npix/a.png,x,1\npix/b.png,y,1\npix/c.png,x,2\npix/d.png,y,2\n")
        assert load_dataset(root).patient_source == "each image its own patient"

    @pytest.mark.parametrize("column", ["Referring clinic", "institution_code", "hôpital_id", "Standort"])
    def test_an_unknown_column_that_may_tell_the_site_is_said(self, tmp_path: Path, column: str) -> None:
        rows = "pix/a.png,x,n,skin\npix/b.png,y,s,skin\npix/c.png,y,s,skin\n"
        assert load_dataset(table(tmp_path, f"path,label,{column},anatom_site\n{rows}")).remark == (
            f"the column {column!r} is not read: where it tells the hospital, name it in data.site_column"
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("where,label\npix/a.png,x\npix/b.png,y\n", "'where' names files: set data.path_column to it"),
            ("a,x\nb,y\n", "row 1 must name the columns, such as path,label; it holds 'a', 'x'"),
            ("path,grade\na,x\nb,y\nc,x\nd,y\n", "if it is 'grade' (2 different values), name it in data.label_column"),
            ("path,label\npix/a.jpg,x\n", "there is no file 'pix/a.jpg' in"),
            ("path,label\npix/a.jpg,x\n", "'pix/a.png' is there: mend the paths"),
            ("path,label\nimages/b.png,x\n", "'pix/b.png' is there: mend the paths"),
            ("path,x,y\na,1,2\nb,2,3\nc,1,2\nd,2,3\n", "no label column 'label'"),
        ],
    )
    def test_the_nearest_right_thing_is_named(self, tmp_path: Path, text: str, message: str) -> None:
        assert message in failure(table(tmp_path, text))

    def test_of_two_columns_of_paths_the_one_that_names_files(self, tmp_path: Path) -> None:
        assert len(load_dataset(table(tmp_path, "image_id,filename,label\n1,a.png,x\n2,b.png,y\n")).records) == 2
        assert len(load_dataset(table(tmp_path, "image_id,filename,label\na,a.png,x\nb,b.png,y\n")).records) == 2
        assert "may be in" in failure(table(tmp_path, "image_id,filename,label\na,b.png,x\nb,a.png,y\n"))

    @pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("TRUE", "FALSE"), ("1", "")])
    def test_one_column_a_class(self, tmp_path: Path, yes: str, no: str) -> None:
        root = table(tmp_path, f"image,MEL,NV\na,{yes},{no}\nb,{no},{yes}\n")
        assert labels(load_dataset(root)) == {"pix/a.png": "MEL", "pix/b.png": "NV"}

    def test_the_columns_of_chestx_ray14(self, tmp_path: Path) -> None:
        text = "Image Index,Finding Labels,Patient ID\na.png,Effusion,1\nb.png,Effusion|Mass,1\n"
        assert "row 3: 'Effusion|Mass' names several classes" in failure(table(tmp_path, text))

    def test_the_end_of_a_file_of_dos_is_no_row(self, tmp_path: Path) -> None:
        assert len(load_dataset(table(tmp_path, "path,label\npix/a.png,x\npix/b.png,y\n\x1a")).records) == 2

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("labels.csv", "; if labels.csv lists the images, give "),
            ("labels.xlsx", "; if labels.xlsx lists the images, save it as manifest.csv ('CSV UTF-8')"),
        ],
    )
    def test_a_table_beside_images_without_classes_is_named(self, tmp_path: Path, name: str, message: str) -> None:
        for shade in (1, 2):
            picture(tmp_path / f"{shade}.png", shade)
        (tmp_path / name).write_text("path,label\n1,x\n2,y\n")
        assert message in failure(tmp_path)
        if name == "labels.csv":
            assert len(load_dataset(tmp_path / name).records) == 2
        else:
            assert "is a workbook; save the table as 'CSV UTF-8'" in failure(tmp_path / name)
