"""Batches of P classes × K images: composition, fairness, and independence of history."""

from collections import Counter

import pytest
import torch

from lossprint.data.sampler import ClassBalancedBatches

LABELS = torch.arange(12).repeat(7)


def batches_of(labels=LABELS, epoch=0, **settings):
    settings = {"classes_per_batch": 5, "samples_per_class": 3, "seed": 0} | settings
    sampler = ClassBalancedBatches(labels, **settings)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_batch_has_p_classes_with_k_different_images_each_contiguous():
    for batch in batches_of(batches=40):
        labels = LABELS[batch].view(5, 3)
        assert (labels == labels[:, :1]).all()
        assert len(labels[:, 0].unique()) == 5
        assert len(set(batch)) == 15


def test_classes_and_images_are_drawn_equally_often():
    drawn = [row for batch in batches_of(batches=120) for row in batch]
    per_class = Counter(LABELS[drawn].tolist())
    assert max(per_class.values()) - min(per_class.values()) <= 3  # one deal of K images
    assert len(set(drawn)) == len(LABELS)


def test_a_class_with_too_few_images_repeats_them():
    labels = torch.tensor([0, 1, 1, 1, 1])
    for batch in batches_of(labels, classes_per_batch=2, samples_per_class=4, batches=3):
        assert batch.count(0) == 4
        assert set(batch) == {0, 1, 2, 3, 4}


def test_an_epoch_depends_on_seed_and_epoch_alone():
    torch.manual_seed(1)
    first = batches_of(epoch=3)
    torch.manual_seed(2)
    assert batches_of(epoch=3) == first
    assert batches_of(epoch=4) != first
    assert batches_of(epoch=3, seed=1) != first


def test_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    batches_of()
    assert torch.equal(torch.get_rng_state(), before)


def test_length_defaults_to_what_the_images_fill():
    assert len(batches_of()) == len(LABELS) // 15
    assert len(batches_of(torch.arange(5), samples_per_class=1, classes_per_batch=5)) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes_per_batch": 13}, "only 12 training classes"),
        ({"samples_per_class": 0}, "must be at least 1"),
        ({"batches": 0}, "batches=0 must be at least 1"),
    ],
)
def test_errors_name_what_is_wrong(settings, message):
    with pytest.raises(ValueError, match=message):
        batches_of(**settings)
