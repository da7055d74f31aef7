"""Learning rates over a training, and which weights get which."""

import math

import pytest
import torch

from lossprint.models.backbones import Backbone
from lossprint.models.embedder import Embedder
from lossprint.training.optimizers import constant, parameter_groups, warmup_cosine


def rates(schedule, steps: int, **settings) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule(optimizer, steps, **settings)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_warmup_rises_linearly_then_falls_as_half_a_cosine():
    seen = rates(warmup_cosine, 100, warmup=0.1)
    assert seen[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    expected = [1 + math.cos(math.pi * step / 90) for step in range(90)]
    assert seen[10:] == pytest.approx(expected)


def test_constant_stays():
    assert rates(constant, 5) == [2.0] * 5


def test_a_warmup_of_all_steps_is_refused():
    with pytest.raises(ValueError, match=r"warmup=1\.0 must be a share"):
        rates(warmup_cosine, 5, warmup=1.0)


def test_embedding_layer_and_the_weights_of_a_loss_have_rates_of_their_own():
    embedder = Embedder(Backbone(torch.nn.Linear(2, 2, bias=False), 2), 3)
    criterion = torch.nn.Linear(3, 1)
    groups = parameter_groups(embedder, criterion, 0.5, embedding_lr=0.3)
    backbone, embedding, loss = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.2).param_groups
    assert (backbone["lr"], backbone["name"], len(backbone["params"])) == (0.1, "backbone", 1)
    assert (embedding["lr"], embedding["weight_decay"], len(embedding["params"])) == (0.3, 0.2, 2)
    assert (loss["lr"], loss["weight_decay"], len(loss["params"])) == (0.5, 0.0, 2)
    assert len(parameter_groups(embedder, torch.nn.Identity(), None, embedding_lr=0.3)) == 2
    assert len(parameter_groups(embedder, None, None, embedding_lr=0.3)) == 2
