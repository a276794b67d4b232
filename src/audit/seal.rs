//! What a seal is made over: every column of every entry, each behind its length, and the seal before.

use crate::store::{AuditHead, AuditRow, AuditSeal, StoredAudit};

/// Told apart by their first part, so that no seal can pass for a head.
const SEAL: &[u8] = b"signet audit seal 1";
const HEAD: &[u8] = b"signet audit head 1";

/// The parts of a seal over these entries, behind the one with the MAC `previous`. Its own `mac` is not looked at.
pub fn seal_parts(previous: &[u8], seal: &AuditSeal, entries: &[StoredAudit]) -> Vec<Vec<u8>> {
    let AuditSeal { seal, at, entries: count, root_key_id, mac: _ } = seal;
    let mut parts = vec![
        SEAL.to_vec(),
        previous.to_vec(),
        number(*seal),
        number(at.as_seconds()),
        number(*count),
        root_key_id.as_bytes().to_vec(),
    ];
    for entry in entries {
        add_entry(&mut parts, entry);
    }
    parts
}

/// The parts of the head, `last` being the MAC of the newest seal. Its own `mac` is not looked at.
pub fn head_parts(head: &AuditHead, last: &[u8]) -> Vec<Vec<u8>> {
    let AuditHead { seal, swept, root_key_id, mac: _ } = head;
    vec![HEAD.to_vec(), number(*seal), number(*swept), root_key_id.as_bytes().to_vec(), last.to_vec()]
}

/// Taken apart whole, so that no column that is added can be forgotten here.
fn add_entry(parts: &mut Vec<Vec<u8>>, entry: &StoredAudit) {
    // The seal is not a part: it is where the entry was found.
    let StoredAudit { id, seal: _, row } = entry;
    let AuditRow {
        at,
        event,
        actor,
        user_id,
        session_id,
        client_id,
        kid,
        reason,
        count,
        address,
        user_agent,
        request_id,
        detail,
    } = row;
    parts.extend([number(*id), number(at.as_seconds()), number(*count)]);
    parts.extend([event, actor].map(|text| text.as_bytes().to_vec()));
    let optional = [user_id, session_id, client_id, kid, reason, address, user_agent, request_id, detail];
    parts.extend(optional.map(|text| maybe(text.as_deref())));
}

fn number(number: i64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// Nothing and an empty text are two things.
fn maybe(text: Option<&str>) -> Vec<u8> {
    text.map_or_else(Vec::new, |text| [&[1], text.as_bytes()].concat())
}
