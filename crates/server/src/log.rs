//! How the log is written: as text for a person, as JSON for a machine, or as systemd's journal wants it, one line an event. What
//! is written of it is decided by the filter (`observe.log`).

use crate::{
    config::{Config, LogFormat, log_filter},
    reload::SetLog,
};
use std::{
    fmt,
    fs::File,
    io::IsTerminal,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    sync::Arc,
};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, MakeWriter,
        format::{self, FormatEvent, FormatFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Where systemd says which file the journal reads (`systemd.exec(5)`).
const JOURNAL: &str = "JOURNAL_STREAM";

/// Begins the log; what comes back changes its filter. What the environment says goes first, and stays.
pub(crate) fn start(config: &Config) -> SetLog {
    let of_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let of_environment = of_environment.and_then(|text| match log_filter(&text) {
        Ok(filter) => Some(filter),
        Err(error) => {
            eprintln!("reveille: RUST_LOG: {error}; using observe.log");
            None
        }
    });
    let is_fixed = of_environment.is_some();
    let filter = of_environment.unwrap_or_else(|| EnvFilter::new(&config.observe.log));
    let (filter, handle) = tracing_subscriber::reload::Layer::new(filter);
    let form = form(config.observe.log_format);
    let lines = lines(form, std::io::stderr);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
    Arc::new(move |text| {
        if is_fixed {
            return Ok(());
        }
        let filter = log_filter(text).map_err(anyhow::Error::msg)?;
        Ok(handle.reload(filter)?)
    })
}

/// A way of writing it.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Form {
    Text { colours: bool },
    Json,
    Journal,
}

fn form(wanted: LogFormat) -> Form {
    match wanted {
        LogFormat::Auto if is_journal(std::io::stderr().as_fd()) => Form::Journal,
        LogFormat::Auto => Form::Text {
            colours: std::io::stderr().is_terminal(),
        },
        LogFormat::Text => Form::Text { colours: false },
        LogFormat::Json => Form::Json,
        LogFormat::Journald => Form::Journal,
    }
}

/// Whether the journal reads what is written there: a service may have moved its output elsewhere.
fn is_journal(output: BorrowedFd<'_>) -> bool {
    let Ok(named) = std::env::var(JOURNAL) else {
        return false;
    };
    let file = output.try_clone_to_owned().map(File::from);
    let metadata = file.and_then(|file| file.metadata());
    metadata.is_ok_and(|it| named == format!("{}:{}", it.dev(), it.ino()))
}

/// What writes the lines.
fn lines<S, W>(form: Form, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_target(false);
    match form {
        Form::Text { colours } => layer.with_ansi(colours).boxed(),
        Form::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
        Form::Journal => {
            let line = format::format().with_target(false).with_ansi(false);
            let event = JournalLine(line.without_time());
            layer.with_ansi(false).event_format(event).boxed()
        }
    }
}

/// A line with its priority in front (`sd-daemon(3)`); the time is the journal's own.
struct JournalLine(format::Format<format::Full, ()>);

impl<S, N> FormatEvent<S, N> for JournalLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        // What a peer sent cannot begin a line of its own, with a priority of its own.
        let line = line.trim_end_matches('\n').replace('\n', "\\n");
        let priority = priority(*event.metadata().level());
        writeln!(writer, "<{priority}>{}", line.trim_start())
    }
}

/// As syslog counts them.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        sync::{Mutex, PoisonError},
    };

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            written.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(form: Form) -> String {
        let written = Written::default();
        let writer = written.clone();
        let lines = lines(form, move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(times = 60, account = "bob\n<0>", "it burns\n<0>now");
            tracing::info!("all is well");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_journal_is_told_how_bad_it_is_and_nobody_else_says_so() {
        let text = written(Form::Journal);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                r#"<3>ERROR it burns\n<0>now times=60 account="bob\n<0>""#,
                "<6>INFO all is well"
            ],
            "{text}"
        );
    }

    #[test]
    fn a_machine_reads_each_line_as_one_object() {
        let text = written(Form::Json);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["level"], "ERROR");
        assert_eq!(lines[0]["message"], "it burns\n<0>now");
        assert_eq!(lines[0]["times"], 60);
        assert_eq!(lines[0]["account"], "bob\n<0>");
        let time = lines[1]["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    }

    #[test]
    fn a_person_reads_the_time_and_what_happened() {
        let text = written(Form::Text { colours: false });
        let last = text.lines().last().unwrap();
        assert!(last.contains("Z  INFO all is well"), "{text}");
    }
}
