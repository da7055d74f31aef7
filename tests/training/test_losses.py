"""Every loss file: built, stepped, restored; and what is said about files that are wrong."""

import copy
import functools
import inspect
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from pytorch_metric_learning import distances, losses
from torch import Tensor, nn

from lossprint.training.losses import (
    STUDY_LOSSES,
    BatchDemands,
    LossSpec,
    build_loss,
    check_batch,
    check_loss_config,
    distance_name,
    loss_value,
    merge_published,
)

CONF = Path(__file__).parents[2] / "conf"
NAMES = sorted(path.stem for path in (CONF / "loss").glob("*.yaml"))
TRAINABLE = [name for name in NAMES if name != "untrained"]
CLASSES, SAMPLES, EMBEDDING_SIZE = 8, 4, 16

DISTANCE_CLASSES = {
    "lp": (distances.LpDistance, 1),
    "lp_squared": (distances.LpDistance, 2),
    "cosine": (distances.CosineSimilarity, 1),
    "dot": (distances.DotProductSimilarity, 1),
    "snr": (distances.SNRDistance, 1),
}

# Losses that want more than labels, and bases and wrappers of others.
NOT_OF_THEIR_OWN = {
    "BaseLossWrapper",
    "BaseMetricLossFunction",
    "CrossBatchMemory",
    "EmbeddingRegularizerMixin",
    "GenericPairLoss",
    "InstanceLoss",
    "ManifoldLoss",
    "MultipleLosses",
    "SelfSupervisedLoss",
    "VICRegLoss",
    "WeightMixin",
    "WeightRegularizerMixin",
}


def compose(name: str, *overrides: str) -> dict[str, Any]:
    return copy.deepcopy(composed(name, *overrides))


@functools.cache
def composed(name: str, *overrides: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose(
            overrides=[
                f"+loss={name}",
                "+num_classes=null",
                f"+model.embedding_size={EMBEDDING_SIZE}",
                *overrides,
            ]
        )
    return OmegaConf.to_container(config, resolve=True)["loss"]


def build(name: str, *overrides: str, seed: int = 0, hyperparameters: str = "default") -> LossSpec:
    config = merge_published(compose(name, *overrides), hyperparameters)
    return build_loss(config, hydra.utils.instantiate, num_classes=CLASSES, seed=seed)


def labels() -> Tensor:
    return torch.arange(CLASSES).repeat_interleave(SAMPLES)


def toy_batch(seed: int) -> Tensor:
    """Inputs [32, 24] in which a class is a direction under noise."""
    centers = torch.randn(CLASSES, 24, generator=torch.Generator().manual_seed(99))
    noise = torch.randn(CLASSES * SAMPLES, 24, generator=torch.Generator().manual_seed(seed))
    return centers[labels()] + noise


def toy_network() -> nn.Linear:
    network = nn.Linear(24, EMBEDDING_SIZE)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        network.weight.copy_(torch.randn(network.weight.shape, generator=generator) / 24**0.5)
        network.bias.zero_()
    return network


def train(spec: LossSpec, network: nn.Linear, seeds: range) -> None:
    assert spec.criterion is not None
    groups: list[dict[str, Any]] = [{"params": network.parameters(), "lr": 3e-3}]
    if spec.learning_rate is not None:
        groups.append({"params": spec.criterion.parameters(), "lr": spec.learning_rate})
    optimizer = torch.optim.Adam(groups)
    for seed in seeds:
        optimizer.zero_grad()
        value = loss_value(spec.criterion, spec.miner, network(toy_batch(seed)), labels())
        value.backward()
        optimizer.step()


def targets(node: Any) -> list[str]:
    """Every `_target_` of a configuration, those of lists too."""
    if isinstance(node, list):
        return [target for entry in node for target in targets(entry)]
    if not isinstance(node, dict):
        return []
    inner = [target for value in node.values() for target in targets(value)]
    return [node["_target_"], *inner] if "_target_" in node else inner


def test_files_cover_every_label_supervised_loss_of_the_library() -> None:
    available = {
        name
        for name, found in vars(losses).items()
        if inspect.isclass(found) and issubclass(found, nn.Module)
    }
    named = {path for name in TRAINABLE for path in targets(compose(name)["criterion"])}
    configured = {path.rpartition(".")[2] for path in named}
    assert available - NOT_OF_THEIR_OWN == configured - NOT_OF_THEIR_OWN - set(vars(distances))
    assert set(STUDY_LOSSES) < set(TRAINABLE)


def combined(**arguments: Any) -> dict[str, Any]:
    """A loss of one's own: a ranking and a classification loss together."""
    library = "pytorch_metric_learning.losses"
    softmax = {
        "_target_": f"{library}.NormalizedSoftmaxLoss",
        "num_classes": None,
        "embedding_size": EMBEDDING_SIZE,
        **arguments,
    }
    parts = [{"_target_": f"{library}.TripletMarginLoss"}, softmax]
    return {
        "name": "both",
        "family": "ranking",
        "distance": "cosine",
        "criterion": {"_target_": f"{library}.MultipleLosses", "losses": parts, "weights": [1, 2]},
        "optimizer": {"lr": 0.1},
    }


def test_a_list_of_losses_is_one_and_its_class_vectors_are_those_of_the_data() -> None:
    spec = build_loss(combined(), hydra.utils.instantiate, num_classes=CLASSES, seed=0)
    assert [tuple(weight.shape) for weight in spec.criterion.parameters()] == [
        (EMBEDDING_SIZE, CLASSES)
    ]
    embeddings = toy_network()(toy_batch(1))
    value = loss_value(spec.criterion, None, embeddings, labels())
    triplet, softmax = (part(embeddings, labels()) for part in spec.criterion.losses)
    torch.testing.assert_close(value, triplet + 2 * softmax)


def test_a_mistyped_argument_in_a_list_is_named_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"criterion\.losses\[1\]\.temprature.*temperature"):
        check_loss_config(combined(temprature=0.1))
    config = combined(temprature=0.1)
    parts = config["criterion"]["losses"]
    config["criterion"] |= {"losses": {"one": parts[0], "two": parts[1]}, "weights": None}
    with pytest.raises(ValueError, match=r"criterion\.losses\.two\.temprature.*temperature"):
        check_loss_config(config)


def test_the_group_holds_nothing_but_losses() -> None:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        options = GlobalHydra.instance().config_loader().get_group_options("loss")
    assert sorted(options) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_file_describes_its_criterion(name: str) -> None:
    spec = build(name)
    assert spec.name == name
    if name == "untrained":
        assert (spec.family, spec.criterion, spec.learning_rate) == ("control", None, None)
        return
    assert spec.criterion is not None
    expected, power = DISTANCE_CLASSES[spec.distance]
    for part in getattr(spec.criterion, "losses", [spec.criterion]):
        assert type(part.distance) is expected
        assert part.distance.power == power
    weights = sum(parameter.numel() for parameter in spec.criterion.parameters())
    if spec.family == "classification":  # one or more vectors for each class
        assert weights > 0
        assert weights % (CLASSES * EMBEDDING_SIZE) == 0
    else:
        assert weights == {"margin": 1, "margin_per_class": CLASSES}.get(name, 0)
    assert (spec.learning_rate is not None) == (weights > 0)


@pytest.mark.parametrize("name", TRAINABLE)
def test_first_step_is_finite_and_reaches_every_weight(name: str) -> None:
    spec, network = build(name), toy_network()
    assert spec.criterion is not None
    embeddings = network(toy_batch(1))
    value = loss_value(spec.criterion, spec.miner, embeddings, labels())
    value.backward()
    assert value.shape == ()
    assert torch.isfinite(value)
    for parameter in [network.weight, *spec.criterion.parameters()]:
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize("name", TRAINABLE)
def test_steps_lower_the_loss(name: str) -> None:
    spec, network = build(name), toy_network()
    assert spec.criterion is not None

    def held_out() -> float:
        criterion = copy.deepcopy(spec.criterion)  # evaluation must not touch a running state
        with torch.no_grad():
            rows = [
                loss_value(criterion, spec.miner, network(toy_batch(seed)), labels())
                for seed in range(500, 510)
            ]
        return float(torch.stack(rows).mean())

    before = held_out()
    train(spec, network, range(40))
    assert held_out() < before


@pytest.mark.parametrize("name", TRAINABLE)
def test_restored_criterion_continues_to_the_bit(name: str) -> None:
    spec, network = build(name, seed=0), toy_network()
    train(spec, network, range(3))
    fresh = build(name, seed=1)
    assert spec.criterion is not None
    assert fresh.criterion is not None
    fresh.criterion.load_state_dict(copy.deepcopy(spec.criterion.state_dict()))
    embeddings = network(toy_batch(7)).detach()
    expected = loss_value(spec.criterion, spec.miner, embeddings, labels())
    assert torch.equal(
        loss_value(fresh.criterion, fresh.miner, embeddings, labels()).detach(), expected.detach()
    )


@pytest.mark.parametrize("name", TRAINABLE)
def test_collapsed_embeddings_give_finite_gradients(name: str) -> None:
    spec = build(name)
    assert spec.criterion is not None
    generator = torch.Generator().manual_seed(0)
    row = torch.randn(1, EMBEDDING_SIZE, generator=generator)
    embeddings = row.repeat(CLASSES * SAMPLES, 1).requires_grad_()
    value = loss_value(spec.criterion, spec.miner, embeddings, labels())
    value.backward()
    assert torch.isfinite(value)
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all()


def test_weights_come_from_the_seed_alone() -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first = build("arcface", seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(321)
    again, other = build("arcface", seed=0), build("arcface", seed=1)
    weights = [spec.criterion.W for spec in (first, again, other) if spec.criterion is not None]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_autocast_does_not_reach_the_criterion() -> None:
    spec = build("arcface")
    assert spec.criterion is not None
    embeddings = toy_network()(toy_batch(0)).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss_value(spec.criterion, None, embeddings.bfloat16(), labels())
    assert spec.criterion.W.dtype == value.dtype == torch.float32
    expected = spec.criterion(embeddings.bfloat16().float(), labels())
    assert torch.equal(value, expected)


@pytest.mark.parametrize("name", STUDY_LOSSES)
def test_published_optima_build_and_step(name: str) -> None:
    config = compose(name)
    merged = merge_published(config, "published")
    assert config == compose(name)
    for key, value in config["published"]["criterion"].items():
        assert merged["criterion"][key] == value
    spec = build_loss(merged, hydra.utils.instantiate, num_classes=CLASSES, seed=0)
    assert spec.criterion is not None
    embeddings = toy_network()(toy_batch(0))
    assert torch.isfinite(loss_value(spec.criterion, spec.miner, embeddings, labels()))
    if spec.learning_rate is not None:
        assert spec.learning_rate == config["published"]["optimizer"]["lr"]


def test_published_values() -> None:
    arcface = merge_published(compose("arcface"), "published")
    assert arcface["criterion"]["margin"] == 20.52
    assert arcface["criterion"]["scale"] == 49.5
    assert arcface["optimizer"]["lr"] == 7.39e-6
    with_miner = merge_published(compose("multi_similarity_miner"), "published")
    assert with_miner["miner"]["epsilon"] == 0.72
    assert with_miner["miner"]["_target_"].endswith("MultiSimilarityMiner")
    by_hand = compose("arcface", "loss.criterion.margin=10")
    kept = merge_published(by_hand, "published", keep={"criterion.margin"})
    assert (kept["criterion"]["margin"], kept["criterion"]["scale"]) == (10, 49.5)
    assert merge_published(compose("untrained"), "published") == compose("untrained")


def test_without_published_optimum() -> None:
    with pytest.raises(ValueError, match=r"'circle' has no published .*contrastive, triplet"):
        merge_published(compose("circle"), "published")
    with pytest.raises(ValueError, match="must be default or published, not 'best'"):
        merge_published(compose("arcface"), "best")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("triplet", "+loss.criterion.typo=3", r"loss\.criterion\.typo: .*'typo'.*margin.*swap"),
        ("arcface", "+loss.criterion.typo=3", r"'typo'.*num_classes.*weight_regularizer"),
        ("subcenter_arcface", "+loss.criterion.typo=3", r"'typo'.*num_classes.*sub_centers"),
        ("triplet", "+loss.criterion.num_classes=3", r"no argument 'num_classes'"),
        ("multi_similarity_miner", "+loss.miner.typo=3", r"loss\.miner\.typo.*epsilon"),
        (
            "triplet",
            "+loss.criterion.distance={_target_:pytorch_metric_learning.distances.LpDistance,o:2}",
            r"loss\.criterion\.distance\.o: LpDistance.*power",
        ),
        ("triplet", "+loss.typo=3", r"unknown loss\.typo;.*criterion"),
        ("triplet", "+loss.optimizer={momentum:1}", r"unknown loss\.optimizer\.momentum"),
        ("triplet", "loss.criterion.margin=wide", r"margin must be a number, not 'wide'"),
        ("triplet", "loss.criterion.margin=nan", r"margin must be a finite number, not nan"),
        ("margin", "loss.criterion.learn_beta=3", r"learn_beta must be true or false, not 3"),
        ("arcface", "loss.optimizer.lr=-1", r"optimizer\.lr=-1 must be a number greater than 0"),
        ("arcface", "loss.optimizer=null", r"'arcface' holds weights \(W\)"),
        ("triplet", "loss.distance=cosine", r"is 'cosine', but its criterion .* by 'lp'"),
        ("triplet", "loss.distance=L2", r"must be one of lp, lp_squared, .*not 'L2'"),
        ("triplet", "loss.lineage=3", r"loss\.lineage of 'triplet' must be a name .*not 3"),
        ("triplet", "loss.family=pairs", r"must be one of ranking, .*not 'pairs'"),
        ("triplet", "loss.criterion=null", r"'triplet' of family 'ranking' needs a criterion"),
        (
            "triplet",
            "loss.batch.min_classes=0",
            r"classes=0 must be a whole number of at least 1",
        ),
        ("triplet", "+loss.batch.typo=0", r"unknown loss\.batch\.typo;.*min_classes"),
        ("triplet", "loss.name=a/b", r"loss\.name must consist of .*not 'a/b'"),
        ("triplet", "loss.criterion._target_=torch.nn.Nope", r"'torch.nn.Nope' does not exist"),
        ("triplet", "loss.criterion._target_=nope.Loss", r"there is no module 'nope'"),
        ("triplet", "loss.criterion._target_=Nope", r"dotted path package.module.Class"),
        ("ranked_list", "~loss.criterion.Tn", r"RankedListLoss refuses its arguments.*'Tn'"),
        ("pnp", "loss.criterion.variant=Z", r"PNPLoss refuses its arguments.*variant=Z"),
    ],
)
def test_wrong_files_are_refused_by_name(name: str, override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, override)


def test_missing_entry() -> None:
    config = compose("triplet")
    del config["distance"]
    with pytest.raises(ValueError, match=r"loss\.distance is missing"):
        check_loss_config(config)


class CentroidLoss(nn.Module):
    """What a user may bring: pulls samples to their class's learned centre."""

    def __init__(self, num_classes: int, embedding_size: int, weight: float = 1.0) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.randn(num_classes, embedding_size))
        self.weight = weight

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return self.weight * (embeddings - self.centers[labels]).square().sum(dim=1).mean()


def own_loss(**criterion: Any) -> dict[str, Any]:
    return {
        "name": "centroid",
        "family": "classification",
        "distance": "lp",
        "criterion": {"_target_": f"{__name__}.CentroidLoss", **criterion},
        "optimizer": {"lr": 0.1},
    }


def test_own_loss_works_like_the_rest() -> None:
    config = own_loss(num_classes=CLASSES, embedding_size=EMBEDDING_SIZE)
    spec, network = (
        build_loss(config, hydra.utils.instantiate, num_classes=CLASSES, seed=0),
        toy_network(),
    )
    assert spec.criterion is not None
    before = loss_value(spec.criterion, None, network(toy_batch(0)), labels())
    train(spec, network, range(20))
    assert loss_value(spec.criterion, None, network(toy_batch(0)), labels()) < before
    with pytest.raises(ValueError, match=r"'wieght'.*embedding_size, num_classes, weight"):
        build_loss(own_loss(wieght=1.0), hydra.utils.instantiate, num_classes=CLASSES, seed=0)


class Echo(nn.Module):
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return embeddings


def test_criterion_must_give_one_number() -> None:
    embeddings = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"Echo must give one number, not shape \(4, 2\)"):
        loss_value(Echo(), None, embeddings, torch.zeros(4))


def test_target_that_is_no_module() -> None:
    config = own_loss()
    config["criterion"] = {"_target_": "fractions.Fraction", "numerator": 1}
    with pytest.raises(ValueError, match=r"gives a Fraction, not a torch\.nn\.Module"):
        build_loss(config, hydra.utils.instantiate, num_classes=CLASSES, seed=0)


def test_batches_are_checked() -> None:
    triplet, arcface = build("triplet").batch, build("arcface").batch
    assert check_batch("triplet", triplet, 8, 4) == check_batch("arcface", arcface, 32, 1) == []
    with pytest.raises(ValueError, match=r"'triplet' needs at least 2 samples .* 32 classes × 1"):
        check_batch("triplet", triplet, 32, 1)
    with pytest.raises(ValueError, match=r"'triplet' needs at least 2 classes .* 1 classes × 32"):
        check_batch("triplet", triplet, 1, 32)
    assert check_batch("n_pairs", build("n_pairs").batch, 8, 4) == [
        "loss 'n_pairs' learns from 2 of each class's 4 samples."
    ]
    assert check_batch("n_pairs", build("n_pairs").batch, 16, 2) == []
    square = build("triplet", "+loss.batch.classes_equal_samples=true").batch
    assert check_batch("square", square, 6, 6) == []
    with pytest.raises(ValueError, match=r"as many classes in a batch as samples .* 8 classes × 4"):
        check_batch("square", square, 8, 4)


def test_batch_demands_default_to_none() -> None:
    assert BatchDemands.from_config(None) == BatchDemands.from_config({}) == BatchDemands()


def test_distance_without_a_name() -> None:
    with pytest.raises(ValueError, match=r"LpDistance\(p=1, power=1\)"):
        distance_name(distances.LpDistance(p=1))
