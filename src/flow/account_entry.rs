//! What the audit log says of an account that is made or changed.

use std::sync::Arc;

use crate::account::User;
use crate::app::App;
use crate::audit::{self, Actor, Detail, Event};
use crate::caller::Caller;
use crate::flow::audit_log;
use crate::jose::AuditKeys;
use crate::store::AuditRow;

/// Who makes an account.
pub(super) enum Maker {
    /// The operator.
    Operator,
    /// Somebody, for themselves.
    Anybody(Caller),
}

impl Maker {
    /// The entry of the audit log about the new account.
    pub(super) fn row(&self, app: &App, user: &User) -> AuditRow {
        match self {
            Self::Operator => {
                let detail = Detail::of_operator().roles(None, &user.roles);
                let detail = detail.email(digest_keys(app).as_deref(), None, &user.email);
                audit::operator_row(&Event::UserCreated(&user.id), user.created_at, &detail)
            }
            Self::Anybody(caller) => {
                let event = Event::UserRegistered(&user.id);
                let detail = Detail::default().email(digest_keys(app).as_deref(), None, &user.email);
                let row = audit::row(&event, Actor::Anybody, caller, user.created_at);
                AuditRow { detail: detail.to_json(), ..row }
            }
        }
    }
}

/// The keys of the digests in the audit log. Where the root key cannot be read, as by an operator who may only use the
/// database, entries go without.
pub(super) fn digest_keys(app: &App) -> Option<Arc<AuditKeys>> {
    audit_log::keys(app).unwrap_or_else(|error| {
        tracing::warn!(error = %error, "the audit log gets no digest of the e-mail address");
        None
    })
}
