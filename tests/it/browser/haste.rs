//! A page whose requests are more than its rate allows: it says so, and tries again when it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use fantoccini::key::Key;

use super::driver::Browser;
use super::fixture::{as_scientist, cell, open, speak, start, wait_kind};
use crate::common::{Services, http};

/// Somebody at the page's address whose requests take all that the rate gives.
struct Hasty {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Hasty {
    /// Begins, and returns once the rate is used up.
    fn start(services: &Services) -> Self {
        let (url, stop) = (services.agenda("/time"), Arc::new(AtomicBool::new(false)));
        assert!((0..1000).any(|_| http("GET", &url, None).status == 429), "the rate is never used up");
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                http("GET", &url, None);
            }
        });
        Self { stop, thread }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Presses the button that tries again each time that it may be pressed, until the booking is made: other readings of the page may
/// use up what the rate gives back.
async fn try_until_won(browser: &Browser) {
    let script = "
        const won = document.querySelector('dialog .outcome.won') !== null;
        const button = document.querySelector('dialog[open] .buttons .primary');
        const rests = ['aria-disabled', 'aria-busy'].some((name) => button?.getAttribute(name));
        if (!won && button && !rests) button.click();
        return won";
    browser.wait("the booking is made", script).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_page_that_is_refused_for_its_haste_says_so_and_tries_again() {
    let (_turn, services, browser) = start(&["--rate", "2", "--burst", "100"]).await;
    as_scientist(&browser, 7);
    open(&services, &browser).await;
    for (language, time, words, again) in [
        ("pt", "09:00", "vieram muitas requisições", "Tentar de novo"),
        ("en", "10:00", "Many requests came from you", "Try again"),
    ] {
        speak(&browser, language).await;
        browser.click(&cell(time)).await;
        browser.wait("the form", "return document.querySelector('dialog[open] form')").await;
        let hasty = Hasty::start(&services);
        browser.click("dialog button[type=submit]").await;
        browser.wait_text("dialog .outcome.refused", words).await;
        browser.wait_text("dialog .buttons .primary", again).await;
        hasty.end();
        try_until_won(&browser).await;
        browser.key(Key::Escape).await;
        wait_kind(&browser, time, "mine").await;
    }
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 2);
}
