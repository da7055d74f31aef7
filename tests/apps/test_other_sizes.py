"""Sizes that timm's weights were not trained with are noted, with the words that change it."""

import pytest
from rich.console import Console

from lossprint.apps.training import say_other_sizes

SEEN = {"data.size": 227, "probe.size": 128}
NOTE = "note: the weights of {} were trained on images of {} px ({}), and are to see {}"


@pytest.mark.parametrize(
    ("name", "sizes", "note"),
    [
        (
            "timm:vit_small_patch14_dinov2.lvd142m",
            SEEN,
            ("518", "data.size=518 probe.size=518", "data.size=227, probe.size=128"),
        ),
        ("timm:mobilevit_s", {"data.size": 256, "probe.size": 96}, ("256", "probe.size=256", "pr")),
        ("timm:levit_128s", {"data.size": 224, "probe.size": 224}, None),
        ("resnet18", SEEN, None),
    ],
)
def test_other_sizes_are_noted_in_one_line(name, sizes, note):
    console = Console(record=True, width=1000)
    say_other_sizes({"name": name, "pretrained": True, "weights": None}, sizes, console)
    said = console.export_text()
    assert said.startswith(NOTE.format(name, *note)) if note else not said


@pytest.mark.parametrize("model", [{"pretrained": False}, {"weights": "mine.pth"}])
def test_weights_that_are_not_timm_s_have_no_size(model):
    console = Console(record=True)
    settings = {"name": "timm:mobilevit_s", "pretrained": True, "weights": None, **model}
    say_other_sizes(settings, SEEN, console)
    assert not console.export_text()
