"""Fetches what an object shows and hands it to an `ObjectView`."""

from __future__ import annotations

from tuipacs.domain.frame import WindowRequest
from tuipacs.domain.records import InstanceRecord
from tuipacs.errors import (
    AuthenticationError,
    DaemonUnreachableError,
    NotFoundError,
    TuipacsError,
)
from tuipacs.schema import operations as op
from tuipacs.schema.messages import (
    FrameRequest,
    InstanceRequest,
    Representative,
    RepresentativeRequest,
)
from tuipacs.ui.desk import Desk
from tuipacs.ui.outline import RowKey
from tuipacs.ui.widgets.object_view import ObjectView, is_picture


async def representative(desk: Desk, key: RowKey) -> Representative:
    """The object that stands for a row of the archive."""
    return await desk.link.call(
        op.REPRESENTATIVE, RepresentativeRequest(level=key.level, key=key.key)
    )


async def show_object(
    desk: Desk,
    view: ObjectView,
    instance: InstanceRecord,
    *,
    frame_number: int = 1,
    window: WindowRequest | None = None,
    modality: str = "",
    place: str = "",
) -> None:
    """Show one object. What cannot be shown is explained in the view.

    Raises `DaemonUnreachableError` and `AuthenticationError`, which concern more than this view.
    """
    try:
        if is_picture(instance):
            frame = await desk.link.call(
                op.FRAME,
                FrameRequest(key=instance.key, frame_number=frame_number, window=window),
            )
            if frame.number_of_frames > 1:
                at = f"frame {frame.frame_number}/{frame.number_of_frames}"
                place = f"{place} · {at}" if place else at
            view.show_frame(instance, frame, modality=modality, place=place)
        else:
            document = await desk.link.call(op.DOCUMENT, InstanceRequest(key=instance.key))
            view.show_document(instance, document, place=place)
    except (DaemonUnreachableError, AuthenticationError):
        raise
    except NotFoundError:
        view.explain("This object is not in the archive any more.")
    except TuipacsError as error:
        words = f"{error.message}\n{error.remedy}" if error.remedy else error.message
        view.explain(words, instance=instance)
