// Small helpers over the document. Whatever comes from the graph goes in as text, never as markup.

/** JSON has no NaN and no infinities: they come as text. */
const number = (x) => (typeof x === "number" ? x : { nan: NaN, inf: Infinity, "-inf": -Infinity }[x]);

const byId = (id) => document.getElementById(id);

/** An element with attributes, properties that begin with "on", and children: elements or text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Light or dark: what the system prefers, until the button is pressed. */
function listenToTheme(button, changed) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const set = (theme) => {
    document.documentElement.dataset.theme = theme;
    changed();
  };
  set(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => set(dark.matches ? "dark" : "light"));
  button.addEventListener("click", () => set(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
}

/** The button that plays is the one that pauses. */
function showPlaying(isOn) {
  byId("play").querySelector("path").setAttribute("d", isOn ? "M4 2h4v12H4z M12 2h4v12h-4z" : "M5 1.5v13L17 8z");
  byId("play").setAttribute("aria-label", isOn ? "Pause" : "Play");
}

/** Whether keys belong to the element that has the focus. */
function takesKeys(element) {
  return element.matches("input:not([type=range]):not([type=checkbox]), select, textarea") || element.closest("dialog[open]") !== null;
}
