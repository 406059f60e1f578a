"""Every operation of the schema has its service method, with the schema's own types."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import pytest
from msgspec import Struct

from tuipacs.bootstrap import Services
from tuipacs.domain.actor import Actor
from tuipacs.schema.operations import ALL, Operation

_SERVICES = get_type_hints(Services)


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
def test_the_method_takes_the_request_and_gives_the_answer(
    operation: Operation[Struct, Struct],
) -> None:
    service, _, name = operation.name.partition(".")
    method: Any = getattr(_SERVICES[service], name)
    hints = get_type_hints(inspect.unwrap(method))
    parameters = [key for key in inspect.signature(method).parameters if key != "self"]
    assert hints["request"] is operation.request
    assert hints["return"] is operation.answer
    if operation.public:
        assert method.before_login
        assert parameters[0] == "request"
        assert set(parameters) <= {"request", "token", "origin"}
    else:
        assert method.permission
        assert parameters == ["actor", "request"]
        assert hints["actor"] is Actor


def test_no_guarded_method_is_left_out_of_the_guard_by_its_service() -> None:
    """What the container offers is guarded, or says why it needs no guard."""
    for name, service in _SERVICES.items():
        for method_name, method in inspect.getmembers(service, inspect.isfunction):
            if method_name.startswith("_") or method_name in ("transaction", "together", "record"):
                continue
            assert hasattr(method, "permission") or hasattr(method, "before_login"), (
                f"{name}.{method_name}"
            )
