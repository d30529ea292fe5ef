"""What every command does when it is used rightly, on the bundled tiny model and small pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from moceir_edge.artifacts import artifact_sha256, read_artifact
from moceir_edge.bundling.opened import open_bundle
from moceir_edge.cli.console import Console
from moceir_edge.cli.entry import run
from moceir_edge.data.images import Picture, Pixels, read_picture, write_picture
from moceir_edge.errors import ArtifactError
from moceir_edge.metrics import psnr_db
from moceir_edge.network.checkpoint import load
from moceir_edge.records import sha256_of_file
from moceir_edge.resources import find_resource
from moceir_edge.routing.routing import Routing
from moceir_edge.terms import GateState, TargetName
from moceir_edge.versions import LIBRARIES
from tests.cli.calls import Captured, assert_refused, result_of
from tests.cli.world import FIXED, drawn, smooth
from tests.predicting.conftest import PROFILE
from tests.profiling.results import result


@pytest.fixture
def out(world: Path) -> Iterator[Path]:
    """A folder for results, in the world."""
    folder = world / "out"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_doctor(capfd: Captured) -> None:
    """The machine, its libraries and targets."""
    health = result_of(["doctor"], capfd)
    assert {target["target"] for target in health["targets"]} == set(TargetName)
    assert health["libraries"]["torch"]
    assert {*LIBRARIES, "onnxruntime-web"} == health["libraries"].keys()


def test_train(world: Path, capfd: Captured) -> None:
    """Two steps, and the same again without one; what it made is a model."""
    pytest.importorskip("lightning", reason="lightning is not installed")
    words = ["train", "--config", "train.yaml", "--data", "data", "--out", "trained"]
    trained, again = (result_of(words, capfd) for _ in range(2))
    assert (trained["steps"], again["sha256"]) == (2, trained["sha256"])
    assert result_of(["inspect", trained["model"]], capfd)["sha256"] == trained["sha256"]


def test_narrow(out: Path, capfd: Captured) -> None:
    """Fewer MACs and parameters, for the same task; the same command goes on from what lies there."""
    words = ["narrow", "slim.safetensors", "--data", "data", "--keep-macs", "0.8", "--multiple", "8"]
    words += ["--out", "out/narrow.safetensors"]
    narrow = result_of(words, capfd)
    assert (out / "narrow.safetensors.run" / "judgement.json").is_file()
    assert narrow["macs"][0] <= 0.8 * narrow["macs"][1]
    assert narrow["cutting"]["plan"]["cost"] == narrow["macs"][0]
    assert [row["task"] for row in narrow["judgement"]["summaries"]] == narrow["tasks"] == ["derain"]
    inspected = result_of(["inspect", "out/narrow.safetensors"], capfd)
    assert (inspected["sha256"], inspected["parameters"]) == (narrow["sha256"], narrow["parameters"][0])
    run([*words, "--force"])
    said = capfd.readouterr().err
    assert "cut: reused" in said
    assert "judgement: reused" in said
    assert load(out / "narrow.safetensors").sha256 == narrow["sha256"]


def test_inspect(world: Path, capfd: Captured) -> None:
    """A model by its parameters and hash; an artifact by its files and what it was made from."""
    model = result_of(["inspect", "slim.safetensors"], capfd)
    artifact = result_of(["inspect", "artifact"], capfd)
    assert (model["kind"], artifact["kind"]) == ("model", "artifact")
    assert model["parameters"] == load(world / "slim.safetensors").parameters
    assert model["sha256"] == artifact["made_from"]
    assert artifact["sha256"] == artifact_sha256(world / "artifact")
    assert model["tasks"] == artifact["tasks"] == ["derain"]
    assert artifact["verified"]
    assert "model.onnx" in artifact["files"]


def test_convert_there_and_back(out: Path, capfd: Captured) -> None:
    """To the published layout and back, the model has the same hash."""
    there = result_of(["convert", "model.safetensors", "out/last.ckpt"], capfd)
    back = result_of(["convert", "out/last.ckpt", "out/back.safetensors"], capfd)
    assert there["sha256"] == back["sha256"] == load(out / "back.safetensors").sha256


def test_observe_then_slim(out: Path, capfd: Captured) -> None:
    """The routing that is written is the one that is shown, and a slim model is made from it."""
    words = "observe model.safetensors --data data --task derain --out out/routing.json"
    routing = result_of(words.split(), capfd)
    assert routing["path"] == "out/routing.json"
    assert [picture["task"] for picture in routing["choosing"]["pictures"]] == ["derain"]
    words = "slim model.safetensors --routing out/routing.json --task derain --max-experts 1 --out out/s.safetensors"
    slim = result_of(words.split(), capfd)
    assert slim["costs"]["macs"] < slim["costs"]["full_macs"]
    assert load(out / "s.safetensors").sha256 == slim["sha256"]


def test_frontier(out: Path, capfd: Captured) -> None:
    """What it picks passes the gates of a verification; a ceiling that nothing meets is told with what would do."""
    words = "frontier slim.safetensors --data data --recipe recipe.yaml --keep-macs 1 --threads 1 --out out/frontier"
    found = result_of([*words.split(), "--max-size-mib", "100"], capfd)
    assert (found["picked"], found["frontier"], found["tasks"]) == ("1-recipe", ["1-recipe"], ["derain"])
    assert load(out / "frontier" / "picked" / "model.safetensors").sha256 == found["model_sha256"]
    verify = "verify out/frontier/picked/artifact --reference slim.safetensors --data data --threads 1"
    assert {gate["state"] for gate in result_of(verify.split(), capfd)["gates"]} <= {"passed", "not_run"}
    assert run([*words.split(), "-q", "--max-size-mib", "0.5"]) == 2
    said = capfd.readouterr().err
    assert "no point is within 0.5 MiB: the nearest, 1-recipe, has" in said
    assert not (out / "frontier" / "picked").exists()
    assert result_of(words.split(), capfd)["stages_run"] == []


def test_frontier_for_a_device(out: Path, capfd: Captured) -> None:
    """What no point can reach on it is refused, and what is picked is picked by its predicted bound."""
    (out / "board.yaml").write_text(json.dumps(PROFILE))
    words = "frontier slim.safetensors --data data --recipe recipe.yaml --keep-macs 1 --threads 1 --out out/device"
    found = result_of([*words.split(), "--device", "out/board.yaml", "--max-latency-ms", "1e9"], capfd)
    (point,) = found["points"]
    assert (found["device"], found["picked"]) == ("board", point["name"])
    assert 0 < point["bound_ms"] != point["measured"]["latency_ms"]
    assert run([*words.split(), "-q", "--device", "out/board.yaml", "--max-latency-ms", "0.001"]) == 2
    assert "no point is within 0.001 ms of predicted bound on board" in capfd.readouterr().err


def test_export_then_verify_and_evaluate(out: Path, capfd: Captured) -> None:
    """The artifact passes its gates twice, and is as good as its model."""
    (out / "any.yaml").write_text("target: onnx\nprecision: float32\ngolden: 1\n")
    words = "export slim.safetensors --recipe out/any.yaml --data data --out out/artifact"
    exported = result_of(words.split(), capfd)
    assert exported["passed"]
    assert exported["verified"]
    assert read_artifact(out / "artifact").fixed_size is None
    assert read_artifact(out / "artifact").memory is not None
    words = "verify out/artifact --reference slim.safetensors --data data --threads 1"
    verified = result_of(words.split(), capfd)
    assert {gate["state"] for gate in verified["gates"]} <= {"passed", "not_run"}
    assert verified["rows"][-1]["step"] == "artifact"
    scores = [
        result_of(["evaluate", name, "--data", "data", "--threads", "1"], capfd)["sets"][0]
        for name in ("slim.safetensors", "out/artifact")
    ]
    assert scores[0]["n"] == 3
    assert scores[1]["quality_db"] == pytest.approx(scores[0]["quality_db"], abs=0.01)


def test_failed_gate_is_exit_3(out: Path, capfd: Captured) -> None:
    """The artifact is called `.failed`, nothing has the final name, and the gate is in the result."""
    (out / "strict.yaml").write_text(
        "target: onnx\nprecision: float32\ngolden: 1\nlimits:\n  parity_db: {value: 900, reason: a test}\n"
    )
    words = "export slim.safetensors --recipe out/strict.yaml --data data --out out/artifact"
    result = result_of(words.split(), capfd, code=3)
    assert not result["passed"]
    assert "limit >= 900 dB" in result["failed_gates"][0]
    assert (out / "artifact.failed" / "artifact.json").is_file()
    assert not (out / "artifact").exists()


def test_plan_that_drops_nothing_is_exit_3(out: Path, capfd: Captured, world: Path) -> None:
    """What a gate says goes where errors go: two lines, or one object."""
    routing = Routing.read(world / "routing.json")
    (picture,) = routing.choosing.pictures
    layers = len(routing.choosing.layers)
    each = [((0.1,) * index + (0.7,) + (0.1,) * (3 - index),) * layers for index in range(4)]
    pictures = tuple(picture.model_copy(update={"name": str(i), "scores": scores}) for i, scores in enumerate(each))
    choosing = routing.choosing.model_copy(update={"pictures": pictures})
    routing.model_copy(update={"choosing": choosing}).write(out / "busy.json")
    words = "slim model.safetensors --routing out/busy.json --task derain --out out/s.safetensors"
    assert_refused(words.split(), "the plan drops nothing", capfd, folder=world, code=3)


def test_pipeline_runs_and_reuses(out: Path, capfd: Captured) -> None:
    """From a checkpoint to an artifact; a second run computes nothing."""
    words = "pipeline --checkpoint model.safetensors --task derain --recipe recipe.yaml --data data --out out/run"
    first = result_of(words.split(), capfd)
    again = result_of(words.split(), capfd)
    assert read_artifact(out / "run" / "recipe").verified
    assert first["stages_reused"] == again["stages_run"] == []
    assert first["artifacts"] == again["artifacts"]
    (out / "run" / "report.html").unlink()
    assert result_of(["report", "out/run"], capfd) == {"report": "out/run/report.html"}
    assert "derain" in (out / "run" / "report.html").read_text(encoding="utf-8")


def test_profile_here(out: Path, capfd: Captured) -> None:
    """Times, accuracy and memory of an artifact; each result is kept, can be shown again and be compared."""
    words = ["profile", "artifact", "--runs", "20", "--threads", "1", "--out", "out/results"]
    first, second = (result_of(words, capfd) for _ in range(2))
    found = first["results"]["here"]
    assert found["artifact_sha256"] == artifact_sha256(Path("artifact"))
    assert (len(found["latency"]["runs_ms"]), found["latency"]["size"]) == (20, list(FIXED))
    assert [golden["finite"] for golden in found["accuracy"]] == [True]
    files = [profiled["written"]["here"] for profiled in (first, second)]
    assert sorted(Path(file).name for file in files) == sorted(path.name for path in (out / "results").iterdir())
    assert result_of(["profile", "--import", files[0]], capfd) == found
    compared = result_of(["profile", "--compare", *files], capfd)
    assert compared["decision"] in {"equal", "slower", "faster", "undecided"}
    assert compared["runs"] == [1, 1]
    run(["profile", "--import", files[0]])
    shown = capfd.readouterr().out
    assert "95 % interval" in shown
    assert "dB to the full model" in shown


def test_profile_in_turns(out: Path, capfd: Captured) -> None:
    """Two artifacts, run beside run: as many runs of each as rounds, and a verdict with its interval."""
    words = "profile artifact --against artifact --rounds 17 --threads 1 --out out/results"
    found = result_of(words.split(), capfd)
    assert [len(found[side][0]["latency"]["runs_ms"]) for side in "ab"] == [17, 17]
    assert found["compared"]["in_turns"]
    assert {comparison["by"] for comparison in found["compared"]["comparisons"]} == {
        "wall-clock time",
        "processor time",
    }
    assert len(list((out / "results").iterdir())) == 2


def test_profile_of_a_bundle(out: Path, capfd: Captured) -> None:
    """What is bundled already is run as it is."""
    run(["bundle", "artifact", "--device", "x86_laptop", "--out", "out/a.tar.gz"])
    capfd.readouterr()
    found = result_of(["profile", "out/a.tar.gz", "--runs", "1", "--threads", "1"], capfd)
    assert found["results"]["here"]["device"]["profile"] == "x86_laptop"
    assert found["written"] == {}


def test_profile_of_a_signed_bundle(out: Path, capfd: Captured) -> None:
    """Run by who requires the right signature, and by nobody who requires another one."""
    run(["bundle", "artifact", "--device", "x86_laptop", "--out", "out/a.tar.gz", "--sign", "key.pem"])
    words, require = ["profile", "out/a.tar.gz", "--runs", "1", "--threads", "1"], "--require-signature"
    assert "here" in result_of([*words, require, "wrong/public.pem"], capfd)["results"]
    assert_refused([*words, require, "wrong/another.pem"], "signed by another key", capfd, folder=out)
    run(["bundle", "artifact", "--device", "x86_laptop", "--out", "out/unsigned.tar.gz"])
    for more in ([], ["--device", "raspberry_pi_5"], ["--against", "out/a.tar.gz"]):
        unsigned = ["profile", "out/unsigned.tar.gz", require, "wrong/public.pem", *more]
        assert_refused(unsigned, "is not signed, and a signature is required", capfd, folder=out)


def test_profile_notes_what_a_device_has_proven(out: Path, world: Path, capfd: Captured) -> None:
    """A result that a phone's runner wrote, held against the artifact that it ran; the report finds it there."""
    artifact = shutil.copytree(world / "artifact", out / "artifact")
    of_this = result([10.0] * 20).model_copy(update={"artifact_sha256": artifact_sha256(artifact)})
    of_this.write(out / "result.json")
    assert run(["profile", "out/artifact", "--import", "out/result.json"]) == 0
    assert "noted in artifact.json" in capfd.readouterr().err
    proof = read_artifact(artifact).proofs.executed_on_device
    assert (proof.state, "median 10.0 ms" in proof.reason) == (GateState.PASSED, True)
    words = ["profile", "out/artifact", "--import", "results/1.json"]
    assert_refused(words, "the result is of artifact aaaaaaaaaaaa", capfd, folder=out)


def test_what_a_device_says_moves_no_cursor(out: Path, capfd: Captured) -> None:
    """Escapes of a terminal in a result, an error or a log are shown as what they are."""
    hostile = "pi\x1b]0;owned\x07\x1b[2J\u202e"
    result(model=hostile).write(out / "result.json")
    assert run(["profile", "--import", "out/result.json", "--log", "out/log"]) == 0
    shown = capfd.readouterr().out + (out / "log").read_text()
    assert r"pi\x1b]0;owned\x07\x1b[2J\u202e" in shown
    assert run(["profile", f"{hostile}.tar.gz"]) == 2
    shown += capfd.readouterr().err
    Console(log=out / "log").say(hostile)
    shown += capfd.readouterr().err + (out / "log").read_text()
    assert all(sign.isprintable() for sign in shown.replace("\n", ""))
    assert run(["profile", "--import", "out/result.json", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["device"]["model"] == hostile


def test_profile_of_a_device_that_is_not_there(world: Path, capfd: Captured) -> None:
    """A predicted bound, labelled as one, and how to measure."""
    words = ["profile", "artifact", "--device", "raspberry_pi_5"]
    (prediction,) = result_of(words, capfd)["predictions"].values()
    assert prediction["label"] == "predicted bound"
    assert [bound["size"] for bound in prediction["sizes"]] == [list(FIXED)]
    assert run(words) == 0
    shown = capfd.readouterr().out
    assert "predicted bound" in shown
    assert "moceir-edge bundle artifact --device raspberry_pi_5" in shown
    assert "moceir-edge profile --import result.json" in shown


def test_profile_compares_folders(out: Path, capfd: Captured) -> None:
    """Equal times are equal; the same results on both sides are refused."""
    for number, time in enumerate((10.0, 10.1)):
        later = result([time] * 40, started_utc=f"2026-11-27T00:00:0{number}+00:00")
        later.write(out / "later" / f"{number}.json")
    compared = result_of(["profile", "--compare", "results", "out/later"], capfd)
    assert (compared["decision"], compared["runs"], compared["in_turns"]) == ("equal", [2, 2], False)
    assert run(["profile", "--compare", "results", "results"]) == 2
    assert "is given twice" in capfd.readouterr().err


def test_bundle_is_opened_by_who_has_the_key(out: Path, capfd: Captured) -> None:
    """The same bytes each time; the public key that stands in the signed one opens it, and no other does."""
    words = "bundle artifact --device x86_laptop --out"
    first, again = (result_of([*words.split(), f"out/{name}.tar.gz"], capfd) for name in ("first", "again"))
    assert first["file_sha256"] == again["file_sha256"] == sha256_of_file(out / "first.tar.gz")
    assert (first["signed"], first["name"].split("-")[:2]) == (False, ["derain", "x86_laptop"])
    assert all(golden["floor_db"] > 20 for golden in first["golden"])
    signed = result_of([*words.split(), "out/signed.tar.gz", "--sign", "key.pem"], capfd)
    assert (signed["signed"], signed["sha256"]) == (True, first["sha256"])
    with pytest.raises(ArtifactError, match="signed by another key"):
        open_bundle(out / "signed.tar.gz", out / "no", public_key=Path("wrong/another.pem"))
    open_bundle(out / "signed.tar.gz", out / "yes", public_key=Path("wrong/public.pem"))
    assert (out / "yes" / signed["name"] / "signature.json").is_file()


FORCED = {
    "convert": ("convert model.safetensors out/new.ckpt", "new.ckpt"),
    "observe": ("observe model.safetensors --data data --no-relevance --out out/new.json", "new.json"),
    "slim": ("slim model.safetensors --routing routing.json --task derain --max-experts 1 --out out/new.safetensors",
             "new.safetensors"),
    "export": ("export slim.safetensors --recipe recipe.yaml --data data --out out/new", "new/artifact.json"),
    "bench": ("bench slim.safetensors --size 64 --rounds 1 --threads 1 --variant lowered --out out/new",
              "new/bench.json"),
    "restore": ("restore slim.safetensors photos --out out/new", "new/1.png"),
    "bundle": ("bundle artifact --device x86_laptop --out out/new.tar.gz", "new.tar.gz"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "name"), FORCED.values(), ids=FORCED)
def test_output_is_kept_unless_forced(words: str, name: str, out: Path, capfd: Captured) -> None:
    """What is there stays as it is with exit 2, and is replaced as a whole with --force."""
    place = out / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine")
    (place.parent / "old").write_text("mine")
    assert run([*words.split(), "-q"]) == 2
    assert "exists already" in capfd.readouterr().err
    assert place.read_text() == "mine"
    result_of([*words.split(), "--force"], capfd)
    assert place.read_bytes() != b"mine"
    assert (place.parent / "old").exists() is (name not in {"new/artifact.json", "new/bench.json"})


def test_force_never_deletes_what_is_no_run(out: Path, capfd: Captured) -> None:
    """A folder of somebody's is not emptied because it was named by mistake."""
    (out / "letter").write_text("mine")
    for words in (
        "demo --out out --force",
        "frontier slim.safetensors --data data --out out --force",
        "export slim.safetensors --recipe recipe.yaml --data data --out out --force",
    ):
        assert run(words.split()) == 2
        assert "out exists already and" in capfd.readouterr().err
    assert (out / "letter").read_text() == "mine"


def test_quiet_says_nothing_but_the_result(world: Path, capfd: Captured) -> None:
    """Progress is for people who want it."""
    assert run(["evaluate", "model.safetensors", "--data", "data", "-q"]) == 0
    shown = capfd.readouterr()
    assert shown.err == ""
    assert "derain" in shown.out
    assert run(["evaluate", "model.safetensors", "--data", "data"]) == 0
    assert "evaluating: 3 of 3" in capfd.readouterr().err


def test_log_holds_what_was_said(out: Path, capfd: Captured) -> None:
    """Progress, results and errors of several commands, also when nothing is shown."""
    assert run(["evaluate", "model.safetensors", "--data", "data", "-q", "--log", "out/logs/a.log"]) == 0
    assert run(["evaluate", "nowhere.ckpt", "--data", "data", "-q", "--log=out/logs/a.log"]) == 2
    text = (out / "logs" / "a.log").read_text()
    assert "derain" in text
    assert "error: nowhere.ckpt: no such file; give a MoCE-IR checkpoint" in text
    assert run(["evaluate", "model.safetensors", "--data", "data", "--log", "out/logs/b.log"]) == 0
    assert "evaluating: 3 of 3" in (out / "logs" / "b.log").read_text()


@pytest.mark.parametrize("words", ["--help", "slim --help", "restore -h"])
def test_help_has_an_example(words: str, capfd: Captured) -> None:
    """It goes to stdout, and ends well."""
    assert run(words.split()) == 0
    assert ("Example: moceir-edge" in capfd.readouterr().out) is (words != "--help")


def restored(words: str, captured: Captured) -> dict[str, str]:
    """What `restore` wrote, by input."""
    written = result_of(["restore", *words.split(), "--out", "out/new"], captured)["written"]
    assert isinstance(written, dict)
    return written


def test_restore_keeps_folders_and_formats(out: Path, capfd: Captured) -> None:
    """Folders below a folder stay, every picture keeps its suffix, size and depth; a damaged one is named."""
    pictures = {"a.png": (16, 37, 41), "deep/er/b.tiff": (16, 16, 9), "deep/c.jpg": (8, 33, 64), "d.webp": (8, 24, 70)}
    for name, (bits, height, width) in pictures.items():
        write_picture(Picture(smooth(height, width), 16 if bits == 16 else 8), out / "in" / name)
    (out / "in" / "broken.png").write_text("text")
    (out / "in" / "notes.txt").write_text("text")
    words = "restore model.safetensors out/in --out out/new --strength 0"
    result = result_of(words.split(), capfd)
    assert set(result["written"]) == {f"out/in/{name}" for name in pictures}
    assert list(result["skipped"]) == ["out/in/broken.png"]
    for name, (bits, height, width) in pictures.items():
        picture = read_picture(out / "new" / name)
        assert (picture.bits, *picture.pixels.shape[1:]) == (bits, height, width)
        assert psnr_db(smooth(height, width), picture.pixels) > 45


def test_restore_in_16_bits_is_not_rounded_to_8(out: Path, capfd: Captured) -> None:
    """The result has more than 256 levels."""
    write_picture(Picture(smooth(64, 64), 16), out / "a.png")
    restored("model.safetensors out/a.png", capfd)
    samples = read_picture(out / "new" / "a.png").pixels
    assert len(np.unique(samples[0])) > 300


@pytest.mark.parametrize("bits", [8, 16])
def test_strength_0_is_the_picture_itself(bits: int, out: Path, capfd: Captured) -> None:
    """Not one sample changes; 1 changes many, and a half lies between."""
    given = drawn(1, height=40, width=45)[0]
    write_picture(Picture(given, 16 if bits == 16 else 8), out / "a.png")
    made: dict[str, Pixels] = {}
    for strength in ("0", "0.5", "1"):
        restored(f"model.safetensors out/a.png --force --strength {strength}", capfd)
        made[strength] = read_picture(out / "new" / "a.png").pixels
    given = read_picture(out / "a.png").pixels
    assert np.array_equal(made["0"], given)
    assert not np.array_equal(made["1"], given)
    inside = (made["1"] > 0) & (made["1"] < 1)  # what is clipped there was farther away
    assert made["0.5"][inside] == pytest.approx(((given + made["1"]) / 2)[inside], abs=1.5 / 255)


def test_tiles_come_close_to_the_whole(out: Path, capfd: Captured) -> None:
    """Tiles of 192 pixels of a photograph: the seams are not seen (45 dB; measured 54.9)."""
    shutil.copyfile(find_resource("calibration", "demo").parent / "pictures" / "coffee.png", out / "coffee.png")
    restored("model.safetensors out/coffee.png", capfd)
    whole = read_picture(out / "new" / "coffee.png").pixels
    restored("model.safetensors out/coffee.png --force --tile 192", capfd)
    tiled = read_picture(out / "new" / "coffee.png").pixels
    assert not np.array_equal(tiled, whole)
    assert psnr_db(whole, tiled) >= 45


def test_artifact_of_one_size_restores_any(out: Path, capfd: Captured) -> None:
    """Smaller pictures are padded, larger ones are put together from tiles of its size."""
    sizes = {"small.png": (31, 20), "large.png": (100, 150), "exact.png": FIXED}
    for name, size in sizes.items():
        write_picture(Picture(smooth(*size)), out / "in" / name)
    restored("artifact out/in", capfd)
    found = {name: read_picture(out / "new" / name).pixels for name in sizes}
    assert {name: pixels.shape[1:] for name, pixels in found.items()} == sizes
    restored("slim.safetensors out/in/exact.png --force", capfd)
    assert psnr_db(read_picture(out / "new" / "exact.png").pixels, found["exact.png"]) > 55


def test_tile_of_another_size_than_the_artifact_is_refused(out: Path, capfd: Captured) -> None:
    """An option that could have no effect is not taken."""
    assert run(["restore", "artifact", "photos", "--out", "out/new", "--tile", "96"]) == 2
    assert "artifact serves pictures of 72x64, not tiles of 96" in capfd.readouterr().err


def test_restore_drops_where_a_picture_was_taken(out: Path, capfd: Captured) -> None:
    """EXIF with its GPS position goes; the turn it asks for has been made."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "a camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    samples = np.rint(smooth(24, 40).transpose(1, 2, 0) * 255).astype(np.uint8)
    for suffix in ("jpg", "png", "webp"):
        Image.fromarray(samples).save(out / f"{suffix}.{suffix}", exif=exif)
        restored(f"model.safetensors out/{suffix}.{suffix}", capfd)
        with Image.open(out / "new" / f"{suffix}.{suffix}") as image:
            assert not dict(image.getexif())
            assert image.size == (24, 40)


@pytest.mark.slow
def test_an_int8_artifact_is_made_again_from_its_plan(out: Path, capfd: Captured) -> None:
    """The plan says everything that was measured: the same bytes, without a search, whose parts are gone by then."""
    (out / "int8.yaml").write_text(
        "target: onnx\nprecision: int8\ngolden: 1\nsize: [64, 72]\nguard: false\n"
        "quantize: {pictures: 2, crop: 64, reduced_range: true}\n"
        "limits: {quality_loss_db: {value: 1, reason: a test}, worst_loss_db: {value: 2, reason: a test}}\n"
    )
    words = "export slim.safetensors --recipe out/int8.yaml --data data"
    first = result_of([*words.split(), "--out", "out/first"], capfd)
    assert not (out / "first.search").exists()
    plan = ["--plan", "out/first/precision.json"]
    again = result_of([*words.split(), "--out", "out/again", *plan], capfd)
    assert first["sha256"] == again["sha256"]
    placement = result_of(["inspect", "out/again"], capfd)["placement"]
    assert {text.split(":")[0] for text in placement.values()} <= {"float", "int8", "int8-chain"}


def test_a_foreign_search_folder_is_refused(out: Path, world: Path, capfd: Captured) -> None:
    """Whatever lies there stays."""
    (out / "int8.yaml").write_text("target: onnx\nprecision: int8\n")
    (out / "a.search").mkdir()
    (out / "a.search" / "report.html").write_text("somebody's")
    words = "export slim.safetensors --recipe out/int8.yaml --data data --out out/a"
    assert_refused(words.split(), "a.search exists already and is no search", capfd, folder=world)
