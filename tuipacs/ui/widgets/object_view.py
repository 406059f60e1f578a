"""One stored object as a person sees it: its picture, or the text of a document, or why neither."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tuipacs.domain.content import Document, DocumentKind
from tuipacs.domain.frame import Frame
from tuipacs.domain.records import InstanceRecord
from tuipacs.ui.format import number
from tuipacs.ui.graphics.choice import GraphicsChoice
from tuipacs.ui.widgets.picture import Picture
from tuipacs.ui.windows import window_words

NOT_FOR_DIAGNOSIS = "NOT FOR DIAGNOSIS"


class ObjectView(Vertical):
    """Picture above, what a viewer must say about it below."""

    DEFAULT_CSS = """
    ObjectView {
        background: $background;
        & > Picture { height: 1fr; }
        & > #document { height: 1fr; padding: 0 1; display: none; scrollbar-size-vertical: 1; }
        & > #words { height: auto; max-height: 4; padding: 0 1; }
        & > #mark { height: 1; padding: 0 1; color: $mark; text-style: bold; }
        &.-document > Picture { display: none; }
        &.-document > #document { display: block; }
    }
    """

    class Changed(Message):
        """Another frame or document is shown, or none."""

    def __init__(self, choice: GraphicsChoice, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._choice = choice
        self.instance: InstanceRecord | None = None
        self.frame: Frame | None = None
        self.document: Document | None = None

    def compose(self) -> ComposeResult:
        yield Picture(self._choice)
        with VerticalScroll(id="document", can_focus=False):
            yield Static(id="text", markup=False)
        yield Static(id="words", markup=False)
        yield Static(NOT_FOR_DIAGNOSIS, id="mark", markup=False)

    @property
    def picture(self) -> Picture:
        """The picture."""
        return self.query_one(Picture)

    def show_frame(
        self, instance: InstanceRecord, frame: Frame, *, modality: str, place: str
    ) -> None:
        """Show a picture; ``place`` says where in its series it stands."""
        self.instance, self.frame, self.document = instance, frame, None
        self.remove_class("-document")
        self.picture.set_frame(frame)
        shape = f"{frame.columns}x{frame.rows}"
        first = [part for part in (place, modality, shape) if part]
        second = [part for part in (window_words(frame, modality), *frame.notes) if part]
        self._say(" · ".join(first), " · ".join(second), instance)
        self.post_message(self.Changed())

    def show_document(self, instance: InstanceRecord, document: Document, *, place: str) -> None:
        """Show the text of a report, or what a document is."""
        self.instance, self.frame, self.document = instance, None, document
        self.picture.wipe()
        self.add_class("-document")
        lines = [Content.styled(document.title or "Untitled", "bold $text-primary"), Content("")]
        lines += [Content(line) for line in document.lines]
        if document.media_type:
            size = f"{document.media_type}, {number(document.size)} bytes"
            lines += [Content(""), Content.styled(size, "$text-muted")]
        if document.exportable:
            lines.append(Content.assemble(("x", "bold $text-accent"), " exports it to a file"))
        self.query_one("#text", Static).update(Content("\n").join(lines))
        self.query_one("#document", VerticalScroll).scroll_home(animate=False)
        self._say(" · ".join(part for part in (place, instance.sop_class_name) if part), "", None)
        self.post_message(self.Changed())

    def explain(self, words: str, *, instance: InstanceRecord | None = None) -> None:
        """Say why there is nothing to see, instead of a picture."""
        self.instance, self.frame, self.document = instance, None, None
        self.picture.wipe()
        self.add_class("-document")
        content = Content.styled(words, "$text-muted")
        if instance is not None:
            content = Content("\n").join(
                [
                    Content.styled("This cannot be shown", "bold $text-warning"),
                    Content(""),
                    Content(words),
                    Content(""),
                    Content.styled(
                        f"{instance.sop_class_name} · {instance.transfer_syntax_name}",
                        "$text-muted",
                    ),
                ]
            )
        self.query_one("#text", Static).update(content)
        self._say("", "", None)
        self.post_message(self.Changed())

    def wipe(self) -> None:
        """Forget the picture and remove it from the terminal."""
        self.frame = self.document = None
        self.picture.wipe()
        self.query_one("#text", Static).update("")
        self._say("", "", None)

    def _say(self, first: str, second: str, instance: InstanceRecord | None) -> None:
        lines = []
        if first:
            lines.append(Content(first))
        if second:
            lines.append(Content.styled(second, "$text-muted"))
        if instance is not None and instance.flags:
            flags = ", ".join(flag.value for flag in instance.flags)
            lines.append(Content.styled(f"⚑ {flags}", "$text-warning"))
        words = self.query_one("#words", Static)
        words.update(Content("\n").join(lines))
        words.display = bool(lines)


def is_picture(instance: InstanceRecord) -> bool:
    """Whether the object is shown as a picture."""
    return instance.kind is DocumentKind.IMAGE
