"""Train a backbone under a metric-learning loss: `python train.py loss=triplet`."""

import sys

import hydra
from omegaconf import DictConfig

import lossprint.apps.resolvers  # noqa: F401  names that the configuration asks for


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    # Imported here because the rendering processes import this file again, and need no torch.
    from lossprint.apps.job import run_job

    return run_job(config)


if __name__ == "__main__":
    # `train.py loss=a,b -m seed=0,1`: argparse wants options before words.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    main()
