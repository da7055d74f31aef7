"""How the words of a command line come to Hydra."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from lossprint.apps.errors import command

_HOME = re.compile(r"(?<=[=,:\s\[{])~(?=/)")


def call(main: Callable[[], object]) -> None:
    """Call what `hydra.main` decorates; words that Hydra cannot take end in one line."""
    sys.argv[1:] = arranged(sys.argv[1:])
    os.environ["HYDRA_FULL_ERROR"] = "1"  # it raises them, and would print a page otherwise
    with command(Console(), interrupted="the same command goes on"):
        main()


def arranged(words: Sequence[str]) -> list[str]:
    """The same words as Hydra takes them.

    argparse wants options before words. The home folder is written out in values: a shell leaves
    `~/` alone in `data.source.root=~/images`, and Hydra's grammar has no such character.

    >>> arranged(["loss=a,b", "-m", "seed=0"])
    ['-m', 'loss=a,b', 'seed=0']
    """
    home = Path.home().as_posix()
    return [
        _HOME.sub(lambda _: home, word)
        for word in sorted(words, key=lambda word: word not in ("-m", "--multirun"))
    ]
