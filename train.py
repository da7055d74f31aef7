"""Train a backbone under a metric-learning loss: `python train.py loss=triplet`."""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    # Imported here because the rendering processes import this file again, and need no torch.
    from lossprint.apps.training import run_job

    return run_job(config)


if __name__ == "__main__":
    main()
