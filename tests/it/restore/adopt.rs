//! The keys folder and the database it belongs to.

use std::fs;
use std::path::Path;

use signet::config::Keys;
use signet::flow::restore;
use signet::replica::News;

use crate::helpers::app::TestApp;
use crate::helpers::process::{Process, command, printed, run};

fn adopt(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let mut adopt = command(folder);
    adopt.args(["keys", "adopt"]).args(arguments);
    let output = run(adopt, "");
    (printed(&output), output.status.code())
}

#[test]
fn a_keys_folder_of_another_database_stops_the_start_until_it_is_adopted() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    let state = folder.path().join("keys/state");
    let before = fs::read_to_string(&state).unwrap();
    let id = before.lines().find_map(|line| line.strip_prefix("database ")).unwrap().to_owned();

    fs::remove_dir_all(folder.path().join("data")).unwrap();
    let refused = Process::start(folder.path()).err().unwrap();
    assert!(refused.contains(&format!("belongs to database {id}")), "{refused}");
    assert!(refused.contains("signet keys adopt --new-database"), "{refused}");
    assert_eq!(fs::read_to_string(&state).unwrap(), before, "nothing is overwritten");

    let (text, code) = adopt(folder.path(), &[]);
    assert_eq!(code, Some(2), "it must be said what is meant: {text}");
    let (text, code) = adopt(folder.path(), &["--new-database"]);
    assert!(code == Some(0) && text.contains(&format!("no longer to {id}")), "{text}");
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    let after = fs::read_to_string(&state).unwrap();
    let (text, code) = adopt(folder.path(), &["--new-database"]);
    assert!(code == Some(0) && text.contains("nothing was changed"), "{text}");
    assert_eq!(fs::read_to_string(&state).unwrap(), after);
}

#[test]
fn a_damaged_state_stops_the_start_and_names_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    let state = folder.path().join("keys/state");
    let whole = fs::read_to_string(&state).unwrap();
    for damaged in ["", "rubbish", &whole[..whole.len() - 2], &whole.replace("epoch ", "epoch 1")] {
        fs::write(&state, damaged).unwrap();
        let refused = Process::start(folder.path()).err().unwrap();
        assert!(refused.contains("keys/state cannot be read"), "{refused}");
        assert!(refused.contains("signet keys adopt"), "{refused}");
        assert_eq!(fs::read_to_string(&state).unwrap(), damaged, "nothing is overwritten");
    }
    let (text, code) = adopt(folder.path(), &["--new-database"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    // One that is lost is written anew.
    fs::remove_file(&state).unwrap();
    assert_eq!(Process::start(folder.path()).unwrap().stop(), Some(0));
    assert!(state.is_file());
}

#[test]
fn a_keys_folder_that_cannot_be_written_costs_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("no-folder"), "").unwrap();
    let mut serve = command(folder.path());
    serve
        .env("SIGNET_KEYS_DIR", folder.path().join("no-folder"))
        .env("SIGNET_ROOT_KEY", "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let server = Process::start_command(serve, folder.path()).unwrap();
    let log = server.logged();
    assert_eq!(log.matches("will not be noticed").count(), 1, "{log}");
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn a_keys_folder_that_cannot_be_written_any_more_is_told_of_too() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let app = TestApp::spawn_with(|config| config.keys = Keys::in_dir(keys.clone())).await;
    restore::run_once(&app.app).await;
    assert_eq!(app.app.replica.news("restore", None), None, "all is well");
    // What a disk that is full or was taken away does, as far as the process can tell.
    fs::remove_dir_all(&keys).unwrap();
    fs::write(&keys, "").unwrap();
    restore::run_once(&app.app).await;
    assert_eq!(app.app.replica.news("restore", None), Some(News::RightAgain), "it was complained of");
}
