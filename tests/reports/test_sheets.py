"""Sheets of small pictures: where each lies, and that all of them take what they may."""

import io

import numpy as np
from PIL import Image

from lossprint.reports.sheets import COLUMNS, sheet, sheets


def test_a_picture_lies_where_the_page_looks_for_it():
    pictures = np.random.default_rng(0).integers(0, 256, (COLUMNS + 3, 5, 4, 3), dtype=np.uint8)
    laid = np.asarray(sheet(pictures))
    assert laid.shape == (2 * 5, COLUMNS * 4, 3)
    for row, picture in enumerate(pictures):
        down, right = 5 * (row // COLUMNS), 4 * (row % COLUMNS)
        np.testing.assert_array_equal(laid[down : down + 5, right : right + 4], picture)


def test_noise_of_thirty_runs_is_made_to_fit_and_stays_a_grid():
    rng = np.random.default_rng(0)
    runs = {str(run): rng.integers(0, 256, (40, 24, 24), dtype=np.uint8) for run in range(30)}
    best = sheets(runs, 10**9)
    budget = sum(map(len, best.values())) // 6
    fitting = sheets(runs, budget)
    assert sum(map(len, fitting.values())) <= 1.05 * budget  # told by the first, alike in size
    for webp in fitting.values():
        width, height = Image.open(io.BytesIO(webp)).size
        assert width / COLUMNS == height / 3  # square tiles, three rows
