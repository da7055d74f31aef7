"""Parameters and versions, for the end of the page."""

from collections.abc import Sequence

from lossprint.data.probe import ProbeSet
from lossprint.probing import map_rows
from lossprint.runs.provenance import git_commit, package_versions
from lossprint.studies.networks import Network
from lossprint.studies.settings import StudySettings


def parameters(
    networks: Sequence[Network],
    probe: ProbeSet,
    settings: StudySettings,
    warnings: Sequence[str],
) -> dict[str, str]:
    """What was compared, with which settings, by which versions."""
    described = {
        "Networks": ", ".join(network.name for network in networks),
        "Probe set": f"{probe.name}: {len(probe)} images of {probe.size} px, {probe.fingerprint}",
    }
    images = len(map_rows(probe, settings.maps))  # a set may have fewer than are asked for
    described["Saliency maps of"] = f"{images} of {len(probe)} probe images"
    for name, value in settings.described().items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {entry}" for key, entry in value.items())
        described[f"study.{name}"] = str(value)
    for position, warning in enumerate(warnings, start=1):
        described[f"Caution {position}"] = warning
    described["Versions"] = ", ".join(f"{k} {v}" for k, v in package_versions().items())
    described["Source"] = git_commit() or "unknown"
    return described
