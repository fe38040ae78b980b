//! Linphone's console client, headless, with a home directory of its own that survives its being killed, as an
//! app's data survive on a phone.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Host, Process, SOON, Transport, free_port, media_port};

/// Push parameters of a Contact (RFC 8599 §5.6).
#[derive(Clone, Debug)]
pub struct PushParams {
    /// `pn-provider`
    pub provider: String,
    /// `pn-param`
    pub param: String,
    /// `pn-prid`
    pub prid: String,
}

/// Who a Linphone is, and how it reaches its server.
#[derive(Clone, Debug)]
pub struct Account {
    /// User name; the domain is `localhost`.
    pub user: String,
    /// Its digest password.
    pub password: String,
    /// The transport to the server.
    pub transport: Transport,
    /// The server's address for that transport.
    pub server: SocketAddr,
    /// What its Contact says about push.
    pub push: Option<PushParams>,
    /// The CA that it trusts, PEM; for TLS.
    pub ca: Option<String>,
    /// Users of `localhost` whose presence it subscribes to.
    pub friends: Vec<String>,
}

/// A Linphone, running or not.
pub struct Linphone {
    account: Account,
    host: Host,
    // Ended before its home goes, or it would write into what is being removed.
    process: Option<Process>,
    home: TempDir,
}

impl Linphone {
    /// Installs it: a fresh home with a configuration. Nothing runs yet.
    pub fn installed(account: Account) -> Self {
        let home = TempDir::with_prefix("linphone-").expect("a temporary directory");
        for folder in [".local/share/linphone", ".config/linphone"] {
            fs::create_dir_all(home.path().join(folder)).expect("a folder in our own home");
        }
        let linphone = Self {
            account,
            host: Host::default(),
            home,
            process: None,
        };
        fs::write(linphone.rc(), linphone.configuration()).expect("a file in our own home");
        linphone
    }

    /// It runs there.
    #[must_use]
    pub fn on(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// From its next start it finds its server there: the name that it knows leads elsewhere.
    pub fn moves(&mut self, server: SocketAddr) {
        self.account.server = server;
        fs::write(self.rc(), self.configuration()).expect("a file in our own home");
    }

    /// Installs and starts it, and waits until it is registered.
    pub fn registered(account: Account) -> Self {
        let mut linphone = Self::installed(account);
        linphone.start();
        linphone.wait_registered();
        linphone
    }

    fn rc(&self) -> PathBuf {
        self.home.path().join("linphonerc")
    }

    fn configuration(&self) -> String {
        let Account {
            user,
            password,
            transport,
            server,
            push,
            ca,
            friends,
        } = &self.account;
        let local = |of| if *transport == of { free_port() } else { 0 };
        let (udp, tcp, tls) = (
            local(Transport::Udp),
            local(Transport::Tcp),
            local(Transport::Tls),
        );
        // The TLS library matches names only, not addresses.
        let host = if *transport == Transport::Tls {
            "localhost".to_owned()
        } else {
            server.ip().to_string()
        };
        let proxy = format!("sip:{host}:{};transport={transport}", server.port());
        let media = media_port();

        let mut rc = format!(
            "[sip]\nsip_port={udp}\nsip_tcp_port={tcp}\nsip_tls_port={tls}\nguess_hostname=1\nuse_ipv6=0\n\
             register_only_when_network_is_up=0\nverify_server_certs=1\nverify_server_cn=1\nmedia_encryption=none\n\
             default_proxy=0\ncontact=sip:{user}@127.0.0.1\n"
        );
        if let Some(ca) = ca {
            let file = self.home.path().join("ca.pem");
            fs::write(&file, ca).expect("a file in our own home");
            let _ = writeln!(rc, "root_ca={}", file.display());
        }
        let _ = write!(
            rc,
            "\n[auth_info_0]\nusername={user}\npasswd={password}\nrealm=localhost\ndomain=localhost\n\n\
             [proxy_0]\nreg_proxy=<{proxy}>\nreg_route=<{proxy};lr>\nreg_identity=sip:{user}@localhost\n\
             reg_sendregister=1\nreg_expires=600\npush_notification_allowed=1\nremote_push_notification_allowed=1\n"
        );
        if let Some(PushParams {
            provider,
            param,
            prid,
        }) = push
        {
            let _ = writeln!(
                rc,
                "contact_uri_parameters=pn-provider={provider};pn-prid={prid};pn-param={param}"
            );
        }
        let silence = "ANULL: Null soundcard";
        let _ = write!(
            rc,
            "\n[sound]\nplayback_dev_id={silence}\nringer_dev_id={silence}\ncapture_dev_id={silence}\n\n\
             [rtp]\naudio_rtp_port={media}\nvideo_rtp_port={}\n\n[video]\ncapture=0\ndisplay=0\n",
            media + 1
        );
        for (number, friend) in friends.iter().enumerate() {
            let _ = write!(
                rc,
                "\n[friend_{number}]\nurl=\"{friend}\" <sip:{friend}@localhost>\npol=accept\nsubscribe=1\n"
            );
        }
        rc
    }

    /// Starts the app.
    pub fn start(&mut self) {
        let home = self.home.path();
        let mut command = Command::new("linphonec");
        command.arg("-c").arg(self.rc()).args(["-d", "6"]);
        command
            .env("HOME", home)
            // Its sound library leaves a folder behind in here at every start.
            .env("TMPDIR", home)
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .current_dir(home);
        self.process = Some(Process::spawn(
            format!("linphone of {}", self.account.user),
            &mut self.host.runs(command),
        ));
    }

    /// Waits until its registration was accepted.
    pub fn wait_registered(&mut self) {
        self.process()
            .expect_anywhere("to [LinphoneRegistrationOk]", SOON);
    }

    /// The system ends the app: no goodbye to the server, its sockets close.
    pub fn kill(&mut self) {
        self.process().kill();
    }

    /// Waits until it rings.
    pub fn wait_ringing(&mut self, within: Duration) {
        self.expect("to LinphoneCallIncomingReceived", within);
    }

    /// Answers the call that rings, and waits until it is up.
    pub fn answer(&mut self) {
        self.process().say("answer");
        self.expect("to LinphoneCallStreamsRunning", SOON);
    }

    /// Calls somebody.
    pub fn call(&mut self, uri: &str) {
        self.process().say(format!("call {uri}"));
    }

    /// Plays a tone into its call.
    pub fn plays(&mut self) {
        let file = self.home.path().join("tone.wav");
        fs::write(&file, tone()).expect("a file in our own home");
        self.process().say(format!("play {}", file.display()));
    }

    /// From now on its calls take sound from a file, and none from a device that is not there.
    pub fn uses_files(&mut self) {
        self.process().say("soundcard use files");
    }

    /// Waits until it says that audio has come in within the last second.
    pub fn wait_hearing(&mut self, within: Duration) {
        loop {
            let line = self.expect("(audio) | cpu", within);
            let rate = line
                .split_once("[d=")
                .and_then(|(_, rest)| rest.split_once(','));
            if rate.and_then(|(rate, _)| rate.parse().ok()) > Some(10.0) {
                return;
            }
        }
    }

    /// How many packets of audio it has sent and received in the call that ends now.
    pub fn audio_packets(&mut self, within: Duration) -> (u64, u64) {
        self.expect("AUDIO SESSION'S RTP STATISTICS", within);
        let mut count = |of: &str| {
            let line = self.expect(of, within);
            let mut words = line.split_whitespace();
            let count = words.find_map(|word| word.parse().ok());
            count.unwrap_or_else(|| panic!("{line}"))
        };
        (count("-sent  "), count("-received  "))
    }

    /// Waits until its call is over.
    pub fn wait_call_over(&mut self, within: Duration) {
        self.expect("to LinphoneCallReleased", within);
    }

    /// How many times a text was in a MESSAGE that came in. Its debug output quotes what it reads; what came in the same
    /// read follows the body without a line end.
    pub fn times_received(&mut self, text: &str) -> usize {
        self.process()
            .output()
            .lines()
            .filter(|line| line.trim().starts_with(text))
            .count()
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.process().say("terminate");
    }

    /// Waits for a line of its debug output, behind the last that was waited for.
    pub fn expect(&mut self, needle: &str, within: Duration) -> String {
        self.process().expect(needle, within)
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("started")
    }
}

/// Half a minute of a tone: 8000 samples a second of 16 bits (RIFF WAVE).
fn tone() -> Vec<u8> {
    const RATE: u32 = 8000;
    const SAMPLES: u32 = 30 * RATE;
    let words =
        |values: &[u32]| -> Vec<u8> { values.iter().flat_map(|it| it.to_le_bytes()).collect() };
    let mut wave = [b"RIFF", &words(&[36 + 2 * SAMPLES])[..], b"WAVEfmt "].concat();
    // PCM, one channel.
    wave.extend(words(&[16, 0x0001_0001, RATE, 2 * RATE, 0x0010_0002]));
    wave.extend([b"data", &words(&[2 * SAMPLES])[..]].concat());
    wave.extend(
        (0..SAMPLES).flat_map(|at| (if at / 10 % 2 == 0 { 8000_i16 } else { -8000 }).to_le_bytes()),
    );
    wave
}
