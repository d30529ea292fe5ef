"""What TensorRT does for build.py: parse a model, hold its types, build an engine, read back what it became.

    python build_engine.py LIBRARY MODEL FLAGS ENGINE [LAYERS]

is how the export builds: LIBRARY is the module to import, FLAGS is JSON; where a GPU takes the engine, LAYERS gets what
the engine inspector says of it. It runs in a process of its own because TensorRT for RTX 1.7 writes an engine's outputs
in the order of their addresses: in a fresh process they ascend and the file is the same each time, in a process that
has done other work it is not.
Python 3.8 and TensorRT 8.5 (JetPack 5) and later.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import namedtuple
from pathlib import Path

from build_cache import Problem, replace
from build_plan import inputs_of, layers_of, outputs_of

Parsed = namedtuple("Parsed", ("builder", "network", "parser"))  # the parser owns the weights until the build is done


def make_log(trt):
    """A logger that keeps warnings and errors and prints nothing."""

    class Log(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)
            self.messages = []

        def log(self, severity, msg):
            if int(severity) <= int(trt.ILogger.Severity.WARNING) and msg not in self.messages:
                self.messages.append(msg)

    return Log()


def strongly_typed(trt):
    """Whether the network keeps the types of the ONNX file (TensorRT 9 and later)."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def parse(trt, model, log):
    """An accepted model."""
    try:
        builder = trt.Builder(log)
    except (TypeError, RuntimeError) as error:  # what its bindings raise where it finds no GPU or another driver
        reason = "; ".join(log.messages) or str(error)
        raise Problem("TensorRT {} does not start here: {}".format(trt.__version__, reason), 2) from error
    kinds = trt.NetworkDefinitionCreationFlag
    flag = kinds.STRONGLY_TYPED if strongly_typed(trt) else kinds.EXPLICIT_BATCH
    network = builder.create_network(1 << int(flag))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)] or log.messages
        raise Problem("TensorRT {} refuses the model: {}".format(trt.__version__, "; ".join(errors)), 3)
    return Parsed(builder, network, parser)


def planned_types(trt, network):
    """(layer, type) of every layer that gives float32 or float16: what the model's own casts and constants say.

    TensorRT 8 chooses types by itself unless each layer is told.
    """
    floats = (trt.float32, trt.float16)
    own = [getattr(trt.LayerType, name) for name in ("CONSTANT", "IDENTITY", "CAST") if hasattr(trt.LayerType, name)]
    types = {network.get_input(index).name: network.get_input(index).dtype for index in range(network.num_inputs)}
    planned = []
    for layer in layers_of(network):
        outputs = outputs_of(layer)
        read = [types[tensor.name] for tensor in inputs_of(layer) if types.get(tensor.name) in floats]
        for tensor in outputs:
            if layer.type in own or tensor.dtype not in floats or not read:
                types[tensor.name] = tensor.dtype
            else:
                types[tensor.name] = trt.float32 if trt.float32 in read else trt.float16
        if types[outputs[0].name] in floats:
            planned.append((layer, types[outputs[0].name]))
    return planned


def fix_types(trt, network, config, precision):
    """On TensorRT 8: allow the precision and hold every layer to the type that the model gives it."""
    if precision == "float32":
        return
    config.set_flag(trt.BuilderFlag.INT8 if precision == "int8" else trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    if precision == "int8":
        return  # Q/DQ nodes place the integers
    for layer, kind in planned_types(trt, network):
        if layer.type != trt.LayerType.CONSTANT:
            layer.precision = kind
            layer.set_output_type(0, kind)


def configure(trt, parsed, flags):
    """The builder's settings."""
    config = parsed.builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, flags["workspace_mib"] << 20)
    if hasattr(config, "builder_optimization_level"):  # TensorRT 8.6 and later
        config.builder_optimization_level = flags["optimization_level"]
    if not flags["tf32"]:
        config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # what the engine inspector tells; costs no bytes
    if not strongly_typed(trt):
        fix_types(trt, parsed.network, config, flags["precision"])
    if flags["profiles"]:
        profile = parsed.builder.create_optimization_profile()
        for name, shapes in flags["profiles"].items():
            profile.set_shape(name, shapes["minimum"], shapes["optimum"], shapes["maximum"])
        if config.add_optimization_profile(profile) < 0:
            raise Problem("TensorRT refuses the profile of sizes", 3)
    if flags["compute_capabilities"]:  # TensorRT for RTX builds for GPUs that are not here
        serve(trt, config, flags["compute_capabilities"])
    return config


def serve(trt, config, capabilities):
    """Build for these compute capabilities, as in "8.6"."""
    config.num_compute_capabilities = len(capabilities)
    for index, text in enumerate(capabilities):
        known = getattr(trt.ComputeCapability, "SM" + text.replace(".", ""), None)
        if known is None or not config.set_compute_capability(known, index):
            raise Problem("TensorRT does not build for compute capability {}".format(text), 3)


def use_timing(config, path):
    """Let a build read what builds before it measured on this machine; a cache that does not fit is left alone."""
    known = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(known)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def build(trt, parsed, flags, log, timing=None):
    """The engine's bytes; timing: the file that keeps what is measured on the way, if any."""
    before = len(log.messages)
    config = configure(trt, parsed, flags)
    if timing is not None:
        use_timing(config, timing)
    engine = parsed.builder.build_serialized_network(parsed.network, config)
    if engine is None:
        reason = "; ".join(log.messages[before:]) or "no reason given"
        hint = ": raise workspace_mib above {}".format(flags["workspace_mib"]) if "OutOfMemory" in reason else ""
        raise Problem("TensorRT builds no engine ({}){}".format(reason, hint), 3)
    if timing is not None:
        replace(timing, bytes(config.get_timing_cache().serialize()))
    return bytes(engine)


def inspect(trt, engine, profiles, log):
    """The engine inspector's JSON of an engine, or None where this device does not load it.

    profiles: by input, as in the flags; sizes that are open are set to the tuned ones. Where the device has no memory
    left for that, the inspector is asked without, and the formats of tensors stay unknown, which is said.
    """
    loaded = trt.Runtime(log).deserialize_cuda_engine(engine)
    if loaded is None:
        return None
    inspector = loaded.create_engine_inspector()
    if profiles:
        context = loaded.create_execution_context()
        if context is None:
            reason = "; ".join(log.messages[-3:]) or "no reason given"
            print("no size can be set for the inspector, types stay unknown: {}".format(reason), file=sys.stderr)
        else:
            for name, shapes in profiles.items():
                context.set_input_shape(name, tuple(shapes["optimum"]))
            inspector.execution_context = context
    return inspector.get_engine_information(trt.LayerInformationFormat.JSON)


def main(library, model, flags, engine, layers=None):
    """Build one engine; the reason of a refusal goes to stderr."""
    trt = importlib.import_module(library)
    log = make_log(trt)
    flags = json.loads(flags)
    try:
        built = build(trt, parse(trt, Path(model).read_bytes(), log), flags, log)
        replace(Path(engine), built)
        information = None if layers is None else inspect(trt, built, flags["profiles"], log)
        if information is not None:
            replace(Path(layers), information.encode())
    except Problem as problem:
        print(problem, file=sys.stderr)
        return problem.code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
