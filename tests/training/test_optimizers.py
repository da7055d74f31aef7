"""Learning rates over a training, and which weights get which."""

import math

import pytest
import torch

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


def test_weights_of_a_loss_have_a_rate_of_their_own_and_are_not_decayed():
    network, criterion = torch.nn.Linear(2, 2), torch.nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(parameter_groups(network, criterion, 0.5), lr=0.1)
    first, second = optimizer.param_groups
    assert (first["lr"], first["name"], len(first["params"])) == (0.1, "network", 2)
    assert (second["lr"], second["weight_decay"], len(second["params"])) == (0.5, 0.0, 2)
    assert len(parameter_groups(network, torch.nn.Identity(), None)) == 1
    assert len(parameter_groups(network, None, None)) == 1
