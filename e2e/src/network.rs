//! Three networks with a firewall between them, made of network namespaces: outside, a DMZ, inside. They are gone with the value
//! that has made them. Only root can make any.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, process};

use crate::SOON;
use crate::process::Process;

/// Says to a test that it runs inside, and how the networks are called.
const TAG: &str = "REVEILLE_E2E_NETWORKS";

/// How the line begins that says how many tests have passed.
const RESULT: &str = "test result: ";

/// Networks that this process has made: several of its tests may run at once.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Where the legs of the firewall lead: the letter of each, and its addresses. The host there has .10.
const LEGS: [(char, &str); 3] = [('o', "192.0.2"), ('d', "198.51.100"), ('i', "10.77.0")];

/// The last letters of the namespaces: where the legs lead, and the firewall.
const PLACES: [char; 4] = ['o', 'd', 'i', 'w'];

/// Other addresses of the host in the DMZ, one for each edge.
const EDGES: [Ipv4Addr; 2] = [
    Ipv4Addr::new(198, 51, 100, 11),
    Ipv4Addr::new(198, 51, 100, 12),
];

/// The legs of a media relay in the DMZ, each an address of its own: for who is inside, and for who is outside.
const RELAY: [Ipv4Addr; 2] = [
    Ipv4Addr::new(198, 51, 100, 21),
    Ipv4Addr::new(198, 51, 100, 22),
];

/// One for what stands on the way to an edge.
const ON_THE_WAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 13);

/// What the firewall counts.
const COUNTERS: [(&str, &str); 11] = [
    ("inwards", "tried to be opened inwards, and was not"),
    (
        "tunnel",
        "between edges and inside, begun as QUIC from there",
    ),
    ("besides", "from inside to the DMZ and nothing of all this"),
    ("control", "what a relay is asked, and answers"),
    ("audio_up", "from inside to the relay"),
    (
        "audio_down",
        "from the relay to whoever has sent it something from inside",
    ),
    ("early", "the same before that, which is not let through"),
    ("audio_in", "from outside to the relay"),
    ("audio_out", "from the relay to outside"),
    (
        "unrelayed",
        "from a phone outside to one inside, where nothing relays it",
    ),
    ("lost", "by the weather"),
];

/// A host in one of the networks, or the one where the test runs.
#[derive(Clone, Debug, Default)]
pub struct Host(Option<String>);

impl Host {
    /// The same command, run there.
    #[must_use]
    pub fn runs(&self, command: Command) -> Command {
        let Some(namespace) = &self.0 else {
            return command;
        };
        let mut there = Command::new("ip");
        there
            .args(["netns", "exec", namespace])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            there.current_dir(folder);
        }
        there
    }
}

/// The three networks and the firewall, to whoever runs inside.
pub struct Networks {
    tag: String,
    /// Whoever has made them takes them down.
    is_maker: bool,
}

impl Networks {
    /// Runs a test inside: the first time it makes the networks, runs the test of this name once more there, and fails as that
    /// does; then it is that, and has the networks.
    pub fn enter(test: &str) -> Option<Self> {
        if let Some(tag) = std::env::var_os(TAG) {
            let tag = tag.into_string().expect("our own word");
            return Some(Self {
                tag,
                is_maker: false,
            });
        }
        let networks = Self::make();
        let binary = std::env::current_exe().expect("this test");
        let mut command = Command::new(binary);
        command
            .args(["--exact", test, "--nocapture"])
            .env(TAG, &networks.tag);
        let inside = networks
            .host('i')
            .runs(command)
            .stdout(Stdio::piped())
            .spawn();
        let mut inside = inside.expect("ip netns exec");
        let mut said = BufReader::new(inside.stdout.take().expect("piped")).lines();
        let said = said.by_ref().map(|line| line.expect("text"));
        let result = said
            .inspect(|line| println!("{line}"))
            .find(|line| line.starts_with(RESULT));
        let status = inside.wait().expect("it ends");
        assert!(status.success(), "{test}, inside");
        // Nothing is well, too, where no test has this name.
        let result = result.unwrap_or_default();
        assert!(result.contains(" 1 passed;"), "{test}: {result}");
        None
    }

    fn make() -> Self {
        sweep();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let networks = Self {
            // With two letters more it names an interface, which has 15 octets.
            tag: format!("rv{}n{number}", process::id()),
            is_maker: true,
        };
        let wall = networks.name('w');
        ip(&["netns", "add", &wall]);
        for (leg, net) in LEGS {
            let (there, far, near) = (networks.name(leg), networks.far(leg), networks.leg(leg));
            ip(&["netns", "add", &there]);
            let pair = ["type", "veth", "peer", "name", &far, "netns", &there];
            ip(&[&["-n", &wall, "link", "add", &near][..], &pair].concat());
            let addresses = [
                (&wall, &near, format!("{net}.1/24")),
                (&there, &far, format!("{net}.10/24")),
            ];
            for (namespace, link, address) in addresses {
                ip(&["-n", namespace, "address", "add", &address, "dev", link]);
                ip(&["-n", namespace, "link", "set", link, "up"]);
                ip(&["-n", namespace, "link", "set", "lo", "up"]);
            }
            let gateway = format!("{net}.1");
            ip(&["-n", &there, "route", "add", "default", "via", &gateway]);
        }
        for host in EDGES.into_iter().chain(RELAY).chain([ON_THE_WAY]) {
            let (there, link) = (networks.name('d'), networks.far('d'));
            let address = format!("{host}/24");
            ip(&["-n", &there, "address", "add", &address, "dev", &link]);
        }
        networks.tell(
            'w',
            "sh",
            &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"],
            "",
        );
        networks.set_rules();
        networks.leads_to(0);
        networks
    }

    /// Nobody opens anything inwards, outside reaches the DMZ by TCP, and inside reaches there what [`Networks::tunnel`] says, if it
    /// begins as QUIC does (RFC 9000 §17.2.2). A media relay is asked from inside, and heard where it was sent something to
    /// from there ([`Networks::relays`]). That nobody is there is said by ICMP, wherever somebody may be asked.
    fn set_rules(&self) {
        let [outside, dmz, inside] = LEGS.map(|(leg, _)| self.leg(leg));
        let [within, without] = RELAY;
        let counters = COUNTERS.map(|(name, _)| format!("counter {name} {{}}"));
        let counters = counters.join("\n");
        let (up, down) = (
            format!("iifname {inside} oifname {dmz}"),
            format!("iifname {dmz} oifname {inside}"),
        );
        let rules = format!(
            "table inet wall {{
                set tunnels {{ type inet_service; }}
                set controls {{ type inet_service; }}
                set media {{ type inet_service; flags interval; }}
                {counters}
                chain weather {{}}
                chain forward {{
                    type filter hook forward priority 0; policy drop;
                    jump weather
                    {up} udp dport @tunnels ct state new @th,64,40 & 0xb0ffffffff != 0x8000000001 counter name besides drop
                    {up} udp dport @tunnels counter name tunnel accept
                    {down} udp sport @tunnels ct state established counter name tunnel accept
                    {up} ip daddr {within} udp dport @controls counter name control accept
                    {down} ip saddr {within} udp sport @controls ct state established counter name control accept
                    {up} ip daddr {within} udp dport @media counter name audio_up accept
                    {down} ip saddr {within} udp sport @media ct state established counter name audio_down accept
                    {down} ip saddr {within} udp sport @media counter name early drop
                    meta l4proto icmp ct state related accept
                    {up} counter name besides drop
                    {down} counter name inwards drop
                    iifname {outside} oifname {inside} meta l4proto udp counter name unrelayed drop
                    iifname {outside} oifname {inside} counter name inwards drop
                    iifname {outside} oifname {dmz} meta l4proto tcp accept
                    iifname {outside} oifname {dmz} ip daddr {without} udp dport @media counter name audio_in accept
                    iifname {dmz} oifname {outside} ip saddr {without} udp sport @media counter name audio_out accept
                    iifname {dmz} oifname {outside} ct state established accept
                }}
            }}"
        );
        self.nft(&rules);
    }

    /// The host outside, the one in the DMZ.
    pub fn outside(&self) -> Host {
        self.host('o')
    }

    /// See above.
    pub fn dmz(&self) -> Host {
        self.host('d')
    }

    /// Where the edge of this number listens.
    pub fn edge(&self, number: usize) -> Ipv4Addr {
        EDGES[number]
    }

    /// The address in the DMZ for what stands on the way to an edge.
    pub fn on_the_way(&self) -> Ipv4Addr {
        ON_THE_WAY
    }

    /// The name `localhost` leads outside to the edge of this number.
    pub fn leads_to(&self, number: usize) {
        self.leads(EDGES[number]);
    }

    /// The name `localhost` leads outside there.
    pub fn leads(&self, to: Ipv4Addr) {
        let folder = hosts(&self.tag);
        fs::create_dir_all(&folder).expect("/etc/netns");
        let line = format!("{to} localhost\n");
        fs::write(folder.join("hosts"), line).expect("a file of ours");
    }

    /// Inside may dial this port (UDP) in the DMZ.
    pub fn tunnel(&self, port: u16) {
        self.nft(&format!("add element inet wall tunnels {{ {port} }}"));
    }

    /// The legs of a media relay in the DMZ: for who is inside, and for who is outside.
    pub fn relay(&self) -> [Ipv4Addr; 2] {
        RELAY
    }

    /// A relay is asked at this port, from inside alone, and these are for media.
    pub fn relays(&self, control: u16, (first, last): (u16, u16)) {
        self.nft(&format!("add element inet wall controls {{ {control} }}"));
        self.nft(&format!("add element inet wall media {{ {first}-{last} }}"));
    }

    /// The address of the host inside.
    pub fn inside(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, 10)
    }

    /// Of a hundred packets between outside and the DMZ so many are lost, in each direction.
    pub fn loses(&self, of_a_hundred: u32) {
        let (outside, dmz) = (self.leg('o'), self.leg('d'));
        for (from, to) in [(&outside, &dmz), (&dmz, &outside)] {
            self.nft(&format!(
                "add rule inet wall weather iifname {from} oifname {to} numgen random mod 100 < {of_a_hundred} counter name lost drop"
            ));
        }
    }

    /// Nothing gets through between the DMZ and inside.
    pub fn cut(&self) {
        let (inside, dmz) = (self.leg('i'), self.leg('d'));
        for (from, to) in [(&inside, &dmz), (&dmz, &inside)] {
            self.nft(&format!(
                "add rule inet wall weather iifname {from} oifname {to} counter name lost drop"
            ));
        }
    }

    /// All is well again.
    pub fn mend(&self) {
        self.nft("flush chain inet wall weather");
    }

    /// Packets that a counter has seen; they are in the table above.
    pub fn packets(&self, counter: &str) -> u64 {
        let is_one = COUNTERS.iter().any(|(name, _)| *name == counter);
        assert!(is_one, "{counter}");
        let said = self.tell(
            'w',
            "nft",
            &["list", "counter", "inet", "wall", counter],
            "",
        );
        let mut words = said
            .split_whitespace()
            .skip_while(|word| *word != "packets");
        let number = words.nth(1).and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no packets: {said}"))
    }

    /// Whether somebody in that network can connect to inside.
    pub fn gets_inside(&self, from: &Host, port: u16) -> bool {
        let at = format!("exec 3<>/dev/tcp/{}/{port}", self.inside());
        let mut command = Command::new("timeout");
        command.args(["1", "bash", "-c", &at]).stderr(Stdio::null());
        let mut process = Process::spawn("who wants in", &mut from.runs(command));
        process.wait(SOON).success()
    }

    fn host(&self, leg: char) -> Host {
        Host(Some(self.name(leg)))
    }

    /// The namespace of a leg, and of the firewall.
    fn name(&self, leg: char) -> String {
        format!("{}{leg}", self.tag)
    }

    /// The firewall's interface of a leg.
    fn leg(&self, leg: char) -> String {
        format!("{}{leg}w", self.tag)
    }

    /// The other end of it.
    fn far(&self, leg: char) -> String {
        format!("{}{leg}h", self.tag)
    }

    fn nft(&self, rules: &str) {
        self.tell('w', "nft", &["-f", "-"], rules);
    }

    /// What a program says there, to which this is said.
    fn tell(&self, leg: char, program: &str, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(program);
        command.args(arguments);
        run(&mut self.host(leg).runs(command), input)
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments), "");
}

/// What a command says that must do well.
fn run(command: &mut Command, input: &str) -> String {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().expect("`cargo xtask test --only peers`");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Drop for Networks {
    fn drop(&mut self) {
        if self.is_maker {
            take_down(&self.tag);
        }
    }
}

/// Takes down what tests have left that were killed.
fn sweep() {
    let Ok(namespaces) = fs::read_dir("/run/netns") else {
        return;
    };
    for name in namespaces.flatten().map(|it| it.file_name()) {
        let Some((tag, maker)) = name.to_str().and_then(made_by) else {
            continue;
        };
        if !Path::new("/proc").join(maker).exists() {
            take_down(tag);
        }
    }
}

/// The tag of one of our namespaces, and the id of the process that has made it.
fn made_by(namespace: &str) -> Option<(&str, &str)> {
    let tag = namespace.strip_suffix(PLACES)?;
    let (maker, number) = tag.strip_prefix("rv")?.split_once('n')?;
    let are_ours = [maker, number].iter().all(|it| it.parse::<u32>().is_ok());
    are_ours.then_some((tag, maker))
}

/// Takes down the networks of this tag, with whoever is left in them.
fn take_down(tag: &str) {
    for name in PLACES.map(|place| format!("{tag}{place}")) {
        let pids = Command::new("ip").args(["netns", "pids", &name]).output();
        let pids = pids.map(|it| it.stdout).unwrap_or_default();
        for pid in String::from_utf8_lossy(&pids).split_whitespace() {
            quietly("kill", &["-9", pid]);
        }
        quietly("ip", &["netns", "delete", &name]);
    }
    let _ = fs::remove_dir_all(hosts(tag));
    // If it is ours alone.
    let _ = fs::remove_dir("/etc/netns");
}

/// What `ip netns exec` puts over `/etc` outside.
fn hosts(tag: &str) -> PathBuf {
    PathBuf::from("/etc/netns").join(format!("{tag}o"))
}

/// Takes down what may be gone already.
fn quietly(program: &str, arguments: &[impl AsRef<OsStr>]) {
    let _ = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_test_has_made_is_taken_down() {
        assert_eq!(made_by("rv4194303n12w"), Some(("rv4194303n12", "4194303")));
        for of_others in ["rv1w", "rv1n2", "rv1n2x", "rvxn2w", "v1n2w", "blue"] {
            assert_eq!(made_by(of_others), None, "{of_others}");
        }
    }
}
