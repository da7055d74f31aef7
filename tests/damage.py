"""Files as disks, editors and strangers leave them: mutations of sound ones, for hypothesis."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

TOKENS = (
    *(b"\0", b"\xff\xfe", b"\xc3\x28", b"\n", b"\r", b'"', b"'", b",", b";", b":", b"{", b"}"),
    *(
        b"[",
        b"]",
        b"null",
        b"true",
        b"~",
        b"-1",
        b"0",
        b"1e999",
        b"nan",
        b"9" * 30,
        b"\xe2\x80\xae",
    ),
    *(b"../../x", b"/", b"&a ", b"*a", b"!!python/object:os.system ", b"<<: *a", b"- ", b"? "),
    *(b"[" * 3000, b"${oc.env:HOME}", b"[/b]", b"=1+1", b"\xe2\x80\xae"),
)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """One to four changes: flipped bits, bytes put in, taken out, doubled or cut off."""
    return st.integers(0, 2**64).map(lambda seed: _changed(content, random.Random(seed)))


def _changed(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place, length = draw.randrange(len(changed) + 1), draw.randint(1, 12)
        match draw.choice(("flip", "put", "replace", "remove", "double", "cut")):
            case "flip" if place < len(changed):
                changed[place] ^= 1 << draw.randrange(8)
            case "put":
                changed[place:place] = draw.choice(TOKENS)
            case "replace":
                changed[place : place + length] = draw.choice(TOKENS)
            case "remove":
                del changed[place : place + length]
            case "double":
                changed[place:place] = changed[place : place + 20 * length]
            case "cut":
                del changed[place:]
    return bytes(changed)


def check_own_errors(path: Path, content: bytes, read: Callable[[Path], Any], *others: str) -> None:
    """Reading may work or be refused: by an error for users that names the file.

    Args:
        path: of the file, which gets the content.
        content: damaged.
        read: is called with the path.
        others: names of files that may be named in its place, for they did not fit it.
    """
    path.write_bytes(content)
    try:
        read(path)
    except (ValueError, OSError) as error:
        if not any(name in str(error) for name in (path.name, *others)):
            pytest.fail(f"{type(error).__name__} does not name {path.name}: {error}")
