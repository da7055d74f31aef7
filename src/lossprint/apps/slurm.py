"""A sweep on SLURM is followed by its analysis: a job that waits until the others have ended."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

NOTE = "analysis.job"
"""File of a launch's folder that holds the number of its analysis's job."""
ARRAY = "SLURM_ARRAY_JOB_ID"
_COMMON = (
    *("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes"),
    *("name", "stderr_to_stdout"),
)
"""What submitit calls alike for every kind of cluster; it puts the kind before other names."""


def follow_with_analysis(launch: Path, runs: Path, output_root: str, logger: str) -> None:
    """Submit the analysis of a sweep, from whichever of its jobs is the first to come here.

    The analysis starts when all jobs have ended, however they ended: also when one was killed, and
    when nobody waits for them any more. It asks for what the jobs ask for, with one task.

    Args:
        launch: folder of the launch, which its jobs share.
        runs: folder of the sweep's runs.
        output_root, logger: of the analysis.
    """
    array = os.environ.get(ARRAY)
    if array is None:
        return
    note = launch / NOTE
    launch.mkdir(parents=True, exist_ok=True)
    try:
        note.touch(exist_ok=False)
    except FileExistsError:
        return
    script = _conf_folder().parent / "analyze.py"
    command = [sys.executable, str(script), f'runs=["{runs.resolve()}"]']
    command += [f"output_root={output_root}", f"logger={logger}"]
    try:
        said = _submit(command, launch, dependency=f"afterany:{array}")
    except (OSError, RuntimeError) as error:  # some clusters take no jobs from jobs
        said = f"none ({' '.join(str(error).split())}); make it by: {shlex.join(command)}"
    note.write_text(said)


def _submit(command: list[str], launch: Path, dependency: str) -> str:
    import submitit  # an extra, without which there is no job of it

    with submitit.helpers.clean_env():
        executor = submitit.AutoExecutor(folder=f"{launch}/.submitit/%j", cluster="slurm")
        launcher = OmegaConf.to_container(HydraConfig.get().launcher, resolve=True)
        executor.update_parameters(
            **_resources(launcher), name="analysis", slurm_dependency=dependency
        )
        return str(executor.submit(submitit.helpers.CommandFunction(command)).job_id)


def analysis_job(launch: Path) -> str | None:
    """The number of the job that analyses a launch; None if there is none."""
    note = launch / NOTE
    return (note.read_text() or "?") if note.is_file() else None


def _resources(launcher: Any) -> dict[str, Any]:
    """What a job of the launcher asks for, as submitit names it, for one task."""
    own = ("_target_", "submitit_folder", "max_num_timeout", "array_parallelism", "name")
    asked = {key: value for key, value in launcher.items() if key not in own and value is not None}
    asked |= {"tasks_per_node": 1, "nodes": 1}
    return {key if key in _COMMON else f"slurm_{key}": value for key, value in asked.items()}


def _conf_folder() -> Path:
    sources = HydraConfig.get().runtime.config_sources
    return next(Path(source.path) for source in sources if source.provider == "main")
