"""Backbones by name: networks that turn images into pooled features, without their classifier."""

import difflib
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from urllib.error import URLError

import timm
import torch
import torchvision
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from lossprint.models.archives import read_state_dict
from lossprint.models.bn_inception import WEIGHTS_URL, BNInception
from lossprint.models.checkpoints import load_weights
from lossprint.models.efficientnet_lite0 import TIMM_NAME, load_packaged
from lossprint.models.key_maps import rename_keys

WeightsFrom = Literal["package", "timm"]
"""Where `efficientnet_lite0` takes its ImageNet weights."""

_Loaded = TypeVar("_Loaded")

TIMM, TORCHVISION = "timm:", "torchvision:"
# These two have auxiliary classifiers, which metric learning has no use for.
_WITH_AUXILIARY_HEADS = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


class Backbone(nn.Module):
    """A network without its classifier: images [N, 3, H, W] to features [N, num_features].

    Args:
        network: gives features [N, F], or a feature map [N, F, h, w] of one pixel.
        num_features: F.
    """

    def __init__(self, network: nn.Module, num_features: int) -> None:
        super().__init__()
        self.network = network
        self.num_features = num_features

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).flatten(1)


def backbone_names() -> list[str]:
    """Names that `build_backbone` knows, besides `timm:<name>`."""
    own = ["bn_inception", "efficientnet_lite0"]
    return [*own, *torchvision.models.list_models(module=torchvision.models)]


def build_backbone(
    name: str,
    *,
    pretrained: bool,
    weights: Path | str | None = None,
    weights_from: WeightsFrom | None = None,
) -> Backbone:
    """Build a backbone by name.

    Args:
        name: `efficientnet_lite0`, `bn_inception`, a torchvision classifier (`resnet18`,
            `vit_b_16`, …, with or without `torchvision:`), or `timm:<model>`, optionally with
            timm's tag of the weights (`timm:vit_small_patch14_dinov2.lvd142m`).
        pretrained: start from ImageNet weights (timm: from the named weights), downloaded once.
        weights: start from this state dict instead (safetensors or a plain torch archive), of the
            classifier or of the backbone alone; `pretrained` is then not looked at.
        weights_from: of `efficientnet_lite0`, which has two sources of ImageNet weights: the
            Python package that it comes with (None means that) or timm's download.

    Every backbone takes any image size its strides allow; vision transformers interpolate their
    position embedding.

    Raises:
        ValueError: the name is unknown, the weights do not fit, or `weights_from` is given to a
            backbone that has one source.
        FileNotFoundError: `weights` is missing, or pretrained weights cannot be found or
            downloaded; the message says which file to put where.
    """
    download = pretrained and weights is None
    name = name.removeprefix(TORCHVISION)
    if weights_from is not None:
        _check_weights_from(name, weights_from)
    if name.startswith(TIMM):
        backbone = _from_timm(name.removeprefix(TIMM), download=download)
        head: tuple[str, ...] = tuple(_timm_classifiers(backbone.network))
    elif name == "bn_inception":
        backbone = _bn_inception(download=download)
        head = ("last_linear.",)
    elif name == "efficientnet_lite0":
        backbone = _efficientnet_lite0(weights_from or "package", download=download)
        head = ("classifier.",)
    elif name in backbone_names():
        backbone, head = _from_torchvision(name, download=download)
    else:
        raise ValueError(_unknown(name, backbone_names(), prefix=""))
    if weights is not None:
        state = rename_keys(read_state_dict(weights), dict.fromkeys(head))
        load_weights(backbone.network, state, source=weights)
    return backbone


def _bn_inception(*, download: bool) -> Backbone:
    network = BNInception(num_classes=None)
    if download:
        state = _downloaded(
            "bn_inception",
            lambda: torch.hub.load_state_dict_from_url(
                WEIGHTS_URL, map_location="cpu", check_hash=True, weights_only=True
            ),
            url=WEIGHTS_URL,
        )
        state = rename_keys(state, {"last_linear.": None})
        load_weights(network, state, source=WEIGHTS_URL)
    return Backbone(network, network.num_features)


def _check_weights_from(name: str, weights_from: str) -> None:
    if name != "efficientnet_lite0":
        raise ValueError(
            f"weights_from={weights_from!r} is for efficientnet_lite0, which has two sources of "
            f"weights; {name} has one"
        )
    if weights_from not in get_args(WeightsFrom):
        raise ValueError(f"weights_from={weights_from!r} is neither 'package' nor 'timm'")


def _efficientnet_lite0(weights_from: WeightsFrom, *, download: bool) -> Backbone:
    if weights_from == "timm":
        return _from_timm(TIMM_NAME, download=download)
    network: Any = timm.create_model(TIMM_NAME, pretrained=False)
    if download:
        load_packaged(network)
    network.reset_classifier(0)
    return Backbone(network, int(network.num_features))


def _from_torchvision(name: str, *, download: bool) -> tuple[Backbone, tuple[str, ...]]:
    options: Mapping[str, Any] = _WITH_AUXILIARY_HEADS.get(name, {})
    if download:
        weights = torchvision.models.get_model_weights(name).DEFAULT
        network = _downloaded(
            name,
            lambda: torchvision.models.get_model(name, weights=weights, **options),
            url=weights.url,
        )
    else:
        network = torchvision.models.get_model(name, weights=None, **options)
    classifier, num_features = _remove_classifier(network)
    head = (f"{classifier}.", "AuxLogits.", "aux1.", "aux2.")
    if isinstance(network, VisionTransformer):
        network = _AnySizeVisionTransformer(network)
    return Backbone(network, num_features), head


def _remove_classifier(network: nn.Module) -> tuple[str, int]:
    """Replace the last layer with weights by the identity; its name and its input size."""
    path, layer = [
        (path, module)
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ][-1]
    num_features = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
    network.set_submodule(path, nn.Identity())
    # A dropout right in front belongs to the classifier: it would only add noise to embeddings.
    parent_path, _, child = path.rpartition(".")
    parent = network.get_submodule(parent_path)
    siblings = list(parent.named_children()) if isinstance(parent, nn.Sequential) else []
    for (name, module), (following, _) in pairwise(siblings):
        if following == child and isinstance(module, nn.Dropout):
            parent.add_module(name, nn.Identity())
    return path, num_features


class _AnySizeVisionTransformer(nn.Module):
    """torchvision's vision transformer with its position embedding fitted to the image.

    State dict keys are the wrapped network's. Pixels beyond a whole number of patches are not
    looked at, as in any strided convolution.
    """

    def __init__(self, network: VisionTransformer) -> None:
        super().__init__()
        self.patch_size = network.patch_size
        self.conv_proj = network.conv_proj
        self.class_token = network.class_token
        self.encoder = network.encoder

    def forward(self, images: Tensor) -> Tensor:
        if min(images.shape[-2:]) < self.patch_size:
            raise ValueError(
                f"images of {tuple(images.shape[-2:])} px are smaller than a patch of "
                f"{self.patch_size} px"
            )
        patches = self.conv_proj(images)  # [N, F, h, w]
        grid = list(patches.shape[-2:])
        tokens = patches.flatten(2).transpose(1, 2)  # [N, h w, F]
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        encoder = self.encoder
        tokens = tokens + resample_abs_pos_embed(encoder.pos_embedding, grid, antialias=False)
        return encoder.ln(encoder.layers(encoder.dropout(tokens)))[:, 0]


def _from_timm(name: str, *, download: bool) -> Backbone:
    known = name.removeprefix("timm/")
    if not timm.is_model(known.partition(".")[0]):
        raise ValueError(_unknown(known, timm.list_models(), prefix=TIMM))
    tag = known.partition(".")[2]
    if tag and not timm.models.is_model_pretrained(known):
        tags = timm.list_pretrained(f"{known.partition('.')[0]}.*")
        raise ValueError(f"timm has no weights {known!r}; it has: {', '.join(tags) or 'none'}")

    def create() -> Any:
        options: dict[str, Any] = {"pretrained": download, "num_classes": 0}
        try:
            # Transformers with a position embedding take any size only when asked to.
            return timm.create_model(known, dynamic_img_size=True, dynamic_img_pad=True, **options)
        except TypeError:
            return timm.create_model(known, **options)

    if download:
        config = timm.models.get_pretrained_cfg(known)
        if config is None or not config.has_weights:
            raise ValueError(f"timm has no pretrained weights for {known!r}: pretrained=false")
        url = f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else str(config.url)
        network = _downloaded(f"{TIMM}{known}", create, url=url)
    else:
        network = create()
    # `num_features` is not what every architecture gives after pooling; this attribute is.
    num_features = getattr(network, "head_hidden_size", None) or network.num_features
    return Backbone(network, int(num_features))


def _timm_classifiers(network: Any) -> list[str]:
    classifiers = network.default_cfg.get("classifier", ())
    classifiers = [classifiers] if isinstance(classifiers, str) else classifiers
    return [f"{classifier}." for classifier in classifiers]


def _downloaded(name: str, load: Callable[[], _Loaded], *, url: str) -> _Loaded:
    """Run a loader that may reach for the network; say what to do when it cannot."""
    try:
        return load()
    except (URLError, OSError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        file = url.rpartition("/")[2]
        place = (
            f"put model.safetensors of {url} somewhere and pass its path as model.weights"
            if "huggingface.co" in url
            else f"put {file} (from {url}) into {folder}, or pass its path as model.weights"
        )
        raise FileNotFoundError(
            f"the pretrained weights of {name} could not be downloaded ({error}). Without a "
            f"network: {place}; or train from scratch with model.pretrained=false."
        ) from error


def _unknown(name: str, names: list[str], *, prefix: str) -> str:
    near = [prefix + match for match in difflib.get_close_matches(name, names, n=5, cutoff=0.5)]
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    valid = (
        "timm.list_models() names them all."
        if prefix
        else f"Valid: {', '.join(names)}, timm:<name of a timm model>."
    )
    return f"unknown backbone {prefix + name!r}.{hint} {valid}"
