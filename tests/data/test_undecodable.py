"""Images that cannot be decoded are found, and looked for once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossprint.data.index import ImageIndex
from lossprint.data.undecodable import check_decodable, undecodable_files
from tests.data.miniatures import write_image

FILES = ("whole.jpg", "whole.png", "cut.jpg", "cut.png", "text.jpg", "empty.png", "absent.jpg")
BAD = set(FILES[2:])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for kind in ("jpg", "png"):
        write_image(root / f"whole.{kind}", 70)
        pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"cut.{kind}")
        content = (root / f"cut.{kind}").read_bytes()
        (root / f"cut.{kind}").write_bytes(content[: len(content) // 2])
    (root / "text.jpg").write_text("no image")
    (root / "empty.png").touch()
    return root


def test_cut_off_absent_and_other_files_are_found(folder: Path) -> None:
    assert undecodable_files(folder, FILES, None) == BAD


def test_a_set_is_tried_once_until_it_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert undecodable_files(folder, FILES, tmp_path / "cache") == BAD
    with monkeypatch.context() as patched:
        patched.setattr("lossprint.data.undecodable._decodes", None)  # it is not tried again
        assert undecodable_files(folder, FILES, tmp_path / "cache") == BAD
    write_image(folder / "absent.jpg", 70)
    assert undecodable_files(folder, FILES, tmp_path / "cache") == BAD - {"absent.jpg"}


def test_the_first_of_them_is_named(folder: Path, tmp_path: Path) -> None:
    def index(*files: str) -> ImageIndex:
        return ImageIndex(folder, files, np.zeros(len(files), dtype=np.int64), ("all",))

    check_decodable(index("whole.jpg", "whole.png"), tmp_path)
    with pytest.raises(ValueError, match=r"cannot decode 2 of 3 images, the first is .*cut\.jpg"):
        check_decodable(index("whole.jpg", "text.jpg", "cut.jpg"), tmp_path)
