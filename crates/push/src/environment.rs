//! Which of a provider's clouds an app belongs to.

/// Which of Apple's clouds an app's tokens belong to: apps from Xcode use the sandbox, apps from a store the other.
#[derive(Copy, Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum Environment {
    /// The one for apps out of a store.
    #[default]
    Production,
    /// The one for apps in development.
    Sandbox,
}

impl Environment {
    /// The name in the configuration, in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }
}
