"""Where themes are looked for."""

from __future__ import annotations

from tuipacs.paths import theme_dirs, user_config_dir


def test_the_persons_own_theme_folder_is_watched_before_it_exists() -> None:
    """The first theme of one's own shows up in a running program."""
    assert theme_dirs()[-1] == user_config_dir() / "themes"
