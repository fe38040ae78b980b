//! PLAIN (RFC 4616): the password itself, so only under TLS (RFC 6120 §13.8.3), and the occasion to make of it what an old
//! account lacks.

use std::fmt;

use super::{MAX_NAME, Refusal, may_act_as, prep, text};

/// What the client sent: not yet verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who wants to sign in, prepared (RFC 4013).
    pub user: String,
    /// Their password as they sent it: digest hashes it in this form. SCRAM's keys prepare it themselves.
    pub password: String,
}

impl Credentials {
    /// Reads the one message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(message: &[u8], domain: &str) -> Result<Self, Refusal> {
        let mut parts = text(message)?.split('\0');
        let mut part = || parts.next().ok_or(Refusal::Malformed);
        let (authzid, user, password) = (part()?, part()?, part()?);
        if parts.next().is_some() || user.is_empty() || password.is_empty() {
            return Err(Refusal::Malformed);
        }
        if password.len() > MAX_NAME {
            return Err(Refusal::TooLong);
        }
        let user = prep::prepare(user)?.into_owned();
        if !authzid.is_empty() && !may_act_as(authzid, &user, domain) {
            return Err(Refusal::ForeignAuthzid);
        }
        Ok(Self {
            user,
            password: password.to_owned(),
        })
    }

    /// The message of a client.
    pub fn write(&self) -> Vec<u8> {
        format!("\0{}\0{}", self.user, self.password).into_bytes()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, …)", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Result<(String, String), Refusal> {
        Credentials::read(message.as_bytes(), "example.org").map(|read| (read.user, read.password))
    }

    #[test]
    fn three_parts_of_which_the_first_may_be_empty() {
        let tim = ("tim".to_owned(), "tan st".to_owned());
        for authzid in ["", "tim", "tim@example.org"] {
            assert_eq!(read(&format!("{authzid}\0tim\0tan st")), Ok(tim.clone()));
        }
        for (message, refusal) in [
            ("", Refusal::Malformed),
            ("tim\0pw", Refusal::Malformed),
            ("\0\0pw", Refusal::Malformed),
            ("\0tim\0", Refusal::Malformed),
            ("\0tim\0pw\0", Refusal::Malformed),
            ("kurt\0tim\0pw", Refusal::ForeignAuthzid),
            ("\0t\u{7}m\0pw", Refusal::BadName),
        ] {
            assert_eq!(read(message), Err(refusal), "{message:?}");
        }
        assert_eq!(
            read(&format!("\0tim\0{}", "x".repeat(1024))),
            Err(Refusal::TooLong)
        );
        assert_eq!(
            Credentials::read(b"\0t\xff\0pw", ""),
            Err(Refusal::Malformed)
        );
    }

    #[test]
    fn what_is_written_is_read_and_the_password_is_not_shown() {
        let sent = Credentials {
            user: "tim".to_owned(),
            password: "tanstaaf".to_owned(),
        };
        assert_eq!(
            Credentials::read(&sent.write(), "example.org"),
            Ok(sent.clone())
        );
        assert!(!format!("{sent:?}").contains("tanstaaf"));
    }
}
