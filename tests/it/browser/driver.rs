//! One Chromium, driven by a chromedriver of its own, with its console, its requests and its pictures.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use fantoccini::actions::{InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::common::{signal, try_http};

/// The longest wait for any condition.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How many chromedrivers are started until one runs.
const DRIVERS_MAX: usize = 5;
/// A dialog ignores clicks for this long after its content changed.
const CALM: Duration = Duration::from_millis(510);
/// The pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Moves a pressed pointer from slot to slot, one in each frame, and notes how long each frame took. It ends after 300 frames,
/// or after ten seconds on a busy machine.
const DRAG_AND_COUNT: &str = "
    const cells = [...document.querySelectorAll('[data-slot]')];
    const at = (cell) => { const {x, y, width, height} = cell.getBoundingClientRect(); return {clientX: x + width / 2, clientY: y + height / 2}; };
    const fire = (name, cell) => cell.dispatchEvent(new PointerEvent(name, {bubbles: true, button: 0, buttons: 1, pointerType: 'mouse', ...at(cell)}));
    const took = [];
    let index = 0, begun, before;
    fire('pointerdown', cells[0]);
    requestAnimationFrame(function frame(now) {
        begun ??= now;
        if (before !== undefined) took.push(now - before);
        before = now;
        fire('pointermove', cells[index % 180]);
        index += 1;
        if (took.length < 300 && (took.length < 2 || now - begun < 10000)) return requestAnimationFrame(frame);
        window.frames_drawn = took;
    });
    return true";

/// Only one test at a time has browsers, so that they do not slow each other down.
static TURN: Mutex<()> = Mutex::new(());

/// The right to have browsers.
pub struct Turn {
    _guard: MutexGuard<'static, ()>,
}

impl Turn {
    pub fn take() -> Self {
        Self { _guard: TURN.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// Starts a chromedriver, and tells its port. `None` if it ends at once: the port that it has chosen may be another program's by then.
fn start_driver() -> Option<(Child, String)> {
    let mut chromedriver =
        Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().expect("chromedriver starts");
    let mut lines = BufReader::new(chromedriver.stdout.take().expect("it is piped")).lines();
    let port = lines.find_map(|line| line.unwrap().split("successfully on port ").nth(1).map(str::to_owned));
    let Some(port) = port else {
        chromedriver.wait().unwrap();
        return None;
    };
    // Its later output is read too, so that it does not block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Some((chromedriver, port.trim_end_matches('.').to_owned()))
}

/// Whether a command failed because the page changed after its element was found: the element is not there any more, or something
/// lies over the place where it was. Chromium tells of the first also as an unknown error.
fn page_changed(error: &CmdError) -> bool {
    let CmdError::Standard(told) = error else { return false };
    matches!(told.error, ErrorStatus::StaleElementReference | ErrorStatus::ElementClickIntercepted)
        || told.message.contains("does not belong to the document")
}

/// One browser with one page.
pub struct Browser {
    pub client: Client,
    chromedriver: Child,
    session: String,
}

impl Browser {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more arguments for Chromium.
    pub async fn start_with(args: &[&str]) -> Self {
        Self::start_as(args, "pt-BR,pt").await
    }

    /// With the languages that its person reads.
    pub async fn start_as(args: &[&str], languages: &str) -> Self {
        let (chromedriver, port) =
            (0..DRIVERS_MAX).find_map(|_| start_driver()).expect("chromedriver starts and says its port");
        let url = format!("http://127.0.0.1:{port}");
        let mut all = vec!["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"];
        all.push("--window-size=1280,900");
        all.extend(args);
        let capabilities = json!({
            "goog:chromeOptions": {"args": all, "prefs": {"intl.accept_languages": languages}},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.as_object().unwrap().clone());
        let client = builder.connect(&url).await.expect("chromium starts");
        let session = format!("{url}/session/{}", client.session_id().await.unwrap().unwrap());
        Self { client, chromedriver, session }
    }

    /// Runs a command of the Chrome `DevTools` Protocol.
    pub fn cdp(&self, command: &str, params: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        let answer = try_http("POST", &format!("{}/{path}", self.session), Some(&body.to_string())).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["value"].clone()
    }

    /// Runs `script` in every page from now on, before the page's own scripts.
    pub fn before_load(&self, script: &str) {
        self.cdp("Page.addScriptToEvaluateOnNewDocument", &json!({"source": script}));
    }

    /// Opens the page and waits until it shows an agenda.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
        self.wait("the agenda", "return document.querySelectorAll('[data-slot]').length === 288").await;
    }

    /// The value of a script's `return`.
    pub async fn ask(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{error}: {script}"))
    }

    /// The text that `selector` shows.
    pub async fn text(&self, selector: &str) -> String {
        let shown = self.ask(&format!("return document.querySelector({selector:?})?.innerText ?? ''")).await;
        shown.as_str().unwrap().to_owned()
    }

    /// Runs a script again and again until it returns a true value, and gives that. It may fail as long as the page is not there.
    pub async fn wait(&self, what: &str, script: &str) -> Value {
        let begun = Instant::now();
        loop {
            let (value, failed) = match self.client.execute(script, Vec::new()).await {
                Ok(value) => (value, String::new()),
                Err(CmdError::Standard(told)) if told.error == ErrorStatus::JavascriptError => {
                    (Value::Null, told.message.into_owned())
                }
                Err(error) => panic!("{error}: {script}"),
            };
            if !matches!(value, Value::Null | Value::Bool(false)) && value != json!("") && value != json!(0) {
                return value;
            }
            if begun.elapsed() > PATIENCE {
                let page = self.text("body").await;
                panic!("waited in vain: {what} {failed}\n{page}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until `selector` shows `text` somewhere.
    pub async fn wait_text(&self, selector: &str, text: &str) {
        let script = format!("return Boolean(document.querySelector({selector:?})?.innerText.includes({text:?}))");
        self.wait(&format!("{selector} shows {text:?}"), &script).await;
    }

    /// Clicks an element; in a dialog only after the half second in which it ignores clicks. A slot that is behind the row of
    /// the minutes or the note of a pause, which stay in view, is first scrolled to, as a person would. Between the two commands that
    /// find and click it the page may draw it anew or move it: then both are done again.
    pub async fn click(&self, selector: &str) {
        if selector.starts_with("dialog") || selector.starts_with("#dialog") {
            tokio::time::sleep(CALM).await;
        }
        if selector.starts_with("[data-slot") {
            let uncover = format!(
                "const [slot, head, paused] = [{selector:?}, '.head', '.paused:not(:empty)'].map((it) =>
                    document.querySelector(it)?.getBoundingClientRect());
                if (slot?.top < head?.bottom || slot?.bottom > (paused ?? {{}}).top)
                    document.querySelector({selector:?}).scrollIntoView({{block: 'center'}});
                return true"
            );
            self.ask(&uncover).await;
        }
        let begun = Instant::now();
        loop {
            let element = self.client.find(Locator::Css(selector)).await.unwrap_or_else(|_| panic!("{selector}"));
            match element.click().await {
                Ok(()) => return,
                Err(error) if page_changed(&error) && begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                Err(error) => panic!("{error}: {selector}"),
            }
        }
    }

    /// Presses keys one after the other.
    pub async fn press(&self, keys: &[Press]) {
        let mut actions = KeyActions::new("keyboard".into());
        for press in keys {
            if press.shift {
                actions = actions.then(KeyAction::Down { value: Key::Shift.into() });
            }
            actions = actions.then(KeyAction::Down { value: press.key }).then(KeyAction::Up { value: press.key });
            if press.shift {
                actions = actions.then(KeyAction::Up { value: Key::Shift.into() });
            }
        }
        self.client.perform_actions(actions).await.unwrap();
    }

    pub async fn key(&self, key: Key) {
        self.press(&[Press { key: key.into(), shift: false }]).await;
    }

    pub async fn type_in(&self, text: &str) {
        let keys: Vec<_> = text.chars().map(|key| Press { key, shift: false }).collect();
        self.press(&keys).await;
    }

    /// Presses the mouse on one element, moves it to another and lets go.
    pub async fn drag(&self, from: &str, to: &str) {
        let (from, to) =
            (self.client.find(Locator::Css(from)).await.unwrap(), self.client.find(Locator::Css(to)).await.unwrap());
        let moved = |element, milliseconds| PointerAction::MoveToElement {
            element,
            duration: Some(Duration::from_millis(milliseconds)),
            x: 0.0,
            y: 0.0,
        };
        let actions = MouseActions::new("mouse".into())
            .then(moved(from, 0))
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(moved(to, 150))
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Touches an element as a finger does.
    pub async fn tap(&self, selector: &str) {
        let place = "const {x, y, width, height} = document.querySelector(SELECTOR).getBoundingClientRect(); return [x + width / 2, y + height / 2]";
        let place = self.ask(&place.replace("SELECTOR", &format!("{selector:?}"))).await;
        let point = json!([{"x": place[0], "y": place[1]}]);
        self.cdp("Input.dispatchTouchEvent", &json!({"type": "touchStart", "touchPoints": point}));
        self.cdp("Input.dispatchTouchEvent", &json!({"type": "touchEnd", "touchPoints": []}));
    }

    /// Tells how many frames a second are drawn during a drag over the whole grid.
    pub async fn frames_while_dragging(&self) -> String {
        self.ask(DRAG_AND_COUNT).await;
        let frames = self.wait("the frames", "return window.frames_drawn").await;
        let frames = frames.as_array().unwrap().iter().map(|took| took.as_f64().unwrap());
        let mut frames: Vec<_> = frames.collect();
        frames.sort_by(f64::total_cmp);
        let rate = 1000.0 * frames.len() as f64 / frames.iter().sum::<f64>();
        let late = frames[frames.len() * 99 / 100];
        format!(
            "{rate:.1} frames a second, {late:.1} ms from one to the next at the 99th percentile of {}",
            frames.len()
        )
    }

    /// Presses Tab until the focus is on what `selector` names.
    pub async fn tab_to(&self, selector: &str) {
        for _ in 0..60 {
            if self.ask(&format!("return document.activeElement.matches({selector:?})")).await == json!(true) {
                return;
            }
            self.key(Key::Tab).await;
        }
        panic!("{selector} cannot be reached by Tab");
    }

    /// The console's entries since the last call, except those for answers with an error status.
    pub fn console(&self) -> Vec<String> {
        let entries = self.command("se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().unwrap().iter().filter(|entry| entry["source"] != "network");
        entries.map(ToString::to_string).collect()
    }

    /// The URLs of all requests since the last call.
    pub fn requests(&self) -> Vec<String> {
        self.sent().into_iter().map(|(_, url)| url).collect()
    }

    /// The method and the URL of each request since the last call.
    pub fn sent(&self) -> Vec<(String, String)> {
        let entries = self.command("se/log", &json!({"type": "performance"}));
        let messages = entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap());
        let messages = messages.map(|text| serde_json::from_str::<Value>(text).unwrap()["message"].clone());
        let requests = messages.filter(|message| message["method"] == "Network.requestWillBeSent");
        let text = |message: &Value, name: &str| message["params"]["request"][name].as_str().unwrap().to_owned();
        requests.map(|message| (text(&message, "method"), text(&message, "url"))).collect()
    }

    /// Fails if the console has any entry, or if a request went to another server than `server`. It is called once, at the end of
    /// a test.
    pub fn assert_clean(&self, server: &str) {
        assert_eq!(self.console(), [""; 0], "the console is silent");
        let requests = self.requests();
        let strange = requests.iter().filter(|url| !url.starts_with(server) && !url.starts_with("data:"));
        assert_eq!(strange.collect::<Vec<_>>(), [""; 0], "only {server} is asked");
        assert!(!requests.is_empty());
    }

    /// Waits until the last changes are drawn and nothing moves.
    pub async fn settle(&self) {
        let twice = "window.drawn = false; requestAnimationFrame(() => requestAnimationFrame(() => { window.drawn = true; })); return true";
        self.ask(twice).await;
        self.wait("nothing moves", "return window.drawn && !document.getAnimations().length").await;
    }

    /// How many sheets the page takes on paper of this size, with this margin on each side, in centimetres.
    pub fn sheets(&self, (width, height): (f64, f64), landscape: bool, margin: f64) -> usize {
        let orientation = if landscape { "landscape" } else { "portrait" };
        let margins = json!({"top": margin, "bottom": margin, "left": margin, "right": margin});
        let page = json!({"width": width, "height": height});
        let options = json!({"orientation": orientation, "page": page, "margin": margins, "background": true});
        let pdf = BASE64_STANDARD.decode(self.command("print", &options).as_str().unwrap()).unwrap();
        let pdf = String::from_utf8_lossy(&pdf);
        // Each page is an object of this type; `/Pages` is the list of them.
        pdf.split("/Type /Page").skip(1).filter(|rest| !rest.starts_with('s')).count()
    }

    /// Sets the browser's time zone.
    pub fn zone(&self, id: &str) {
        self.cdp("Emulation.setTimezoneOverride", &json!({"timezoneId": id}));
    }

    /// Sets the page's size, and whether the system's theme is dark.
    pub fn look(&self, width: u32, height: u32, dark: bool) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.cdp("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.cdp("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// Saves a picture of the page in the folder that `SCTEC_TEST_PICTURES` names, if it is set.
    pub async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("SCTEC_TEST_PICTURES").map(PathBuf::from) else { return };
        std::fs::create_dir_all(&folder).unwrap();
        self.settle().await;
        let taken = self.cdp("Page.captureScreenshot", &json!({"format": "webp", "quality": 80}));
        let picture = BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.webp")), picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session, which may have ended already.
        let _ = try_http("DELETE", &self.session, None);
        signal(self.chromedriver.id(), "TERM");
        let _ = self.chromedriver.wait();
    }
}

/// One press of a key, with or without Shift.
#[derive(Clone, Copy)]
pub struct Press {
    pub key: char,
    pub shift: bool,
}
