# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of clusters say what a scheduler and a worker take, and what calls ask for."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest
import ruamel.yaml

pytest.importorskip("distributed")

from pinrace.arches import ARCHES
from pinrace.fleet import needs, serve
from pinrace.paths import CONFIGS
from pinrace.values import EMULATED, Cell


def test_the_containers_of_kubernetes_begin_what_there_is() -> None:
    found = {}
    text = (CONFIGS / "fleet/kubernetes.yaml").read_text()
    for one in ruamel.yaml.YAML(typ="safe").load_all(text):
        if one["kind"] != "Deployment":
            continue
        (container,) = one["spec"]["template"]["spec"]["containers"]
        assert container["command"] == ["python3", "-m", serve.__name__]
        assert container["stdin"], "it ends with its standard input"
        args = serve.parser().parse_args(container["args"])
        (mount,) = container["volumeMounts"]
        assert args.tls == Path(mount["mountPath"])
        found[args.what] = args.address.rpartition(":")[2]
    assert found == {"scheduler": "8786", "worker": "8786"}


def test_jobs_of_slurm_offer_what_calls_need(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("dask_jobqueue.slurm")
    module.SLURMCluster = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dask_jobqueue", ModuleType("dask_jobqueue"))
    monkeypatch.setitem(sys.modules, "dask_jobqueue.slurm", module)
    told = runpy.run_path(str(CONFIGS / "fleet/slurm.py"))["resources"]()
    has = {name: float(much) for name, _, much in (word.partition("=") for word in told.split())}
    for arch in ARCHES:
        wanted = needs.of_cell(Cell(arch, arch, "plain", "model", on=EMULATED))
        wanted = wanted.and_(needs.Needs(4, 1024, frozenset({needs.runs(arch)})))
        assert needs.lacking(wanted, {"job": has}) == ""
