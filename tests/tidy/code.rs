//! Rules about the code: what may be named where.

use crate::assert_none;
use crate::source::{files, lines_that_mention, mentions, modules_used, read};

/// The longest `.rs` file we allow.
const MAX_LINES: usize = 400;

/// Modules of `src`, lowest first. A module may use what stands in an earlier row, never its own row or a later one.
const ORDER: [&[&str]; 12] = [
    &["account", "caller", "cpu_pool", "durable_file", "rotation"],
    &["config"],
    &["grant"],
    &["throttle"],
    &["jose", "password", "store", "telemetry"],
    &["audit", "replica", "status_board"],
    &["app"],
    &["flow"],
    &["background"],
    &["http"],
    &["server"],
    &["cli"],
];

/// What only a holder of private keys has a use for.
const PRIVATE_KEY_TYPES: [&str; 8] = [
    "EncodingKey",
    "RsaKeyPair",
    "EcdsaKeyPair",
    "Ed25519KeyPair",
    "KeyPair",
    "RsaPrivateKey",
    "SigningKey",
    "PrivateKey",
];

const SIGNING_CALLS: [&str; 4] = ["jsonwebtoken::encode", ".sign(", ".try_sign(", "crypto::sign"];

#[test]
fn actix_is_named_only_by_the_http_layer_and_the_guards_extractors() {
    let allowed = ["src/http", "src/server.rs", "src/server", "guard/src/actix", "guard/src/actix.rs"];
    let breaches: Vec<_> = files()
        .iter()
        .filter(|file| file.is_rust() && file.is_under(&["src", "guard/src"]) && !file.is_under(&allowed))
        .flat_map(|file| lines_that_mention(file, &["actix_web", "actix_cors", "actix_http", "actix_rt"]))
        .collect();
    assert_none(
        &breaches,
        "take typed input and return a typed error; let src/http translate to and from HTTP",
    );
}

#[test]
fn sqlx_is_named_only_by_the_store() {
    let breaches: Vec<_> = files()
        .iter()
        .filter(|file| {
            file.is_rust() && file.is_under(&["src", "guard", "examples"]) && !file.is_under(&["src/store"])
        })
        .flat_map(|file| lines_that_mention(file, &["sqlx::", "use sqlx"]))
        .collect();
    assert_none(&breaches, "add a method on `Tx` in src/store and call it from a unit of work");
}

#[test]
fn the_guard_names_no_private_key_and_no_signing_call() {
    let guard: Vec<_> =
        files().into_iter().filter(|file| file.is_rust() && file.is_under(&["guard/src"])).collect();
    let mut breaches = Vec::new();
    for file in &guard {
        breaches.extend(lines_that_mention(file, &PRIVATE_KEY_TYPES));
        breaches.extend(lines_that_mention(file, &SIGNING_CALLS));
        breaches.extend(imports_of_encode(file));
    }
    assert_none(&breaches, "the guard can only ever verify; tokens for its tests are made under guard/tests");
}

#[test]
fn foreign_private_keys_are_named_only_by_jose() {
    let foreign =
        ["EncodingKey", "RsaKeyPair", "EcdsaKeyPair", "Ed25519KeyPair", "KeyPair", "RsaPrivateKey", "rsa::"];
    let mut breaches = Vec::new();
    for file in files()
        .iter()
        .filter(|file| file.is_rust() && file.is_under(&["src"]) && !file.is_under(&["src/jose"]))
    {
        breaches.extend(lines_that_mention(file, &foreign));
        breaches.extend(lines_that_mention(file, &["jsonwebtoken::encode"]));
        breaches.extend(imports_of_encode(file));
    }
    assert_none(&breaches, "go through `jose::PrivateKey`, `jose::SigningKey` or `jose::Keyring`");
}

/// `use jsonwebtoken::{…, encode}` in any layout.
fn imports_of_encode(file: &crate::source::Source) -> Vec<String> {
    let code = file.code();
    code.split("use jsonwebtoken::")
        .skip(1)
        .filter_map(|rest| rest.split(';').next())
        .filter(|names| mentions(names, "encode"))
        .map(|names| format!("{}: use jsonwebtoken::{names}", file.path))
        .collect()
}

#[test]
fn the_guard_does_not_depend_on_the_server() {
    let manifest = read("guard/Cargo.toml");
    let mut breaches: Vec<_> = manifest
        .lines()
        .filter(|line| {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default().trim_matches('"');
            name == "signet" || line.contains("path = \"..\"") || line.contains("package = \"signet\"")
        })
        .map(|line| format!("guard/Cargo.toml: {line}"))
        .collect();
    for file in files().iter().filter(|file| file.is_rust() && file.is_under(&["guard"])) {
        breaches.extend(lines_that_mention(file, &["signet::"]));
    }
    assert_none(
        &breaches,
        "move what both need into the guard: the server depends on it, never the other way round",
    );
}

#[test]
fn nothing_but_a_test_has_a_static() {
    let mut breaches = Vec::new();
    for file in files()
        .iter()
        .filter(|file| file.is_rust() && file.is_under(&["src", "argon2id/src", "guard/src", "examples"]))
    {
        let code = file.code();
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        breaches
            .extend(statics(code).iter().map(|declaration| format!("{}: static {declaration}", file.path)));
    }
    assert_none(
        &breaches,
        "put it into `App` (or the value that owns it) and pass it on: two servers fit in one process",
    );
}

/// Those of docs/adr/0011.
const UNSAFE_MODULES: [&str; 2] = ["argon2id/src/kernel/avx2.rs", "argon2id/src/memory/mapping.rs"];

#[test]
fn unsafe_stands_in_two_modules_only() {
    let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern", "unsafe_code"];
    let breaches: Vec<_> = files()
        .iter()
        .filter(|file| file.is_rust() && !file.is_under(&UNSAFE_MODULES) && !file.is_under(&["tests/tidy"]))
        .flat_map(|file| lines_that_mention(file, &words))
        .collect();
    assert_none(
        &breaches,
        "find a safe way, or write an ADR, a safety argument and a proof, and name the module here",
    );
    let idle: Vec<_> = UNSAFE_MODULES.iter().filter(|path| !read(path).contains("unsafe {")).collect();
    assert!(idle.is_empty(), "nothing unsafe in {idle:?}: strike it off the list");
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let lints = |manifest: &str, header: &str| -> Vec<String> {
        let text = read(manifest);
        let section = text.split(&format!("[{header}]\n")).nth(1).unwrap_or_default();
        section
            .lines()
            .take_while(|line| !line.starts_with('['))
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut breaches = Vec::new();
    for manifest in ["Cargo.toml", "guard/Cargo.toml", "examples/protected-api/Cargo.toml"] {
        if !lints(manifest, "lints").contains(&"workspace = true".to_owned()) {
            breaches.push(format!("{manifest}: no `[lints] workspace = true`"));
        }
    }
    // The one that may not inherit: `forbid` cannot be allowed for a module.
    for tool in ["rust", "clippy"] {
        let own = lints("argon2id/Cargo.toml", &format!("lints.{tool}"));
        for lint in lints("Cargo.toml", &format!("workspace.lints.{tool}")) {
            if !own.contains(&lint.replace("\"forbid\"", "\"deny\"")) {
                breaches.push(format!("argon2id/Cargo.toml: not {lint}"));
            }
        }
    }
    assert_none(&breaches, "copy the line from [workspace.lints] of Cargo.toml");
}

/// `NAME: Type` of every `static`, in functions and `thread_local!` too.
fn statics(code: &str) -> Vec<String> {
    code.lines()
        .filter_map(|line| {
            let (before, declaration) = line.split_once("static ")?;
            let item = matches!(before.trim(), "" | "pub" | "pub(crate)" | "pub(super)");
            item.then(|| declaration.split(" =").next().unwrap_or(declaration).to_owned())
        })
        .collect()
}

#[test]
fn no_rust_file_passes_four_hundred_lines() {
    let breaches: Vec<_> = files()
        .iter()
        .filter(|file| file.is_rust() && file.text.lines().count() > MAX_LINES)
        .map(|file| format!("{}: {} lines", file.path, file.text.lines().count()))
        .collect();
    assert_none(&breaches, "split it by topic; one file, one topic");
}

#[test]
fn modules_use_only_modules_below_them() {
    let rank = |module: &str| ORDER.iter().position(|row| row.contains(&module));
    let mut breaches = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && file.is_under(&["src"])) {
        let module = file.path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some(own) = rank(module) else {
            breaches.push(format!("{}: `{module}` has no place in ORDER (tests/tidy/code.rs)", file.path));
            continue;
        };
        for used in modules_used(&file.code()).iter().filter(|used| *used != module) {
            match rank(used) {
                Some(below) if below < own => {}
                Some(_) => breaches.push(format!("{}: `{module}` uses `{used}`", file.path)),
                None => breaches.push(format!("{}: uses `{used}`, which has no place in ORDER", file.path)),
            }
        }
    }
    assert_none(&breaches, "turn the arrow round: pass the value in, or move the type to the lower module");
}

/// Folders of modules.
const MODULES: [&str; 6] =
    ["src", "argon2id/src", "argon2id/tests/it", "guard/src", "tests/it", "guard/tests/it"];

#[test]
fn every_module_file_is_declared_by_its_parent() {
    let all = files();
    let mut breaches = Vec::new();
    for file in all.iter().filter(|file| file.is_rust() && file.is_under(&MODULES)) {
        let Some((folder, name)) = file.path.rsplit_once('/') else { continue };
        let stem = name.trim_end_matches(".rs");
        let (folder, stem) = match stem {
            "lib" | "main" => continue,
            "mod" => match folder.rsplit_once('/') {
                Some((parent, module)) => (parent, module),
                None => continue,
            },
            stem => (folder, stem),
        };
        let parents = [
            format!("{folder}/mod.rs"),
            format!("{folder}/lib.rs"),
            format!("{folder}/main.rs"),
            format!("{folder}.rs"),
        ];
        let declared = all
            .iter()
            .filter(|other| parents.contains(&other.path))
            .any(|parent| mentions(&parent.code(), &format!("mod {stem};")));
        if !declared {
            breaches.push(format!("{}: no `mod {stem};` beside it", file.path));
        }
    }
    assert_none(&breaches, "declare the module or delete the file: what is not compiled is not tested");
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| -> Vec<String> {
        let folder = format!("migrations/{engine}/");
        let all = files();
        all.iter().filter_map(|file| file.path.strip_prefix(&folder).map(str::to_owned)).collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert_eq!(sqlite, postgres, "\n\nTo mend: write the missing migration under the same number and name\n");

    let table = read("src/store/migrations.rs");
    let mut breaches = Vec::new();
    for (index, name) in sqlite.iter().enumerate() {
        let stem = name.trim_end_matches(".sql");
        if !name.starts_with(&format!("{:04}_", index + 1)) || stem == name {
            breaches.push(format!("{name}: expected {:04}_name.sql", index + 1));
        }
        if !table.contains(stem) {
            breaches.push(format!("{name}: not in the table of src/store/migrations.rs"));
        }
    }
    assert_none(&breaches, "number migrations 0001, 0002, … without gaps and list each in the table");
}

#[test]
fn the_rules_see_what_they_forbid() {
    assert_eq!(modules_used("use crate::{store::{Db, Tx}, config::Keys};"), ["config", "store"]);
    assert_eq!(modules_used("let x = crate::http::y(); pub(crate) fn z() {}"), ["http"]);
    assert_eq!(
        statics("  static CLOCK: OnceLock<Clock> = …;\nfn f(x: &'static str) {}"),
        ["CLOCK: OnceLock<Clock>"]
    );
    assert!(mentions("use sqlx::query;", "sqlx") && !mentions("let sqlx_like = 1;", "sqlx"));
    assert!(mentions("key.sign(message)", ".sign(") && !mentions("RsaKeyPairs", "RsaKeyPair"));
}
