"""The page in a real Chromium: a rainy picture in, the canvas compared with what Python makes of it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from moceir_edge.artifacts import artifact_sha256, read_artifact
from moceir_edge.bundling.bundle import bundle
from moceir_edge.bundling.manifest import BundleManifest
from moceir_edge.bundling.opened import open_bundle
from moceir_edge.data.images import Picture, read_picture, write_picture
from moceir_edge.device_result import ProfileResult, RunnerName, read_result
from moceir_edge.metrics import psnr_db
from moceir_edge.records import sha256_of_file
from moceir_edge.serving import open_server
from moceir_edge.streaming.restore import restore
from moceir_edge.targets.onnx_runtime import OnnxRunner
from tests.picture_vectors import restore_pixels

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed, and it drives the browser")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PARITY_DB = 50.0
PATIENCE_MS = 120_000

pytestmark = pytest.mark.slow

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium of whatever name."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed, none of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens a page in a new profile, and waits until the model is there; nothing may go wrong unsaid."""
    contexts, wrong = [], []

    def open_page(url: str, *, ready: bool = True, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        if ready:
            wait_for(page, "Ready.")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def wait_for(page: Any, text: str) -> None:
    """Until the status says it."""
    page.wait_for_function("text => document.getElementById('status').textContent.startsWith(text)", arg=text)


def pixels_of(page: Any, canvas: str) -> NDArray[np.float32]:
    """(3, H, W) in [0, 1] of a canvas."""
    width, height, values = page.evaluate(
        """id => { const c = document.getElementById(id);
        return [c.width, c.height, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]; }""",
        canvas,
    )
    return np.asarray(values, np.float32).reshape(height, width, 4)[..., :3].transpose(2, 0, 1) / 255


def restored_here(artifact: Path, path: Path) -> NDArray[np.float32]:
    """What ONNX Runtime and Python make of a picture file, in 8 bits."""
    facts = read_artifact(artifact)
    runner = OnnxRunner(artifact / facts.model, size=facts.fixed_size)
    restored = restore_pixels(runner, read_picture(path).pixels)
    rounded: NDArray[np.float32] = np.rint(255 * np.clip(restored, 0, 1)) / 255
    return rounded


def give(page: Any, path: Path) -> None:
    """Choose a file, as a person does."""
    page.set_input_files("#file", str(path))


def test_a_rainy_picture_comes_back_restored(open_page: Open, url: str, artifact: Path, rain: Path) -> None:
    """The canvas is what Python computes; the page says how long it took, and that the picture is of its task."""
    page = open_page(url)
    path = rain / "derain" / "input" / "0.png"
    give(page, path)
    wait_for(page, "Restored 72×64")
    assert np.array_equal(np.rint(pixels_of(page, "before") * 255), np.rint(read_picture(path).pixels * 255))
    assert psnr_db(restored_here(artifact, path), pixels_of(page, "after")) >= PARITY_DB
    rows = page.locator("#times tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == ["Decode", "Model", "Tiles and seams", "Draw"]
    assert page.locator("#verdict").inner_text().startswith("The picture looks like derain: routing distance 0.")
    assert page.locator("#error").is_hidden()


def test_large_pictures_go_in_tiles(open_page: Open, url: str, artifact: Path, tmp_path: Path) -> None:
    """Four times what the model serves, and a little, seams and all as in Python."""
    path = tmp_path / "large.png"
    write_picture(Picture(np.random.default_rng(0).random((3, 150, 131), np.float32)), path)
    page = open_page(url)
    give(page, path)
    wait_for(page, "Restored 131×150")
    assert psnr_db(restored_here(artifact, path), pixels_of(page, "after")) >= PARITY_DB


def test_a_foreign_picture_is_named(open_page: Open, url: str, artifact: Path, tmp_path: Path) -> None:
    """A night, in tiles: the distance is Python's, and above the limit."""
    path = tmp_path / "night.png"
    write_picture(Picture(0.05 * np.random.default_rng(0).random((3, 150, 131), np.float32)), path)
    page = open_page(url)
    give(page, path)
    wait_for(page, "Restored 131×150")
    found = restore(artifact, [path], tmp_path / "out").guard[str(path)]
    assert found.foreign
    assert (
        f"looks like none of derain, it may need another model: {found.text}" in page.locator("#verdict").inner_text()
    )


def test_strength_and_divider(open_page: Open, url: str, rain: Path) -> None:
    """Without strength the picture stays as it is; the divider moves with the keyboard."""
    page = open_page(url)
    give(page, rain / "derain" / "input" / "1.png")
    wait_for(page, "Restored")
    assert not np.array_equal(pixels_of(page, "after"), pixels_of(page, "before"))
    page.focus("#strength")
    page.keyboard.press("Home")
    page.wait_for_function("() => document.getElementById('strength-value').innerText === '0 %'")  # with the next frame
    assert np.array_equal(pixels_of(page, "after"), pixels_of(page, "before"))
    page.focus("#split")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.getElementById('stage').style.getPropertyValue('--split')") == "49%"


def test_everything_is_reached_with_the_keyboard(open_page: Open, url: str) -> None:
    """Tab, Enter and arrows do it all, and the example needs no file."""
    page = open_page(url)
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "example":
            break
    page.keyboard.press("Enter")
    wait_for(page, "Restored")
    seen = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"split", "strength", "save", "SUMMARY"} <= seen


def test_the_result_is_saved_as_a_picture(open_page: Open, url: str, rain: Path, tmp_path: Path) -> None:
    """The PNG holds what the canvas shows, under the picture's name."""
    page = open_page(url)
    give(page, rain / "derain" / "input" / "0.png")
    wait_for(page, "Restored")
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "0.restored.png"
    download.value.save_as(tmp_path / "saved.png")
    np.testing.assert_allclose(read_picture(tmp_path / "saved.png").pixels, pixels_of(page, "after"), atol=1e-6)


def test_the_device_is_checked_against_the_golden_pictures(open_page: Open, url: str) -> None:
    """The page's own parity with the reference that travels with the artifact."""
    page = open_page(url)
    page.click("summary")
    page.click("#check")
    page.wait_for_function("() => document.getElementById('checked').textContent !== ''")
    assert page.locator("#checked").inner_text().startswith("As the reference: ")
    assert "not verified on a device" in page.locator("#facts").inner_text()


def bundled(artifact: Path, folder: Path, **pairs: Path) -> BundleManifest:
    """A bundle of the page, unpacked below a folder that exists. pairs: as for `bundle`."""
    bundle(artifact, "browser", folder / "derain.tar.gz", **pairs)
    return open_bundle(folder / "derain.tar.gz", folder)


def profiled(page: Any, path: Path) -> ProfileResult:
    """What the page saves, in a file."""
    page.click("summary")
    with page.expect_download() as download:
        page.click("#profile")
    download.value.save_as(path)
    return read_result(path)


@pytest.mark.parametrize("own", [False, True], ids=["artifact", "own pictures"])
def test_the_device_is_profiled(open_page: Open, artifact: Path, rain: Path, tmp_path: Path, own: bool) -> None:
    """A bundle's page saves the result of all runners: of the bundle's golden pairs, whosever they are."""
    pairs = {"pictures": rain / "derain" / "input", "reference": artifact.parent / "slim.safetensors"}
    manifest = bundled(artifact, tmp_path, **pairs if own else {})
    with open_server(tmp_path / manifest.name, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = open_page(f"http://127.0.0.1:{server.server_port}")
        result = profiled(page, tmp_path / "result.json")
        server.shutdown()
    assert result.runner is RunnerName.BROWSER
    assert result.runner_version == version("moceir-edge")
    assert result.bundle_sha256 == sha256_of_file(tmp_path / manifest.name / "manifest.json")
    assert result.artifact_sha256 == artifact_sha256(artifact)
    assert result.passed
    told = [(row.name, row.task, row.floor_db) for row in result.accuracy]
    assert told == [(golden.name, golden.task, golden.floor_db) for golden in manifest.golden]
    assert len(told) == (3 if own else 1)
    assert result.accuracy[0].floor_db is not None
    assert len(result.latency.runs_ms) >= 20
    assert "Median" in page.locator("#checked").inner_text()


def beside(manifest: BundleManifest, folder: Path) -> Path:
    """An unpacked bundle's artifact with the manifest in it, as any server shows both."""
    shutil.copyfile(folder / manifest.name / "manifest.json", folder / manifest.name / "artifact" / "manifest.json")
    return folder / manifest.name / "artifact"


def test_an_altered_golden_picture_is_found(open_page: Open, artifact: Path, tmp_path: Path) -> None:
    """Before anything is timed."""
    manifest = bundled(artifact, tmp_path)
    folder = beside(manifest, tmp_path)
    path = tmp_path / manifest.name / manifest.golden[0].input
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with plainly_served(folder) as plain:
        page = open_page(plain)
        page.click("summary")
        page.click("#profile")
        page.wait_for_selector("#error:not([hidden])")
        name = path.relative_to(folder).as_posix()
        assert f"{name} was altered on the server (its sha256 differs)" in page.locator("#error").inner_text()


def overflowing(folder: Path) -> None:
    """Make an artifact's model, beside its manifest, give infinity, and both know its new hash."""
    artifact = json.loads((folder / "artifact.json").read_bytes())
    model = onnx.load(folder / artifact["model"])
    node = next(node for node in model.graph.node if "restored" in node.output)
    node.output[list(node.output).index("restored")] = "finite"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((), np.float32), "nothing"))
    model.graph.node.append(onnx.helper.make_node("Div", ["finite", "nothing"], ["restored"]))
    onnx.save(model, folder / artifact["model"])
    for name, inside in (("artifact.json", ""), ("manifest.json", "artifact/")):
        facts = json.loads((folder / name).read_bytes())
        facts["files"][inside + artifact["model"]]["sha256"] = sha256_of_file(folder / artifact["model"])
        (folder / name).write_text(json.dumps(facts))


def test_infinity_is_told(open_page: Open, artifact: Path, rain: Path, tmp_path: Path) -> None:
    """It is no picture that is shown, and no golden picture that is as it should be."""
    folder = beside(bundled(artifact, tmp_path), tmp_path)
    overflowing(folder)
    with plainly_served(folder) as plain:
        page = open_page(plain)
        give(page, rain / "derain" / "input" / "0.png")
        page.wait_for_selector("#error:not([hidden])")
        assert "the model gives NaN or infinity on this picture" in page.locator("#error").inner_text()
        assert page.locator("#result").is_hidden()
        (row,) = profiled(page, tmp_path / "result.json").accuracy
    assert (row.finite, row.psnr_db, row.passed) == (False, None, False)


def test_a_profile_without_a_bundle_is_refused(open_page: Open, url: str) -> None:
    """With what to do, on the page."""
    page = open_page(url)
    page.click("summary")
    page.click("#profile")
    page.wait_for_function("() => !document.getElementById('error').hidden")
    assert "moceir-edge serve" in page.locator("#error").inner_text()


def test_it_works_without_a_network(open_page: Open, url: str, rain: Path) -> None:
    """Once loaded, also after a reload; and it asks nobody else for anything."""
    page = open_page(url)
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    wait_until_kept(page)
    page.context.set_offline(True)
    page.reload()
    wait_for(page, "Ready.")
    page.click("#example")
    wait_for(page, "Restored")
    give(page, rain / "derain" / "input" / "0.png")
    wait_for(page, "Restored")
    assert all(each.startswith((url, "blob:", "data:")) for each in asked)


def test_what_is_no_picture_is_refused(open_page: Open, url: str, rain: Path, tmp_path: Path) -> None:
    """With the reason on the page; the next picture is restored all the same."""
    good = rain / "derain" / "input" / "0.png"
    says = {
        "text.png": "cannot be read as a picture",
        "empty.png": "is empty",
        "cut.png": "cannot be read as a picture",
    }
    contents = {"text.png": b"no picture", "empty.png": b"", "cut.png": good.read_bytes()[:60]}
    page = open_page(url)
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        give(page, tmp_path / name)
        page.wait_for_function("text => document.getElementById('error').textContent.includes(text)", arg=name)
        assert f"{name} {says[name]}" in page.locator("#error").inner_text()
    give(page, good)
    wait_for(page, "Restored")
    assert page.locator("#error").is_hidden()


def test_a_hundred_megapixels_are_refused(open_page: Open, url: str, tmp_path: Path) -> None:
    """With a sentence, before anything is computed."""
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    page = open_page(url)
    give(page, tmp_path / "huge.png")
    page.wait_for_selector("#error:not([hidden])")
    assert "10000×10000 is more than the 30 megapixels" in page.locator("#error").inner_text()


class Plain(SimpleHTTPRequestHandler):
    """As Python has it, but silent."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class calls it so)
        """Nothing."""


@contextmanager
def plainly_served(folder: Path, *, port: int = 0) -> Iterator[str]:
    """By a server that sets no header and checks nothing."""
    with ThreadingHTTPServer(("127.0.0.1", port), partial(Plain, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_any_server_will_do(open_page: Open, artifact: Path, rain: Path) -> None:
    """Without isolation there is one thread, and the page says why; after a reload it isolates itself."""
    with plainly_served(artifact) as plain:
        page = open_page(plain)
        page.click("summary")
        assert "1 thread (the page is not isolated, so only one: reload it once)" in page.locator("#facts").inner_text()
        give(page, rain / "derain" / "input" / "0.png")
        wait_for(page, "Restored")
        page.wait_for_function("() => navigator.serviceWorker.controller !== null")
        page.reload()
        wait_for(page, "Ready.")
        assert page.evaluate("crossOriginIsolated")


@pytest.mark.parametrize("change", ["altered", "missing"])
def test_another_model_on_the_server_is_found(open_page: Open, artifact: Path, tmp_path: Path, change: str) -> None:
    """By its checksum, or because it is not there; the page says so and restores nothing."""
    folder = copytree(artifact, tmp_path / "changed")
    model = folder / read_artifact(artifact).model
    if change == "altered":
        content = bytearray(model.read_bytes())
        content[len(content) // 2] ^= 1
        model.write_bytes(content)
    else:
        model.unlink()
    with plainly_served(folder) as plain:
        page = open_page(plain, ready=False)
        page.wait_for_selector("#error:not([hidden])")
        says = "was altered on the server" if change == "altered" else "is missing on the server (404)"
        assert f"model.onnx {says}" in page.locator("#error").inner_text()
        assert page.locator("#example").is_disabled()


def test_without_webassembly_it_says_so(open_page: Open, browser: Any, url: str) -> None:
    """An old browser gets a sentence."""
    context = browser.new_context()
    context.add_init_script("delete globalThis.WebAssembly")
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#error:not([hidden])")
    assert "no WebAssembly" in page.locator("#error").inner_text()
    context.close()


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_it_fits_the_screen(open_page: Open, url: str, rain: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    """Nothing is cut off at the side, and there is ink on paper."""
    width, height = size
    page = open_page(url, viewport={"width": width, "height": height})
    give(page, rain / "derain" / "input" / "2.png")
    wait_for(page, "Restored")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=str(tmp_path / "page.png"), full_page=True)
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L"))
    assert pixels.shape[1] == width
    assert pixels.std() > 10


def test_threads_are_used_where_there_are_cores(open_page: Open, url: str, artifact: Path, rain: Path) -> None:
    """`serve` isolates the page at once; two threads give the same picture."""
    page = open_page(url)
    assert page.evaluate("crossOriginIsolated")
    cores = min(4, page.evaluate("navigator.hardwareConcurrency"))
    page.click("summary")
    assert f"WebAssembly, {cores} thread" in page.locator("#facts").inner_text()
    path = rain / "derain" / "input" / "1.png"
    give(page, path)
    wait_for(page, "Restored")
    assert psnr_db(restored_here(artifact, path), pixels_of(page, "after")) >= PARITY_DB


def test_webgpu_is_spoken_of(open_page: Open, url: str) -> None:
    """None is in this folder, whatever the browser has."""
    page = open_page(url)
    page.click("summary")
    page.wait_for_function("() => document.getElementById('facts').textContent.includes('not in this folder')")


def wait_until_kept(page: Any) -> None:
    """Until the page says that it needs no network any more."""
    page.click("summary")
    page.wait_for_function("() => document.getElementById('facts').textContent.includes('works from now on')")


def renamed(artifact: Path, folder: Path, task: str) -> Path:
    """The same model, said to be for another task."""
    copytree(artifact, folder)
    path = folder / "artifact.json"
    path.write_text(path.read_text().replace('"derain"', f'"{task}"'))
    return folder


def test_another_artifact_is_seen_with_the_next_visit(open_page: Open, artifact: Path, tmp_path: Path) -> None:
    """Exported again with the same model, in the same place."""
    other = renamed(artifact, tmp_path / "other", "dehaze")
    with plainly_served(artifact) as plain:
        page = open_page(plain)
        wait_until_kept(page)
        assert "for derain" in page.locator("#about").inner_text()
    with plainly_served(other, port=int(plain.rsplit(":", 1)[1])):
        page.reload()
        wait_for(page, "Ready.")
        assert "for dehaze" in page.locator("#about").inner_text()


def test_whoever_comes_after_has_the_place_to_himself(open_page: Open, artifact: Path, tmp_path: Path) -> None:
    """Another site under the same address is not covered up."""
    (tmp_path / "index.html").write_text("<title>another site</title>")
    with plainly_served(artifact) as plain:
        page = open_page(plain)
        wait_until_kept(page)
    with plainly_served(tmp_path, port=int(plain.rsplit(":", 1)[1])):
        page.goto(plain)
        assert page.title() == "another site"
        page.wait_for_function("() => caches.keys().then((names) => names.length === 0)")


def test_two_artifacts_share_a_host(open_page: Open, artifact: Path, tmp_path: Path) -> None:
    """What one of them keeps is not the other's to throw away."""
    renamed(artifact, tmp_path / "a", "dehaze")
    copytree(artifact, tmp_path / "b")
    with plainly_served(tmp_path) as plain:
        first = open_page(f"{plain}/a/")
        wait_until_kept(first)
        second = first.context.new_page()
        second.goto(f"{plain}/b/")
        wait_for(second, "Ready.")
        wait_until_kept(second)
        first.context.set_offline(True)
        first.reload()
        wait_for(first, "Ready.")
        assert "for dehaze" in first.locator("#about").inner_text()


ASK_ELSEWHERE = """url => new Promise((resolve) => {
    const ask = `fetch(${JSON.stringify(url)}, {mode: "no-cors"})`;
    const text = `${ask}.then(() => postMessage("reached"), () => postMessage("refused"))`;
    const place = URL.createObjectURL(new Blob([text], {type: "text/javascript"}));
    new Worker(place, {type: "module"}).onmessage = ({data}) => resolve(data);
})"""
"""A worker as the page starts it, that asks another host for something."""


def test_the_worker_reaches_no_other_host(open_page: Open, artifact: Path, rain: Path) -> None:
    """The page's policy holds where the pixels are, also on a server that sends none."""
    with plainly_served(artifact) as plain, plainly_served(rain) as elsewhere:
        page = open_page(plain)
        assert page.evaluate(ASK_ELSEWHERE, f"{elsewhere}/derain/input/0.png") == "refused"


def test_work_can_be_stopped(open_page: Open, url: str, rain: Path, tmp_path: Path) -> None:
    """And the next picture is restored."""
    path = tmp_path / "large.png"
    write_picture(Picture(np.random.default_rng(0).random((3, 900, 900), np.float32)), path)
    page = open_page(url)
    give(page, path)
    page.wait_for_selector("#stop:not([hidden])")
    page.click("#stop")
    wait_for(page, "Ready.")
    give(page, rain / "derain" / "input" / "0.png")
    wait_for(page, "Restored 72×64")
