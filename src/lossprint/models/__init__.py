"""Architectures: backbones by name, and the embedder that every loss trains."""

from lossprint.models.archives import read_state_dict
from lossprint.models.backbones import Backbone, backbone_names, build_backbone
from lossprint.models.bn_inception import BNInception
from lossprint.models.checkpoints import load_checkpoint, load_weights
from lossprint.models.embedder import Embedder, build_embedder
from lossprint.models.key_maps import rename_keys
from lossprint.models.reality_check import RealityCheckModel, find_reality_check_models

__all__ = [
    "BNInception",
    "Backbone",
    "Embedder",
    "RealityCheckModel",
    "backbone_names",
    "build_backbone",
    "build_embedder",
    "find_reality_check_models",
    "load_checkpoint",
    "load_weights",
    "read_state_dict",
    "rename_keys",
]
