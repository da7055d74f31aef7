"""Train a backbone under a metric-learning loss: `python train.py loss=triplet`."""

import hydra
from omegaconf import DictConfig

import lossprint.apps.resolvers  # noqa: F401  names that the configuration asks for
from lossprint.apps.command_line import call


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    # Imported here because the rendering processes import this file again, and need no torch.
    from lossprint.apps.job import run_job

    return run_job(config)


if __name__ == "__main__":
    call(main)
