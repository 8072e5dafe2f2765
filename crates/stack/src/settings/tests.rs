use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{load::environment, *};

fn bad_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/bad");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn with_environment(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let variables: HashMap<_, _> =
        variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Settings::read(text, environment().source(Some(variables)))
}

fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    with_environment(text, variables).unwrap_err().to_string()
}

#[test]
fn every_mistake_gets_its_own_message() {
    let files = bad_files();
    assert!(files.len() > 30, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().display();
        let expected = text.lines().next().and_then(|line| line.strip_prefix("# expect: "));
        let expected = expected.unwrap_or_else(|| panic!("{name}: the first line says `# expect: MESSAGE`"));
        match Settings::from_toml(&text) {
            Ok(_) => panic!("{name} is taken for valid"),
            Err(error) => assert_eq!(error.to_string(), expected, "{name}"),
        }
    }
}

#[test]
fn a_message_begins_with_the_file() {
    let file = bad_files().swap_remove(0);
    let message = Settings::load(&file).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: ", file.display())), "{message}");
    let missing = Path::new("no/such/file.toml");
    let message = Settings::load(missing).unwrap_err().to_string();
    assert!(message.starts_with("no/such/file.toml: cannot be read: "), "{message}");
}

#[test]
fn the_environment_comes_before_the_file() {
    let file = "[memory]\ncapacity_bytes = 2000000\nbody_bytes_max = 1000\n[log]\nfilter = \"warn\"";
    let variables = [
        ("CACHE_PROXY__MEMORY__CAPACITY_BYTES", "3000000"),
        ("CACHE_PROXY__MEMORY__ENABLED", "false"),
        ("CACHE_PROXY__REDIS__READ_TIMEOUT", "50ms"),
        ("CACHE_PROXY__CACHE__POLICY", "rfc"),
        ("CACHE_PROXY__CACHE__TRUSTED", "10.0.0.0/8, ::1"),
        ("CACHE_PROXY__ORIGIN__CORS_ORIGINS", ""),
        // Not ours.
        ("CACHE_PROXY_ADMIN_TOKEN", "t"),
        ("DATABASE_URL", "postgres://somebody.else/s"),
    ];
    let settings = with_environment(file, &variables).unwrap();
    assert_eq!((settings.memory.capacity_bytes, settings.memory.body_bytes_max), (3_000_000, 1000));
    assert!(!settings.memory.enabled);
    assert_eq!(settings.redis.read_timeout, Duration::from_millis(50));
    assert_eq!(settings.cache.policy, Policy::Rfc);
    assert_eq!(settings.cache.trusted, ["10.0.0.0/8", "::1"].map(|network| network.parse::<Network>().unwrap()));
    assert!(settings.origin.cors_origins.is_empty() && settings.database.url.is_empty());
    assert_eq!(settings.log.filter, "warn");
}

#[test]
fn a_text_stays_a_text() {
    for text in ["007", "1e3", "true", "inf"] {
        assert_eq!(with_environment("", &[("CACHE_PROXY__CACHE__TENANT", text)]).unwrap().cache.tenant, text);
    }
}

#[test]
fn a_bad_variable_is_named_with_its_key() {
    let cases = [
        (
            ("CACHE_PROXY__MEMORY__CAPACITY_BYTES", "lots"),
            "memory.capacity_bytes = \"lots\": must be a whole number of bytes, not below zero",
        ),
        (("CACHE_PROXY__LIMITS__CONNECTIONS_MAX", "0"), "limits.connections_max = 0: must be from 1 to 1048576"),
        (
            ("CACHE_PROXY__CACHE__TRUSTED", "::1,here"),
            "cache.trusted[1] = \"here\": must be an address, or a network such as 10.0.0.0/8",
        ),
        (("CACHE_PROXY__LISTN__ADDRESS", "h:1"), "listn: unknown key, did you mean `listen`?"),
        (
            ("CACHE_PROXY__MEMORY__CAPCITY_BYTES", "1"),
            "memory.capcity_bytes: unknown key, did you mean `capacity_bytes`?",
        ),
    ];
    for ((variable, value), message) in cases {
        assert_eq!(refused("", &[(variable, value)]), format!("{message} (set by {variable})"));
    }
    assert_eq!(
        refused("", &[("CACHE_PROXY__ROUTE__0__TTL", "5s")]),
        "CACHE_PROXY__ROUTE__0__TTL: `route` can be set in the file only"
    );
    let other = refused("[memory]\ncapacity_bytes = true", &[("CACHE_PROXY__MEMORY__ENABLED", "true")]);
    assert_eq!(
        other, "memory.capacity_bytes = true: must be a whole number of bytes, not below zero",
        "that is the file's"
    );
}

#[test]
fn no_print_of_settings_shows_a_password() {
    let text = "[origin]\nkind = \"pitchey\"\n\
        [redis]\nurl = \"redis://me:s3cr3t@cache.example:6379/0\"\n\
        [database]\nurl = \"postgres://me:s3cr3t@db.example/pitchey\"";
    let settings = Settings::from_toml(text).unwrap();
    for print in [format!("{settings:?}"), format!("{settings:#?}")] {
        assert!(!print.contains("s3cr3t"), "{print}");
        assert!(print.contains("cache.example") && print.contains("db.example"), "{print}");
    }
    for wrong in [text.replace("postgres://", "mysql://"), text.replace("db.example", "db.example:port")] {
        let message = refused(&wrong, &[]);
        assert!(message.starts_with("database.url = ") && !message.contains("s3cr3t"), "{message}");
    }
}
