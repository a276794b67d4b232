//! Settings: any text is a configuration or a list of faults that repeats no value, and what is in force reads back.
//!
//! The input is a TOML text; lines that begin with `SIGNET_` are variables of the environment instead.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use signet::config::{Config, ConfigSource, DatabaseUrl, Faults, RootKeySource};

fuzz_target!(|text: &str| {
    let (variables, file): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("SIGNET_"));
    let env = variables.iter().filter_map(|line| line.split_once('='));
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let config = match load(&file.join("\n"), env) {
        Ok(config) => config,
        Err(faults) => {
            assert!(!faults.to_string().is_empty(), "refused without a reason");
            return;
        }
    };
    let effective = config.effective();
    let _ = config.warnings();
    let masked = matches!(config.keys.root_key, RootKeySource::Value(_))
        || matches!(config.database.url, DatabaseUrl::Postgres(_));
    if !masked {
        let again = load(&effective, Vec::new()).unwrap_or_else(|faults| panic!("{faults}\n{effective}"));
        assert_eq!(again.effective(), effective);
    }
});

fn load(toml: &str, env: Vec<(String, String)>) -> Result<Config, Faults> {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    // In memory where there is such a folder: a file is written for every input.
    let file = FILE.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        folder.join(format!("signet-fuzz-{}.toml", std::process::id()))
    });
    std::fs::write(file, toml).expect("the file can be written");
    let loaded = Config::load(&ConfigSource { file: Some(file.clone()), env });
    let _ = std::fs::remove_file(file);
    loaded
}
