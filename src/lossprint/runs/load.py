"""From a run on disk to the network it trained."""

from lossprint.data.transforms import Preprocessing
from lossprint.models.checkpoints import load_weights, read_state_dict
from lossprint.models.embedder import Embedder, build_embedder
from lossprint.runs.record import RunRecord


def load_run(record: RunRecord) -> tuple[Embedder, Preprocessing]:
    """The network of a run's best epoch, in eval mode, and what it expects of its input.

    Raises:
        FileNotFoundError: the run has no weights or no configuration.
        ValueError: its weights do not fit its configuration.
    """
    if not record.weights_file.is_file():
        raise FileNotFoundError(
            f"{record.weights_file} is missing; train the run again with force=true"
        )
    model = record.config()["model"]
    embedder = build_embedder(
        model["name"],
        pretrained=False,
        embedding_size=model["embedding_size"],
        freeze_batchnorm=model["freeze_batchnorm"],
        seed=record.seed,
    )
    load_weights(embedder, read_state_dict(record.weights_file), source=record.weights_file)
    return embedder.eval(), Preprocessing(**model["preprocessing"])
