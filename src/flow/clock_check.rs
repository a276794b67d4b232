//! The clock of this process beside the database's: deadlines are written by one replica and judged by another.

use std::cmp::Ordering;
use std::time::Duration;

use signet_guard::{Clock, Timestamp};

use crate::app::App;
use crate::store::Engine;

/// How often the clocks are compared.
pub const EVERY: Duration = Duration::from_secs(60);

/// Further apart than this they are worth a warning.
const TOLERATED: Duration = Duration::from_secs(2);

/// Further apart than this nobody should be served.
pub(super) const UNUSABLE: Duration = Duration::from_secs(10);

/// What is to be thought of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It agrees with the database's.
    Right,
    /// It is ahead of the database's by so many seconds (behind, if negative): warned about.
    Doubtful(i64),
    /// It is so far ahead, or behind, that this replica must not serve.
    Wrong(i64),
}

/// Judges this process's clock by an answer of the database, asked for at `before` and read at `after`: what passed in
/// between is nobody's fault.
pub fn judge(before: Timestamp, after: Timestamp, database: Timestamp) -> Judgement {
    let (before, after, database) = (before.as_seconds(), after.as_seconds(), database.as_seconds());
    let ahead = match (before.cmp(&database), after.cmp(&database)) {
        (Ordering::Greater, _) => before.saturating_sub(database),
        (_, Ordering::Less) => after.saturating_sub(database),
        _ => 0,
    };
    let apart = Duration::from_secs(ahead.unsigned_abs());
    if apart > UNUSABLE {
        Judgement::Wrong(ahead)
    } else if apart > TOLERATED {
        Judgement::Doubtful(ahead)
    } else {
        Judgement::Right
    }
}

/// Compares the clocks once and notes the outcome for readiness. On SQLite there is one clock only.
pub async fn run_once(app: &App) {
    if app.db.engine() == Engine::Sqlite {
        return;
    }
    let before = app.clock.now();
    let database = match app.db.now().await {
        Ok(database) => database,
        // Readiness finds that out by itself.
        Err(error) => {
            if app.replica.news("clock", Some(&error.to_string())).is_some() {
                tracing::warn!(error = %error, "clock.not_compared");
            }
            return;
        }
    };
    let _ = app.replica.news("clock", None);
    let judgement = judge(before, app.clock.now(), database);
    let is_right = !matches!(judgement, Judgement::Wrong(_));
    let is_news = app.replica.set_clock_right(is_right);
    match judgement {
        Judgement::Right if is_news => tracing::info!("clock.right: it agrees with the database's again"),
        Judgement::Right => {}
        Judgement::Doubtful(ahead) => {
            tracing::warn!(
                ahead_seconds = ahead,
                "clock.doubtful: it differs from the database's; check NTP"
            );
        }
        Judgement::Wrong(ahead) => {
            tracing::error!(
                ahead_seconds = ahead,
                "clock.wrong: it differs too much from the database's to serve; check NTP on both machines"
            );
        }
    }
}

/// [`run_once`] for a clock that runs. One that stands still differs from every other on purpose.
pub async fn compare(app: &App) {
    if !matches!(app.clock, Clock::Fixed(_)) {
        run_once(app).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a138_a_clock_is_judged_by_its_distance_from_the_answer() {
        let at = |seconds: i64| Timestamp::from_seconds(1_000_000 + seconds);
        let cases = [
            (0, 0, 0, Judgement::Right),
            (0, 0, 2, Judgement::Right),
            (0, 0, -2, Judgement::Right),
            (0, 0, -3, Judgement::Doubtful(3)),
            (0, 0, 3, Judgement::Doubtful(-3)),
            (0, 0, 10, Judgement::Doubtful(-10)),
            (0, 0, 11, Judgement::Wrong(-11)),
            (0, 0, -11, Judgement::Wrong(11)),
            (0, 0, 300, Judgement::Wrong(-300)),
            // A database that took twenty seconds to answer says nothing against the clock.
            (0, 20, 20, Judgement::Right),
            (0, 20, 0, Judgement::Right),
            (0, 20, 24, Judgement::Doubtful(-4)),
            (0, 20, -30, Judgement::Wrong(30)),
            // The process's clock went back meanwhile.
            (0, -100, 0, Judgement::Wrong(-100)),
        ];
        for (before, after, database, expected) in cases {
            assert_eq!(judge(at(before), at(after), at(database)), expected, "{before} {after} {database}");
        }
        let never = Timestamp::from_seconds(i64::MIN);
        assert!(matches!(judge(never, never, at(0)), Judgement::Wrong(_)));
    }
}
