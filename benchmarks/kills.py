"""Kills every step at random moments, goes on by the same command, and compares what is left.

    OMP_NUM_THREADS=1 python -m benchmarks.kills --root /dev/shm/kills [--output FILE.md]

Counted are, of each step: the kills; the times it was then led to its end; how often that was not
what an undisturbed one leaves, byte for byte (lost); how often the same command failed (refused).
`--root` should lie on another file system than the temporary folder: copies between two are not
whole. Steps are forks of one process that has their imports, so that a kill costs little.
"""

import argparse
import hashlib
import importlib
import logging
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path

from benchmarks.publishing import add_output, publish
from PIL import Image
from tests.rendering.fake_backend import FakeBackend, write_box_cars
from tests.small_world import overrides, write_world

from lossprint.data.index import ImageIndex
from lossprint.data.store import open_store
from lossprint.rendering.dataset import render_set

PROJECT = Path(__file__).parents[1]
FORKS = multiprocessing.get_context("fork")
TRAINING = ("lossprint.apps.job", "lossprint.apps.training", "timm", "hydra.main")
NETWORK = (
    *("model=timm", "model.name=timm:test_resnet", "model.pretrained=false"),
    *("model.embedding_size=8", "trainer.max_epochs=2", "sampler.batches=2", "sweep=kills"),
)
STUDY = (
    *("study.maps.images=3", "study.maps.samples=2", "study.neighbor_maps=1", "study.gallery=1"),
    *("study.draws=99", "study.ladder_images=2", "untrained=false"),
)
PATIENCE = 900.0  # seconds that no step takes: then it hangs


@dataclass(frozen=True)
class Step:
    """A command that may be killed.

    Attributes:
        name: of the step.
        run: does it in a folder, and goes on with what is there.
        result: the files that it leaves there and that count.
        share: of the kills, relative to other steps.
        imports: the modules that it needs, imported once before it is forked.
        moment: it is killed as soon as this is true of the folder, after a random while.
    """

    name: str
    run: Callable[[Path], None]
    result: Callable[[Path], list[Path]]
    share: int
    imports: tuple[str, ...] = ()
    moment: Callable[[Path], bool] = lambda folder: True


def render(folder: Path) -> None:
    render_set(
        folder / "set", kind="world", designs=sorted(map(str, folder.parent.glob("cars/*"))),
        size=16, samples=4, seed=0, count=24, workers=0, progress=False,
        backend=FakeBackend(seconds=0.01),
    )  # fmt: skip


def rendered(folder: Path) -> list[Path]:
    return [*folder.glob("set/*/*.png"), *folder.glob("set/*.csv"), *folder.glob("set/*.json")]


def decode(folder: Path) -> None:
    images = sorted(folder.parent.glob("world/images/*.png"))
    names = tuple(f"images/{path.name}" for path in images)
    index = ImageIndex(folder.parent / "world", names, [0] * len(names), ("all",))  # type: ignore[arg-type]
    for side in (24, 48, 96):
        open_store(folder / "decoded", index, side)


def decoded(folder: Path) -> list[Path]:
    return [*folder.glob("decoded/*.uint8"), *folder.glob("decoded/*.json")]


def command(script: str, *words: str) -> None:
    sys.argv = [script, *words]
    runpy.run_path(str(PROJECT / script), run_name="__main__")


def train(folder: Path, *more: str) -> None:
    places = (f"output_root={folder}/outputs", f"data_root={folder}/data")
    words = (*overrides(folder.parent), *NETWORK, *places, *more)
    command("train.py", *words)


def train_and_look(folder: Path) -> None:
    train(folder, "callbacks=quiet")  # which makes maps and NR-Prec of the probe set


def train_alone(folder: Path) -> None:
    train(folder, "callbacks=retrieval")


def train_several(folder: Path) -> None:
    train(folder, "callbacks=retrieval", "loss=triplet,arcface", "-m")


def trained(folder: Path) -> list[Path]:
    names = ("weights.safetensors", "metrics.csv", "gallery.png", "test_embeddings.safetensors")
    return [path for name in names for path in folder.glob(f"outputs/kills/*/*/{name}")]


def writes_a_checkpoint(folder: Path) -> bool:
    return any(folder.glob("outputs/kills/*/*/checkpoints/.*@*"))


def analyse(folder: Path) -> None:
    if not (folder / "outputs").exists():  # finished runs, of which nothing was computed yet
        shutil.copytree(folder.parent / "multirun-undisturbed" / "outputs", folder / "copied")
        os.replace(folder / "copied", folder / "outputs")
    command("analyze.py", f"output_root={folder}/outputs", "runs=kills", "logger=none", *STUDY)


def analysed(folder: Path) -> list[Path]:
    tables = (folder / "outputs" / "analysis" / "kills" / "tables").glob("*.csv")
    return [table for table in tables if table.name != "runs.csv"]  # which says where runs lie


STEPS = (
    Step("rendering", render, rendered, 150),
    Step("decoding", decode, decoded, 138),
    Step("checkpoint", train_alone, trained, 5, TRAINING, writes_a_checkpoint),
    Step("training", train_and_look, trained, 3, TRAINING),
    Step("multirun", train_several, trained, 2, TRAINING),
    Step("analysis", analyse, analysed, 2, (*TRAINING, "lossprint.apps.comparison")),
)


def told(run: Callable[[Path], None], folder: Path) -> None:
    """What the forked process does; what it prints goes beside its folder."""
    with open(f"{folder}.log", "a") as log, redirect_stdout(log), redirect_stderr(log):
        logging.basicConfig(stream=log)
        run(folder)


def start(step: Step, folder: Path) -> ForkProcess:
    process = FORKS.Process(target=told, args=(step.run, folder))
    process.start()
    return process


def kill(step: Step, folder: Path, seconds: float) -> int:
    """Kill a step after so many seconds, or when its moment comes thereafter; its exit code."""
    process = start(step, folder)
    process.join(seconds)
    while process.is_alive() and not step.moment(folder):
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def has_ended(step: Step, folder: Path) -> bool:
    """Run a step to its end; whether it got there."""
    process = start(step, folder)
    process.join(PATIENCE)
    process.kill()
    process.join()
    return process.exitcode == 0


def contents(step: Step, folder: Path) -> dict[str, str]:
    """Hashes of a step's result, and the names of what killed writers left behind."""
    files = [*step.result(folder), *folder.rglob(".*@*")]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def torment(step: Step, root: Path, kills: int, draw: random.Random) -> Counter[str]:
    """Kill a step so often, up to three times before it may end.

    Raises:
        RuntimeError: it fails by itself, leaves nothing, or is never there to be killed.
    """
    for module in step.imports:
        importlib.import_module(module)  # no fork's time is that of the imports
    undisturbed = root / f"{step.name}-undisturbed"
    undisturbed.mkdir()
    started = time.monotonic()
    if not has_ended(step, undisturbed) or not (expected := contents(step, undisturbed)):
        raise RuntimeError(f"{step.name} fails by itself, see {undisturbed}.log")
    seconds = time.monotonic() - started
    count: Counter[str] = Counter()
    while count["kills"] < kills:
        if count["led to the end"] > 5 * kills:
            raise RuntimeError(f"{step.name} ends before it is killed")
        folder = root / f"{step.name}-{count['led to the end']}"
        folder.mkdir()
        code = -signal.SIGKILL
        for _ in range(min(draw.randint(1, 3), kills - count["kills"])):
            code = kill(step, folder, draw.uniform(0, seconds))
            if code != -signal.SIGKILL:
                break
            count["kills"] += 1
        count["led to the end"] += 1
        if code not in (0, -signal.SIGKILL) or not has_ended(step, folder):
            count["refused"] += 1
        elif contents(step, folder) != expected:
            count["lost"] += 1
        else:
            shutil.rmtree(folder)
            Path(f"{folder}.log").unlink()
            continue
        print(f"{step.name}: see {folder} and its log", file=sys.stderr)
    return count


def write_inputs(root: Path) -> None:
    """What every step starts from."""
    root.mkdir(parents=True)
    write_world(root / "world", designs=16, per_design=4)
    write_world(root / "probe", designs=6, per_design=2, seed=1)
    write_box_cars(root / "cars", 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--root", type=Path, required=True, help="a new folder")
    parser.add_argument("--seed", type=int, default=0)
    names = [step.name for step in STEPS]
    parser.add_argument("--steps", nargs="+", choices=names, default=names)
    add_output(parser)
    options = parser.parse_args()
    if "analysis" in options.steps and "multirun" not in options.steps:
        parser.error("--steps analysis: it is of the runs of multirun, which is to be named, too")
    if options.root.exists():
        parser.error(f"--root {options.root} is there already; name a new folder")
    write_inputs(options.root)
    Image.init()  # which imports some forty modules, once
    draw = random.Random(options.seed)
    chosen = [step for step in STEPS if step.name in options.steps]
    shares = sum(step.share for step in chosen)
    columns = ("kills", "led to the end", "lost", "refused")
    lines = [f"| step | {' | '.join(columns)} |", "|---|---:|---:|---:|---:|"]
    total: Counter[str] = Counter()
    started = time.monotonic()
    for step in chosen:
        count = torment(step, options.root, -(-options.kills * step.share // shares), draw)
        total += count
        lines.append(f"| {step.name} | {' | '.join(str(count[name]) for name in columns)} |")
        print(lines[-1], f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    lines.append(f"| all | {' | '.join(str(total[name]) for name in columns)} |")
    same = os.stat(options.root).st_dev == os.stat(tempfile.gettempdir()).st_dev
    where = "the same file system as" if same else "another file system than"
    publish(
        "\n".join(
            [
                "# Steps that were killed at random moments and begun again",
                "",
                *lines,
                "",
                f"Outputs on {where} the temporary folder; seed {options.seed}; "
                f"{(time.monotonic() - started) / 60:.0f} minutes. `python -m benchmarks.kills`",
            ]
        ),
        options.output,
    )
    return int(total["lost"] + total["refused"] > 0)


if __name__ == "__main__":
    sys.exit(main())
