//! Chromium, with a web page that speaks XMPP (`peers/web/page.html`) or with any other, driven by Debian's `chromedriver`, which needs
//! nothing but HTTP.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::http_within;
use crate::{PASSWORD, Process, SOON, free_port, node_modules, poll};

/// A browser starts slowly on a busy machine.
const START: Duration = Duration::from_mins(1);

/// What Chromium is started with: without a window, and without anything that it would fetch or tell anybody.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // The server's certificate is of a CA that is made for each run.
    "--ignore-certificate-errors",
];

/// What a page speaks XMPP with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Library {
    /// `@xmpp/client`.
    XmppJs,
    /// `strophe.js`.
    Strophe,
}

impl Library {
    fn name(self) -> &'static str {
        match self {
            Self::XmppJs => "xmpp.js",
            Self::Strophe => "strophe",
        }
    }
}

/// A browser with one page.
pub struct Browser {
    driver: Process,
    address: SocketAddr,
    session: String,
    /// Chromium's own number.
    pid: Option<u64>,
    /// What its page speaks XMPP with, if that is what it is for.
    library: Option<Library>,
    taken: HashSet<usize>,
    _profile: TempDir,
}

impl Browser {
    /// A browser that has opened the page, by this name for this machine.
    pub fn at_page(library: Library, host: &str) -> Self {
        let mut browser = Self::started();
        browser.library = Some(library);
        browser.go(&format!("http://{host}:{}/", pages().port()));
        browser
    }

    /// A browser that has opened nothing yet.
    pub fn started() -> Self {
        let profile =
            TempDir::with_prefix("reveille-e2e-chromium-").expect("a temporary directory");
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let mut driver = Process::spawn("chromedriver", &mut command);
        driver.expect("started successfully", START);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let data = format!("--user-data-dir={}", profile.path().display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([data.as_str()]).collect();
        let options = json!({"binary": "/usr/bin/chromium", "args": flags});
        // What is looked for may stand on the page that comes next.
        let wait = u64::try_from(SOON.as_millis()).expect("a short time");
        let asked = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "acceptInsecureCerts": true, "goog:chromeOptions": options,
            "timeouts": {"implicit": wait}}}});
        let made = ask(address, "POST", "/session", Some(&asked));
        Self {
            driver,
            address,
            session: made["sessionId"].as_str().expect("a session").to_owned(),
            pid: made["capabilities"]["goog:processID"].as_u64(),
            library: None,
            taken: HashSet::new(),
            _profile: profile,
        }
    }

    /// It opens this, as if somebody had written it into the line above.
    pub fn go(&mut self, url: &str) {
        self.ask("POST", "/url", Some(&json!({"url": url})));
    }

    /// Where it is.
    pub fn url(&mut self) -> String {
        let url = self.ask("GET", "/url", None);
        url.as_str().expect("an address").to_owned()
    }

    /// Somebody fills in a field.
    pub fn fill(&mut self, field: &str, text: &str) {
        let path = format!("/element/{}/value", self.element(field));
        self.ask("POST", &path, Some(&json!({"text": text})));
    }

    /// Somebody presses it.
    pub fn press(&mut self, button: &str) {
        let path = format!("/element/{}/click", self.element(button));
        self.ask("POST", &path, Some(&json!({})));
    }

    /// What stands there.
    pub fn text(&mut self, selector: &str) -> String {
        let path = format!("/element/{}/text", self.element(selector));
        let text = self.ask("GET", &path, None);
        text.as_str().expect("a text").to_owned()
    }

    /// How it is announced to who cannot see it: its name.
    pub fn label(&mut self, selector: &str) -> String {
        let path = format!("/element/{}/computedlabel", self.element(selector));
        let label = self.ask("GET", &path, None);
        label.as_str().expect("a name").to_owned()
    }

    /// The driver's name for what this selector of CSS means.
    fn element(&mut self, selector: &str) -> String {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.ask("POST", "/element", Some(&wanted));
        let names = found.as_object().expect("an element");
        let name = names.values().next().and_then(Value::as_str);
        name.expect("its name").to_owned()
    }

    /// The page signs a `--dev` user in at this WebSocket.
    pub fn sign_in(&mut self, service: &str, user: &str, resource: &str) {
        let login =
            json!({"service": service, "user": user, "password": PASSWORD, "resource": resource});
        self.act(&[json!("start"), login]);
    }

    /// It says that it is there.
    pub fn presence(&mut self, status: &str) {
        self.act(&[json!("presence"), json!(status)]);
    }

    /// It writes to somebody.
    pub fn message(&mut self, to: &str, body: &str) {
        self.act(&[json!("message"), json!(to), json!(body)]);
    }

    /// It signs out.
    pub fn stop(&mut self) {
        self.act(&[json!("stop")]);
    }

    fn act(&mut self, what: &[Value]) {
        let mut arguments = vec![json!(self.library.expect("a page of XMPP").name())];
        arguments.extend_from_slice(what);
        self.call("act", &arguments);
    }

    /// Calls a function of the page.
    pub fn call(&mut self, function: &str, arguments: &[Value]) {
        self.script(&format!("{function}(...arguments)"), arguments);
    }

    fn script(&mut self, script: &str, arguments: &[Value]) -> Value {
        let body = json!({"script": script, "args": arguments});
        self.ask("POST", "/execute/sync", Some(&body))
    }

    /// Waits for something that the page tells and has not been expected before, with these fields among its own.
    pub fn expect(&mut self, event: &str, fields: &Value) -> Value {
        let wanted = fields.as_object().expect("an object of fields").clone();
        let mut told = Vec::new();
        let found = poll(SOON, || {
            let all = self.script("return told", &[]);
            told.clone_from(all.as_array().expect("a list"));
            let is_it = |it: &Value| {
                it["event"] == event && wanted.iter().all(|(name, value)| it[name] == *value)
            };
            let new = |(at, it): &(usize, &Value)| !self.taken.contains(at) && is_it(it);
            let (at, it) = told.iter().enumerate().find(new)?;
            let it = it.clone();
            self.taken.insert(at);
            Some(it)
        });
        found.unwrap_or_else(|| {
            self.picture("browser-failed");
            panic!("the page tells of no {event:?} with {fields}, but {told:#?}")
        })
    }

    /// How many such events it has told so far.
    pub fn count(&mut self, event: &str, fields: &Value) -> usize {
        let wanted = fields.as_object().expect("an object of fields").clone();
        let told = self.script("return told", &[]);
        let told = told.as_array().expect("a list").iter();
        told.filter(|it| {
            it["event"] == event && wanted.iter().all(|(name, value)| it[name] == *value)
        })
        .count()
    }

    /// What the page looks like, as a picture that is kept.
    pub fn picture(&mut self, name: &str) -> PathBuf {
        let encoded = self.ask("GET", "/screenshot", None);
        let picture = STANDARD
            .decode(encoded.as_str().expect("a picture"))
            .expect("base64");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e");
        fs::create_dir_all(&folder).expect("a folder for pictures");
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, picture).expect("a file of our own");
        path
    }

    fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let path = format!("/session/{}{path}", self.session);
        ask(self.address, method, &path, body)
    }
}

impl Drop for Browser {
    /// Without its driver Chromium would go on.
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        let _ = http_within(self.address, "DELETE", &path, None, SOON);
        self.driver.kill();
        if let Some(pid) = self.pid {
            let _ = Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .output();
        }
    }
}

/// What the driver answers; it must be no error.
fn ask(address: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Value {
    let answer = http_within(address, method, path, body, START);
    let answer = answer.unwrap_or_else(|error| panic!("chromedriver: {method} {path}: {error}"));
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
    let mut answer: Value = serde_json::from_str(&answer.body).expect("JSON");
    answer["value"].take()
}

/// Serves the page and what it needs, on a thread of its own, for as long as the test runs.
fn pages() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A browser may open connections that it does not use.
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let modules = node_modules().join("node_modules");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/web/page.html");
    let (path, kind) = match request.split(' ').nth(1) {
        Some("/") => (PathBuf::from(page), "text/html"),
        Some("/xmpp.js") => (
            modules.join("@xmpp/client/dist/xmpp.min.js"),
            "text/javascript",
        ),
        Some("/strophe.js") => (
            modules.join("strophe.js/dist/strophe.umd.min.js"),
            "text/javascript",
        ),
        _ => {
            return stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    };
    let body = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

/// A way to a server that can be cut, as when a train enters a tunnel.
pub struct Line {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Line {
    /// To this server.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let open = Arc::<Mutex<Vec<TcpStream>>>::default();
        let known = open.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(server) else {
                    continue;
                };
                let copies = [near.try_clone(), far.try_clone()];
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known.extend(copies.into_iter().flatten());
                for (from, to) in [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))] {
                    if let (Ok(from), Ok(to)) = (from, to) {
                        thread::spawn(move || pass_on(from, to));
                    }
                }
            }
        });
        Self { address, open }
    }

    /// Where it begins.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All that goes over it breaks.
    pub fn cut(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in open.drain(..) {
            // It may have gone by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
