// Making elements out of text, and words out of numbers. Nothing here ever parses markup.

const $ = (id) => document.getElementById(id);

/** An element with properties, data and children; texts become text nodes. */
function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name in made && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Put children into an element, in the place of what it held. */
function fill(target, ...children) {
  target.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** A block of JSON in the page by its name; null where it has not arrived. */
function block(name) {
  const holder = $(name);
  return holder ? JSON.parse(holder.textContent) : null;
}

const whole = new Intl.NumberFormat("en-US");
const count = (number) => whole.format(number);
const plural = (number, word, words = `${word}s`) => `${count(number)} ${number === 1 ? word : words}`;

/** Money: cents where cents tell, more digits where they are too coarse. */
function usd(value) {
  if (value === null || value === undefined) return "–";
  const cents = Math.abs(Math.round(value * 100) - value * 100) < 1e-6;
  return `$${cents || value >= 100 ? value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }) : value.toFixed(4)}`;
}

function bytes(number) {
  if (number < 1000) return `${number} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let size = number / 1000, unit = 0;
  while (size >= 999.5 && unit < units.length - 1) { size /= 1000; unit += 1; }
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** A duration: 0.4 s, 42 s, 3 min 05 s, 2 h 10 min; no line breaks inside. */
function lasting(seconds) {
  return spelled(seconds).replaceAll(" ", "\u00a0");
}

function spelled(seconds) {
  if (seconds < 10) return `${Number(seconds.toFixed(seconds < 1 ? 2 : 1))} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  const two = (number, unit) => (number ? ` ${String(number).padStart(2, "0")} ${unit}` : "");
  if (s < 3600) return `${Math.floor(s / 60)} min${two(s % 60, "s")}`;
  return `${Math.floor(s / 3600)} h${two(Math.floor((s % 3600) / 60), "min")}`;
}

const clockForm = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteForm = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dateForm = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayForm = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const datedForm = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" });
const dated = (at) => datedForm.format(new Date(at * 1000));
const clock = (at) => clockForm.format(new Date(at * 1000));
const day = (at) => dayForm.format(new Date(at * 1000));

/** What a state is called here, the colour class it has, and the group it is filtered by. */
const { states: STATES, groups: GROUPS } = block("job-states");
for (const group of GROUPS) group.states = Object.keys(STATES).filter((state) => STATES[state].group === group.name);
const groupOf = (state) => GROUPS.find((group) => group.name === STATES[state].group);
const RUNNING = GROUPS.find((group) => group.name === "running");
const isBusy = (state) => groupOf(state) === RUNNING;
/** Groups of jobs that ended without files: these alone have something said about them. */
const PROBLEMS = GROUPS.filter((group) => group.about);
const isProblem = (state) => PROBLEMS.includes(groupOf(state));
const countOf = (counts, group) => group.states.reduce((sum, state) => sum + counts[state], 0);

const dot = (look) => el("span", { class: `dot ${look}`, "aria-hidden": "true" });

/** Remembered in this browser, where that is allowed. */
const memory = {
  get(name) { try { return localStorage.getItem(`batchgen.${name}`); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(`batchgen.${name}`, value); } catch { /* not allowed here */ } },
};
