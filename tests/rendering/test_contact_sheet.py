import numpy as np
from PIL import Image

from lossprint.rendering.contact_sheet import COLUMNS, NEUTRAL, sheet_rows, write_contact_sheet
from lossprint.rendering.properties import PROPERTIES
from lossprint.rendering.specification import specify

from .fake_backend import FakeBackend, write_box_cars


def test_rows_turn_every_design_and_sweep_every_property():
    rows = sheet_rows(specify(kind="probe", size=64))
    assert [row.title for row in rows[:6]] == [
        "sedan",
        "hatchback",
        "coupe",
        "suv",
        "pickup",
        "van",
    ]
    for design, row in enumerate(rows[:6]):
        assert {scene.design for scene in row.scenes} == {design}
        turns = [scene.properties["rotation_z"] for scene in row.scenes]
        assert len(turns) == COLUMNS
        assert turns == sorted(set(turns))
    for name, row in zip(
        [name for name in PROPERTIES if name != "rotation_z"], rows[6:], strict=True
    ):
        assert row.title.startswith(f"{name} (")
        levels = PROPERTIES[name].levels
        assert [scene.properties[name] for scene in row.scenes[: len(levels)]] == list(levels)
        for scene in row.scenes:
            assert {**scene.properties, name: NEUTRAL[name]} == NEUTRAL
    frames = [scene.frame for row in rows for scene in row.scenes]
    assert frames == list(range(len(rows) * COLUMNS))


def test_a_world_shows_at_most_sixteen_designs():
    rows = sheet_rows(specify(kind="world", size=64, designs=40))
    assert len(rows) == 16 + 9
    assert rows[0].title.endswith("_000")


def test_the_sheet_holds_every_tile(tmp_path):
    specification = specify(
        kind="probe", size=16, samples=1, designs=write_box_cars(tmp_path / "cars", 2)
    )
    path = write_contact_sheet(
        tmp_path / "sheet.png", specification, workers=0, progress=False, backend=FakeBackend()
    )
    with Image.open(path) as picture:
        sheet = np.asarray(picture)
    height, rest = divmod(sheet.shape[0], len(sheet_rows(specification)))
    assert (rest, sheet.shape[1] > COLUMNS * 16, height > 16) == (0, True, True)
    tiles = sheet[height - 16 : height, -COLUMNS * 16 :].reshape(16, COLUMNS, 16, 3)
    assert (tiles.std(axis=(0, 2, 3)) > 50).all()  # the fake renderer's noise, not paper
