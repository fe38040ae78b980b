// node-apn as a contestant: pushes as it is ordered to, and says how many were taken.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const order = JSON.parse(process.argv[2]);
const apn = createRequire(join(process.env.NODE_MODULES, "/"))("@parse/node-apn");
const client = new apn.Provider({
  token: { key: order.key, keyId: order.key_id, teamId: order.team },
  address: order.host,
  port: order.port,
  ca: readFileSync(order.ca),
});
const note = new apn.Notification({ topic: "com.example.phone", alert: "New message", pushType: "alert" });

// So many push at once, one after the other, until the time is over.
async function pushAll(atOnce, seconds) {
  const count = { next: 0, taken: 0, failed: 0, reason: "" };
  const begun = performance.now();
  const lasts = () => performance.now() - begun < seconds * 1000;
  const one = async () => {
    do {
      const token = (count.next++).toString(16).padStart(64, "0");
      const { sent, failed } = await client.send(note, token);
      count.taken += sent.length;
      count.failed += failed.length;
      for (const it of failed) count.reason = it.response?.reason ?? String(it.error);
    } while (lasts());
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return count;
}

// The connection is there, and its first pushes are over.
if (!order.burst) await pushAll(order.in_flight, 0);
const begun = performance.now();
const count = order.burst ? await pushAll(order.burst, 0) : await pushAll(order.in_flight, order.seconds);
const seconds = (performance.now() - begun) / 1000;
console.log(JSON.stringify({ taken: count.taken, failed: count.failed, seconds, reason: count.reason }));
process.exit(0);
