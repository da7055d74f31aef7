"""Checkpoints as frameworks write them: what is obvious is taken and said, the rest is proposed."""

import argparse
import json
import logging
import pickle
import re
import shlex
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from pytorch_lightning.utilities.parsing import AttributeDict
from safetensors.torch import save_file
from torch import Tensor, nn

from lossprint.models.archives import read_archive
from lossprint.models.checkpoints import check_embeds, load_checkpoint
from lossprint.models.key_maps import by_order, read_key_map, rename_keys
from lossprint.models.native import Resized, native_input, native_network, plain_network


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))


def state(prefix: str = "", seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        prefix + key: value if value.ndim == 0 else torch.rand(value.shape, generator=generator)
        for key, value in network().state_dict().items()
    }


class Hyper:
    """Stands for hyperparameters that are objects."""

    def __init__(self) -> None:
        self.lr = 0.1


EXTRA = {"criterion.W": torch.ones(3, 3), "loss_fn.beta": torch.ones(2)}
LAYOUTS = {
    "plain": lambda: state(),
    "DataParallel": lambda: state("module."),
    "compiled": lambda: {"model": state("_orig_mod.")},
    "compiled and parallel": lambda: {"net": state("module._orig_mod.")},
    "net": lambda: {"net": state(), "acc": 0.9, "epoch": 3},
    "nested": lambda: {"checkpoint": {"model": state("model.")}},
    "Lightning": lambda: {
        "state_dict": state("model.") | EXTRA,
        "epoch": 3,
        "optimizer_states": [{"state": {0: {"step": torch.ones(1)}}, "param_groups": [{}]}],
        "hyper_parameters": AttributeDict(lr=0.1, options=Hyper()),
        "args": argparse.Namespace(lr=3),
    },
    "EMA beside": lambda: {"state_dict_ema": state(seed=2), "state_dict": state()},
    "EMA within": lambda: {"model": state(), "ema": state("module.", seed=2), "sched": Hyper()},
    "with an object": lambda: {"model": state(), "config": Path("/tmp"), "cls": Hyper},
    "model_state_dict and EMA": lambda: {
        "ema_state_dict": state(seed=2),
        "model_state_dict": state(),
        "epoch": 3,
    },
    "encoder of a backbone": lambda: {"state_dict": state("backbone.encoder.")},
    "DDP within compiled": lambda: {"model": state("_orig_mod.module.")},
    "student and teacher": lambda: {"teacher": state(seed=2), "student": state()},
    "counted by no BatchNorm": lambda: {
        k: v for k, v in state().items() if not k.endswith("num_batches_tracked")
    },
}


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def expect(model: nn.Module, wanted: dict[str, Tensor]) -> None:
    got = model.state_dict()
    assert all(torch.equal(got[key], value) for key, value in wanted.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_taken(dtype: torch.dtype, tmp_path: Path) -> None:
    half = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state().items()}
    save_file(half, tmp_path / "a.safetensors")
    expect(load_checkpoint(network(), tmp_path / "a.safetensors"), half)


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    quantized = state() | {"3.weight": torch.ones(5, 16, dtype=torch.int8)}
    save_file(quantized, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"3\.weight holds whole numbers, torch\.int8, as quant"):
        load_checkpoint(network(), tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "value", [torch.full((5, 16), torch.nan), torch.full((5, 16), torch.inf), "meta"]
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_without_values_are_refused(
    value: Tensor | str, prefix: str, tmp_path: Path
) -> None:
    empty = torch.empty(5, 16, device="meta") if isinstance(value, str) else value
    torch.save(state(prefix) | {f"{prefix}3.weight": empty}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"1 tensors without values .* diverged: 3\.weight"):
        load_checkpoint(network(), tmp_path / "a.pth")


class Gives(nn.Module):
    """A network that gives something of its images."""

    def __init__(self, give: Callable[[Tensor], object], channels: int = 3) -> None:
        super().__init__()
        self.convolution, self.give = nn.Conv2d(channels, 4, 3), give

    def forward(self, images: Tensor) -> object:
        return self.give(self.convolution(images))


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Gives(lambda maps: (maps.mean((2, 3)), maps)), r"into tuple, .* one tensor, pooled$"),
        (Gives(lambda maps: maps), r"into \(2, 4, 30, 30\), not into embeddings .* pooled$"),
        (Gives(lambda maps: {"pooled": maps}), "into dict, .* one tensor, pooled$"),
        (Gives(lambda maps: maps.mean()), r"into \(\), not into embeddings"),
        (Gives(lambda maps: maps.mean((2, 3)) * torch.nan), "embeddings that are not finite"),
        (Gives(lambda maps: maps.mean((2, 3)), 1), r"1 channels.*it is given \(2, 3, 32, 32\)"),
    ],
)
def test_networks_that_give_no_embeddings_say_what_they_give(model: nn.Module, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_embeds(model, 32)


@pytest.mark.parametrize("stem", ["model", "pytorch_model", "diffusion.ema-best"])
@pytest.mark.parametrize("given", ["00001-of-00003", "00003-of-00003", "index"])
def test_a_network_in_several_files_is_read_from_one_of_them(
    stem: str, given: str, tmp_path: Path
) -> None:
    suffix = ".bin" if stem == "pytorch_model" else ".safetensors"
    names, weights = list(state()), state()
    where = {}
    for part in range(3):
        file = f"{stem}-{part + 1:05d}-of-00003{suffix}"
        held = {name: weights[name] for name in names[part::3]}
        (torch.save if suffix == ".bin" else save_file)(held, tmp_path / file)
        where |= dict.fromkeys(held, file)
    index = tmp_path / f"{stem}{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    path = index if given == "index" else tmp_path / f"{stem}-{given}{suffix}"
    expect(load_checkpoint(network(), path), weights)
    (tmp_path / f"{stem}-00002-of-00003{suffix}").unlink()
    with pytest.raises(FileNotFoundError, match=r"one of 3 files .* first is .*-00002-of-00003\."):
        read_archive(path)


def traced(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network().eval(), torch.zeros(1, 3, 4, 4)).save(str(path))


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("a.pt", traced, "is a TorchScript program: python -c .*takes the weights out$"),
        ("a.onnx", b"\x08\x07\x12\x07pytorch", "is an ONNX graph: save the weights"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer: git lfs"),
        ("a.safetensors", b"<!DOCTYPE html><html>", "is a web page: download the file itself$"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "is an HDF5 file, as Keras writes them"),
        ("a.pth.gz", b"\x1f\x8b\x08\x00", "is compressed: unpack it with gunzip$"),
        ("a.npz", lambda path: np.savez(path, a=np.ones(2)), "is an archive of NumPy, not weights"),
        (
            "a.zip",
            lambda path: zipfile.ZipFile(path, "w").writestr("a", "b"),
            "zip archive of some",
        ),
        ("a.index.json", b"{}", "is no index of weights .* copy it anew, or give the files$"),
        ("a.pth", b"", "is empty: copy it anew$"),
        ("a.pth", lambda path: torch.save({}, path), "found a mapping with no entry"),
        ("a.pth", lambda path: torch.save(torch.ones(2), path), "found a Tensor"),
    ],
)
def test_files_that_hold_no_weights_are_called_what_they_are(
    name: str, write: bytes | Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(write) if isinstance(write, bytes) else write(path)
    with pytest.raises(ValueError, match=told) as caught:
        read_archive(path)
    assert "\n" not in str(caught.value)


def test_a_folder_names_the_files_in_it(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(
        FileNotFoundError, match=r"is a folder; .* config\.json, model\.safetensors"
    ):
        read_archive(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"is a folder; .* though it has none$"):
        read_archive(tmp_path / "empty")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_frameworks_write_is_read_as_it_is(
    layout: str, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    torch.save(LAYOUTS[layout](), tmp_path / "a.ckpt")
    expect(load_checkpoint(network(), tmp_path / "a.ckpt"), state())
    told = said.text
    assert "it holds" in told
    if layout == "Lightning":
        assert "state_dict (11 tensors); besides epoch" in told
        assert "state_dict is taken; read with key_map={'model.': ''" in told
        assert "left out: criterion., loss_fn." in told


def test_the_averaged_weights_are_one_word_away(tmp_path: Path) -> None:
    torch.save(LAYOUTS["EMA beside"](), tmp_path / "a.ckpt")
    model = load_checkpoint(network(), tmp_path / "a.ckpt", part="state_dict_ema")
    expect(model, state(seed=2))
    with pytest.raises(
        ValueError, match=r"no part 'ema'; it holds state_dict \(9 tensors\), state"
    ):
        load_checkpoint(network(), tmp_path / "a.ckpt", part="ema")


class Runs:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("executed"),))


class Evaluates:
    def __reduce__(self) -> tuple:
        return (eval, ("open('executed', 'w')",))


@pytest.mark.parametrize(
    ("content", "take"),
    [
        (lambda: network(), "content.state_dict()"),
        (lambda: {"model": network(), "epoch": 1}, "content['model'].state_dict()"),
        (lambda: Runs(), "content.state_dict()"),
        (lambda: {"net": Evaluates()}, "content['net'].state_dict()"),
    ],
)
def test_pickled_code_is_refused_with_what_takes_the_weights_out(
    content, take: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth is refused: .*could run code") as caught:
        read_archive(tmp_path / "a.pth")
    assert not (tmp_path / "executed").exists()
    lines = [line.strip() for line in str(caught.value).splitlines()[1:]]
    assert len(lines) == 3
    assert lines[2] == f"torch.save({take}, {str(tmp_path / 'a-weights.pth')!r})"
    if "net" not in take and "Runs" not in str(content):
        assert lines[1].startswith("content = torch.load(")


def test_the_three_lines_work(tmp_path: Path) -> None:
    torch.save({"model": network()}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="refused") as caught:
        read_archive(tmp_path / "a.pth")
    exec("\n".join(line.strip() for line in str(caught.value).splitlines()[1:]))
    load_checkpoint(network(), tmp_path / "a-weights.pth")


def test_code_beside_the_weights_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": state(), "callback": Evaluates()}, tmp_path / "a.pth")
    expect(load_checkpoint(network(), tmp_path / "a.pth"), state())
    assert not (tmp_path / "executed").exists()


def proposed(error: pytest.ExceptionInfo[ValueError]) -> object:
    """The key map that a message gives, parsed as a shell and Hydra would."""
    (word,) = shlex.split(str(error.value).splitlines()[1])
    return OverridesParser.create().parse_override(word).value()


def renamed(pairs: dict[str, str]) -> dict[str, Tensor]:
    found = {}
    for key, value in state().items():
        top, _, rest = key.partition(".")
        found[f"{pairs[top]}{rest}"] = value
    return found


@pytest.mark.parametrize(
    ("content", "dropped"),
    [
        (lambda: state("backbone.") | {"fc.weight": torch.ones(2), "fc.bias": torch.ones(2)}, 2),
        (lambda: renamed({"0": "stem.conv.", "1": "stem.bn.", "3": "head."}), 0),
        (lambda: {"classifier.weight": torch.ones(7)} | state(), 1),
        (lambda: {"state_dict": state("encoder.0.") | {"queue": torch.ones(4, 4)}}, 1),
    ],
)
def test_a_key_map_is_proposed_ready_to_paste(content, dropped: int, tmp_path: Path) -> None:
    torch.save(content(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match="does not fit Sequential") as caught:
        load_checkpoint(network(), tmp_path / "a.pth")
    key_map = proposed(caught)
    assert isinstance(key_map, dict)
    assert ("leaving out" in str(caught.value)) == (dropped > 0)
    expect(load_checkpoint(network(), tmp_path / "a.pth", key_map=key_map), state())


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "resnet10t", "mobilenetv3_small_050", "convnext_atto"]
)
def test_other_names_are_matched_by_order_and_shape(name: str, tmp_path: Path) -> None:
    made = timm.create_model(name, pretrained=False)
    own = made.state_dict()
    other = {
        f"layer_{place}.{key.rpartition('.')[2]}": v for place, (key, v) in enumerate(own.items())
    }
    torch.save(other, tmp_path / "a.pth")
    fresh = timm.create_model(name, pretrained=False)
    with pytest.raises(
        ValueError, match=rf"{len(own)} of {len(own)} tensors fit by order"
    ) as caught:
        load_checkpoint(fresh, tmp_path / "a.pth")
    assert proposed(caught) == "by_order"
    load_checkpoint(fresh, tmp_path / "a.pth", key_map="by_order")
    assert all(torch.equal(fresh.state_dict()[key], value) for key, value in own.items())
    # Without its classifier it is filled all the same.
    headless = timm.create_model(name, pretrained=False, num_classes=0)
    load_checkpoint(headless, tmp_path / "a.pth", key_map="by_order")


def test_an_order_that_is_none_is_refused_with_the_first_place() -> None:
    given = {"a.weight": torch.ones(4), "a.bias": torch.ones(4)}
    assert by_order(given, {"b.bias": torch.ones(4), "b.weight": torch.ones(4)}) is None
    assert by_order(given, {"b.gain": torch.ones(4), "b.shift": torch.ones(4)}) is not None
    assert by_order(given, {"b.weight": torch.ones(3), "b.bias": torch.ones(4)}) is None


def test_a_network_of_another_architecture_gets_no_proposal(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.ones(9, 9)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"names begin with conv.*same architecture\?"):
        load_checkpoint(network(), tmp_path / "a.pth")


def test_a_trunk_and_an_embedder_are_one_network(tmp_path: Path) -> None:
    whole = nn.Sequential()
    whole.add_module("trunk", nn.Sequential(nn.Flatten(), nn.Linear(12, 6)))
    whole.add_module("embedder", nn.Linear(6, 4))
    trunk = {f"module.{k}": v for k, v in whole.trunk.state_dict().items()}
    embedder = {f"net.0.{k}": v for k, v in whole.embedder.state_dict().items()}
    files = [tmp_path / "trunk_best7.pth", tmp_path / "embedder_best7.pth"]
    for content, file in zip((trunk, embedder), files, strict=True):
        torch.save(content, file)
    fresh = nn.Sequential()
    fresh.add_module("trunk", nn.Sequential(nn.Flatten(), nn.Linear(12, 6)))
    fresh.add_module("embedder", nn.Linear(6, 4))
    with pytest.raises(ValueError, match=r"If embedder_best7\.pth is its other half: weights: \["):
        load_checkpoint(fresh, files[0])
    with pytest.raises(ValueError, match="does not fit") as caught:
        load_checkpoint(fresh, files)
    load_checkpoint(fresh, files, key_map=proposed(caught))  # type: ignore[arg-type]
    expect(fresh, whole.state_dict())


def test_regular_expressions_and_files_of_key_maps(tmp_path: Path) -> None:
    given = {"blocks.0.norm_gamma": torch.ones(1), "blocks.1.norm_beta": torch.zeros(1)}
    (tmp_path / "keys.yaml").write_text(
        "'re:blocks\\.(\\d+)\\.norm_gamma': 'layers.\\1.norm.weight'\n"
        "'re:blocks\\.(\\d+)\\.norm_beta': 'layers.\\1.norm.bias'\n"
    )
    key_map = read_key_map(str(tmp_path / "keys.yaml"))
    assert isinstance(key_map, dict)
    assert list(rename_keys(given, key_map)) == ["layers.0.norm.weight", "layers.1.norm.bias"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("order", r"key_map=order: there is no such file; valid are prefixes .* the word by_order"),
        ({1: "a"}, r"key_map=\{1: 'a'\} must map names to names or null"),
        (["a"], r"key_map=\['a'\] must map names"),
        ({"re:(": "a"}, r"'re:\(' is no regular expression"),
        ({"re:a": r"\2"}, r"cannot be filled in"),
    ],
)
def test_key_maps_that_are_none(given, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        rename_keys({"a": torch.ones(1)}, read_key_map(given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"not an archive at all",
        lambda data: pickle.dumps([1, 2]),
        lambda data: data[:200] + bytes(50) + data[250:],
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_files_are_told_in_our_words(damage, suffix: str, tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "whole.pth")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(damage((tmp_path / "whole.pth").read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_archive(path)


# Networks as they are


@pytest.mark.parametrize(
    ("name", "size", "mean", "interpolation"),
    [
        ("timm:vit_tiny_patch16_224", 224, 0.5, "bicubic"),
        ("timm:swin_tiny_patch4_window7_224", 224, 0.485, "bicubic"),
        ("timm:tf_efficientnet_lite0", 224, 0.5, "bicubic"),
        ("timm:deit3_small_patch16_384.fb_in22k_ft_in1k", 384, 0.485, "bicubic"),
        ("torchvision:efficientnet_b3", 300, 0.485, "bicubic"),
        ("torchvision:resnet18", 224, 0.485, "bilinear"),
        ("torchvision:inception_v3", 299, 0.485, "bilinear"),
        ("bn_inception", 224, 104.0, "bilinear"),
    ],
)
def test_every_network_has_its_own_input(
    name: str, size: int, mean: float, interpolation: str
) -> None:
    found = native_input(name)
    assert (found.size, found.interpolation) == (size, interpolation)
    assert found.preprocessing["mean"][0] == pytest.approx(mean)


@pytest.mark.parametrize("size", [48, 64, 96])
def test_networks_see_their_own_size_and_maps_have_the_image_s(size: int) -> None:
    inner = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 2))  # takes 64 px only
    resized = Resized(inner, 64, "bicubic")
    images = torch.rand(2, 3, size, size, requires_grad=True)
    output = resized(images)
    output.sum().backward()
    assert images.grad is not None
    assert images.grad.shape == images.shape
    if size == 64:
        torch.testing.assert_close(output, inner(images))
    plain = torch.full((1, 3, size, size), 0.3)
    torch.testing.assert_close(resized(plain), inner(torch.full((1, 3, 64, 64), 0.3)))


def test_a_native_network_is_the_library_s(tmp_path: Path) -> None:
    made = native_network("timm:resnet10t")
    assert made(torch.rand(1, 3, 40, 40)).shape == (1, 512)
    assert list(plain_network(made).state_dict()) == list(
        timm.create_model("resnet10t", num_classes=0).state_dict()
    )
    assert native_network("torchvision:resnet18")(torch.rand(1, 3, 32, 32)).shape == (1, 512)
