//! An XMPP client on slixmpp, through the Python script `peers/slixmpp_agent.py`, and an app's push server, through
//! `peers/slixmpp_app_server.py`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::python::python;
use crate::{Host, PASSWORD, Process, Reveille, SOON, Tls};

/// Who signs in, and how.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The resource that is asked for; empty if none is.
    pub resource: String,
    /// The password.
    pub password: String,
    /// How TLS begins.
    pub tls: Tls,
    /// The one mechanism that may be used, or `any`.
    pub mechanism: String,
    /// Whether its session goes on when it signs in again.
    pub resumes: bool,
    /// Whether it has all that stands in `peers/slixmpp_extensions.py`.
    pub extended: bool,
    /// The word of the invitation by which it makes its account first; empty if it tries without one.
    pub invitation: Option<String>,
}

impl Login {
    /// A `--dev` user by STARTTLS, with the mechanism that the client likes best.
    pub fn new(user: &str, resource: &str) -> Self {
        Self {
            user: user.to_owned(),
            resource: resource.to_owned(),
            password: PASSWORD.to_owned(),
            tls: Tls::Starttls,
            mechanism: "any".to_owned(),
            resumes: false,
            extended: false,
            invitation: None,
        }
    }

    /// With each extension that slixmpp has and that means something here.
    #[must_use]
    pub fn extended(mut self) -> Self {
        self.extended = true;
        self
    }

    /// For a user who has no account yet, and makes one by this word (XEP-0077, XEP-0445).
    #[must_use]
    pub fn invited(mut self, word: &str) -> Self {
        self.invitation = Some(word.to_owned());
        self.extended()
    }

    /// With stream management (XEP-0198).
    #[must_use]
    pub fn resuming(mut self) -> Self {
        self.resumes = true;
        self
    }

    /// By this mechanism alone, over TLS that begins like this.
    #[must_use]
    pub fn by(mut self, mechanism: &str, tls: Tls) -> Self {
        mechanism.clone_into(&mut self.mechanism);
        self.tls = tls;
        self
    }

    /// With another password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }
}

/// A running client. What it tells can be expected in any order, since stanzas of several origins have none; each line
/// is there for one expectation.
pub struct Slixmpp {
    process: Process,
    taken: HashSet<usize>,
}

impl Slixmpp {
    /// Starts a client, which begins to sign in.
    pub fn start(server: &Reveille, login: &Login) -> Self {
        Self::start_trusting(server, login, &server.ca_file())
    }

    /// A client that trusts this CA instead.
    pub fn start_trusting(server: &Reveille, login: &Login, ca: &Path) -> Self {
        Self::start_at(server.xmpp(login.tls), login, ca)
    }

    /// A client of somebody else's server there.
    pub fn start_at(address: SocketAddr, login: &Login, ca: &Path) -> Self {
        Self::start_on(&Host::default(), address, login, ca)
    }

    /// The same, where that host is.
    pub fn start_on(host: &Host, address: SocketAddr, login: &Login, ca: &Path) -> Self {
        let Login {
            user,
            resource,
            password,
            tls,
            mechanism,
            resumes,
            extended,
            invitation,
        } = login;
        let mut command = script("slixmpp_agent.py");
        command
            .arg(format!("{user}@localhost/{resource}").trim_end_matches('/'))
            .args([password, &address.ip().to_string()])
            .args([address.port().to_string(), tls.to_string()])
            .arg(ca)
            .arg(mechanism);
        if *resumes {
            command.env("SLIXMPP_AGENT_RESUMES", "1");
        }
        if *extended {
            command.env("SLIXMPP_AGENT_EXTENSIONS", "1");
        }
        if let Some(word) = invitation {
            command.env("SLIXMPP_AGENT_REGISTERS", word);
        }
        Self {
            process: Process::spawn(
                format!("slixmpp of {user} {resource}"),
                &mut host.runs(command),
            ),
            taken: HashSet::new(),
        }
    }

    /// An app's push server, which connects as the component of this domain, and takes publications for these nodes with the secret
    /// of each.
    pub fn app_server(server: &Reveille, domain: &str, secret: &str, nodes: &Value) -> Self {
        let address = server.address("component");
        let mut command = script("slixmpp_app_server.py");
        command
            .args([domain, secret, &address.ip().to_string()])
            .args([address.port().to_string(), nodes.to_string()]);
        Self {
            process: Process::spawn(format!("slixmpp as {domain}"), &mut command),
            taken: HashSet::new(),
        }
    }

    /// A client of a `--dev` user that has signed in.
    pub fn signed_in(server: &Reveille, user: &str, resource: &str) -> Self {
        let mut client = Self::start(server, &Login::new(user, resource));
        client.expect("signed_in", &json!({}));
        client
    }

    /// The same, once the server knows that it is there and takes messages.
    pub fn available(server: &Reveille, user: &str, resource: &str) -> Self {
        let mut client = Self::signed_in(server, user, resource);
        client.be_available();
        client
    }

    /// Says that it is there, and waits until the server has heard of it: it shows a client its own presence
    /// (RFC 6121 §4.2.2).
    pub fn be_available(&mut self) {
        let status = format!("there {}", self.taken.len());
        self.tell(&json!({"do": "presence", "status": status}));
        self.expect("presence", &json!({"status": status, "type": ""}));
    }

    /// Tells it what to do.
    pub fn tell(&mut self, command: &Value) {
        self.process.say(command.to_string());
    }

    /// Sends a text to somebody.
    pub fn message(&mut self, to: &str, body: &str) {
        self.tell(&json!({"do": "message", "to": to, "body": body}));
    }

    /// One asks to see the other, who agrees; both see that in their rosters (RFC 6121 §3.1). `to` and `from` are what stands there then.
    pub fn subscribe(
        one: &mut Self,
        other: &mut Self,
        name: &str,
        peer: &str,
        to: &str,
        from: &str,
    ) {
        let (jid, of_peer) = (format!("{name}@localhost"), format!("{peer}@localhost"));
        one.tell(&json!({"do": "presence", "to": of_peer, "type": "subscribe"}));
        one.expect("roster_push", &json!({"jid": of_peer, "ask": "subscribe"}));
        other.expect("presence", &json!({"from": jid, "type": "subscribe"}));
        other.tell(&json!({"do": "presence", "to": jid, "type": "subscribed"}));
        one.expect("presence", &json!({"from": of_peer, "type": "subscribed"}));
        one.expect(
            "roster_push",
            &json!({"jid": of_peer, "subscription": to, "ask": ""}),
        );
        other.expect("roster_push", &json!({"jid": jid, "subscription": from}));
    }

    /// Waits for an event that has not been expected before, with these fields among its own.
    pub fn expect(&mut self, event: &str, fields: &Value) -> Value {
        let wanted = |index: usize, line: &str| {
            !self.taken.contains(&index) && is_like(line, event, fields).is_some()
        };
        let Some((index, line)) = self.process.wait_for(0, wanted, SOON) else {
            panic!(
                "no {event:?} with {fields} within {SOON:?}. It said:\n{}",
                self.process.tail()
            );
        };
        self.taken.insert(index);
        is_like(&line, event, fields).expect("just seen")
    }

    /// How many such events there were so far, expected or not.
    pub fn count(&self, event: &str, fields: &Value) -> usize {
        self.all(event, fields).len()
    }

    /// All such events so far, expected or not, in their order.
    pub fn all(&self, event: &str, fields: &Value) -> Vec<Value> {
        let said = self.process.output();
        said.lines()
            .filter_map(|line| is_like(line, event, fields))
            .collect()
    }

    /// Tells it something that is done when the server has answered, and waits for that.
    pub fn does(&mut self, what: &str, command: &Value) -> Value {
        self.orders(what, command);
        self.expect("done", &json!({"of": what}))
    }

    /// The same, which the server refuses so.
    pub fn is_refused(&mut self, what: &str, command: &Value, condition: &str) {
        self.orders(what, command);
        self.expect("failed", &json!({"of": what, "condition": condition}));
    }

    fn orders(&mut self, what: &str, command: &Value) {
        let mut command = command.clone();
        command["do"] = what.into();
        self.tell(&command);
    }

    /// Waits until the server has taken in all that was told it so far.
    pub fn settle(&mut self) {
        self.does("ping", &json!({"to": "localhost"}));
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// One of the scripts beside this crate, which leaves nothing of its own there.
fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    command
        .arg(scripts.join(name))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The event in a line, if it is this one and has these fields.
fn is_like(line: &str, event: &str, fields: &Value) -> Option<Value> {
    let told: Value = serde_json::from_str(line).ok()?;
    let wanted = fields.as_object().expect("an object of fields");
    let is_it = told["event"] == event && wanted.iter().all(|(name, value)| told[name] == *value);
    is_it.then_some(told)
}
