"""MoCE-IR where cameras are: fewer experts, fewer bits, and the proof of what each step cost.

Every stage is one function named like its command; names load on first use, so that importing stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moceir_edge.benchmarking.bench import bench
    from moceir_edge.benchmarking.request import BenchRequest
    from moceir_edge.bundling.bundle import bundle
    from moceir_edge.compress.prune import apply_pruning, plan_pruning
    from moceir_edge.demonstration import demo
    from moceir_edge.evaluating import evaluate
    from moceir_edge.frontiers.choosing import Ceiling
    from moceir_edge.frontiers.request import FrontierRequest
    from moceir_edge.frontiers.search import frontier
    from moceir_edge.health import doctor
    from moceir_edge.inspecting import inspect
    from moceir_edge.narrowing.budget import Budget
    from moceir_edge.narrowing.narrow import NarrowRequest, narrow
    from moceir_edge.network.checkpoint import LoadedModel, load, save
    from moceir_edge.network.network import Restored
    from moceir_edge.predicting.predict import predict
    from moceir_edge.profiling.comparing import compare
    from moceir_edge.profiling.profile import against, profile
    from moceir_edge.profiling.running import Running
    from moceir_edge.recipe.read import read_recipe
    from moceir_edge.reporting.build import report
    from moceir_edge.serving import serve
    from moceir_edge.stages import PipelineRequest, pipeline
    from moceir_edge.standalone import convert, export, observe, slim, verify
    from moceir_edge.streaming.restore import restore
    from moceir_edge.terms import Task
    from moceir_edge.training.start import train

__all__ = [
    "BenchRequest",
    "Budget",
    "Ceiling",
    "FrontierRequest",
    "LoadedModel",
    "NarrowRequest",
    "PipelineRequest",
    "Restored",
    "Running",
    "Task",
    "against",
    "apply_pruning",
    "bench",
    "bundle",
    "compare",
    "convert",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "frontier",
    "inspect",
    "load",
    "narrow",
    "observe",
    "pipeline",
    "plan_pruning",
    "predict",
    "profile",
    "read_recipe",
    "report",
    "restore",
    "save",
    "serve",
    "slim",
    "train",
    "verify",
]

_HOMES = {
    "BenchRequest": "benchmarking.request",
    "Budget": "narrowing.budget",
    "Ceiling": "frontiers.choosing",
    "FrontierRequest": "frontiers.request",
    "LoadedModel": "network.checkpoint",
    "NarrowRequest": "narrowing.narrow",
    "PipelineRequest": "stages",
    "Restored": "network.network",
    "Running": "profiling.running",
    "Task": "terms",
    "against": "profiling.profile",
    "apply_pruning": "compress.prune",
    "bench": "benchmarking.bench",
    "bundle": "bundling.bundle",
    "compare": "profiling.comparing",
    "convert": "standalone",
    "demo": "demonstration",
    "doctor": "health",
    "evaluate": "evaluating",
    "export": "standalone",
    "frontier": "frontiers.search",
    "inspect": "inspecting",
    "load": "network.checkpoint",
    "narrow": "narrowing.narrow",
    "observe": "standalone",
    "pipeline": "stages",
    "plan_pruning": "compress.prune",
    "profile": "profiling.profile",
    "predict": "predicting.predict",
    "read_recipe": "recipe.read",
    "report": "reporting.build",
    "restore": "streaming.restore",
    "save": "network.checkpoint",
    "serve": "serving",
    "slim": "standalone",
    "train": "training.start",
    "verify": "standalone",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'moceir_edge' has no attribute '{name}'")
    return getattr(importlib.import_module(f"moceir_edge.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
