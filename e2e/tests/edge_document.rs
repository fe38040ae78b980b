//! `docs/operations/edge.md`, done word by word: an inside and two edges, each in a clean Debian, as their operator sets them up.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use reveille_e2e::{Clean, PASSWORD, Process, SOON, poll};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/operations/edge.md");

/// What stands in the page for keys, which are others each time.
const KEYS: [&str; 3] = ["uZ3…", "9fQ…", "Qm1…"];

/// The blocks of a section that are as far in as this, each as its lines.
fn blocks(section: &str, indent: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = PAGE.split_once(&format!("## {section}\n")).expect(section);
    let section = rest.split("\n## ").next().expect("its text");
    let mut blocks = vec![Vec::new()];
    for line in section.lines() {
        match line.strip_prefix(indent) {
            Some(line) => blocks.last_mut().expect("one").push(line),
            None => blocks.push(Vec::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Inside, and both edges, of which it knows nothing yet.
struct World {
    inside: Clean,
    edges: [Clean; 2],
}

impl World {
    fn new() -> Self {
        let world = Self {
            inside: Clean::with_program(),
            edges: [Clean::with_program(), Clean::with_program()],
        };
        let mut hosts = "127.0.0.1 localhost sip.example.org\n".to_owned();
        for (number, edge) in (1..).zip(&world.edges) {
            let [near, far] = [1, 2].map(|end| format!("10.0.{number}.{end}"));
            world.inside.joins(edge, [&near, &far]);
            let _ = writeln!(hosts, "{far} edge{number}.example.org");
        }
        fs::write(world.inside.path("/etc/hosts"), hosts).expect("ours");
        let init = "reveille init /etc/reveille --domain example.org --node sip.example.org";
        world.inside.run(init);
        let user = format!("reveille user add alice --password {PASSWORD}");
        world.inside.run(&user);
        certificates(&world.edges);
        world
    }
}

/// What somebody who signs in by this edge is told.
fn token(edge: &Clean) -> (String, Value) {
    let ca = edge.path("/root/fullchain.pem");
    let who = json!({
        "grant_type": "password", "username": "alice@example.org", "password": PASSWORD,
    });
    let resolve = "sip.example.org:443:127.0.0.1";
    let mut curl = edge.on_its_network("curl", &["-sS", "--resolve", resolve]);
    curl.arg("--cacert").arg(ca).args(["-w", "\n%{http_code}"]);
    curl.args([
        "-H",
        "Content-Type: application/json",
        "-d",
        &who.to_string(),
    ]);
    let output = curl.arg("https://sip.example.org/oauth/token").output();
    let output = output.expect("curl");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("text");
    let (told, status) = said.rsplit_once('\n').expect("a status");
    let told = serde_json::from_str(told).unwrap_or_else(|_| panic!("{said}"));
    (status.to_owned(), told)
}

fn assert_lets_in(edge: &Clean) {
    let (status, told) = token(edge);
    assert_eq!(status, "200", "{told}");
    assert!(told["access_token"].is_string(), "{told}");
}

/// What a public CA gives for both edges: here it vouches for itself.
fn certificates(edges: &[Clean; 2]) {
    let names = ["sip", "edge1", "edge2"].map(|host| format!("DNS:{host}.example.org"));
    let names = format!("subjectAltName=DNS:example.org,{}", names.join(","));
    let [one, other] = edges.each_ref().map(|edge| edge.path("/root"));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    openssl.args([
        "-nodes",
        "-days",
        "90",
        "-subj",
        "/CN=example.org",
        "-addext",
        &names,
    ]);
    openssl.args(["-keyout", "privkey.pem", "-out", "fullchain.pem"]);
    let output = openssl.current_dir(&one).output().expect("openssl");
    assert!(output.status.success(), "{output:?}");
    for file in ["privkey.pem", "fullchain.pem"] {
        fs::copy(one.join(file), other.join(file)).expect("ours");
    }
}

/// What `reveille check` says where all is well.
fn checks(host: &Clean, line: &str) {
    let checked = host.run(line);
    assert!(checked.lines().all(|it| it.starts_with("ok ")), "{checked}");
}

/// Sets an edge up by the page, up to its running; gives what stands in its line for the inside, and the process.
fn edge(edge: &Clean, number: usize, steps: &[Vec<&str>], key: &str) -> (String, Process) {
    let init = steps[0][0].replace("edge1", &format!("edge{number}"));
    let said = edge.run(&init.replace(KEYS[0], key));
    assert!(said.contains("systemctl enable --now reveille"), "{said}");
    let line = said.lines().find(|it| it.trim().starts_with("edges = "));
    let line = line.expect("the line for the inside").trim();
    let entry = line.trim_start_matches("edges = [").trim_end_matches(']');
    let [install @ .., check] = &steps[1][..] else {
        panic!("{steps:?}");
    };
    for line in install {
        edge.run(&format!("cd /root && {line}"));
    }
    checks(edge, check);
    // With the device API, at a port of its own that the unit may open.
    let device = blocks("The device API", "    ");
    let [listen, may, _example] = &device[..] else {
        panic!("{device:?}");
    };
    let [section, device_tls] = listen[..] else {
        panic!("{listen:?}");
    };
    assert_eq!(section, "[listen]");
    let file = edge.path("/etc/reveille/reveille.toml");
    let written = fs::read_to_string(&file).expect("init writes it");
    let with = written.replace("#! device_tls = []", device_tls);
    assert_ne!(with, written);
    fs::write(&file, with).expect("ours");
    let folder = "/etc/systemd/system/reveille.service.d";
    edge.run(&format!("mkdir -p {folder}"));
    let drop_in = edge.path(&format!("{folder}/override.conf"));
    fs::write(drop_in, may.join("\n")).expect("ours");
    checks(edge, check);
    assert_eq!(steps[2], ["systemctl enable --now reveille"]);
    (entry.to_owned(), edge.service())
}

#[test]
fn two_edges_are_set_up_used_and_taken_down_as_the_page_says() {
    let world = World::new();
    let World { inside, edges } = &world;
    let steps = blocks("Step by step", "       ");
    let [pair, _, _, _, line, restart, status] = &steps[..] else {
        panic!("{steps:#?}");
    };
    // 1: inside.
    let said = inside.run(pair[0]);
    let (before, after) = pair[1].split_once(KEYS[0]).expect("a key");
    let key = said.trim().strip_prefix(before);
    let key = key.and_then(|it| it.strip_suffix(after)).expect("a key");
    // 2 and 3: at each edge.
    let (first, mut one) = edge(&edges[0], 1, &steps[1..4], key);
    let (second, mut other) = edge(&edges[1], 2, &steps[1..4], key);
    // 4: inside.
    let told = [first, second].map(|it| it.trim_matches('"').to_owned());
    let mut line = line[0].to_owned();
    for (told, known) in told.iter().zip(&KEYS[1..]) {
        let (host, key) = told.split_once('#').expect("a key");
        assert!(line.contains(&format!("{host}#{known}")), "{line}");
        line = line.replace(known, key);
    }
    let file = inside.path("/etc/reveille/reveille.toml");
    let written = fs::read_to_string(&file).expect("init writes it");
    let with = written.replace("#! edges = []", &line);
    assert_ne!(with, written);
    fs::write(&file, with).expect("ours");
    checks(inside, restart[0]);
    assert_eq!(restart[1], "systemctl restart reveille");
    let mut server = inside.service();
    // 5: at either end.
    let columns: Vec<_> = status[1].split_whitespace().collect();
    for (host, tunnels) in [(inside, 2), (&edges[0], 1), (&edges[1], 1)] {
        let up = poll(SOON, || {
            let said = host.run(status[0]);
            let heads: Vec<_> = said.lines().next()?.split_whitespace().collect();
            (heads == columns && said.matches(" up ").count() == tunnels).then_some(())
        });
        assert!(up.is_some(), "{}", host.run(status[0]));
    }
    for edge in edges {
        assert_lets_in(edge);
    }

    // An edge that is stopped takes nobody with it; and a pair that is ended at the edge is ended at once.
    one.ask_to_end();
    assert!(one.wait(SOON).success());
    assert_lets_in(&edges[1]);
    let forget = "sed -i 's|^insides = .*|insides = []|' /etc/reveille/reveille.toml";
    edges[1].run(forget);
    let ended = "reveille reload";
    assert!(PAGE.contains(ended));
    let said = edges[1].run(ended);
    assert!(said.contains("edge.insides"), "{said}");
    assert!(edges[1].run(status[0]).contains("no tunnel"));
    assert_eq!(token(&edges[1]).0, "503");
    other.ask_to_end();
    assert!(other.wait(SOON).success());
    server.ask_to_end();
    assert!(server.wait(SOON).success());
}
