"""Architectures: backbones by name, and the embedder that every loss trains."""

from lossprint.models.backbones import Backbone, backbone_names, build_backbone
from lossprint.models.bn_inception import BNInception
from lossprint.models.checkpoints import load_weights, read_state_dict, rename_keys
from lossprint.models.embedder import Embedder, build_embedder

__all__ = [
    "BNInception",
    "Backbone",
    "Embedder",
    "backbone_names",
    "build_backbone",
    "build_embedder",
    "load_weights",
    "read_state_dict",
    "rename_keys",
]
