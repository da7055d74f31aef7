"""Class-disjoint splits: every class in exactly one part, blocks as published."""

from pathlib import Path

import numpy as np
import pytest

from lossprint.data.index import ImageIndex, Partition, fold_classes, validation_classes


def index_of(classes: int, per_class: int, root: Path = Path()) -> ImageIndex:
    labels = np.tile(np.arange(classes), per_class)
    files = tuple(f"{row}.png" for row in range(len(labels)))
    return ImageIndex(root, files, labels, tuple(f"class{c}" for c in range(classes)))


def test_folds_start_where_the_reality_check_starts_them():
    assert [validation_classes(98, fold)[0] for fold in range(4)] == [0, 24, 49, 73]
    assert [validation_classes(100, fold)[0] for fold in range(4)] == [0, 25, 50, 75]


@pytest.mark.parametrize(("classes", "folds"), [(98, 4), (7, 4), (4, 4), (11, 3)])
def test_each_class_validates_in_exactly_one_fold(classes, folds):
    validated = np.concatenate([validation_classes(classes, f, folds) for f in range(folds)])
    assert validated.tolist() == list(range(classes))
    for fold in range(folds):
        training, validation = fold_classes(classes, fold, folds)
        assert not set(training) & set(validation)
        assert len(training) + len(validation) == classes


def test_subset_relabels_in_the_order_given_and_keeps_files():
    index = index_of(5, 3)
    subset = index.subset([4, 1])
    assert subset.class_names == ("class4", "class1")
    assert subset.num_classes == 2
    for file, label in zip(subset.files, subset.labels, strict=True):
        original = index.labels[index.files.index(file)]
        assert original == (4 if label == 0 else 1)


def test_fingerprint_follows_content_and_not_place(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for row in range(4):
            (tmp_path / name / f"{row}.png").write_bytes(b"x" * (row + 1))
    first, second = (index_of(2, 2, tmp_path / name) for name in ("a", "b"))
    assert first.fingerprint() == second.fingerprint()
    (tmp_path / "b" / "3.png").write_bytes(b"longer")
    assert first.fingerprint() != second.fingerprint()


def test_all_images_puts_test_classes_after_development_classes():
    index = index_of(6, 2)
    partition = Partition(index.subset([0, 1, 2, 3]), index.subset([4, 5]))
    everything = partition.all_images
    assert len(everything) == 12
    assert everything.class_names[4:] == ("class4", "class5")
    assert set(everything.labels[-4:]) == {4, 5}


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"fold=4 is not one of 0 … 3"):
        validation_classes(98, 4)
    with pytest.raises(ValueError, match="3 development classes cannot make 4 folds"):
        validation_classes(3, 0)
    with pytest.raises(ValueError, match="2 files but labels of shape"):
        ImageIndex(Path(), ("a", "b"), np.zeros(3), ("x",))
    with pytest.raises(ValueError, match="labels must be exactly 0 … 1"):
        ImageIndex(Path(), ("a", "b"), np.array([0, 2]), ("x", "y"))
    index = index_of(3, 1)
    with pytest.raises(ValueError, match=r"both development and test: \['class1'\]"):
        Partition(index.subset([0, 1]), index.subset([1, 2]))
