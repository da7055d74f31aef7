"""The analysis of a sweep on SLURM is submitted once, to wait for the sweep's jobs."""

import pytest

from lossprint.apps import slurm


@pytest.fixture
def submitted(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(slurm, "_conf_folder", lambda: tmp_path / "conf")

    def submit(command, launch, dependency):
        calls.append((command, dependency))
        return "77"

    monkeypatch.setattr(slurm, "_submit", submit)
    return calls


def test_the_first_job_submits_the_analysis_of_all(submitted, monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    for _ in range(3):
        slurm.follow_with_analysis(tmp_path / "launch", tmp_path / "runs", "outputs", "none")
    ((command, dependency),) = submitted
    assert dependency == "afterany:5"
    assert command[1:] == [
        str(tmp_path / "analyze.py"),
        f'runs=["{tmp_path / "runs"}"]',
        "output_root=outputs",
        "logger=none",
    ]
    assert slurm.analysis_job(tmp_path / "launch") == "77"


def test_elsewhere_nothing_is_submitted(submitted, monkeypatch, tmp_path):
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    slurm.follow_with_analysis(tmp_path / "launch", tmp_path / "runs", "outputs", "none")
    assert submitted == []
    assert slurm.analysis_job(tmp_path / "launch") is None


def test_where_jobs_may_not_submit_jobs_the_command_is_said(monkeypatch, tmp_path, submitted):
    def refuse(*_, **__):
        raise RuntimeError("sbatch: not from here")

    monkeypatch.setattr(slurm, "_submit", refuse)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    slurm.follow_with_analysis(tmp_path / "launch", tmp_path / "runs", "outputs", "none")
    assert "not from here" in slurm.analysis_job(tmp_path / "launch")
    assert "analyze.py" in slurm.analysis_job(tmp_path / "launch")


def test_resources_are_those_of_the_jobs_for_one_task():
    launcher = {
        "_target_": "x", "submitit_folder": "y", "max_num_timeout": 3, "partition": "gpu",
        "tasks_per_node": 4, "nodes": 2, "timeout_min": 60, "mem_gb": None, "name": "train",
    }  # fmt: skip
    assert slurm._resources(launcher) == {
        "slurm_partition": "gpu", "tasks_per_node": 1, "nodes": 1, "timeout_min": 60,
    }  # fmt: skip
