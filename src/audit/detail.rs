//! What an entry says of a change beside its name: digests of before and after.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::account::{Email, Role};
use crate::jose::AuditKeys;
use crate::store::AuditHead;

/// The `detail` of an entry.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Detail {
    /// The system user who ran the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Digests::is_empty")]
    before: Digests,
    #[serde(skip_serializing_if = "Digests::is_empty")]
    after: Digests,
    /// The roles as they are now. The operator's own words, and no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<BrokenChain>,
}

/// A chain of seals that was broken and begun anew: what is left of it for whoever looks into it.
#[derive(Debug, Clone, Serialize)]
pub struct BrokenChain {
    /// What did not hold, in words.
    fault: String,
    /// The newest seal that its head named; nothing when there was no head.
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<i64>,
    /// The newest swept one.
    #[serde(skip_serializing_if = "Option::is_none")]
    swept: Option<i64>,
    /// The MAC of that head, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

impl BrokenChain {
    /// With this fault, and both ends as they were found.
    pub fn of(fault: String, head: Option<&AuditHead>) -> Self {
        Self {
            fault,
            seal: head.map(|head| head.seal),
            swept: head.map(|head| head.swept),
            // Whatever stands there now.
            mac: head
                .map(|head| URL_SAFE_NO_PAD.encode(head.mac.iter().copied().take(64).collect::<Vec<_>>())),
        }
    }
}

#[derive(Debug, Clone, Default, Serialize)]
struct Digests {
    /// SHA-256, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<String>,
    /// HMAC-SHA256 under a key derived from the root key, base64url: whoever has the database alone cannot try addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

impl Digests {
    fn is_empty(&self) -> bool {
        self.roles.is_none() && self.email.is_none()
    }
}

impl Detail {
    /// Of something done on the command line.
    pub fn of_operator() -> Self {
        #[cfg(unix)]
        let uid = Some(rustix::process::getuid().as_raw());
        #[cfg(not(unix))]
        let uid = None;
        Self { uid, ..Self::default() }
    }

    /// The roles before, unless the account is new, and after. Each list sorted.
    #[must_use]
    pub fn roles(mut self, before: Option<&[Role]>, after: &[Role]) -> Self {
        self.before.roles = before.map(digest_of_roles);
        self.after.roles = Some(digest_of_roles(after));
        self.roles = Some(after.iter().map(|role| role.as_str().to_owned()).collect());
        self
    }

    /// The address before, unless the account is new, and after. Nothing without keys.
    #[must_use]
    pub fn email(mut self, keys: Option<&AuditKeys>, before: Option<&Email>, after: &Email) -> Self {
        let digest = |email: &Email| keys.and_then(|keys| keys.digest(email.as_str()));
        self.before.email = before.and_then(digest);
        self.after.email = digest(after);
        self
    }

    /// A chain of seals that was broken.
    #[must_use]
    pub fn broken_chain(mut self, broken: BrokenChain) -> Self {
        self.broken = Some(broken);
        self
    }

    /// As it is stored; `None` when it says nothing.
    pub fn to_json(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|json| json != "{}")
    }
}

fn digest_of_roles(roles: &[Role]) -> String {
    let names: Vec<&str> = roles.iter().map(Role::as_str).collect();
    // A role has no comma.
    URL_SAFE_NO_PAD.encode(digest(&SHA256, names.join(",").as_bytes()))
}
