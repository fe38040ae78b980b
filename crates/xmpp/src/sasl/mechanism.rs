//! The mechanisms, in one table, and what is offered of them.

use super::scram::Advertised;
use super::{BindingKind, Hash, Refusal};

/// What the server must have of an account, or be able to do, for a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Stored keys for this hash function.
    Keys(Hash),
    /// Anything that a password can be checked against.
    Password,
    /// Somebody who knows a bearer's token.
    Bearer,
    /// Tokens of our own, see [`fast`](super::fast).
    Token,
}

/// What a mechanism does about channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binds {
    /// Nothing.
    Never,
    /// Any kind that both ends have.
    Any,
    /// This kind.
    By(BindingKind),
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    mechanism: Mechanism,
    name: &'static str,
    needs_tls: bool,
    binds: Binds,
    needs: Needs,
}

macro_rules! mechanisms {
    ($($variant:ident, $name:literal, tls $tls:literal, $binds:expr, $needs:expr, $meaning:literal;)*) => {
        /// A mechanism that we speak, the preferred one first.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Mechanism {
            $(#[doc = $meaning] $variant,)*
        }

        const TABLE: &[Row] = &[$(Row {
            mechanism: Mechanism::$variant,
            name: $name,
            needs_tls: $tls,
            binds: $binds,
            needs: $needs,
        },)*];
    };
}

mechanisms! {
    ScramSha256Plus, "SCRAM-SHA-256-PLUS", tls true, Binds::Any, Needs::Keys(Hash::Sha256), "RFC 7677.";
    ScramSha1Plus, "SCRAM-SHA-1-PLUS", tls true, Binds::Any, Needs::Keys(Hash::Sha1), "RFC 5802.";
    ScramSha256, "SCRAM-SHA-256", tls false, Binds::Never, Needs::Keys(Hash::Sha256), "RFC 7677.";
    ScramSha1, "SCRAM-SHA-1", tls false, Binds::Never, Needs::Keys(Hash::Sha1), "RFC 5802.";
    OauthBearer, "OAUTHBEARER", tls true, Binds::Never, Needs::Bearer, "RFC 7628.";
    Plain, "PLAIN", tls true, Binds::Never, Needs::Password, "RFC 4616.";
    HtSha256Expr, "HT-SHA-256-EXPR", tls true, Binds::By(BindingKind::TlsExporter), Needs::Token, "XEP-0484.";
    HtSha256Endp, "HT-SHA-256-ENDP", tls true, Binds::By(BindingKind::TlsServerEndPoint), Needs::Token, "XEP-0484.";
    HtSha256None, "HT-SHA-256-NONE", tls true, Binds::Never, Needs::Token, "XEP-0484.";
}

/// What there is on a connection and in the accounts.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question of its own; there is no state in them"
)]
pub struct Situation<'a> {
    /// The connection is under TLS.
    pub tls: bool,
    /// Channel bindings that we know of it.
    pub bindings: &'a [BindingKind],
    /// Hash functions for which keys are stored.
    pub keys: &'a [Hash],
    /// Passwords can be checked, and the operator lets them be sent.
    pub passwords: bool,
    /// Somebody knows bearers' tokens.
    pub bearers: bool,
    /// Tokens of our own are given out.
    pub tokens: bool,
}

impl Mechanism {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// By its name on the wire.
    pub fn named(name: &str) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.name == name);
        row.map(|row| row.mechanism)
    }

    /// What it does about channel binding.
    pub fn binds(self) -> Binds {
        self.row().binds
    }

    /// What it needs.
    pub fn needs(self) -> Needs {
        self.row().needs
    }

    /// Is it one of those that take a token of ours? They stand in a list of their own (XEP-0484 §3.1).
    pub fn is_fast(self) -> bool {
        self.needs() == Needs::Token
    }

    /// Rows stand in the order of the variants.
    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    fn is_possible(self, situation: &Situation<'_>) -> bool {
        let row = self.row();
        let binds = match row.binds {
            Binds::Never => true,
            Binds::Any => !situation.bindings.is_empty(),
            Binds::By(kind) => situation.bindings.contains(&kind),
        };
        let has = match row.needs {
            Needs::Keys(hash) => situation.keys.contains(&hash),
            Needs::Password => situation.passwords,
            Needs::Bearer => situation.bearers,
            Needs::Token => situation.tokens,
        };
        binds && has && (situation.tls || !row.needs_tls)
    }
}

/// What to offer, the preferred one first; those with tokens of ours are left to [`offered_fast`].
pub fn offered(situation: &Situation<'_>) -> Vec<Mechanism> {
    possible(situation, false)
}

/// What to offer of FAST (XEP-0484 §3.1), the preferred one first.
pub fn offered_fast(situation: &Situation<'_>) -> Vec<Mechanism> {
    possible(situation, true)
}

fn possible(situation: &Situation<'_>, fast: bool) -> Vec<Mechanism> {
    let all = TABLE.iter().map(|row| row.mechanism);
    all.filter(|mechanism| mechanism.is_fast() == fast && mechanism.is_possible(situation))
        .collect()
}

/// The mechanism that a client chose by its name.
///
/// # Errors
/// [`Refusal::NotOffered`], or [`Refusal::NoTls`] if that is all that is missing (RFC 6120 §6.5.4).
pub fn chosen(name: &str, situation: &Situation<'_>) -> Result<Mechanism, Refusal> {
    let mechanism = Mechanism::named(name).ok_or(Refusal::NotOffered)?;
    if mechanism.is_possible(situation) {
        return Ok(mechanism);
    }
    let under_tls = Situation {
        tls: true,
        ..*situation
    };
    if mechanism.is_possible(&under_tls) {
        return Err(Refusal::NoTls);
    }
    Err(Refusal::NotOffered)
}

/// The names of what was offered, as the hash over them needs it (XEP-0474 §6.1).
pub fn advertised(offered: &[Mechanism], bindings: Option<&[BindingKind]>) -> Advertised {
    let names = offered.iter().map(|mechanism| mechanism.name().to_owned());
    let kinds = |kinds: &[BindingKind]| kinds.iter().map(|kind| kind.name().to_owned()).collect();
    Advertised {
        mechanisms: names.collect(),
        bindings: bindings.map(kinds),
    }
}

#[cfg(test)]
mod tests {
    use super::Mechanism::*;
    use super::*;

    const BOTH: &[BindingKind] = &[BindingKind::TlsExporter, BindingKind::TlsServerEndPoint];

    fn all() -> Situation<'static> {
        Situation {
            tls: true,
            bindings: BOTH,
            keys: &[Hash::Sha1, Hash::Sha256],
            passwords: true,
            bearers: true,
            tokens: true,
        }
    }

    #[test]
    fn a_mechanism_is_found_by_its_name_and_stands_in_its_own_row() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.mechanism as usize, place);
            assert_eq!(Mechanism::named(row.name), Some(row.mechanism));
        }
        assert_eq!(Mechanism::named("plain"), None);
    }

    #[test]
    fn what_is_offered_follows_from_the_situation() {
        let scram = [ScramSha256Plus, ScramSha1Plus, ScramSha256, ScramSha1];
        let everything = [&scram[..], &[OauthBearer, Plain]].concat();
        for (situation, wanted) in [
            (all(), &everything[..]),
            (
                Situation {
                    tls: false,
                    bindings: &[],
                    ..all()
                },
                &scram[2..],
            ),
            (
                Situation {
                    bindings: &[],
                    ..all()
                },
                &everything[2..],
            ),
            (
                Situation {
                    keys: &[Hash::Sha1],
                    passwords: false,
                    bearers: false,
                    ..all()
                },
                &[ScramSha1Plus, ScramSha1],
            ),
            (
                Situation {
                    keys: &[],
                    bearers: false,
                    ..all()
                },
                &[Plain],
            ),
            (Situation::default(), &[]),
        ] {
            assert_eq!(offered(&situation), wanted, "{situation:?}");
        }
    }

    #[test]
    fn tokens_are_offered_for_the_bindings_that_there_are_and_only_under_tls() {
        let end_point = Situation {
            bindings: &BOTH[1..],
            ..all()
        };
        let open = Situation {
            tls: false,
            ..all()
        };
        assert_eq!(
            offered_fast(&all()),
            [HtSha256Expr, HtSha256Endp, HtSha256None]
        );
        assert_eq!(offered_fast(&end_point), [HtSha256Endp, HtSha256None]);
        assert!(offered_fast(&open).is_empty());
    }

    #[test]
    fn what_was_not_offered_cannot_be_chosen() {
        let open = Situation {
            tls: false,
            bindings: &[],
            ..all()
        };
        for (name, situation, wanted) in [
            ("PLAIN", all(), Ok(Plain)),
            ("PLAIN", open, Err(Refusal::NoTls)),
            (
                "PLAIN",
                Situation {
                    passwords: false,
                    ..open
                },
                Err(Refusal::NotOffered),
            ),
            ("SCRAM-SHA-1-PLUS", open, Err(Refusal::NotOffered)),
            ("CRAM-MD5", all(), Err(Refusal::NotOffered)),
        ] {
            assert_eq!(chosen(name, &situation), wanted, "{name}");
        }
    }
}
