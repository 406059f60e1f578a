"""Themes and remembered preferences of one running application."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tuipacs.ui.preferences import Preferences, read_preferences, write_preferences
from tuipacs.ui.theme_files import DEFAULT_THEME, ThemeFolder

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp


class Looks:
    """Registers themes, keeps them up to date while their files change, remembers the choice."""

    def __init__(
        self, app: TuipacsApp, folders: Iterable[Path], preferences_file: Path | None
    ) -> None:
        self._app = app
        self._folder = ThemeFolder(folders)
        self._file = preferences_file
        self.preferences = read_preferences(preferences_file) if preferences_file else Preferences()
        self.names: tuple[str, ...] = ()
        self.complaints: list[str] = []

    def load(self) -> None:
        """Register all themes and use the remembered one, else the default."""
        self._register()
        for name in (self.preferences.theme, DEFAULT_THEME):
            if name and self._app.get_theme(name) is not None:
                self._app.theme = name
                return

    def _register(self) -> None:
        themes, self.complaints = self._folder.load()
        for theme in themes.values():
            self._app.register_theme(theme)
        self.names = tuple(themes)

    def tell_complaints(self) -> None:
        """Say which theme files are wrong, and how."""
        for complaint in self.complaints:
            self._app.notify(complaint, severity="warning", timeout=10, markup=False)

    def reload_if_changed(self) -> None:
        """Follow the theme files while someone edits them."""
        if not self._folder.changed():
            return
        self._register()
        self.tell_complaints()
        if self._app.get_theme(self._app.theme) is not None:
            self._app.refresh_css(animate=False)
            self._app.apply_theme_again()

    def choose(self, name: str) -> None:
        """Use a theme and remember it."""
        if self._app.get_theme(name) is None or "," in name:
            known = ", ".join(self.names)
            self._app.notify(
                f"there is no theme “{name}” (there are {known})", severity="warning", markup=False
            )
            return
        self._app.theme = name
        self.remember(theme=name)

    def chosen(self, name: str | None) -> None:
        """The answer of the theme dialog; None goes back to what was."""
        if name is not None:
            self.choose(name)

    def remember(self, **changes: object) -> None:
        """Keep a preference; a folder that cannot be written to is told, not fatal."""
        self.preferences = msgspec.structs.replace(self.preferences, **changes)
        if self._file is None:
            return
        try:
            write_preferences(self._file, self.preferences)
        except OSError as error:
            self._app.notify(
                f"cannot remember this: {error.strerror}", severity="warning", markup=False
            )
