"""An app's push server (XEP-0357) on slixmpp, as a component (XEP-0114), for the end-to-end tests. It takes commands on standard input
and prints what happens on standard output, each in a line of JSON. The harness (src/slixmpp.rs) is its only user.

    slixmpp_app_server.py DOMAIN SECRET HOST PORT NODES

NODES is an object of nodes with the secret that is to be shown for each. A publication for another node, or with another secret, is
refused; others are accepted, unless a command says otherwise.
"""

import asyncio
import json
import sys
import threading
from xml.etree import ElementTree

from slixmpp.componentxmpp import ComponentXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXMLMask

from slixmpp_words import tell

DOMAIN, SECRET, HOST, PORT, NODES = sys.argv[1:]

PUBSUB = "{http://jabber.org/protocol/pubsub}"
DATA = "{jabber:x:data}"


def fields(element):
    return {field.get("var"): field.findtext(f"{DATA}value") for field in element.iter(f"{DATA}field")}


class AppServer(ComponentXMPP):
    def __init__(self):
        super().__init__(DOMAIN, SECRET, HOST, int(PORT))
        for name in ("xep_0030", "xep_0199"):
            self.register_plugin(name)
        self["xep_0030"].add_identity(category="pubsub", itype="push", name="push")
        self["xep_0030"].add_feature("urn:xmpp:push:0")
        self.nodes = json.loads(NODES)
        self.trouble = None
        mask = MatchXMLMask("<iq xmlns='jabber:component:accept' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'/></iq>")
        self.register_handler(Callback("publications", mask, self.on_publish))
        for event, handler in {
            "session_start": lambda _: tell("connected"),
            "connection_failed": self.on_lost,
            "disconnected": self.on_lost,
            "stream_error": lambda error: tell("stream_error", condition=error["condition"]),
        }.items():
            self.add_event_handler(event, handler)

    def on_lost(self, _):
        tell("disconnected")
        # The server may be about to start again.
        asyncio.get_running_loop().call_later(0.2, self.connect, HOST, int(PORT))

    def on_publish(self, iq):
        publish = iq.xml.find(f"{PUBSUB}pubsub/{PUBSUB}publish")
        options = iq.xml.find(f"{PUBSUB}pubsub/{PUBSUB}publish-options")
        node, shown = publish.get("node"), {} if options is None else fields(options)
        whole = ElementTree.tostring(iq.xml, encoding="unicode")
        tell("published", node=node, secret=shown.get("secret"), whole=whole, summary=fields(publish), **{"from": str(iq["from"])})
        answer = iq.reply()
        condition = self.trouble
        if condition is None and node not in self.nodes:
            condition = ("cancel", "item-not-found")
        elif condition is None and shown.get("secret") != self.nodes[node]:
            condition = ("auth", "forbidden")
        if condition:
            answer["type"] = "error"
            answer["error"]["type"], answer["error"]["condition"] = condition
        answer.send()

    async def do_trouble(self, type=None, condition=None):
        self.trouble = (type, condition) if condition else None
        tell("done", of="trouble")

    async def do_ping(self, to):
        try:
            await self.plugin["xep_0199"].send_ping(to, ifrom=DOMAIN, timeout=20)
            tell("done", of="ping")
        except IqError as error:
            tell("failed", of="ping", condition=error.condition)
        except IqTimeout:
            tell("failed", of="ping", condition="(no answer)")

    async def do_message(self, to, body):
        self.send_message(mto=to, mbody=body, mtype="chat", mfrom=f"news@{DOMAIN}")

    async def do_revoke(self, to, node):
        """XEP-0357 §8."""
        message = self.make_message(mto=to, mfrom=DOMAIN)
        pubsub = ElementTree.SubElement(message.xml, f"{PUBSUB}pubsub", {"node": node})
        ElementTree.SubElement(pubsub, f"{PUBSUB}affiliation", {"jid": to, "affiliation": "none"})
        message.send()


async def main():
    server = AppServer()
    commands = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(commands.put_nowait, line)
        loop.call_soon_threadsafe(commands.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    server.connect(HOST, int(PORT))
    while (line := await commands.get()) is not None:
        command = json.loads(line)
        await getattr(server, f"do_{command.pop('do')}")(**command)


asyncio.run(main())
