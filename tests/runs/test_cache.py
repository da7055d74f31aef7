import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lossprint.runs.cache import cache_file, content_key, file_key, kept_file, load_or_compute


def test_key_depends_on_content_alone() -> None:
    key = content_key("maps", {"samples": 50, "noise": 0.15, "seed": 0}, torch.arange(3))
    assert key == content_key(
        "maps", {"seed": 0, "noise": 0.15, "samples": 50}, np.arange(3, dtype=np.int64)
    )
    assert len(key) == 16
    script = (
        "from lossprint.runs.cache import content_key; print(content_key('a', {'b': [1, None]}))"
    )
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert other.stdout.strip() == content_key("a", {"b": [1, None]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([1], [1.0]),
        ([0], [False]),
        (["1"], [1]),
        ([None], ["None"]),
        ([[1, 2], [3]], [[1], [2, 3]]),
        ([{"a": 1}], [["a", 1]]),
        ([b"a"], ["a"]),
        ([np.zeros(4)], [np.zeros((2, 2))]),
        ([np.zeros(2, np.float32)], [np.zeros(1, np.float64)]),
        ([[]], [[], []]),
    ],
)
def test_different_content_has_different_keys(one: list, other: list) -> None:
    assert content_key(*one) != content_key(*other)


def test_values_without_a_stable_text_are_refused() -> None:
    with pytest.raises(TypeError, match="cannot make a key of a object"):
        content_key({"a": object()})


def test_file_key(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"abc")  # its SHA-256 is the first example of FIPS 180-2
    assert file_key(path) == "ba7816bf8f01cfea"


def test_computed_once(tmp_path: Path) -> None:
    calls = []
    maps = torch.linspace(0, 1, 24).half().reshape(2, 3, 4)

    def compute() -> dict[str, Tensor]:
        calls.append(1)
        return {"maps": maps.transpose(1, 2)}

    for _ in range(3):
        result = load_or_compute(tmp_path / "analysis", "maps", "k", compute)
        assert torch.equal(result["maps"], maps.transpose(1, 2))
        assert result["maps"].dtype == torch.float16
    assert len(calls) == 1
    load_or_compute(tmp_path / "analysis", "maps", "other", compute)
    assert len(calls) == 2
    assert sorted(path.name for path in (tmp_path / "analysis").glob("[!.]*")) == [
        "maps-k.safetensors",
        "maps-other.safetensors",
    ]


def test_damaged_file_is_computed_anew(tmp_path: Path) -> None:
    cache_file(tmp_path, "maps", "k").write_bytes(b"not safetensors")
    compute = {"maps": torch.ones(2)}.copy
    assert torch.equal(load_or_compute(tmp_path, "maps", "k", compute)["maps"], torch.ones(2))

    def never() -> dict[str, Tensor]:
        raise AssertionError("must have been kept")

    assert torch.equal(load_or_compute(tmp_path, "maps", "k", never)["maps"], torch.ones(2))


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> dict[str, Tensor]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        load_or_compute(tmp_path, "maps", "k", fail)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("damage", ["flipped", "half", "empty"])
def test_damage_is_said_and_computed_anew(damage: str, tmp_path: Path, caplog) -> None:
    maps = torch.arange(12.0)
    path = kept_file(tmp_path, "maps", "k", lambda: {"maps": maps})
    content = bytearray(path.read_bytes())
    content[-3] ^= 4  # one bit of one number
    path.write_bytes({"flipped": content, "half": content[:99], "empty": b""}[damage])
    again = kept_file(tmp_path, "maps", "k", lambda: {"maps": maps})
    assert again == path
    assert torch.equal(load_or_compute(tmp_path, "maps", "k", dict)["maps"], maps)
    assert f"{path} is" in caplog.text
    assert "it is computed anew" in caplog.text


SLOW = """
import sys, time, torch
from pathlib import Path
from lossprint.runs.cache import load_or_compute
def compute():
    Path(sys.argv[1], f"computed-{sys.argv[2]}").touch()
    time.sleep(1)
    return {"a": torch.ones(2)}
print(load_or_compute(sys.argv[1], "maps", "k", compute)["a"].sum().item())
"""


def test_two_processes_compute_it_once(tmp_path: Path) -> None:
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", SLOW, str(tmp_path), name], stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    assert [process.communicate()[0] for process in pair] == ["2.0\n", "2.0\n"]
    assert len(list(tmp_path.glob("computed-*"))) == 1


def test_files_have_the_permissions_of_any_other(tmp_path: Path) -> None:
    path = kept_file(tmp_path, "maps", "k", lambda: {"maps": torch.ones(1)})
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
