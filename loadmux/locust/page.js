// What loadmux does in Locust's page: see verdict.py and form.py. Locust's own script draws the page
// with React; nothing here takes apart what React has made: it moves tabs and fields, and writes.
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

/** What a person would type: React has to hear of it. */
function write(field, text) {
  if (!field) return;
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Have users, rate and run time be those of a scenario; `chosen`: somebody has just chosen it. */
async function follow(form, name, chosen) {
  const answer = await fetch(`./loadmux/scenario?name=${encodeURIComponent(name)}`);
  const told = answer.ok ? await answer.json() : { problem: answer.statusText };
  if (told.problem || form.elements.scenario?.value !== name) return;
  const { userCount, spawnRate, runTime, target } = form.elements;
  if (chosen || told.phases || !told.kept) {
    write(userCount, told.users);
    write(spawnRate, told.spawn_rate);
    write(runTime, told.run_time);
  }
  for (const field of [userCount, spawnRate, runTime]) {
    if (!field) continue;
    field.readOnly = told.phases;
    field.title = told.phases ? "The scenario's phases say so" : "";
  }
  if (target?.options) target.options[0].textContent = `${target.options[0].value}: ${told.target}`;
}

/** Ours first and open, in a form that starts a test: one that edits it has no Host. */
function arrange() {
  for (const list of document.querySelectorAll("form select[name=scenario]")) {
    const form = list.closest("form");
    if (form.dataset.loadmux !== undefined || !form.elements.host) continue;
    form.dataset.loadmux = "";
    const own = list.closest(".MuiAccordion-root");
    const summary = own.querySelector(".MuiAccordionSummary-root");
    own.style.order = "-1";
    for (const [place, name] of ["target", "scenario"].entries()) {
      const field = form.elements[name]?.closest(".MuiFormControl-root");
      if (field) field.style.order = -1 - place;
    }
    summary.querySelector("p").textContent = "Scenario and target";
    if (summary.getAttribute("aria-expanded") === "false") summary.click();
    list.addEventListener("change", () => follow(form, list.value, true));
    follow(form, list.value, false);
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
arrange();
new MutationObserver(() => {
  place();
  arrange();
}).observe(document.body, {
  subtree: true,
  childList: true,
  attributeFilter: ["aria-selected"],
});
setInterval(() => document.hidden || look(), LOOK_EVERY);
look();
