"""State dicts are read without running code, and every key is accounted for."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lossprint.models.archives import read_state_dict
from lossprint.models.checkpoints import check_embeds, load_checkpoint, load_weights
from lossprint.models.key_maps import rename_keys


def linear_state() -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([1.0, 2.0])}


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
def test_torch_archives_are_read(wrapper: str | None, tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    state = linear_state()
    torch.save(state if wrapper is None else {wrapper: state, "epoch": 3}, file)
    loaded = read_state_dict(file)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(linear_state(), tmp_path / "model.safetensors")
    assert torch.equal(
        read_state_dict(tmp_path / "model.safetensors")["bias"], torch.ones(2) + torch.arange(2)
    )


def test_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Malicious(), tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"model\.pth is refused: .*could run code"):
        read_state_dict(tmp_path / "model.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ValueError, match=r"plain\.pth is refused"):
        read_state_dict(tmp_path / "plain.pth")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(ValueError, match=r"module\.pth is refused"):
        read_state_dict(tmp_path / "module.pth")
    assert not (tmp_path / "executed").exists()


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights file at .*nowhere\.pth"):
        read_state_dict(tmp_path / "nowhere.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x01\x02")
    with pytest.raises(ValueError, match=r"cut\.safetensors is not a readable safetensors"):
        read_state_dict(tmp_path / "cut.safetensors")
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty\.pth is"):
        read_state_dict(tmp_path / "empty.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"list\.pth is not a state dict"):
        read_state_dict(tmp_path / "list.pth")


def test_keys_are_renamed_by_the_longest_prefix() -> None:
    state = {"module.a.w": torch.zeros(1), "module.fc.w": torch.ones(1), "b": torch.ones(1)}
    renamed = rename_keys(state, {"module.": "net.", "module.fc.": None})
    assert renamed.keys() == {"net.a.w", "b"}
    assert rename_keys({"w": torch.ones(1)}, {"": "net."}).keys() == {"net.w"}
    with pytest.raises(ValueError, match="sends two keys to 'b'"):
        rename_keys({"a.b": torch.ones(1), "b": torch.ones(1)}, {"a.": ""})


def test_weights_fit_or_the_differences_are_named() -> None:
    model = nn.Linear(3, 2)
    load_weights(model, linear_state(), source="file")
    assert torch.equal(model.weight, linear_state()["weight"])
    before = model.bias.clone()
    wrong = {"weight": torch.ones(2, 4), **{f"extra{i}": torch.ones(1) for i in range(12)}}
    with pytest.raises(ValueError, match="file does not fit Linear") as caught:
        load_weights(model, wrong, source="file")
    message = str(caught.value)
    assert "1 missing keys: bias;" in message
    assert "12 unexpected keys: extra0, " in message
    assert "extra9, …" in message
    assert "extra10" not in message
    assert "weight is (2, 4), the model has (2, 3)" in message
    assert torch.equal(model.bias, before)


def test_batch_counters_may_be_absent() -> None:
    state = nn.BatchNorm2d(2).state_dict()
    del state["num_batches_tracked"]
    load_weights(nn.BatchNorm2d(2), state, source="file")


def tiny() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 6))


def test_any_architecture_gets_its_weights(tmp_path: Path) -> None:
    trained = tiny()
    state = {f"model.net.{key}": value for key, value in trained.state_dict().items()}
    state["model.head.weight"] = torch.ones(3)
    torch.save(state, tmp_path / "model.pth")
    key_map = {"model.net.": "", "model.head.": None}
    model = load_checkpoint(tiny(), tmp_path / "model.pth", key_map=key_map)
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(images), trained(images))
    assert not model.training


def test_outputs_that_are_no_embeddings_are_refused() -> None:
    check_embeds(tiny(), 4, 6)
    with pytest.raises(ValueError, match="Sequential gives embeddings of size 6, not 128"):
        check_embeds(tiny(), 4, 128)
    with pytest.raises(ValueError, match=r"turns 2 images into \(2, 3, 8, 8\), not into embedd"):
        check_embeds(nn.Identity(), 8)
    with pytest.raises(ValueError, match=r"cannot embed images of 5 px: .* models\.probe\.size="):
        check_embeds(tiny(), 5)
