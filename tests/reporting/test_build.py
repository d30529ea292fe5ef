"""The report of a small synthetic run: true numbers, plain words, nothing from outside."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moceir_edge.artifacts import artifact_sha256
from moceir_edge.errors import InputError
from moceir_edge.reporting.build import report
from tests.profiling.results import result
from tests.reporting.page import Page, assert_true_numbers
from tests.reporting.synthetic import guard_facts, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run."""
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    """Its report."""
    return Page(report(run).read_text(encoding="utf-8"))


def words(page: Page) -> str:
    """The text of a page with single spaces."""
    return re.sub(r"\s+", " ", page.words)


def test_numbers_equal_the_json(run: Path, page: Page) -> None:
    """Every number names its place in the JSON and says what stands there, for both recipes and every stage."""
    assert_true_numbers(run, page.numbers)
    files = {key.split(".")[0] for key, _, _ in page.numbers}
    assert files >= {"model", "data", "routing", "slim", "guard"}
    assert files >= {"verify-desktop", "verify-phone", "export-desktop", "export-phone", "desktop", "reference"}
    assert len(page.numbers) > 200


def test_one_file_without_scripts(page: Page) -> None:
    """Nothing is loaded, nothing runs, and a file name with a tag in it stays text."""
    assert "script" not in page.tags
    assert "<b>snapshots</b>: a folder of no task" in words(page)
    assert "derain_light/<script>alert(1)&'\"" in page.words
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert not re.search(r"url\((?!#)|@import", page.text)


def test_no_folder_of_the_machine(run: Path, page: Page) -> None:
    """A report travels: it names the checkpoint's file, not where it lay."""
    assert "last.ckpt" in page.words
    assert "/home/somebody" not in page.text
    assert str(run) not in page.text


def test_pictures_are_not_blank(page: Page) -> None:
    """Nine of ten pictures of each recipe are embedded; the flat difference is put into words."""
    assert len(page.pictures) == 18
    for content in page.pictures:
        assert np.asarray(Image.open(io.BytesIO(content))).std() > 5
    assert words(page).count("nothing to show: no value differs by as much as 1/16 of a grey level") == 2


def test_verdicts(page: Page) -> None:
    """Failed and unverified, with the failed gate's value and limit."""
    text = words(page)
    assert "desktop failed" in text
    assert "artifact: same routes 0.9500, limit ≥ 0.9900" in text
    assert "phone passed, unverified" in text
    assert "Not verified: not executed on device: not verified on a device" in text
    assert "float16 (the artifact was not run)" in text


def test_warnings_in_words(page: Page) -> None:
    """Idle experts, agreement that is blind, an empty bound, and a reference that does not beat its input are said."""
    text = words(page)
    assert "counting routes is no evidence here" in text
    assert "The choice matters in every layer." in text
    assert "Agreement can say nothing here" in text
    assert "this bound says nothing about the pictures" in text
    assert "On dehaze the reference itself does not beat its input: 16.50 dB after it, 17.50 dB before." in text
    assert text.count("On dehaze the reference") == 1


def test_guard_by_task(page: Page) -> None:
    """The limit in words, false alarms, what is told apart and what is not, and a curve for each with its number."""
    text = words(page)
    assert "farther than 0.46 from their nearest 1 among 2 choosing pictures of derain" in text
    assert "the others call 6.2 % of these pictures foreign" in text
    assert "derain425.0 %–its own: these are false alarms" in text
    assert "dehaze475.0 %0.938told apart" in text
    assert "desnow20.0 %0.500looks alike to the routers" in text
    assert "dehaze: 0.94 (n = 4)" in text
    assert "ROC curves of the guard against 4 judging pictures of derain" in text


def test_no_guard_has_a_reason(run: Path, tmp_path: Path) -> None:
    """One that could not be calibrated says why; one of before says that it is missing."""
    shutil.copytree(run, tmp_path / "run")
    guard_facts().model_copy(update={"rule": None, "reason": "no choosing pictures"}).write(tmp_path / "run/guard.json")
    text = words(Page(report(tmp_path / "run").read_text(encoding="utf-8")))
    assert "There is none: no choosing pictures." in text
    (tmp_path / "run" / "guard.json").unlink()
    text = words(Page(report(tmp_path / "run").read_text(encoding="utf-8")))
    assert "Missing: guard.json is not there" in text


def test_devices(run: Path, page: Page, tmp_path: Path) -> None:
    """A row for each result with its interval, and why one does not count; without any, how to get one."""
    assert "Nothing has been profiled" in words(page)
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "phone" / "model.onnx").write_bytes(b"model")
    sha256 = artifact_sha256(copy / "phone")
    result([20.0] * 30, model="Orin").model_copy(update={"artifact_sha256": sha256}).write(copy / "profiles/a.json")
    disturbed = result([30.0] * 30, model="Orin", invalid=["throttled: the clock fell"])
    disturbed.write(copy / "profiles/b.json")
    found = Page(report(copy).read_text(encoding="utf-8"))
    assert_true_numbers(copy, found.numbers)
    text = words(found)
    assert "Orinphoneonnxruntime 1, CPUExecutionProvider64x6420.020.0 to 20.0" in text
    assert "another than those of this run" in text
    assert "throttled: the clock fell" in text
    assert text.count("as promisedvalid") == text.count("as promisedinvalid") == 1


def test_skipped_operations_are_grouped(page: Page) -> None:
    """One line for three operations with one reason, whose numbers become a range."""
    assert "3 × int8 noise alone 20.5 to 22.5 dB below; spent" in words(page)
    assert "2 operations are float32 islands" in words(page)


def test_float16_bounds_by_picture(page: Page) -> None:
    """The largest sum, what rounding cost, and where; a dash where nothing was rounded."""
    text = words(page)
    assert "black, 256x25629.261.40 dBenc.0.conv" in text
    assert "white, 256x25612,345.6–enc.1.conv" in text
    assert "float16 ends at 65,504" in text


def test_stored_weights_and_compute_units(page: Page) -> None:
    """Bytes before and after, how a weight is stored and why, and what leaves the Neural Engine by whose word."""
    text = words(page)
    assert "The weights of convolutions take 1.06 MB of 2.40 MB as floats." in text
    assert "palette-4" in text
    assert "900 on the Neural Engine, 12 on the GPU, 0 on the CPU, 24 switches" in text
    assert "estimate by the rules below" in text
    assert "typed-execution-example.html" in text


def test_same_run_same_page(run: Path, page: Page) -> None:
    """Nothing in a report depends on when it is made."""
    assert report(run).read_text(encoding="utf-8") == page.text


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (("verify-desktop.json", "desktop.failed"), "verify-desktop.json is not there"),
        (("slim.json",), "slim.json is not there"),
        (("routing.json", "slim.json", "verify-phone.json", "pictures-phone"), "routing.json is not there"),
        (("export-desktop.json", "export-phone.json", "verify-desktop.json", "verify-phone.json"), "no recipe"),
    ],
)
def test_partial_run(run: Path, tmp_path: Path, gone: tuple[str, ...], said: str) -> None:
    """What is missing is said, the rest is shown and true."""
    partial = shutil.copytree(run, tmp_path / "partial")
    for name in gone:
        path = partial / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = Page(report(partial).read_text(encoding="utf-8"))
    assert said in words(page)
    assert_true_numbers(partial, page.numbers)


def test_damaged_file(run: Path, tmp_path: Path) -> None:
    """A file of another version is named with its first problem, and does not stop the report."""
    damaged = shutil.copytree(run, tmp_path / "damaged")
    (damaged / "slim.json").write_text('{"plan": 1}')
    text = words(Page(report(damaged).read_text(encoding="utf-8")))
    assert "slim.json cannot be used: not a SlimFacts: plan" in text


def test_files_that_do_not_belong_together(run: Path, tmp_path: Path) -> None:
    """A stage made from other files than those that lie there is named."""
    mixed = shutil.copytree(run, tmp_path / "mixed")
    path = mixed / "routing.json"
    path.write_text(path.read_text().replace('"draws": 4', '"draws": 8'))
    assert "slim.json was made from another routing.json" in words(Page(report(mixed).read_text(encoding="utf-8")))


def test_no_run(tmp_path: Path) -> None:
    """A folder without anything of a run is refused in one line."""
    with pytest.raises(InputError, match="nothing of a run is here"):
        report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_table_of_truth_has_a_row_for_each_artifact(tmp_path: Path) -> None:
    """What was shown, in words, and what it lost, as Markdown beside the page."""
    report(write_run(tmp_path))
    head, line, *rows = (tmp_path / "truth.md").read_text(encoding="utf-8").splitlines()
    assert head.startswith(
        "| artifact | target | precision | parsed | built | emulated | executed | executed on a device |"
    )
    assert set(line) <= set("|- ")
    assert [row.split("|")[1].strip() for row in rows] == ["desktop", "phone"]
    assert all(row.count("|") == head.count("|") for row in rows)
    assert "| passed | failed |" in rows[0]
