// What loadmux does in Locust's page: see verdict.py. Locust's own script draws the page with React;
// nothing here changes what React has made, but for the order of the tabs and the text below Host.
// What we show hangs in a shadow tree behind the rest, so that neither's style reaches the other's.

const LOOK_EVERY = 2000; // ms, as often as Locust's page asks for its figures
const TITLE = "Verdict";

const panel = document.createElement("section");
panel.id = "loadmux-verdict";
const tree = panel.attachShadow({ mode: "open" });
let state = null;
let shown = null;

const tab = () =>
  [...document.querySelectorAll("[role=tab]")].find((one) => one.textContent.trim() === TITLE);

const chosen = () => tab()?.getAttribute("aria-selected") === "true";

/** Locust remembers the theme in more than one place; what it looks like is one. */
function dark() {
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
  return red + green + blue < 384;
}

function place() {
  const own = tab();
  if (!own) return;
  if (own.style.order !== "-1") {
    own.style.order = "-1";
    window.dispatchEvent(new Event("resize")); // the line below the chosen tab finds its place again
  }
  panel.classList.toggle("dark", dark());
  const around = own.closest(".MuiContainer-root") ?? own.closest("main");
  if (panel.parentNode !== around) around.append(panel);
  const begins = chosen() && panel.hidden;
  panel.hidden = !chosen();
  if (begins) look();
}

function fill(html) {
  if (html === shown) return;
  const texts = (one) => one.querySelector("summary").textContent.split(",")[0];
  const before = new Map([...tree.querySelectorAll("details")].map((one) => [texts(one), one.open]));
  tree.innerHTML = shown = html;
  for (const one of tree.querySelectorAll("details")) one.open = before.get(texts(one)) ?? one.open;
}

function nameTarget(target) {
  if (!target) return;
  for (const label of document.querySelectorAll("header p, .MuiDrawer-root p")) {
    const value = label.textContent === "Host" ? label.nextElementSibling : null;
    if (value && value.textContent !== target) {
      value.textContent = target;
      value.setAttribute("aria-label", target);
    }
  }
}

function hear(told) {
  const ended = told.state === "stopped" && state !== "stopped";
  const watched = state !== null || !new URLSearchParams(location.search).has("tab");
  state = told.state;
  nameTarget(told.target);
  if (told.panel) fill(told.panel);
  if (ended && watched) {
    if (chosen()) look();
    else tab()?.click();
  }
}

async function look() {
  try {
    const answer = await fetch(`./loadmux/verdict${chosen() ? "?panel" : ""}`);
    if (answer.ok) hear(await answer.json());
  } catch {
    // Nobody answers any more, or somebody has to log in first: Locust's own requests show it.
  }
}

panel.hidden = true;
new MutationObserver(place).observe(document.body, {
  subtree: true,
  childList: true,
  attributeFilter: ["aria-selected"],
});
setInterval(() => document.hidden || look(), LOOK_EVERY);
look();
