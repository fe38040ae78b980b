//! The programme: every play with its title and what is expected. One table; its order is that of the rows.

use super::{
    plays::{calls, chats, messages, moves, offers, rules},
    report::{Side, Title},
    scene::Scene,
    stage::Timers,
};
use crate::dev;
use anyhow::Result;
use domain::Generation;
use lab::{phone::PushService, plays};

/// A client of the behaviour table (`behaviour.md` 2).
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Client {
    /// Which of those that all plays go by.
    pub(super) of: plays::Client,
    /// What the phone calls itself.
    pub(super) app: &'static str,
    /// What the phone is called in the steps.
    pub(super) phone: &'static str,
    cloud: Cloud,
}

#[derive(Debug, Eq, PartialEq)]
enum Cloud {
    Apns {
        bundle: &'static str,
    },
    Fcm {
        project: &'static str,
        package: &'static str,
    },
    WebPush {
        app: &'static str,
    },
}

/// The team of the simulated APNs.
const TEAM: &str = "TEAM123456";

const fn iphone(of: plays::Client, app: &'static str, bundle: &'static str) -> Client {
    Client::new(of, app, "iPhone", Cloud::Apns { bundle })
}

const fn android(
    of: plays::Client,
    app: &'static str,
    project: &'static str,
    package: &'static str,
) -> Client {
    Client::new(of, app, "Android", Cloud::Fcm { project, package })
}

pub(super) const JABBER_12: Client = iphone(plays::JABBER_12, "Jabber", "com.example.jabber12");
pub(super) const JABBER_13: Client = iphone(plays::JABBER_13, "Jabber", "com.example.jabber");
pub(super) const JABBER_DROID: Client = android(
    plays::JABBER_DROID,
    "Jabber",
    "jabber-droid",
    "com.example.jabber.droid",
);
pub(super) const WEBEX_12: Client = iphone(plays::WEBEX_12, "Webex", "com.example.webex12");
pub(super) const WEBEX_13: Client = iphone(plays::WEBEX_13, "Webex", "com.example.webex");
pub(super) const WEBEX_DROID: Client = android(
    plays::WEBEX_DROID,
    "Webex",
    "webex-droid",
    "com.example.webex.droid",
);
pub(super) const PAGE: Client = Client::new(
    plays::PAGE,
    "Page",
    "browser",
    Cloud::WebPush {
        app: "com.example.web",
    },
);

/// The way of a push, in the words of its platform.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Way {
    pub(super) topic: Option<String>,
    pub(super) push_type: Option<&'static str>,
    pub(super) project: Option<&'static str>,
    pub(super) priority: &'static str,
    /// Set if it must be delivered now or never.
    pub(super) expiration: Option<&'static str>,
}

impl Client {
    const fn new(of: plays::Client, app: &'static str, phone: &'static str, cloud: Cloud) -> Self {
        Self {
            of,
            app,
            phone,
            cloud,
        }
    }

    /// Whose cloud pushes to it; `web` is the origin of the simulated push service.
    pub(super) fn service(&self, web: &str) -> PushService {
        match self.cloud {
            Cloud::Apns { bundle } => PushService::Apns {
                team: TEAM.to_owned(),
                bundle: bundle.to_owned(),
            },
            Cloud::Fcm { project, package } => PushService::Fcm {
                project: project.to_owned(),
                package: package.to_owned(),
            },
            Cloud::WebPush { app } => PushService::WebPush {
                app: app.to_owned(),
                service: web.to_owned(),
            },
        }
    }

    /// How a push of this kind must travel: topic, push type, project, priority, and how long it may be kept if that is
    /// for now or never (`behaviour.md` 12).
    pub(super) fn way_of(&self, kind: &str) -> Way {
        let is_call = kind == "call";
        match self.cloud {
            Cloud::Apns { bundle } => {
                let voip = is_call || self.of.generation == Generation::SingleChannel;
                let topic = if voip {
                    format!("{bundle}.voip")
                } else {
                    bundle.to_owned()
                };
                Way {
                    topic: Some(topic),
                    push_type: Some(if voip { "voip" } else { "alert" }),
                    project: None,
                    priority: "10",
                    expiration: is_call.then_some("0"),
                }
            }
            Cloud::Fcm { project, .. } => Way {
                topic: None,
                push_type: None,
                project: Some(project),
                priority: "high",
                expiration: is_call.then_some("0s"),
            },
            Cloud::WebPush { .. } => Way {
                topic: None,
                push_type: None,
                project: None,
                priority: if is_call { "high" } else { "normal" },
                expiration: is_call.then_some("0"),
            },
        }
    }
}

/// A play.
#[derive(Debug)]
pub(super) enum Play {
    ForegroundCall(Client),
    ForegroundMessage(Client),
    SuspendedCall(Client),
    SuspendedMessage(Client),
    ForegroundChat(Client),
    SuspendedChat(Client),
    ForegroundOffer(Client),
    SuspendedOffer(Client),
    Away(Client),
    CallerHearsRinging,
    WakeFails,
    WakeFailsWithForward,
    TokenDead,
    AnsweredElsewhere,
    CallerGivesUp,
    Burst,
    OfferTakenElsewhere,
    OfferGivenUp,
    BothDoors,
    ChatBurst,
    MovesAsleep,
    MovesInCall,
    MovesAsleepOverXmpp,
    MovesInFront,
    PlatformRules,
}

/// All plays.
pub(super) const PLAYS: &[Play] = &{
    use Play::*;
    [
        ForegroundCall(JABBER_12),
        ForegroundMessage(JABBER_12),
        SuspendedCall(JABBER_12),
        SuspendedMessage(JABBER_12),
        ForegroundChat(JABBER_12),
        SuspendedChat(JABBER_12),
        ForegroundOffer(JABBER_12),
        SuspendedOffer(JABBER_12),
        Away(JABBER_12),
        ForegroundCall(JABBER_13),
        ForegroundMessage(JABBER_13),
        SuspendedCall(JABBER_13),
        SuspendedMessage(JABBER_13),
        ForegroundChat(JABBER_13),
        SuspendedChat(JABBER_13),
        ForegroundOffer(JABBER_13),
        SuspendedOffer(JABBER_13),
        Away(JABBER_13),
        ForegroundCall(JABBER_DROID),
        ForegroundMessage(JABBER_DROID),
        SuspendedCall(JABBER_DROID),
        SuspendedMessage(JABBER_DROID),
        ForegroundChat(JABBER_DROID),
        SuspendedChat(JABBER_DROID),
        ForegroundOffer(JABBER_DROID),
        SuspendedOffer(JABBER_DROID),
        Away(JABBER_DROID),
        ForegroundCall(WEBEX_12),
        ForegroundMessage(WEBEX_12),
        SuspendedCall(WEBEX_12),
        SuspendedMessage(WEBEX_12),
        ForegroundChat(WEBEX_12),
        SuspendedChat(WEBEX_12),
        ForegroundOffer(WEBEX_12),
        SuspendedOffer(WEBEX_12),
        Away(WEBEX_12),
        ForegroundCall(WEBEX_13),
        ForegroundMessage(WEBEX_13),
        SuspendedCall(WEBEX_13),
        SuspendedMessage(WEBEX_13),
        ForegroundChat(WEBEX_13),
        SuspendedChat(WEBEX_13),
        ForegroundOffer(WEBEX_13),
        SuspendedOffer(WEBEX_13),
        Away(WEBEX_13),
        ForegroundCall(WEBEX_DROID),
        ForegroundMessage(WEBEX_DROID),
        SuspendedCall(WEBEX_DROID),
        SuspendedMessage(WEBEX_DROID),
        ForegroundChat(WEBEX_DROID),
        SuspendedChat(WEBEX_DROID),
        ForegroundOffer(WEBEX_DROID),
        SuspendedOffer(WEBEX_DROID),
        Away(WEBEX_DROID),
        ForegroundChat(PAGE),
        SuspendedChat(PAGE),
        ForegroundOffer(PAGE),
        SuspendedOffer(PAGE),
        Away(PAGE),
        TokenDead,
        AnsweredElsewhere,
        CallerGivesUp,
        Burst,
        OfferTakenElsewhere,
        OfferGivenUp,
        BothDoors,
        ChatBurst,
        MovesAsleep,
        MovesInCall,
        MovesAsleepOverXmpp,
        MovesInFront,
        CallerHearsRinging,
        WakeFails,
        WakeFailsWithForward,
        PlatformRules,
    ]
};

impl Play {
    /// What it is about, and what happens to that.
    fn about(&self) -> (&'static str, &'static str) {
        use Play::*;
        match self {
            ForegroundCall(client) => (client.of.name, "foreground call"),
            ForegroundMessage(client) => (client.of.name, "foreground message"),
            SuspendedCall(client) => (client.of.name, "suspended call"),
            SuspendedMessage(client) => (client.of.name, "suspended message"),
            ForegroundChat(client) => (client.of.name, "foreground XMPP message"),
            SuspendedChat(client) => (client.of.name, "suspended XMPP message"),
            ForegroundOffer(client) => (client.of.name, "foreground XMPP call"),
            SuspendedOffer(client) => (client.of.name, "suspended XMPP call"),
            Away(client) => (client.of.name, "presence"),
            CallerHearsRinging => ("No phone answers yet", ""),
            WakeFails => ("No phone wakes", ""),
            WakeFailsWithForward => ("No phone wakes, with a forward", ""),
            TokenDead => ("The provider says: token dead", ""),
            AnsweredElsewhere => ("Answered on another device", ""),
            CallerGivesUp => ("The caller gives up", ""),
            Burst => ("A burst of messages", ""),
            OfferTakenElsewhere => ("XMPP: answered on another device", ""),
            OfferGivenUp => ("XMPP: the caller gives up", ""),
            BothDoors => ("Phones with one door and with both", ""),
            ChatBurst => ("XMPP: a burst of messages", ""),
            MovesAsleep => ("A phone that moves", "asleep"),
            MovesInCall => ("A phone that moves", "in a call"),
            MovesAsleepOverXmpp => ("A phone that moves", "asleep, over XMPP"),
            MovesInFront => ("A phone that moves", "in front, both doors"),
            PlatformRules => ("The platforms' own rules", ""),
        }
    }

    /// What should happen, in a few words.
    pub(super) fn expected(&self, timers: Timers) -> String {
        use Play::*;
        let Timers {
            ringing,
            wake,
            collapse,
        } = timers;
        let (ringing, wake, collapse) = (spaced(ringing), spaced(wake), spaced(collapse));
        match self {
            ForegroundCall(_) => "SIP rings, the push is a duplicate".to_owned(),
            ForegroundMessage(_) => "over its connection, no push".to_owned(),
            SuspendedCall(client) if client.of.has_callkit() => {
                "CallKit rings by push, then by SIP".to_owned()
            }
            SuspendedCall(_) => "wakes by push, held INVITE rings".to_owned(),
            SuspendedMessage(_) => "kept, pushed, fetched on a tap".to_owned(),
            ForegroundChat(_) => "over its stream, once, no push".to_owned(),
            SuspendedChat(_) => "kept, pushed, resumed on a tap".to_owned(),
            ForegroundOffer(_) => "rings by stream, the push a duplicate".to_owned(),
            SuspendedOffer(client) if client.of.has_callkit() => {
                "CallKit rings by push, then by stream".to_owned()
            }
            SuspendedOffer(client) if client.of.is_page() => {
                "shown by push, opened, then rings".to_owned()
            }
            SuspendedOffer(_) => "wakes by push, then rings".to_owned(),
            Away(_) => "away while asleep, then as before".to_owned(),
            CallerHearsRinging => format!("the caller hears ringing at {ringing}"),
            WakeFails => format!("the caller gets 480 at {wake}"),
            WakeFailsWithForward => format!("the forward rings at {wake}"),
            TokenDead => "forward at once, no more pushes".to_owned(),
            AnsweredElsewhere => "the others stop and learn why".to_owned(),
            CallerGivesUp | OfferGivenUp => "CallKit closes, missed call pushed".to_owned(),
            OfferTakenElsewhere => "the others stop, by copy and by push".to_owned(),
            BothDoors => "each rings once a call, by its door".to_owned(),
            Burst | ChatBurst => format!("one push a window of {collapse}"),
            MovesAsleep => "registers where pushed, rings".to_owned(),
            MovesInCall => "the call goes on, both can end it".to_owned(),
            MovesAsleepOverXmpp => "goes on by the other door, rings".to_owned(),
            MovesInFront => "nothing lost, nothing twice".to_owned(),
            PlatformRules => "no app killed, no cloud offended".to_owned(),
        }
    }

    /// It takes long, and does nothing for most of it.
    pub(super) fn waits_for_timers(&self) -> bool {
        matches!(
            self,
            Self::CallerHearsRinging
                | Self::WakeFails
                | Self::WakeFailsWithForward
                | Self::Burst
                | Self::ChatBurst
                | Self::Away(_)
        )
    }

    /// It looks at what all others have left behind.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::PlatformRules)
    }

    /// Plays it; says what was seen, or what went wrong.
    pub(super) async fn perform(&self, scene: &Scene) -> Result<String> {
        use Play::*;
        match self {
            ForegroundCall(client) => calls::foreground(scene, client).await,
            SuspendedCall(client) => calls::suspended(scene, client).await,
            ForegroundMessage(client) => messages::foreground(scene, client).await,
            SuspendedMessage(client) => messages::suspended(scene, client).await,
            ForegroundChat(client) => chats::foreground(scene, client).await,
            SuspendedChat(client) => chats::suspended(scene, client).await,
            ForegroundOffer(client) => offers::foreground(scene, client).await,
            SuspendedOffer(client) => offers::suspended(scene, client).await,
            Away(client) => chats::away(scene, client).await,
            CallerHearsRinging => rules::unanswered::caller_hears_ringing(scene).await,
            WakeFails => rules::unanswered::wake_fails(scene).await,
            WakeFailsWithForward => rules::unanswered::wake_fails_with_forward(scene).await,
            TokenDead => rules::dead_token::play(scene).await,
            AnsweredElsewhere => rules::elsewhere::play(scene).await,
            CallerGivesUp => rules::given_up::play(scene).await,
            Burst => rules::burst::play(scene, false).await,
            OfferTakenElsewhere => offers::taken_elsewhere(scene).await,
            OfferGivenUp => offers::given_up(scene).await,
            BothDoors => offers::both_doors(scene).await,
            ChatBurst => rules::burst::play(scene, true).await,
            MovesAsleep => moves::asleep(scene).await,
            MovesInCall => moves::in_a_call(scene).await,
            MovesAsleepOverXmpp => moves::asleep_over_xmpp(scene).await,
            MovesInFront => moves::in_front(scene).await,
            PlatformRules => scene.stage().verdict_of_platforms().await,
        }
    }
}

/// `5 s`, as people write it.
fn spaced(span: crate::config::Span) -> String {
    let text = span.to_string();
    let unit = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    format!("{number} {unit}")
}

/// A play, with Bob's phones on this side.
#[derive(Copy, Clone, Debug)]
pub(super) struct Played {
    pub(super) play: &'static Play,
    pub(super) side: Side,
}

/// The programme, in the order in which rows are numbered: each play inside and outside, and once what looks at all.
pub(super) fn all() -> impl Iterator<Item = Played> {
    PLAYS.iter().flat_map(|play| {
        let sides = [Side::Inside, Side::Outside].map(|side| Played { play, side });
        let count = if play.is_last() { 1 } else { sides.len() };
        sides.into_iter().take(count)
    })
}

impl Played {
    pub(super) fn title(self) -> Title {
        let (subject, what) = self.play.about();
        Title {
            subject: subject.to_owned(),
            what: what.to_owned(),
            side: Some(self.side).filter(|_| !self.play.is_last()),
        }
    }
}

/// A person of a play. Every play has people of its own, so that all can run over one server.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Person {
    Alice,
    Bob,
    Carol,
}

impl Person {
    const ALL: [Self; 3] = [Self::Alice, Self::Bob, Self::Carol];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alice => "Alice",
            Self::Bob => "Bob",
            Self::Carol => "Carol",
        }
    }

    pub(super) fn full_name(self) -> &'static str {
        match self {
            Self::Alice => "Alice Archer",
            Self::Bob => "Bob Baker",
            Self::Carol => "Carol Cook",
        }
    }

    /// Their number in the play of this number: the name of their account.
    pub(super) fn number(self, play: usize) -> String {
        let who = match self {
            Self::Alice => 1,
            Self::Bob => 2,
            Self::Carol => 3,
        };
        format!("4{who}{play:03}")
    }
}

/// The accounts of all plays, and those that every development server has.
pub(super) fn users() -> Vec<String> {
    let people = (0..all().count()).flat_map(|play| Person::ALL.map(|person| person.number(play)));
    dev::USERS
        .into_iter()
        .map(str::to_owned)
        .chain(people)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which play of the machines it is, and by which client.
    fn of_machines(play: &Play) -> (plays::Play, Option<&'static str>) {
        match play {
            Play::ForegroundCall(client) => (plays::Play::ForegroundCall, Some(client.of.name)),
            Play::ForegroundMessage(client) => {
                (plays::Play::ForegroundMessage, Some(client.of.name))
            }
            Play::SuspendedCall(client) => (plays::Play::SuspendedCall, Some(client.of.name)),
            Play::SuspendedMessage(client) => (plays::Play::SuspendedMessage, Some(client.of.name)),
            Play::ForegroundChat(client) => (plays::Play::ForegroundChat, Some(client.of.name)),
            Play::SuspendedChat(client) => (plays::Play::SuspendedChat, Some(client.of.name)),
            Play::ForegroundOffer(client) => (plays::Play::ForegroundOffer, Some(client.of.name)),
            Play::SuspendedOffer(client) => (plays::Play::SuspendedOffer, Some(client.of.name)),
            Play::Away(client) => (plays::Play::Away, Some(client.of.name)),
            Play::CallerHearsRinging => (plays::Play::CallerHearsRinging, None),
            Play::WakeFails => (plays::Play::WakeFails, None),
            Play::WakeFailsWithForward => (plays::Play::WakeFailsWithForward, None),
            Play::TokenDead => (plays::Play::TokenDead, None),
            Play::AnsweredElsewhere => (plays::Play::AnsweredElsewhere, None),
            Play::CallerGivesUp => (plays::Play::CallerGivesUp, None),
            Play::Burst => (plays::Play::Burst, None),
            Play::OfferTakenElsewhere => (plays::Play::OfferTakenElsewhere, None),
            Play::OfferGivenUp => (plays::Play::OfferGivenUp, None),
            Play::BothDoors => (plays::Play::BothDoors, None),
            Play::ChatBurst => (plays::Play::ChatBurst, None),
            Play::MovesAsleep => (plays::Play::MovesAsleep, None),
            Play::MovesInCall => (plays::Play::MovesInCall, None),
            Play::MovesAsleepOverXmpp => (plays::Play::MovesAsleepOverXmpp, None),
            Play::MovesInFront => (plays::Play::MovesInFront, None),
            Play::PlatformRules => (plays::Play::PlatformRules, None),
        }
    }

    #[test]
    fn what_is_shown_to_people_is_what_the_machines_play_under_virtual_time() {
        let mut shown: Vec<_> = PLAYS.iter().map(of_machines).collect();
        let mut played = Vec::new();
        for play in plays::Play::ALL {
            if play.is_for_each_client() {
                let clients = plays::CLIENTS.iter().filter(|client| play.is_for(client));
                played.extend(clients.map(|client| (play, Some(client.name))));
            } else {
                played.push((play, None));
            }
        }
        shown.sort_unstable();
        played.sort_unstable();
        assert_eq!(shown, played);
    }
}
