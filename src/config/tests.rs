//! The settings as a whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;

use proptest::prelude::*;

use super::*;

fn load(toml: &str, env: &[(&str, &str)]) -> Result<Config, Faults> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(&ConfigSource { file: Some(file.path().to_owned()), env })
}

fn faults(toml: &str, env: &[(&str, &str)]) -> Vec<String> {
    load(toml, env).unwrap_err().0.iter().map(ToString::to_string).collect()
}

const EXAMPLE: &str = include_str!("../../signet.example.toml");

#[test]
fn the_example_file_holds_the_defaults() {
    let example = load(EXAMPLE, &[]).unwrap();
    assert_eq!(example.effective(), Config::default().effective());
    assert_eq!(example.effective(), load("", &[]).unwrap().effective());
}

#[test]
fn the_example_file_shows_every_setting() {
    let mut reader = Reader::default();
    reader.add_toml("example", EXAMPLE);
    Config::read(&mut reader);
    let missing: Vec<_> = reader.known().iter().filter(|key| !reader.was_given(key)).collect();
    assert_eq!(missing, [&"keys.root_key"], "which only the environment may hold");
}

#[test]
fn every_default_passes_its_own_bounds() {
    let effective = Config::default().effective();
    assert_eq!(load(&effective, &[]).unwrap().effective(), effective);
}

#[test]
fn every_setting_of_the_file_arrives() {
    let toml = r#"
        issuer = "https://login.example.com/auth"
        registration = "open"
        [server]
        listen = "0.0.0.0:80"
        hosts = ["login.internal"]
        allowed_origins = ["https://app.example.com"]
        trusted_proxies = ["10.0.0.7", "fd00::/8"]
        max_connections = 100
        workers = 3
        max_body = "1MiB"
        header_timeout = "1s"
        body_timeout = "2s"
        keep_alive = "3s"
        shutdown_timeout = "0s"
        [tls]
        certificate = "/etc/signet/chain.pem"
        key = "/etc/signet/key.pem"
        redirect_from = "0.0.0.0:81"
        [database]
        url = "postgres://ann:hunter2@db/signet"
        max_connections = 7
        busy_timeout = "500ms"
        [keys]
        dir = "/etc/signet"
        root_key_file = "/run/secrets/root"
        rsa_bits = 3072
        rotate_every = "7d"
        publish_ahead = "1h"
        [tokens]
        audience = "api"
        scopes = ["orders:read", "orders:write"]
        access_token_life = "2m"
        jwks_max_age = "1m"
        signing_algorithm = "ES256"
        [passwords]
        min_length = 8
        max_length = 128
        threads = 2
        queue_per_thread = 5
        kernel = "portable"
        idle_memory_after = "1m"
        [passwords.cost]
        memory_kib = 65536
        iterations = 3
        parallelism = 4
        [throttle]
        free_tries = 3
        longest_delay = "1h"
        account_limit = 50
        address_sign_ins = 100
        address_registrations = 5
        [audit]
        keep = "30d"
        [log]
        filter = "debug"
        format = "json"
    "#;
    let config = load(toml, &[]).unwrap();
    let expected = toml.replace("hunter2", "***").replace("        ", "");
    let shown = config.effective();
    for line in expected.lines().filter(|line| !line.trim().is_empty()) {
        assert!(shown.lines().any(|shown| shown == line), "{line} in\n{shown}");
    }
    assert_eq!(shown.lines().filter(|line| line.contains('=')).count(), 49);
}

#[test]
fn the_environment_goes_before_the_file() {
    let toml = "issuer = \"http://localhost:1\"\n[server]\nlisten = \"127.0.0.1:1\"\nworkers = 1";
    let env = [
        ("SIGNET_LISTEN", "127.0.0.1:2"),
        ("SIGNET__SERVER__WORKERS", "2"),
        ("SIGNET__SERVER__HOSTS", "a.example,b.example"),
        ("SIGNET__PASSWORDS__COST__ITERATIONS", "3"),
        ("SIGNET_TEST_POSTGRES", "is the tests' own"),
        ("HOME", "/root"),
    ];
    let config = load(toml, &env).unwrap();
    assert_eq!(config.issuer.as_str(), "http://localhost:1");
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.workers, 2);
    assert_eq!(config.server.hosts, ["a.example", "b.example"]);
    assert_eq!(config.passwords.cost.iterations, 3);
}

#[test]
fn what_follows_from_other_settings() {
    let config =
        load("", &[("SIGNET_ISSUER", "https://login.example.com"), ("SIGNET_KEYS_DIR", "k")]).unwrap();
    assert_eq!(config.registration, Registration::Closed);
    assert_eq!(config.tokens.audience, "https://login.example.com");
    assert!(matches!(config.keys.root_key, RootKeySource::File(path) if path == Path::new("k/root.key")));
    assert_eq!(Config::default().registration, Registration::Open);
    let closed = load("registration = \"closed\"", &[]).unwrap();
    assert_eq!(closed.registration, Registration::Closed);
}

#[test]
fn every_fault_is_told_at_once_with_its_key_and_cure() {
    let toml = "issuer = \"http://login.example.com\"\ncolour = \"red\"\nlog = 5\n\
        [server]\nlisten = \"nowhere\"\nlisen = \"127.0.0.1:1\"\n[passwords]\nmin_length = 4\n\"odd key\" = 1";
    let env =
        [("SIGNET_LISEN", "x"), ("SIGNET__DATABASE__URL", "mysql://x"), ("SIGNET__TOKENS__LISTEN", "x")];
    let told = faults(toml, &env);
    let expected = [
        ("issuer: is http", "https://"),
        ("colour: is not a setting", "signet.example.toml"),
        ("log: is not a setting", "a section"),
        ("server.listen: is not an IP address", "127.0.0.1:8080"),
        ("server.lisen: is not a setting", "did you mean server.listen?"),
        ("passwords.min_length: is not", "8 to 64"),
        ("passwords.odd key: is not a setting", "remove"),
        ("SIGNET_LISEN: is not a setting", "did you mean SIGNET_LISTEN?"),
        ("SIGNET__DATABASE__URL (database.url): is no database", "sqlite://"),
        ("SIGNET__TOKENS__LISTEN (tokens.listen): is not a setting", "did you mean server.listen?"),
    ];
    for (start, cure) in expected {
        assert!(
            told.iter().any(|line| line.starts_with(start) && line.contains(cure)),
            "{start} in {told:#?}"
        );
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    assert_eq!(load(toml, &env).unwrap_err().to_string().lines().count(), expected.len());
}

#[test]
fn hash_costs_below_what_owasp_recommends_are_refused() {
    let cost = |memory: u32, iterations: u32, parallelism: u32| {
        let table = format!(
            "[passwords.cost]\nmemory_kib = {memory}\niterations = {iterations}\nparallelism = {parallelism}"
        );
        load(&table, &[]).is_ok()
    };
    for (memory, iterations) in [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5), (7_168, 16)] {
        assert!(cost(memory, iterations, 1), "{memory} {iterations}");
        assert!(!cost(memory - 1, iterations, 1), "{memory} {iterations}");
    }
    assert!(cost(1_048_576, 16, 4));
    assert!(!cost(1_048_577, 2, 1) && !cost(19_456, 17, 1) && !cost(19_456, 2, 5) && !cost(19_456, 2, 0));
    assert_eq!(faults("[passwords.cost]\nmemory_kib = 1", &[]).len(), 1, "one fault, told once");
    assert_eq!(
        faults("[passwords.cost]\niterations = 1", &[]).len(),
        1,
        "the default memory is too little for it"
    );
}

#[test]
fn rotations_that_verifiers_cannot_follow_are_refused() {
    let told = |keys: &str, tokens: &str| match load(&format!("[keys]\n{keys}\n[tokens]\n{tokens}"), &[]) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
    };
    // 5 min that sets may be kept and 16 min beyond; then 10 min that a token lives and 3 min beyond.
    assert!(told("publish_ahead = \"21m\"", "").is_empty());
    let short = told("publish_ahead = \"1259s\"", "");
    assert!(short.len() == 1 && short[0].starts_with("keys.publish_ahead: is too short"), "{short:?}");
    assert!(
        short[0].contains("tokens.jwks_max_age (5m)") && short[0].contains("write 21m or more"),
        "{short:?}"
    );
    let long = told("", "jwks_max_age = \"24h\"");
    assert!(long.len() == 1 && long[0].starts_with("keys.publish_ahead"), "{long:?}");
    assert!(told("publish_ahead = \"21m\"\nrotate_every = \"1h\"", "").is_empty());
    let often = told("publish_ahead = \"50m\"\nrotate_every = \"1h\"", "");
    assert!(often.len() == 1 && often[0].starts_with("keys.rotate_every: is too short"), "{often:?}");
    assert!(often[0].contains("write 63m or more"), "{often:?}");
}

#[test]
fn a_named_file_must_exist_and_be_text() {
    let source = ConfigSource { file: Some(PathBuf::from("/nonexistent/signet.toml")), env: Vec::new() };
    let told = Config::load(&source).unwrap_err().to_string();
    assert!(told.starts_with("/nonexistent/signet.toml: cannot be read"), "{told}");

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [0xff, 0xfe]).unwrap();
    let source = ConfigSource { file: Some(file.path().to_owned()), env: Vec::new() };
    assert!(Config::load(&source).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn a_syntax_error_names_its_line_and_repeats_nothing_of_it() {
    let told = faults("\n[database]\nurl = \"postgres://ann:hunter2@db/signet\n", &[]);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("line 3") && !told[0].contains("hunter2"), "{told:?}");
}

#[test]
fn a_root_key_comes_from_the_environment_or_a_file_but_not_both() {
    let key = ("SIGNET_ROOT_KEY", "1:c2VjcmV0");
    let config = load("", &[key]).unwrap();
    let RootKeySource::Value(value) = &config.keys.root_key else { panic!("a value") };
    assert_eq!(value.expose(), "1:c2VjcmV0");
    assert!(!format!("{config:?}{}", config.effective()).contains("c2VjcmV0"));
    assert_eq!(config.warnings().len(), 1);

    assert_eq!(faults("", &[key, ("SIGNET_ROOT_KEY_FILE", "root")]).len(), 1);
    assert_eq!(faults("", &[("SIGNET_ROOT_KEY", " ")]).len(), 1);
    let told = faults("[keys]\nroot_key = \"1:c2VjcmV0\"", &[]);
    assert!(told[0].contains("does not belong") && !told[0].contains("c2VjcmV0"), "{told:?}");
}

#[test]
fn what_kubernetes_says_of_a_service_called_signet_is_no_setting() {
    let links = [
        ("SIGNET_SERVICE_HOST", "10.0.0.1"),
        ("SIGNET_SERVICE_PORT", "8080"),
        ("SIGNET_SERVICE_PORT_HTTP", "8080"),
        ("SIGNET_PORT", "tcp://10.0.0.1:8080"),
        ("SIGNET_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("SIGNET_PORT_8080_TCP_PROTO", "tcp"),
        ("SIGNET_PORT_8080_TCP_PORT", "8080"),
        ("SIGNET_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(load("", &links).unwrap().effective(), Config::default().effective());
    for mistyped in ["SIGNET_PORT", "SIGNET_PORT_X_TCP", "SIGNET_SERVICE", "SIGNET__SERVER__SERVICE_HOST"] {
        assert_eq!(faults("", &[(mistyped, "8080")]).len(), 1, "{mistyped}");
    }
}

#[test]
fn one_setting_by_two_names_is_refused() {
    let told = faults("", &[("SIGNET_LISTEN", "127.0.0.1:1"), ("SIGNET__SERVER__LISTEN", "127.0.0.1:2")]);
    assert!(told[0].contains("sets the same as SIGNET_LISTEN"), "{told:?}");
}

#[test]
fn what_is_allowed_but_odd_is_warned_of() {
    assert!(Config::default().warnings().is_empty());
    assert_eq!(load("", &[("SIGNET_LISTEN", "0.0.0.0:8080")]).unwrap().warnings().len(), 1);
    let issuer = ("SIGNET_ISSUER", "https://login.example.com");
    assert!(load("", &[issuer, ("SIGNET_LISTEN", "0.0.0.0:8080")]).unwrap().warnings().is_empty());
    let plain = ("SIGNET__SERVER__ALLOWED_ORIGINS", "http://app.example.com");
    let proxy = ("SIGNET__SERVER__TRUSTED_PROXIES", "127.0.0.1");
    assert_eq!(load("", &[issuer, proxy, plain]).unwrap().warnings().len(), 1);
    assert!(load("", &[issuer, proxy]).unwrap().warnings().is_empty());
    assert!(
        load("", &[issuer]).unwrap().warnings()[0].contains("trusted_proxies"),
        "all callers look like one"
    );
    let cluster = ("SIGNET_DATABASE_URL", "postgres://u:p@db/signet");
    let grace =
        |text| load("", &[cluster, ("SIGNET__TOKENS__REFRESH_GRACE", text)]).unwrap().warnings().len();
    assert_eq!(["0s", "1s", "9s", "10s"].map(grace), [0, 1, 1, 0]);
}

#[test]
fn tls_takes_a_certificate_a_key_and_an_https_issuer() {
    let issuer = ("SIGNET_ISSUER", "https://login.example.com");
    let certificate = ("SIGNET__TLS__CERTIFICATE", "chain.pem");
    let key = ("SIGNET__TLS__KEY", "key.pem");
    let redirect = ("SIGNET__TLS__REDIRECT_FROM", "0.0.0.0:80");
    assert!(load("", &[issuer, certificate, key, redirect]).unwrap().tls.files.is_some());
    assert_eq!(load("", &[issuer]).unwrap().tls, Tls::default());
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[issuer, certificate], "SIGNET__TLS__CERTIFICATE (tls.certificate): is set without tls.key"),
        (&[issuer, key], "SIGNET__TLS__KEY (tls.key): is set without tls.certificate"),
        (
            &[issuer, redirect],
            "SIGNET__TLS__REDIRECT_FROM (tls.redirect_from): is set, but there is no https",
        ),
        (
            &[certificate, key],
            "SIGNET__TLS__CERTIFICATE (tls.certificate): is set, but issuer begins with http://",
        ),
    ];
    for (env, start) in cases {
        let told = faults("", env);
        assert!(told.len() == 1 && told[0].starts_with(start), "{start}: {told:?}");
    }
}

/// Reads without the file system.
fn read(toml: &str, env: &[(String, String)]) -> Result<Config, Faults> {
    let mut reader = Reader::default();
    reader.add_toml("signet.toml", toml);
    reader.add_env(env);
    let config = Config::read(&mut reader);
    reader.finish().map(|()| config)
}

fn any_setting() -> impl Strategy<Value = String> {
    let mut reader = Reader::default();
    Config::read(&mut reader);
    prop::sample::select(reader.known().to_vec()).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(toml in any::<String>(), name in "SIGNET_{1,2}[A-Z_]{0,20}", value: String) {
        let _ = read(&toml, &[(name, value)]);
    }

    #[test]
    fn no_value_of_a_setting_makes_it_panic(key in any_setting(), value: String, number: i64) {
        let name = format!("SIGNET__{}", key.to_ascii_uppercase().replace('.', "__"));
        for value in [value.clone(), number.to_string(), format!("{number}s"), format!("{number}GiB")] {
            let _ = read("", &[(name.clone(), value.clone())]).map(|config| config.effective());
            let _ = read(&format!("{key} = {}", parse::quote(&value)), &[]);
        }
        for value in [number.to_string(), "true".into(), "1.5".into(), "[[]]".into(), "1979-05-27".into()] {
            let _ = read(&format!("{key} = {value}"), &[]);
        }
    }

    #[test]
    fn no_fault_repeats_a_value(key in any_setting(), around in "[ -~]{0,20}") {
        let value = format!("{around}hunter2{around}");
        let name = format!("SIGNET__{}", key.to_ascii_uppercase().replace('.', "__"));
        for outcome in [
            read("", &[(name, value.clone())]),
            read(&format!("{key} = {}", parse::quote(&value)), &[]),
            read(&format!("{key} = \"{value}"), &[]),
        ] {
            if let Err(faults) = outcome {
                prop_assert!(!faults.to_string().contains("hunter2"), "{}", faults);
            }
        }
    }
}
