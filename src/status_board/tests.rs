use super::*;
use crate::grant::Serial;

fn row(list: i64, version: i64, revoked: &[u64]) -> StatusListRow {
    StatusListRow { list, version, revoked: revoked.to_vec() }
}

fn state(version: i64, highest: i64) -> StatusState {
    StatusState { version, highest: Serial::from_number(highest) }
}

fn lists(rows: Vec<StatusListRow>, state: StatusState) -> StatusLists {
    let mut lists = StatusLists::unread();
    rows.into_iter().for_each(|row| lists.put(row));
    lists.complete(state);
    lists
}

fn at(list: i64, index: u64) -> StatusReference {
    StatusReference { idx: index, uri: format!("https://login.example.com/status/{list}") }
}

#[test]
fn a_reference_that_cannot_be_looked_up_counts_as_revoked() {
    let board = StatusBoard::new("https://login.example.com/status/".to_owned());
    board.replace(lists(vec![row(0, 1, &[7])], state(1, 8)));
    let revoked =
        [at(0, 7), at(0, 65_536), StatusReference { idx: 8, uri: "https://evil.example/0".to_owned() }];
    for status in revoked {
        assert!(board.is_revoked(Some(&status)), "{status:?}");
    }
    for status in [at(0, 6), at(0, 8), at(1, 7)] {
        assert!(!board.is_revoked(Some(&status)), "{status:?}");
    }
    assert!(!board.is_revoked(None));
}

#[test]
fn lists_without_a_bit_share_their_bytes_and_far_ones_do_not_exist() {
    let lists = lists(vec![row(0, 3, &[]), row(1, 2, &[5])], state(3, 65_536 * 2));
    let of = |number| lists.list(number).unwrap();
    assert!(Arc::ptr_eq(&of(0).bits, &of(2).bits) && Arc::ptr_eq(&of(0).bits, &of(3).bits));
    assert_eq!([0, 1, 2, 3].map(|number| of(number).version), [3, 2, 0, 0]);
    for number in [-1, 4, i64::MAX, i64::MIN] {
        assert!(lists.list(number).is_none(), "{number}");
    }
}

#[test]
fn changes_are_named_from_the_earliest_on_until_all_were() {
    let rows = (0..2500).map(|list| row(list, 1 + list / 3, &[1])).collect();
    let lists = lists(rows, state(900, 0));
    let mut since = 0;
    let mut named = Vec::new();
    loop {
        let changes = lists.changes(Some(since));
        assert!(changes.lists.len() <= StatusLists::NAMED_AT_ONCE + 2 && !changes.restart);
        if changes.lists.is_empty() {
            assert_eq!(changes.version, 900);
            break;
        }
        named.extend(changes.lists);
        assert!(changes.version > since);
        since = changes.version;
    }
    assert_eq!(named, (0..2500).collect::<Vec<_>>());
    assert_eq!(lists.changes(None), Changes { version: 900, lists: Vec::new(), restart: false });
    assert_eq!(lists.changes(Some(901)), Changes { version: 900, lists: Vec::new(), restart: true });
}

#[test]
fn a_list_that_changes_again_is_named_once() {
    let mut lists = lists(vec![row(0, 1, &[1]), row(1, 2, &[1])], state(2, 0));
    lists.put(row(0, 5, &[1, 2]));
    // Read after `state` was: what is known is later than what it says.
    lists.complete(state(4, 0));
    assert_eq!(lists.changes(Some(0)), Changes { version: 5, lists: vec![1, 0], restart: false });
    assert_eq!(lists.changes(Some(2)).lists, [0]);
}
