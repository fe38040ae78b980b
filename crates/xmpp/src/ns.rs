//! The namespaces that the server speaks, in one table: each a constant, all of them known to the parser, which keeps
//! two octets of a known one instead of its name.

/// Rows in the order of the names' octets, since they are looked up by halving.
macro_rules! namespaces {
    ($($constant:ident, $name:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $constant: &str = $name;)*

        /// All of them.
        pub(crate) const KNOWN: &[&str] = &[$($name),*];
    };
}

namespaces! {
    NONE, "", "No namespace: that of an attribute without a prefix, and of an element where nothing is declared.";
    STREAM, "http://etherx.jabber.org/streams", "Streams (RFC 6120 §4.8.1).";
    IQ_REGISTER, "http://jabber.org/features/iq-register", "In-band registration, as a feature of a stream (XEP-0077).";
    ACTIVITY, "http://jabber.org/protocol/activity", "User activity (XEP-0108).";
    CAPS, "http://jabber.org/protocol/caps", "Entity capabilities (XEP-0115).";
    CHAT_STATES, "http://jabber.org/protocol/chatstates", "Chat states (XEP-0085).";
    COMMANDS, "http://jabber.org/protocol/commands", "Ad-hoc commands (XEP-0050).";
    DISCO_INFO, "http://jabber.org/protocol/disco#info", "What an entity can do (XEP-0030).";
    DISCO_ITEMS, "http://jabber.org/protocol/disco#items", "What belongs to an entity (XEP-0030).";
    MOOD, "http://jabber.org/protocol/mood", "User mood (XEP-0107).";
    MUC, "http://jabber.org/protocol/muc", "Rooms (XEP-0045).";
    MUC_USER, "http://jabber.org/protocol/muc#user", "Rooms, to their occupants (XEP-0045).";
    NICK, "http://jabber.org/protocol/nick", "User nickname (XEP-0172).";
    PUBSUB, "http://jabber.org/protocol/pubsub", "Publishing and subscribing (XEP-0060).";
    PUBSUB_ERRORS, "http://jabber.org/protocol/pubsub#errors", "What goes wrong with publishing (XEP-0060).";
    PUBSUB_EVENT, "http://jabber.org/protocol/pubsub#event", "What was published (XEP-0060).";
    PUBSUB_OWNER, "http://jabber.org/protocol/pubsub#owner", "What owners of nodes do (XEP-0060).";
    PUBSUB_PUBLISH_OPTIONS, "http://jabber.org/protocol/pubsub#publish-options", "Conditions of a publication (XEP-0060).";
    RSM, "http://jabber.org/protocol/rsm", "Result sets in pages (XEP-0059).";
    TUNE, "http://jabber.org/protocol/tune", "User tune (XEP-0118).";
    VALIDATE, "http://jabber.org/protocol/xdata-validate", "Which values a field of a form takes (XEP-0122).";
    XHTML_IM, "http://jabber.org/protocol/xhtml-im", "Formatted text of older clients (XEP-0071).";
    XMLNS, "http://www.w3.org/2000/xmlns/", "Of the prefix `xmlns`, which cannot be declared.";
    XML, "http://www.w3.org/XML/1998/namespace", "Of the prefix `xml`, which is always declared.";
    CLIENT, "jabber:client", "Stanzas between a client and its server (RFC 6120 §4.8.3).";
    COMPONENT, "jabber:component:accept", "Streams of components (XEP-0114).";
    LAST, "jabber:iq:last", "Last activity (XEP-0012).";
    PRIVATE, "jabber:iq:private", "Private storage (XEP-0049).";
    REGISTER, "jabber:iq:register", "In-band registration (XEP-0077).";
    ROSTER, "jabber:iq:roster", "The roster (RFC 6121 §2).";
    VERSION, "jabber:iq:version", "Software version (XEP-0092).";
    SERVER, "jabber:server", "Stanzas between servers (RFC 6120 §4.8.3).";
    DIALBACK, "jabber:server:dialback", "Server dialback (XEP-0220).";
    CONFERENCE, "jabber:x:conference", "Direct invitations to rooms (XEP-0249).";
    DATA, "jabber:x:data", "Forms (XEP-0004).";
    OOB, "jabber:x:oob", "Data out of band (XEP-0066).";
    BIND, "urn:ietf:params:xml:ns:xmpp-bind", "Resource binding (RFC 6120 §7).";
    FRAMING, "urn:ietf:params:xml:ns:xmpp-framing", "Streams over WebSocket (RFC 7395 §3.3.2).";
    SASL, "urn:ietf:params:xml:ns:xmpp-sasl", "SASL (RFC 6120 §6).";
    SESSION, "urn:ietf:params:xml:ns:xmpp-session", "Sessions of RFC 3921, which mean nothing any more.";
    STANZA_ERRORS, "urn:ietf:params:xml:ns:xmpp-stanzas", "Conditions of stanza errors (RFC 6120 §8.3.3).";
    STREAM_ERRORS, "urn:ietf:params:xml:ns:xmpp-streams", "Conditions of stream errors (RFC 6120 §4.9.3).";
    TLS, "urn:ietf:params:xml:ns:xmpp-tls", "STARTTLS (RFC 6120 §5).";
    AVATAR_DATA, "urn:xmpp:avatar:data", "Avatars (XEP-0084).";
    AVATAR_METADATA, "urn:xmpp:avatar:metadata", "What is known of avatars (XEP-0084).";
    BIND2, "urn:xmpp:bind:0", "Bind 2 (XEP-0386).";
    BLOCKING, "urn:xmpp:blocking", "The blocking command (XEP-0191).";
    BLOCKING_ERRORS, "urn:xmpp:blocking:errors", "Why a stanza to someone blocked was refused (XEP-0191).";
    BOOKMARKS, "urn:xmpp:bookmarks:1", "Bookmarks (XEP-0402).";
    CARBONS, "urn:xmpp:carbons:2", "Message carbons (XEP-0280).";
    CHAT_MARKERS, "urn:xmpp:chat-markers:0", "Chat markers (XEP-0333).";
    CSI, "urn:xmpp:csi:0", "Client state indication (XEP-0352).";
    DELAY, "urn:xmpp:delay", "Delayed delivery (XEP-0203).";
    EXTERNAL_SERVICES, "urn:xmpp:extdisco:2", "External services (XEP-0215).";
    FALLBACK, "urn:xmpp:fallback:0", "Text for clients that do not understand the rest (XEP-0428).";
    FAST, "urn:xmpp:fast:0", "Sign-in by token (XEP-0484).";
    PRE_APPROVAL, "urn:xmpp:features:pre-approval", "Subscriptions approved beforehand (RFC 6121 §3.4).";
    ROSTER_VERSIONING, "urn:xmpp:features:rosterver", "Roster versions (RFC 6121 §2.6).";
    FORWARD, "urn:xmpp:forward:0", "A stanza inside another (XEP-0297).";
    HINTS, "urn:xmpp:hints", "Processing hints (XEP-0334).";
    HTTP_UPLOAD, "urn:xmpp:http:upload:0", "File upload (XEP-0363).";
    IBR_TOKEN, "urn:xmpp:ibr-token:0", "In-band registration by a token, as a feature of a stream (XEP-0445).";
    IDLE, "urn:xmpp:idle:1", "Since when a user is idle (XEP-0319).";
    INVITE, "urn:xmpp:invite", "Invitations to a server (XEP-0401).";
    JINGLE_MESSAGE, "urn:xmpp:jingle-message:0", "Calls proposed by message (XEP-0353).";
    JINGLE, "urn:xmpp:jingle:1", "Jingle sessions (XEP-0166).";
    JINGLE_RTP, "urn:xmpp:jingle:apps:rtp:1", "Calls with audio and video (XEP-0167).";
    JINGLE_ERRORS, "urn:xmpp:jingle:errors:1", "What goes wrong with them (XEP-0166).";
    MAM, "urn:xmpp:mam:2", "The message archive (XEP-0313, XEP-0441).";
    MDS, "urn:xmpp:mds:displayed:0", "What was read at another device (XEP-0490).";
    CORRECTION, "urn:xmpp:message-correct:0", "Last message correction (XEP-0308).";
    RETRACTION, "urn:xmpp:message-retract:1", "Message retraction (XEP-0424).";
    OCCUPANT_ID, "urn:xmpp:occupant-id:0", "Who an occupant of a room is (XEP-0421).";
    PARS, "urn:xmpp:pars:0", "Tokens that were handed over beforehand (XEP-0379, XEP-0445).";
    PING, "urn:xmpp:ping", "Ping (XEP-0199).";
    PUSH, "urn:xmpp:push:0", "Push notifications (XEP-0357).";
    PUSH_SUMMARY, "urn:xmpp:push:summary", "What a notification says (XEP-0357).";
    REACTIONS, "urn:xmpp:reactions:0", "Message reactions (XEP-0444).";
    RECEIPTS, "urn:xmpp:receipts", "Delivery receipts (XEP-0184).";
    REPLY, "urn:xmpp:reply:0", "Message replies (XEP-0461).";
    CHANNEL_BINDING, "urn:xmpp:sasl-cb:0", "Types of channel binding (XEP-0440).";
    SASL2, "urn:xmpp:sasl:2", "SASL2 (XEP-0388).";
    STANZA_ID, "urn:xmpp:sid:0", "Stanza ids (XEP-0359).";
    SM2, "urn:xmpp:sm:2", "Stream management of older clients (XEP-0198).";
    SM, "urn:xmpp:sm:3", "Stream management (XEP-0198).";
    STREAM_LIMITS, "urn:xmpp:stream-limits:0", "Limits of a stream (XEP-0478).";
    STYLING, "urn:xmpp:styling:0", "Message styling (XEP-0393).";
    TIME, "urn:xmpp:time", "Entity time (XEP-0202).";
    VCARD, "vcard-temp", "vCards (XEP-0054).";
    VCARD_UPDATE, "vcard-temp:x:update", "Avatars in presence (XEP-0153).";
}

/// The row of a namespace.
pub(crate) fn row(name: &str) -> Option<usize> {
    KNOWN.binary_search(&name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_row_is_found() {
        assert!(KNOWN.is_sorted_by(|one, next| one < next), "{:?}", {
            let mut sorted = KNOWN.to_vec();
            sorted.sort_unstable();
            sorted
        });
        for (at, name) in KNOWN.iter().enumerate() {
            assert_eq!(row(name), Some(at));
        }
        assert_eq!(row("urn:example:other"), None);
    }
}
