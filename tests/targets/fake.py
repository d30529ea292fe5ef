"""A target without any library: what a back end has to do, and nothing more."""

from __future__ import annotations

import pickle
from pathlib import Path

from moceir_edge.artifacts import Artifact, Proof, Proofs
from moceir_edge.memory import Memory
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.runner import ProgramRunner, Runner
from moceir_edge.targets.target import Calibration, Exported, Target, Timer
from moceir_edge.terms import GateState, Precision, TargetName

MODEL = "program.pickle"


class _Fake:
    name = TargetName.ONNX
    """There is no name for what does not ship."""

    def missing(self) -> str | None:
        return None

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        return program

    def timer(self, recipe: Recipe) -> Timer | str:
        return "a fake has no kernels"

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        (folder / MODEL).write_bytes(pickle.dumps(program))
        half = recipe.precision is Precision.FLOAT16
        return Exported(
            model=MODEL,
            proofs=Proofs(built=Proof(state=GateState.PASSED, reason="pickled")),
            versions={"pickle": pickle.format_version},
            islands=program.islands if half else (),
        )

    def memory(self, artifact: Artifact, folder: Path) -> Memory | str:
        return "a fake runs in this process"

    def runner(self, artifact: Artifact, folder: Path, *, threads: int | None = None) -> Runner | str:
        program = pickle.loads((folder / artifact.model).read_bytes())
        half = artifact.precision is Precision.FLOAT16
        return ProgramRunner(StaticNetwork(program, half=half), size=artifact.fixed_size)

    def emulator(self, artifact: Artifact, folder: Path) -> Runner | None:
        return None


TARGET: Target = _Fake()
