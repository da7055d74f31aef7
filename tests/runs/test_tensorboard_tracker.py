"""What TensorBoard is told, read back from its event files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lossprint.runs import loggers
from lossprint.runs.loggers import check_logger, open_tracker
from lossprint.runs.tracker import Points, TrackedRun

LOGGER = {"name": "tensorboard"}


def test_event_files_hold_curves_pictures_tables_and_final_metrics(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = TrackedRun(tmp_path, "triplet/fold0-seed0", "sweep", "train", ("ranking",), {})
    with open_tracker(LOGGER, run) as tracker:
        for epoch in range(3):
            tracker.log({"val/map_at_r": 0.25 * epoch}, epoch)
        tracker.log_images({"probe/saliency": Image.new("RGB", (8, 4), (255, 0, 0))}, epoch=1)
        tracker.log_table("runs", pd.DataFrame({"loss": ["triplet"], "value": [0.5]}))
        tracker.summarize({"test/map_at_r": 0.5, "answer": "yes"})
        assert tracker.path is None
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    curve = events.Scalars("val/map_at_r")
    assert [(event.step, event.value) for event in curve] == [(0, 0), (1, 0.25), (2, 0.5)]
    (final,) = events.Scalars("final/test/map_at_r")
    assert (final.step, final.value) == (2, 0.5)
    (picture,) = events.Images("probe/saliency")
    assert (picture.step, picture.width, picture.height) == (1, 8, 4)
    texts = {
        tag.removesuffix("/text_summary"): np.squeeze(
            events.Tensors(tag)[0].tensor_proto.string_val
        )
        for tag in events.Tags()["tensors"]
    }
    assert b"| triplet | 0.5 |" in texts["runs"].item()
    assert texts["final/answer"].item() == b"yes"


def test_points_lie_where_the_projector_looks_for_them(tmp_path: Path) -> None:
    run = TrackedRun(tmp_path, "six", "analysis", "analysis", (), {})
    vectors = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]})
    about = pd.DataFrame({"loss": ["triplet", "margin"], "frame": [7, 8]})
    pictures = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    with open_tracker(LOGGER, run) as tracker:
        tracker.log_embeddings("analysis/embeddings", Points(vectors, about, pictures))
    folder = tmp_path / "tensorboard"
    (points,) = folder.glob("**/tensors.tsv")
    assert (
        pd.read_csv(points, sep="\t", header=None).to_numpy().tolist()
        == vectors.to_numpy().tolist()
    )
    (names,) = folder.glob("**/metadata.tsv")
    assert pd.read_csv(names, sep="\t").equals(about)
    assert (points.parent / "sprite.png").is_file()
    assert "analysis/embeddings" in (folder / "projector_config.pbtxt").read_text()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install tensorboard"):
        check_logger(LOGGER)
