"""Classes in which nothing can be retrieved are told before training."""

import logging

import pytest
import torch

from lossprint.training.datamodule import Split, check_retrievable


def part(*sizes: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return torch.arange(len(labels)), labels


FINE = part(3, 2)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split(part(1, 1, 1), FINE, FINE), r"each of the 3 classes of the train part .*fold=…"),
        (Split(FINE, part(1), FINE), r"each of the 1 classes of the validation part .*folds=…"),
        (Split(FINE, FINE, part(1, 1)), r"2 classes of the test part .*test_classes=…"),
    ],
)
def test_a_part_of_single_images_is_refused(split: Split, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_retrievable(split)


@pytest.mark.parametrize(
    ("sizes", "told"), [((1, 2, 1), "2 of the 3 classes of the test part"), ((2, 2), "")]
)
def test_single_images_beside_others_are_said(
    sizes: tuple[int, ...], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    check_retrievable(Split(FINE, FINE, part(*sizes)))
    assert told in caplog.text
    assert bool(told) == bool(caplog.records)
