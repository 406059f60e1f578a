"""What can be typed after ``:``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.suggester import Suggester

from tuipacs.ui import actions

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp

_WORDS = {
    "archive": "global.go-archive",
    "incoming": "global.go-incoming",
    "query": "global.go-query",
    "jobs": "global.go-jobs",
    "nodes": "global.go-nodes",
    "routing": "global.go-routes",
    "users": "global.go-users",
    "audit": "global.go-audit",
    "system": "global.go-system",
    "help": "global.help",
    "lock": "global.lock",
    "logout": "global.logout",
    "password": "global.password",
    "doctor": "global.doctor",
    "quit": "global.quit",
    "q": "global.quit",
    "start": "global.start-archive",
}
_WITH_ARGUMENT = ("filter", "import", "sort", "theme")


class CommandSuggester(Suggester):
    """Completes the command, then the name of a theme or of an order."""

    def __init__(self, app: TuipacsApp) -> None:
        super().__init__(use_cache=False)
        self._app = app

    async def get_suggestion(self, value: str) -> str | None:
        """The first completion that fits."""
        if not value:
            return None
        candidates = [*sorted(_WORDS), *_WITH_ARGUMENT]
        candidates += [f"theme {name}" for name in sorted(self._app.theme_names())]
        candidates += [f"sort {name}" for name in ("received", "date", "name", "id")]
        return next((word for word in candidates if word.startswith(value)), None)


@dataclass(frozen=True)
class Command:
    """A command and the rest of the line."""

    word: str
    rest: str

    @classmethod
    def read(cls, text: str) -> Command:
        """Split a line."""
        word, _, rest = text.strip().lstrip(":").partition(" ")
        return cls(word.lower(), rest.strip())


def run(app: TuipacsApp, text: str) -> None:
    """Carry out a command line, or say that there is no such command."""
    command = Command.read(text)
    if not command.word:
        return
    if action_id := _unique(command.word):
        app.perform(actions.BY_ID[action_id])
    elif command.word == "theme":
        if command.rest:
            app.choose_theme(command.rest)
        else:
            app.perform(actions.BY_ID["global.theme"])
    elif command.word == "import":
        app.import_files(command.rest)
    elif command.word in ("filter", "sort"):
        app.archive_command(command.word, command.rest)
    else:
        app.notify(f"there is no command “{command.word}”", severity="warning", markup=False)


def _unique(word: str) -> str:
    """The action of a command or of its only completion."""
    if word in _WORDS:
        return _WORDS[word]
    if word in _WITH_ARGUMENT:
        return ""
    fitting = [name for name in (*_WORDS, *_WITH_ARGUMENT) if name.startswith(word)]
    return _WORDS.get(fitting[0], "") if len(fitting) == 1 else ""
