"""What the agent (slixmpp_agent.py) does beyond chat and presence: each extension for which slixmpp has a plug-in and Reveille something
to say or to carry. Each command goes by the plug-in, and so does what is heard: an event tells what the plug-in has made of a message. What
has come, in its order, is told by `wire`, with the elements that stand in each message.
"""

import asyncio
import base64

from slixmpp.exceptions import IqError
from slixmpp.stanza import Message
from slixmpp.xmlstream.handler import Waiter
from slixmpp.xmlstream.matcher import MatcherId

from slixmpp_words import PATIENCE, tell

PLUGINS = (
    "xep_0012",  # Last Activity
    "xep_0054",  # vcard-temp
    "xep_0077",  # In-Band Registration
    "xep_0085",  # Chat States
    "xep_0115",  # Entity Capabilities
    "xep_0153",  # vCard-Based Avatars
    "xep_0184",  # Message Delivery Receipts
    "xep_0191",  # Blocking
    "xep_0297",  # Forwarding
    "xep_0308",  # Correction
    "xep_0313",  # Archive, by pages (XEP-0059)
    "xep_0333",  # Markers
    "xep_0334",  # Hints
    "xep_0352",  # Client State
    "xep_0359",  # Stable ids
    "xep_0424",  # Retraction, with a text for others (XEP-0428)
    "xep_0441",  # Preferences of the archive
    "xep_0444",  # Reactions
    "xep_0461",  # Replies, with a quotation for others (XEP-0428)
)

# XEP-0353: what its plug-in knows. There is neither `ringing` nor `finish`.
OF_CALLS = ("retract", "accept", "proceed", "reject")

DELAY = "{urn:xmpp:delay}delay"
STANZA_ID = "{urn:xmpp:sid:0}stanza-id"


def has(stanza):
    """The names of what stands in a stanza."""
    return sorted(child.tag.split("}")[-1] for child in stanza.xml)


class Extensions:
    """What is mixed into a client of slixmpp."""

    def begin_extensions(self, word):
        """`word` is that of an invitation, empty if there is none, or None for who has an account."""
        for name in PLUGINS:
            self.register_plugin(name)
        self.word = word
        if word is not None:
            # The plug-in asks for the form before its event: too early for who must show an invitation (XEP-0445), which it does not know.
            self.unregister_feature("register", self.plugin["xep_0077"].order)
            self.register_feature("register", self.on_registration, restart=False, order=self.plugin["xep_0077"].order)
        for event, handler in {
            "chatstate": lambda it: self.heard("chat_state", it, state=it["chat_state"], delayed=it.xml.find(DELAY) is not None),
            "receipt_received": lambda it: self.heard("receipt", it, of=it["receipt"]),
            "message_correction": lambda it: self.heard("correction", it, of=it["replace"]["id"]),
            "marker": self.on_marker,
            "message_retract": lambda it: self.heard("retraction", it, of=it["retract"]["id"]),
            "reactions": self.on_reactions,
            "message_reply": self.on_reply,
            "forwarded_stanza": self.on_forwarded,
            "blocked": lambda it: tell("blocked", jids=sorted(item["jid"] for item in it["block"]["items"])),
            "unblocked": lambda it: tell("unblocked", jids=sorted(item["jid"] for item in it["unblock"]["items"])),
            "vcard_avatar_update": lambda it: tell("avatar", **{"from": str(it["from"])}, photo=it["vcard_temp_update"]["photo"]),
            **{f"jingle_message_{name}": self.of_call(name) for name in OF_CALLS},
        }.items():
            self.add_event_handler(event, handler)
        self.add_filter("in", self.on_wire)

    @staticmethod
    def on_wire(stanza):
        if isinstance(stanza, Message):
            ids = [[element.get("by"), element.get("id")] for element in stanza.xml.findall(STANZA_ID)]
            tell("wire", **{"from": str(stanza["from"])}, id=stanza["id"], has=has(stanza), ids=ids)
        return stanza

    @staticmethod
    def heard(event, message, **fields):
        tell(event, **{key: str(message[key]) for key in ("from", "to", "id", "body")}, **fields)

    def of_call(self, name):
        return lambda message: self.heard("call", message, word=name, of=message[f"jingle_{name}"]["id"])

    def on_marker(self, message):
        for name in ("received", "displayed", "acknowledged"):
            if message.get_plugin(name, check=True):
                self.heard("marker", message, marker=name, of=message[name]["id"])

    def on_reactions(self, message):
        self.heard("reactions", message, of=message["reactions"]["id"], reactions=sorted(message["reactions"]["values"]))

    def on_reply(self, message):
        reply = message["reply"]
        self.heard("reply", message, of=reply["id"], quoted=reply["fallback_body"] or reply.get_fallback_body(), text=reply.strip_fallback_content())

    def on_forwarded(self, message):
        inner = message["forwarded"]["stanza"]
        self.heard("forwarded", message, writer=str(inner["from"]), text=inner["body"])

    async def on_registration(self, _):
        """XEP-0077 §3.1, behind the word of an invitation (XEP-0445)."""
        if "mechanisms" in self.features or self.word is None:
            return False
        word, self.word = self.word, None
        if word:
            shown = self.Iq()
            answer = Waiter("invitation", MatcherId(shown["id"]))
            self.register_handler(answer)
            self.send_raw(
                f"<iq type='set' id='{shown['id']}'><preauth xmlns='urn:xmpp:pars:0' token='{word}'/></iq>",
            )
            told = await answer.wait(PATIENCE)
            tell("invited", type=told["type"] if told else "")
        try:
            form = await self.plugin["xep_0077"].get_registration(jid=self.boundjid.domain, timeout=PATIENCE)
            tell("registration", fields=sorted(form["register"]["fields"]))
            iq = self.Iq()
            iq["type"], iq["to"] = "set", self.boundjid.domain
            iq["register"]["username"] = self.boundjid.user
            iq["register"]["password"] = self.password
            await iq.send(timeout=PATIENCE)
            tell("registered")
        except IqError as error:
            tell("failed", of="registration", condition=error.condition, type=error.etype)
        return False

    async def do_last(self, to):
        answer = await self.plugin["xep_0012"].get_last_activity(to, timeout=PATIENCE)
        tell("done", of="last", to=to, seconds=int(answer["last_activity"]["seconds"]))

    async def do_card_set(self, name, given):
        card = self.plugin["xep_0054"].make_vcard()
        card["FN"] = name
        card["N"]["GIVEN"] = given
        await self.plugin["xep_0054"].publish_vcard(card, timeout=PATIENCE)
        tell("done", of="card_set")

    async def do_card(self, to):
        card = (await self.plugin["xep_0054"].get_vcard(to, timeout=PATIENCE))["vcard_temp"]
        photo = base64.b64encode(card["PHOTO"]["BINVAL"] or b"").decode()
        tell("done", of="card", name=card["FN"], given=card["N"]["GIVEN"], kind=card["PHOTO"]["TYPE"], photo=photo)

    async def do_avatar(self, kind, photo):
        await self.plugin["xep_0153"].set_avatar(avatar=base64.b64decode(photo), mtype=kind, timeout=PATIENCE)
        tell("done", of="avatar")

    async def do_caps(self, of):
        """What somebody can do by the hash in their presence or in the features of the stream, once the plug-in has verified it."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not (known := await self.plugin["xep_0115"].get_caps(of)) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        features = sorted(known["features"]) if known else []
        tell("done", of="caps", by=of, ver=await self.plugin["xep_0115"].get_verstring(of) or "", features=features)

    async def do_write(self, to, body, id, wants=(), hints=()):
        """A text that wants a receipt, or to be marked, or is to be treated in a way of its own."""
        message = self.make_message(mto=to, mbody=body, mtype="chat")
        message["id"] = id
        message["origin_id"]["id"] = id
        message["chat_state"] = "active"
        if "receipt" in wants:
            message["request_receipt"] = True
        if "marker" in wants:
            message.enable("markable")
        for hint in hints:
            message.enable(hint)
        message.send()

    async def do_state(self, to, state):
        message = self.make_message(mto=to, mtype="chat")
        message["chat_state"] = state
        message.send()

    async def do_correct(self, to, of, body, id):
        message = self.plugin["xep_0308"].build_correction(id_to_replace=of, mto=to, mbody=body)
        message["id"] = id
        message.send()

    async def do_mark(self, to, of, marker):
        self.plugin["xep_0333"].send_marker(mto=to, id=of, marker=marker, mtype="chat")

    async def do_retract(self, to, of):
        self.plugin["xep_0424"].send_retraction(to, of)

    async def do_react(self, to, of, reactions):
        message = self.make_message(mto=to, mtype="chat")
        self.plugin["xep_0444"].set_reactions(message, of, reactions)
        message.enable("store")
        message.send()

    async def do_reply(self, to, of, quoted, body, id):
        message = self.plugin["xep_0461"].make_reply(to, of, fallback=quoted, mto=to, mbody=body, mtype="chat")
        message["id"] = id
        message.send()

    async def do_forward(self, to, writer, body, text):
        inner = self.make_message(mto=self.boundjid.bare, mfrom=writer, mbody=text, mtype="chat")
        self.plugin["xep_0297"].forward(inner, mto=to, mbody=body)

    async def do_call(self, to, word, of):
        if word == "propose":
            self.plugin["xep_0353"].propose(to, of, [("urn:xmpp:jingle:apps:rtp:1", "audio")])
        else:
            getattr(self.plugin["xep_0353"], word)(to, of)

    async def do_block(self, jid):
        await self.plugin["xep_0191"].block(jid, timeout=PATIENCE)
        tell("done", of="block")

    async def do_unblock(self, jid):
        await self.plugin["xep_0191"].unblock(jid, timeout=PATIENCE)
        tell("done", of="unblock")

    async def do_blocklist(self):
        jids = await self.plugin["xep_0191"].get_blocked_jids(timeout=PATIENCE)
        tell("done", of="blocklist", jids=sorted(str(jid) for jid in jids))

    async def do_look(self, away):
        """Whether anybody looks at the client."""
        state = self.plugin["xep_0352"]
        (state.send_inactive if away else state.send_active)()
        tell("done", of="look", can=state.enabled)

    async def do_archive(self, page, backwards=False, peer=None):
        """All of it, a page at a time, from the beginning or from the end."""
        pages = self.plugin["xep_0313"].retrieve(with_jid=peer, reverse=backwards, iterator=True, rsm={"max": page})
        read = [[self.archived(result) for result in answer["mam"]["results"]] async for answer in pages]
        tell("done", of="archive", pages=read)

    @staticmethod
    def archived(result):
        result = result["mam_result"]
        message = result["forwarded"]["stanza"]
        return {
            "archive_id": result["id"],
            "dated": result["forwarded"]["delay"]["stamp"] is not None,
            "from": str(message["from"]),
            "id": message["id"],
            "body": message["body"],
            "has": has(message),
        }

    async def do_archive_fields(self):
        form = await self.plugin["xep_0313"].get_fields(timeout=PATIENCE)
        tell("done", of="archive_fields", fields=sorted(form.get_fields()))

    async def do_archive_ends(self):
        about = (await self.plugin["xep_0313"].get_archive_metadata(timeout=PATIENCE))["mam_metadata"]
        tell("done", of="archive_ends", first=about["start"]["id"], last=about["end"]["id"])

    async def do_archive_preferences(self):
        default, always, never = await self.plugin["xep_0441"].get_preferences(timeout=PATIENCE)
        tell("done", of="archive_preferences", default=default, exceptions=len(always) + len(never))

    async def do_password(self, password):
        await self.plugin["xep_0077"].change_password(password, jid=self.boundjid.domain, timeout=PATIENCE)
        tell("done", of="password")

    async def do_remove_account(self):
        await self.plugin["xep_0077"].cancel_registration(jid=self.boundjid.domain, timeout=PATIENCE)
        tell("done", of="remove_account")
