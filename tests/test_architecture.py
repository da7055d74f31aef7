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


@pytest.mark.parametrize(
    "call", [r"torch\._", r"torch\.ops\b", r"torch\.\w+\._", r"fx\.experimental", "llvmlite"]
)
def test_no_private_or_experimental_call_of_torch(call: str):
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    lines = {path: path.read_text(encoding="utf-8").splitlines() for path in sources}
    assert len(lines) > 100
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path, text in lines.items()
        for line in text
        if re.search(call, line)
    ]
    assert not found
