"""Render a set of cars, or what it still lacks: `python render.py kind=probe count=240 size=64`."""

import os

import hydra
from omegaconf import DictConfig

from lossprint.apps.rendering import errors_in_a_line, run_rendering


@hydra.main(version_base="1.3", config_path="conf", config_name="render")
def main(config: DictConfig) -> None:
    run_rendering(config)


if __name__ == "__main__":
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # unknown options raise instead of printing
    with errors_in_a_line():
        main()
