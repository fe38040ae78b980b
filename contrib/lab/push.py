"""Pushes to the simulated clouds of `reveille lab` with aioapns and firebase-admin: what a test of yours does, in short.

    pip install aioapns firebase-admin
    reveille lab &
    python push.py http://127.0.0.1:2190
"""

import asyncio
import json
import os
import ssl
import sys
import tempfile
import urllib.request

CONTROL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:2190"


def ask(path, order=None):
    """The control API: `curl CONTROL/` is its help."""
    body = None if order is None else json.dumps(order).encode()
    with urllib.request.urlopen(CONTROL + path, body) as answer:
        return answer.read().decode()


about = json.loads(ask("/about"))

# Both libraries trust who vouches for the lab.
ca = tempfile.NamedTemporaryFile(suffix=".pem")
ca.write(ask("/ca.pem").encode())
ca.flush()
os.environ["REQUESTS_CA_BUNDLE"] = ca.name


def new_token():
    """Every well-formed one is good, unless POST /mode says otherwise."""
    return os.urandom(32).hex()


def journal(token):
    """What was pushed to it: for none of it the platforms may take anything amiss."""
    pushes = json.loads(ask(f"/notifications?token={token}"))
    assert not any(push.get("violations") for push in pushes), pushes
    return f"{len(pushes)} pushes in the journal"


async def apns():
    from aioapns import APNs, NotificationRequest, PushType
    from aioapns.connection import APNsProductionClientProtocol

    # aioapns knows Apple's address alone.
    APNsProductionClientProtocol.APNS_SERVER, port = about["apns"]["address"].rsplit(":", 1)
    APNsProductionClientProtocol.APNS_PORT = int(port)
    client = APNs(
        key=ask("/credentials/apns.p8"),
        key_id=about["apns"]["key_id"],
        team_id=about["apns"]["team_id"],
        topic="com.example.phone",
        ssl_context=ssl.create_default_context(cafile=ca.name),
    )
    token = new_token()
    request = NotificationRequest(device_token=token, message={"aps": {"alert": "hello"}}, push_type=PushType.ALERT)
    taken = await client.send_notification(request)
    assert taken.is_successful, taken.description
    # The phone has lost the app.
    ask(f"/tokens/{token}/fate", {"status": 410, "reason": "Unregistered"})
    dead = await client.send_notification(request)
    assert dead.description == "Unregistered", dead.description
    print("aioapns: taken, then Unregistered;", journal(token))


def fcm():
    import firebase_admin
    from firebase_admin import credentials, messaging

    # firebase-admin knows Google's address alone; that of the access tokens is in the service account.
    messaging._MessagingService.FCM_URL = f"https://{about['fcm']['address']}/v1/projects/{{0}}/messages:send"
    account = json.loads(ask("/credentials/example-droid.json"))
    firebase_admin.initialize_app(credentials.Certificate(account))
    token = new_token()
    message = messaging.Message(data={"hello": "world"}, token=token, android=messaging.AndroidConfig(priority="high"))
    assert messaging.send(message).startswith("projects/example-droid/messages/")
    ask(f"/tokens/{token}/fate", {"status": 404, "reason": "UNREGISTERED"})
    try:
        messaging.send(message)
        raise AssertionError("a dead token was taken")
    except messaging.UnregisteredError:
        print("firebase-admin: taken, then UnregisteredError;", journal(token))


asyncio.run(apns())
fcm()
