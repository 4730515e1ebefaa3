"""The live view as a viewer sees it, in a real Chromium on this machine.

    python -m benchmarks.view ../shared/clips/ta_chi.mp4 --label "tai chi"

Two questions. How old is a webcam's frame when its label appears on the page? And how many pictures a second of a
server's source reach the page? Both are measured in the page: each frame has its number drawn into its top row as a bar
code. When a prediction is painted, the number that the camera shows at that moment, minus the number of each frame that
the prediction is the first to cover, is that frame's age. No clock of the server is involved.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import card
from realtime.outputs.video_file import VideoWriter
from realtime.sources.open import open_video
from realtime.types import Image

BITS = 12
CODE_HEIGHT_PX = 24
WEBCAM_FPS = 30
"""Rate at which Chromium delivers its fake camera, whatever the file says."""
SERVER_FPS = 25

READ_CODES = """
window.readCode = (() => {
  const canvas = document.createElement("canvas");
  canvas.width = BITS; canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return (picture, width, height) => {
    context.drawImage(picture, 0, height * 0.01, width, height * 0.03, 0, 0, BITS, 1);
    const pixels = context.getImageData(0, 0, BITS, 1).data;
    let number = 0;
    for (let i = 0; i < BITS; i++) number = 2 * number + (pixels[4 * i + 1] > 127 ? 1 : 0);
    return number;
  };
})();
""".replace("BITS", str(BITS))

FOLLOW_WEBCAM = """
(() => {
  const shown = [];  // [time of taking, number] of what the camera showed
  const bench = (window.bench = { ages: [], answers: 0 });
  let next = 0;      // place in `shown` of the first frame that no prediction has covered
  const follow = () => {
    const mirror = document.getElementById("mirror");
    if (!mirror?.videoWidth) return setTimeout(follow, 50);
    const look = (now, frame) => {
      shown.push([performance.timeOrigin + (frame.captureTime ?? now), readCode(mirror, mirror.videoWidth, mirror.videoHeight)]);
      mirror.requestVideoFrameCallback(look);
    };
    mirror.requestVideoFrameCallback(look);
  };
  follow();
  const painted = (takenMs) => {
    const newest = shown.at(-1)?.[1];
    bench.answers++;
    for (; next < shown.length && shown[next][0] < takenMs; next++)
      bench.ages.push((newest - shown[next][1] + 4096) % 4096);
  };
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given);
      let last = "";
      this.addEventListener("message", (event) => {
        const state = JSON.parse(event.data);
        const key = JSON.stringify([state.answer?.end_s, state.answer?.settled]);
        if (state.taken_ms && key !== last)
          requestAnimationFrame(() => requestAnimationFrame(() => painted(state.taken_ms)));
        last = key;
      });
    }
  };
})();
"""

COUNT_PICTURES = """
(seconds) => new Promise((done) => {
  const picture = document.getElementById("picture"), seen = new Set(), start = performance.now();
  const look = () => {
    if (picture.naturalWidth) seen.add(readCode(picture, picture.naturalWidth, picture.naturalHeight));
    if (performance.now() - start < 1000 * seconds) requestAnimationFrame(look);
    else done(seen.size / seconds);
  };
  look();
})
"""


def with_number(rgb: Image, number: int) -> Image:
    """Resized to 640 x 480, with the number as black and white fields along the top."""
    out = cv2.resize(rgb, (640, 480))
    for bit in range(BITS):
        left, right = 640 * bit // BITS, 640 * (bit + 1) // BITS
        out[:CODE_HEIGHT_PX, left:right] = 255 * (number >> (BITS - 1 - bit) & 1)
    return np.asarray(out, np.uint8)


def pictures_of(clip: Path, count: int) -> list[Image]:
    """The clip repeated, each frame with its number."""
    with open_video(clip) as video:
        frames = [frame.rgb for frame in video]
    return [with_number(frames[i % len(frames)], i) for i in range(count)]


def write_webcam(path: Path, pictures: list[Image]) -> None:
    """Write Motion JPEG, which Chromium accepts as a camera."""
    with path.open("wb") as file:
        for picture in pictures:
            file.write(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def write_video(path: Path, pictures: list[Image]) -> None:
    writer = VideoWriter(path, (640, 480))
    for i, picture in enumerate(pictures):
        writer.write(picture, Fraction(i, SERVER_FPS))
    writer.close()


@contextmanager
def view(*arguments: str) -> Iterator[tuple[str, int]]:
    """`i3d-live view` in a separate process: its address and process id."""
    command = [
        sys.executable,
        "-c",
        "from realtime.cli import main; main()",
        "view",
        "--model",
        "kinetics",
        "--port",
        "0",
        *arguments,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise SystemExit("not timed: the live view did not start")
        try:
            yield found[0], process.pid
        finally:
            process.terminate()


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def browser_cpu_s() -> float:
    """Processor seconds of all processes of Chromium so far."""
    found = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/comm")
        if path.read_text() == "chromium\n"
    ]
    return sum(cpu_s(pid) for pid in found)


def webcam(
    playwright: Any, chromium: str, pictures: list[Image], arguments: list[str], label: str, seconds: float
) -> dict[str, Any]:
    """Ages in milliseconds of the webcam's frames when their label is painted."""
    with tempfile.TemporaryDirectory() as folder, view(*arguments) as (address, pid):
        write_webcam(Path(folder) / "webcam.mjpeg", pictures)
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                  f"--use-file-for-fake-video-capture={folder}/webcam.mjpeg"],
        )  # fmt: skip
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(READ_CODES + FOLLOW_WEBCAM)
        page.goto(address)
        page.get_by_label("This browser's webcam", exact=True).check()
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_function(
            "label => document.getElementById('label')?.textContent === label", arg=label, timeout=60_000
        )
        page.wait_for_timeout(3000)
        page.evaluate("bench.ages.length = bench.answers = 0")
        before_s, browser_before_s = cpu_s(pid), browser_cpu_s()
        page.wait_for_timeout(1000 * seconds)
        bench, spent_s = page.evaluate("bench"), cpu_s(pid) - before_s
        browser_s = browser_cpu_s() - browser_before_s
        if not bench["ages"]:
            raise SystemExit(f"not timed: no prediction in {seconds} s; are the cores busy?")
        figures = {
            "frame_to_label": card.summary([1000 * age / WEBCAM_FPS for age in bench["ages"]]),
            "answers_a_second": round(bench["answers"] / seconds, 2),
            "frames_a_second_at_the_server": float(page.locator("#rate").inner_text().split()[0]),
            "server_processor_share": round(spent_s / seconds, 3),
            "browser_processor_share": round(browser_s / seconds, 3),
            "page": {
                "latency": page.locator("#p50").inner_text(),
                "split": page.locator("#split-list").inner_text().split("\n"),
            },
            "label": page.locator("#label").inner_text(),
        }
        browser.close()
    card.verify(
        f"label {figures['label']!r} where {label!r} is shown", float(figures["label"] != label), at_most=0
    )
    return figures


def server_source(
    playwright: Any, chromium: str, pictures: list[Image], arguments: list[str], seconds: float
) -> dict[str, Any]:
    """Pictures a second of a server's source that the page shows during recognition."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "numbered.mp4"
        write_video(path, pictures)
        with view(str(path), *arguments) as (address, pid):
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.add_init_script(READ_CODES)
            page.goto(address)
            page.wait_for_function("document.getElementById('label')?.textContent", timeout=60_000)
            before_s = cpu_s(pid)
            shown = page.evaluate(COUNT_PICTURES, seconds)
            spent_s = cpu_s(pid) - before_s
            browser.close()
    return {
        "source_fps": SERVER_FPS,
        "shown_fps": round(shown, 2),
        "server_processor_share": round(spent_s / seconds, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--label", required=True, help="what the clip shows: anything else is not timed")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--mode", default="preview")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("not timed: needs chromium (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    pictures = pictures_of(given.clip, 900)
    arguments = ["--mode", given.mode]
    with card.cores(given.cores), sync_playwright() as playwright:
        figures = {
            "mode": given.mode,
            "clip": given.clip.name,
            "shared_with_chromium": f"{given.cores} cores for server and browser together",
            "webcam": webcam(playwright, chromium, pictures, arguments, given.label, given.seconds),
            "server_source": server_source(playwright, chromium, pictures, arguments, given.seconds),
        }
    card.report("view", figures)


if __name__ == "__main__":
    main()
