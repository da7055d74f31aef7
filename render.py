"""Render a set of cars, or what it still lacks: `python render.py kind=probe count=240 size=64`."""

import hydra
from omegaconf import DictConfig

from lossprint.apps.command_line import call


@hydra.main(version_base="1.3", config_path="conf", config_name="render")
def main(config: DictConfig) -> None:
    from lossprint.apps.rendering import run_rendering  # see analyze.py

    run_rendering(config)


if __name__ == "__main__":
    call(main)
