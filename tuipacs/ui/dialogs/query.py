"""The form of a query: whom to ask, and for what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec
from textual.binding import Binding
from textual.containers import Container, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Input

from tuipacs.domain.node import CallService
from tuipacs.domain.remote import HERE, RemoteQuery
from tuipacs.domain.remote_keys import questions_of
from tuipacs.errors import UsageError
from tuipacs.schema.remote_messages import RemoteNode, RemoteStart
from tuipacs.ui.dialogs.dialog import Dialog, label
from tuipacs.ui.format import error_words
from tuipacs.ui.widgets.choices import Tick
from tuipacs.ui.widgets.push_button import PushButton

FIELDS = (
    ("patient_name", "Patient name", 'doe, doe*, "DOE^JOHN"'),
    ("patient_id", "Patient ID", ""),
    ("study_date", "Study date", "today, -7d, 202611, FROM-TO"),
    ("accession_number", "Accession number", ""),
    ("modality", "Modality", "CT,MR"),
    ("patient_birth_date", "Birth date", "19700131"),
    ("study_description", "Description", "anywhere in it"),
    ("study_instance_uids", "Study UID", "several with blanks"),
)


class QueryDialog(Dialog[RemoteStart]):
    """Answers with what to ask. ``ticked``: keys of nodes, HERE for this archive.

    Without it all are ticked but those that did not answer when they were last tested: a query
    that waits for what is known to be broken helps nobody.
    """

    BINDINGS = [Binding("ctrl+t", "tick_all", "All or none", show=False, priority=True)]

    heading = "Query"
    AUTO_FOCUS = "#patient_name"
    enter_submits = True

    DEFAULT_CSS = """
    QueryDialog > .dialog--card { width: 78; }
    QueryDialog #fields {
        layout: grid; grid-size: 2; grid-gutter: 0 2; grid-rows: auto; height: auto;
    }
    QueryDialog #fields > Vertical { height: auto; }
    QueryDialog #nodes { height: auto; max-height: 7; }
    QueryDialog.-high #fields { margin-bottom: 1; }
    """

    def __init__(
        self,
        nodes: Sequence[RemoteNode],
        before: RemoteQuery,
        ticked: frozenset[int] | None,
        today: dt.date,
    ) -> None:
        super().__init__()
        self._offered = [node for node in nodes if CallService.QUERY in node.services]
        self._before = before
        self._ticked = ticked
        self._today = today

    def compose_form(self) -> Iterable[Widget]:
        with Container(id="fields"):
            for field, title, hint in FIELDS:
                with Vertical():
                    yield label(title)
                    yield Input(
                        value=_text(getattr(self._before, field)), placeholder=hint, id=field
                    )
        yield label("Whom to ask (ctrl+t: all or none)")
        with VerticalScroll(id="nodes", can_focus=False):
            yield Tick("this archive", self._is_ticked(HERE, True), id=f"node-{HERE}")
            for node in self._offered:
                broken = "✗ did not answer when it was last tested"
                about = broken if node.answers is False else node.description
                is_ticked = self._is_ticked(node.key, node.answers is not False)
                yield Tick(f"{node.ae_title:<16} {about}", is_ticked, id=f"node-{node.key}")

    def _is_ticked(self, key: int, at_first: bool) -> bool:
        return at_first if self._ticked is None else key in self._ticked

    def action_tick_all(self) -> None:
        """All of them, or none if all are."""
        ticks = list(self.query(Tick))
        value = not all(tick.value for tick in ticks)
        for tick in ticks:
            tick.value = value

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Search", id="ok")

    def on_mount(self) -> None:
        """Say at once when there is nobody to ask but ourselves."""
        if not self._offered:
            self.complain("No node is set up to be queried: g n, then a or e.")

    def on_input_submitted(self) -> None:
        """Enter searches, from every field."""
        self.chosen("ok")

    def chosen(self, button: str) -> None:
        texts = {field: self.query_one(f"#{field}", Input).value for field, *_ in FIELDS}
        uids = tuple(texts.pop("study_instance_uids").replace(",", " ").split())
        query = msgspec.structs.replace(self._before, **texts, study_instance_uids=uids)
        keys = [HERE, *(node.key for node in self._offered)]
        nodes = tuple(key for key in keys if self.query_one(f"#node-{key}", Tick).value)
        if not nodes:
            self.complain("Tick whom to ask.")
            return
        try:
            questions_of(query, self._today)
        except UsageError as error:
            self.complain(error_words(error))
            return
        self.dismiss(RemoteStart(nodes=nodes, query=query))


def _text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else " ".join(value)
