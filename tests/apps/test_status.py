"""A sweep at a glance: finished, at work and where, interrupted, failed and why; and again."""

import io

from rich.console import Console

from lossprint.apps.status import retry, show_status
from lossprint.files import alone, held_by
from lossprint.runs.record import RunRecord, run_folder


def begun(root, loss, sweep="mine"):
    folder = run_folder(root, sweep, loss, 0, 0)
    record = RunRecord(folder, loss, "ranking", "lp", 0, 0, "")
    return record.begin({"loss": {"name": loss}, "sweep": "elsewhere", "force": True})


def test_status_tells_runs_at_work_from_those_cut_off(tmp_path):
    begun(tmp_path, "done").finish({"test/map_at_r": 0.25}, {})
    begun(tmp_path, "bad").fail(ValueError("margin is wrong"))
    begun(tmp_path, "dead")
    alive = begun(tmp_path, "alive")
    text = io.StringIO()
    with alone(alive.folder, "training"):
        assert "process" in held_by(alive.folder)
        left = show_status("mine", tmp_path, Console(file=text, width=200))
    assert held_by(alive.folder) is None
    lines = {
        line.split("│")[1].strip(): line for line in text.getvalue().splitlines() if "│" in line
    }
    assert "finished" in lines["done"]
    assert "0.250" in lines["done"]
    assert "failed" in lines["bad"]
    assert "interrupted" in lines["dead"]
    assert "running" in lines["alive"]
    assert "alive-fold0-seed0: process " in text.getvalue()
    assert "bad-fold0-seed0: ValueError: margin is wrong" in text.getvalue()
    assert [record.loss for record in left] == ["bad", "dead"]
    assert "1 of 4 runs finished" in text.getvalue()


def test_each_is_trained_again_as_it_was_and_one_that_fails_stops_no_other(tmp_path):
    records = [begun(tmp_path, name) for name in ("bad", "dead")]
    seen = []

    def train(config):
        seen.append((config.loss.name, config.sweep, config.force, config.data_root))
        assert config.output_root == str(tmp_path)
        if config.loss.name == "bad":
            raise ValueError("still wrong")
        return records[1]

    text = io.StringIO()
    failed = retry(records, train, Console(file=text), "here")
    assert failed == 1
    assert seen == [("bad", "mine", False, "here"), ("dead", "mine", False, "here")]
    assert "still wrong" in text.getvalue()


def test_a_damaged_configuration_stops_no_other(tmp_path):
    records = [begun(tmp_path, name) for name in ("bad", "dead")]
    records[0].config_file.write_text("[")
    trained, text = [], io.StringIO()
    train = lambda config: trained.append(config.loss.name)  # noqa: E731
    assert retry(records, train, Console(file=text, width=300), "here") == 1
    assert trained == ["dead"]
    assert f"{records[0].config_file} is not a run's configuration" in text.getvalue()


def test_the_command_to_go_on_is_right_for_a_sweep_of_any_name(tmp_path):
    begun(tmp_path, "dead", sweep="m[red] x")
    text = io.StringIO()
    show_status("m[red] x", tmp_path, Console(file=text, width=300))
    assert "python train.py 'status=m[red] x' retry_failed=true" in text.getvalue()
