"""A small real program with one picture, run on a real terminal by the tests beside it.

It writes what happens to a log, one JSON object a line. Keys: n next frame, m modal, escape closes
it, t toast, r toast away, w wipe, h hide, s show, q quit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tuipacs.domain.frame import Frame
from tuipacs.ui.graphics.choice import ColourDepth, Protocol
from tuipacs.ui.graphics.probe import ProbeResult, explain, probe_terminal


def frame_of(pixels: np.ndarray, aspect: float = 1.0) -> Frame:
    return Frame(
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples=3 if pixels.ndim == 3 else 1,
        pixels=pixels.tobytes(),
        frame_number=1,
        number_of_frames=1,
        pixel_aspect=aspect,
    )


def run(frames: list[Frame], probe: ProbeResult, log: Path, captions: list[str]) -> None:
    from textual import events
    from textual.app import App, ComposeResult
    from textual.containers import Horizontal
    from textual.screen import ModalScreen
    from textual.widgets import Static

    from tuipacs.ui.graphics.typeahead import replay
    from tuipacs.ui.widgets.picture import Picture

    def note(**what: object) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")

    class Dialog(ModalScreen[None]):
        CSS = "Dialog { align: center middle; } #box { width: 20; height: 3; background: red; }"
        BINDINGS = [("escape", "app.pop_screen", "close")]

        def compose(self) -> ComposeResult:
            yield Static("a dialog", id="box")

    class PictureApp(App[None]):
        CSS = """
        #left { width: 20; } Picture { width: 1fr; }
        #top { height: 1; } #row { height: 1fr; }
        """
        ENABLE_COMMAND_PALETTE = False

        def compose(self) -> ComposeResult:
            yield Static("top", id="top")
            with Horizontal(id="row"):
                yield Static("left", id="left")
                yield Picture(probe.choice, id="picture")

        def on_mount(self) -> None:
            self.shown = 0
            self.query_one(Picture).set_frame(frames[0], captions[0])
            if probe.typed and self._driver is not None:
                replay(self._driver, probe.typed)

        def on_picture_shown(self, message: Picture.Shown) -> None:
            box = message.picture._box()
            if box is not None:
                box = box.translate(message.picture.region.offset)
            note(
                event="shown",
                quality=message.quality,
                box=box,
                frame=frames.index(message.frame),
            )

        def on_key(self, event: events.Key) -> None:
            note(event="key", key=event.key)
            picture = self.screen_stack[0].query_one(Picture)
            actions: dict[str, Callable[[], object]] = {
                "n": self.next_frame,
                "m": lambda: self.push_screen(Dialog()),
                "t": lambda: self.notify("a toast over the picture", timeout=3600),
                "r": self.clear_notifications,
                "c": lambda: self.query_one("#top", Static).update(f"top {os.getpid()}"),
                "w": picture.wipe,
                "h": picture.hide_image,
                "s": picture.show_image,
                "q": self.exit,
            }
            actions.get(event.key, lambda: None)()

        def next_frame(self) -> None:
            self.shown = (self.shown + 1) % len(frames)
            picture = self.screen_stack[0].query_one(Picture)
            picture.set_frame(frames[self.shown], captions[self.shown])

    PictureApp().run()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", required=True, help="an .npz file; each array is a frame")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--graphics", type=Protocol, default=Protocol.AUTO)
    parser.add_argument("--aspect", type=float, default=1.0)
    parser.add_argument("--no-caption", dest="with_caption", action="store_false")
    arguments = parser.parse_args()
    probe = probe_terminal(arguments.graphics)
    with arguments.log.open("w", encoding="utf-8") as file:
        known = {
            "event": "probe",
            "protocol": probe.choice.protocol,
            "cell": [probe.choice.cell_width, probe.choice.cell_height],
            "explained": explain(probe),
            "typed": probe.typed.decode("latin-1"),
        }
        file.write(json.dumps(known) + "\n")
    if probe.choice.colour_depth is not ColourDepth.NONE:
        os.environ["TEXTUAL_COLOR_SYSTEM"] = probe.choice.colour_depth.value
    with np.load(arguments.frames) as arrays:
        frames = [frame_of(arrays[name], arguments.aspect) for name in arrays.files]
    captions = [f"frame {n + 1}" if arguments.with_caption else "" for n in range(len(frames))]
    run(frames, probe, arguments.log, captions)


if __name__ == "__main__":
    sys.exit(main())
