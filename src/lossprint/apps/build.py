"""From a configuration to objects; no other file calls Hydra's `instantiate`."""

import dataclasses
import errno
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

import lossprint.apps.resolvers  # noqa: F401  names that a composed configuration asks for
from lossprint.apps.hyperparameters import NAMES, check_search, found_hyperparameters
from lossprint.apps.settings import TrainingSettings, resolved
from lossprint.apps.trust import foreign_code
from lossprint.data.contents import file_digests
from lossprint.data.dataset import FileImages, ImageSource
from lossprint.data.decoding import Interpolation
from lossprint.data.index import Partition, fold_classes
from lossprint.data.probe import ProbeSet, read_probe_set
from lossprint.data.sampler import ClassBalancedBatches
from lossprint.data.store import open_store
from lossprint.data.transforms import Preprocessing
from lossprint.data.undecodable import check_decodable
from lossprint.models.embedder import Embedder, build_embedder
from lossprint.models.native import native_input
from lossprint.probing.network import fastest_device
from lossprint.rendering.dataset import complete, ensure_set
from lossprint.rendering.specification import SET_FILE
from lossprint.runs.imported import import_reality_check
from lossprint.runs.imported_checkpoint import (
    Checkpoint,
    import_checkpoint,
    listed_checkpoints,
)
from lossprint.runs.load import load_run
from lossprint.runs.loggers import check_logger
from lossprint.runs.record import RunRecord, run_folder
from lossprint.runs.zoo import zoo_checkpoints
from lossprint.training.checkpoints import Checkpoints
from lossprint.training.checks import check_enough_classes, check_keys, check_run
from lossprint.training.constructor_arguments import check_arguments
from lossprint.training.datamodule import ImageDataModule, Split, check_retrievable
from lossprint.training.losses import (
    BatchDemands,
    LossSpec,
    build_loss,
    check_batch,
    check_loss_config,
    merge_published,
)
from lossprint.training.module import MetricLearning
from lossprint.training.optimizers import OptimizerFactory
from lossprint.training.processes import (
    check_batchnorm,
    check_processes,
    number_of_processes,
    strategy_for,
)

P = ParamSpec("P")
Result = TypeVar("Result")
NATIVE = "lossprint.models.native.native_network"


def _set_by_hand(prefix: str) -> set[str]:
    """Dotted names below `prefix` that the command line gives values to."""
    if not HydraConfig.initialized():
        return set()
    names = (o.lstrip("+~").split("=")[0] for o in HydraConfig.get().overrides.task)
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def checked(config: DictConfig, *, multirun: bool = False, chosen: bool = False) -> dict[str, Any]:
    """The configuration of a training, resolved, with its hyperparameters chosen, and checked.

    Args:
        config: as composed.
        multirun: whether this is one job of several.
        chosen: the hyperparameters are chosen already, as in the configuration that a run keeps.

    Raises:
        ValueError: an entry is unknown or its value is not valid; the message names it.
    """
    settings = resolved(config, TrainingSettings)
    check_run(settings)
    if not chosen:
        settings["loss"] = _with_hyperparameters(settings)
    check_loss_config(settings["loss"])
    batch_notes(settings)
    check_logger(settings["logger"])
    if settings["search"] is not None:
        check_search(settings["search"], settings["folds"])
    render = settings["data"]["render"]
    if render is not None:
        development = render["designs"] - settings["data"]["source"]["test_classes"]
        training, _ = fold_classes(development, settings["fold"], settings["folds"])
        check_enough_classes(len(training), settings["sampler"]["classes_per_batch"])
    check_processes(settings, multirun=multirun)
    return settings


def _with_hyperparameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The section `loss` with the hyperparameters that one word selects."""
    word, loss, by_hand = settings["hyperparameters"], settings["loss"], _set_by_hand("loss.")
    if word in NAMES or loss.get("family") == "control":
        return merge_published(loss, word if word in NAMES else "default", keep=by_hand)
    found = found_hyperparameters(settings["output_root"], word, loss["name"])
    asked = None if settings["trust"] else foreign_code(found)
    if asked is not None:
        raise ValueError(f"hyperparameters={word} {asked}; allow it with trust=true")
    tuned = merge_published({**loss, "published": found}, "published", keep=by_hand)
    return {**tuned, "published": loss.get("published")}


def folder(config: Mapping[str, Any]) -> Path:
    """Where the run of a configuration lies."""
    names = (config["sweep"], config["loss"]["name"], config["fold"], config["seed"])
    return run_folder(config["output_root"], *names)


def embedder(config: Mapping[str, Any]) -> Embedder:
    """The network with its initial weights, from the sections `model` and `seed`."""
    seen = ("preprocessing", "interpolation")  # what becomes of images before
    model = {key: value for key, value in config["model"].items() if key not in seen}
    check_keys(
        "model.",
        model,
        ["name", "pretrained", "embedding_size", "freeze_batchnorm", "weights", "weights_from"],
    )
    return build_embedder(**model, seed=config["seed"])


def untrained(config: Mapping[str, Any]) -> nn.Module:
    """The network that a run began from: the embedder, or what a checkpoint's `_target_` makes."""
    if "network" in config["model"]:
        return own_network(config["model"], config["seed"])
    return embedder(config)


def trained(
    record: RunRecord, *, weights_file: Path | None = None
) -> tuple[nn.Module, Preprocessing]:
    """The network of a run's best epoch, or of another one's weights, and its input.

    In eval mode on the fastest device.
    """
    config = record.config()
    own = "network" in config["model"]
    network, expected = load_run(
        record,
        own_network(config["model"], config["seed"]) if own else None,
        weights_file=weights_file,
    )
    return network.to(fastest_device()), expected


def own_network(model: Mapping[str, Any], seed: int) -> nn.Module:
    """An architecture of the user's, from `_target_` in the section `network`.

    Its initial weights depend on `seed` alone, and the global random state stays as it was.

    Raises:
        ValueError: there is no such class, it takes other arguments, or it makes no network.
    """
    check_arguments(model["network"], where="models.model.network")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            network = instantiate(model["network"], _convert_="all")
        except InstantiationException as error:
            reason = " ".join(str(error.__cause__ or error).split())
            raise ValueError(f"models.model.network: {reason}") from error
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"models.model.network: {model['network']['_target_']} makes a "
            f"{type(network).__name__}, not a torch.nn.Module"
        )
    return network


def imported_models(section: Mapping[str, Any], output_root: Path | str) -> list[RunRecord]:
    """Models that were trained elsewhere, as finished runs; from the section `models`.

    Raises:
        ValueError, FileNotFoundError: an entry is not valid, or a file does not fit. Entries are
            checked before any file is read.
    """
    shared = ("key_map", "data_root", "probe")
    if "names" in section:
        check_keys("models.", section, ("names", "pretrained", *shared))
        model = {"embedding_size": None}
        checkpoints, sweep = zoo_checkpoints(section), "zoo"
    elif "checkpoints" in section:
        check_keys("models.", section, ("checkpoints", "model", *shared))
        model = section["model"]
        check_keys("models.model.", model, ("network", "embedding_size", "preprocessing"))
        checkpoints, sweep = listed_checkpoints(section), "checkpoints"
    else:
        own = ("root", "dataset", "losses", "folds", "weights", "data_root", "probe")
        check_keys("models.", section, own)
        return import_reality_check(section, output_root)
    described = [_own_model(checkpoint, model) for checkpoint in checkpoints]
    return [
        import_checkpoint(
            checkpoint,
            own_network(_with_weights(own, checkpoint, section), checkpoint.seed),
            {**section, "model": own},
            output_root,
            sweep=sweep,
        )
        for checkpoint, own in zip(checkpoints, described, strict=True)
    ]


def _own_model(checkpoint: Checkpoint, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The section `model` of one checkpoint: what all have, or its own network and input."""
    model = {**shared}
    network = shared.get("network") if checkpoint.network is None else checkpoint.network
    expected = checkpoint.preprocessing
    if isinstance(network, str):
        expected = expected or native_input(network).preprocessing
        network = {"_target_": NATIVE, "name": network, "pretrained": False}
    if network is None or (isinstance(network, Mapping) and network.get("_target_") is None):
        raise ValueError(
            "models.model.network has no value: a name, models.model.network=timm:resnet26, or "
            "models.model.network._target_=my.package.Network"
        )
    expected = dict(expected or shared["preprocessing"])
    valid = [item.name for item in dataclasses.fields(Preprocessing)]
    check_keys("models.model.preprocessing.", expected, valid)
    Preprocessing(**expected)
    plain_values = {k: list(v) if isinstance(v, tuple) else v for k, v in expected.items()}
    return {**model, "network": network, "preprocessing": plain_values}


def _with_weights(
    model: Mapping[str, Any], checkpoint: Checkpoint, section: Mapping[str, Any]
) -> dict[str, Any]:
    """The same, with the library's weights where no file brings others."""
    if checkpoint.weights is not None or model["network"].get("_target_") != NATIVE:
        return dict(model)
    return {
        **model,
        "network": {**model["network"], "pretrained": section.get("pretrained", False)},
    }


def preprocessing(config: Mapping[str, Any]) -> Preprocessing:
    """What the network expects of its input, from the section `model`."""
    return Preprocessing(**config["model"]["preprocessing"])


def _data_may_lie_elsewhere(function: Callable[P, Result]) -> Callable[P, Result]:
    """Where a function of a configuration may not write to `data_root`, say what to set."""

    @functools.wraps(function)
    def told(*arguments: P.args, **named: P.kwargs) -> Result:
        try:
            return function(*arguments, **named)
        except OSError as error:
            config: Any = arguments[0]
            root, file = Path(config["data_root"]), Path(str(error.filename))
            forbidden = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            if not forbidden or not file.is_relative_to(root):
                raise
            raise PermissionError(
                f"cannot write {file} ({error.strerror}): data_root=…, or LOSSPRINT_DATA, names a "
                "folder that can be written"
            ) from error

    return told


@_data_may_lie_elsewhere
def partition(config: Mapping[str, Any]) -> Partition:
    """The data set's index, from the section `data`; rendered first if it is a rendered one."""
    data = config["data"]
    if data.get("render") is not None:
        ensure_set(data["source"]["root"], **_world(data))
    return instantiate(data["source"])()


@_data_may_lie_elsewhere
def partition_there(config: Mapping[str, Any]) -> Partition | None:
    """The data set's index as `partition` gives it; None if it would have to be rendered first."""
    data = config["data"]
    if data.get("render") is not None and not complete(data["source"]["root"], **_world(data)):
        return None
    return instantiate(data["source"])()


def weights_fingerprint(config: Mapping[str, Any]) -> str | None:
    """Of the content of the file that `model.weights` names; None where there is none."""
    if config["model"]["weights"] is None:
        return None
    file = Path(config["model"]["weights"])
    return file_digests(file.parent, [file.name])[0]


def _world(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a rendered training world is."""
    render = _rendered(data)
    count = render["designs"] * render.pop("frames_per_design")
    return {"kind": "world", "count": count, **render}


def _rendered(section: Mapping[str, Any]) -> dict[str, Any]:
    """How the images of a section are rendered: those of 0.1.0 at the size that networks see."""
    return {"size": section["size"], **section["render"]}


@_data_may_lie_elsewhere
def probe_set(config: Mapping[str, Any]) -> ProbeSet:
    """The probe set, from the section `probe`; rendered first if it is a rendered one.

    A folder that holds anything but was not rendered here is a set of the user's own, whatever
    the section says of rendering: it is read as it is, all of it unless `limit` says otherwise.
    """
    probe = config["probe"]
    render, limit = probe.get("render"), probe["limit"]
    if render is not None and is_own_set(Path(probe["folder"])):
        limit = None if limit == render["count"] else limit
    elif render is not None:
        ensure_set(probe["folder"], kind="probe", **_rendered(probe))
    properties = probe.get("properties") or {}
    check_keys("probe.properties.", properties, ("bins", "leave_out"))
    return read_probe_set(
        probe["folder"],
        size=probe["size"],
        short_side=probe["short_side"],
        limit=limit,
        cache=_decoded(config),
        columns=probe.get("columns") or {},
        bins=properties.get("bins") or {},
        leave_out=properties.get("leave_out") or (),
    )


def is_own_set(folder: Path) -> bool:
    """Whether a folder holds anything, and it was not rendered here: nothing is added to it."""
    if not folder.is_dir() or (folder / SET_FILE).is_file():
        return False
    return any(not path.name.startswith(".") for path in folder.iterdir())


def _decoded(config: Mapping[str, Any]) -> Path:
    return Path(config["data_root"]) / "decoded"


def split(config: Mapping[str, Any], images: Partition) -> Split:
    """The images of one fold, from the sections `fold` and `folds`; no file is opened.

    Raises:
        ValueError: a part has nothing to learn from or to retrieve, or fewer classes than a batch.
    """
    parts = Split.of_fold(images, config["fold"], config["folds"])
    check_retrievable(parts)
    check_enough_classes(len(parts.train[1].unique()), config["sampler"]["classes_per_batch"])
    return parts


@_data_may_lie_elsewhere
def datamodule(config: Mapping[str, Any], images: Partition, parts: Split) -> ImageDataModule:
    """Batches of one fold, from the sections `data`, `sampler` and `seed`."""
    data = config["data"]
    sampler = ClassBalancedBatches(parts.train[1], **config["sampler"], seed=config["seed"])
    source: ImageSource
    filter_: Interpolation = config["model"].get("interpolation") or "bilinear"
    if data["store"]:
        try:
            source = open_store(_decoded(config), images.all_images, data["short_side"], filter_)
        except ValueError as error:
            skip = "; data.source.on_bad_image=skip leaves out all that cannot be decoded"
            raise ValueError(f"{error}{skip * ('on_bad_image' in data['source'])}") from error
    else:
        check_decodable(images.all_images, _decoded(config))
        source = FileImages(images.all_images, data["short_side"], filter_)
    return ImageDataModule(
        source,
        parts,
        sampler,
        train_view=instantiate(data["train_view"], _convert_="all"),
        eval_view=instantiate(data["eval_view"], _convert_="all"),
        preprocessing=preprocessing(config),
        interpolation=filter_,
        seed=config["seed"],
        workers=data["workers"],
    )


def batch_notes(config: Mapping[str, Any]) -> list[str]:
    """What to know of the loss's batches, from the sections `loss` and `sampler`; may refuse."""
    demands = BatchDemands.from_config(config["loss"].get("batch"))
    sampler = config["sampler"]
    return check_batch(
        config["loss"]["name"],
        demands,
        sampler["classes_per_batch"],
        sampler["samples_per_class"],
    )


def loss(config: Mapping[str, Any], num_classes: int) -> LossSpec:
    """The loss of so many training classes, from the sections `loss` and `seed`."""
    return build_loss(config["loss"], instantiate, num_classes=num_classes, seed=config["seed"])


def optimizer(config: Mapping[str, Any]) -> OptimizerFactory:
    """What makes an optimizer of parameter groups, from the section `optimizer`."""
    return instantiate({k: v for k, v in config["optimizer"].items() if k != "embedding_lr_factor"})


def module(config: Mapping[str, Any], network: Embedder, spec: LossSpec) -> MetricLearning:
    """The LightningModule, from the sections `optimizer` and `schedule`, and trainer.compile."""
    if config["trainer"]["compile"]:
        network.compile()  # in place: its weights keep their names
    return MetricLearning(
        network,
        spec,
        optimizer(config),
        instantiate(config["schedule"]),
        embedding_lr=config["optimizer"]["lr"] * config["optimizer"]["embedding_lr_factor"],
        seed=config["seed"],
    )


def callbacks(config: Mapping[str, Any], **run: Any) -> list[pl.Callback]:
    """The callbacks of the section `callbacks`; partial ones are finished with what `run` holds."""
    built = [instantiate(entry) for entry in config["callbacks"].values()]
    return [made(**run) if isinstance(made, functools.partial) else made for made in built]


def fastest_precision(accelerator: str) -> str:
    """Of training on one of Lightning's accelerators: bfloat16 where it is a GPU that has it."""
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def trainer(
    config: Mapping[str, Any],
    network: Embedder,
    run_callbacks: list[pl.Callback],
    checkpoints: Checkpoints,
) -> pl.Trainer:
    """Lightning's trainer of a network, from the section `trainer`."""
    arguments = {k: v for k, v in config["trainer"].items() if k != "compile"}
    if arguments["precision"] == "auto":
        arguments["precision"] = fastest_precision(arguments["accelerator"])
    plugins = arguments.pop("plugins", None) or []
    arguments |= strategy_for(
        network, number_of_processes(arguments), arguments.get("strategy", "auto")
    )
    made = pl.Trainer(
        **arguments,
        plugins=[*plugins, *checkpoints.plugins()],
        callbacks=[*run_callbacks, *checkpoints.callbacks()],
        logger=False,  # MetricsFile writes metrics to the run's folder and the tracker
        num_sanity_val_steps=0,
        enable_model_summary=False,
        use_distributed_sampler=False,  # the data deals each process its share of a batch
    )
    check_batchnorm(network, processes=made.world_size, device_type=made.strategy.root_device.type)
    return made
