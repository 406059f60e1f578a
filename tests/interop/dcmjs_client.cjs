// What the tests have npm's dcmjs-dimse do; run by node with the package in NODE_PATH.
//
// Standard input: {"port", "called", "files": [path], "find": {keyword: value}, "tls": {"key",
// "cert", "ca"}, "calling", "user": [name, passcode or null]}; all but port and called are optional,
// tls holds paths. All requests go over one association. Standard output: {"echo": status, "stored": {path: status}, "found": [dataset],
// "find": final status}, or {"refused": why} when there was no association.

const fs = require('fs');
const { Client, constants, log, requests } = require('dcmjs-dimse');

log.setLevel('silent');
const asked = JSON.parse(fs.readFileSync(0, 'utf8'));
const said = { stored: {}, found: [] };
const client = new Client();

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
client.on('closed', () => end(said.refused));

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
