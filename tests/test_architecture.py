"""The rooms and who may import whom, as pyproject.toml states it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_imports_keep_to_the_layers():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_room_without_a_name():
    nameless = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    assert not [path for path in (ROOT / "src").rglob("*.py") if path.name in nameless]


PRIVATE = re.compile(r"torch(\.\w+)*\._(?!_version__)|torch\.ops\b|fx\.experimental|llvmlite")


@pytest.mark.parametrize(
    "line",
    [
        "torch._assert(x)",
        "torch.cpu._is_vnni_supported()",
        "torch.ops.mkldnn.x",
        "from torch.fx.experimental.optimization import fuse",
        "from torch._C import Graph",
        "from llvmlite import ir",
    ],
)
def test_a_private_call_is_seen(line: str):
    assert PRIVATE.search(line)


def test_no_private_or_experimental_call_of_torch():
    folders = ("src", "benchmarks")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 100
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sources
        for line in path.read_text(encoding="utf-8").splitlines()
        if PRIVATE.search(line)
    ]
    assert not found
