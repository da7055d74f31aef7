"""Backbones: pooled features equal those of the library's own network, names checked."""

from pathlib import Path
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from omegaconf import OmegaConf
from torch import nn

from lossprint.models.backbones import build_backbone
from lossprint.models.bn_inception import BNInception
from lossprint.models.embedder import build_embedder

CONFIGS = sorted((Path(__file__).parents[2] / "conf" / "model").glob("*.yaml"))


def images(size: int = 64, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_builds_and_learns(path: Path) -> None:
    config = OmegaConf.merge(OmegaConf.load(path), {"pretrained": False})
    arguments = OmegaConf.to_container(config)
    preprocessing = arguments.pop("preprocessing")
    arguments.pop("interpolation", None)
    assert preprocessing.keys() == {"mean", "std", "channels", "scale"}
    model = build_embedder(**arguments, seed=0).train()
    model(images()).square().mean().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without in ([], ["backbone.network.mask_token"])


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "vit_b_32"])
def test_weights_file_of_the_classifier(name: str, tmp_path: Path) -> None:
    """The classifier's weights are dropped; what is left computes its penultimate features."""
    network = torchvision.models.get_model(name, weights=None).eval()
    file = tmp_path / "weights.pth"
    torch.save(network.state_dict(), file)
    penultimate: list[torch.Tensor] = []
    last = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    last.register_forward_pre_hook(lambda _, inputs: penultimate.append(inputs[0]))
    backbone = build_backbone(name, pretrained=True, weights=file).eval()
    with torch.no_grad():
        network(images(224))
        features = backbone(images(224))
    expected = penultimate[0]
    if isinstance(last, nn.Conv2d):  # squeezenet pools afterwards
        expected = expected.relu().mean(dim=(2, 3))
    assert features.shape == (2, backbone.num_features)
    torch.testing.assert_close(features, expected.flatten(1))


def test_timm_weights_file(tmp_path: Path) -> None:
    network = timm.create_model("resnet10t", pretrained=False).eval()
    file = tmp_path / "weights.pth"
    torch.save(network.state_dict(), file)
    backbone = build_backbone("timm:resnet10t", pretrained=False, weights=file).eval()
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(images()), pre_logits=True)
        torch.testing.assert_close(backbone(images()), expected)


def test_vision_transformer_fits_its_positions_to_the_image() -> None:
    backbone = build_backbone("vit_b_32", pretrained=False).eval()
    with torch.no_grad():
        assert backbone(images(64)).shape == (2, 768)
        # Six pixels are less than a patch, they change nothing.
        wide = images(70)
        torch.testing.assert_close(backbone(wide), backbone(wide[..., :64, :64]))
    with pytest.raises(ValueError, match="smaller than a patch of 32 px"):
        backbone(images(20))


@pytest.mark.parametrize("name", ["vit_b_32", "timm:vit_tiny_patch16_224", "resnet18"])
def test_features_depend_on_every_image_alone(name: str) -> None:
    backbone = build_backbone(name, pretrained=False).eval()
    with torch.no_grad():
        batch = backbone(images(96, count=3))
        torch.testing.assert_close(backbone(images(96, count=3)[1:2]), batch[1:2])


def test_torchvision_may_be_named() -> None:
    plain = build_backbone("squeezenet1_1", pretrained=False)
    named = build_backbone("torchvision:squeezenet1_1", pretrained=False)
    assert named.state_dict().keys() == plain.state_dict().keys()


def test_unknown_names_are_answered_with_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet19'\. Did you mean resnet18"):
        build_backbone("resnet19", pretrained=False)
    with pytest.raises(ValueError, match=r"'timm:resnet26x'\. Did you mean timm:resnet26"):
        build_backbone("timm:resnet26x", pretrained=False)
    with pytest.raises(ValueError, match=r"no weights 'resnet26\.nobody'; it has: .*bt_in1k"):
        build_backbone("timm:resnet26.nobody", pretrained=True)


@pytest.mark.parametrize("name", ["resnet18", "bn_inception"])
def test_without_network_the_message_says_which_file_goes_where(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no route to host") as caught:
        build_backbone(name, pretrained=True)
    message = str(caught.value)
    assert str(tmp_path / "hub" / "checkpoints") in message
    assert name in message
    assert ".pth" in message


def test_cached_imagenet_weights_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file put where the message says is what the pretrained backbone starts from."""
    state = BNInception().state_dict()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / "bn_inception-52deb4733.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    backbone = build_backbone("bn_inception", pretrained=True)
    own = backbone.network.state_dict()
    assert own.keys() == {key for key in state if not key.startswith("last_linear")}
    assert all(torch.equal(own[key], state[key]) for key in own)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "resnet34.pth"
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), file)
    with pytest.raises(ValueError, match=r"96 unexpected keys: layer1\.2\.conv1\.weight.*, …"):
        build_backbone("resnet18", pretrained=False, weights=file)
