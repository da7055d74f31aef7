"""What a comparison is made of: networks that may be compared, controls, and the probe images."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from lossprint.apps import build
from lossprint.apps.settings import ProbeSettings
from lossprint.data.probe import ProbeSet
from lossprint.data.transforms import Preprocessing
from lossprint.probing import kept_for_another_set, weights_key
from lossprint.probing.network import fastest_device
from lossprint.runs.record import MONITOR, RunRecord
from lossprint.studies.comparability import (
    architectures_compared,
    incompatibilities,
    training_differences,
)
from lossprint.studies.matching import MatchedNetwork, matched_networks
from lossprint.studies.networks import Network, networks_of_runs

PROBE_KEYS = tuple(item.name for item in fields(ProbeSettings) if item.name != "render")
"""What can be said of another probe set than that of the runs."""


@dataclass(frozen=True)
class ComparisonInputs:
    """What is compared.

    Attributes:
        networks: of finished runs, then the controls.
        left_out: `run, part, reason` of runs that cannot be used.
        probe: images on which all are compared.
        intervention_scenes: scenes re-rendered with one property changed, or None.
        matched: the networks of the runs at equal retrieval; none unless that is asked for.
        warnings: what to know of the comparison, one sentence each.
    """

    networks: list[Network]
    left_out: pd.DataFrame
    probe: ProbeSet
    intervention_scenes: ProbeSet | None
    matched: list[MatchedNetwork]
    warnings: list[str]

    @property
    def runs(self) -> list[RunRecord]:
        """The runs of the networks."""
        return [network.run for network in self.networks if network.run is not None]


def comparison_inputs(
    records: Sequence[RunRecord], config: Mapping[str, Any], *, intervention_scenes: int
) -> ComparisonInputs:
    """Gather what is compared, and check that it may be.

    Args:
        records: finished or not.
        config: `untrained` adds controls, `probe` may name another probe set than the runs',
            `match` compares at equal retrieval too, `allow_mixed` allows runs that are not
            comparable.
        intervention_scenes: how many scenes to re-render where the probe set brings none.

    Raises:
        ValueError: no run can be used, runs are not comparable, runs that are to be matched kept no
            states, or the probe set cannot be read.
    """
    if config["match"] not in (None, MONITOR):
        raise ValueError(f"match={config['match']} is unknown; valid are {MONITOR} and null")
    networks, left_out = networks_of_runs(
        records, build.trained, results=partial(results_folder, config["output_root"])
    )
    runs = [network.run for network in networks if network.run is not None]
    if not runs:
        reasons = [f"{run}: {reason}" for run, reason in left_out[["run", "reason"]].to_numpy()]
        raise ValueError(f"no run can be analysed: {'; '.join(reasons)}")
    mixed = incompatibilities(runs)
    if mixed and not config["allow_mixed"]:
        raise ValueError(
            f"the runs are not comparable: {'. '.join(mixed[:3])}. Choose runs with runs=…, or "
            "compare them all the same with allow_mixed=true"
        )
    matched = matched_networks(networks, build.trained) if config["match"] else []
    has_control = any(network.family == "control" for network in networks)
    if config["untrained"] and not has_control and not architectures_compared(runs):
        networks = [*networks, *untrained_networks(runs, config["output_root"])]
    first = runs[0].config()
    first["probe"] = probe_section(first["probe"], config["probe"])
    probe = build.probe_set(first)
    return ComparisonInputs(
        networks,
        left_out,
        probe,
        intervention_set(first, probe, intervention_scenes),
        matched,
        [
            *mixed,
            *training_differences(runs),
            *([] if config["probe"]["folder"] else probe_set_warnings(networks, probe)),
        ],
    )


def probe_section(own: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section `probe` of the runs, or of another set, whose images are cut as theirs unless
    it says otherwise.

    Raises:
        ValueError: the other section says how to read a set, but names none.
    """
    if other["folder"] is None:
        said = [key for key in PROBE_KEYS if key != "properties" and other[key]]
        said += [f"properties.{key}" for key, value in other["properties"].items() if value]
        if said:
            raise ValueError(
                f"probe.{said[0]} is of another probe set than the runs have: name it, "
                "probe.folder=…"
            )
        return own
    size = other["size"] or own["size"]
    short_side = other["short_side"] or other["size"] or own["short_side"]
    return {**other, "size": size, "short_side": short_side}


def results_folder(output_root: Path | str, record: RunRecord) -> Path:
    """Where what is computed of a run is kept: with the run, or, where that may not be written,
    below `<output_root>/analysis/.results`."""
    place = record.analysis_folder if record.analysis_folder.exists() else record.folder
    if os.access(place, os.W_OK):
        return record.analysis_folder
    part = Path(record.sweep, record.loss, record.folder.name)
    return Path(output_root) / "analysis" / ".results" / part


def initial_network(config: Mapping[str, Any]) -> tuple[nn.Module, Preprocessing]:
    """The network that a run of this configuration begins from, and what it expects."""
    network = build.untrained(config).eval().to(fastest_device())
    return network, build.preprocessing(config)


def untrained_networks(records: Sequence[RunRecord], output_root: Path | str) -> list[Network]:
    """The networks that runs began from, one per seed: controls."""
    by_seed: dict[int, RunRecord] = {}
    for record in records:
        by_seed.setdefault(record.seed, record)
    made = []
    for seed, record in sorted(by_seed.items()):
        config = record.config()
        try:
            key = weights_key(build.untrained(config))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error} Or compare without it: untrained=false") from error
        metrics = {
            f"test/{key.removeprefix('untrained/')}": value
            for key, value in record.metrics.items()
            if key.startswith("untrained/")
        }
        made.append(
            Network(
                name=f"untrained/seed{seed}",
                loss="untrained",
                family="control",
                distance="lp",
                fold=-1,
                seed=seed,
                weights_key=key,
                cache=results_folder(output_root, record).parents[2] / ".untrained" / f"seed{seed}",
                load=partial(initial_network, config),
                metrics=metrics,
            )
        )
    return made


def probe_set_warnings(networks: Sequence[Network], probe: ProbeSet) -> list[str]:
    """Say which runs were trained or compared on another state of the probe set."""
    changed = [network.name for network in networks if kept_for_another_set(network, probe)]
    if not changed:
        return []
    return [
        f"the probe set {probe.name} changed since results of {', '.join(changed)} were kept: they "
        "are computed anew; what was logged while training (probe/…) is of the old set. Put the "
        "old set back, or train again with force=true, to have both of one"
    ]


def intervention_set(config: Mapping[str, Any], probe: ProbeSet, scenes: int) -> ProbeSet | None:
    """Scenes re-rendered with one property changed: the probe set's own, or rendered beside it."""
    if probe.interventions is not None:
        return probe
    section = config["probe"]
    if not scenes or section.get("render") is None or build.is_own_set(Path(section["folder"])):
        return None  # what is rendered here says nothing of somebody's photos
    beside = {
        **section,
        "folder": f"{section['folder']}-interventions-{scenes}",
        "limit": None,
        "render": {**section["render"], "count": scenes, "interventions": True},
    }
    return build.probe_set({**config, "probe": beside})
