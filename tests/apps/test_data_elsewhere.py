"""A data folder that may not be written is told with what to set, and nothing else is."""

import errno
from pathlib import Path

import pytest

from lossprint.apps import build


@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (build.partition, "lossprint.apps.build.ensure_set"),
        (build.probe_set, "lossprint.apps.build.read_probe_set"),
        (build.datamodule, "lossprint.apps.build.open_store"),
    ],
)
@pytest.mark.parametrize(
    ("number", "inside", "told"),
    [
        (errno.EACCES, True, "LOSSPRINT_DATA"),
        (errno.EROFS, True, "LOSSPRINT_DATA"),
        (errno.ENOSPC, True, "No space"),  # another folder is no remedy that is known
        (errno.EACCES, False, "photos"),  # reading what somebody else owns
    ],
)
def test_what_may_not_be_written_is_told_with_what_to_set(
    make, refused, number, inside, told, tmp_path, monkeypatch
):
    data = tmp_path / "data"
    file = data / "decoded" / ".a.lock" if inside else Path("/photos/a.jpg")

    def refuse(*_, **__):
        raise OSError(number, "No space" if number == errno.ENOSPC else "denied", str(file))

    monkeypatch.setattr(refused, refuse)
    monkeypatch.setattr("lossprint.apps.build.ClassBalancedBatches", lambda *_, **__: None)
    config = {
        "data_root": str(data),
        "data": {
            "size": 96,
            "source": {"root": "x", "test_classes": 1},
            "render": {"designs": 2, "frames_per_design": 1},
            "store": True,
            "short_side": 8,
        },
        "probe": {"folder": "x", "limit": None, "size": 8, "short_side": 8},
        "sampler": {},
        "model": {},
        "seed": 0,
    }
    more = {build.datamodule: [FakeIndex(), FakeIndex()]}.get(make, [])
    with pytest.raises(OSError, match=told) as caught:
        make(config, *more)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


class FakeIndex:
    """Stands for images and their split, which are not looked at."""

    train = (None, None)
    all_images = None
