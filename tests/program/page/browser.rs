//! The page as a person has it: in a real Chromium, on a laptop and on a phone, in the light and in the dark, with and
//! without a mouse.

use std::path::Path;

use kube_ipam_tests::browser::{Browser, Screen};
use kube_ipam_tests::serving::Serving;
use serde_json::{Value, json};

use super::{HARM, WICKED, serving, sites};

const VIEWS: [&str; 7] = ["map", "addresses", "holds", "reservations", "refusals", "nodes", "policies"];

/// Go to a view, and wait until it is there.
fn go(browser: &Browser, view: &str) {
    browser.run(&format!("location.hash = {};", json!(format!("#/{view}"))));
    let main = "document.getElementById('main')";
    browser.wait_for(&format!(
        "decodeURI({main}.dataset.view) === {} && !{main}.hasAttribute('aria-busy')",
        json!(format!("#/{view}"))
    ));
    browser.wait_for("document.getElementById('view').children.length > 0");
}

/// What nobody may find after a test: complaints of the browser, and requests to others.
fn nothing_to_complain(browser: &Browser, serving: &Serving) {
    assert_eq!(browser.run("return window.harmed ?? null;"), Value::Null, "a name became markup");
    assert_eq!(browser.run("return document.querySelectorAll('b, i, img[src=x]').length;"), json!(0));
    // Nothing comes after this that the next page might be blamed for.
    browser.open("about:blank");
    assert_eq!(browser.console(), [""; 0]);
    only_of(&browser.requested(), serving);
}

/// A browser begins with a page of its own, which comes from within it.
fn only_of(requested: &[String], serving: &Serving) {
    let is_within = |url: &&String| ["data:", "chrome:"].iter().any(|scheme| url.starts_with(scheme));
    let of_pages: Vec<&String> = requested.iter().filter(|url| !is_within(url)).collect();
    assert!(!of_pages.is_empty() && of_pages.iter().all(|url| url.starts_with(serving.url())), "{of_pages:?}");
}

#[test]
fn a_person_finds_a_pod_and_sees_what_holds_the_addresses() {
    let Some(browser) = Browser::start() else { return };
    for site in sites() {
        let serving = serving(&site);
        browser.on(Screen::LAPTOP);
        browser.open(&format!("{}/", serving.url()));
        browser.wait_for("document.querySelectorAll('.map').length === 2");

        // The map: 10.1.0.4 is held, 10.1.0.9 kept back, 10.1.0.12 free.
        let class = |place: usize| {
            browser.run(&format!(
                "return document.querySelectorAll('.map')[0].querySelectorAll('.cell')[{place}].className;"
            ))
        };
        assert_eq!(
            [class(4), class(9), class(12), class(0)],
            ["cell l8", "cell kept", "cell l0", "cell none"].map(|text| json!(text))
        );
        assert!(browser.text(".card").contains("38%"), "{}", browser.text(".card"));

        // With the keyboard alone: to the map, five to the right, and to the list.
        browser.run("document.querySelector('.map .rows').focus();");
        browser.press(&["ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight"]);
        assert_eq!(browser.text(".readout"), "10.1.0.4: held");
        browser.press(&["Enter"]);
        browser.wait_for("document.querySelector('table')");
        assert!(browser.text("table").contains("shop/cache") && !browser.text("table").contains("bank/db"));

        // A key that leads to the search, a part of a name, and Enter.
        browser.run("document.activeElement.blur();");
        browser.press(&["/"]);
        browser.type_text("cache");
        browser.press(&["Enter"]);
        browser.wait_for("document.querySelector('h1').textContent === 'Search' && document.querySelector('table')");
        assert!(
            browser.text("#view").contains("10.1.0.4") && browser.text("#view").contains("fd00::4"),
            "{}",
            browser.text("#view")
        );
        for (asked, told) in [
            ("shop/cache", "10.1.0.4"),
            ("10.1.0.3", "bank/db"),
            ("c2", "10.1.0.3"),
            ("10.1.0.9", WICKED),
            ("10.1.0.12", "10.1.0.12 is free: offered by network blue, range set 0."),
        ] {
            go(&browser, &format!("search?q={asked}"));
            browser.wait_for(&format!("document.getElementById('view').innerText.includes({})", json!(told)));
        }

        for (view, told) in [
            ("reservations", WICKED),
            ("reservations", "<i>ann</i>"),
            ("holds", "cools down"),
            ("addresses", "<b>eth0"),
            ("refusals", HARM),
            ("policies", "range-fixed"),
            ("nodes", "node-2"),
        ] {
            go(&browser, view);
            browser.wait_for(&format!("document.getElementById('view').innerText.includes({})", json!(told)));
        }
        nothing_to_complain(&browser, &serving);
    }
}

#[test]
fn the_page_is_for_every_screen_and_everybody() {
    let Some(browser) = Browser::start() else { return };
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/axe/axe.min.js");
    let axe = std::fs::read_to_string(&axe)
        .unwrap_or_else(|_| panic!("{} is missing: run `make tools` first", axe.display()));
    let [site, _] = sites();
    let serving = serving(&site);
    for (screen, scheme) in [(Screen::LAPTOP, "light"), (Screen::PHONE, "dark")] {
        browser.on(screen);
        browser.prefers(&[("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")]);
        browser.open(&format!("{}/", serving.url()));
        browser.wait_for("document.querySelector('.map')");
        let [red, _, _] = paper(&browser);
        assert_eq!(red < 128, scheme == "dark", "{red} in the {scheme}");
        browser.run(&axe);
        for view in VIEWS {
            go(&browser, view);
            let [width, wide] = ["document.documentElement.scrollWidth", "innerWidth"]
                .map(|what| browser.run(&format!("return {what};")));
            assert_eq!(width, wide, "{view} at {wide}: it scrolls sideways");
            let violations = browser.run("
                const told = await window.axe.run({ resultTypes: ['violations'] });
                if (told.passes.length < 15) throw `axe looked at ${told.passes.length} rules`;
                return told.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).slice(0, 3).join(' ')}`);");
            assert_eq!(violations, json!([]), "{view}, {scheme}, {wide}");
        }
    }
    nothing_to_complain(&browser, &serving);
}

/// The colour behind everything.
fn paper(browser: &Browser) -> [u64; 3] {
    let told = browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);");
    serde_json::from_value(told).unwrap()
}

#[test]
fn the_token_is_asked_for_and_never_in_the_address() {
    let Some(browser) = Browser::start() else { return };
    let [site, _] = sites();
    let token = site.directory.path().join("token");
    std::fs::write(&token, "c2VjcmV0LXRva2VuLW9mLWEtdGVzdA==\n").unwrap();
    let serving = Serving::start(&["--token-file", token.to_str().unwrap(), "--conf", site.file().to_str().unwrap()]);
    browser.on(Screen::LAPTOP);
    browser.open(&format!("{}/", serving.url()));
    browser.wait_for("document.getElementById('ask-token').open");
    browser.type_text("wrong-wrong-wrong-wrong");
    browser.press(&["Enter"]);
    browser.wait_for("document.getElementById('token-wrong').textContent !== ''");
    browser.type_text("c2VjcmV0LXRva2VuLW9mLWEtdGVzdA==");
    browser.press(&["Enter"]);
    browser.wait_for("document.querySelectorAll('.map').length === 2");
    let address = browser.run("return location.href;").to_string();
    assert!(!address.contains("c2Vj"), "{address}");
    let requested = browser.requested();
    only_of(&requested, &serving);
    assert!(!requested.iter().any(|url| url.contains("c2Vj")), "{requested:?}");
    // What was not answered without the token is on the console, and nothing else.
    assert!(browser.console().iter().all(|line| line.contains("401")));
}
