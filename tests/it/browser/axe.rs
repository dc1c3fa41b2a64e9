//! Checks the shown page with axe-core.

use serde_json::{Value, json};

use super::driver::Browser;

/// The script, from the file that `SCTEC_TEST_AXE` names.
pub struct Axe {
    script: String,
}

impl Axe {
    pub fn load() -> Self {
        let path = std::env::var("SCTEC_TEST_AXE").expect("SCTEC_TEST_AXE names axe.min.js, of axe-core");
        Self { script: std::fs::read_to_string(path).expect("SCTEC_TEST_AXE names a file") }
    }

    /// Fails with axe-core's violations, if there are any. It waits until nothing on the page moves.
    pub async fn check(&self, browser: &Browser, state: &str) {
        browser.settle().await;
        browser.ask(&format!("if (!window.axe) {{ {}; }} return true", self.script)).await;
        browser.ask(RUN).await;
        let violations = browser.wait("axe's opinion", "return window.violations").await;
        assert_eq!(violations, json!({"violations": []}), "{state}: {}", told(&violations));
    }
}

const RUN: &str = "
    window.violations = undefined;
    axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(({violations}) => {
        window.violations = {violations: violations.map(({id, help, nodes}) => ({id, help, nodes: nodes.map(({target, failureSummary}) => [target, failureSummary])}))};
    });
    return true";

fn told(violations: &Value) -> String {
    serde_json::to_string_pretty(violations).unwrap()
}
