"""Damaged and odd files of every kind that people bring end in a message of ours, if not in data.

`pytest --hypothesis-profile=nightly tests/data/test_fuzzed_inputs.py` tries ten times as many.
"""

import io
import random
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from lossprint.data.decoding import decode_image
from lossprint.data.masks import read_masks
from lossprint.data.probe_table import read_samples
from lossprint.data.sources.cub200 import CUB200
from lossprint.data.sources.image_folder import ImageFolder
from lossprint.data.sources.inshop import InShop
from lossprint.data.sources.sop import StanfordOnlineProducts
from lossprint.models.archives import read_archive
from lossprint.models.checkpoints import load_checkpoint
from lossprint.models.key_maps import read_key_map, rename_keys
from lossprint.rendering.user_designs import read_mesh_design

FUZZED = settings(max_examples=max(500, settings().max_examples), deadline=None)
OURS = (ValueError, FileNotFoundError)

DAMAGE = st.tuples(
    st.floats(0, 1),  # where
    st.binary(max_size=12),  # what is written there
    st.booleans(),  # over what was there, or in between
    st.floats(0, 1) | st.just(1.0),  # how much of the file is kept
)


def damaged(content: bytes, how: tuple[float, bytes, bool, float]) -> bytes:
    place, bits, over, kept = how
    start = int(place * len(content))
    changed = content[:start] + bits + content[start + len(bits) * over :]
    return changed[: int(kept * len(changed))]


def complaint(read: Callable[[], Any]) -> str | None:
    """What is said of the input; None where it is read. Any other error is not caught."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except OURS as error:
        return str(error)
    return None


def refused_or_read(read: Callable[[], Any], path: Path) -> None:
    """Reading gives data, or a message that names the file and says more than that."""
    said = complaint(read)
    assert said is None or path.name in said or str(path.parent) in said
    assert said is None or len(said) > len(str(path)) + 20


@pytest.fixture(scope="module")
def folder() -> Any:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@cache
def image_file(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x112] = 6
    if kind in ("gif", "tiff"):
        image = image.convert("P")
    stream = io.BytesIO()
    image.save(stream, kind, **({"exif": exif} if kind in ("png", "jpeg", "webp") else {}))
    return stream.getvalue()


@FUZZED
@given(st.sampled_from(["png", "jpeg", "webp", "gif", "tiff", "bmp", "tga", "ppm"]), DAMAGE)
def test_images(folder: Path, kind: str, how: tuple) -> None:
    path = folder / f"a.{kind}"
    path.write_bytes(damaged(image_file(kind), how))
    refused_or_read(lambda: decode_image(path), path)


CELLS = st.text(
    st.sampled_from("ab01,;\t|\"'\n\r \\/.:-_é\0…NAx") | st.characters(codec="utf-8"), max_size=12
)
NAMED = st.sampled_from(["a.png", "", "x", "train", "1.5", "../b", "/etc/hosts", "NA"])
ROWS = st.lists(st.lists(NAMED, min_size=2, max_size=3), max_size=6)
HEADERS = st.sampled_from(["file,label", "file,label,split", "path,label,x", "frame,angle"])
TABLES = st.one_of(
    st.binary(max_size=60),
    st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=5).map(
        lambda rows: "\n".join(",".join(row) for row in rows).encode()
    ),
    st.tuples(HEADERS, ROWS).map(
        lambda t: "\n".join([t[0], *(",".join(row) for row in t[1])]).encode()
    ),
)


@FUZZED
@given(TABLES)
def test_tables_of_images(folder: Path, content: bytes) -> None:
    root = folder / "images"
    root.mkdir(exist_ok=True)
    (root / "a.png").write_bytes(image_file("png"))
    path = root / "labels.csv"
    path.write_bytes(content)
    refused_or_read(ImageFolder(root, csv=Path("labels.csv")), path)


@FUZZED
@given(TABLES, st.booleans())
def test_tables_of_probe_sets(folder: Path, content: bytes, binned: bool) -> None:
    root = folder / "probe"
    (root / "images").mkdir(exist_ok=True, parents=True)
    (root / "images" / "a.png").write_bytes(image_file("png"))
    path = root / "samples.csv"
    path.write_bytes(content)
    bins: dict[str, Any] = {"angle": 3} if binned else {}
    refused_or_read(lambda: read_samples(root, columns={}, bins=bins, leave_out=()), path)


LISTS = {
    "sop": (StanfordOnlineProducts, ["Ebay_train.txt", "Ebay_test.txt"],
            "image_id class_id super_class_id path\n1 1 1 a/1.jpg\n2 2 1 a/2.jpg\n"),
    "inshop": (InShop, ["list_eval_partition.txt"],
               "2\nimage_name item_id evaluation_status\nimg/a.jpg id_1 train\n"),
    "cub": (CUB200, ["images.txt", "image_class_labels.txt", "classes.txt"], "1 a\n2 b\n3 c\n"),
}  # fmt: skip


@FUZZED
@given(st.sampled_from(sorted(LISTS)), st.integers(0, 2), DAMAGE)
def test_lists_of_benchmarks(folder: Path, kind: str, which: int, how: tuple) -> None:
    source, names, content = LISTS[kind]
    root = folder / kind
    root.mkdir(exist_ok=True)
    for place, name in enumerate(names):
        data = content.encode()
        if place == which % len(names):
            data = damaged(data, how)
        (root / name).write_bytes(data)
    arguments = {} if kind == "inshop" else {"download": False}
    refused_or_read(source(root, verify=False, **arguments), root / "x")


@FUZZED
@given(
    st.sampled_from(["L", "P", "1", "RGB", "I;16", "RGBA"]),
    st.lists(st.integers(0, 255), min_size=1, max_size=12),
    st.integers(1, 20),
    DAMAGE | st.none(),
)
def test_masks(folder: Path, mode: str, values: list[int], width: int, how: tuple | None) -> None:
    path = folder / "mask.png"
    pixels = np.resize(np.array(values, np.uint8), (12, width))
    base = Image.fromarray(pixels)
    image = Image.fromarray(pixels.astype(np.uint16)) if mode == "I;16" else base.convert(mode)
    stream = io.BytesIO()
    image.save(stream, "png")
    path.write_bytes(stream.getvalue() if how is None else damaged(stream.getvalue(), how))
    refused_or_read(lambda: read_masks([path], torch.tensor([[12, 12]]), size=8), path)


@cache
def archive_file(kind: str) -> bytes:
    state = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
    stream = io.BytesIO()
    content: Any = {"plain": state, "wrapped": {"state_dict": state, "epoch": 3},
                    "object": {"model": state, "args": random.Random}}[kind]  # fmt: skip
    torch.save(content, stream)
    return stream.getvalue()


@FUZZED
@given(st.sampled_from(["plain", "wrapped", "object"]), st.sampled_from([".pth", ".ckpt"]), DAMAGE)
def test_checkpoints(folder: Path, kind: str, suffix: str, how: tuple) -> None:
    path = folder / f"a{suffix}"
    path.write_bytes(damaged(archive_file(kind), how))
    refused_or_read(lambda: read_archive(path), path)


KEYS = st.text(st.sampled_from("ab.01_"), max_size=6)


@FUZZED
@given(
    st.dictionaries(KEYS, st.integers(0, 3), min_size=1, max_size=5),
    st.none()
    | st.just("by_order")
    | st.dictionaries(KEYS | KEYS.map("re:{}".format), st.none() | KEYS, max_size=3),
)
def test_names_of_weights(folder: Path, shapes: dict[str, int], key_map: Any) -> None:
    path = folder / "named.pth"
    torch.save({key: torch.ones((2,) * dims) for key, dims in shapes.items()}, path)
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    said = complaint(lambda: load_checkpoint(network, path, key_map=key_map))
    assert said is None or len(said) > 20


@FUZZED
@given(st.none() | st.text(max_size=8) | st.dictionaries(st.text(max_size=4), st.text(max_size=4)))
def test_key_maps(key_map: Any) -> None:
    def use() -> None:
        renaming = read_key_map(key_map)
        if not isinstance(renaming, str):
            rename_keys({"a": torch.ones(1)}, renaming)

    said = complaint(use)
    assert said is None or "key_map" in said or "key map" in said


@cache
def mesh_file(kind: str) -> bytes:
    mesh = trimesh.creation.box((4.0, 1.8, 1.4))
    exported = mesh.export(file_type=kind)
    return exported.encode() if isinstance(exported, str) else exported


@FUZZED
@given(st.sampled_from(["glb", "obj", "stl", "ply", "off"]), DAMAGE)
@example(kind="obj", how=(0.125, b"\n", False, 1.0))  # a line broken: vertices of two numbers
def test_meshes(folder: Path, kind: str, how: tuple) -> None:
    path = folder / f"mine.{kind}"
    path.write_bytes(damaged(mesh_file(kind), how))
    refused_or_read(lambda: read_mesh_design(path), path)
