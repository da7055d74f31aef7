"""One run of an experiment: found finished, continued or trained, and written to its folder."""

import logging
import shutil
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from PIL import Image
from pytorch_lightning.callbacks import LambdaCallback
from rich.console import Console
from rich.table import Table

from lossprint.apps import build
from lossprint.data.index import Partition
from lossprint.data.probe import ProbeSet
from lossprint.files import alone, remove_leftovers, whole_file
from lossprint.metrics.geometry import embedding_geometry
from lossprint.models.embedder import Embedder
from lossprint.models.image_sizes import check_image_sizes
from lossprint.models.native import TIMM, native_input
from lossprint.runs.loggers import log_training_files, track_training
from lossprint.runs.provenance import (
    differences,
    git_commit,
    immaterial,
    package_versions,
    run_key,
)
from lossprint.runs.record import (
    RECORD_FILE,
    RunRecord,
    UnwrittenRecord,
    check_writable,
    load_record,
)
from lossprint.runs.tracker import Tracker
from lossprint.tensor_files import save_tensors
from lossprint.training.callbacks.kept_levels import KeptLevels
from lossprint.training.callbacks.metrics_file import EpochMetrics
from lossprint.training.checkpoints import Checkpoints
from lossprint.training.datamodule import ImageDataModule
from lossprint.training.fit import Interrupted, fit_and_test
from lossprint.training.gallery import nearest_neighbors, neighbor_gallery, pick_queries
from lossprint.training.module import MetricLearning
from lossprint.training.processes import is_first_process
from lossprint.training.progress import EpochLines

PROPERTY, SHARE = "nr/", "nr_share/"
GALLERY_QUERIES, GALLERY_NEIGHBORS = 8, 8
STATES_KEPT = 5 * 3
"""A run's weights and four checkpoints, each of weights and two states of an optimizer, rounded up:
so many times the size of the network a training needs room for."""
REPLACED = (
    *("checkpoints", "analysis", "saliency", "levels", "config.yaml", "metrics.csv"),
    *("weights.safetensors", "test_embeddings.safetensors"),
    *("gallery.png", "saliency.png", "probe_properties.csv"),
)
"""What a run's folder holds beside its record, to be removed when the run is replaced."""
REPLACE = "Choose another folder with sweep=…, or force=true to replace the run"
SHOWN = (
    "map_at_r", "r_precision", "precision_at_1", "recall_at_8", "effective_rank", "mean_length",
)  # fmt: skip


def train(
    composed: DictConfig, console: Console, *, multirun: bool = False, chosen: bool = False
) -> RunRecord:
    """Train as configured, unless that is done already.

    Args:
        composed: the configuration as Hydra composed it.
        console: progress and results are printed to it.
        multirun: whether this is one job of several.
        chosen: its hyperparameters are chosen already, as in the configuration that a run keeps.

    Returns:
        The finished run's record.

    Raises:
        ValueError: the configuration does not fit the data, or the folder holds a run of another
            configuration; nothing is changed then.
        Interrupted: by Ctrl-C. The record says "interrupted", and the same call continues the run.
        Exception: whatever else stopped the training; the record then says "failed", with it.
    """
    quiet_libraries()
    config = build.checked(composed, multirun=multirun, chosen=chosen)
    folder = build.folder(config)
    images = build.partition_there(config)
    existing = existing_run(folder, config, images)
    if existing is None or existing.status != "finished":
        check_writable(folder)
        with _alone(folder):
            # Another process may have trained it meanwhile.
            existing = existing_run(folder, config, images)
            if existing is None or existing.status != "finished":
                return _trained(config, folder, existing, images, console)
    console.print(f"[green]{existing.name} is finished already[/]; force=true trains it again")
    show_result(existing, console)
    return existing


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Of several processes that train one run together, the first one holds its folder."""
    return alone(folder, f"training {folder}") if is_first_process() else nullcontext()


def _trained(
    config: dict[str, Any],
    folder: Path,
    existing: RunRecord | None,
    images: Partition | None,
    console: Console,
) -> RunRecord:
    """The run, trained: `existing` is continued, anything else in the folder replaced."""
    started = time.perf_counter()
    # What fails soonest comes first: files were looked for in no time, weights may have to be
    # downloaded, and rendering takes longest.
    network = build.embedder(config)
    sizes = {f"{section}.size": config[section]["size"] for section in ("data", "probe")}
    check_image_sizes(network, sizes)
    say_other_sizes(config["model"], sizes, console)
    images = images or build.partition(config)
    size = sum(value.nbytes for value in network.state_dict().values())
    first = is_first_process()
    if first:
        check_writable(folder, required_bytes=(STATES_KEPT + config["keep_levels"]) * size)
        for place in (folder, *(folder / name for name in ("checkpoints", "analysis", "levels"))):
            remove_leftovers(place)
        if existing is None and (config["force"] or (folder / RECORD_FILE).exists()):
            clear_run(folder)
    if existing is not None:
        check_same_images(existing, images)
    record = existing
    if record is None or not first:
        # Further processes train along; the first one writes.
        record = (RunRecord if first else UnwrittenRecord)(
            folder=folder,
            loss=config["loss"]["name"],
            family=config["loss"]["family"],
            distance=config["loss"]["distance"],
            fold=config["fold"],
            seed=config["seed"],
            data_fingerprint=images.fingerprint(),
            weights_fingerprint=build.weights_fingerprint(config),
            versions=package_versions(),
            git_commit=git_commit(),
        )
    record = record.begin(config)
    try:
        parts = build.split(config, images)
        probe = build.probe_set(config)  # before all images are decoded, which may take an hour
        data = build.datamodule(config, images, parts)
        config["num_classes"] = data.num_classes
        record = _train(config, network, data, probe, record, console, started)
    except (Interrupted, KeyboardInterrupt):
        load_record(folder).interrupt()
        raise
    except Exception as error:
        load_record(folder).fail(error)  # it says more by now, e.g. its W&B run
        raise
    show_result(record, console)
    return record


def say_other_sizes(model: Mapping[str, Any], sizes: Mapping[str, int], console: Console) -> None:
    """Note sizes that timm's weights were not trained with, and the words to change that."""
    if not model["name"].startswith(TIMM) or not model["pretrained"] or model["weights"]:
        return
    own = native_input(model["name"]).size
    other = {where: size for where, size in sizes.items() if size != own}
    if other and is_first_process():
        seen = ", ".join(f"{where}={size}" for where, size in other.items())
        typed = " ".join(f"{where}={own}" for where in other)
        console.print(
            f"[yellow]note:[/] the weights of {model['name']} were trained on images of {own} px "
            f"({typed}), and are to see {seen}",
            highlight=False,
        )


def existing_run(
    folder: Path, config: Mapping[str, Any], images: Partition | None
) -> RunRecord | None:
    """The run that a folder holds, if it is one of the same configuration, weights and images.

    Images that are not there yet are going to be rendered as the configuration says. None where
    there is no run, or one that is to be replaced: with `force` whatever it is, else one that
    failed under another configuration or on other images. Nothing is changed.

    Raises:
        ValueError: it was started with another configuration, weights or images, and the message
            says what differs; or its record is damaged.
    """
    if config["force"] or not (folder / RECORD_FILE).exists():
        return None
    try:
        record = load_record(folder)
        before = record.config()
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{error}; force=true replaces the run") from error
    changed = differences(before, config, ignore=immaterial(config))
    if changed and record.status == "failed":
        return None
    if changed:
        raise ValueError(
            f"{folder} holds a run of another configuration ({'; '.join(changed[:5])}). {REPLACE}"
        )
    if record.weights_fingerprint is not None:
        begins_from = build.weights_fingerprint(config)
        if begins_from not in (None, record.weights_fingerprint):
            if record.status == "failed":
                return None
            raise ValueError(
                f"{folder} holds a run that began from other weights: "
                f"{config['model']['weights']} changed since. {REPLACE}"
            )
    if images is not None:
        if record.status == "failed" and record.data_fingerprint != images.fingerprint():
            return None
        check_same_images(record, images)
    return record


def check_same_images(record: RunRecord, images: Partition) -> None:
    """Raise unless a run was begun on these images.

    Raises:
        ValueError: it was begun on others.
    """
    found = images.fingerprint()
    if record.data_fingerprint != found:
        raise ValueError(
            f"{record.folder} holds a run on other images than those of {images.development.root} "
            f"(fingerprints {record.data_fingerprint}, {found}). {REPLACE}"
        )


def clear_run(folder: Path) -> None:
    """Remove what a training and its analysis left in a run's folder, its record first.

    What is left where this is cut off belongs to no run then, and checkpoints know theirs.
    """
    (folder / RECORD_FILE).unlink(missing_ok=True)
    for name in REPLACED:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _train(
    config: Mapping[str, Any],
    network: Embedder,
    data: ImageDataModule,
    probe: ProbeSet,
    record: RunRecord,
    console: Console,
    started: float,
) -> RunRecord:
    spec = build.loss(config, data.num_classes)
    for note in build.batch_notes(config):
        console.print(f"[yellow]note:[/] {note}")
    module = build.module(config, network, spec)
    checkpoints = Checkpoints(
        record.folder / "checkpoints", run=run_key(config, record.data_fingerprint)
    )
    prepared = time.perf_counter()
    record = record.begin(config)
    first = is_first_process()
    tracking = track_training(record, config["logger"], config) if first else nullcontext(Tracker())
    with tracking as tracker:
        record = record.with_wandb(tracker.path)
        callbacks = [
            LambdaCallback(on_train_start=partial(say_continued, console)),
            EpochLines(console, record.name),
            *build.callbacks(
                config,
                probe=probe,
                preprocessing=build.preprocessing(config),
                distance=spec.distance,
                folder=record.folder,
                initial_folder=None if spec.criterion is None else record.untrained_folder,
                tracker=tracker,
            ),
            EpochMetrics(
                record.metrics_file, lambda metrics, epoch: tracker.log(metrics, epoch=epoch)
            ),
        ]
        if config["keep_levels"]:
            callbacks.append(KeptLevels(record.levels_folder, config["keep_levels"]))
        trainer = build.trainer(config, network, callbacks, checkpoints)
        metrics = fit_and_test(trainer, module, data, checkpoints, record.weights_file)
        if not first:
            return record
        tested = {"embeddings": module.test_embeddings, "labels": module.test_labels}
        save_tensors(tested, record.test_embeddings_file)
        gallery = draw_gallery(module, data)
        with whole_file(record.folder / "gallery.png") as temporary:
            gallery.save(temporary)
        tracker.log_images({"test/gallery": gallery})
        tracker.summarize(metrics)
        ended = time.perf_counter()
        record = record.finish(
            metrics,
            {"prepare": prepared - started, "train": ended - prepared},
            collapsed=embedding_geometry(module.test_embeddings).collapsed,
        )
        log_training_files(tracker, record)
    if config["keep_checkpoints"]:
        checkpoints.remove_earlier()
    else:
        checkpoints.remove()
    return record


def say_continued(console: Console, trainer: pl.Trainer, module: pl.LightningModule) -> None:
    """Say with which epoch a training goes on that was cut off."""
    if trainer.current_epoch and trainer.is_global_zero:
        console.print(f"continues with epoch {trainer.current_epoch + 1} of {trainer.max_epochs}")


def draw_gallery(module: MetricLearning, data: ImageDataModule) -> Image.Image:
    """Test images of some unseen classes and what they retrieve."""
    labels, embeddings = module.test_labels, module.test_embeddings
    queries = pick_queries(labels, GALLERY_QUERIES)
    neighbors = nearest_neighbors(embeddings, queries, GALLERY_NEIGHBORS)
    # Only what is drawn is cropped: of 60,000 test images all crops would take 9 GB.
    shown = torch.cat([queries, neighbors.flatten()]).unique()
    return neighbor_gallery(
        data.test_pixels(shown),
        labels[shown],
        torch.searchsorted(shown, queries),
        torch.searchsorted(shown, neighbors.contiguous()),
    )


def show_result(record: RunRecord, console: Console) -> None:
    """Trained against untrained, and where it lies."""
    metrics = record.metrics
    rows: list[tuple[str, ...]] = [(name, f"untrained/{name}", f"test/{name}") for name in SHOWN]
    _show_table("unseen classes", rows, metrics, console, title=record.name)
    properties = [key.removeprefix(PROPERTY) for key in metrics if key.startswith(PROPERTY)]
    rows = [(p, f"untrained/nr/{p}", PROPERTY + p, SHARE + p) for p in properties]
    rows.sort(key=lambda row: -metrics[row[2]])
    if rows:
        _show_table("clusters by (NR-Prec)", rows, metrics, console, "of the most possible")
    if record.collapsed:
        console.print(
            "[bold yellow]collapsed:[/] the embedding of the unseen classes uses "
            f"{metrics['test/effective_rank']:.1f} directions, its mean vector is "
            f"{metrics['test/mean_length']:.2f} long (1: all images at one point). What it is "
            "compared by says little; a lower optimizer.lr or other settings of the loss may help"
        )
    for name, text in (
        ("run", str(record.folder)),
        ("weights", str(record.weights_file)),
    ):
        console.print(f"{name:9} {text}", soft_wrap=True, highlight=False, markup=False)


def _show_table(
    subject: str,
    rows: Sequence[tuple[str, ...]],
    metrics: Mapping[str, float],
    console: Console,
    *more: str,
    title: str | None = None,
) -> None:
    """Rows of a name and the keys of its metrics: untrained, trained and `more`."""
    table = Table(title=title, title_justify="left")
    table.add_column(subject)
    for heading in ("untrained", "trained", *more):
        table.add_column(heading, justify="right")
    for name, *keys in rows:
        values = [metrics.get(key) for key in keys]
        table.add_row(name, *["–" if value is None else f"{value:.3f}" for value in values])
    console.print(table)


def quiet_libraries() -> None:
    """Keep Lightning's advice off the terminal, where the progress bar and the table speak."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric)\..*")
