"""Models that were trained elsewhere, from their files to the report."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from lossprint.apps import build
from lossprint.apps.comparison import run_comparison
from lossprint.data.probe import read_probe_set
from lossprint.data.transforms import Preprocessing
from lossprint.rendering.specification import specify
from tests.apps.test_comparison import compose_analysis, run
from tests.models.fabricated import PUBLISHED_FOLDERS, place_model, save_trunk
from tests.saliency.networks import Patches, seeded
from tests.small_world import SIZE

CONF = Path(__file__).parents[2] / "conf"
NETWORK = "models.model.network._target_=tests.saliency.networks.Patches"


def probe_words(small_world: Path, models: str) -> list[str]:
    return [
        f"models={models}",
        f"models.probe.folder={small_world}/probe",
        f"models.probe.size={SIZE}",
        "models.probe.render=null",
        "models.probe.limit=null",
        f"models.data_root={small_world}/data",
    ]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network's weights in both formats, under two names, and another's."""
    folder = tmp_path_factory.mktemp("checkpoints")
    one, other = seeded(Patches(), 1), seeded(Patches(), 2)
    save_file(one.state_dict(), folder / "one.safetensors")
    wrapped = {f"module.{key}": value for key, value in one.state_dict().items()}
    torch.save({"state_dict": wrapped | {"fc.bias": torch.ones(2)}}, folder / "same.pth")
    save_file(other.state_dict(), folder / "other.safetensors")
    return folder


def listed(folder: Path, *entries: str) -> str:
    return f"models.checkpoints=[{','.join(entries)}]".replace("weights:", f"weights:{folder}/")


def test_own_checkpoints_become_a_report(small_world, checkpoints, tmp_path):
    words = [
        *probe_words(small_world, "checkpoint"),
        NETWORK,
        "models.model.embedding_size=16",
        listed(
            checkpoints,
            "{weights:one.safetensors,loss:mine,family:ranking,distance:cosine}",
            "{weights:same.pth,loss:copy,family:ranking,distance:cosine}",
            "{weights:other.safetensors,loss:theirs,family:classification,distance:lp,key_map:{}}",
        ),
        "models.key_map={module.: '', fc.: null}",
    ]
    report, text = run(tmp_path, *words)
    assert report.page == tmp_path / "analysis" / "checkpoints" / "report.html"
    assert "untrained" in text  # the control is what the constructor makes
    pairs = pd.read_parquet(report.page.parent / "tables" / "agreement.parquet")
    same = pairs["loss_a"].isin(["mine", "copy"]) & pairs["loss_b"].isin(["mine", "copy"])
    assert (len(pairs), same.sum()) == (6, 1)
    assert pairs[same]["correlation"].item() == pytest.approx(1.0, abs=1e-6)
    assert (pairs[~same]["correlation"] < 0.999).all()

    # The weights, the preprocessing and the probe set reached the network as they are.
    network = Patches().eval()
    network.load_state_dict(load_file(checkpoints / "other.safetensors"))
    probe = read_probe_set(small_world / "probe", size=SIZE, cache=tmp_path)
    with torch.no_grad():
        expected = network(Preprocessing()(probe.pixels(range(len(probe)))))
    kept = tmp_path / "checkpoints" / "theirs" / "fold0-seed0" / "analysis"
    (file,) = kept.glob("embeddings-*.safetensors")
    torch.testing.assert_close(load_file(file)["embeddings"], expected)


@pytest.mark.slow
def test_the_study_is_repeated_on_its_fourteen_losses(small_world, tmp_path):
    trunk = tmp_path / "trunk.pth"
    save_trunk(trunk)
    for seed, folder in enumerate(PUBLISHED_FOLDERS):
        place_model(tmp_path / "models", folder, 2, trunk, seed=seed)
    words = [
        *probe_words(small_world, "reality_check"),
        f"models.root={tmp_path}/models",
        f"models.weights={trunk}",
        # Which other tests look at.
        *("study.ladder_images=0", "study.neighbor_maps=0", "study.stage_images=0"),
        *("study.explainers=[]", "study.faithfulness_images=0"),
        *("study.maps.images=8", "study.maps.samples=2"),
    ]
    report, text = run(tmp_path, *words)
    tables = report.page.parent / "tables"
    runs = pd.read_csv(tables / "runs.csv")
    trained = runs[runs["family"] != "control"]
    assert set(trained["loss"]) == set(PUBLISHED_FOLDERS.values())
    assert (len(trained), set(trained["fold"])) == (14, {2})
    assert (trained["family"] == "classification").sum() == 5
    pairs = pd.read_parquet(tables / "agreement.parquet")
    assert len(pairs) == 105  # with the control
    assert pairs["correlation"].between(-1, 0.999).all()  # no two embedders are alike
    families = pd.read_csv(tables / "property_families.csv")
    assert families[
        ["ranking_lineages", "classification_lineages"]
    ].drop_duplicates().to_numpy().tolist() == [[9, 5]]
    assert report.answer in " ".join(text.split())
    assert "python train.py" not in text  # no training here would decide it
    shutil.rmtree(tmp_path)  # 15 networks of 41 MB


ONE = "{weights:one.safetensors,loss:mine,family:ranking,distance:cosine}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([NETWORK], "models.checkpoints has no value"),
        ([NETWORK, "models.checkpoints=[]"], "models.checkpoints is empty: there is nothing"),
        ([ONE], "models.model.network has no value: a name, models.model.network=timm:resnet26"),
        ([NETWORK, ONE, "study.maps.samples=0"], "study.maps.samples=0 must be at least 1"),
        ([NETWORK + "s", ONE], "_target_ 'tests.saliency.networks.Patchess' does not exist"),
        ([NETWORK, ONE, "+models.model.network.depth=3"], "Patches takes no argument 'depth'"),
        ([NETWORK, ONE, "+models.rot=3"], "unknown models.rot; valid are checkpoints"),
        ([NETWORK, ONE, "models.model.preprocessing.channels=grb"], "channels='grb' is neither"),
        (
            ["models.model.network._target_=tests.saliency.networks.seeded",
             "+models.model.network.module=[]", ONE],
            "models.model.network: 'list' object has no attribute 'parameters'",
        ),
        (["models.model.network._target_=pathlib.Path", ONE], "makes a PosixPath, not a torch"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_ends_with_two(
    small_world, checkpoints, tmp_path, capsys, words, message
):
    words = [listed(checkpoints, word) if word == ONE else word for word in words]
    config = compose_analysis(tmp_path, *probe_words(small_world, "checkpoint"), *words)
    with pytest.raises(SystemExit) as ended:
        run_comparison(config)
    told = " ".join(capsys.readouterr().out.split())
    assert (ended.value.code, "Traceback" in told) == (2, False)
    assert message in told
    assert not (tmp_path / "analysis").exists()


@pytest.mark.parametrize("models", ["checkpoint", "reality_check", "zoo"])
def test_the_probe_set_that_is_rendered_by_default_is_one_that_can_be(models, tmp_path):
    probe = OmegaConf.to_object(compose_analysis(tmp_path, f"models={models}").models.probe)
    rendered = specify(kind="probe", **probe["render"])
    assert (rendered.frames, rendered.size) == (probe["limit"], probe["size"])
    assert Path(probe["folder"]).name == rendered.name
    trained_with = OmegaConf.load(CONF / "probe" / "rendered.yaml").render
    for entry in ("count", "seed", "samples"):  # of one size, trainings and models share the set
        assert probe["render"][entry] == trained_with[entry]


@pytest.mark.parametrize("tables", [[], ["a.csv", "b.csv"]])
def test_a_folder_of_photos_that_lacks_its_table_is_not_rendered_into(tables, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("photo.jpg", *tables):
        (folder / name).touch()
    render = {"count": 2, "size": SIZE, "seed": 1, "samples": 1}
    section = {
        "folder": str(folder),
        "size": SIZE,
        "short_side": SIZE,
        "limit": 2,
        "render": render,
    }
    with pytest.raises(FileNotFoundError, match=r"samples\.csv is missing \(tables there: "):
        build.probe_set({"probe": section, "data_root": str(tmp_path)})
    assert len(list(folder.iterdir())) == 1 + len(tables)
