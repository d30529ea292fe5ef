"""A process for Qualcomm's libraries, which may crash: compiles a model for an NPU, or runs what was compiled.

Usage: python -P qnn_process.py compile MODEL CONTEXT GRAPHS HTP_ARCH SOC_MODEL
       python -P qnn_process.py run CONTEXT HTP_ARCH SOC_MODEL

compile writes the context (ONNX around the binary) and, into the folder GRAPHS, the graph that the provider
gave to Qualcomm's compiler. run speaks as `process_runner` says. Needs onnxruntime, onnxruntime-qnn and numpy only.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO

import numpy as np
import onnxruntime as ort
import onnxruntime_qnn


def main(arguments: list[str]) -> None:
    """Do what the command line says; libraries that write to standard output write to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    kind, *rest = arguments
    state = ort.capi.onnxruntime_pybind11_state
    try:
        if kind == "compile":
            compile_model(*rest)
        else:
            serve(*rest, answers=answers)
    except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented, RuntimeError) as error:
        sys.exit(f"Error: {' '.join(str(error).split())[:300]}")


def compile_model(model: str, context: str, graphs: str, htp_arch: str, soc_model: str) -> None:
    """Write the context; nothing may be left to the CPU."""
    options = session_options({"ep.context_enable": "1", "ep.context_file_path": context, "ep.context_embed_mode": "1"})
    dump = {"dump_json_qnn_graph": "1", "json_qnn_graph_dir": graphs}
    open_session(model, options, htp_arch, soc_model, **dump)


def serve(context: str, htp_arch: str, soc_model: str, *, answers: BinaryIO) -> None:
    """Restore pictures from standard input until it ends."""
    session = open_session(context, session_options({}), htp_arch, soc_model)
    names = [output.name for output in session.get_outputs()]
    say(answers, {"ready": True})
    while line := sys.stdin.buffer.readline():
        size = json.loads(line)
        shape = (1, 3, size["height"], size["width"])
        given = np.frombuffer(sys.stdin.buffer.read(4 * int(np.prod(shape))), "<f4").reshape(shape)
        found = dict(zip(names, session.run(names, {"image": given}), strict=True))
        scores = found.get("scores")
        said = None if scores is None else {"shape": scores.shape[1:], "data": scores.ravel().tolist()}
        agreement = None if scores is None else float(found["agreement"].ravel()[0])
        say(answers, {"agreement": agreement, "scores": said})
        answers.write(np.ascontiguousarray(found["restored"], "<f4").tobytes())
        answers.flush()


def say(answers: BinaryIO, what: dict[str, Any]) -> None:
    """One line of JSON."""
    answers.write(f"{json.dumps(what)}\n".encode())
    answers.flush()


def session_options(entries: dict[str, str]) -> Any:
    """Options without a fallback to the CPU."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    for key, value in {"session.disable_cpu_ep_fallback": "1", **entries}.items():
        options.add_session_config_entry(key, value)
    return options


def open_session(model: str, options: Any, htp_arch: str, soc_model: str, **more: str) -> Any:
    """A session of Qualcomm's provider for an NPU; floats are computed in float16, as these NPUs have nothing wider."""
    ort.register_execution_provider_library("QNN", onnxruntime_qnn.get_library_path())
    devices = [device for device in ort.get_ep_devices() if "QNN" in device.ep_name]
    said = {
        "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
        "htp_arch": htp_arch,
        "soc_model": soc_model,
        "enable_htp_fp16_precision": "1",
        **more,
    }
    options.add_provider_for_devices(devices[:1], said)
    return ort.InferenceSession(model, options)


if __name__ == "__main__":
    main(sys.argv[1:])
