"""Every command meets every wrong input: exit 2, one line what, one line what to do, nothing left behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from moceir_edge.cli.commands import app
from tests.cli.calls import Captured, assert_refused

Wrong = tuple[str, str]
"""What is given, and a regular expression for what is said."""


def places(*texts: str) -> str:
    """All of these, in this order."""
    return ".*".join(map(re.escape, texts))


MODELS: dict[str, Wrong] = {
    "missing file": ("nowhere.ckpt", r"nowhere\.ckpt: no such file"),
    "text file": ("wrong/fake.ckpt", "not a checkpoint"),
    "picture by name": ("wrong/fake.png", "not a checkpoint"),
    "picture": ("photos/0.png", "not a checkpoint"),
    "truncated": ("wrong/truncated.safetensors", r"truncated\.safetensors: damaged"),
    "NaN": ("wrong/nan.safetensors", "holds NaN"),
    "of another network": ("wrong/foreign.ckpt", "not a MoCE-IR checkpoint"),
    "of another network, ours": ("wrong/foreign.safetensors", "not a MoCE-IR checkpoint"),
    "with code": ("wrong/code.ckpt", r"refused, it needs code to load"),
    "bare pickle with code": ("wrong/pickle.ckpt", "needs code to load"),
    "window 0": ("wrong/window0.safetensors", "a window of 0, no even number"),
    "window -4": ("wrong/window-4.safetensors", "a window of -4, no even number"),
    "window 5": ("wrong/window5.safetensors", "a window of 5, no even number"),
    "window without end": ("wrong/window1099511627776.safetensors", "a window of 1099511627776, no even number"),
}
NO_FOLDER: dict[str, Wrong] = {"folder": ("empty", "empty: is a folder")}
ARTIFACTS: dict[str, Wrong] = {
    "empty folder": ("empty", "empty: not an artifact"),
    "altered": ("wrong/altered", r"model\.onnx was altered"),
    "incomplete": ("wrong/incomplete", r"golden/0\.input\.npy is missing"),
    "newer": ("wrong/newer", "schema 2 is newer than 1"),
    "with an unknown field": ("wrong/wordy", "opinion"),
    "without its model": ("wrong/unmodelled", r"other\.onnx is none of its files"),
    "cut": ("wrong/cut", r"artifact\.json: damaged"),
    "a list": ("wrong/listed", r"artifact\.json: damaged"),
    "without version": ("wrong/unversioned", r"artifact\.json: damaged"),
}
COOKED: dict[str, Wrong] = {"with another recipe": ("wrong/cooked", "the artifact's recipe is damaged")}
MISLED: dict[str, Wrong] = {"for an unknown task": ("wrong/misled", "unknown task 'sunshine'")}
NO_ARTIFACTS: dict[str, Wrong] = {
    "missing folder": ("nowhere", "nowhere: not an artifact"),
    "file": ("model.safetensors", r"model\.safetensors: not an artifact"),
}
DATA: dict[str, Wrong] = {
    "missing": ("nowhere", "nowhere: no such file or folder"),
    "empty folder": ("empty", "empty: no picture in it can be used"),
    "text file": ("text.txt", r"text\.txt: neither a folder nor a manifest"),
    "no task": ("wrong/untold", r"no picture in it can be used \(holiday: its name starts with no task\)"),
    "text as picture": ("wrong/text", r"\.png: not a PNG, JPEG, WebP or TIFF picture"),
    "truncated pictures": ("wrong/truncated", r"\.png: damaged or incomplete"),
    "unequal sizes": ("wrong/sizes", r"\.png is 72x64 and its target .* is 72x56"),
    "altered manifest": ("wrong/altered.yaml", r"altered\.yaml:4: pictures\.a\.png: sha256 is"),
    "wrong manifest": ("recipe.yaml", r"recipe\.yaml:1: target: no such key"),
}
TARGETS: dict[str, Wrong] = {"no targets": ("wrong/untargeted", "has no target, and PSNR needs one")}
SIDES: dict[str, Wrong] = {"one picture": ("wrong/single", "no choosing picture is left for derain")}
CALIBRATION: dict[str, Wrong] = {
    "missing": ("nowhere", "nowhere: no such file or folder"),
    "shares pictures": ("data", "chooses and .* judges, and they share a file"),
    "of another task": ("hazy", "no (choosing )?picture (is left )?for derain"),
}
TASKS: dict[str, Wrong] = {
    "unknown": ("sunshine", "unknown task 'sunshine'"),
    "without pictures": ("dehaze", "no picture for dehaze|no choosing pictures of dehaze|made for derain, not dehaze"),
}
RECIPES: dict[str, Wrong] = {
    "missing": ("nowhere", "nowhere: no such file, and none of that name"),
    "folder": ("empty", "empty: no such (recipe|file)"),
    "empty": ("wrong/empty.recipe.yaml", "is empty"),
    "broken": ("wrong/broken.recipe.yaml", r"yaml:2: not YAML"),
    "unknown keys": ("wrong/unknown.recipe.yaml", r"yaml:4: quantize\.bits: no such key.*yaml:3: speed: no such key"),
    "doubled keys": (
        "wrong/doubled.recipe.yaml",
        r"yaml:3: key 'target' is doubled \(first in line 1\).*yaml:5: key 'precision' is doubled",
    ),
    "contradictions": (
        "wrong/contradictory.recipe.yaml",
        places(
            "yaml:3: onnx", "yaml:4: overflow_size", "yaml:1: size: Core ML needs", "yaml:2: precision: Core ML runs"
        ),
    ),
    "everything at once": (
        "wrong/everything.recipe.yaml",
        places(
            "yaml:5: quantize.crop",
            "yaml:2: speed: no",
            "yaml:3: key 'target'",
            "yaml:5: quantize: only",
            "yaml:7: limits",
        ),
    ),
    "impossible size": ("wrong/size.recipe.yaml", r"yaml:3: size"),
    "unexplained limit": ("wrong/limit.recipe.yaml", r"yaml:4: limits\.parity_db: a moved limit needs a reason"),
}
ROUTINGS: dict[str, Wrong] = {
    "missing": ("nowhere.json", r"nowhere\.json: cannot be read"),
    "folder": ("empty", "empty: cannot be read"),
    "text": ("text.txt", r"text\.txt: not a Routing"),
    "another record": ("artifact/artifact.json", r"artifact\.json: not a Routing"),
    "of another model": ("wrong/routing.json", "the routing was observed on another model"),
}
REFERENCES: dict[str, Wrong] = {"another model": ("other.safetensors", "is not what artifact was made from")}
PICTURES: dict[str, Wrong] = {
    "missing": ("nowhere.png", r"nowhere\.png: no such file or folder"),
    "empty folder": ("empty", "empty: no pictures in this folder"),
    "text as picture": ("wrong/fake.png", r"fake\.png: not a PNG, JPEG, WebP or TIFF picture"),
    "text": ("text.txt", r"text\.txt: not a picture by its name"),
    "truncated": ("wrong/truncated.png", r"truncated\.png: damaged or incomplete"),
    "no bytes": ("wrong/empty.png", r"empty\.png: the file is empty"),
    "no size": ("wrong/0x8.png", r"0x8\.png: (has no pixels|damaged or incomplete)"),
    "200 megapixels": ("wrong/20000x10000.png", r"20000x10000 is 200000000 pixels, and the limit is 67108864"),
    "empty video": ("wrong/empty.mp4", r"empty\.mp4: the file is empty"),
    "text as video": ("wrong/text.mp4", r"text\.mp4: damaged, or no video"),
}
FILES: dict[str, Wrong] = {
    "exists": ("taken/model.safetensors", r"taken/model\.safetensors exists already"),
    "a folder": ("taken", "taken is a folder"),
    "below a file": ("text.txt/model.safetensors", r"text\.txt is a file"),
}
FOLDERS: dict[str, Wrong] = {
    "exists": ("artifact", "artifact exists already"),
    "somebody's": ("taken", r"taken exists already and has no artifact\.json"),
    "a file": ("text.txt", r"text\.txt is a file"),
    "below a file": ("text.txt/artifact", r"text\.txt is a file"),
}
RUNS: dict[str, Wrong] = {
    "somebody's": ("taken", "taken exists already and is no run"),
    "a file": ("text.txt", r"text\.txt is a file"),
    "below a file": ("text.txt/run", r"text\.txt is a file"),
}
FRONTIERS: dict[str, Wrong] = {
    "somebody's": ("taken", "taken exists already and is no frontier"),
    "a run": ("run", "run exists already and is no frontier"),
    "a file": ("text.txt", r"text\.txt is a file"),
    "below a file": ("text.txt/frontier", r"text\.txt is a file"),
}
PLACES: dict[str, Wrong] = {
    "exists": ("taken", r"taken/0\.png exists already"),
    "a file": ("text.txt", r"text\.txt is a file"),
    "below a file": ("text.txt/restored", r"text\.txt is a file"),
    "where nothing can be made": ("/proc/new", "/proc/new cannot be made|no permission to write"),
}
COVERAGES: dict[str, Wrong] = {
    **{value: (value, f"coverage {value} is out of range") for value in ("0", "-1", "1.01", "nan")},
    "no number": ("much", "--coverage"),
}
COUNTS: dict[str, Wrong] = {
    "0": ("0", "0 experts for each layer are too few"),
    "no number": ("few", "--max-experts"),
}
GATES: dict[str, Wrong] = {"unknown": ("open", "--gate.*not one of 'exact', 'folded'")}
TILES: dict[str, Wrong] = {
    **{value: (value, f"tile {value} is not possible") for value in ("0", "60", "64", "100")},
    **{value: (value, f"tile '{value}' is no size") for value in ("-96", "large", "²")},
}
STRENGTHS: dict[str, Wrong] = {
    **{value: (value, f"strength {value} is out of range") for value in ("-0.1", "1.5", "nan")},
    "no number": ("strong", "--strength"),
}
THREADS: dict[str, Wrong] = {
    **{value: (value, f"{value} threads are not possible") for value in ("0", "-1", "257")},
    "no number": ("many", "--threads"),
}
MEMORIES: dict[str, Wrong] = {
    **{value: (value, f"{value} MiB of memory are not possible") for value in ("0", "-1", "nan")},
    "no number": ("much", "--memory"),
}
BENCHES: dict[str, Wrong] = {
    "exists": ("benched", "benched exists already"),
    "somebody's": ("taken", r"taken exists already and has no bench\.json"),
    "a file": ("text.txt", r"text\.txt is a file"),
    "below a file": ("text.txt/bench", r"text\.txt is a file"),
    "holds an input": (".", r"\. (exists already and has no bench\.json|holds model\.safetensors)"),
}
SIDES_OF_PICTURES: dict[str, Wrong] = {
    **{value: (value, f"size {value} is not possible") for value in ("0", "-8", "4", "100")},
    "no number": ("large", "--size"),
}
EXPERTS: dict[str, Wrong] = {
    "no index": ("first", "experts 'first' are no indices"),
    "negative": ("-1", "experts '-1' are no indices"),
    "too few": ("0,1", "experts 0,1: 2 indices for 3 decoder levels"),
    "too many": ("0,1,2,3", "experts 0,1,2,3: 4 indices for 3 decoder levels"),
    "none of the model": ("4", "expert 4 is none of this model's 4"),
}
CEILINGS = ("latency-ms", "size-mib", "memory-mib", "loss-db")
"""What a frontier may limit."""
BUNDLES: dict[str, Wrong] = {
    "exists": ("taken/derain.tar.gz", r"taken/derain\.tar\.gz exists already"),
    "a folder": ("taken", "taken: a bundle is a .tar.gz"),
    "below a file": ("text.txt/derain.tar.gz", r"text\.txt is a file"),
    "of another kind": ("new.zip", r"new\.zip: a bundle is a \.tar\.gz"),
}
DEVICES: dict[str, Wrong] = {
    "unknown": ("nowhere", "nowhere: no such file, and none of that name in devices"),
    "a recipe": ("recipe.yaml", r"recipe\.yaml:1: .*no such key"),
    "of another runtime": ("wrong/jetson.yaml", "artifact is for onnx, and a board runs tensorrt"),
    "of another precision": ("wrong/int8.yaml", "artifact is in float32, and onnxruntime on a board runs int8"),
    "without memory": ("wrong/small.yaml", r"artifact takes \d+ MiB, and of a board's memory 1 MiB"),
}
KEYS: dict[str, Wrong] = {
    "missing": ("nowhere.pem", r"nowhere\.pem: cannot be read"),
    "text": ("text.txt", r"text\.txt: no private key"),
    "encrypted": ("wrong/encrypted.pem", r"encrypted\.pem: is encrypted"),
    "of another kind": ("wrong/ec.pem", r"ec\.pem: a key, but none of Ed25519"),
    "public": ("wrong/public.pem", r"public\.pem: no private key"),
}
LOGS: dict[str, Wrong] = {
    "below a file": ("text.txt/log", r"text\.txt is a file"),
    "a folder": ("empty", "empty: cannot be written"),
    "no name": ("", "--log needs a file"),
}


@dataclass(frozen=True)
class Command:
    """words: with <slots>; good: what is right for each slot; wrong: what is not; options: tried one at a time."""

    words: str
    good: dict[str, str]
    wrong: dict[str, dict[str, Wrong]]
    options: dict[str, str] = field(default_factory=dict)

    def words_with(self, slot: str, value: str) -> list[str]:
        """The command line with this value in a slot, and good ones in the others."""
        values = {**self.good, slot: value}
        words = f"{self.words} {self.options.get(slot, '')}".split()
        return [values[word[1:-1]] if word.startswith("<") else word for word in words]


PLACES_OF_DEVICES: dict[str, Wrong] = {
    "neither address nor profile": ("toaster", "toaster: no such file, and none of that name in devices"),
    "another way": ("ssh:board", "'ssh:board' is no device that can be reached"),
    "a password": ("ssh://me:secret@board", "has a password in it"),
    "no host": ("ssh://", "no user, host and port for ssh"),
}
RESULTS: dict[str, Wrong] = {
    "missing": ("nowhere.json", r"nowhere\.json: cannot be read"),
    "text": ("text.txt", r"text\.txt: not a result of a runner"),
    "another record": ("artifact/artifact.json", r"artifact\.json: not a ProfileResult"),
    "cut": ("wrong/results/cut.json", r"cut\.json: not a result of a runner"),
    "newer": ("wrong/results/newer.json", "schema 2 is newer than 1"),
    "with an unknown field": ("wrong/results/wordy.json", "opinion"),
}
SIDES_OF_RESULTS: dict[str, Wrong] = {
    **RESULTS,
    "empty folder": ("empty", "empty: no result is in this folder"),
    "of several artifacts": ("wrong/results/mixed", "mixed: holds results of several artifacts"),
    "of another size": ("wrong/results/size.json", "two sizes: 64x64 and 64x32"),
    "of another device": ("wrong/results/device.json", "two devices: board .* and another board"),
    "with other threads": ("wrong/results/threads.json", "two runtimes: .*1 threads.* and .*2 threads"),
    "of few runs": ("wrong/results/few.json", "too few runs to compare"),
}
MODEL = {"model": "model.safetensors"}
COMMANDS = {
    "demo": Command("demo --out <run>", {"run": "new"}, {"run": RUNS}),
    "inspect": Command("inspect <either>", {}, {"either": {**MODELS, **ARTIFACTS}}),
    "convert": Command(
        "convert <model> <file>",
        {**MODEL, "file": "new.safetensors"},
        {
            "model": {**MODELS, **NO_FOLDER},
            "file": {**FILES, "no known layout": ("new.onnx", r"new\.onnx: no known layout")},
        },
    ),
    "convert to published": Command(
        "convert <model> new.ckpt",
        MODEL,
        {"model": {"slim": ("slim.safetensors", "a slim model has no published layout")}},
    ),
    "observe": Command(
        "observe <model> --data <data> --out <file>",
        {**MODEL, "data": "data", "file": "new.json", "calibration": "calibration", "task": "derain"},
        {
            "model": {**MODELS, **NO_FOLDER},
            "data": {**DATA, **SIDES},
            "file": FILES,
            "calibration": CALIBRATION,
            "task": TASKS,
        },
        {"calibration": "--task derain --calibration <calibration>", "task": "--task <task>"},
    ),
    "slim": Command(
        "slim <model> --routing <routing> --task <task> --out <file>",
        {**MODEL, "routing": "routing.json", "task": "derain", "file": "new.safetensors"},
        {
            "model": {
                **MODELS,
                **NO_FOLDER,
                "another one": ("other.safetensors", "the routing was observed on another model"),
                "slim already": ("slim.safetensors", "the model is slim already"),
            },
            "routing": ROUTINGS,
            "task": TASKS,
            "file": {**FILES, "no .safetensors": ("new.ckpt", r"a slim model is a \.safetensors")},
            "coverage": COVERAGES,
            "count": COUNTS,
            "gate": GATES,
            "guard": {"none, exact gate": ("--no-guard", "an exact gate needs the routers")},
        },
        {
            "coverage": "--coverage <coverage>",
            "count": "--max-experts <count>",
            "gate": "--gate <gate>",
            "guard": "<guard>",
        },
    ),
    "narrow": Command(
        "narrow <model> --data <data> --task <task> <budget> --out <file>",
        {
            "model": "slim.safetensors",
            "data": "data",
            "task": "derain",
            "budget": "--keep-macs=0.9",
            "file": "new.safetensors",
            "calibration": "calibration",
            "distil": "distil",
        },
        {
            "model": {**MODELS, **NO_FOLDER},
            "data": {**DATA, **TARGETS, **SIDES},
            "file": {**FILES, "no .safetensors": ("new.ckpt", r"a narrow model is a \.safetensors")},
            "task": {**TASKS, "of another": ("lowlight", "slim.safetensors was made for derain, not lowlight")},
            "budget": {
                **{value: (f"--keep-macs={value}", "is no share of the MACs") for value in ("0", "1.5", "-1", "nan")},
                "no number": ("--keep-macs=half", "--keep-macs"),
                "too small": ("--keep-macs=0.01", r"cannot be reached: the smallest is [\d,]+, 0\.\d+ of what it has"),
                "nothing to do": ("--keep-macs=1", r"the model has [\d,]+ macs, and [\d,]+ are asked for"),
                "no end": ("--max-latency-ms=inf", "no model is of that size"),
                "no parameters": ("--max-parameters=0", "no model is of that size"),
                "no time": ("--max-latency-ms=0", "no model is of that size"),
            },
            "second": {"another": ("--max-parameters=5", "a budget is one number")},
            "multiple": {
                value: (value, f"widths in multiples of {value} are none") for value in ("0", "3", "10", "-8")
            },
            "training": {"without a file": ("data", "--train-data is for training, and none is asked for")},
            "calibration": CALIBRATION,
            "distil": {
                "missing": ("nowhere", "nowhere: no such file, and none of that name in training"),
                "with a network": ("train.yaml", r"train\.yaml names a network of its own"),
                "judging pictures": ("distil.yaml", r"is trained on, and .* judges"),
            },
        },
        {
            "calibration": "--calibration <calibration>",
            "second": "<second>",
            "training": "--train-data <training>",
            "multiple": "--multiple <multiple>",
            "distil": "--train-data data --distil <distil>",
        },
    ),
    "frontier": Command(
        "frontier <model> --data <data> --out <run>",
        {
            "model": "slim.safetensors",
            "data": "data",
            "run": "new",
            "calibration": "calibration",
            "task": "derain",
            "recipe": "recipe.yaml",
        },
        {
            "model": {
                **MODELS,
                **NO_FOLDER,
                "for no task": ("model.safetensors", "no task to narrow for"),
            },
            "data": {**DATA, **TARGETS, **SIDES, "of another task": ("hazy", "no picture for derain")},
            "run": {**FRONTIERS, "holds an input": (".", r"\. (exists already and is|holds)")},
            "calibration": CALIBRATION,
            "task": {**TASKS, "of another": ("lowlight", "slim.safetensors was made for derain, not lowlight")},
            "recipe": RECIPES,
            "share": {
                **{value: (value, "is no share of the MACs") for value in ("0", "1.5", "-1", "nan")},
                "no number": ("half", "--keep-macs"),
            },
            **{
                name: {
                    **{value: (value, "no point takes at most") for value in ("-1", "nan", "inf")},
                    "no number": ("few", f"--max-{name}"),
                }
                for name in CEILINGS
            },
            "second": {"another": ("--max-loss-db=1", "--max-latency-ms, --max-loss-db are 2 ceilings")},
            "device": {
                "missing": ("nowhere", "nowhere: no such file, and none of that name in devices"),
                "no profile": ("recipe.yaml", r"recipe\.yaml"),
            },
            "threads": THREADS,
        },
        {
            "calibration": "--calibration <calibration>",
            "task": "--task <task>",
            "recipe": "--recipe <recipe>",
            "share": "--keep-macs <share>",
            **{name: f"--max-{name} <{name}>" for name in CEILINGS},
            "second": "--max-latency-ms 1 <second>",
            "device": "--device <device>",
            "threads": "--threads <threads>",
        },
    ),
    "export": Command(
        "export <model> --recipe <recipe> --data <data> --out <folder>",
        {"model": "slim.safetensors", "recipe": "recipe.yaml", "data": "data", "folder": "new"},
        {
            "model": {**MODELS, **NO_FOLDER},
            "recipe": RECIPES,
            "data": {**DATA, **TARGETS},
            "folder": FOLDERS,
            "calibration": CALIBRATION,
            "task": TASKS,
        },
        {"calibration": "--calibration <calibration>", "task": "--task <task>"},
    ),
    "verify": Command(
        "verify <artifact> --reference <reference> --data <data>",
        {"artifact": "artifact", "reference": "slim.safetensors", "data": "data"},
        {
            "artifact": {**ARTIFACTS, **NO_ARTIFACTS, **COOKED, **MISLED},
            "reference": {**MODELS, **NO_FOLDER, **REFERENCES},
            "data": {**DATA, **TARGETS},
            "task": TASKS,
            "threads": THREADS,
        },
        {"task": "--task <task>", "threads": "--threads <threads>"},
    ),
    "evaluate": Command(
        "evaluate <either> --data <data>",
        {"either": "artifact", "data": "data"},
        {
            "either": {**MODELS, **ARTIFACTS, **COOKED},
            "data": {**DATA, **TARGETS},
            "task": TASKS,
            "threads": THREADS,
        },
        {"task": "--task <task>", "threads": "--threads <threads>"},
    ),
    "restore": Command(
        "restore <either> <pictures> --out <places>",
        {"either": "slim.safetensors", "pictures": "photos", "places": "new"},
        {
            "either": {**MODELS, **ARTIFACTS, **COOKED},
            "pictures": PICTURES,
            "second": PICTURES,
            "twin": {"of equal name": ("data/derain/target/0.png", "two pictures would get the same name")},
            "places": PLACES,
            "task": TASKS,
            "tile": TILES,
            "memory": MEMORIES,
            "threads": THREADS,
            "strength": STRENGTHS,
        },
        {
            "second": "photos/2.png <second>",
            "twin": "<twin>",
            "task": "--task <task>",
            "tile": "--tile <tile>",
            "memory": "--memory <memory>",
            "threads": "--threads <threads>",
            "strength": "--strength <strength>",
        },
    ),
    "pipeline": Command(
        "pipeline --checkpoint <model> --task <task> --recipe <recipe> --data <data> --out <run>",
        {**MODEL, "task": "derain", "recipe": "recipe.yaml", "data": "data", "run": "new"},
        {
            "model": {**MODELS, **NO_FOLDER},
            "task": TASKS,
            "recipe": RECIPES,
            "data": {**DATA, **TARGETS, **SIDES, "of another task": ("hazy", "for derain")},
            "run": {**RUNS, "holds an input": (".", r"\. holds model\.safetensors, which is read")},
            "calibration": CALIBRATION,
            "coverage": COVERAGES,
            "count": COUNTS,
            "gate": GATES,
            "guard": {"none, exact gate": ("--no-guard", "an exact gate needs the routers")},
        },
        {
            "calibration": "--calibration <calibration>",
            "coverage": "--coverage <coverage>",
            "count": "--max-experts <count>",
            "gate": "--gate <gate>",
            "guard": "<guard>",
        },
    ),
    "bench": Command(
        "bench <model> --out <bench> --variant <variant>",
        {**MODEL, "bench": "new", "variant": "lowered", "task": "derain"},
        {
            "model": {
                **MODELS,
                **NO_FOLDER,
                "golden, of no size": ("golden:large", "golden:large: no size is called 'large'"),
            },
            "bench": BENCHES,
            "variant": {"unknown": ("fast", "unknown variant 'fast'")},
            "side": SIDES_OF_PICTURES,
            "experts": EXPERTS,
            "routing": ROUTINGS,
            "whole": {
                "of a full model": ("slim.safetensors", r"model\.safetensors: no model was narrowed to this one"),
                "absent": ("nowhere", r"nowhere: no such file"),
            },
            "task": TASKS,
            "data": {**DATA, **TARGETS, "one picture": ("wrong/single", "too few pictures to calibrate")},
            "rounds": {"0": ("0", "0 rounds are too few"), "no number": ("few", "--rounds")},
            "threads": {"0": ("0", "0 threads are too few"), "no number": ("few", "--threads")},
            "choice": {
                "twice": ("--experts=0", "--experts and --routing both choose"),
                "without a task": ("--rounds=1", "a routing chooses for tasks, and none is named"),
            },
        },
        {
            "side": "--size <side>",
            "experts": "--experts <experts>",
            "routing": "--task derain --routing <routing>",
            "whole": "--whole <whole>",
            "task": "--routing routing.json --task <task>",
            "data": "--data <data>",
            "rounds": "--rounds <rounds>",
            "threads": "--threads <threads>",
            "choice": "--routing routing.json <choice>",
        },
    ),
    "train": Command(
        "train --config <config> --data <data> --out <out>",
        {"config": "train.yaml", "data": "data", "out": "new"},
        {
            "config": {
                "missing": ("nowhere", "nowhere: no such file, and none of that name in training"),
                "folder": ("empty", "empty: no such file, and none of that name"),
                "broken": ("wrong/broken.recipe.yaml", "yaml:2: not YAML"),
                "a recipe": ("recipe.yaml", r"recipe\.yaml:1: target: no such key"),
                "without a network": ("distil", "names no network: neither size nor start"),
            },
            "data": {
                "missing": ("nowhere", "nowhere: no such folder"),
                "file": ("text.txt", r"text\.txt: no such folder"),
                "empty folder": ("empty", "empty: no picture in it can be used"),
                "of another task": ("hazy", "no picture for derain"),
                "no targets": ("wrong/untargeted", "has no target to learn from"),
            },
            "out": {
                "somebody's": ("taken", "taken is no training run"),
                "a file": ("text.txt", r"text\.txt is no training run"),
            },
        },
    ),
    "bundle": Command(
        "bundle <artifact> --device <device> --out <bundle>",
        {"artifact": "artifact", "device": "x86_laptop", "bundle": "new.tar.gz"},
        {
            "artifact": {**ARTIFACTS, **NO_ARTIFACTS, **COOKED},
            "device": DEVICES,
            "bundle": BUNDLES,
            "key": KEYS,
            "pictures": {
                "empty folder": ("empty", "empty: no pictures in this folder"),
                "missing": ("nowhere", "nowhere: no pictures in this folder"),
                "text as picture": ("wrong/text", r"\.png: not a PNG, JPEG, WebP or TIFF picture"),
            },
            "reference": {
                **MODELS,
                **NO_FOLDER,
                "another model": ("other.safetensors", "is not what the artifact was"),
            },
            "half": {"pictures alone": ("photos", "--pictures and --reference go together")},
        },
        {
            "key": "--sign <key>",
            "pictures": "--reference slim.safetensors --pictures <pictures>",
            "reference": "--pictures photos --reference <reference>",
            "half": "--pictures <half>",
        },
    ),
    "report": Command(
        "report <made>",
        {"made": "run"},
        {
            "made": {
                "missing": ("nowhere", "nowhere: no such folder"),
                "a file": ("text.txt", r"text\.txt: no such folder"),
                "empty folder": ("empty", "empty: nothing of a run is here"),
                "somebody's": ("taken", "taken: nothing of a run is here"),
                "damaged": ("wrong/run", "run: nothing of a run is here"),
            }
        },
    ),
    "serve": Command(
        "serve <folder>",
        {"folder": "artifact"},
        {
            "folder": {
                "missing": ("nowhere", "nowhere: not an artifact"),
                "a file": ("text.txt", r"text\.txt: not an artifact"),
                "no artifact": ("empty", "empty: not an artifact"),
                "for another target": ("artifact", "artifact: made for onnx, and has no page"),
                "altered": ("wrong/altered", r"file model\.onnx was altered"),
            },
            "port": {
                **{value: (value, f"port {value} is none") for value in ("-1", "65536")},
                "no number": ("http", "--port"),
            },
        },
        {"port": "--port <port>"},
    ),
    "profile": Command(
        "profile <bundled>",
        {"bundled": "artifact"},
        {
            "bundled": {
                **ARTIFACTS,
                "missing": ("nowhere", "nowhere: not an artifact"),
                "no bundle": ("text.txt", r"text\.txt: cut short or damaged \(not a gzip file\)"),
            },
            "device": PLACES_OF_DEVICES,
            "profile": {"unknown": ("toaster", "toaster: no such file, and none of that name in devices")},
            "against": ARTIFACTS,
            "runs": {"0": ("0", "0 runs are not possible"), "no number": ("few", "--runs")},
            "seconds": {"0": ("0", "0.0 seconds are not possible"), "endless": ("inf", "inf seconds")},
            "size": {
                "odd": ("60x64", "60x64 is no size of a picture"),
                "one side": ("64", "'64' is no size"),
                "not served": ("128x128", "this model serves 64x72 only"),
            },
            "threads": THREADS,
            "signed": {"artifact": ("wrong/public.pem", "artifact: an artifact, and only bundles are signed")},
            "rounds": {"0": ("0", "0 rounds are not possible")},
            "mixed": {
                "turns elsewhere": ("--device=ssh://board", "--against runs both on this machine"),
                "turns by time": ("--seconds=1", "--against counts rounds"),
                "two things": ("--import=results/1.json", "more than one thing to profile"),
            },
            "out": {"below a file": ("text.txt/results", r"text\.txt is a file")},
        },
        {
            "device": "--device <device>",
            "profile": "--profile <profile>",
            "against": "--against <against>",
            "runs": "--runs <runs>",
            "seconds": "--seconds <seconds>",
            "size": "--size <size>",
            "threads": "--threads <threads>",
            "signed": "--require-signature <signed>",
            "rounds": "--against artifact --rounds <rounds>",
            "mixed": "--against artifact <mixed>",
            "out": "--out <out>",
        },
    ),
    "profile, an import": Command(
        "profile --import <result>",
        {"result": "results/1.json"},
        {
            "result": RESULTS,
            "dump": {
                "missing": ("nowhere", "nowhere: cannot be read"),
                "another text": ("text.txt", "no estimated power use is in the dump"),
            },
            "alone": {"no app": ("text.txt", "--batterystats and --uid go together")},
            "signed": {"no bundle": ("wrong/public.pem", "--require-signature goes with a BUNDLE")},
            "proven": {
                "missing": ("nowhere", "nowhere: not an artifact"),
                "another artifact": ("artifact", "the result is of artifact aaaaaaaaaaaa, and artifact is"),
            },
        },
        {
            "dump": "--uid u0a1 --batterystats <dump>",
            "alone": "--batterystats <alone>",
            "signed": "--require-signature <signed>",
            "proven": "<proven>",
        },
    ),
    "profile, a comparison": Command(
        "profile --compare results <side>", {"side": "results/2.json"}, {"side": SIDES_OF_RESULTS}
    ),
    "doctor": Command(
        "doctor", {}, {"extra": {"argument": ("now", "unexpected extra argument")}}, {"extra": "<extra>"}
    ),
}


def names() -> set[str]:
    """The commands that there are."""
    return {info.name or info.callback.__name__ for info in app.registered_commands if info.callback is not None}


def cases() -> Iterator[object]:
    """Every command with every wrong value of each of its slots."""
    for name, command in COMMANDS.items():
        if name.split()[0] not in names():
            continue
        for slot, wrongs in command.wrong.items():
            for label, (value, says) in wrongs.items():
                yield pytest.param(command.words_with(slot, value), says, id=f"{name}-{slot}-{label}")
        first = next(iter(command.good), None)
        words = command.words_with("", "") if first or "<" not in command.words else [name, "model.safetensors"]
        for label, (value, says) in LOGS.items():
            yield pytest.param([*words, "--log", value], says, id=f"{name}-log-{label}")
        yield pytest.param([*words, "--colour"], "No such option: --colour", id=f"{name}-unknown option")
        if name != "doctor":
            yield pytest.param([words[0]], "Missing (argument|option)", id=f"{name}-nothing given")


def test_no_command_is_left_out() -> None:
    """A new command has to say here which wrong inputs it meets."""
    assert names() <= {command.words.split()[0] for command in COMMANDS.values()}


@pytest.mark.parametrize(("words", "says"), list(cases()))
def test_wrong_input(words: list[str], says: str, world: Path, capfd: Captured) -> None:
    """Two lines, exit 2, nothing left behind, and the same as JSON."""
    assert_refused(words, says, capfd, folder=world)
    assert not (world / "wrong" / "ran").exists()
