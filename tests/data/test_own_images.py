"""Images as people have them: everything readable is read, everything else is counted and named."""

import logging
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossprint.data.decoding import decode_image, image_suffixes, read_image
from lossprint.data.index import validation_classes
from lossprint.data.sources.cars196 import Cars196
from lossprint.data.sources.image_folder import ImageFolder
from lossprint.data.store import open_store
from tests.data.miniatures import cars_torchvision, write_image

CLASSES = ("ash", "birch", "cedar", "fir")
GREYS = {name: 40 * (1 + position) for position, name in enumerate(CLASSES)}


def class_folders(root: Path, suffix: str = ".png", names: tuple[str, ...] = CLASSES) -> None:
    for position, name in enumerate(names):
        for copy in range(2):
            write_image(root / name / f"{copy}{suffix}", 40 * (1 + position) + copy)


def inventory(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(record.getMessage() for record in caplog.records)


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


# What can be read is read


@pytest.mark.parametrize(
    "suffix",
    [".jfif", ".JPE", ".gif", ".avif", ".tga", ".jp2", ".pcx", ".dib", ".webp", ".pgm", ".ico"],
)
def test_every_format_that_pillow_reads_is_an_image(suffix: str, tmp_path: Path) -> None:
    assert suffix.lower() in image_suffixes()
    for position, name in enumerate(CLASSES):
        (tmp_path / name).mkdir()
        mode = "L" if suffix == ".pgm" else "RGB"
        grey = 40 * (1 + position)
        image = Image.new(mode, (32, 32), grey if mode == "L" else (grey,) * 3)
        image.save(tmp_path / name / f"0{suffix}")
    index = ImageFolder(tmp_path)().all_images
    assert index.class_names == CLASSES
    store = open_store(tmp_path / "cache", index, None)
    found = [float(image.float().mean()) for image in store.images(range(4))]
    assert found == pytest.approx(list(GREYS.values()), abs=3)


TURNS = {  # where the upper left corner of the stored pixels is shown: row, column
    1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", TURNS)
def test_photos_are_turned_as_their_exif_says(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :8] = 255
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", exif=exif)
    shown = read_image(tmp_path / f"a{suffix}", None)
    assert shown.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))
    row, column = TURNS[orientation]
    assert shown[row, column].min() > 200
    assert (shown[..., 0] > 127).sum() == 64


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing_turns_nothing(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.new("RGB", (4, 2)).save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png", None).shape == (2, 4, 3)


def grey16(path: Path) -> None:
    Image.fromarray(np.full((4, 4), 32896, np.uint16)).save(path)


def pgm16(path: Path) -> None:
    path.write_bytes(b"P5 4 4 65535\n" + np.full(16, 32896, ">u2").tobytes())


def palette(path: Path) -> None:
    image = Image.new("P", (4, 4), 7)
    image.putpalette([0, 0, 0] * 7 + [128, 128, 128] + [0, 0, 0] * 248)
    image.save(path)


def transparent(path: Path) -> None:
    Image.new("RGBA", (4, 4), (1, 1, 1, 127)).save(path)  # half of black over white


def transparent_palette(path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0] * 256)
    image.save(path, transparency=bytes([255, 127]))


def grey_alpha(path: Path) -> None:
    Image.new("LA", (4, 4), (0, 127)).save(path)


def ink(path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 0, 0, 127)).save(path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (grey16, "a.png"), (grey16, "a.tif"), (pgm16, "a.pgm"), (palette, "a.png"),
        (palette, "a.gif"), (transparent, "a.png"), (transparent, "a.webp"),
        (transparent_palette, "a.png"), (grey_alpha, "a.png"), (ink, "a.tif"),
    ],
)  # fmt: skip
def test_every_kind_of_pixel_gives_the_grey_that_is_seen(
    write: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    pixels = read_image(tmp_path / name, None)
    assert (pixels.shape, pixels.dtype) == ((4, 4, 3), np.uint8)
    assert np.abs(pixels.astype(int) - 128).max() <= 2


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_of_unknown_scale_are_refused(mode: str, tmp_path: Path) -> None:
    Image.new(mode, (4, 4), 1).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif: its pixels are 32-bit .* save it with 8 or 16"):
        decode_image(tmp_path / "a.tif")


def test_what_was_done_to_images_is_said_once(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    class_folders(tmp_path)
    grey16(tmp_path / "ash" / "deep.png")
    transparent(tmp_path / "fir" / "glass.png")
    frames = [Image.new("L", (4, 4), value) for value in (90, 200)]
    frames[0].save(tmp_path / "fir" / "moving.gif", save_all=True, append_images=frames[1:])
    images = ImageFolder(tmp_path)().all_images
    open_store(tmp_path / "cache", images, None)
    for remark in (
        "decoded 11 images",
        "1 scaled from 16 bits",
        "1 transparent, laid on white",
        "1 of several frames, of which the first is taken",
    ):
        assert remark in inventory(said)


# What is not read is counted and named


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"ash/notes.txt": "x"}, "left out: 1 file (.txt 1)"),
        ({"ash/a.cr2": "x", "fir/b.CR2": "x", "fir/c.xml": "x"}, "3 files (.cr2 2, .xml 1)"),
        ({"ash/README": "x", ".DS_Store": "x"}, "left out: 2 files ("),
        ({"ash/.thumbs/0.png": "x", "ash/.hidden.png": "x"}, "left out: 1 file (hidden 1)"),
        ({"labels.csv": "x", "ash/deep/list.json": "x"}, "2 files (.csv 1, .json 1)"),
        ({"ash/._0.jpg": "x", "ash/Thumbs.db": "x"}, "left out: 2 files ("),
        ({"oak/film.mp4": "x"}, "folders without an image are no classes: oak/"),
        ({"oak/a.txt": "x", "__MACOSX/ash/._0.jpg": "x"}, "are no classes: __MACOSX/, oak/"),
        ({}, "8 images, 4 classes (2 development, 2 test)"),
    ],
)
def test_files_that_are_no_images_are_counted(
    files: dict[str, str], told: str, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    class_folders(tmp_path)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content)
    assert len(ImageFolder(tmp_path)().all_images) == 8
    assert told in inventory(said)


def test_heic_is_read_with_an_extra_and_names_it_without(
    tmp_path: Path, said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folders(tmp_path)
    if ".heic" in image_suffixes():
        Image.new("RGB", (16, 16), (200, 40, 90)).save(tmp_path / "ash" / "phone.heic", quality=-1)
        assert len(ImageFolder(tmp_path)().all_images) == 9
        pixels = read_image(tmp_path / "ash" / "phone.heic", None)
        assert np.abs(pixels[8, 8].astype(int) - (200, 40, 90)).max() < 4
    without = frozenset(image_suffixes() - {".heic"})
    monkeypatch.setattr("lossprint.data.sources.listing.image_suffixes", lambda: without)
    (tmp_path / "ash" / "phone.heic").touch()
    assert len(ImageFolder(tmp_path)().all_images) == 8
    assert "1 file (.heic 1; pip install -e '.[heif]' reads .heic)" in inventory(said)


def test_links_that_lead_nowhere_and_images_in_no_class_are_counted(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    class_folders(tmp_path)
    (tmp_path / "ash" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "ash" / "pipe.png")
    write_image(tmp_path / "stray.png", 1)
    assert len(ImageFolder(tmp_path)().all_images) == 8
    told = "3 files (broken links 1, no plain files 1, in no class folder 1)"
    assert told in inventory(said)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty: copy it anew"),
        (b"<!DOCTYPE html><html>404</html>", "it is a web page: download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1", "it is a Git LFS pointer: git lfs pull"),
        (b"8BPS\0\1", "it is in no format that is read"),
    ],
)
def test_files_that_are_no_images_whatever_they_are_called(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=rf"cannot decode image .*a\.jpg: {reason}"):
        decode_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("place", ["ash/caf\udce9.png", "caf\udce9/0.png", "ash/\udcff/0.png"])
def test_names_that_no_table_can_hold_are_refused_with_the_remedy(
    place: str, tmp_path: Path
) -> None:
    class_folders(tmp_path)
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    os.rename(tmp_path / "ash" / "0.png", path)
    with pytest.raises(ValueError, match=r"\\udc.* is not in UTF-8: rename it; .*convmv"):
        ImageFolder(tmp_path)()


@pytest.mark.parametrize("suffix", [".cr2", ".jxl", ".svg", ".dng"])
def test_a_class_of_pictures_that_cannot_be_read_does_not_vanish(
    suffix: str, tmp_path: Path
) -> None:
    class_folders(tmp_path)
    (tmp_path / "oak").mkdir()
    (tmp_path / "oak" / f"0{suffix}").write_text("x")
    with pytest.raises(ValueError, match=rf"'oak' \(1 file \(\{suffix} 1\)\). Convert them"):
        ImageFolder(tmp_path)()


def link_class(root: Path, elsewhere: Path) -> None:
    (root / "ash").rename(elsewhere / "ash")
    (root / "ash").symlink_to(elsewhere / "ash", target_is_directory=True)


def link_inner(root: Path, elsewhere: Path) -> None:
    (elsewhere / "more").mkdir()
    write_image(elsewhere / "more" / "9.png", 49)
    (root / "ash" / "linked").symlink_to(elsewhere / "more", target_is_directory=True)


def link_file(root: Path, elsewhere: Path) -> None:
    write_image(elsewhere / "9.png", 49)
    (root / "ash" / "9.png").symlink_to(elsewhere / "9.png")


def link_in_a_circle(root: Path, elsewhere: Path) -> None:
    (root / "ash" / "up").symlink_to(root, target_is_directory=True)


def link_root(root: Path, elsewhere: Path) -> None:
    root.rename(elsewhere / "real")
    root.symlink_to(elsewhere / "real", target_is_directory=True)


@pytest.mark.parametrize(
    ("link", "count"),
    [(link_class, 8), (link_inner, 9), (link_file, 9), (link_in_a_circle, 8), (link_root, 8)],
)
def test_links_are_followed(link: Callable[[Path, Path], None], count: int, tmp_path: Path) -> None:
    class_folders(tmp_path / "images")
    (tmp_path / "elsewhere").mkdir()
    link(tmp_path / "images", tmp_path / "elsewhere")
    images = ImageFolder(tmp_path / "images")().all_images
    assert (len(images), images.class_names) == (count, CLASSES)


# What would be wrong is refused


@pytest.mark.parametrize("copies", [["fir/9.png"], ["fir/0.png"], ["fir/9.png", "birch/x.png"]])
def test_one_picture_in_two_classes(copies: list[str], tmp_path: Path) -> None:
    class_folders(tmp_path)
    for copy in copies:
        (tmp_path / copy).write_bytes((tmp_path / "ash" / "0.png").read_bytes())
    with pytest.raises(ValueError, match=r"in two classes .* ash/0\.png \(ash\) and .*skip leaves"):
        ImageFolder(tmp_path)()
    kept = ImageFolder(tmp_path, on_bad_image="skip")().all_images
    assert not {"ash/0.png", *copies} & set(kept.files)


def test_copies_within_a_class_are_counted(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    class_folders(tmp_path)
    (tmp_path / "ash" / "9.png").write_bytes((tmp_path / "ash" / "0.png").read_bytes())
    ImageFolder(tmp_path)()
    assert "9 images, 4 classes" in inventory(said)
    assert "1 of the images are copies of another" in inventory(said)


# Names are text


DECOMPOSED = unicodedata.normalize("NFD", "Érable")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Ash", "ash", "x"), "different classes: 'Ash' and 'ash'"),
        (("007", "7", "x"), "different classes: '007' and '7'"),
        (("1e5", "100000", "oak ", "oak"), "'100000' and '1e5', 'oak' and 'oak '"),
        (("nan", "NaN", "x"), "different classes: 'NaN' and 'nan'"),
    ],
)
def test_classes_that_look_alike_are_told(
    names: tuple[str, ...], told: str, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    class_folders(tmp_path, names=names)
    assert set(ImageFolder(tmp_path)().all_images.class_names) == set(names)
    assert told in inventory(said)


def test_one_name_in_two_of_unicode_s_forms_is_one_name(tmp_path: Path) -> None:
    class_folders(tmp_path, names=(DECOMPOSED, "x", "y"))
    test = ImageFolder(tmp_path, test_classes=["Érable"])().test
    assert test.class_names == (DECOMPOSED,)
    class_folders(tmp_path, names=("Érable",))
    with pytest.raises(ValueError, match=r"'Érable' under .* is there twice, .*u0301.*put both"):
        ImageFolder(tmp_path)()


@pytest.mark.parametrize(
    ("names", "given", "test"),
    [
        (("12", "13", "14"), [13, 14], ("13", "14")),
        (("012", "013", "14"), [13], ("013",)),
        (("1.10", "1.2", "x"), [1.1], ("1.10",)),
        (("true", "no", "x"), [True], ("true",)),
        (("null", "NA", "x"), [None, "NA"], ("NA", "null")),
        (("1e3", "y", "x"), [1000.0], ("1e3",)),
        (("13", "013", "x"), [13], ("13",)),
    ],
)
def test_class_names_are_text_whatever_a_configuration_makes_of_them(
    names: tuple[str, ...], given: list, test: tuple[str, ...], tmp_path: Path
) -> None:
    class_folders(tmp_path, names=names)
    assert ImageFolder(tmp_path, test_classes=given)().test.class_names == test


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([13], r"names 13, which may be '0013' or '013': put it in quotes"),
        ([True], r"names True, which is no class; the classes are 0013, 013, x"),
        ("013", r"test_classes='013' must be a list of names: data\.source\.test_classes=\[013\]"),
    ],
)
def test_names_that_mean_no_class_or_several(given: object, message: str, tmp_path: Path) -> None:
    class_folders(tmp_path, names=("013", "0013", "x"))
    with pytest.raises(ValueError, match=message):
        ImageFolder(tmp_path, test_classes=given)()  # type: ignore[arg-type]


@pytest.mark.parametrize("label", ["NA", "nan", "None", "007", "1.0", "", " spaced "])
def test_labels_of_a_table_are_text(label: str, tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", 1)
    write_image(tmp_path / "1.png", 2)
    (tmp_path / "t.csv").write_text(f"file,label\n0.png,a\n1.png,{label}\n")
    source = ImageFolder(tmp_path, csv=Path("t.csv"), test_classes=["a"])
    if label:
        assert source().development.class_names == (label.strip(),)
    else:
        with pytest.raises(ValueError, match=r"t\.csv, line 3: no label in the column 'label'"):
            source()


# Layouts are recognised


TABLES = {
    "semicolons": "file;label\nash/0.png;ash\nfir/0.png;fir\n",
    "tabs": "file\tlabel\nash/0.png\tash\nfir/0.png\tfir\n",
    "BOM": "\ufefffile,label\nash/0.png,ash\nfir/0.png,fir\n",
    "Windows": 'file,label\r\nash\\0.png,ash\r\n"fir\\0.png",fir\r\n',
    "other names": "Image_Path,Class\nash/0.png,ash\nfir/0.png,fir\n",
    "OML": "label,path,split,x_1\nash,ash/0.png,train,3\nfir,fir/0.png,validation,4\n",
    "pandas": ",file,label\n0,ash/0.png,ash\n1,fir/0.png,fir\n",
    "absolute": "file,label\n{root}/ash/0.png,ash\n{root}/fir/0.png,fir\n",
    "a row twice": "file,label\nash/0.png,ash\nfir/0.png,fir\nfir/0.png,fir\n",
    "other case": "file,label\nAsh/0.PNG,ash\nFIR/0.png,fir\n",
    "no suffixes": "file,label\nash/0,ash\nfir/0,fir\n",
    "quotes": 'file,label\n"ash/0.png","a, ""sh"""\nfir/0.png,fir\n',
    "old Mac": "file,label\rash/0.png,ash\rfir/0.png,fir\r",
    "bars": "file|label\n./ash/0.png|ash\nfir/./0.png|fir\n",
    "separators at the end": "file,label,\nash/0.png,ash,\nfir/0.png,fir,\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_as_people_save_them(
    kind: str, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    class_folders(tmp_path)
    content = TABLES[kind].format(root=tmp_path)
    (tmp_path / "t.csv").write_bytes(content.encode())
    images = ImageFolder(tmp_path, csv=Path("t.csv"))()
    assert images.development.files == ("ash/0.png",)
    assert images.test.files == ("fir/0.png",)
    if kind == "a row twice":
        assert "left out: 1 file (rows that repeat another 1)" in inventory(said)
    if kind in ("other case", "no suffixes"):
        assert "2 files are called otherwise: " in inventory(said)
    if kind == "OML":
        assert "columns not looked at: 'x_1'" in inventory(said)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\nash/0.png,ash\nash/0.png,fir\n",
         r"ash/0\.png two labels: 'ash' in line 2, 'fir' in line 3"),
        ("photo,what\na,b\n",
         r"no column `file`.*'photo', 'what'.*data\.source\.columns=\{file: …\}"),
        ("ash/0.png,ash\nfir/0.png,fir\n", r"line 1 holds the image ash/0\.png, .*file,label$"),
        ('[{"file": "ash/0.png"}]', r"is JSON, not CSV: save the table as CSV"),
        ('{"file": "a.png", "label": "a"}\n', r"is JSON, not CSV: save the table as CSV"),
        ("file,label\nash,a\nfir/0.png,b\n", r"1 of 2 listed images are missing .* first is ash\."),
        ("file,label\nhttps://x.org/a.jpg,a\nfir/0.png,b\n", r"first is https:/x\.org/a\.jpg"),
        ("file,label\nash/0.png,a\nfir/0.png,a\n",
         r"no class for .*: of the 1 classes .*test_fraction=0\.5 takes half"),
        ("file,label\nash/0.png\n", r"line 2: 1 values for the 2 columns 'file', 'label'"),
        ("file,file,label\n", r"has the column 'file' twice"),
        ("\n\n", r"t\.csv is empty: its first row names the columns"),
        ("file,label\n/etc/hosts,a\n", r"'/etc/hosts' lies outside of .*data\.source\.root=/ "),
        ("file,label,split\na.png,a,fold1\n",
         r"split 'fold1' is not one of .* data\.source\.columns=\{split: null\}"),
        ("file,label,split\nash/0.png,a,train\nfir/0.png,a,val\n",
         r"class 'a' into both parts.*data\.source\.columns=\{split: null\}"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_right_name_the_remedy(
    content: str, message: str, tmp_path: Path
) -> None:
    class_folders(tmp_path)
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ImageFolder(tmp_path, csv=Path("t.csv"))()


def test_a_table_s_columns_can_be_named_and_its_split_ignored(tmp_path: Path) -> None:
    class_folders(tmp_path)
    (tmp_path / "t.csv").write_text(
        "photo,make,split\nash/0.png,ash,a\nfir/0.png,fir,b\nfir/1.png,fir,a\n"
    )
    columns = {"file": "photo", "label": "make", "split": None}
    images = ImageFolder(tmp_path, csv=Path("t.csv"), columns=columns)()
    assert images.test.files == ("fir/0.png", "fir/1.png")
    with pytest.raises(
        ValueError, match=r"columns\.label=brand: .* no such column; it has 'photo'"
    ):
        ImageFolder(tmp_path, csv=Path("t.csv"), columns={"file": "photo", "label": "brand"})()


@pytest.mark.parametrize(
    ("layout", "test"),
    [
        ({"train": "ash birch", "test": "cedar fir"}, ("cedar", "fir")),
        ({"train": "ash birch", "val": "fir"}, ("fir",)),
        ({"Train": "ash", "valid": "birch", "Test": "cedar"}, ("cedar",)),
        ({"training": "ash", "query": "cedar", "gallery": "cedar"}, ("cedar",)),
        ({"train/images": "ash birch", "test/images": "cedar fir"}, ("cedar", "fir")),
        ({"train/a/b": "ash birch", "val/a/b": "cedar"}, ("cedar",)),
        # The same classes in every part: the split is by class.
        ({"train": "ash birch", "val": "ash birch", "test": "ash birch"}, ("birch",)),
    ],
)
def test_parts_above_the_classes_are_no_classes(
    layout: dict[str, str], test: tuple[str, ...], tmp_path: Path
) -> None:
    value = 0
    for part, names in layout.items():
        for name in names.split():
            value += 1
            write_image(tmp_path / part / name / f"{part[:3]}.png", value)
    images = ImageFolder(tmp_path)()
    assert images.test.class_names == test
    assert len(images.all_images) == value
    assert set(images.all_images.class_names) == set(" ".join(layout.values()).split())


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("photos/{name}/0.png", r"has one folder, photos, .*data\.source\.root=.*/photos"),
        ("train/{name}/0.png", r"has one folder, train, .*data\.source\.root=.*/train"),
        ("{name}.png", r"4 images lie directly under .*data\.source\.csv=…"),
        ("{name}/0.xcf", r"expected .*<class>/\*\.jpg; what lies there is 4 files \(\.xcf 4\)"),
    ],
)
def test_layouts_that_need_a_word_say_which(place: str, message: str, tmp_path: Path) -> None:
    for position, name in enumerate(CLASSES):
        path = tmp_path / place.format(name=name)
        write_image(path.with_suffix(".png"), position)
        path.with_suffix(".png").rename(path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ImageFolder(tmp_path)()


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (("train/a/0", "test/b/0", "extra/c/0"), r"train/ of .* but extra/ beside them is none"),
        (("train/0", "test/1"), r"test/, train/ of .* but images lie in test/ itself: make one"),
        (("Train/a/0", "val/1", "x/2"), r"Train/, val/ of .* but x/ .*, data\.source\.csv=…$"),
    ],
)
def test_parts_of_a_split_are_never_taken_for_classes(
    places: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    for value, place in enumerate(places):
        write_image(tmp_path / f"{place}.png", value)
    with pytest.raises(ValueError, match=message):
        ImageFolder(tmp_path)()


def test_a_table_beside_images_without_folders_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", 1)
    (tmp_path / "labels.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"data\.source\.csv=labels\.csv$"):
        ImageFolder(tmp_path)()


def test_cars_annos_beside_cars_train_names_the_files_that_tell(tmp_path: Path) -> None:
    write_image(tmp_path / "cars_train" / "00001.jpg", 1)
    (tmp_path / "cars_annos.mat").touch()
    with pytest.raises(FileNotFoundError, match=r"numbered otherwise: .*cars_train_annos\.mat"):
        Cars196(tmp_path)()
    (tmp_path / "cars_annos.mat").unlink()
    cars_torchvision(tmp_path, [4, 1, 3, 2], [1, 4, 2, 3])
    (tmp_path / "cars_annos.mat").touch()
    assert len(Cars196(tmp_path, verify=False)().all_images) == 8


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_too_few_classes_for_the_folds_name_what_to_type(classes: int) -> None:
    remedy = "folds=" if classes > 1 else r"data\.source\.root"
    with pytest.raises(ValueError, match=rf"{classes} development classes .*{remedy}"):
        validation_classes(classes, 0)


# Identity is content


def overwritten(file: Path) -> None:
    Image.new("RGB", (4, 4), (250, 250, 250)).save(file)


def renamed_over(file: Path) -> None:
    """As editors and rsync save: another file takes the name."""
    beside = file.with_name("beside.tmp")
    Image.new("RGB", (4, 4), (250, 250, 250)).save(beside, "BMP")
    beside.replace(file)


def swapped(file: Path) -> None:
    """With the file of another class, which leaves all names and sizes what they were."""
    other, beside = file.parents[1] / "birch" / "0.bmp", file.with_name("beside.tmp")
    Image.new("RGB", (4, 4), (250, 250, 250)).save(other)
    file.rename(beside)
    other.rename(file)
    beside.rename(other)


@pytest.mark.parametrize("keep_time", [True, False])
@pytest.mark.parametrize("change", [overwritten, renamed_over, swapped])
def test_pixels_changed_in_place_are_read_anew(
    change: Callable[[Path], None], keep_time: bool, tmp_path: Path
) -> None:
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for copy in range(2):
            Image.new("RGB", (4, 4), (GREYS[name] + copy,) * 3).save(
                tmp_path / name / f"{copy}.bmp"
            )
    file, cache = tmp_path / "ash" / "0.bmp", tmp_path / "cache"
    before = file.stat()
    images = ImageFolder(tmp_path, cache=cache)().all_images
    assert open_store(cache, images, None).image(0).unique().tolist() == [40]
    change(file)
    if keep_time:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    changed = ImageFolder(tmp_path, cache=cache)().all_images
    assert changed.fingerprint() != images.fingerprint()
    assert open_store(cache, changed, None).image(0).unique().tolist() == [250]
