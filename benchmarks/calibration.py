"""How often does a comparison claim a difference that is not there, and find one that is?

    python benchmarks/calibration.py [--tables 200] [--draws 499] [--output FILE.md]

Tables of likeness are drawn in which the truth is known: a run is a vector, √a of it the signal of
its loss and √(1 − a) noise of its training, and two runs are alike by their correlation. The tests
that comparisons use are asked of each table. The program ends with status 1 where a false claim
comes more often, or a true one less often, than is required.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from publishing import add_output, publish

from lossprint.metrics import LossContrast, family_contrast, loss_contrast, unusable_runs

LEVEL = 0.05
FALSE_CLAIMS, POWER = 0.08, 0.8  # at most, at least
WIDTH = 400  # of a run's vector: as many as a map has values that vary on their own

FAMILIES = np.array([0] * 9 + [1] * 5)
LINEAGES = np.array([0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 6, 6, 7, 7])


@dataclass(frozen=True)
class World:
    """What is true of some losses.

    Attributes:
        rho: [L, L] expected likeness of the signals of the losses.
        seeds: trainings of each.
        reliability: share of signal in a run, a number or one for each loss.
        loss_spread, run_spread: standard deviation of that share over losses, and over runs.
        shared: share of a run's noise that all runs of its seed have in common.
        lost: what the likeness of one run with all others is replaced by.
    """

    rho: NDArray[np.float64]
    seeds: int = 2
    reliability: ArrayLike = 0.69
    loss_spread: float = 0.0
    run_spread: float = 0.0
    shared: float = 0.0
    lost: float | None = None


class Runs(NamedTuple):
    """A table drawn from a world, and the mean ρ of the signals that were drawn."""

    likeness: NDArray[np.float64]
    loss: NDArray[np.intp]
    seed: NDArray[np.intp]
    mean_rho: float


def draw(world: World, rng: np.random.Generator) -> Runs:
    losses, seeds = len(world.rho), world.seeds
    values, vectors = np.linalg.eigh(world.rho)
    signals = (vectors * np.sqrt(np.clip(values, 0, None))) @ rng.normal(size=(losses, WIDTH))
    share = np.broadcast_to(world.reliability, losses) + world.loss_spread * rng.normal(size=losses)
    share = share[:, None] + world.run_spread * rng.normal(size=(losses, seeds))
    share = np.clip(share, 0.2, 0.95)[:, :, None]
    noise = np.sqrt(world.shared) * rng.normal(size=(seeds, WIDTH)) + np.sqrt(
        1 - world.shared
    ) * rng.normal(size=(losses, seeds, WIDTH))
    runs = np.sqrt(share) * signals[:, None] + np.sqrt(1 - share) * noise
    likeness = np.corrcoef(runs.reshape(-1, WIDTH))
    loss, seed = np.repeat(np.arange(losses), seeds), np.tile(np.arange(seeds), losses)
    if world.lost is not None:
        spoilt = rng.integers(len(loss))
        likeness[spoilt] = likeness[:, spoilt] = world.lost
        kept = np.delete(np.arange(len(loss)), unusable_runs(likeness))
        likeness, loss, seed = likeness[np.ix_(kept, kept)], loss[kept], seed[kept]
    of_signals = np.corrcoef(signals)[~np.eye(losses, dtype=bool)]
    return Runs(likeness, loss, seed, float(np.exp(np.log(of_signals).mean())))


def alike(losses: int, rho: float = 1.0) -> NDArray[np.float64]:
    return np.where(np.eye(losses, dtype=bool), 1.0, rho)


def odd_one(losses: int, rho: float) -> NDArray[np.float64]:
    matrix = alike(losses)
    matrix[0, 1:] = matrix[1:, 0] = rho
    return matrix


def of_families(*, kin: float = 0.0, share: float = 0.0) -> NDArray[np.float64]:
    """9 ranking and 5 classification losses of 8 lineages, alike by 0.96 within both."""
    lineages_differ, families_differ = (x[:, None] != x for x in (LINEAGES, FAMILIES))
    rho = alike(len(FAMILIES), 0.96) - kin * lineages_differ - share * families_differ
    np.fill_diagonal(rho, 1.0)
    return rho


Answer = Callable[[Runs, int], bool]


def contrast(runs: Runs, draws: int) -> LossContrast:
    return loss_contrast(runs.likeness, runs.loss, runs.seed, draws=draws)


def losses_differ(runs: Runs, draws: int) -> bool:
    return contrast(runs, draws).p <= LEVEL


def families_differ(runs: Runs, draws: int) -> bool:
    found = family_contrast(
        *runs[:3],
        family=dict(enumerate(FAMILIES.tolist())),
        lineage=dict(enumerate(LINEAGES.tolist())),
        draws=draws,
    )
    return found.p <= LEVEL


def any_named(runs: Runs, draws: int) -> bool:
    return bool((contrast(runs, draws).p_of <= LEVEL).any())


def odd_named(runs: Runs, draws: int) -> bool:
    return bool(contrast(runs, draws).p_of[0] <= LEVEL)


def rest_named(runs: Runs, draws: int) -> bool:
    return bool((contrast(runs, draws).p_of[1:] <= LEVEL).any())


def outside_interval(runs: Runs, draws: int) -> bool:
    found = contrast(runs, draws)
    return not found.mean_rho_low <= runs.mean_rho <= found.mean_rho_high


class Case(NamedTuple):
    """One row: how often the answer is yes, and how often it should be at most or at least."""

    question: str
    truth: str
    world: World
    answer: Answer
    at_most: float | None = None
    at_least: float | None = None

    def holds(self, rate: float) -> bool:
        return (self.at_most is None or rate <= self.at_most) and (
            self.at_least is None or rate >= self.at_least
        )


def cases() -> Iterator[Case]:
    """All that is asked of the tests; for each question nothing first, then something."""
    fifteen, four = World(alike(15)), World(alike(4), seeds=3)
    family = World(of_families())
    noisier = np.where(FAMILIES == 0, 0.83, 0.79)
    nulls = {
        "alike, 15 × 2 seeds": fifteen,
        "alike, 15 × 3": replace(fifteen, seeds=3),
        "alike, 4 × 3": four,
        "alike, runs of a seed share 0.3 of their noise": replace(fifteen, shared=0.3),
        "alike, losses noisy to different degrees (sd 0.10)": replace(fifteen, loss_spread=0.1),
        "alike, 4 × 3, losses noisy to different degrees": replace(four, loss_spread=0.1),
        "alike, runs noisy to different degrees (sd 0.10)": replace(fifteen, run_spread=0.1),
        "alike, one family noisier (0.79, 0.83)": World(alike(14), reliability=noisier),
        "alike, one run all zero, left out": replace(fifteen, lost=np.nan),
        "alike, 4 × 3, one run all zero, left out": replace(four, lost=np.nan),
        "alike, one run like no other": replace(fifteen, lost=0.0),
    }
    for truth, world in nulls.items():
        yield Case("losses differ", truth, world, losses_differ, at_most=FALSE_CLAIMS)
    for truth, world in {
        "ρ 0.98, 15 × 2": World(alike(15, 0.98)),
        "ρ 0.96, 15 × 2": World(alike(15, 0.96)),
        "ρ 0.96, 4 × 3": World(alike(4, 0.96), seeds=3),
    }.items():
        yield Case("losses differ", truth, world, losses_differ, at_least=POWER)

    for truth, world in {
        "all alike, 15 × 3": replace(fifteen, seeds=3),
        "all alike, noisy to different degrees": replace(fifteen, seeds=3, loss_spread=0.1),
        "all alike, 4 × 3": four,
    }.items():
        yield Case("a loss stands out", truth, world, any_named, at_most=FALSE_CLAIMS)
    odd = World(odd_one(15, 0.9), seeds=3)
    truth = "one odd loss (ρ 0.9) among 14 alike, × 3: "
    yield Case("a loss stands out", truth + "the odd one", odd, odd_named, at_least=POWER)
    yield Case("a loss stands out", truth + "one of the rest", odd, rest_named, FALSE_CLAIMS)
    uneven = replace(odd, loss_spread=0.1)
    truth += "one of the rest, noisy to different degrees"
    yield Case("a loss stands out", truth, uneven, rest_named, FALSE_CLAIMS)

    for truth, world in {
        "the same": family,
        "the same, one noisier (0.79, 0.83)": replace(family, reliability=noisier),
        "the same, lineages differ by 4 %": World(of_families(kin=0.04)),
        "the same, lineages differ by 10 %": World(of_families(kin=0.10)),
        "the same, one run all zero, left out": replace(family, lost=np.nan),
    }.items():
        yield Case("families differ", truth, world, families_differ, at_most=FALSE_CLAIMS)
    yield Case("families differ", "by 2 %", World(of_families(share=0.02)), families_differ)
    yield Case(
        "families differ", "by 4 %", World(of_families(share=0.04)), families_differ, None, POWER
    )

    for truth, world in {
        "ρ 0.96, 4 × 3": World(alike(4, 0.96), seeds=3),
        "ρ 0.9, 6 × 3, noisy to different degrees": World(alike(6, 0.9), 3, loss_spread=0.1),
        "ρ 0.98, 15 × 3, runs of a seed share 0.3": World(alike(15, 0.98), 3, shared=0.3),
    }.items():
        question = "mean ρ lies outside its 95 % interval"
        yield Case(question, truth, world, outside_interval, at_most=FALSE_CLAIMS)


def rate(case: Case, *, tables: int, draws: int, seed: int = 0) -> float:
    """Share of drawn tables in which the answer is yes."""
    rng = np.random.default_rng(seed)
    return float(np.mean([case.answer(draw(case.world, rng), draws) for _ in range(tables)]))


def rate_at_detectable(losses: int, seeds: int, *, tables: int, draws: int) -> tuple[float, float]:
    """The ρ that tables of equal losses say they would have shown, and how often it is shown."""
    rng = np.random.default_rng(1)
    world = World(alike(losses), seeds)
    said = [contrast(draw(world, rng), draws).detectable_rho for _ in range(max(tables // 10, 1))]
    rho = float(np.median(said))
    planted = Case("losses differ", "", World(alike(losses, rho), seeds), losses_differ)
    return rho, rate(planted, tables=tables, draws=draws)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=200, help="drawn for each row")
    parser.add_argument("--draws", type=int, default=499, help="relabelings of each test")
    add_output(parser)
    options = parser.parse_args()
    size = {"tables": options.tables, "draws": options.draws}

    rows, failed = [], 0
    for case in cases():
        found = rate(case, **size)
        failed += not case.holds(found)
        required = "" if case.at_most is None else f"≤ {case.at_most}"
        required += "" if case.at_least is None else f"≥ {case.at_least}"
        mark = "" if case.holds(found) else " **not held**"
        rows.append(f"| {case.question} | {case.truth} | {found:.3f} | {required}{mark} |")
        print(rows[-1], file=sys.stderr, flush=True)
    for losses, seeds in ((4, 3), (6, 3), (15, 2), (15, 3)):
        rho, found = rate_at_detectable(losses, seeds, **size)
        truth = f"ρ {rho:.3f}, said to be detectable by {losses} × {seeds} with 80 % power"
        rows.append(f"| losses differ | {truth} | {found:.3f} | |")
        print(rows[-1], file=sys.stderr, flush=True)
    lines = [
        f"# Claims of comparisons of which the truth is known, {options.tables} tables each",
        "",
        "A run is signal and training noise (the signal's share 0.69 where nothing else is said);",
        "15 × 2: 15 losses × 2 seeds. Families: 9 and 5 losses of 8 lineages, × 2. A claim is made",
        f"where p ≤ {LEVEL}.",
        "",
        "| claim | what is true | how often it is made | required |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Of {options.tables} tables a share of 0.05 varies by ± "
        f"{2 * np.sqrt(0.05 * 0.95 / options.tables):.3f}. {options.draws} relabelings where there "
        f"are more. NumPy {np.__version__}.",
        "",
        f"`python benchmarks/calibration.py --tables {options.tables} --draws {options.draws}`",
    ]
    publish("\n".join(lines), options.output)
    if failed:
        raise SystemExit(f"{failed} of the rates are not as required")


if __name__ == "__main__":
    main()
