"""Patients who do not exist, with names in the scripts that an archive meets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoPatient:
    """A fictional patient; ``character_set`` is Specific Character Set, values joined by ``\\``."""

    name: str
    character_set: str
    patient_id: str
    birth_date: str
    sex: str


PATIENTS: tuple[DemoPatient, ...] = (
    DemoPatient("DEMO^ALICE", "ISO_IR 192", "DEMO-0001", "19680412", "F"),
    DemoPatient("DEMO^BOB^^DR", "ISO_IR 100", "DEMO-0002", "19791130", "M"),
    DemoPatient(
        "DEMO^HANAKO=デモ^花子=でも^はなこ",
        "\\ISO 2022 IR 87",
        "DEMO-0003",
        "19850303",
        "F",
    ),
    DemoPatient("DEMO^JÖRG", "ISO_IR 100", "DEMO-0004", "19520817", "M"),
    DemoPatient("ДЕМО^ИВАН", "ISO_IR 144", "DEMO-0005", "19740509", "M"),
    DemoPatient("DEMO^MINSU=데모^민수", "\\ISO 2022 IR 149", "DEMO-0006", "19911005", "M"),
    DemoPatient("ΔΗΜΟ^ΆΝΝΑ", "ISO_IR 126", "DEMO-0007", "19600101", "F"),
    DemoPatient("DEMO^WEI=演示^伟", "GB18030", "DEMO-0008", "20010715", "O"),
    DemoPatient("ديمو^ليلى", "ISO_IR 127", "DEMO-0009", "19881212", "F"),
    DemoPatient("DEMO^ZOË=ԴԵՄՈ^ԶՈՅԱ", "ISO_IR 192", "DEMO-0010", "20120220", "F"),
)
