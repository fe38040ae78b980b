//! What was looked at, line by line.

use serde::Serialize;

/// How something is.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// It works, and not for everybody or not for long.
    Warn,
    /// It does not work.
    Fail,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) topic: &'static str,
    /// How it is.
    pub(crate) state: State,
    /// What is there.
    pub(crate) what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

/// All of that, in the order in which it was looked at.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Finding>);

impl Report {
    pub(super) fn ok(&mut self, topic: &'static str, what: impl Into<String>) {
        self.add(topic, State::Ok, what.into(), None);
    }

    pub(super) fn warn(
        &mut self,
        topic: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(topic, State::Warn, what.into(), Some(remedy.into()));
    }

    pub(super) fn fail(
        &mut self,
        topic: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(topic, State::Fail, what.into(), Some(remedy.into()));
    }

    /// An error of ours says itself what to do.
    pub(super) fn broken(&mut self, topic: &'static str, error: &anyhow::Error) {
        self.add(topic, State::Fail, format!("{error:#}"), None);
    }

    fn add(&mut self, topic: &'static str, state: State, what: String, remedy: Option<String>) {
        self.0.push(Finding {
            topic,
            state,
            what,
            remedy,
        });
    }

    /// In order.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// Whether anything does not work.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.iter().any(|it| it.state == State::Fail)
    }
}
