// Pushes to the simulated APNs of `reveille lab` with node-apn: what a test of yours does, in short.
//
//     npm install @parse/node-apn
//     reveille lab &
//     node push.mjs http://127.0.0.1:2190

import { createRequire } from "node:module";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import assert from "node:assert";

// Of the folder in which this runs, or of the one that is named.
const apn = createRequire(join(process.env.NODE_MODULES ?? process.cwd(), "/"))("@parse/node-apn");

const control = process.argv[2] ?? "http://127.0.0.1:2190";
// The control API: `curl CONTROL/` is its help.
const ask = async (path, order) => {
  const body = order && JSON.stringify(order);
  const answer = await fetch(control + path, { method: body ? "POST" : "GET", body });
  assert(answer.ok, `${path}: ${answer.status}`);
  return answer.text();
};

const about = JSON.parse(await ask("/about"));
const [address, port] = about.apns.address.split(":");
const client = new apn.Provider({
  token: { key: await ask("/credentials/apns.p8"), keyId: about.apns.key_id, teamId: about.apns.team_id },
  address,
  port: Number(port),
  ca: await ask("/ca.pem"),
});
// One of its own each run.
const token = randomBytes(32).toString("hex");
const note = new apn.Notification({ topic: "com.example.phone", alert: "hello", pushType: "alert" });

const taken = await client.send(note, token);
assert.equal(taken.sent.length, 1, JSON.stringify(taken.failed));
// The phone has lost the app.
await ask(`/tokens/${token}/fate`, { status: 410, reason: "Unregistered" });
const dead = await client.send(note, token);
assert.equal(dead.failed[0]?.response?.reason, "Unregistered", JSON.stringify(dead));
console.log("node-apn: taken, then Unregistered");
await client.shutdown();
