"""lossprint: the print that each metric-learning loss leaves on what a network learns.

The public API. A name's module is imported when the name is asked for: workers that render import
the package and have no need of PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Several networks at hand, compared in all ways below: tables, and a report.
    from lossprint.apps.networks_at_hand import compare as compare

    # The images on which networks are compared: from arrays at hand, or from a folder.
    from lossprint.data.probe import ProbeSet as ProbeSet
    from lossprint.data.probe import read_probe_set as read_probe_set

    # What an embedding clusters by: each property's neighbours, counted against chance.
    from lossprint.metrics.properties import normalized_r_precision as normalized_r_precision

    # What an embedding looks at, and how well the looks of several networks agree.
    from lossprint.saliency import attribution_maps as attribution_maps
    from lossprint.saliency import map_agreement as map_agreement
    from lossprint.saliency import saliency_maps as saliency_maps

    # Both looks, while any LightningModule trains.
    from lossprint.training.callbacks.probe_maps import ProbeMaps as ProbeMaps
    from lossprint.training.callbacks.probe_properties import ProbeProperties as ProbeProperties

_HOMES = {
    "ProbeMaps": "training.callbacks.probe_maps",
    "ProbeProperties": "training.callbacks.probe_properties",
    "ProbeSet": "data.probe",
    "attribution_maps": "saliency",
    "compare": "apps.networks_at_hand",
    "map_agreement": "saliency",
    "normalized_r_precision": "metrics.properties",
    "read_probe_set": "data.probe",
    "saliency_maps": "saliency",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
