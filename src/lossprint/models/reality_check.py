"""The published models of "A Metric Learning Reality Check" (Musgrave et al., ECCV 2020)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lossprint.models.archives import read_state_dict
from lossprint.models.backbones import Backbone
from lossprint.models.bn_inception import BNInception
from lossprint.models.checkpoints import load_weights
from lossprint.models.embedder import Embedder
from lossprint.models.key_maps import rename_keys
from lossprint.models.native import CAFFE

TRUNK, EMBEDDER = "trunk_best.pth", "embedder_best.pth"
# What these models were trained to see: Caffe's BGR, 0 to 255, minus the mean; 227 px cut from the
# middle of an image whose short side is 256 px.
PREPROCESSING: Mapping[str, object] = CAFFE

FAMILIES_AND_DISTANCES: Mapping[str, tuple[str, str]] = {
    "contrastive": ("ranking", "lp"),
    "triplet": ("ranking", "lp"),
    "ntxent": ("ranking", "cosine"),
    "margin": ("ranking", "lp"),
    "margin_per_class": ("ranking", "lp"),
    "fastap": ("ranking", "lp_squared"),
    "snr_contrastive": ("ranking", "snr"),
    "multi_similarity": ("ranking", "cosine"),
    "multi_similarity_miner": ("ranking", "cosine"),
    "proxy_nca": ("classification", "lp_squared"),
    "normalized_softmax": ("classification", "dot"),
    "cosface": ("classification", "cosine"),
    "arcface": ("classification", "cosine"),
    "soft_triple": ("classification", "cosine"),
}
"""The study's fourteen losses."""

_DATASETS = {"cars196": "cars196", "cars": "cars196", "cub200": "cub200", "cub": "cub200",
             "sop": "sop"}  # fmt: skip
# Spellings besides a loss's own name; letters and digits alone count.
_ALIASES = {
    "marginparamperclass": "margin_per_class",
    "marginclass": "margin_per_class",
    "multisimilaritywithmsminer": "multi_similarity_miner",
    "multisimilaritywithminer": "multi_similarity_miner",
    "multisimilaritymsminer": "multi_similarity_miner",
}
_FOLD = re.compile(r"Test50_50_Partitions4_(\d+)$")
_REPRODUCTION = re.compile(r"_?reproduction_?(\d+)$")


@dataclass(frozen=True)
class RealityCheckModel:
    """One published model: a loss, a fold, and where its two state dicts lie.

    Attributes:
        loss: one of `FAMILIES_AND_DISTANCES`.
        fold: 0 … 3.
        seed: the number of the reproduction, 0 if its folder has none.
        dataset: cars196, cub200, sop, or None if its folder does not tell.
        folder: with `trunk_best.pth` and `embedder_best.pth`.
    """

    loss: str
    fold: int
    seed: int
    dataset: str | None
    folder: Path

    @property
    def family(self) -> str:
        return FAMILIES_AND_DISTANCES[self.loss][0]

    @property
    def distance(self) -> str:
        return FAMILIES_AND_DISTANCES[self.loss][1]

    def load(self, *, embedding_size: int = 128) -> Embedder:
        """BN-Inception with this model's weights, in eval mode, its BatchNorm frozen.

        Raises:
            ValueError: the files hold something else, or embeddings of another size.
        """
        trunk_path, embedder_path = self.folder / TRUNK, self.folder / EMBEDDER
        weight, bias = _linear(_plain_keys(embedder_path), embedder_path)
        if weight.shape[0] != embedding_size:
            raise ValueError(
                f"{embedder_path} gives embeddings of size {weight.shape[0]}, not {embedding_size}"
            )
        trunk = _plain_keys(trunk_path)
        # Only its shape is needed: every initial value is replaced by the file's.
        with torch.random.fork_rng(devices=[]):
            network = BNInception(num_classes=None)
            model = Embedder(
                Backbone(network, network.num_features), embedding_size, freeze_batchnorm=True
            )
        trunk = rename_keys(trunk, {"last_linear.": None})
        load_weights(network, trunk, source=trunk_path)
        load_weights(model.embedding, {"weight": weight, "bias": bias}, source=embedder_path)
        return model.eval()


def find_reality_check_models(
    root: Path | str,
    *,
    dataset: str | None = None,
    losses: Collection[str] | None = None,
    folds: Collection[int] | None = None,
) -> list[RealityCheckModel]:
    """List the models under `root`, sorted by loss, fold and seed.

    They lie in `<root>/<folder of the loss>/Test50_50_Partitions4_<fold>/saved_models/`. The
    publication's folders are named `<cars | cub | sop>_<loss><number>_reproduction<number>`, e.g.
    `cars_multi_similarity_with_ms_miner38_reproduction0`; each part but the loss may be absent, and
    its name may be written in any case, with or without underscores, and with
    `_no_weight_decay` behind it: `Triplet`, `sop_margin_param_per_class_no_weight_decay35`,
    `cub_ntxent28`, `margin_per_class` are understood.

    Args:
        root: of the models.
        dataset: only those of `cars196`, `cub200` or `sop`.
        losses: only these.
        folds: only these.

    Raises:
        FileNotFoundError: there is no such model, or one of its two files is missing.
        ValueError: a folder's loss is not understood, two folders claim to be the same model, or
            models of several data sets lie there and none is chosen.
    """
    root = Path(root)
    found: dict[tuple[str | None, str, int, int], RealityCheckModel] = {}
    for fold_folder in sorted(root.glob("*/Test50_50_Partitions4_*")):
        match = _FOLD.search(fold_folder.name)
        if match is None:
            continue
        name = fold_folder.parent.name
        model_dataset, loss, seed = _understood(name)
        fold = int(match.group(1))
        if (
            (dataset is not None and model_dataset not in (None, dataset))
            or (losses is not None and loss not in losses)
            or (folds is not None and fold not in folds)
        ):
            continue
        model = RealityCheckModel(loss, fold, seed, model_dataset, fold_folder / "saved_models")
        _check_files(model.folder)
        key = (model_dataset, loss, fold, seed)
        if key in found:
            raise ValueError(f"{model.folder} and {found[key].folder} are both {loss}, fold {fold}")
        found[key] = model
    datasets = sorted({str(key[0]) for key in found})
    if len(datasets) > 1:
        raise ValueError(f"{root} holds models of {', '.join(datasets)}: choose one with dataset=…")
    if not found:
        raise FileNotFoundError(
            f"no model of the reality check under {root}: expected <loss>/"
            f"Test50_50_Partitions4_<fold>/saved_models/ with {TRUNK} and {EMBEDDER}"
        )
    return sorted(found.values(), key=lambda model: (model.loss, model.fold, model.seed))


def _understood(name: str) -> tuple[str | None, str, int]:
    """Data set, loss and reproduction of a folder's name."""
    rest = name.lower()
    reproduction = _REPRODUCTION.search(rest)
    seed = int(reproduction.group(1)) if reproduction else 0
    rest = _REPRODUCTION.sub("", rest)
    prefix, _, behind = rest.partition("_")
    dataset = _DATASETS.get(prefix)
    letters = re.sub(r"[^a-z0-9]", "", behind if dataset else rest).rstrip("0123456789")
    letters = letters.removesuffix("noweightdecay")
    names = {loss.replace("_", ""): loss for loss in FAMILIES_AND_DISTANCES} | _ALIASES
    if letters not in names:
        raise ValueError(
            f"folder {name!r} names no loss of the reality check; known are "
            f"{', '.join(FAMILIES_AND_DISTANCES)}"
        )
    return dataset, names[letters], seed


def _check_files(folder: Path) -> None:
    for name in (TRUNK, EMBEDDER):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name} is missing: a model has {TRUNK} and {EMBEDDER}"
            )


def _plain_keys(path: Path) -> dict[str, Tensor]:
    """A state dict without the prefix that torch's DataParallel writes."""
    return rename_keys(read_state_dict(path), {"module.": ""})


def _linear(state: Mapping[str, Tensor], path: Path) -> tuple[Tensor, Tensor]:
    """The one linear layer, which the publication stores under two names."""
    layers = [
        (state[f"{name}.weight"], state[f"{name}.bias"])
        for name in ("net.0", "last_linear")
        if f"{name}.weight" in state and f"{name}.bias" in state
    ]
    known = {f"{name}.{part}" for name in ("net.0", "last_linear") for part in ("weight", "bias")}
    unexpected = sorted(state.keys() - known)
    if not layers or unexpected:
        raise ValueError(
            f"{path} is no embedder of one linear layer: expected net.0.weight and net.0.bias, "
            f"found {', '.join(list(state)[:10]) or 'nothing'}"
        )
    if not all(torch.equal(a, b) for a, b in zip(layers[0], layers[-1], strict=True)):
        raise ValueError(f"{path} has two different linear layers, net.0 and last_linear")
    return layers[0]
