//! Registering: one REGISTER with the cached nonce when all is well, the rest when not.

use std::time::Duration;

use sip::{Contacts, Edit, HeaderName, Message, Method, RequestBuilder};
use tokio::sync::oneshot;

use super::actor::Actor;
use super::auth::Auth;
use super::requests::{Outgoing, Purpose};
use super::session::Session;
use super::timers::Timer;
use super::{PhoneConfig, PhoneError, PhoneEvent, entropy};

/// REGISTERs for one registration: one refused nonce, one real challenge, one interval too brief.
const MOST_ROUND_TRIPS: u32 = 4;

/// First and longest pause before a foreground app tries to register again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(super) type Reply = oneshot::Sender<Result<(), PhoneError>>;

/// What the app remembers of its registration, over every sleep.
pub(super) struct Registration {
    call_id: String,
    tag: String,
    cseq: u32,
    auth: Auth,
    /// Seconds, raised if the server finds it too brief.
    expires: u64,
    /// Who wants to know the outcome of the one under way.
    waiting: Vec<Reply>,
    under_way: bool,
    failures: u32,
}

impl Registration {
    pub(super) fn new(phone: &PhoneConfig) -> Self {
        Self {
            call_id: entropy::hex(12),
            tag: entropy::hex(6),
            cseq: 0,
            auth: Auth::default(),
            expires: phone.expires.as_secs(),
            waiting: Vec::new(),
            under_way: false,
            failures: 0,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// The session is gone, and with it the answer to what was under way.
    pub(super) fn interrupt(&mut self) {
        self.under_way = false;
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(Err(PhoneError::NotRunning));
        }
    }

    /// RFC 3261 §10.2, with the parameters of RFC 8599 §4.1 and the instance of RFC 5626 §4.1.
    fn request(&mut self, phone: &PhoneConfig, session: &Session, expires: u64) -> Message {
        self.cseq += 1;
        let uri = format!("sip:{}", phone.domain);
        let address = phone.address();
        let contact = format!(
            "<{}{}>;+sip.instance=\"<urn:uuid:{}>\"",
            session.contact(&phone.user),
            phone.push_params(),
            phone.instance
        );
        let request = RequestBuilder::new(Method::Register, &uri)
            .header(HeaderName::From, format!("<{address}>;tag={}", self.tag))
            .header(HeaderName::To, format!("<{address}>"))
            .header(HeaderName::CallId, &self.call_id)
            .header(HeaderName::CSeq, format!("{} REGISTER", self.cseq))
            .header(HeaderName::Contact, contact)
            .header(HeaderName::Expires, expires.to_string())
            .header(HeaderName::Supported, "path")
            .header(HeaderName::UserAgent, user_agent(phone));
        match self.auth.credentials(phone, Method::Register, &uri) {
            Some(credentials) => request
                .header(HeaderName::Authorization, credentials)
                .build(),
            None => request.build(),
        }
    }
}

/// As the app calls itself.
pub(super) fn user_agent(phone: &PhoneConfig) -> String {
    format!(
        "{} ({}; {:?}) reveille-lab",
        phone.client,
        phone.app(),
        phone.platform()
    )
}

impl Actor {
    /// Registers over the open session; `reply` hears what comes of it. A registration under way serves as well.
    pub(super) fn register(&mut self, reply: Option<Reply>) {
        self.registration.waiting.extend(reply);
        if !self.registration.under_way {
            self.send_register(self.registration.expires);
        }
    }

    /// Asks the server to forget us.
    pub(super) fn unregister(&mut self, reply: Reply) {
        self.registration.waiting.push(reply);
        self.send_register(0);
    }

    fn send_register(&mut self, expires: u64) {
        let Some(session) = &mut self.session else {
            self.registration.interrupt();
            return;
        };
        self.registration.under_way = true;
        let request = self.registration.request(&self.phone, session, expires);
        self.send(Outgoing::first(request, Purpose::Register));
    }

    /// A final answer to a REGISTER.
    pub(super) fn on_register_response(&mut self, sent: Outgoing, response: &Message) {
        let unregisters = sent.request.expires() == Ok(Some(0));
        match response.status().unwrap_or_default() {
            200..300 if unregisters => {
                self.log.write(PhoneEvent::Unregistered);
                self.registered(&Ok(()));
            }
            200..300 => {
                let expires =
                    granted(response, &self.phone.instance).unwrap_or(self.registration.expires);
                self.log.write(PhoneEvent::Registered {
                    expires,
                    round_trips: sent.round_trips,
                });
                self.registration.failures = 0;
                self.timers
                    .replace(Timer::Register, Duration::from_secs((expires / 2).max(1)));
                self.registered(&Ok(()));
            }
            401 | 407
                if sent.round_trips < MOST_ROUND_TRIPS
                    && self
                        .registration
                        .auth
                        .learn(response, sent.round_trips == 1) =>
            {
                self.register_again(sent, None);
            }
            423 if sent.round_trips < MOST_ROUND_TRIPS => {
                let least = response
                    .header_text(HeaderName::MinExpires)
                    .and_then(|text| text.trim().parse().ok());
                self.registration.expires = least.unwrap_or(self.registration.expires * 2);
                self.register_again(sent, Some(self.registration.expires));
            }
            status => {
                let reason = String::from_utf8_lossy(response.reason()).into_owned();
                self.registration_failed(status, reason);
            }
        }
    }

    fn register_again(&mut self, sent: Outgoing, expires: Option<u64>) {
        let registration = &mut self.registration;
        registration.cseq += 1;
        let mut edit = Edit::new(&sent.request)
            .set(HeaderName::CSeq, format!("{} REGISTER", registration.cseq));
        let uri = sent.request.request_uri();
        if let Some(credentials) = registration
            .auth
            .credentials(&self.phone, Method::Register, uri)
        {
            edit = edit.set(HeaderName::Authorization, credentials);
        }
        if let Some(expires) = expires {
            edit = edit.set(HeaderName::Expires, expires.to_string());
        }
        let request = edit.finish();
        self.send(Outgoing {
            request,
            round_trips: sent.round_trips + 1,
            ..sent
        });
    }

    /// No registration came of it. What is not the server's last word is tried again while the app is in front.
    pub(super) fn registration_failed(&mut self, status: u16, reason: String) {
        self.log.write(PhoneEvent::RegistrationFailed {
            why: format!("{status} {reason}"),
        });
        self.registered(&Err((status, reason)));
        if self.is_foreground() && matches!(status, 408 | 500..600) {
            self.retry_registration();
        }
    }

    /// Tries again after a pause that doubles.
    pub(super) fn retry_registration(&mut self) {
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.registration.failures.min(16));
        self.registration.failures += 1;
        self.timers
            .replace(Timer::Register, pause.min(LONGEST_PAUSE));
    }

    fn registered(&mut self, outcome: &Result<(), (u16, String)>) {
        self.registration.under_way = false;
        for waiting in self.registration.waiting.drain(..) {
            let outcome = outcome.clone();
            let _ = waiting
                .send(outcome.map_err(|(status, reason)| PhoneError::Refused { status, reason }));
        }
    }
}

/// For how many seconds the server keeps our contact: its `expires` parameter, else the Expires header.
fn granted(response: &Message, instance: &str) -> Option<u64> {
    let of_contact = match response.contacts().ok()? {
        Contacts::List(contacts) => contacts
            .iter()
            .find(|contact| {
                contact
                    .param("+sip.instance")
                    .is_some_and(|value| value.contains(instance))
            })
            .and_then(|contact| contact.param("expires")?.parse().ok()),
        Contacts::Star => None,
    };
    of_contact.or_else(|| Some(u64::from(response.expires().ok()??)))
}
