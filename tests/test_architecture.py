"""The rooms and who may import whom, as pyproject.toml states it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_imports_keep_to_the_layers():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_room_without_a_name():
    nameless = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    assert not [path for path in (ROOT / "src").rglob("*.py") if path.name in nameless]
