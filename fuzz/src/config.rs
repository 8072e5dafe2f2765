use std::time::Duration;

use edge_cache::{Mode, Settings};
use edge_cache_policy::response::{Asked, plan};
use http::{HeaderMap, StatusCode};

use crate::lines::NOW;

/// More says nothing new and takes long.
const BYTES_MAX: usize = 16 << 10;

/// The input is a configuration file.
///
/// It is refused with a message, or taken; then it reads the same when it is printed, secrets aside, and answers can be judged by
/// what it declares.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if data.len() > BYTES_MAX {
        return;
    }
    let mut settings = match Settings::from_toml(text) {
        Ok(settings) => settings,
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty(), "it says what is wrong");
            return;
        }
    };
    settings.validate().expect("what was read is valid");
    // Secrets are never printed.
    settings.alerts.slack = Default::default();
    settings.alerts.webhook = Default::default();
    settings.alerts.authorization = Default::default();
    let printed = toml::to_string(&settings).expect("settings are TOML");
    match Settings::from_toml(&printed) {
        Ok(again) => assert_eq!(again, settings, "printed and read again\n{printed}"),
        Err(error) => panic!("what is printed is refused: {error}\n{printed}"),
    }
    judged(&settings);
}

fn judged(settings: &Settings) {
    for route in settings.declared_routes().expect("they were validated") {
        for mode in [Mode::Guarded, Mode::Rfc] {
            let asked = Asked {
                mode,
                route: &route,
                authorization: false,
                no_store: false,
                requested: NOW - Duration::from_secs(1),
                received: NOW,
                unit: 0.999,
            };
            let Ok(plan) = plan(&asked, StatusCode::OK, &HeaderMap::new()) else { continue };
            let freshness = plan.freshness;
            assert!(freshness.fresh_until <= freshness.last_use());
        }
    }
}
