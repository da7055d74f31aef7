"""Probe sets as people have them: names are text, columns are what they are, masks too."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossprint.data.probe import ProbeSet, read_probe_set
from lossprint.data.tables import read_table

COUNT = 12
NAMES = [f"{row:05d}" for row in range(COUNT)]


def photos(folder: Path, *, suffix: str = ".png", inner: str = "images") -> Path:
    (folder / inner).mkdir(parents=True, exist_ok=True)
    for row, name in enumerate(NAMES):
        Image.new("RGB", (16, 12), (10 * row,) * 3).save(folder / inner / f"{name}{suffix}")
    return folder


def table(folder: Path, columns: dict[str, list], name: str = "samples.csv") -> None:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values()))]  # noqa: B905
    (folder / name).write_text("\n".join(lines) + "\n")


def read(folder: Path, **settings) -> ProbeSet:
    return read_probe_set(folder, size=8, cache=folder.parent / "cache", **settings)


def greys(probe: ProbeSet) -> list[int]:
    return [int(probe.pixels([row]).float().mean().round()) for row in range(len(probe))]


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


ROOM = ["kitchen", "garden"] * (COUNT // 2)


@pytest.mark.parametrize(
    ("key", "names", "suffix", "inner"),
    [
        ("frame", NAMES, ".png", "images"),
        ("frame", [str(row) for row in range(COUNT)], ".jpg", "images"),
        ("frame", [f"{row:02d}" for row in range(COUNT)], ".webp", "images"),
        ("file", [f"images/{name}.jpg" for name in NAMES], ".jpg", "images"),
        ("file", [f"{name}.gif" for name in NAMES], ".gif", "images"),
        ("path", [f"deep/er/{name}.tif" for name in NAMES], ".tif", "deep/er"),
        ("Filename", [f"{name}.bmp" for name in NAMES], ".bmp", "."),
        ("file", NAMES, ".png", "images"),
    ],
)
def test_images_are_found_by_what_a_table_calls_them(
    key: str, names: list[str], suffix: str, inner: str, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "set", suffix=suffix, inner=inner)
    table(folder, {key: names, "room": ROOM})
    probe = read(folder)
    assert greys(probe) == pytest.approx([10 * row for row in range(COUNT)], abs=3)
    assert list(probe.properties.index) == names  # zeros are kept
    assert list(probe.properties.columns) == ["room"]


@pytest.mark.parametrize("name", ["table.csv", "list.tsv", "Labels.CSV"])
def test_the_one_table_of_a_folder_is_taken(name: str, tmp_path: Path) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "room": ROOM}, name)
    assert len(read(folder)) == COUNT
    table(folder, {"frame": NAMES, "room": ROOM}, "another.csv")
    with pytest.raises(FileNotFoundError, match=r"samples\.csv is missing .*column `file`"):
        read(folder)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["NA", "nan", "None", "NA"] * 3, {"NA", "nan", "None"}),
        (["01", "1", "001", "1"] * 3, {"01", "1", "001"}),
        (["x", "", "y", "x"] * 3, {"x", "", "y"}),
    ],
)
def test_values_of_properties_are_text(values: list[str], levels: set, tmp_path: Path) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "kind": values})
    assert set(read(folder).properties["kind"]) == levels


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index"])
@pytest.mark.parametrize("start", [0, 1])
def test_index_columns_are_dropped_and_said(
    name: str, start: int, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {name: list(range(start, start + COUNT)), "frame": NAMES, "room": ROOM})
    assert list(read(folder).properties.columns) == ["room"]
    assert f"{name!r} is left out: it counts the rows" in said.text


def test_values_that_look_alike_are_told(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "day": ["day", "Day", "x"] * 4, "n": ["1", "1.0", "01"] * 4})
    assert set(read(folder).properties["n"]) == {"1", "1.0", "01"}
    for told in ("'day', 'Day' are different values of 'day'", "'1', '1.0', '01' are different"):
        assert told in said.text


@pytest.mark.parametrize("word", ["n/a", "inf", "unknown", "12 px"])
def test_a_word_among_numbers_does_not_make_them_names(word: str, tmp_path: Path) -> None:
    folder = photos(tmp_path / "set")
    values = [word if row == 3 else 1.5 * row for row in range(COUNT)]
    table(folder, {"frame": NAMES, "room": ROOM, "angle": values})
    told = rf"line 5: '{word}' in the column angle is no number, as 11 others are.*bins=\{{angle: 8"
    with pytest.raises(ValueError, match=told):
        read(folder)


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_an_image_that_cannot_be_decoded_names_the_table(content: bytes, tmp_path: Path) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "room": ROOM})
    (folder / "images" / "00003.png").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"00003\.png: .*\. Replace it, or delete its row of .*csv"
    ):
        read(folder)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([f"caption {row}" for row in range(COUNT)], "no two images share a value of it"),
        (["same"] * COUNT, "all images have the same value of it, 'same'"),
    ],
)
def test_columns_that_tell_nothing_are_left_out_and_said(
    values: list[str], reason: str, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "room": ROOM, "note": values})
    assert list(read(folder).properties.columns) == ["room"]
    assert f"'note' is left out: {reason}" in said.text


ANGLES = {
    "degrees": [30 * row for row in range(COUNT)],
    "fractions": [0.1 * row for row in range(COUNT)],
    "negative": [-5.5 + row for row in range(COUNT)],
    "scientific": [f"{row}e-3" for row in range(COUNT)],
}


@pytest.mark.parametrize("kind", ANGLES)
def test_continuous_columns_are_named_with_how_to_bin_them(kind: str, tmp_path: Path) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "room": ROOM, "angle": ANGLES[kind]})
    with pytest.raises(
        ValueError,
        match=rf"column angle has {COUNT} different numbers .*properties\.bins=\{{angle: 8\}}.*"
        r"leave_out=\[angle\]",
    ):
        read(folder)
    binned = read(folder, bins={"angle": 4}).properties["angle"]
    assert binned.value_counts().tolist() == [3, 3, 3, 3]
    assert list(read(folder, leave_out=["angle"]).properties.columns) == ["room"]


def test_bins_by_edges_hold_what_lies_between_them(tmp_path: Path) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "angle": ANGLES["degrees"]})
    found = read(folder, bins={"angle": [0, 90, 180, 360]}).properties["angle"]
    assert found.tolist() == ["0 – 90"] * 3 + ["90 – 180"] * 3 + ["180 – 360"] * 6


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ({"angel": 8}, r"bins names 'angel', which is no column of .*; it has 'frame', 'angle'"),
        ({"angle": 1}, r"samples\.csv: .*bins\.angle=1 must be from 2 to .*, 12$"),
        ({"angle": [0, 90]}, r"must be a number of bins, or three or more rising edges"),
        ({"angle": [0, 90, 180]}, r"bins\.angle: 210 lies outside of the edges 0 … 180"),
        ({"angle": "many"}, r"bins\.angle='many' must be a number of bins"),
        ({"angle": 4, "room": 3}, r"line \d+: 'kitchen' in the column room is no number"),
    ],
)
def test_bins_that_cannot_be(bins: dict, message: str, tmp_path: Path) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "angle": ANGLES["degrees"], "room": ROOM})
    with pytest.raises(ValueError, match=message):
        read(folder, bins=bins)


@pytest.mark.parametrize(
    ("names", "angles", "message"),
    [
        (NAMES[:1], [30], r"samples\.csv: .*bins\.angle=2 must be from 2 to .*, 1$"),
        (NAMES[:2], [30, 30], r"samples\.csv: .*bins\.angle: all values are 30, nothing to divide"),
    ],
)
def test_too_few_values_for_bins_name_the_file(
    names: list[str], angles: list[int], message: str, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": names, "angle": angles})
    with pytest.raises(ValueError, match=message):
        read(folder, bins={"angle": 2})


def mask(folder: Path, low: object, high: object, mode: str = "L", suffix: str = ".png") -> None:
    """The left half of each view is ground, the right half the object."""
    (folder / "masks").mkdir()
    for name in NAMES:
        image = Image.new(mode, (16, 12), low)  # type: ignore[arg-type]
        if mode == "P":
            image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.paste(high, (8, 0, 16, 12))  # type: ignore[arg-type]
        image.save(folder / "masks" / f"{name}{suffix}")


@pytest.mark.parametrize(
    ("low", "high", "mode", "suffix"),
    [
        (0, 1, "L", ".png"),
        (0, 255, "L", ".png"),
        (0, 1, "1", ".png"),
        (0, 1, "P", ".png"),
        (0, 200, "L", ".bmp"),
        (0, 65535, "I;16", ".png"),
        ((0, 0, 0), (255, 255, 255), "RGB", ".png"),
        ((0, 0, 0), (255, 0, 0), "RGB", ".tif"),
        (0, 255, "L", ".webp"),
    ],
)
def test_masks_of_every_custom_mark_the_object(
    low: object, high: object, mode: str, suffix: str, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "room": ROOM})
    mask(folder, low, high, mode, suffix)
    masks = read(folder).masks
    assert masks is not None
    assert masks.shape == (COUNT, 8, 8)
    assert (masks[:, :, :4] == 0).all()
    assert (masks[:, :, 4:] == 1).all()


@pytest.mark.parametrize("values", [(0, 1, 255), (0, 3, 7), (0, 2, 0), (0, 0, 0)])
def test_masks_of_another_meaning_are_refused(values: tuple, tmp_path: Path) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "room": ROOM})
    (folder / "masks").mkdir()
    for name in NAMES:
        pixels = np.repeat(np.array([values], np.uint8), 4, axis=1).repeat(12, axis=0)
        Image.fromarray(np.pad(pixels, ((0, 0), (0, 4)))).save(folder / "masks" / f"{name}.png")
    with pytest.raises(ValueError, match=r"must hold 0 \(ground\), 1 \(object\) and 2 .*0 and 255"):
        read(folder)


def test_masks_that_are_missing_or_of_another_shape_are_named(tmp_path: Path) -> None:
    folder = photos(tmp_path / "set")
    table(folder, {"frame": NAMES, "room": ROOM})
    mask(folder, 0, 255)
    (folder / "masks" / f"{NAMES[3]}.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no mask for images/00003\.png: .*masks/00003"):
        read(folder)
    Image.new("L", (12, 16)).save(folder / "masks" / f"{NAMES[3]}.png")
    with pytest.raises(
        ValueError, match=r"00003\.png is 12 x 16 px, not of the shape of its image"
    ):
        read(folder)


def test_images_that_the_table_leaves_out_are_counted(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    folder = photos(tmp_path / "set")
    files = [f"images/{name}.png" for name in NAMES[:10]]
    table(folder, {"file": files, "room": ROOM[:10]})
    assert len(read(folder)) == 10
    assert "left out: 2 images of" in said.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["/etc/a.png,x"], r"line 2: '/etc/a\.png' lies outside of .*: probe\.folder=…"),
        (["photo.png,x", "../a.png,x"], r"line 3: '\.\./a\.png' lies outside of "),
        (["photo.png,x", ",x"], r"line 3: no name of an image in 'file'; fill it, or delete"),
        (["photo.png,x", "b.png,x", "c.png,x"], r"lists 2 images .* first is 'b\.png' in line 3"),
        (["photo.png,x", "photo.png,y"], r"line 3: file photo\.png stands in line 2 already"),
    ],
)
def test_rows_that_cannot_be_are_named_by_their_line(rows, message: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    (tmp_path / "samples.csv").write_text("\n".join(["file,room", *rows]))
    with pytest.raises((ValueError, FileNotFoundError), match=rf"samples\.csv.*{message}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file;a\nx.png;1;2\n", r"line 2: 3 values for the 2 columns 'file', 'a'"),
        (b"\x00\x01\x02", r"is no text; save the table as CSV in UTF-8"),
        (b"", r"is empty: its first row names the columns"),
        (b"a,a\n", r"has the column 'a' twice"),
    ],
)
def test_tables_that_are_none(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.csv")
