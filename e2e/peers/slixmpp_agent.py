"""An XMPP client on slixmpp for the end-to-end tests. It takes commands on standard input and prints what happens on
standard output, each in a line of JSON. The harness (src/slixmpp.rs) is its only user.

    slixmpp_agent.py JID PASSWORD HOST PORT starttls|direct CA_FILE MECHANISM|any

With SLIXMPP_AGENT_RESUMES in the environment it enables stream management, and resumes its session when it signs in again. With
SLIXMPP_AGENT_EXTENSIONS it has all that stands in slixmpp_extensions.py, and with SLIXMPP_AGENT_REGISTERS it makes its account first, by
that word of an invitation.
"""

import asyncio
import datetime
import json
import os
import sys
import threading
from xml.etree import ElementTree

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from slixmpp_extensions import Extensions
from slixmpp_words import PATIENCE, tell

JID, PASSWORD, HOST, PORT, TLS, CA, MECHANISM = sys.argv[1:]

PLUGINS = (
    "xep_0030",  # Service Discovery
    "xep_0092",  # Software Version
    "xep_0199",  # Ping
    "xep_0202",  # Entity Time
    "xep_0203",  # Delayed Delivery
    "xep_0280",  # Carbons
    "xep_0353",  # Jingle Message Initiation
) + (("xep_0198",) if "SLIXMPP_AGENT_RESUMES" in os.environ else ())


def of_message(message):
    told = {key: str(message[key]) for key in ("from", "to", "type", "id", "body")}
    told["delayed"] = message.xml.find("{urn:xmpp:delay}delay") is not None
    told["ids"] = len(message.xml.findall("{urn:xmpp:sid:0}stanza-id"))
    told["copy"] = ""
    if message["type"] == "error":
        told["condition"] = message["error"]["condition"]
    return told


class Agent(Extensions, slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(JID, PASSWORD, sasl_mech=None if MECHANISM == "any" else MECHANISM)
        for name in PLUGINS:
            self.register_plugin(name)
        self.extended = "SLIXMPP_AGENT_EXTENSIONS" in os.environ
        if self.extended:
            self.begin_extensions(os.environ.get("SLIXMPP_AGENT_REGISTERS"))
        self.ca_certs = CA
        self.enable_direct_tls = TLS == "direct"
        self.enable_starttls = TLS == "starttls"
        self.enable_plaintext = False
        # Each answer to a request is the test's decision.
        self.roster.auto_authorize = None
        self.roster.auto_subscribe = False
        self.refused = False
        # XEP-0357 §8, for which there is no plug-in: a message without a text.
        disabled = MatchXPath("{jabber:client}message/{http://jabber.org/protocol/pubsub}pubsub")
        self.register_handler(Callback("push disabled", disabled, self.on_push_disabled))
        for event, handler in {
            "session_start": self.on_session,
            "failed_auth": lambda failure: tell("refused", condition=failure["condition"]),
            "failed_all_auth": lambda _: tell("gave_up"),
            "connection_failed": lambda why: tell("connection_failed", why=str(why)),
            "ssl_invalid_chain": lambda why: tell("bad_certificate", why=str(why)),
            "stream_error": lambda error: tell("stream_error", condition=error["condition"]),
            "disconnected": self.on_disconnected,
            "message": self.on_message,
            "message_error": lambda message: tell("message", **of_message(message)),
            "carbon_received": lambda message: self.on_copy(message, "received"),
            "carbon_sent": lambda message: self.on_copy(message, "sent"),
            "session_resumed": lambda _: tell("resumed"),
            "jingle_message_propose": self.on_propose,
            "presence": self.on_presence,
            "roster_update": self.on_roster,
        }.items():
            self.add_event_handler(event, handler)

    async def on_session(self, _):
        if self.extended:
            # From here on the client's presence says what it can do (XEP-0115 §5).
            await self.plugin["xep_0115"].update_caps(broadcast=False)
        tls = self.socket.version() if hasattr(self.socket, "version") else "none"
        tell("signed_in", jid=str(self.boundjid), mechanism=self.plugin["feature_mechanisms"].mech.name, tls=tls)

    def on_disconnected(self, _):
        tell("disconnected")

    def on_message(self, message):
        if message["type"] != "error":
            tell("message", **of_message(message))

    def on_push_disabled(self, message):
        pubsub = message.xml.find("{http://jabber.org/protocol/pubsub}pubsub")
        tell("push_disabled", **{"from": str(message["from"])}, node=pubsub.get("node"))

    def on_copy(self, message, direction):
        inner = message[f"carbon_{direction}"]
        tell("message", **{**of_message(inner), "copy": direction})

    def on_propose(self, message):
        tell("propose", **{"from": str(message["from"])}, id=message["jingle_propose"]["id"])

    def on_presence(self, presence):
        child = {name: presence.xml.findtext(f"{{jabber:client}}{name}") or "" for name in ("show", "status", "priority")}
        tell(
            "presence",
            **{"from": str(presence["from"]), "to": str(presence["to"])},
            type=presence.xml.get("type", ""),
            **child,
        )

    def on_roster(self, iq):
        # Only `result` and `set` come here; an error is told by the command that asked.
        items = [
            {
                "jid": item.get("jid"),
                "name": item.get("name", ""),
                "subscription": item.get("subscription", ""),
                "ask": item.get("ask", ""),
                "groups": sorted(group.text for group in item.findall("{jabber:iq:roster}group")),
            }
            for item in iq.xml.iter("{jabber:iq:roster}item")
        ]
        if iq["type"] == "set":
            tell("roster_push", **{"from": iq.xml.get("from", "")}, **items[0])
        else:
            tell("roster", items=items, count=len(items))

    async def do(self, command):
        word = command.pop("do")
        try:
            await getattr(self, f"do_{word}")(**command)
        except IqError as error:
            tell("failed", of=word, condition=error.condition, type=error.etype)
        except IqTimeout:
            tell("failed", of=word, condition="(no answer)", type="")

    async def do_presence(self, to=None, type=None, show=None, status=None, priority=None):
        self.send_presence(pto=to, ptype=type, pshow=show, pstatus=status, ppriority=priority)

    async def do_message(self, to, body, type="chat", id=None):
        message = self.make_message(mto=to, mbody=body, mtype=type)
        if id:
            message["id"] = id
        message.send()

    async def do_roster(self):
        await self.get_roster(timeout=PATIENCE)
        tell("done", of="roster")

    async def do_roster_set(self, jid, name=None, groups=(), subscription=None):
        iq = self.make_iq_set()
        query = ElementTree.SubElement(iq.xml, "{jabber:iq:roster}query")
        item = ElementTree.SubElement(query, "{jabber:iq:roster}item", {"jid": jid})
        for key, value in (("name", name), ("subscription", subscription)):
            if value:
                item.set(key, value)
        for group in groups:
            ElementTree.SubElement(item, "{jabber:iq:roster}group").text = group
        await iq.send(timeout=PATIENCE)
        tell("done", of="roster_set", jid=jid)

    async def do_carbons(self):
        await self.plugin["xep_0280"].enable(timeout=PATIENCE)
        tell("done", of="carbons")

    async def do_ping(self, to):
        # Not `ping`: that one takes an error of the own server for an answer.
        await self.plugin["xep_0199"].send_ping(to, timeout=PATIENCE)
        tell("done", of="ping", to=to)

    async def do_disco(self, to, node=None):
        info = (await self.plugin["xep_0030"].get_info(jid=to, node=node, timeout=PATIENCE))["disco_info"]
        category, kind = sorted(info["identities"])[0][:2]
        tell("done", of="disco", category=category, kind=kind, features=sorted(info["features"]))

    async def do_items(self, to):
        items = await self.plugin["xep_0030"].get_items(jid=to, timeout=PATIENCE)
        tell("done", of="items", count=len(items["disco_items"]["items"]))

    async def do_version(self, to):
        version = (await self.plugin["xep_0092"].get_version(to, timeout=PATIENCE))["software_version"]
        tell("done", of="version", name=version["name"], version=version["version"], os=version["os"])

    async def do_time(self, to):
        answer = await self.plugin["xep_0202"].get_entity_time(to, timeout=PATIENCE)
        # The plug-in's own reading puts a second Z behind the one that XEP-0082 wants.
        utc = answer.xml.findtext("{urn:xmpp:time}time/{urn:xmpp:time}utc")
        seconds = datetime.datetime.strptime(utc, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
        tell("done", of="time", utc=utc, seconds=seconds)

    async def do_ask(self, to, xml):
        """A question that no plug-in knows."""
        iq = self.make_iq_get(ito=to)
        iq.append(ElementTree.fromstring(xml))
        await iq.send(timeout=PATIENCE)
        tell("done", of="ask")

    async def do_tell(self, to, xml):
        """The same, to be done."""
        iq = self.make_iq_set(ito=to)
        iq.append(ElementTree.fromstring(xml))
        await iq.send(timeout=PATIENCE)
        tell("done", of="tell")

    async def do_enable_push(self, jid, node=None, **fields):
        iq = self.make_iq_set()
        enable = ElementTree.SubElement(iq.xml, "{urn:xmpp:push:0}enable", {"jid": jid})
        if node:
            enable.set("node", node)
        form = ElementTree.SubElement(enable, "{jabber:x:data}x", {"type": "submit"})
        kind = "http://jabber.org/protocol/pubsub#publish-options"
        for name, value in {"FORM_TYPE": kind, **fields}.items():
            field = ElementTree.SubElement(form, "{jabber:x:data}field", {"var": name})
            ElementTree.SubElement(field, "{jabber:x:data}value").text = value
        await iq.send(timeout=PATIENCE)
        tell("done", of="enable_push")

    async def do_lose(self):
        """The connection is gone, without a word."""
        self.abort()

    async def do_sign_out(self):
        await self.disconnect()
        tell("done", of="sign_out")

    async def do_sign_in(self, at=None):
        self.connect(at or HOST, int(PORT))


async def main():
    agent = Agent()
    commands = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(commands.put_nowait, line)
        loop.call_soon_threadsafe(commands.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    agent.connect(HOST, int(PORT))
    while (line := await commands.get()) is not None:
        # One behind the other: what the test says is sent in the order in which it says it.
        await agent.do(json.loads(line))


asyncio.run(main())
