"""From runs on disk to the report, on networks that were saved untrained."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file, save_file

from lossprint.apps import build
from lossprint.apps.comparison import compare, run_comparison
from lossprint.apps.comparison_inputs import intervention_set
from lossprint.apps.selection import select_runs
from lossprint.apps.settings import plain
from lossprint.apps.sweep import compare_losses
from lossprint.apps.terminal import progress_bar
from lossprint.files import whole_file
from lossprint.runs.levels import keep_level
from lossprint.runs.record import RunRecord, run_folder
from lossprint.runs.registry import find_runs
from lossprint.runs.workspace import FILE
from tests.runs.wandb_file import read_back
from tests.small_world import overrides

ROOT = Path(__file__).parents[2]
STUDY = [
    *("study.maps.images=3", "study.maps.samples=2", "study.neighbor_maps=1"),
    *("study.gallery=2", "study.draws=99"),
]


def training(root: Path, *more: str) -> dict:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return build.checked(compose("train", [*overrides(root), *more]))


def save_run(root: Path, outputs: Path, loss: str, seed: int, *more: str) -> RunRecord:
    config = training(root, f"loss={loss}", f"seed={seed}", *more)
    record = RunRecord(
        folder=run_folder(outputs, "small", loss, 0, seed),
        loss=loss,
        family=config["loss"]["family"],
        distance=config["loss"]["distance"],
        fold=0,
        seed=seed,
        data_fingerprint="same",
    ).begin(config)
    save_file(build.embedder(config).state_dict(), record.weights_file)
    record = record.with_wandb(f"cars/{loss}{seed}")
    return record.finish({"test/map_at_r": 0.2 + seed / 10, "untrained/map_at_r": 0.1}, {})


def compose_analysis(outputs: Path, *more: str) -> DictConfig:
    words = [f"output_root={outputs}", "logger=none", *STUDY, *more]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("analyze", words)


def analysis(outputs: Path, *more: str) -> dict:
    return plain(compose_analysis(outputs, *more))


def run(outputs: Path, *more: str, **changes: object):
    config = analysis(outputs, *more) | changes
    console = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        report = compare(select_runs(config), config, console)
    return report, console.export_text()


@pytest.fixture(scope="module")
def outputs(small_world, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("analysed") / "outputs"
    for loss in ("triplet", "arcface"):
        for seed in (0, 1):
            save_run(small_world, root, loss, seed)
    failed = save_run(small_world, root, "contrastive", 0)
    failed.fail(RuntimeError("cut off"))
    return root


@pytest.fixture(scope="module")
def made(outputs):
    logger = {"name": "wandb", "project": "cars", "entity": None, "mode": "offline", "dir": None}
    return run(outputs, logger=logger, workspace=True)


def test_the_newest_sweep_becomes_a_report(made, outputs):
    report, text = made
    assert report.page == outputs / "analysis" / "small" / "report.html"
    unwrapped = " ".join(text.split())
    assert report.answer in unwrapped
    assert report.answer.startswith("Nothing is compared: the networks of all of these 2 losses")
    for finding in report.findings[:3]:
        assert finding.text in unwrapped
    assert "train.py" not in unwrapped  # more seeds of such networks decide nothing
    assert str(report.page) in text
    assert "left out: contrastive/fold0-seed0: it failed (RuntimeError: cut off)" in text
    assert "contrastive" in report.page.read_text()  # and the report says so too
    pairs = pd.read_parquet(report.page.parent / "tables" / "agreement.parquet")
    assert len(pairs) == 15  # two losses and the untrained control, two seeds each
    assert (report.page.parent / "figures" / "gallery_1.svg").is_file()


def test_finished_runs_are_compared_on_another_probe_set(outputs, tmp_path):
    photos, rng = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    rows = ["file,lamp"]
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(
            photos / f"{number}.png"
        )
        rows.append(f"{number}.png,{('on', 'off')[number % 2]}")
    (photos / "samples.csv").write_text("\n".join(rows))
    figures = outputs / "analysis" / "small-photos" / "figures"
    kept = outputs / "small" / "triplet" / "fold0-seed0" / "analysis"
    for place in (figures, figures.with_name("tables"), kept):  # of a comparison that was killed
        place.mkdir(parents=True, exist_ok=True)
        with whole_file(place / "half.svg") as temporary:
            temporary.touch()
            (place / temporary.name.replace(str(os.getpid()), str(2**22 + 1))).touch()
    report, _ = run(outputs, f"probe.folder={photos}", "untrained=false")
    assert not list(outputs.rglob(".half*"))
    assert report.page == outputs / "analysis" / "small-photos" / "report.html"
    tables = report.page.parent / "tables"
    assert set(pd.read_csv(tables / "properties.csv")["property"]) == {"lamp"}
    own = training(tmp_path)["probe"]["size"]
    stored = next((outputs / "small" / "triplet" / "fold0-seed0" / "analysis").glob("maps-*"))
    assert load_file(stored)["maps"].shape[1:] == (own, own)
    assert "changed since" not in report.page.read_text()


@pytest.mark.parametrize("word", ["probe.size=64", "probe.properties.leave_out=[lamp]"])
def test_words_of_another_probe_set_name_it(outputs, word):
    told = word.partition("=")[0]
    with pytest.raises(ValueError, match=rf"{told} is of another probe set .* probe\.folder=…"):
        run(outputs, word)


def test_what_the_tracker_keeps_of_a_comparison_is_read_back(made):
    report, text = made
    kept = read_back(report.page.parent)
    assert (kept.run.run_group, kept.run.job_type, list(kept.run.tags)) == ("analysis",) * 2 + ([],)
    assert kept.config["runs"][0] == "arcface-fold0-seed0"
    tables = {
        key.removesuffix("._type")
        for row in kept.history
        for key, value in row.items()
        if value == "table-file"
    }
    assert {"analysis/properties", "analysis/agreement", "analysis/embeddings"} <= tables
    assert all(key.startswith("analysis/") for key in tables)
    assert not {"analysis/neighbors", "analysis/atlas"} & tables
    pictures = {key for row in kept.history for key in row if key.startswith("figures/")}
    assert {key.split(".")[0].removeprefix("figures/") for key in pictures} == {*report.figures}
    assert kept.summary["answer"] == report.answer
    assert (report.page.parent / FILE).is_file()
    assert "wandb_workspace.json: what W&B would be sent" in text.replace("\n", " ")


def test_equal_weights_have_equal_maps_where_the_distance_does(made):
    pairs = pd.read_parquet(made[0].page.parent / "tables" / "agreement.parquet")
    # Nothing was trained: with one seed triplet's network is the untrained one, of one distance.
    same = pairs.query("loss_a == 'triplet' and loss_b == 'untrained' and seed_a == seed_b")
    assert same["correlation"].tolist() == pytest.approx([1.0, 1.0], abs=1e-6)
    other = pairs.query("loss_a == 'triplet' and loss_b == 'untrained' and seed_a != seed_b")
    assert (other["correlation"] < 0.999).all()


def test_untrained_networks_bring_their_metrics(made):
    table = pd.read_csv(made[0].page.parent / "tables" / "retrieval_by_loss.csv")
    found = table.query("metric == 'map_at_r'").set_index("loss")["mean"]
    assert found["untrained"] == pytest.approx(0.1)
    assert found["triplet"] == pytest.approx(0.25)


@pytest.mark.slow
def test_interventions_are_rendered_beside_a_rendered_probe_set(small_world, tmp_path):
    config = training(small_world)
    drawn = build.probe_set(config)
    assert intervention_set(config, drawn, 2) is None  # a set of the user's own: nothing to render
    render = {"count": 4, "seed": 1, "size": 16, "samples": 1}
    probe = {**config["probe"], "folder": str(tmp_path / "probe"), "size": 16, "render": render}
    scenes = intervention_set({**config, "probe": probe}, drawn, 1)
    assert scenes.interventions["property"].value_counts()["model"] == 5  # to each other design
    assert len(scenes) == 1 + len(scenes.interventions)
    assert (tmp_path / "probe-interventions-1" / "samples.csv").is_file()
    assert intervention_set({**config, "probe": probe}, drawn, 0) is None


def test_nothing_is_rendered_beside_a_set_of_the_user_s_own(small_world):
    config = training(small_world)
    render = {"count": 4, "seed": 1, "size": 16, "samples": 1}  # as models=… has one by default
    config = {**config, "probe": {**config["probe"], "render": render}}
    assert intervention_set(config, build.probe_set(config), 2) is None


def test_filters_choose_runs_and_one_loss_is_no_comparison(outputs):
    report, text = run(outputs, "only.loss=tri*", "only.seed=0", "untrained=false", "name=one")
    assert report.page.parent.name == "one"
    assert report.answer.startswith("There is nothing to compare: 1 trained loss")
    assert "Only one loss was analysed (triplet)" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runs=nowhere"], "no runs at 'nowhere'"),
        (["runs=small", "only.loss=margin"], "is left by only.loss=margin"),
        (["only.loss=contrastive"], "no run can be analysed: contrastive/fold0-seed0: it failed"),
    ],
)
def test_what_cannot_be_found_is_named(outputs, words, message):
    config = analysis(outputs, *words)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        compare(select_runs(config), config, Console(quiet=True))


def test_what_was_trained_without_keeping_levels_cannot_be_matched(outputs):
    with pytest.raises(ValueError, match="kept none: train with keep_levels=5"):
        run(outputs, "match=val/map_at_r")
    with pytest.raises(ValueError, match="match=val/loss is unknown; valid are val/map_at_r"):
        run(outputs, "match=val/loss")


@pytest.fixture
def levels(outputs):
    """States of two epochs of each run; those of seed 0 come no further than 0.2."""
    records = find_runs(outputs, "small")
    for record in records:
        for epoch, value in enumerate([0.1, 0.2] if record.seed == 0 else [0.19, 0.3]):
            weights = load_file(record.weights_file)
            weights["embedding.bias"] = weights["embedding.bias"] + epoch
            place = record.levels_folder
            keep_level(weights, place, epoch=epoch, value=value, at_most=5)
    yield
    for record in records:
        shutil.rmtree(record.levels_folder)


@pytest.mark.usefixtures("levels")
def test_runs_are_compared_at_equal_retrieval_beside_their_best_epochs(outputs):
    report, _ = run(outputs, "match=val/map_at_r", "untrained=false", "name=matched")
    epochs = pd.read_csv(report.page.parent / "tables" / "matched_epochs.csv")
    assert epochs["value"].tolist() == [0.2, 0.19, 0.2, 0.19]
    assert epochs["best"].tolist() == [0.2, 0.3, 0.2, 0.3]
    assert "Where each run was taken" in report.page.read_text()


def test_an_empty_folder_holds_no_sweep(tmp_path):
    with pytest.raises(FileNotFoundError, match="no finished run below"):
        select_runs(analysis(tmp_path))


def test_runs_that_are_not_comparable_stop_it_unless_allowed(small_world, tmp_path):
    save_run(small_world, tmp_path, "triplet", 0)
    save_run(small_world, tmp_path, "arcface", 0, "model.embedding_size=64")
    with pytest.raises(ValueError, match=r"not comparable: .*model\.embedding_size: 64 → 128"):
        run(tmp_path)
    report, text = run(tmp_path, "allow_mixed=true", "untrained=false")
    assert "note:" in text
    assert "Caution 1" in report.page.read_text()


def test_missing_weights_leave_the_rest(small_world, tmp_path):
    save_run(small_world, tmp_path, "triplet", 0)
    save_run(small_world, tmp_path, "arcface", 0).weights_file.unlink()
    report, text = run(tmp_path, "untrained=false")
    assert "weights.safetensors is missing; train it again" in text
    assert report.page.is_file()


def test_an_unknown_setting_ends_with_two(outputs, capsys):
    config = compose_analysis(outputs, "+only.los=triplet")
    with pytest.raises(SystemExit) as ended:
        run_comparison(config)
    assert ended.value.code == 2
    assert "unknown only.los; valid are family, fold, loss" in capsys.readouterr().out


@pytest.mark.parametrize("study", sorted(p.stem for p in (ROOT / "conf" / "study").glob("*.yaml")))
def test_every_study_is_valid(study, tmp_path):
    from lossprint.studies.settings import StudySettings

    config = analysis(tmp_path, f"study={study}")
    settings = StudySettings.from_config(config["study"])
    assert settings.name == study
    published = study == "paper"
    assert settings.properties.variance == ("binomial" if published else "hypergeometric")


@pytest.mark.slow
def test_the_command_says_in_one_line_what_is_wrong(tmp_path):
    command = [sys.executable, str(ROOT / "analyze.py"), f"output_root={tmp_path}", "logger=none"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout.strip() == f"error: no finished run below {tmp_path}"
    assert result.stderr == ""


def test_what_is_told_of_the_progress_may_look_like_markup():
    console = Console(force_terminal=True, file=io.StringIO(), width=100)
    with progress_bar(console) as on_progress:
        on_progress("maps of [/b]", 1, 2)
    assert "maps of [/b]" in console.file.getvalue()


def test_the_end_of_a_multirun_finds_its_runs_in_a_folder_of_any_name(tmp_path, monkeypatch):
    root, compared = tmp_path / 'a[1] "=$, b', []
    folder = run_folder(root, "mine", "triplet", 0, 0)
    record = RunRecord(folder, "triplet", "ranking", "lp", 0, 0, "")
    monkeypatch.setattr(
        "lossprint.apps.comparison.run_comparison", lambda config, **_: compared.append(config)
    )
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        called = {"output_root": str(root), "logger": {"name": "none"}}
        compare_losses([record], OmegaConf.create(called))
    settings = plain(compared[0])
    assert (settings["runs"], settings["output_root"]) == ([str(record.folder)], str(root))
