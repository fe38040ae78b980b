"""aioapns as a contestant: pushes as it is ordered to, and says how many were taken."""

import asyncio
import json
import logging
import ssl
import sys
import time

from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol

order = json.loads(sys.argv[1])
logging.disable(logging.CRITICAL)
# aioapns knows Apple's address alone.
APNsProductionClientProtocol.APNS_SERVER = order["host"]
APNsProductionClientProtocol.APNS_PORT = order["port"]


async def push_all(client, at_once, seconds):
    """So many push at once, one after the other, until the time is over."""
    count = {"next": 0, "taken": 0, "failed": 0, "reason": ""}
    until = time.monotonic() + seconds

    async def one():
        while True:
            token = f"{count['next']:064x}"
            count["next"] += 1
            request = NotificationRequest(
                device_token=token, message={"aps": {"alert": "New message"}}, push_type=PushType.ALERT
            )
            try:
                said = await client.send_notification(request)
                taken, reason = said.is_successful, said.description
            except Exception as error:
                taken, reason = False, repr(error)
            if taken:
                count["taken"] += 1
            else:
                count["failed"] += 1
                count["reason"] = str(reason)
            if time.monotonic() >= until:
                return

    await asyncio.gather(*(one() for _ in range(at_once)))
    return count


async def main():
    with open(order["key"]) as file:
        key = file.read()
    client = APNs(
        key=key,
        key_id=order["key_id"],
        team_id=order["team"],
        topic="com.example.phone",
        ssl_context=ssl.create_default_context(cafile=order["ca"]),
    )
    if not order["burst"]:
        # The connection is there, and its first pushes are over.
        await push_all(client, order["in_flight"], 0)
    begun = time.monotonic()
    if order["burst"]:
        count = await push_all(client, order["burst"], 0)
    else:
        count = await push_all(client, order["in_flight"], order["seconds"])
    seconds = time.monotonic() - begun
    print(json.dumps({"taken": count["taken"], "failed": count["failed"], "seconds": seconds, "reason": count["reason"]}))


asyncio.run(main())
