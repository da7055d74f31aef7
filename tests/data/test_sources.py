"""Every layout on disk gives the right files, labels and class-disjoint split."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from lossprint.data.decoding import read_image
from lossprint.data.index import ImageIndex, fold_classes
from lossprint.data.sources.cars196 import Cars196
from lossprint.data.sources.cub200 import CUB200
from lossprint.data.sources.image_folder import ImageFolder
from lossprint.data.sources.inshop import InShop
from lossprint.data.sources.sop import StanfordOnlineProducts
from lossprint.data.store import open_store
from tests.data import miniatures
from tests.data.miniatures import CARS, write_image

SPECIES = {
    "001.Black_footed_Albatross": 2,
    "002.Laysan_Albatross": 1,
    "003.Sooty_Albatross": 3,
    "004.Groove_billed_Ani": 2,
}


def contents(index: ImageIndex) -> list[tuple[str, str]]:
    """(file, class name) of every image."""
    return [
        (file, index.class_names[label])
        for file, label in zip(index.files, index.labels, strict=True)
    ]


def grey_values(index: ImageIndex) -> list[int]:
    return [round(float(read_image(path, None).mean())) for path in index.paths()]


def class_folders(root: Path, prefix: str = "") -> None:
    for label, name in enumerate(CARS, start=1):
        for i in range(2):
            write_image(root / prefix / name / f"{i}.jpg", 10 * label)


# Cars196


def stanford_layout(root: Path) -> None:
    miniatures.cars_stanford(root, [4, 1, 1, 3, 2, 4, 2, 3])


def torchvision_layout(root: Path) -> None:
    miniatures.cars_torchvision(root / "stanford_cars", [4, 1, 3, 2], [1, 4, 2, 3])


def torchvision_inner_layout(root: Path) -> None:
    miniatures.cars_torchvision(root, [4, 1, 3, 2], [1, 4, 2, 3])


def train_and_test_folders(root: Path) -> None:
    for label, name in enumerate(CARS, start=1):
        write_image(root / "car_data" / "train" / name / "a.jpg", 10 * label)
        write_image(root / "car_data" / "test" / name / "b.jpg", 10 * label)


@pytest.mark.parametrize(
    "layout",
    [
        stanford_layout,
        torchvision_layout,
        torchvision_inner_layout,
        class_folders,
        train_and_test_folders,
    ],
)
def test_cars196_reads_the_union_in_every_layout(
    layout: Callable[[Path], None], tmp_path: Path
) -> None:
    layout(tmp_path)
    images = Cars196(tmp_path, verify=False)()
    assert images.development.class_names == CARS[:2]
    assert images.test.class_names == CARS[2:]
    assert len(images.development) == len(images.test) == 4
    # A car's images have ten times its number as grey value: labels fit the pixels.
    assert grey_values(images.development) == (10 * (1 + images.development.labels)).tolist()
    assert grey_values(images.test) == (10 * (3 + images.test.labels)).tolist()


def test_cars196_counts_are_verified(tmp_path: Path) -> None:
    stanford_layout(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"Cars196 under .*: 2 \+ 2 classes, 4 \+ 4 images; "
        r"expected: 98 \+ 98 classes, 8,054 \+ 8,131 images\. verify=false",
    ):
        Cars196(tmp_path)()


def test_cars196_missing_says_which_files_go_where(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no Cars196 under") as caught:
        Cars196(tmp_path)()
    for part in (str(tmp_path), "car_ims/", "cars_annos.mat", "devkit/", "class folders"):
        assert part in str(caught.value)


def test_cars196_without_the_test_labels(tmp_path: Path) -> None:
    torchvision_layout(tmp_path)
    (tmp_path / "stanford_cars" / "cars_test_annos_withlabels.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"cars_test_annos_withlabels\.mat is missing"):
        Cars196(tmp_path)()


def test_a_listed_image_that_is_missing_is_named(tmp_path: Path) -> None:
    stanford_layout(tmp_path)
    (tmp_path / "car_ims" / "000003.jpg").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"1 of 8 listed images are missing .*car_ims/000003\.jpg"
    ):
        Cars196(tmp_path, verify=False)()


# CUB-200-2011


def test_cub_reads_the_archive_s_lists(tmp_path: Path) -> None:
    miniatures.cub(tmp_path, SPECIES)
    images = CUB200(tmp_path, verify=False)()
    assert contents(images.development) == [
        (f"CUB_200_2011/images/{name}/{name[4:]}_{i:04d}.jpg", name)
        for name, i in (
            ("001.Black_footed_Albatross", 0),
            ("001.Black_footed_Albatross", 1),
            ("002.Laysan_Albatross", 0),
        )
    ]
    assert images.test.labels.tolist() == [0, 0, 0, 1, 1]
    assert grey_values(images.test) == [30, 30, 30, 40, 40]


def test_cub_class_folders_give_the_same_images(tmp_path: Path) -> None:
    miniatures.cub(tmp_path, SPECIES)
    expected = CUB200(tmp_path, verify=False)()
    (tmp_path / "CUB_200_2011" / "images.txt").unlink()
    images = CUB200(tmp_path, verify=False)()
    assert contents(images.development) == contents(expected.development)
    assert contents(images.test) == contents(expected.test)
    assert images.fingerprint() == expected.fingerprint()


def test_cub_counts_are_verified(tmp_path: Path) -> None:
    miniatures.cub(tmp_path, SPECIES)
    with pytest.raises(ValueError, match=r"expected: 100 \+ 100 classes, 5,864 \+ 5,924 images"):
        CUB200(tmp_path)()


def test_cub_missing_says_which_files_go_where(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no CUB-200-2011 under .*images\.txt"):
        CUB200(tmp_path, download=False)()


def test_of_two_that_download_one_archive_the_second_waits_and_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def slow(url: str, folder: Path, **_: str) -> None:
        asked.append(url)
        time.sleep(0.3)
        miniatures.cub(folder, SPECIES)

    monkeypatch.setattr("lossprint.data.sources.source.download_archive", slow)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(CUB200(tmp_path, verify=False)) for _ in range(2)]
    assert asked == [CUB200.url]
    assert contents(both[0].result().test) == contents(both[1].result().test)


# Stanford Online Products


@pytest.mark.parametrize("inner", ["", "Stanford_Online_Products"])
def test_sop_splits_by_its_files(inner: str, tmp_path: Path) -> None:
    miniatures.sop(tmp_path / inner, {7: 2, 3: 1}, {11: 2, 12: 3})
    images = StanfordOnlineProducts(tmp_path, verify=False)()
    prefix = f"{inner}/" if inner else ""
    assert contents(images.development) == [
        (f"{prefix}bicycle_final/7_0.JPG", "product_7"),
        (f"{prefix}bicycle_final/7_1.JPG", "product_7"),
        (f"{prefix}bicycle_final/3_0.JPG", "product_3"),
    ]
    assert images.test.labels.tolist() == [0, 0, 1, 1, 1]
    assert grey_values(images.test) == [11, 11, 12, 12, 12]


def test_sop_counts_and_lines_are_checked(tmp_path: Path) -> None:
    miniatures.sop(tmp_path, {7: 2, 3: 1}, {11: 2, 12: 3})
    with pytest.raises(ValueError, match=r"11,318 \+ 11,316 classes, 59,551 \+ 60,502 images"):
        StanfordOnlineProducts(tmp_path)()
    with (tmp_path / "Ebay_test.txt").open("a") as file:
        file.write("9 13\n")
    with pytest.raises(ValueError, match=r"Ebay_test\.txt, line 7: '9 13' is not"):
        StanfordOnlineProducts(tmp_path)()


def test_sop_missing_says_which_files_go_where(tmp_path: Path) -> None:
    (tmp_path / "Ebay_train.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"Ebay_train\.txt, Ebay_test\.txt and bicycle"):
        StanfordOnlineProducts(tmp_path, download=False)()


# In-Shop

ITEMS = {
    "id_00000002": ["query", "gallery", "gallery"],
    "id_00000001": ["train", "train"],
    "id_00000003": ["train"],
    "id_00000007": ["gallery", "query"],
}


@pytest.mark.parametrize("image_root", ["", "Img"])
def test_inshop_tests_on_query_and_gallery(image_root: str, tmp_path: Path) -> None:
    miniatures.inshop(tmp_path, ITEMS, image_root)
    images = InShop(tmp_path, verify=False)()
    assert images.development.class_names == ("id_00000001", "id_00000003")
    assert images.test.class_names == ("id_00000002", "id_00000007")
    assert images.development.labels.tolist() == [0, 0, 1]
    assert images.test.labels.tolist() == [0, 0, 0, 1, 1]
    assert all(path.is_file() for path in images.all_images.paths())


def test_inshop_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"list_eval_partition\.txt and the unpacked img/"):
        InShop(tmp_path)()
    miniatures.inshop(tmp_path, ITEMS)
    with pytest.raises(ValueError, match=r"3,997 \+ 3,985 classes, 25,882 \+ 26,830 images"):
        InShop(tmp_path)()
    with (tmp_path / "Eval" / "list_eval_partition.txt").open("a") as file:
        file.write("img/a.jpg id_00000003 query\n")
    with pytest.raises(ValueError, match="lists id_00000003 for training and for the test"):
        InShop(tmp_path)()
    with (tmp_path / "Eval" / "list_eval_partition.txt").open("a") as file:
        file.write("img/a.jpg id_00000009 valid\n")
    with pytest.raises(ValueError, match=r"line 12: .* status of train, query, gallery"):
        InShop(tmp_path)()


# Any image folder


def write_csv(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n")


def test_image_folder_by_fraction(tmp_path: Path) -> None:
    class_folders(tmp_path)
    write_image(tmp_path / "stray.jpg", 5)
    write_image(tmp_path / CARS[0] / "nested" / "2.png", 10)
    write_image(tmp_path / ".hidden" / "3.png", 10)
    images = ImageFolder(tmp_path, test_fraction=0.25)()
    assert images.test.class_names == CARS[3:]
    assert images.development.class_names == CARS[:3]
    assert len(images.development) == 7
    assert grey_values(images.development) == (10 * (1 + images.development.labels)).tolist()


def test_image_folder_by_class_names(tmp_path: Path) -> None:
    class_folders(tmp_path)
    images = ImageFolder(tmp_path, test_classes=[CARS[0], CARS[2]])()
    assert images.test.class_names == (CARS[0], CARS[2])
    assert images.development.class_names == (CARS[1], CARS[3])


def test_image_folder_by_csv(tmp_path: Path) -> None:
    for i in range(5):
        write_image(tmp_path / "flat" / f"{i}.png", i)
    write_csv(
        tmp_path / "labels.csv",
        "file,label,split",
        "flat/3.png,b,train",
        "flat/0.png,a,test",
        "flat/1.png,01,train",
        "flat/2.png,a,test",
    )
    images = ImageFolder(tmp_path, csv=Path("labels.csv"))()
    assert contents(images.development) == [("flat/3.png", "b"), ("flat/1.png", "01")]
    assert contents(images.test) == [("flat/0.png", "a"), ("flat/2.png", "a")]
    write_csv(tmp_path / "unsplit.csv", "file,label", "flat/0.png,a", "flat/1.png,b")
    images = ImageFolder(tmp_path, csv=Path("unsplit.csv"))()
    assert images.test.class_names == ("b",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["picture,label", "a.png,a"], r"has no column `file`; its columns are 'picture', 'label'"),
        (["file,label", "a.png,"], r"labels\.csv, line 2: no label in the column 'label'"),
        (["file,label"], r"lists no image"),
        (["file,label", "../a.png,a"], r"line 2: '\.\./a\.png' lies outside of .*root="),
        (["file,label,split", "a.png,a,vali"], r"line 2: split 'vali' is not one of train, train"),
        (["file,label,split", "a.png,a,train", "b.png,a,test"], r"puts class 'a' into both parts"),
        (["file,label", "a.png,a", "b.png,b"], r"2 of 2 listed images are missing .*a\.png"),
        (["file,label,split", "c.png,a,train", "c.png,a,train"], r"leaves no class for test"),
    ],
)
def test_csv_errors(lines: list[str], message: str, tmp_path: Path) -> None:
    write_image(tmp_path / "c.png", 1)
    write_csv(tmp_path / "labels.csv", *lines)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ImageFolder(tmp_path, csv=Path("labels.csv"))()


def test_image_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        ImageFolder(tmp_path / "nowhere")()
    with pytest.raises(FileNotFoundError, match=r"no images in folders under .*<class>"):
        ImageFolder(tmp_path)()
    with pytest.raises(FileNotFoundError, match=r"no CSV at .*absent\.csv"):
        ImageFolder(tmp_path, csv=Path("absent.csv"))()
    class_folders(tmp_path)
    with pytest.raises(ValueError, match=r"test_classes names 'Fiat', .*AM General"):
        ImageFolder(tmp_path, test_classes=["Fiat"])()
    with pytest.raises(ValueError, match=r"test_fraction=1\.5 is not between 0 and 1"):
        ImageFolder(tmp_path, test_fraction=1.5)()
    with pytest.raises(ValueError, match="leaves no class for test"):
        ImageFolder(tmp_path, test_fraction=0.01)()
    write_csv(tmp_path / "split.csv", "file,label,split", "x.png,a,test")
    with pytest.raises(ValueError, match=r"both data\.source\.test_classes and the column `split`"):
        ImageFolder(tmp_path, csv=Path("split.csv"), test_classes=["a"])()


# What all sources share


def test_grey_and_cmyk_images_become_rgb(tmp_path: Path) -> None:
    class_folders(tmp_path)
    write_image(tmp_path / CARS[0] / "grey.jpg", 100, mode="L")
    write_image(tmp_path / CARS[0] / "ink.jpg", 0, mode="CMYK")
    index = ImageFolder(tmp_path)().development
    store = open_store(tmp_path / "decoded", index, None)
    images = dict(zip(index.files, store.images(range(len(index))), strict=True))
    assert {tuple(image.shape) for image in images.values()} == {(12, 16, 3)}
    assert torch.all(images[f"{CARS[0]}/grey.jpg"] == 100)
    assert torch.all(images[f"{CARS[0]}/ink.jpg"] == 255)  # no ink is white


def spoil(root: Path) -> Path:
    """Class folders with one image cut off in the middle and one that is no image."""
    class_folders(root)
    write_image(root / CARS[1] / "cut.jpg", 77, size=(200, 200))
    whole = (root / CARS[1] / "cut.jpg").read_bytes()
    (root / CARS[1] / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / CARS[2] / "text.png").write_text("no image")
    return root


def test_bad_images_are_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, cache = spoil(tmp_path / "images"), tmp_path / "cache"
    with caplog.at_level(logging.WARNING):
        images = ImageFolder(root, on_bad_image="skip", cache=cache)()
    assert f"skipped 2 of 10 images under {root}" in caplog.text
    assert "Acura RL Sedan 2012/cut.jpg" in caplog.text
    assert len(images.development) == len(images.test) == 4
    assert not any("cut" in file or "text" in file for file in images.all_images.files)
    # Remembered: the same set is not tried again, and a changed one is.
    remembered = list(cache.glob("undecodable-*.json"))
    assert len(remembered) == 1
    remembered[0].write_text("[]")
    assert len(ImageFolder(root, on_bad_image="skip", cache=cache)().all_images.files) == 10
    write_image(root / CARS[0] / "more.jpg", 10)
    assert len(ImageFolder(root, on_bad_image="skip", cache=cache)().all_images.files) == 9


def test_bad_images_raise_by_default_when_they_are_decoded(tmp_path: Path) -> None:
    images = ImageFolder(spoil(tmp_path))()
    with pytest.raises(ValueError, match=r"cannot decode image .*cut\.jpg"):
        open_store(tmp_path / "decoded", images.development, None)


def test_a_class_that_loses_all_images_is_an_error(tmp_path: Path) -> None:
    class_folders(tmp_path)
    (tmp_path / "Fiat").mkdir()
    (tmp_path / "Fiat" / "0.jpg").write_text("no image")
    with pytest.raises(ValueError, match="no readable image of class 'Fiat'"):
        ImageFolder(tmp_path, on_bad_image="skip")()


def test_on_bad_image_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="on_bad_image='ignore': valid are 'raise' and 'skip'"):
        ImageFolder(tmp_path, on_bad_image="ignore")()


def test_folds_of_the_published_sizes() -> None:
    """Validation starts at class 0, 24, 49, 73 of Cars196 and at 0, 25, 50, 75 of CUB."""
    for count, starts in ((98, [0, 24, 49, 73]), (100, [0, 25, 50, 75])):
        assert [int(fold_classes(count, fold)[1][0]) for fold in range(4)] == starts


CONFIGS = [
    path
    for path in sorted((Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))
    if path.stem != "rendered"
]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_reads_its_miniature(path: Path, tmp_path: Path) -> None:
    root = tmp_path / path.stem
    root.mkdir()
    make = {
        "cars196": stanford_layout,
        "cub200": lambda root: miniatures.cub(root, SPECIES),
        "sop": lambda root: miniatures.sop(root, {7: 2, 3: 1}, {11: 2, 12: 3}),
        "inshop": lambda root: miniatures.inshop(root, ITEMS),
        "image_folder": class_folders,
    }
    make[path.stem](root)
    config = OmegaConf.create({"data_root": str(tmp_path), "data": OmegaConf.load(path)})
    if path.stem != "image_folder":
        config.data.source.verify = False
    images = instantiate(config.data.source)()
    assert images.development.num_classes == images.test.num_classes == 2
    view = instantiate(config.data.train_view, _convert_="all")
    assert (view.size, view.scale, view.flip) == (227, [0.16, 1.0], 0.5)
    assert instantiate(config.data.eval_view).size == 227
    assert config.data.short_side == 256
    assert config.data.name == path.stem
