"""What every test may rely on."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("WANDB_MODE", "offline")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Before PyTorch is imported: threads of several workers on the same cores wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.small_world import write_world

# The same examples in every run, so that it fails for what was changed;
# pytest --hypothesis-profile=nightly draws others, and 5,000 for each fuzzed reader.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
settings.register_profile("nightly", max_examples=5_000, deadline=None, derandomize=False)


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `world` (16 designs × 6) and `probe` (6 designs × 5)."""
    root = tmp_path_factory.mktemp("small")
    write_world(root / "world", designs=16, per_design=6)
    write_world(root / "probe", designs=6, per_design=5, seed=1)
    return root
