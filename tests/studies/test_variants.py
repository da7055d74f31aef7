from lossprint.runs.record import RunRecord, run_folder
from lossprint.studies.variants import variant_names


def record(root, loss, seed, *, lr=0.001, margin=0.2, sweep="s"):
    folder = run_folder(root, f"{sweep}{lr}{margin}", loss, 0, seed)
    config = {
        "loss": {"name": loss, "criterion": {"margin": margin}},
        "optimizer": {"lr": lr},
        "seed": seed,
    }
    made = RunRecord(folder, loss, "ranking", "lp", fold=0, seed=seed, data_fingerprint="x")
    return made.begin(config)


def test_runs_of_one_loss_are_named_by_what_differs_and_seeds_are_not(tmp_path):
    same = [record(tmp_path, loss, seed) for loss in ("triplet", "margin") for seed in (0, 1)]
    assert variant_names(same) == ["triplet", "triplet", "margin", "margin"]
    other = [record(tmp_path, "triplet", seed, lr=0.0003) for seed in (0, 1)]
    assert variant_names([*same, *other]) == [
        *["triplet, lr 0.001"] * 2,
        *["margin"] * 2,
        *["triplet, lr 0.0003"] * 2,
    ]
    both = [same[0], record(tmp_path, "triplet", 0, lr=0.1, margin=0.3)]
    assert variant_names(both) == ["triplet, margin 0.2, lr 0.001", "triplet, margin 0.3, lr 0.1"]


def test_losses_that_differ_among_themselves_alone_keep_their_names(tmp_path):
    assert variant_names(
        [record(tmp_path, "triplet", 0), record(tmp_path, "margin", 0, lr=0.1)]
    ) == ["triplet", "margin"]
