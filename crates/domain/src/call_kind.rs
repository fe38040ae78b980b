//! Which calls there are.

use serde::{Deserialize, Serialize};

/// Which calls: those of one role are taken by no client of another. A number of the role's choice.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct CallKind(pub u8);
