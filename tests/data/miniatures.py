"""Miniature copies of the benchmarks, in the formats that their authors publish."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

CARS = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012", "BMW M3 2012")


def write_image(
    path: Path, value: int, mode: str = "RGB", size: tuple[int, int] = (16, 12)
) -> None:
    """A plain image whose grey value tells it from others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = {"RGB": 3, "CMYK": 4}.get(mode, 1)
    pixels = np.full((size[1], size[0], bands), value, dtype=np.uint8)
    Image.fromarray(pixels.squeeze() if bands == 1 else pixels, mode).save(path, quality=95)


def cars_stanford(root: Path, classes: list[int], class_names: Sequence[str] = CARS) -> None:
    """`car_ims/` and `cars_annos.mat`; image i is of class `classes[i]`, counted from one."""
    annotations = np.zeros(
        len(classes), dtype=[("relative_im_path", "O"), ("class", "O"), ("test", "O")]
    )
    for i, label in enumerate(classes):
        file = f"car_ims/{i + 1:06d}.jpg"
        annotations[i] = (file, label, i % 2)
        write_image(root / file, 10 * label)
    names = np.array(class_names, dtype=object)
    savemat(root / "cars_annos.mat", {"annotations": annotations[None], "class_names": names[None]})


def cars_torchvision(base: Path, train: list[int], test: list[int]) -> None:
    """`cars_train/`, `cars_test/`, `devkit/` and the test's labels."""
    (base / "devkit").mkdir(parents=True)
    savemat(base / "devkit" / "cars_meta.mat", {"class_names": np.array(CARS, dtype=object)[None]})
    files = {"cars_train": train, "cars_test": test}
    targets = {
        "cars_train": base / "devkit" / "cars_train_annos.mat",
        "cars_test": base / "cars_test_annos_withlabels.mat",
    }
    for folder, classes in files.items():
        annotations = np.zeros(
            len(classes), dtype=[("bbox_x1", "O"), ("class", "O"), ("fname", "O")]
        )
        for i, label in enumerate(classes):
            annotations[i] = (1, label, f"{i + 1:05d}.jpg")
            write_image(base / folder / f"{i + 1:05d}.jpg", 10 * label)
        savemat(targets[folder], {"annotations": annotations[None]})


def cub(root: Path, species: dict[str, int]) -> None:
    """The archive's folder with its lists; `species` maps class folders to numbers of images."""
    base = root / "CUB_200_2011"
    images, labels = [], []
    for label, (name, count) in enumerate(species.items(), start=1):
        for i in range(count):
            file = f"{name}/{name[4:]}_{i:04d}.jpg"
            write_image(base / "images" / file, 10 * label)
            images.append(f"{len(images) + 1} {file}")
            labels.append(f"{len(labels) + 1} {label}")
    classes = [f"{label} {name}" for label, name in enumerate(species, start=1)]
    for name, lines in (
        ("images", images),
        ("image_class_labels", labels),
        ("classes", classes),
    ):
        (base / f"{name}.txt").write_text("\n".join(lines) + "\n")


def sop(base: Path, train: dict[int, int], test: dict[int, int]) -> None:
    """Ebay_train.txt and Ebay_test.txt; `train` and `test` map class ids to numbers of images."""
    number = 0
    for file, products in (("Ebay_train.txt", train), ("Ebay_test.txt", test)):
        lines = ["image_id class_id super_class_id path"]
        for product, count in products.items():
            for i in range(count):
                number += 1
                path = f"bicycle_final/{product}_{i}.JPG"
                write_image(base / path, product)
                lines.append(f"{number} {product} 1 {path}")
        (base / file).write_text("\n".join(lines) + "\n")


def inshop(root: Path, items: dict[str, list[str]], image_root: str = "") -> None:
    """`list_eval_partition.txt`; `items` maps item ids to the statuses of their images."""
    lines = []
    for item, statuses in items.items():
        for i, status in enumerate(statuses):
            path = f"img/WOMEN/Dresses/{item}/{i:02d}_front.jpg"
            write_image(root / image_root / path, i)
            lines.append(f"{path}    {item} {status}")
    header = [str(len(lines)), "image_name item_id evaluation_status"]
    (root / "Eval").mkdir(parents=True)
    (root / "Eval" / "list_eval_partition.txt").write_text("\n".join([*header, *lines]) + "\n")
