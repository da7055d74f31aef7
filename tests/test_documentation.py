"""What the documentation tells people to type is valid, and its links lead somewhere.

A block that cannot be tried here says why in a comment before it: `<!-- not run: … -->`.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep
from omegaconf import OmegaConf

from lossprint.apps import build
from lossprint.apps.settings import plain
from lossprint.rendering.specification import specify

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "conf/**/*.md", "examples/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
BLOCK = re.compile(
    r"(?P<skip><!-- not run: [^>]+ -->\s*\n)?^(?P<indent> *)```(?P<kind>\w+)[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
INLINE = re.compile(r"(?<!`)`(python (?:train|analyze|render)\.py [^`]+)`(?!`)")
ENTRY_POINTS = {"train.py": "train", "analyze.py": "analyze", "render.py": "render"}
A_GLOB = "triplet"  # what stands for loss=glob(*)


@dataclass(frozen=True)
class Command:
    """One call of an entry point, as a page has it."""

    page: str
    config: str
    words: tuple[str, ...]


def commands(page: Path) -> Iterator[Command]:
    text = page.read_text(encoding="utf-8")
    lines = [found[1] for found in INLINE.finditer(BLOCK.sub("", text))]
    for block in BLOCK.finditer(text):
        if block["kind"] in ("bash", "sh", "console") and not block["skip"]:
            lines += block["text"].replace("\\\n", " ").splitlines()
    for line in lines:
        for part in re.split(r"&&|;", line):
            words = shlex.split(part.strip().removesuffix("&"), comments=True)
            for place, word in enumerate(words):
                if word in ENTRY_POINTS:
                    yield Command(page.name, ENTRY_POINTS[word], tuple(words[place + 1 :]))
                    break


def first_of_sweep(word: str) -> str:
    """An override with the first of its values."""
    (override,) = OverridesParser.create().parse_overrides([word])
    if not override.is_sweep_override():
        return word
    value = override.value()
    if isinstance(value, Glob):
        return f"{override.get_key_element()}={A_GLOB}"
    if isinstance(value, IntervalSweep):
        return f"{override.get_key_element()}={value.start}"
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


COMMANDS = {" ".join(c.words): c for page in PAGES for c in commands(page)}
PYTHON = [
    pytest.param(block["text"], id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")))
    if block["kind"] == "python" and not block["skip"]
]


def test_pages_and_commands_are_found():
    assert len(PAGES) > 1
    assert {"train", "analyze", "render"} <= {command.config for command in COMMANDS.values()}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_documented_command_composes_and_is_valid(command: Command):
    # Hydra's own settings, such as launchers, need plugins that are not installed everywhere.
    words = [word for word in command.words if not word.startswith(("-", "hydra"))]
    overrides = [first_of_sweep(word) for word in words]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(command.config, overrides)
    if command.config == "train":
        build.checked(config)
    elif command.config == "analyze":
        plain(config)
    else:
        options = OmegaConf.to_container(config)
        own = ("preview", "folder", "data_root", "output_root", "shard", "workers", "variant")
        specify(**{key: value for key, value in options.items() if key not in own})


@pytest.mark.parametrize("text", PYTHON)
def test_a_documented_python_block_runs(text: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "documentation", "exec"), {"__name__": "documentation"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=quiet)
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|link|iframe)\b[^>]*https?://[^>]*>", text), page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```bash\npython train.py loss=triplet optimizer.rl=3\n```\n", "rl"),
        ("Try `python train.py loss=tripplet`.\n", "tripplet"),
    ],
)
def test_a_wrong_command_would_be_found(text: str, message: str, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text)
    (command,) = commands(page)
    with pytest.raises(Exception, match=message):
        test_a_documented_command_composes_and_is_valid(command)
