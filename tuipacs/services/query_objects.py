"""Keys of a query that stored objects answer themselves: their headers, one after another."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from tuipacs.dicom.find_answer import AnswerEncoder
from tuipacs.dicom.find_object import NOTHING, ObjectValues, read_object
from tuipacs.domain.find import FindQuery
from tuipacs.domain.find_object import REQUESTS_TAG, Value
from tuipacs.domain.level import Level
from tuipacs.errors import TuipacsError
from tuipacs.storage.blob import BlobStore

log = logging.getLogger(__name__)

# What the index has of a series' request (the first item), where its object's header has none.
_INDEXED = {0x00401001: "SH", 0x00400009: "SH"}


class Headers:
    """Makes answers of rows with what the headers say; see `tuipacs.index.find.RowReader`.

    An object that cannot be read has no values. That is said of the answer and logged for the
    operator, and the query goes on.
    """

    def __init__(self, store: BlobStore, query: FindQuery, encoder: AnswerEncoder) -> None:
        self._store = store
        self._keys = query.object_keys
        self._width = len(query.keys)
        self._is_series = query.level is Level.SERIES
        self._encoder = encoder

    def answer(self, row: Sequence[str | int]) -> tuple[bytes, bool] | None:
        """(identifier, whether its keys could be answered); None if the header does not match."""
        own, extra = row[: self._width], row[self._width :]
        found = self._read(str(extra[0]), int(extra[1]), str(extra[2]))
        values = found.values
        if self._is_series:
            values = self._with_indexed(values, [str(text) for text in extra[3:]])
        if not all(key.fits(values.get(key.tag)) for key in self._keys):
            return None
        return self._encoder.encode_with([str(text) for text in own], values), found.is_whole

    def _read(self, blob_key: str, header_size: int, syntax: str) -> ObjectValues:
        try:
            with self._store.open(blob_key) as file:
                return read_object(file, header_size, syntax, self._keys)
        except TuipacsError as error:
            reason = error.message
        except OSError as error:
            reason = error.strerror or "reading failed"
        log.error("a query could not read the object in %s: %s", blob_key, reason)
        return NOTHING

    def _with_indexed(
        self, values: Mapping[int, Value], indexed: Sequence[str]
    ) -> Mapping[int, Value]:
        """A later object may have what the series' first one lacks: the index has it then."""
        known = values.get(REQUESTS_TAG)
        if (known is not None and known.items) or not any(indexed):
            return values
        (key,) = (key for key in self._keys if key.tag == REQUESTS_TAG)
        wanted = {inner.tag for inner in key.items} or _INDEXED.keys()
        item = {
            tag: Value(vr, text)
            for (tag, vr), text in zip(_INDEXED.items(), indexed, strict=True)
            if tag in wanted and text
        }
        return {**values, REQUESTS_TAG: Value("SQ", items=(item,))}
