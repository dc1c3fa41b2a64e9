// The theme: light, dark, or that of the system.

import { announce } from "./dialog.js";
import { at } from "./dom.js";
import { t } from "./i18n.js";
import { recall, remember } from "./prefs.js";

const THEMES = ["auto", "light", "dark"];

/// Shows the theme that was chosen, and gives its name.
export function showTheme() {
  const theme = THEMES.includes(recall("theme")) ? recall("theme") : "auto";
  document.documentElement.dataset.theme = theme;
  at("theme").setAttribute("aria-label", t(`theme.${theme}`));
  at("theme").title = t(`theme.${theme}`);
  return theme;
}

at("theme").addEventListener("click", () => {
  remember("theme", THEMES[(THEMES.indexOf(showTheme()) + 1) % THEMES.length]);
  announce(t(`theme.${showTheme()}`));
});
