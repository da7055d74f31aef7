"""Where a benchmark's table goes: the terminal, and a file of `results/` where one is asked for."""

from argparse import ArgumentParser
from pathlib import Path

from lossprint.files import whole_file


def add_output(parser: ArgumentParser) -> None:
    """Take `--output FILE.md`."""
    parser.add_argument("--output", type=Path, help="a file that gets the table, too")


def publish(text: str, output: Path | None) -> None:
    """Print a table; write it to `output`, whole or not at all."""
    print(text)
    if output:
        with whole_file(output) as temporary:
            temporary.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
