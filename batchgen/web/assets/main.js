// The page put together: what is chosen, what is drawn, and what arrives while it is open.

const VIEWS = ["pictures", "charts", "problems", "settings"];

function drawAll() {
  sift();
  drawChoice();
  drawView();
  writeAddress();
  say(`${plural(shown.length, "result")} shown`);
}

/** Said aloud by screen readers: what somebody asked for, never what only arrived. */
function say(text) {
  if ($("said").textContent !== text) $("said").textContent = text;
}

function drawChoice() {
  if ($("find").value !== choice.q) $("find").value = choice.q;
  const models = Object.entries(summary.models);
  fill($("model"), el("option", { value: "" }, `All models (${count(models.length)})`), models.map(([model, n]) => el("option", { value: model }, `${model} (${count(n)})`)));
  $("model").value = choice.model;
  $("model").parentElement.hidden = models.length < 2;
  if (!$("order").firstChild) fill($("order"), Object.entries(ORDERS).map(([name, { word }]) => el("option", { value: name }, word)));
  $("order").value = choice.order;
  drawChips();
  const all = tiles.size === shown.length;
  const rest = summary.total > jobs.size ? ` The page holds the newest ${count(jobs.size)} of ${plural(summary.total, "job")}.` : "";
  const filtered = choice.q || choice.model || choice.state || choice.why;
  fill($("shown"), all ? `${plural(shown.length, "result")}.${rest}` : `${count(shown.length)} of ${plural(tiles.size, "result")}.${rest}`,
    choice.why ? ` Reason: ${choice.why}` : "",
    filtered ? el("button", { type: "button", onclick: () => { Object.assign(choice, { q: "", model: "", state: "", why: "" }); drawAll(); $("find").focus(); } }, "Show all") : null);
}

/** The chips keep their elements: the focus stays where it is while figures change. */
function drawChips() {
  const groups = [{ name: "", word: "All", n: summary.total }, ...GROUPS.map((group) => ({ ...group, n: countOf(summary.counts, group) })).filter((group) => group.n || group.name === choice.state)];
  const held = new Map([...$("states").children].map((chip) => [chip.dataset.name, chip]));
  const chips = groups.map((group) => {
    let chip = held.get(group.name);
    if (!chip) {
      chip = el("button", { type: "button", class: "chip", onclick: () => { choice.state = choice.state === group.name ? "" : group.name; choice.why = ""; drawAll(); } }, group.look ? dot(group.look) : null, group.word, el("span", { class: "count" }));
      chip.dataset.name = group.name;
    }
    chip.lastChild.textContent = count(group.n);
    chip.setAttribute("aria-pressed", String(choice.state === group.name));
    return chip;
  });
  if (chips.length !== held.size || chips.some((chip) => !chip.isConnected)) fill($("states"), chips);
}

function drawView() {
  for (const view of VIEWS) {
    const on = view === choice.view;
    $(`tab-${view}`).setAttribute("aria-selected", String(on));
    $(`tab-${view}`).tabIndex = on ? 0 : -1;
    $(`panel-${view}`).hidden = !on;
  }
  drawTabs();
  drawSheet({ anew: true });
  drawEmpty();
  drawCharts();
  if (choice.view === "problems") drawProblems();
  if (choice.view === "settings") drawSettings();
}

function drawTabs() {
  const problems = sum(PROBLEMS.map((group) => countOf(summary.counts, group)));
  fill($("tab-problems"), "Problems", problems ? el("span", { class: "count" }, count(problems)) : null);
  fill($("tab-pictures"), "Results", el("span", { class: "count" }, count(summary.total)));
}

function drawEmpty() {
  let note = $("nothing");
  if (shown.length) { if (note) note.remove(); return; }
  if (!note) { note = el("p", { class: "empty", id: "nothing" }); sheet.after(note); }
  note.textContent = tiles.size ? "Nothing is like that. Try fewer words, or another state." : "No job is here yet.";
}

function show(view) {
  choice.view = view;
  writeAddress();
  drawView();
}

for (const [n, view] of VIEWS.entries()) {
  $(`tab-${view}`).addEventListener("click", () => show(view));
  $(`tab-${view}`).addEventListener("keydown", (event) => {
    const next = { ArrowRight: n + 1, ArrowLeft: n - 1, Home: 0, End: VIEWS.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const other = VIEWS[(next + VIEWS.length) % VIEWS.length];
    show(other);
    $(`tab-${other}`).focus();
  });
}
$("find").addEventListener("input", () => { choice.q = $("find").value; drawAll(); });
$("model").addEventListener("change", () => { choice.model = $("model").value; drawAll(); });
$("order").addEventListener("change", () => { choice.order = $("order").value; drawAll(); });
addEventListener("hashchange", () => {
  readAddress();
  drawAll();
  if (choice.open) openDetail(choice.open);
  else detail.close();
});
addEventListener("keydown", (event) => {
  const typing = event.target.closest && event.target.closest("input, select, textarea");
  if (event.key === "/" && !typing && !detail.open && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    if (choice.view !== "pictures") show("pictures");
    $("find").focus();
  }
});

// Light and dark: as the system has it, until the button is pressed

function drawTheme() {
  $("theme").textContent = isDark() ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  drawTheme();
  drawCharts({ anew: true });
}

$("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  memory.set("theme", theme);
  setTheme(theme);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme());

// Live: what moved since this page was made, in one stream

/** Take in what moved; the place on the page, the focus and what is chosen stay. */
function takeNews(news) {
  if (news.summary) summary = news.summary;
  if (news.charts) charts = news.charts;
  const place = anchor();
  const fresh = takeIn(news.jobs || []);
  if (news.summary) for (const job of jobs.values()) hold(job);
  sift();
  drawChoice();
  drawTabs();
  drawFigures();
  drawStanding();
  drawSheet({ anew: true, fresh });
  drawEmpty();
  returnTo(place);
  if (news.charts) drawCharts();
  if (choice.view === "problems") drawProblems();
  refreshDetail();
}

function listen() {
  let stream = null;
  let since = run.since;
  const open = () => {
    stream = new EventSource(`events?since=${encodeURIComponent(since)}`);
    stream.addEventListener("open", () => setLink("live"));
    stream.addEventListener("news", (event) => { since = event.lastEventId; setLink("live"); takeNews(JSON.parse(event.data)); });
    // The server began anew: it knows nothing of what this page has seen.
    stream.addEventListener("reset", () => location.reload());
    stream.addEventListener("error", () => {
      setLink("gone");
      if (stream.readyState === EventSource.CLOSED) setTimeout(open, 5000);
    });
  };
  open();
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
}

function setLink(state) {
  if (link.state !== state && state === "gone") say("The connection was lost");
  link = { state, at: Date.now() / 1000 };
  drawStanding();
}

for (let n = 0, rows; (rows = block(`jobs-${n}`)); n += 1) takeIn(rows);
readAddress();
setTheme(memory.get("theme"));
drawFigures();
drawStanding();
drawAll();
if (choice.open) { const wanted = choice.open; choice.open = ""; openDetail(wanted); }
// Thumbnails stand behind this script; those that had not arrived are drawn now.
addEventListener("DOMContentLoaded", () => {
  for (const node of nodes.values()) node.remove();
  nodes.clear();
  drawSheet({ anew: true });
});
if (run.live) listen();
