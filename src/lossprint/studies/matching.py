"""Networks at equal retrieval: each run at the epoch nearest to a level that all reach."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lossprint.probing.network import Load, weights_file_key
from lossprint.runs.levels import Level, kept_levels
from lossprint.runs.record import MONITOR
from lossprint.studies.networks import Network


@dataclass(frozen=True)
class MatchedNetwork:
    """A run's network at another epoch than its best.

    Attributes:
        network: under its run's name, without metrics, which are of the best epoch.
        level: the state that was chosen.
        best: validation MAP@R of the best state that the run kept.
    """

    network: Network
    level: Level
    best: float


def matched_networks(
    networks: Sequence[Network], load: Callable[..., tuple]
) -> list[MatchedNetwork]:
    """Take each run at the kept state nearest to the highest level that all runs reach.

    Args:
        networks: of runs; controls are left out.
        load: as for `networks_of_runs`; it is handed `weights_file` too.

    Raises:
        ValueError: a run kept no states.
    """
    kept = {
        network: kept_levels(network.run.levels_folder)
        for network in networks
        if network.run is not None
    }
    if lacking := [network.name for network, levels in kept.items() if not levels]:
        named = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if lacking[3:] else "")
        raise ValueError(
            f"match={MONITOR} takes states that runs kept while they trained, and {named} kept "
            "none: train with keep_levels=5 (and force=true what is trained already)"
        )
    reached = min(max(level.value for level in levels) for levels in kept.values())
    matched = []
    for network, levels in kept.items():
        chosen = min(levels, key=lambda level: (abs(level.value - reached), level.epoch))
        loaded: Load = partial(load, network.run, weights_file=chosen.weights_file)
        key = weights_file_key(chosen.weights_file)
        matched.append(
            MatchedNetwork(
                replace(network, weights_key=key, load=loaded, metrics={}),
                chosen,
                max(level.value for level in levels),
            )
        )
    return matched
