import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossprint.rendering.dataset import complete, ensure_set, render_set
from lossprint.rendering.designs import probe_designs, world_design
from lossprint.rendering.noise import LADDER, fewest_samples, measure_psnr
from lossprint.rendering.processes import WorkerError
from lossprint.rendering.shards import Shard
from lossprint.rendering.specification import specify

from .fake_backend import FakeBackend, write_box_cars

COUNT = 24


@pytest.fixture(scope="module")
def what(tmp_path_factory):
    cars = write_box_cars(tmp_path_factory.mktemp("cars"), 3)
    return {"kind": "world", "designs": cars, "size": 16, "samples": 4, "seed": 0}


def make(folder, what, *, count=COUNT, backend=None, workers=0, shard=None):
    backend = FakeBackend() if backend is None else backend
    return render_set(
        folder,
        **{"count": count, **what},
        workers=workers,
        shard=shard,
        progress=False,
        backend=backend,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory, what):
    """The set, rendered in one go in this process."""
    folder = tmp_path_factory.mktemp("whole") / "set"
    make(folder, what)
    return folder


def test_a_set_holds_images_masks_and_tables(whole, what):
    names = [f"{frame:06d}.png" for frame in range(COUNT)]
    assert sorted(path.name for path in (whole / "images").iterdir()) == names
    assert sorted(path.name for path in (whole / "masks").iterdir()) == names
    for kind, mode in (("images", "RGB"), ("masks", "L")):
        with Image.open(whole / kind / names[0]) as picture:
            assert (picture.mode, picture.size) == (mode, (16, 16))
    with (whole / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == [str(frame) for frame in range(COUNT)]
    assert list(rows[0])[:3] == ["frame", "model", "rotation_z"]
    assert len(rows[0]) == 12
    description = json.loads((whole / "set.json").read_text())
    assert description["designs"].keys() == {"box0", "box1", "box2"}
    assert (description["kind"], description["seed"], description["size"]) == ("world", 0, 16)
    assert (description["samples"], description["variant"]) == (4, "fake")
    assert "count" not in description
    assert complete(whole, count=COUNT, **what)


def test_two_processes_write_the_same_bytes_as_one(whole, what, tmp_path):
    report = make(tmp_path / "set", what, workers=2)
    assert (report.total, report.rendered, report.missing) == (COUNT, COUNT, 0)
    assert contents(tmp_path / "set") == contents(whole)


def test_the_real_renderers_pixels_do_not_depend_on_how_the_work_is_divided(what, tmp_path):
    wanted = {**what, "samples": 2, "variant": "scalar_rgb", "progress": False}
    render_set(tmp_path / "whole", **wanted, count=6, workers=0)
    expected = contents(tmp_path / "whole")

    render_set(tmp_path / "two processes", **wanted, count=6, workers=2)
    assert contents(tmp_path / "two processes") == expected
    for count in (2, 6):
        render_set(tmp_path / "two goes", **wanted, count=count, workers=0)
    assert contents(tmp_path / "two goes") == expected
    for number in (4, 2, 3, 1):
        render_set(tmp_path / "shards", **wanted, count=6, workers=0, shard=Shard(number, 4))
    assert contents(tmp_path / "shards") == expected


def test_four_shards_are_the_whole_set_byte_for_byte(whole, what, tmp_path):
    for number in (3, 1, 4, 2):
        assert not (tmp_path / "set" / "samples.csv").exists()
        report = make(tmp_path / "set", what, shard=Shard(number, 4))
        assert report.rendered == COUNT // 4
    assert report.missing == 0
    assert contents(tmp_path / "set") == contents(whole)


def test_a_call_without_shard_renders_what_the_shards_lack(whole, what, tmp_path):
    report = make(tmp_path / "set", what, shard=Shard(2, 4))
    assert report.missing == COUNT - COUNT // 4
    assert not complete(tmp_path / "set", count=COUNT, **what)
    assert make(tmp_path / "set", what).rendered == COUNT - COUNT // 4
    assert contents(tmp_path / "set") == contents(whole)


def test_a_larger_count_continues_a_smaller_one(whole, what, tmp_path):
    make(tmp_path / "set", what, count=10)
    assert not complete(tmp_path / "set", count=COUNT, **what)
    assert make(tmp_path / "set", what).rendered == COUNT - 10
    assert contents(tmp_path / "set") == contents(whole)


def test_a_smaller_count_leaves_a_larger_set_as_it_is(whole, what):
    before = contents(whole)
    assert make(whole, what, count=5).rendered == 0
    assert complete(whole, count=5, **what)
    assert contents(whole) == before


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _halve(path: Path) -> None:
    with Image.open(path) as picture:
        smaller = picture.resize((8, 8))
    smaller.save(path)


@pytest.mark.parametrize("damage", [_cut, _empty, _halve, Path.unlink, _flip_a_bit])
@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_damaged_file_is_found_and_rendered_again(whole, what, damage, kind):
    before = contents(whole)
    damage(whole / kind / "000007.png")
    assert contents(whole) != before
    # A flipped bit lies between the ends that the quick check looks at.
    assert complete(whole, count=COUNT, **what) == (damage is _flip_a_bit)
    assert make(whole, what).rendered == 1
    assert contents(whole) == before


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"seed": 1}, r"seed \(0 there, 1 asked for\)"),
        ({"size": 32}, r"size \(16 there, 32 asked for\)"),
        ({"kind": "probe"}, r'kind \("world" there, "probe" asked for\)'),
        ({"samples": 8}, r"samples \(4 there, 8 asked for\)"),
        ({"levels": {"color_sat": [0.5]}}, r"levels\.color_sat \(\[0\.3, 0\.6, 0\.9\] there"),
        ({"interventions": True}, r"interventions \(false there, true asked for\)"),
        ({"shortcut": {"color_hue": 0.9}}, r"shortcut \(none there, color_hue asked for\)"),
    ],
)
def test_a_folder_with_a_different_set_is_left_alone(whole, what, change, difference):
    before = contents(whole)
    with pytest.raises(ValueError, match=difference) as error:
        make(whole, {**what, **change})
    assert str(whole) in str(error.value)
    with pytest.raises(ValueError, match=difference):
        complete(whole, **{"count": COUNT, **what, **change})
    assert contents(whole) == before


def test_a_set_that_does_not_speak_of_shortcuts_has_none(what, tmp_path):
    folder = tmp_path / "set"
    make(folder, what)
    description = json.loads((folder / "set.json").read_text())
    del description["shortcut"]
    (folder / "set.json").write_text(json.dumps(description))
    assert complete(folder, count=COUNT, **what)
    with pytest.raises(ValueError, match=r"shortcut \(none there"):
        complete(folder, count=COUNT, **{**what, "shortcut": {"color_hue": 0.9}})


def test_strengths_of_a_shortcut_are_different_sets(what, tmp_path):
    make(tmp_path / "set", {**what, "shortcut": {"color_hue": 0.5}})
    with pytest.raises(ValueError, match=r"shortcut\.color_hue \(0\.5 there, 0\.9 asked for\)"):
        make(tmp_path / "set", {**what, "shortcut": {"color_hue": 0.9}})


def test_other_designs_are_a_different_set(whole, what, tmp_path):
    cars = write_box_cars(tmp_path / "cars", 4)
    with pytest.raises(ValueError, match=r"designs \(box0, box1, box2 there, box0, box1, box2, b"):
        make(whole, {**what, "designs": cars})


def test_a_begun_set_keeps_its_variant(what, tmp_path):
    make(tmp_path / "set", what, count=3, backend=FakeBackend(variant="first"))
    with pytest.raises(ValueError, match="was begun with 'first'"):
        render_set(
            tmp_path / "set",
            count=6,
            **what,
            variant="second",
            workers=0,
            progress=False,
            backend=FakeBackend(),
        )


def test_images_of_unknown_origin_are_not_touched(what, tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(ValueError, match=r"has images but no set\.json"):
        make(tmp_path, what)


def test_an_unreadable_description_is_named(what, tmp_path):
    (tmp_path / "set.json").write_text("{")
    with pytest.raises(ValueError, match=r"set\.json cannot be read"):
        make(tmp_path, what)


def test_a_folder_that_cannot_be_made_says_so(what, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        make(tmp_path / "file" / "set", what)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "moon"}, "kind = 'moon' is unknown; it is one of world, probe"),
        ({"count": 0}, "count = 0 is not valid; it is a whole number at least 1"),
        ({"count": 1.5}, r"count = 1\.5 is not valid"),
        ({"size": 8}, "size = 8 is not valid; it is a whole number from 16 to 4096"),
        ({"seed": -1}, "seed = -1 is not valid"),
        ({"samples": 0}, "samples = 0 is not valid"),
        ({"samples": None, "noise_db": 90}, r"noise_db = 90 is outside its valid range \[10, 55\]"),
        ({"designs": 0}, "designs = 0 is not valid"),
        ({"designs": []}, "is not a list"),
        ({"kind": "probe", "designs": 3}, "only a world takes a number of designs"),
        ({"designs": ["sedan", "sedan"]}, "two are named 'sedan'"),
        ({"levels": {"sun": [1]}}, "unknown property 'sun'"),
        ({"shortcut": {"sun": 0.5}}, "shortcut: unknown property 'sun'; the properties are rot"),
        ({"shortcut": {"color_hue": 1.5}}, r"color_hue = 1\.5 is no probability above 0"),
        ({"shortcut": {"color_hue": "x"}}, "color_hue = 'x' is no probability"),
        ({"kind": "probe", "designs": ["van"], "shortcut": {"color_hue": 1}}, "only a world takes"),
    ],
)
def test_invalid_arguments_are_named_before_anything_is_written(what, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "set", {**what, **change})
    assert not (tmp_path / "set").exists()


def test_negative_workers_are_refused(what, tmp_path):
    with pytest.raises(ValueError, match="workers = -1 is not valid"):
        make(tmp_path / "set", what, workers=-1)


@pytest.mark.parametrize("text", ["5/4", "0/4", "1/0"])
def test_a_shard_beyond_its_number_is_refused(text):
    with pytest.raises(ValueError, match=f"shard = {text} is not valid"):
        Shard.parse(text)


@pytest.mark.parametrize("text", ["", "1", "1/", "a/b", "-1/4", "1/2/3"])
def test_a_shard_that_is_no_fraction_is_refused(text):
    with pytest.raises(ValueError, match="it is k/n"):
        Shard.parse(text)


def test_a_failing_process_stops_the_set_with_its_message(what, tmp_path):
    signal_file = tmp_path / "fail"
    signal_file.touch()
    with pytest.raises(WorkerError, match="the fake renderer was told to fail"):
        make(tmp_path / "set", what, workers=1, backend=FakeBackend(fail=signal_file))
    assert not (tmp_path / "set" / "samples.csv").exists()


def test_a_dying_process_is_noticed(what, tmp_path):
    signal_file = tmp_path / "die"
    signal_file.touch()
    with pytest.raises(WorkerError, match=r"a rendering process died \(exit code 9\)"):
        make(tmp_path / "set", what, workers=1, backend=FakeBackend(die=signal_file))


INTERRUPTED = """
import signal
import sys
from lossprint.rendering.dataset import render_set
from tests.rendering.fake_backend import FakeBackend

if __name__ == "__main__":
    folder, *cars = sys.argv[1:]
    # Shells start what they put into the background deaf to Ctrl-C, and so their children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    render_set(
        folder, kind="world", designs=cars, size=16, samples=4, seed=0, count=24, workers=1,
        progress=False, backend=FakeBackend(seconds=0.5),
    )
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_set_is_continued_to_the_same_bytes(whole, what, tmp_path, ending):
    script, folder = tmp_path / "interrupted.py", tmp_path / "set"
    script.write_text(INTERRUPTED)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, script, folder, *what["designs"]],
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    images = folder / "images"
    _wait_until(lambda: images.exists() and len(list(images.glob("0*.png"))) >= 3)
    # As from a terminal: Ctrl-C reaches the whole group, the kernel's killer one process.
    (os.killpg if ending == signal.SIGINT else os.kill)(process.pid, ending)
    process.wait(timeout=30)
    _wait_until(lambda: not _is_group_alive(process.pid))  # the child has followed its parent
    assert not (folder / "samples.csv").exists()
    done = len(list((folder / "images").glob("0*.png")))
    assert 3 <= done < COUNT
    assert make(folder, what).rendered <= COUNT - done + 1
    make(folder, what)  # which removes what killed writers left
    assert contents(folder) == contents(whole)


def _wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _is_group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_world_has_designs_of_its_own_under_their_names():
    designs = specify(kind="world", size=64, designs=40, seed=5).designs
    assert designs == tuple(world_design(5, number) for number in range(40))
    assert len({design.name for design in designs}) == 40
    assert not {design.name for design in designs} & probe_designs().keys()


def test_designs_may_be_chosen_by_name():
    specification = specify(kind="probe", size=64, designs=["van", "coupe"])
    assert specification.designs == (probe_designs()["van"], probe_designs()["coupe"])


def test_ensure_set_renders_nothing_when_all_is_there(whole, what):
    before = contents(whole)
    assert ensure_set(whole, count=COUNT, **what) == whole
    assert contents(whole) == before


def test_samples_follow_from_the_noise_target(what, tmp_path):
    # The fake renderer's noise has standard deviation 128 / √n: 255² n / 128² = 10^(dB / 10).
    noise_db = 21.0
    needed = 10 ** (noise_db / 10) * (128 / 255) ** 2
    wanted = {**what, "samples": None, "noise_db": noise_db}
    report = make(tmp_path / "set", wanted, count=6)
    assert report.samples == next(rung for rung in LADDER if rung >= needed) == 32
    assert complete(tmp_path / "set", **wanted, count=6)
    with pytest.raises(ValueError, match=r"noise_db \(21\.0 there, 25\.0 asked for\)"):
        complete(tmp_path / "set", **{**wanted, "noise_db": 25.0}, count=6)


def test_a_sets_samples_do_not_depend_on_its_count(what, tmp_path):
    # At 24 samples the first scene alone would reach this target, the pilot's six do not.
    wanted = {**what, "samples": None, "noise_db": 19.8}
    assert make(tmp_path / "one", wanted, count=1).samples == 32
    assert make(tmp_path / "eight", wanted, count=8).samples == 32


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0])
def test_the_first_sufficient_number_of_samples_is_found(exponent):
    def psnr(samples: int) -> float:
        tried.append(samples)
        return 20 + 10 * exponent * np.log10(samples / 4)

    for noise_db in (18.0, 26.0, 33.3):
        tried: list[int] = []
        expected = next(rung for rung in LADDER if psnr(rung) >= noise_db)
        tried.clear()
        assert fewest_samples(psnr, noise_db) == expected
        assert sum(tried) <= 4 * expected


def test_a_target_out_of_reach_is_an_error():
    with pytest.raises(
        ValueError, match=r"noise_db = 50 is out of reach of 4096 .* 512 give 30\.0 dB"
    ):
        fewest_samples(lambda samples: 30.0, 50.0)


def test_psnr_of_a_pair_is_that_of_either_image_against_the_truth():
    rng = np.random.default_rng(0)
    truth = np.full((256, 256, 3), 128.0)
    first, second = (np.rint(truth + 5 * rng.standard_normal(truth.shape)) for _ in range(2))
    # 10 log10(255² / 5²) = 34.15 dB; rounding to whole numbers adds a variance of 1/12.
    assert measure_psnr([(first, second)]) == pytest.approx(34.15, abs=0.05)
    assert measure_psnr([(first, first)]) == np.inf


TWICE = """
import logging
import sys
from lossprint.rendering.dataset import render_set
from tests.rendering.fake_backend import FakeBackend

if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout)
    folder, samples, *cars = sys.argv[1:]
    report = render_set(
        folder, kind="world", designs=cars, size=16, samples=int(samples), seed=0, count=24,
        workers=0, progress=False, backend=FakeBackend(seconds=0.05),
    )
    print("rendered", report.rendered)
"""


@pytest.mark.parametrize("samples", ["4", "8"])
def test_two_commands_do_not_render_a_set_at_once(whole, what, tmp_path, samples):
    script, folder = tmp_path / "twice.py", tmp_path / "set"
    script.write_text(TWICE)
    pair = [
        subprocess.Popen(
            [sys.executable, script, folder, number, *what["designs"]],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in ("4", samples)
    ]  # fmt: skip
    said = [process.communicate() for process in pair]
    text = "".join(out for out, _ in said)
    if samples == "4":
        assert [process.returncode for process in pair] == [0, 0], said
        assert "rendered 24" in text
        assert "rendered 0" in text
        assert f"{folder}: waiting for " in text
        assert contents(folder) == contents(whole)
    else:  # of two different sets the second is refused, whichever began
        assert sorted(process.returncode for process in pair) == [0, 1], said
        assert "holds a different set: samples" in "".join(error for _, error in said)
        assert "rendered 24" in text
