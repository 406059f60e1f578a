// What the tests have npm's dcmjs-dimse do; run by node with the package in NODE_PATH.
//
// Standard input: {"port", "called", "files": [path], "find": {keyword: value}, "get": study UID,
// "move": {"study", "destination"}, "commit": {"transaction", "items": [[class, instance]],
// "listen": port for the report}, "tls": {"key", "cert", "ca"}, "calling", "user": [name, passcode or
// null]}; all but port and called are optional, tls holds paths. All requests go over one
// association. Standard output: {"echo": status, "stored": {path: status}, "found": [dataset],
// "find": final status, "got": [SOP Instance UID], "get" and "move": {"status", "completed",
// "failed"}, "commit": status, "report": {"type", "dataset"}}, or {"refused": why} when there was no
// association.

const fs = require('fs');
const { Client, Dataset, Scp, Server, constants, log, requests, responses } = require('dcmjs-dimse');

log.setLevel('silent');
const asked = JSON.parse(fs.readFileSync(0, 'utf8'));
const said = { stored: {}, found: [], got: [] };
const client = new Client();
const COMMITMENT = '1.2.840.10008.1.20.1';
let reported = Promise.resolve();

function add(request, onResponse) {
  request.on('response', onResponse);
  client.addRequest(request);
}

add(new requests.CEchoRequest(), (response) => {
  said.echo = response.getStatus();
});
for (const path of asked.files || []) {
  add(new requests.CStoreRequest(path), (response) => {
    said.stored[path] = response.getStatus();
  });
}
if (asked.find) {
  add(requests.CFindRequest.createStudyFindRequest(asked.find), (response) => {
    if (response.getStatus() === constants.Status.Pending) {
      said.found.push(response.getDataset().getElements());
    } else {
      said.find = response.getStatus();
    }
  });
}

function counted(name) {
  return (response) => {
    if (response.getStatus() !== constants.Status.Pending) {
      said[name] = {
        status: response.getStatus(),
        completed: response.getCompleted(),
        failed: response.getFailures(),
      };
    }
  };
}

if (asked.get) {
  add(requests.CGetRequest.createStudyGetRequest(asked.get), counted('get'));
  client.on('cStoreRequest', (request, callback) => {
    said.got.push(request.getAffectedSopInstanceUid());
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  });
}
if (asked.move) {
  const { study, destination } = asked.move;
  add(requests.CMoveRequest.createStudyMoveRequest(destination, study), counted('move'));
}

class ReportScp extends Scp {
  associationRequested(association) {
    for (const { context } of association.getPresentationContexts()) {
      context.setResult(constants.PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    }
    this.sendAssociationAccept();
  }

  nEventReportRequest(request, callback) {
    said.report = { type: request.getEventTypeId(), dataset: request.getDataset().getElements() };
    const response = responses.NEventReportResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
    ReportScp.done();
  }
}

if (asked.commit) {
  const { transaction, items, listen } = asked.commit;
  const server = new Server(ReportScp);
  server.listen(listen);
  reported = new Promise((resolve) => {
    ReportScp.done = resolve;
  }).then(() => server.close());
  const request = new requests.NActionRequest(COMMITMENT, `${COMMITMENT}.1`, 1);
  request.setDataset(
    new Dataset({
      TransactionUID: transaction,
      ReferencedSOPSequence: items.map(([sopClass, instance]) => ({
        ReferencedSOPClassUID: sopClass,
        ReferencedSOPInstanceUID: instance,
      })),
    })
  );
  add(request, (response) => {
    said.commit = response.getStatus();
    if (said.commit !== constants.Status.Success) {
      ReportScp.done();
    }
  });
}

function end(refused) {
  process.stdout.write(JSON.stringify(refused ? { refused } : said));
  process.exitCode = 0;
}

client.on('associationRejected', (result) => {
  said.refused = `rejected ${JSON.stringify(result)}`;
});
client.on('networkError', (error) => {
  said.refused = said.refused || `network: ${error.message}`;
});
client.on('closed', () => {
  reported.then(() => end(said.refused));
});

const options = {};
if (asked.tls) {
  options.securityOptions = {
    key: fs.readFileSync(asked.tls.key),
    cert: fs.readFileSync(asked.tls.cert),
    ca: fs.readFileSync(asked.tls.ca),
    rejectUnauthorized: true,
  };
}
if (asked.user) {
  const [name, passcode] = asked.user;
  const { Username, UsernameAndPasscode } = constants.UserIdentityType;
  options.userIdentity = {
    type: passcode === null ? Username : UsernameAndPasscode,
    positiveResponseRequested: true,
    primaryField: name,
    secondaryField: passcode || '',
  };
}
client.send('127.0.0.1', asked.port, asked.calling || 'DCMJS', asked.called, options);
