"""The reality check's models as finished runs on disk: the analysis reads them like any other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import track

from lossprint.data.contents import file_digests
from lossprint.models.reality_check import (
    EMBEDDER,
    PREPROCESSING,
    TRUNK,
    RealityCheckModel,
    find_reality_check_models,
)
from lossprint.runs.record import RECORD_FILE, RunRecord, load_record, run_folder
from lossprint.tensor_files import save_tensors

EMBEDDING_SIZE = 128
"""Of all published models."""


def import_reality_check(section: Mapping[str, Any], output_root: Path | str) -> list[RunRecord]:
    """Write the reality check's models as runs of a sweep `reality_check-<data set>`.

    A model whose files hold what they held when they were imported is not read again.

    Args:
        section: `root`, `dataset`, `losses` and `folds` choose models as
            `find_reality_check_models` does; `weights` is a file of the ImageNet weights that the
            untrained control begins from, None downloads them; `probe` and `data_root` are what
            the analysis looks at them with, in the shape of a training's configuration.
        output_root: below which runs lie.

    Raises:
        FileNotFoundError, ValueError: no such models, or their files do not fit; see
            `find_reality_check_models` and `RealityCheckModel.load`.
    """
    models = find_reality_check_models(
        section["root"],
        dataset=section.get("dataset"),
        losses=section.get("losses"),
        folds=section.get("folds"),
    )
    return [
        _imported(model, section, Path(output_root))
        for model in track(models, "reading models", transient=True)
    ]


def _imported(model: RealityCheckModel, section: Mapping[str, Any], output_root: Path) -> RunRecord:
    dataset = model.dataset or "unnamed"
    record = RunRecord(
        folder=run_folder(
            output_root, f"reality_check-{dataset}", model.loss, model.fold, model.seed
        ),
        loss=model.loss,
        family=model.family,
        distance=model.distance,
        fold=model.fold,
        seed=model.seed,
        data_fingerprint=f"reality_check-{dataset}",
    )
    config = _config(model, section)
    if not _is_imported(record, config):
        weights = model.load(embedding_size=EMBEDDING_SIZE).state_dict()
        save_tensors(weights, record.weights_file)
    return record.begin(config).finish({}, {})


def _config(model: RealityCheckModel, section: Mapping[str, Any]) -> dict[str, Any]:
    """A training's configuration, as far as the analysis reads it."""
    files = (TRUNK, EMBEDDER)
    # By content: weights of one architecture have one size, and a copy may keep its date.
    hashes = zip(files, file_digests(model.folder, files), strict=True)
    return {
        "imported": {file: [str((model.folder / file).resolve()), hash_] for file, hash_ in hashes},
        "loss": {"name": model.loss, "family": model.family, "distance": model.distance},
        "data": {"name": model.dataset},
        "probe": dict(section["probe"]),
        "model": {
            "name": "bn_inception",
            "pretrained": True,  # what the untrained control begins from
            "weights": section.get("weights"),
            "embedding_size": EMBEDDING_SIZE,
            "freeze_batchnorm": True,
            "preprocessing": dict(PREPROCESSING),
        },
        "data_root": str(section["data_root"]),
        "fold": model.fold,
        "seed": model.seed,
    }


def _is_imported(record: RunRecord, config: Mapping[str, Any]) -> bool:
    if not record.weights_file.is_file() or not (record.folder / RECORD_FILE).is_file():
        return False
    before = load_record(record.folder)
    return before.status == "finished" and before.config().get("imported") == config["imported"]
