"""archive.toml: strict, with the line and the nearest name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.config import (
    Config,
    DicomSettings,
    describe,
    load_config,
    parse_config,
    reference,
    render,
    setting_names,
)
from tuipacs.errors import ConfigError, NotFoundError

ROOT = Path(__file__).parents[3]


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    return caught.value.message


def test_an_empty_file_means_the_defaults() -> None:
    config = parse_config("")
    assert config == Config()
    assert config.dicom.port == 11112
    assert config.dicom.unknown_callers == "echo"
    assert set(config.origins.values()) == {"default"}


def test_each_value_says_where_it_came_from() -> None:
    config = parse_config(
        "# ours\n[dicom]\n\nport = 4242\nrefuse_sop_classes = [\n]\n[log]\nlevel = 'debug'\n"
    )
    assert config.dicom.port == 4242
    assert config.origins["dicom.port"] == "archive.toml line 4"
    assert config.origins["dicom.refuse_sop_classes"] == "archive.toml line 5"
    assert config.origins["log.level"] == "archive.toml line 8"
    assert config.origins["dicom.host"] == "default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[dicom]\nprot = 1", "line 2: unknown key dicom.prot (did you mean port?)"),
        ("\n[dicmo]\nport = 1", "line 2: unknown table [dicmo] (did you mean dicom?)"),
        ("port = 1", "line 1: unknown table [port]"),
        ("dicom = 3", "line 1: [dicom] must be a table"),
        ("[dicom]\nport = '11112'", "line 2: dicom.port must be a whole number"),
        ("[dicom]\nport = true", "line 2: dicom.port must be a whole number, not a boolean"),
        ("[dicom]\nport = 65536", "line 2: dicom.port must be from 0 to 65535, not 65536"),
        ("[dicom]\nport = -1", "must be from 0"),
        ("[dicom]\nport = 1.5", "not a number"),
        ("[dicom]\ncheck_called_ae = 1", "must be true or false, not a whole number"),
        ("[dicom]\nae_title = 'THIS_IS_MUCH_TOO_LONG'", "ae_title is longer than 16 characters"),
        ("[dicom]\nae_title = ''", "ae_title is empty"),
        ("[dicom]\nae_title = 'A\\B'", "backslash"),
        ('[dicom]\nae_title = "A\\u001B"', "printable ASCII"),
        ("[dicom]\nae_title = ' A'", "begin or end with a blank"),
        ("[dicom]\nunknown_callers = 'all'", "one of echo, store, refuse"),
        ("[dicom]\nhost = '300.1.1.1'", "an IP address or a host name"),
        ("[dicom]\nhost = 'a b'", "an IP address or a host name"),
        ("[dicom]\nrefuse_sop_classes = ['1.2', 'CT']", 'has "CT", which is no UID'),
        ("[dicom]\nrefuse_sop_classes = '1.2'", "a list of UIDs, not text"),
        ("[control]\nsocket_group = '../x'", "name of a Unix group"),
        ("[dicom]\nport = 1\nport = 2", "not valid TOML"),
        ("[dicom", "not valid TOML"),
        ("dicom.port.x = 1", "must be a whole number, not a table"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, words: str) -> None:
    assert words in refusal(text)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    message = refusal("[dicom]\nport = 0.5\nhots = 'x'\n[log]\nlevel = 'loud'\n[x]\n")
    assert [line.split(":")[1] for line in message.splitlines()] == [
        " line 2",
        " line 3",
        " line 5",
        " line 6",
    ]


def test_dotted_keys_and_inline_tables_are_found_too() -> None:
    config = parse_config('dicom = { port = 5 }\nlog.level = "error"\n')
    assert config.dicom.port == 5
    assert config.origins["dicom.port"] == "archive.toml line 1"
    assert config.origins["log.level"] == "archive.toml line 2"


def test_no_file_means_no_archive(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no archive"):
        load_config(tmp_path / "archive.toml")


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "archive.toml"
    path.write_bytes(b"[dicom]\nae_title = '\xff'\n")
    with pytest.raises(ConfigError, match="line 2: not UTF-8"):
        load_config(path)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.toml"
    path.write_bytes(b"#\n" * 40000)
    with pytest.raises(ConfigError, match="larger than"):
        load_config(path)


AE_TITLES = st.text(
    st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"),
    min_size=1,
    max_size=16,
).filter(lambda text: text == text.strip())


@given(AE_TITLES, st.integers(0, 65535), st.lists(st.just("1.2.840.10008.5.1.4.1.1.2"), max_size=2))
def test_what_init_writes_reads_back_as_it_was(ae_title: str, port: int, uids: list[str]) -> None:
    config = Config(
        dicom=DicomSettings(ae_title=ae_title, port=port, refuse_sop_classes=tuple(uids))
    )
    assert parse_config(render(config)) == config


def test_what_init_writes_holds_every_setting() -> None:
    document = tomllib.loads(render(Config()))
    written = tuple(f"{table}.{key}" for table, keys in document.items() for key in keys)
    assert written == setting_names()


def test_describe_lists_every_setting_with_value_and_origin() -> None:
    rows = describe(parse_config("[dicom]\nport = 7"))
    assert tuple(row.name for row in rows) == setting_names()
    port = next(row for row in rows if row.name == "dicom.port")
    assert (port.value, port.origin) == ("7", "archive.toml line 2")


def test_the_documentation_has_the_tables_that_the_code_makes() -> None:
    """After a change: paste what `tuipacs.config.reference()` returns into the page."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert reference().strip() in page


TLS = "[tls]\ncertificate = 'a'\nkey = 'b'\nca = 'c'\n"


def test_two_doors_need_two_ports() -> None:
    words = refusal(f"[dicom]\nport = 2762\n{TLS}port = 2762\n")
    assert "line 7: tls.port is dicom.port" in words
    assert "line 3: tls.port is dicom.port" in refusal(f"[dicom]\nport = 2762\n{TLS}")


@pytest.mark.parametrize(
    "text",
    [
        "[dicom]\nport = 2762\n",  # TLS is off
        f"[dicom]\nport = 2762\n{TLS}only = true\n",
        f"[dicom]\nport = 0\n{TLS}port = 0\n",  # two free ones
    ],
)
def test_a_door_that_stays_shut_takes_no_port(text: str) -> None:
    parse_config(text)


def test_a_second_table_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="not valid TOML") as caught:
        parse_config(render(Config()) + TLS)
    assert "fill in the one that is there" in caught.value.remedy
