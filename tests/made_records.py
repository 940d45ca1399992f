"""Records as a store keeps them, made up."""

from wdattn.reproduction import Record

SHARED = {
    "stack": "0" * 16,
    "experiment": "base",
    "scale": "laptop",
    "build": "b",
    "backend": "jax",
    "runner": "replicas",
    "versions": {"backend": "jax"},
    "seconds": 1.5,
    "finished": "2026-01-02T03:04:05+00:00",
}


def finished(*runs, **shared):
    """Records of a stack; each run is settings and columns."""
    told = {**SHARED, **shared}
    ids = [run.run_id(told["build"], told["backend"]) for run, _ in runs]
    entries = [{"id": i, "settings": run.packed()} for i, (run, _) in zip(ids, runs, strict=True)]
    own = {"members": entries, "weights": "a" * 16, "kept": {}}
    return [
        Record(run, columns, {**told, **own, "id": run_id})
        for run_id, (run, columns) in zip(ids, runs, strict=True)
    ]
