"""Themes as TOML files: read, checked, and watched for changes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from textual.color import Color, ColorParseError
from textual.theme import Theme

from tuipacs.errors import ConfigError

DEFAULT_THEME = "reading-room"
COLORS = (
    "primary",
    "secondary",
    "accent",
    "foreground",
    "background",
    "surface",
    "panel",
    "success",
    "warning",
    "error",
)
ROWS = ("row-cursor", "row-cursor-away", "row-glow", "row-guide", "row-name", "mark")
_TOP = ("name", "dark", "colors", "variables")


def read_theme(path: Path) -> Theme:
    """Read one theme. Raises `ConfigError` with file, key and the nearest valid key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"theme {path.name}: {error}") from None
    _known(path, "key", data, _TOP)
    name, dark = data.get("name", path.stem), data.get("dark", True)
    colors, variables = data.get("colors", {}), data.get("variables", {})
    if not isinstance(name, str) or not name or not isinstance(dark, bool):
        raise ConfigError(f"theme {path.name}: name is a text and dark is true or false")
    if not isinstance(colors, dict) or not isinstance(variables, dict):
        raise ConfigError(f"theme {path.name}: [colors] and [variables] are tables")
    _known(path, "color", colors, COLORS)
    _known(path, "variable", variables, ROWS, others=True)
    for key, value in {**colors, **variables}.items():
        if not isinstance(value, str):
            raise ConfigError(f"theme {path.name}: {key} is not a text")
        if key in COLORS or key in ROWS:
            try:
                Color.parse(value)
            except ColorParseError:
                raise ConfigError(f"theme {path.name}: {key} = {value!r} is no color") from None
    missing = [key for key in ("primary", "background", "foreground") if key not in colors]
    if missing:
        raise ConfigError(f"theme {path.name}: [colors] lacks {', '.join(missing)}")
    return Theme(name=name, dark=dark, variables={**_muted(colors, dark), **variables}, **colors)


def _muted(colors: Mapping[str, str], dark: bool) -> dict[str, str]:
    """Quiet text in exact colors: Textual's own come out too bright in styled text."""
    background, foreground = Color.parse(colors["background"]), Color.parse(colors["foreground"])
    return {
        "text-muted": background.blend(foreground, 0.6 if dark else 0.68).hex,
        "text-disabled": background.blend(foreground, 0.42).hex,
    }


def _known(
    path: Path,
    what: str,
    found: Mapping[str, object],
    known: Iterable[str],
    *,
    others: bool = False,
) -> None:
    """Unknown names are errors; of Textual's many own variables only near misses of ours are."""
    valid = tuple(known)
    for key in found:
        if key in valid:
            continue
        near = get_close_matches(key, valid, n=1, cutoff=0.85 if others else 0.6)
        if others and not near:
            continue
        hint = f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(valid)})"
        raise ConfigError(f"theme {path.name}: unknown {what} {key!r}{hint}")


def row_colors(theme: Theme) -> dict[str, str]:
    """The colors of rows and marks that a theme does not name, mixed from those it does."""
    primary, background = Color.parse(theme.primary), Color.parse(theme.background or "#121212")
    foreground = Color.parse(theme.foreground or ("#e0e0e0" if theme.dark else "#1e1e1e"))
    success = Color.parse(theme.success or theme.primary)
    return {
        "row-cursor": background.blend(primary, 0.28).hex,
        "row-cursor-away": background.blend(foreground, 0.09).hex,
        "row-glow": background.blend(success, 0.22).hex,
        "row-guide": background.blend(foreground, 0.28).hex,
        "row-name": foreground.hex,
        "mark": theme.warning or theme.primary,
    }


class ThemeFolder:
    """All theme files of some folders; later folders win. `changed` is asked now and then."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._stamps: dict[Path, float] = {}

    def load(self) -> tuple[dict[str, Theme], list[str]]:
        """Themes by name, and what is wrong with the files that are none."""
        themes: dict[str, Theme] = {}
        complaints: list[str] = []
        self._stamps = self._look()
        for path in self._stamps:
            try:
                theme = read_theme(path)
            except ConfigError as error:
                complaints.append(error.message)
            else:
                themes[theme.name] = theme
        return themes, complaints

    def changed(self) -> bool:
        """Whether a file came, went or was written since `load`."""
        return self._look() != self._stamps

    def _look(self) -> dict[Path, float]:
        found: dict[Path, float] = {}
        for folder in self._folders:
            for path in sorted(folder.glob("*.toml")):
                try:
                    found[path] = path.stat().st_mtime
                except OSError:
                    continue  # it went away just now
        return found
