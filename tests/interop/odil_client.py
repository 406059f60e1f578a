"""What the tests have Debian's odil do; run by the system's Python, which is the one that has odil.

Standard input: {"port", "called", "files": [path], "find": {keyword: value}}, files and find
optional. Each service has an association of its own. Standard output: {"echo": "answered",
"stored": [path], "found": [DICOM JSON]}, or {"refused": why} when an association or a request was.
"""

import json
import sys

import odil

IMPLICIT = odil.registry.ImplicitVRLittleEndian
STUDY_ROOT_FIND = odil.registry.StudyRootQueryRetrieveInformationModelFind


def associate(asked, contexts):
    """An open association that proposes (abstract syntax, transfer syntax) pairs."""
    role = odil.AssociationParameters.PresentationContext.Role.SCU
    proposed = [
        odil.AssociationParameters.PresentationContext(2 * number + 1, abstract, [syntax], role)
        for number, (abstract, syntax) in enumerate(contexts)
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


def main():
    """Do what standard input asks."""
    asked = json.load(sys.stdin)
    try:
        answer = {"echo": echo(asked)}
        if "files" in asked:
            answer["stored"] = store(asked)
        if "find" in asked:
            answer["found"] = find(asked)
    except odil.Exception as refusal:
        answer = {"refused": str(refusal)}
    json.dump(answer, sys.stdout)


main()
