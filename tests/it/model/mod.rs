//! Refreshes, replays, log-outs, stopped accounts, clocks that jump, servers that start anew and requests at one moment,
//! in any order: the service answers as a model of a page does.
//!
//! `PROPTEST_CASES` says how many such stories are played; `scripts/prove model` plays many.

mod reference;
mod story;
mod told;
mod world;

use std::cell::RefCell;

use proptest::test_runner::{Config, TestRunner};

use self::reference::{Rules, Seconds};
use self::world::World;
use crate::helpers::db::TestDatabase;

/// Accounts of a story.
const USERS: usize = 2;

/// Servers on the one database.
const SERVERS: usize = 2;

const HOUR: Seconds = 3_600;

/// Short lives, so that stories often come to their ends.
const RULES: Rules = Rules { grace: 30, idle_life: 2 * HOUR, life: 5 * HOUR };

/// Stories when nobody says how many: a few seconds' worth.
const CASES: u32 = 24;

fn play_many(rules: Rules, database: impl Future<Output = Option<TestDatabase>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let Some(database) = runtime.block_on(database) else { return };
    let world = RefCell::new(runtime.block_on(World::new(rules, database)));
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&story::story(), |story| {
        let mut world = world.borrow_mut();
        runtime.block_on(world.play(&story))
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
    runtime.block_on(world.into_inner().remove());
}

#[test]
fn a065_the_service_does_with_every_refresh_token_what_the_model_does() {
    play_many(RULES, async { Some(TestDatabase::sqlite().await) });
}

#[test]
fn a066_it_does_so_on_two_replicas_over_postgresql() {
    play_many(RULES, TestDatabase::postgres());
}

#[test]
fn a069_it_does_so_without_a_grace() {
    play_many(Rules { grace: 0, ..RULES }, async { Some(TestDatabase::sqlite().await) });
}
