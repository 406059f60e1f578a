"""What the tests have Debian's odil do; run by the system's Python, which is the one that has odil.

Standard input: {"port", "called", "files": [path], "find": {keyword: value}, "get": study UID,
"move": {"study", "destination", "port"}}, all but port and called optional. Each service has an
association of its own. Standard output: {"echo": "answered", "stored": [path], "found": [DICOM
JSON], "got": [SOP Instance UID], "moved": [SOP Instance UID]}, or {"refused": why} when an
association or a request was.
"""

import json
import multiprocessing
import sys
import time
from pathlib import Path

import odil

IMPLICIT = odil.registry.ImplicitVRLittleEndian
EXPLICIT = odil.registry.ExplicitVRLittleEndian
STUDY_ROOT_FIND = odil.registry.StudyRootQueryRetrieveInformationModelFind
STUDY_ROOT_GET = odil.registry.StudyRootQueryRetrieveInformationModelGet
STUDY_ROOT_MOVE = odil.registry.StudyRootQueryRetrieveInformationModelMove
Role = odil.AssociationParameters.PresentationContext.Role
TAKEN = (odil.registry.CTImageStorage, odil.registry.MRImageStorage)


def associate(asked, contexts, taken=()):
    """An open association that proposes (abstract syntax, transfer syntax) pairs.

    Of ``taken`` we are the SCP as well.
    """
    proposed = [
        odil.AssociationParameters.PresentationContext(2 * number + 1, abstract, [syntax], role)
        for number, (abstract, syntax, role) in enumerate(
            [(*context, Role.SCU) for context in contexts]
            + [(abstract, EXPLICIT, Role.SCP) for abstract in taken]
        )
    ]
    association = odil.Association()
    association.set_peer_host("127.0.0.1")
    association.set_peer_port(asked["port"])
    parameters = association.update_parameters()
    parameters.set_calling_ae_title("ODIL").set_called_ae_title(asked["called"])
    parameters.set_presentation_contexts(proposed)
    association.associate()
    return association


def text(dataset, keyword):
    """The first value of an attribute."""
    return dataset.as_string(keyword)[0].decode()


def echo(asked):
    """C-ECHO."""
    association = associate(asked, [(odil.registry.Verification, IMPLICIT)])
    odil.EchoSCU(association).echo()
    association.release()
    return "answered"


def store(asked):
    """C-STORE of all files over one association, each in its own transfer syntax."""
    files = {path: odil.Reader.read_file(path) for path in asked["files"]}
    contexts = {
        (text(data, "SOPClassUID"), text(meta, "TransferSyntaxUID"))
        for meta, data in files.values()
    }
    association = associate(asked, sorted(contexts))
    stored = []
    for path, (_, data) in files.items():
        client = odil.StoreSCU(association)
        client.set_affected_sop_class(data)
        client.store(data)  # raises when the status is no Success
        stored.append(path)
    association.release()
    return stored


def find(asked):
    """C-FIND in the Study Root model: the answers' identifiers."""
    keys = odil.DataSet()
    for keyword, value in asked["find"].items():
        keys.add(keyword, [value.encode()] if value else [])
    association = associate(asked, [(STUDY_ROOT_FIND, IMPLICIT)])
    client = odil.FindSCU(association)
    client.set_affected_sop_class(STUDY_ROOT_FIND)
    found = [json.loads(odil.as_json(answer)) for answer in client.find(keys)]
    association.release()
    return found


def of_study(study):
    """An identifier of the study level."""
    keys = odil.DataSet()
    keys.add("QueryRetrieveLevel", [b"STUDY"])
    keys.add("StudyInstanceUID", [study.encode()])
    return keys


def get(asked):
    """C-GET of a study: the SOP Instance UIDs of what came."""
    association = associate(asked, [(STUDY_ROOT_GET, EXPLICIT)], TAKEN)
    client = odil.GetSCU(association)
    client.set_affected_sop_class(STUDY_ROOT_GET)
    got = [text(data, "SOPInstanceUID") for data in client.get(of_study(asked["get"]))]
    association.release()
    return got


def receive(port, telling):
    """Take one association, and tell the SOP Instance UIDs of what it brought."""
    moved = []
    association = odil.Association()
    association.receive_association("v4", port)
    try:
        while True:
            request = odil.messages.CStoreRequest(association.receive_message())
            moved.append(text(request.get_data_set(), "SOPInstanceUID"))
            response = odil.messages.CStoreResponse(request.get_message_id(), 0x0000)
            association.send_message(response, request.get_affected_sop_class_uid())
    except odil.AssociationReleased:
        telling.send(moved)


def wait_until_heard(port, receiver):
    """Until somebody listens there; a connection to find out would be taken for the one."""
    line = f":{port:04X} 00000000:0000 0A "
    while line not in Path("/proc/net/tcp").read_text():
        if not receiver.is_alive():
            raise SystemExit("the receiver has ended")
        time.sleep(0.01)


def move(asked):
    """C-MOVE of a study to a receiver of our own: the SOP Instance UIDs of what came.

    MoveSCU's own listens for 10 ms only, and only once it has asked.
    """
    port = asked["move"]["port"]
    told, telling = multiprocessing.Pipe(duplex=False)
    receiver = multiprocessing.Process(target=receive, args=(port, telling), daemon=True)
    receiver.start()
    telling.close()  # ours: when the receiver ends, so does what it tells
    wait_until_heard(port, receiver)
    association = associate(asked, [(STUDY_ROOT_MOVE, EXPLICIT)])
    client = odil.MoveSCU(association)
    client.set_affected_sop_class(STUDY_ROOT_MOVE)
    client.set_move_destination(asked["move"]["destination"])
    client.move(of_study(asked["move"]["study"]))
    association.release()
    if not told.poll(20):
        raise SystemExit("nothing was moved here")
    return told.recv()


def main():
    """Do what standard input asks."""
    asked = json.load(sys.stdin)
    try:
        answer = {"echo": echo(asked)}
        if "files" in asked:
            answer["stored"] = store(asked)
        if "find" in asked:
            answer["found"] = find(asked)
        if "get" in asked:
            answer["got"] = get(asked)
        if "move" in asked:
            answer["moved"] = move(asked)
    except odil.Exception as refusal:
        answer = {"refused": str(refusal)}
    json.dump(answer, sys.stdout)


main()
