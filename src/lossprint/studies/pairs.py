"""Results for every pair of networks, each kept so that a new network costs its own pairs only."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations

import pandas as pd
from torch import Tensor

from lossprint.runs.cache import cache_file, content_key, is_kept, load_or_compute
from lossprint.studies.columns import LOSS_PAIR, RUN_PAIR
from lossprint.studies.networks import Network

Pair = tuple[int, int]
PairResults = Mapping[Pair, Mapping[str, Tensor]]


def cached_pairs(
    networks: Sequence[Network],
    keys: Sequence[str],
    kind: str,
    compute: Callable[[list[Pair]], PairResults],
) -> dict[Pair, dict[str, Tensor]]:
    """Load or compute a symmetric result for all pairs of networks.

    Args:
        networks: L of them.
        keys: for each, of what its half of a pair's result depends on.
        kind: of result; the file lies in the cache of the network with the smaller key.
        compute: called once with the pairs that are missing, if any are.

    Returns:
        Tensors by name for each pair (a, b), a < b.
    """
    places = {}
    for a, b in combinations(range(len(networks)), 2):
        first, second = sorted((a, b), key=lambda position: keys[position])
        places[a, b] = (networks[first].cache, content_key(kind, keys[first], keys[second]))
    missing = [
        pair for pair, (folder, key) in places.items() if not is_kept(cache_file(folder, kind, key))
    ]
    computed = compute(missing) if missing else {}
    return {
        pair: load_or_compute(folder, kind, key, partial(computed.__getitem__, pair))
        for pair, (folder, key) in places.items()
    }


def pairs_table(networks: Sequence[Network], pairs: Sequence[Pair]) -> pd.DataFrame:
    """One row per pair: run, loss, family, fold and seed of both sides, `_a` and `_b`."""
    rows = [
        [cell for both in zip(networks[a].cells, networks[b].cells, strict=True) for cell in both]
        for a, b in pairs
    ]
    return pd.DataFrame(rows, columns=list(RUN_PAIR))


def replicates(pairs: pd.DataFrame) -> str:
    """Say what the trainings of one loss differ in: "seed", "fold", or "" if there is one each.

    Seeds come first: trainings that differ in nothing but the seed are the noise floor. Where
    every loss has one seed, folds take its place, which adds the difference in training data.
    """
    trained = pairs[are_trained(pairs)]
    same_loss = trained["loss_a"] == trained["loss_b"]
    same_fold = trained["fold_a"] == trained["fold_b"]
    if (same_loss & same_fold).any():
        return "seed"
    return "fold" if same_loss.any() else ""


def matched(pairs: pd.DataFrame) -> pd.Series:
    """Say which pairs compare like with like: the same replicates differ within as between losses.

    Two losses trained with one seed share their initial weights and batches, two trainings of one
    loss never do. So where losses have several seeds, only pairs of one fold and two seeds count;
    where they have several folds, pairs of two folds; where there is one training of each, all.
    Pairs with a control count always.
    """
    varying = replicates(pairs)
    same_fold = pairs["fold_a"] == pairs["fold_b"]
    if varying == "seed":
        counts = same_fold & (pairs["seed_a"] != pairs["seed_b"])
    elif varying == "fold":
        counts = ~same_fold
    else:
        counts = pd.Series(True, index=pairs.index)
    return counts | ~are_trained(pairs)


def pairs_by_loss(pairs: pd.DataFrame) -> list[tuple[dict[str, str], pd.DataFrame]]:
    """Group pairs of runs by their two losses, in whichever order these stand in a row."""
    columns = list(LOSS_PAIR)
    swapped = pairs["loss_a"] > pairs["loss_b"]
    ordered = pairs.copy()
    ordered.loc[swapped, columns] = pairs.loc[swapped, [*columns[2:], *columns[:2]]].to_numpy()
    return [
        (dict(zip(columns, names, strict=True)), chosen)
        for names, chosen in ordered.groupby(columns, sort=True)
    ]


def are_trained(pairs: pd.DataFrame) -> pd.Series:
    """Say which pairs, of runs or of losses, have a control on neither side."""
    return (pairs["family_a"] != "control") & (pairs["family_b"] != "control")


def with_untrained(pairs: pd.DataFrame) -> pd.Series:
    """Say which pairs of runs have a control on one side, and share no initial weights."""
    one_control = (pairs["family_a"] == "control") != (pairs["family_b"] == "control")
    return one_control & (pairs["seed_a"] != pairs["seed_b"])
