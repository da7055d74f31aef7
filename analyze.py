"""Compare the losses of finished runs: `python analyze.py`."""

import hydra
from omegaconf import DictConfig

from lossprint.apps.command_line import call


@hydra.main(version_base="1.3", config_path="conf", config_name="analyze")
def main(config: DictConfig) -> None:
    # Imported here because it takes seconds, which a mistyped word need not wait for.
    from lossprint.apps.comparison import run_comparison

    run_comparison(config)


if __name__ == "__main__":
    call(main)
