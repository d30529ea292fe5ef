"""Build the TensorRT engine of this folder's model.onnx on the device that will run it.

    python3 build.py                 build, or reuse the engine that this device built before
    python3 build.py --parse-only    only ask whether this TensorRT reads the model

What to build stands in build.json beside this file. One line of JSON goes to stdout, words for people to stderr.
Beside an engine lie what the engine inspector says of its layers (.layers.json) and how that agrees with the plan of
precisions (.account.json); a timing cache makes later builds shorter.
Exit codes: 0 fine, 2 the folder or the machine is not as needed, 3 TensorRT refuses the model.
It runs on Python 3.8 (JetPack 5, TensorRT 8.5) and later, and needs TensorRT's Python package, which needs numpy.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from build_cache import (
    Problem,
    engine_key,
    engine_path,
    find_engine,
    keep_engine,
    replace,
    require_writable,
    timing_path,
    write_json,
)
from build_engine import build, inspect, make_log, parse
from build_layers import UnreadableError, account
from build_plan import compare
from build_read import read_recipe
from build_release import require_gpu, require_release


def say(text):
    """A line for people."""
    print(text, file=sys.stderr, flush=True)


def load_tensorrt():
    """TensorRT's Python package."""
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise Problem("TensorRT's Python package does not load: {}".format(error), 2) from error
    return tensorrt


def loaded(trt, path, recipe, key, log):
    """What the engine's layers became, kept beside it; None where this device does not load it."""
    if key["compute_capability"] is None:
        return {"loaded": False}
    information = inspect(trt, path.read_bytes(), recipe["flags"]["profiles"], log)
    if information is None:
        return None
    replace(path.with_suffix(".layers.json"), information.encode())
    try:
        found = account(information, recipe)
    except UnreadableError as error:
        say("what runs in the engine is not known: {}".format(error))
        return {"loaded": True, "account": None, "account_problem": str(error)}
    say(found["summary"])
    write_json(path.with_suffix(".account.json"), found)
    return {"loaded": True, "account": found}


def reuse(trt, cache, recipe, key, log):
    """The result for an engine in the cache or None, and why each of the others is refused."""
    own, refused = find_engine(cache, key)
    facts = None if own is None else loaded(trt, own, recipe, key, log)
    if own is not None and facts is None:
        refused[own.name] = "this device does not load it: {}".format("; ".join(log.messages[-3:]))
    for name, reason in refused.items():
        say("{} is not used: {}".format(name, reason))
    return (None if facts is None else dict(facts, status="reused", engine=str(own))), refused


def build_now(trt, parsed, recipe, cache, *, key, log):
    """The result of building."""
    require_writable(cache)
    say("building for {}; this takes minutes".format(key["compute_capability"] or "no GPU that can be seen"))
    path, timing, start = engine_path(cache, key), timing_path(cache, key), time.monotonic()
    known = timing.is_file()
    keep_engine(path, build(trt, parsed, recipe["flags"], log, timing), key)
    seconds = round(time.monotonic() - start, 1)
    facts = loaded(trt, path, recipe, key, log)
    if facts is None:
        raise Problem("this device does not load what it built: {}".format("; ".join(log.messages[-3:])), 3)
    return dict(facts, status="built", engine=str(path), seconds=seconds, timing_cache_used=known)


def parsed_network(trt, recipe, model, log):
    """An accepted model, and how its network agrees with build.json; Problem where it does not."""
    parsed = parse(trt, model, log)
    found = compare(trt, parsed.network, recipe)
    problem = found.pop("problem")
    if problem is not None:
        raise Problem(problem, 3)
    return parsed, dict(found, layers=parsed.network.num_layers)


def run(folder, cache, parse_only, force):
    """The whole way; what the JSON line says."""
    recipe, model = read_recipe(folder)
    trt = load_tensorrt()
    require_release(trt, recipe)
    log = make_log(trt)
    key = engine_key(trt, recipe)
    result = {"status": "parsed", "key": key, "precision": recipe["flags"]["precision"]}
    if not parse_only:
        require_gpu(trt, key, recipe)
    if not (parse_only or force):
        found, result["refused"] = reuse(trt, cache, recipe, key, log)
        if found is not None:
            return dict(result, **found)
    parsed, facts = parsed_network(trt, recipe, model, log)
    result.update(facts)
    if not parse_only:
        result.update(build_now(trt, parsed, recipe, cache, key=key, log=log))
    return dict(result, warnings=log.messages)


def main():
    """The command line."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=here, help="folder with build.json and the model")
    parser.add_argument("--cache", type=Path, help="where engines are kept (default: engines in the folder)")
    parser.add_argument("--parse-only", action="store_true", help="build nothing")
    parser.add_argument("--force", action="store_true", help="build even if an engine is there")
    options = parser.parse_args()
    cache = options.cache or options.folder / "engines"
    try:
        result, code = run(options.folder, cache, options.parse_only, options.force), 0
    except Problem as problem:
        result, code = {"status": "failed", "reason": str(problem)}, problem.code
        say(str(problem))
    print(json.dumps(result, sort_keys=True))
    return code


if __name__ == "__main__":
    sys.exit(main())
