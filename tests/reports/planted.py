"""Evidence with a known answer, written down by hand rather than computed."""

import dataclasses
from itertools import combinations, combinations_with_replacement

import numpy as np
import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.studies.ladder import TABLES as LADDER

FAMILIES = {
    "triplet": "ranking",
    "contrastive": "ranking",
    "arcface": "classification",
    "normalized_softmax": "classification",
    "untrained": "control",
}
IMAGES = 12
PROPERTIES = ("model", "rotation_z", "color_hue", "bg_color_val")
SEEDS = (0, 1)


def evidence(*, families_differ: bool = True) -> Evidence:
    """Four losses, two seeds, one control."""
    rng = np.random.default_rng(5)
    runs = pd.DataFrame(
        [
            {
                "run": f"{loss}/fold0-seed{seed}",
                "loss": loss,
                "family": family,
                "fold": 0,
                "seed": seed,
                "distance": "cosine",
                "source": "training",
                "config": loss,
                "folder": "" if family == "control" else f"runs/{loss}/fold0-seed{seed}",
                "wandb": "us/cars/abc" if (loss, seed) == ("arcface", 0) else "",
            }
            for loss, family in FAMILIES.items()
            for seed in SEEDS[: 1 if family == "control" else 2]
        ]
    )
    pairs = pd.DataFrame(
        [_pair(runs.iloc[a], runs.iloc[b]) for a, b in combinations(range(len(runs)), 2)]
    )
    level = np.select(
        [
            (pairs["family_a"] == "control") | (pairs["family_b"] == "control"),
            pairs["loss_a"] == pairs["loss_b"],
            pairs["family_a"] == pairs["family_b"],
        ],
        [0.35, 0.85, 0.8],
        0.5 if families_differ else 0.8,
    )
    noise = rng.normal(0, 0.01, len(pairs))
    agreement = pairs.assign(correlation=level + noise, spread=0.1, divergence=(1 - level) / 4)
    similarity = pairs.assign(cka=level - 0.1 + noise, neighbor_overlap=level / 2)
    trained = [loss for loss in FAMILIES if loss != "untrained"]
    per_run = runs[runs["loss"] != "untrained"]
    retrieval = pd.concat(
        [
            per_run.assign(metric=metric, value=base + rng.normal(0, 0.01, len(per_run)))
            for metric, base in (("map_at_r", 0.3), ("precision_at_1", 0.7))
        ]
    )
    properties = pd.concat(
        [
            runs.assign(property=name, value=5.0 * rank + rng.normal(0, 1, len(runs)))
            for rank, name in enumerate(PROPERTIES)
        ]
    )
    shares = pd.concat(
        [
            runs.assign(region=region, area=area, value=area + 0.2 + rng.normal(0, 0.02, len(runs)))
            for region, area in (("car", 0.3), ("background", 0.5), ("shadow", 0.05))
        ]
    )
    interventions = pd.concat(
        [
            runs.assign(property=name, reference=reference, value=0.25 * (rank + 1) / apart)
            for reference, apart in (("unrelated scenes", 1.0), ("two designs", 0.25))
            for rank, name in enumerate(PROPERTIES)
        ]
    )
    curves = pd.DataFrame(
        [
            {**run, "epoch": epoch, "metric": metric, "value": 1 - np.exp(-epoch / (k + 2))}
            for k, run in enumerate(per_run.to_dict("records"))
            for epoch in range(6)
            for metric in ("val/map_at_r", "map_r/initial")
        ]
    )
    tables = {
        "runs": runs,
        "retrieval": retrieval,
        "retrieval_by_loss": _by_loss(retrieval, ["metric"]),
        "agreement": agreement,
        "agreement_by_loss": _pairs_by_loss(
            agreement, ["correlation", "spread", "divergence"], interval_of="correlation"
        ),
        "similarity": similarity,
        "similarity_by_loss": _pairs_by_loss(
            similarity, ["cka", "neighbor_overlap"], interval_of="cka"
        ).assign(chance=10 / 59),
        "properties": properties,
        "properties_by_loss": _by_loss(properties, ["property"], images=True).assign(maximum=25.0),
        "property_families": property_families(p_holm=0.5),
        "shares": shares,
        "shares_by_loss": _by_loss(shares, ["region", "area"], images=True),
        "interventions": interventions,
        "interventions_by_loss": _by_loss(interventions, ["property", "reference"], images=True),
        "contrasts": pd.DataFrame([contrast(losses=len(trained))]),
        "odd_losses": odd_losses(arcface=0.02),
        "corrected_by_loss": corrected(0.9),
        "geometry": runs.assign(
            effective_rank=20.0,
            mean_length=0.4,
            uniformity=-2.0,
            alignment=0.5,
            class_separation=0.6,
            collapsed=False,
        ),
        "stages": stages(embedding=0.7),
        **_faithfulness(runs),
        "region_effects": interventions.loc[
            (interventions["property"] != "model")
            & (interventions["reference"] == "unrelated scenes"),
            ["loss", "family", "property"],
        ].assign(region="car", share=0.4, displacement=0.3),
        "region_correlations": region_correlations(p=0.01),
        "explainers": explainers(smoothgrad=0.01, grad_cam=0.01),
        "retrieval_relation": pd.DataFrame(
            [["correlation", True, 4, -0.9, 0.04, 1 / 24], ["cka", False, 4, 0.1, 0.7, 1 / 24]],
            columns=["measure", "rho", "losses", "rank_correlation", "p", "smallest_p"],
        ),
        "matched_contrasts": pd.DataFrame([contrast(losses=len(trained), rho=0.95, p=0.2)]),
        "matched_epochs": per_run.assign(epoch=3, value=0.3, best=0.4),
        "disagreement": pd.DataFrame({"frame": [3, 1], "correlation": [0.1, 0.6]}),
        "curves": curves,
        "ladder": pd.DataFrame(
            [
                ["another seed of the loss", 0.85, 0.8, 0.9, *[np.nan] * 3, 4, 6],
                ["trained and untrained", 0.75, 0.7, 0.82, 0.1, 0.08, 0.12, 4, 6],
            ],
            columns=LADDER["ladder"],
        ),
        "galleries": pd.DataFrame(
            [["First images", frame, f"frame {frame}"] for frame in "ab"],
            columns=["gallery", "frame", "caption"],
        ),
        **_explored(),
        "differences": pd.DataFrame(
            [
                ["triplet", "arcface", 1, 4, 0.4, 0.01, "model", 0.9, 0.3, 0.02],
                ["arcface", "triplet", 1, 3, 0.1, 0.6, "color_hue", 0.3, 0.3, 0.9],
            ],
            columns=[
                *("loss_near", "loss_far", "group", "images", "gap", "p"),
                *("property", "share", "expected", "p_property"),
            ],
        ),
        "difference_groups": pd.DataFrame(
            [["triplet", "arcface", 1, frame] for frame in (0, 3, 6, 9)]
            + [["arcface", "triplet", 1, frame] for frame in (1, 2, 4)],
            columns=["loss_near", "loss_far", "group", "frame"],
        ),
        "skipped": pd.DataFrame(columns=["run", "part", "reason"]),
    }
    arrays = {"galleries/images": np.full((2, 8, 8, 3), 90, dtype=np.uint8)}
    for loss in FAMILIES:
        arrays[f"galleries/maps/{loss}"] = np.eye(8)[None].repeat(2, 0)
    shapes = rng.integers(0, 256, (IMAGES, 24, 24, 3), dtype=np.uint8)
    arrays["explorer/images"] = shapes
    for run in runs["run"]:
        arrays[f"explorer/maps/{run}"] = rng.integers(0, 256, (IMAGES - 2, 16, 16), dtype=np.uint8)
    pairs = len(tables["neighbor_maps"])
    arrays["explorer/neighbor_maps"] = rng.integers(0, 256, (pairs, 16, 16), dtype=np.uint8)
    return Evidence(tables, arrays, {"alpha": 0.05, "properties": {"significant": 2.576}})


def _faithfulness(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Maps of arcface are better than others; random orders are a straight line."""
    better = runs["loss"].map(lambda loss: 0.2 if loss == "arcface" else 0.1)
    areas = pd.concat([runs.assign(curve=c, value=better) for c in ("deletion", "insertion")])
    losses = runs[["loss", "family"]].drop_duplicates()
    curves = [
        losses.assign(curve=curve, share=share, distance=distance)
        for share in (0.0, 0.5, 1.0)
        for curve, distance in (
            ("deletion", share**0.5),
            ("insertion", (1 - share) ** 2),
            ("random", share),
        )
    ]
    return {
        "faithfulness": _by_loss(areas, ["curve"]),
        "faithfulness_curves": pd.concat(curves, ignore_index=True),
    }


def _explored() -> dict[str, pd.DataFrame]:
    """Under each loss the neighbours of an image are the next two; under arcface, every other."""
    rng = np.random.default_rng(6)
    frames = pd.DataFrame(
        {
            "frame": range(IMAGES),
            "model": ["sedan", "van", "suv"] * (IMAGES // 3),
            "color_hue": [0.0, 0.25, 0.5, 0.75] * (IMAGES // 4),
        }
    )
    neighbors = [
        [loss, family, frame, rank, (frame + (rank + 1) * (2 if loss == "arcface" else 1)) % IMAGES]
        for loss, family in FAMILIES.items()
        for frame in range(IMAGES)
        for rank in range(2)
    ]
    columns = ["loss", "family", "frame", "rank", "neighbor"]
    atlas = [
        [loss, family, method, frame, *rng.normal(size=2)]
        for loss, family in FAMILIES.items()
        for method in ("PCA", "t-SNE")
        for frame in range(IMAGES)
    ]
    return {
        "probe_images": frames,
        "neighbors": pd.DataFrame(neighbors, columns=columns).assign(similarity=0.75),
        "neighbor_maps": pd.DataFrame(
            [[loss, family, 3, 4] for loss, family in FAMILIES.items()],
            columns=["loss", "family", "frame", "neighbor"],
        ),
        "atlas": pd.DataFrame(atlas, columns=["loss", "family", "method", "frame", "x", "y"]),
        "embeddings": pd.DataFrame(
            [
                [loss, family, frame, *rng.normal(size=3)]
                for loss, family in FAMILIES.items()
                for frame in range(IMAGES)
            ],
            columns=["loss", "family", "frame", "d1", "d2", "d3"],
        ),
    }


def replaced(evidence: Evidence, **tables: pd.DataFrame) -> Evidence:
    """The same evidence with other tables."""
    return dataclasses.replace(evidence, tables={**evidence.tables, **tables})


def contrast(**changes: object) -> dict[str, object]:
    """A row of the contrasts that finds losses different."""
    row = {
        "measure": "correlation",
        "contrast": "loss",
        "replicates": "seed",
        "losses": 4,
        "seeds": 2,
        "within": 0.85,
        "between": 0.6,
        "between_low": np.nan,
        "between_high": np.nan,
        "share": 0.625,
        "share_low": 0.5,
        "share_high": 0.75,
        "rho": 0.7,
        "rho_low": 0.6,
        "rho_high": 0.8,
        "rho_untrained": 0.43,
        "detectable_rho": 0.95,
        "statistic": -np.log(0.7),
        "p": 0.0417,
        "smallest_p": 0.0417,
        "tests": 1,
        **changes,
    }
    return {"p_adjusted": row["p"], **row}


def region_correlations(**p: float) -> pd.DataFrame:
    """Of one property, and of all."""
    columns = ["property", "units", "correlation", "p", "smallest_p"]
    return pd.DataFrame(
        [["color_hue", 6, 0.8, np.nan, np.nan], ["all", 6, 0.8, p["p"], 1 / 720]], columns=columns
    )


def explainers(**p: float) -> pd.DataFrame:
    """Two losses by the methods that are named, with their corrected p."""
    return pd.DataFrame(
        [
            {
                **{"explainer": name, "images": 8, "losses": 4, "seeds": 2},
                **{"within": 0.9, "between": 0.8, "rho": 0.85, "rho_low": 0.8, "rho_high": 0.9},
                **{"p": value / len(p), "smallest_p": 0.001, "p_adjusted": value},
            }
            for name, value in p.items()
        ]
    )


def stages(**rho: float) -> pd.DataFrame:
    """Three stages; where a ρ is named losses differ, elsewhere not."""
    names = ("backbone.blocks.0", "backbone.blocks.1", "embedding")
    return pd.DataFrame(
        [
            {
                **{"stage": name, "within": 0.9, "between": 0.8, "untrained": 0.5},
                **{"share": 0.5, "share_low": 0.4, "share_high": 0.6},
                **dict.fromkeys(("rho", "rho_low", "rho_high"), rho.get(name, 1.0)),
                **dict.fromkeys(("p", "smallest_p"), 0.01 if name in rho else 0.9),
                "p_adjusted": 0.03 if name in rho else 1.0,
                "networks": 9,
                "images": 12,
            }
            for name in names
        ]
    )


def odd_losses(**p: float) -> pd.DataFrame:
    """By maps; losses that are not named have p = 1."""
    losses = [loss for loss in FAMILIES if loss != "untrained"]
    return pd.DataFrame(
        {
            "measure": "correlation",
            "loss": losses,
            "family": [FAMILIES[loss] for loss in losses],
            "rho": [0.6 if loss in p else 0.75 for loss in losses],
            "p": [p.get(loss, 1.0) for loss in losses],
        }
    )


def corrected(rho: float) -> pd.DataFrame:
    """One ρ of all pairs of losses."""
    losses = [loss for loss in FAMILIES if loss != "untrained"]
    return pd.DataFrame(
        [
            {
                "loss_a": a,
                "family_a": FAMILIES[a],
                "loss_b": b,
                "family_b": FAMILIES[b],
                "correlation": 1.0 if a == b else rho + 0.01 * losses.index(b),
                "cka": 1.0 if a == b else rho,
            }
            for a, b in combinations_with_replacement(losses, 2)
        ]
    )


def property_families(*, p_holm: float, smallest_p: float = 0.01) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "property": PROPERTIES,
            "ranking_mean": 12.0,
            "classification_mean": [4.0, 11.0, 12.5, 12.0],
            "difference": [8.0, 1.0, -0.5, 0.0],
            "low": np.nan,
            "high": np.nan,
            "superiority": 0.75,
            "ranking_lineages": 2,
            "classification_lineages": 2,
            "p": p_holm / 4,
            "p_holm": [p_holm, 1.0, 1.0, 1.0],
            "smallest_p": smallest_p,
            "study_p": p_holm / 8,
        }
    )


def _pair(a: pd.Series, b: pd.Series) -> dict[str, object]:
    return {
        f"{key}_{side}": run[key]
        for side, run in (("a", a), ("b", b))
        for key in ("run", "loss", "family", "fold", "seed")
    }


def _by_loss(table: pd.DataFrame, keys: list[str], *, images: bool = False) -> pd.DataFrame:
    groups = table.groupby(["loss", "family", *keys], sort=False)["value"]
    summary = groups.agg(mean="mean", low="min", high="max", runs="count").reset_index()
    summary.loc[summary["runs"] == 1, ["low", "high"]] = np.nan
    if images:
        summary = summary.assign(image_low=summary["mean"] - 0.1, image_high=summary["mean"] + 0.1)
    return summary


def _pairs_by_loss(pairs: pd.DataFrame, measures: list[str], *, interval_of: str) -> pd.DataFrame:
    rows = []
    for a, b in combinations_with_replacement(FAMILIES, 2):
        chosen = pairs[
            ((pairs["loss_a"] == a) & (pairs["loss_b"] == b))
            | ((pairs["loss_a"] == b) & (pairs["loss_b"] == a))
        ]
        rows.append(
            {
                "loss_a": a,
                "loss_b": b,
                "family_a": FAMILIES[a],
                "family_b": FAMILIES[b],
                "pairs": len(chosen),
                **chosen[measures].mean().to_dict(),
            }
        )
    table = pd.DataFrame(rows)
    mean = table[interval_of]
    return table.assign(image_low=mean - 0.1, image_high=mean + 0.1)
