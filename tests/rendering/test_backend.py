"""The variant that is chosen renders, and never takes the calling process down."""

import pytest

from lossprint.rendering.backend import VARIANTS, MitsubaBackend, _works, workers_for
from lossprint.rendering.dataset import render_set

from .fake_backend import write_box_cars


@pytest.mark.parametrize("size", [64, 192])
def test_the_variant_chosen_for_a_size_renders_it(tmp_path, size):
    cars = write_box_cars(tmp_path / "cars", 1)
    report = render_set(
        tmp_path / "set",
        kind="probe",
        designs=cars,
        size=size,
        samples=2,
        count=1,
        workers=1,
        progress=False,
    )
    assert (report.rendered, report.missing) == (1, 0)
    assert report.variant == MitsubaBackend().choose_variant("auto", size)


def test_small_pictures_are_the_same_on_every_machine(monkeypatch):
    monkeypatch.setattr("lossprint.rendering.backend._works", lambda variant: True)
    assert MitsubaBackend().choose_variant("auto", 128) == "scalar_rgb"
    assert MitsubaBackend().choose_variant("auto", 227) == "cuda_ad_rgb"


def test_an_unknown_variant_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"variant = 'vulkan' is unknown; it is auto or one of"):
        MitsubaBackend().choose_variant("vulkan", 64)


def test_a_variant_that_cannot_render_here_is_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # inherited by the process that tries it
    monkeypatch.setattr("lossprint.rendering.backend._works", _works.__wrapped__)
    with pytest.raises(ValueError, match=r"variant = 'cuda_ad_rgb' does not work on this machine"):
        MitsubaBackend().choose_variant("cuda_ad_rgb", 64)


def test_a_gpu_is_served_by_one_process_and_no_scene_waits_for_a_second(monkeypatch):
    monkeypatch.setattr("lossprint.rendering.backend._cores", lambda: 8)
    assert workers_for("cuda_ad_rgb", None, 100) == (1, None)
    assert workers_for(VARIANTS[-1], None, 100) == (8, 1)
    assert workers_for(VARIANTS[-1], None, 3) == (3, 2)
    assert workers_for(VARIANTS[-1], 0, 100) == (0, None)
