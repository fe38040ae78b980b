//! Registering: one REGISTER with the cached nonce when all is well, the rest when not.

use std::time::Duration;

use sip::{Contacts, Edit, HeaderName, Message, Method, RequestBuilder};

use super::auth::Auth;
use super::requests::{Outgoing, Purpose};
use super::session::Session;
use super::timers::Timer;
use super::{Done, OrderId, Output, Phone, PhoneConfig, PhoneError, PhoneEvent};
use crate::rng::Rng;

/// REGISTERs for one registration: one refused nonce, one real challenge, one interval too brief.
const MOST_ROUND_TRIPS: u32 = 4;

/// First and longest pause before a foreground app tries to register again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a REGISTER over a stream waits for its answer. Then the stream is taken for dead, for one whose peer never
/// said FIN looks like any other, and 32 s (RFC 3261 §17.1.2.2) are longer than a call waits.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Orders that wait for one registration; a further one is refused.
const MOST_WAITING: usize = 64;

/// What the app remembers of its registration, over every sleep.
pub(super) struct Registration {
    call_id: String,
    tag: String,
    cseq: u32,
    auth: Auth,
    /// Seconds, raised if the server finds it too brief.
    expires: u64,
    /// Who wants to know the outcome of the one under way.
    waiting: Vec<OrderId>,
    progress: Progress,
    /// The last one was taken, and the app has not been away since.
    stands: bool,
    failures: u32,
}

enum Progress {
    Idle,
    /// A REGISTER for so many seconds waits for the connection.
    Connecting(u64),
    Sent,
}

impl Registration {
    pub(super) fn new(phone: &PhoneConfig, rng: &mut Rng) -> Self {
        Self {
            call_id: rng.hex(12),
            tag: rng.hex(6),
            cseq: 0,
            auth: Auth::default(),
            expires: phone.expires.as_secs(),
            waiting: Vec::new(),
            progress: Progress::Idle,
            stands: false,
            failures: 0,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.progress, Progress::Idle)
    }

    /// RFC 3261 §10.2, with the parameters of RFC 8599 §4.1 and the instance of RFC 5626 §4.1.
    fn request(
        &mut self,
        phone: &PhoneConfig,
        contact: &str,
        expires: u64,
        rng: &mut Rng,
    ) -> Message {
        self.cseq += 1;
        let uri = format!("sip:{}", phone.domain);
        let address = phone.address();
        let contact = format!(
            "<{contact}{}>;+sip.instance=\"<urn:uuid:{}>\"",
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
        match self.auth.credentials(phone, Method::Register, &uri, rng) {
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

impl Phone {
    /// Registers over the open session; `order` hears what comes of it. A registration under way serves as well, if the
    /// connection that it waits for was not lost before the app could see it.
    pub(super) fn register(&mut self, order: Option<OrderId>) {
        if !self.registers() {
            self.reconnect();
            return self.needs_no_registration(order);
        }
        if !self.waits(order) {
            return;
        }
        match self.registration.progress {
            Progress::Idle => self.send_register(self.registration.expires),
            Progress::Connecting(_) => self.reconnect(),
            Progress::Sent => {}
        }
    }

    /// Asks the server to forget us.
    pub(super) fn unregister(&mut self, order: OrderId) {
        if !self.registers() {
            return self.needs_no_registration(Some(order));
        }
        if self.waits(Some(order)) {
            self.send_register(0);
        }
    }

    /// The same for who waited for the XMPP door as well: a registration that stands already serves.
    pub(super) fn is_registered(&mut self, order: OrderId) {
        let registers = self.registers();
        if registers && !self.registration.stands {
            self.register(Some(order));
        } else {
            self.needs_no_registration(Some(order));
        }
    }

    fn registers(&self) -> bool {
        self.config.sip && self.config.registers
    }

    fn needs_no_registration(&mut self, order: Option<OrderId>) {
        if let Some(order) = order {
            self.done(order, Ok(Done::Obeyed));
        }
    }

    fn waits(&mut self, order: Option<OrderId>) -> bool {
        let room = self.registration.waiting.len() < MOST_WAITING;
        match order {
            Some(order) if !room => {
                let busy = format!("{MOST_WAITING} wait for the registration already");
                self.done(order, Err(PhoneError::Busy(busy)));
            }
            order => self.registration.waiting.extend(order),
        }
        room
    }

    fn send_register(&mut self, expires: u64) {
        let session = self
            .session
            .as_ref()
            .filter(|session| session.flow().is_some());
        let contact = session.and_then(|session| session.contact(&self.config.user));
        let Some(contact) = contact else {
            self.registration.progress = Progress::Connecting(expires);
            return self.reconnect();
        };
        let config = self.config.clone();
        let request = self
            .registration
            .request(&config, &contact, expires, &mut self.rng);
        self.send_registration(Outgoing::first(request, Purpose::Register));
    }

    fn send_registration(&mut self, outgoing: Outgoing) {
        self.registration.progress = Progress::Sent;
        self.expect_register_answer();
        self.send(outgoing);
    }

    /// Sets the time for the answer to a REGISTER, if one is under way.
    pub(super) fn expect_register_answer(&mut self) {
        if !matches!(self.registration.progress, Progress::Sent) {
            return;
        }
        let flow = self.session.as_ref().and_then(Session::flow);
        if flow.is_some_and(|flow| flow.transport.is_reliable()) {
            self.timers
                .replace(Timer::Unanswered, self.now + ANSWER_PATIENCE);
        }
    }

    /// The connection for which a REGISTER waited is there.
    pub(super) fn register_over_new_connection(&mut self) {
        if let Progress::Connecting(expires) = self.registration.progress {
            self.send_register(expires);
        }
    }

    /// The connection takes what we send and brings nothing.
    pub(super) fn on_register_unanswered(&mut self) {
        self.note(PhoneEvent::ConnectionLost);
        self.fail_connection(|connection| Output::Close { connection });
    }

    /// The session is gone, and with it the answer to what was under way.
    pub(super) fn interrupt_registration(&mut self) {
        self.registration.progress = Progress::Idle;
        self.registration.stands = false;
        for order in std::mem::take(&mut self.registration.waiting) {
            self.done(order, Err(PhoneError::NotRunning));
        }
    }

    /// A final answer to a REGISTER.
    pub(super) fn on_register_response(&mut self, sent: Outgoing, response: &Message) {
        let unregisters = sent.request.expires() == Ok(Some(0));
        match response.status().unwrap_or_default() {
            200..300 if unregisters => {
                self.note(PhoneEvent::Unregistered);
                self.timers.cancel(&Timer::Register);
                self.registered(&Ok(()));
            }
            200..300 => {
                let expires =
                    granted(response, &self.config.instance).unwrap_or(self.registration.expires);
                self.note(PhoneEvent::Registered {
                    expires,
                    round_trips: sent.round_trips,
                });
                self.registration.failures = 0;
                self.registration.stands = true;
                let half = Duration::from_secs((expires / 2).max(1));
                self.timers.replace(Timer::Register, self.now + half);
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
        if let Some(credentials) =
            registration
                .auth
                .credentials(&self.config, Method::Register, uri, &mut self.rng)
        {
            edit = edit.set(HeaderName::Authorization, credentials);
        }
        if let Some(expires) = expires {
            edit = edit.set(HeaderName::Expires, expires.to_string());
        }
        let request = edit.finish();
        self.send_registration(Outgoing {
            request,
            round_trips: sent.round_trips + 1,
            ..sent
        });
    }

    /// No registration came of it. What is not the server's last word is tried again while the app is in front.
    pub(super) fn registration_failed(&mut self, status: u16, reason: String) {
        self.note(PhoneEvent::RegistrationFailed {
            why: format!("{status} {reason}"),
        });
        self.registered(&Err(PhoneError::Refused { status, reason }));
        if self.is_foreground() && matches!(status, 408 | 500..600) {
            self.retry_registration();
        }
    }

    /// Tries again after a pause that doubles.
    pub(super) fn retry_registration(&mut self) {
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.registration.failures.min(16));
        self.registration.failures += 1;
        self.timers
            .replace(Timer::Register, self.now + pause.min(LONGEST_PAUSE));
    }

    fn registered(&mut self, outcome: &Result<(), PhoneError>) {
        self.registration.progress = Progress::Idle;
        self.timers.cancel(&Timer::Unanswered);
        for order in std::mem::take(&mut self.registration.waiting) {
            let outcome = outcome.clone();
            self.done(order, outcome.map(|()| Done::Obeyed));
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
