// What stands above the pictures, and the problems and settings in words.

let summary = run.summary;
let link = { state: run.live ? "opening" : "none", at: 0 };

function drawFigures() {
  const { counts, total } = summary;
  $("name").textContent = summary.name;
  document.title = `${summary.name}: ${count(counts.done)} of ${count(total)}`;
  const parts = GROUPS.map((group) => ({ group, n: countOf(counts, group) })).filter((part) => part.n);
  const troubled = parts.filter((part) => PROBLEMS.includes(part.group) && part.group.name !== "held");
  const busy = countOf(counts, RUNNING);
  const rows = [
    ["Done", count(counts.done), `of ${count(total)} jobs`],
    busy ? ["Running", count(busy), summary.done_per_minute ? `${summary.done_per_minute} done a minute` : "at the service or coming home"] : null,
    troubled.length ? ["Problems", count(sum(troubled.map((part) => part.n))), troubled.map(({ group, n }) => `${count(n)} ${group.name}`).join(", ")] : null,
    counts.held ? ["On hold", count(counts.held), summary.held.map((one) => one.model).join(", ")] : null,
    ["Spent", usd(summary.spent_usd), moneyRest()],
    ["Files", count(summary.file_count), bytes(summary.byte_count)],
    timeFigure(),
  ];
  fill($("figures"), rows.filter(Boolean).map(([name, value, rest]) => el("div", {}, el("dt", {}, name), el("dd", {}, value, rest ? el("small", {}, rest) : null))));
  fill($("bar"), parts.map(({ group, n }) => { const part = el("i", { class: group.look }); part.style.flex = `${n} 0 0`; return part; }));
  $("bar").setAttribute("aria-label", parts.map(({ group, n }) => `${count(n)} ${group.word.toLowerCase()}`).join(", ") || "no jobs yet");
}

function moneyRest() {
  const parts = [];
  if (summary.cap_usd !== null) parts.push(`of ${usd(summary.cap_usd)}`);
  if (summary.reserved_usd) parts.push(`${usd(summary.reserved_usd)} reserved`);
  return parts.join(", ") || (summary.counts.done ? `${usd(summary.spent_usd / summary.counts.done)} a job`.replace(/(\.\d\d\d\d)\d+/, "$1") : "");
}

function timeFigure() {
  if (!summary.started_at) return null;
  if (summary.eta_s) return ["Left", lasting(summary.eta_s), `since ${day(summary.started_at)}`];
  return ["Time", lasting(Math.max(0, (summary.last_change_at || summary.started_at) - summary.started_at)), `since ${day(summary.started_at)}`];
}

function drawStanding() {
  const now = Date.now() / 1000;
  const last = summary.last_change_at ? `last change ${day(summary.last_change_at)}` : "nothing was submitted yet";
  if (!run.live) {
    $("standing").textContent = `As of ${dated(summary.at)}; ${last}.`;
    return;
  }
  const lit = { live: "on", gone: "off" }[link.state] || "";
  const said = { opening: "Connecting …", live: "Live", gone: `Not connected: this is how it stood at ${clock(summary.at)}` }[link.state];
  const limited = summary.limited_until && summary.limited_until > now ? `, limited until ${clock(summary.limited_until)}` : "";
  const text = `${said}${limited}; ${last}.`;
  // Said anew only when it is new: a screen reader reads every change out.
  if ($("standing").dataset.text === text) return;
  $("standing").dataset.text = text;
  fill($("standing"), el("span", { class: `lamp ${lit}`, "aria-hidden": "true" }), text);
}

function drawProblems() {
  const told = [...summary.problems, ...summary.held.map((one) => ({ state: "held", said: `${one.model}: ${one.reason}`, example: `${one.remedy} (on hold since ${day(one.since_at)})`, count: one.jobs, why: one.reason, model: one.model }))];
  const groups = PROBLEMS.map((group) => ({ ...group, list: told.filter((problem) => groupOf(problem.state).name === group.name) })).filter((group) => group.list.length);
  if (!groups.length) return fill($("problems"), el("p", { class: "empty" }, "No job ended without its files."));
  fill($("problems"), groups.map((group) => el("section", {},
    el("h3", {}, dot(group.look), `${group.word}: ${count(countOf(summary.counts, group))}`),
    el("p", { class: "about" }, group.about),
    el("ul", {}, group.list.map((problem) => el("li", {},
      el("span", { class: "many" }, count(problem.count)),
      el("span", { class: "why" }, problem.said, el("small", {}, problem.count === 1 || problem.model ? problem.example : `${problem.example} and others`)),
      el("button", { type: "button", class: "quiet", "aria-label": `Show ${plural(problem.count, "job")}: ${problem.said}`, onclick: () => showWhy(problem) }, "Show"))) ),
    el("p", { class: "about" }, { unfetched: "To fetch them:", held: "Once that is done:" }[group.name] || "To put them back:"),
    el("code", { class: "command" }, group.option && group.name !== "unfetched" ? `batchgen retry ${shellWord(summary.typed)} ${group.option}` : "batchgen run MANIFEST"))));
}

const shellWord = (text) => (/^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

function showWhy(problem) {
  Object.assign(choice, { view: "pictures", q: "", model: problem.model || "", state: groupOf(problem.state).name, why: problem.why });
  drawAll();
  $("tab-pictures").focus();
}

function drawSettings() {
  const rows = summary.settings.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, typeof value === "string" ? value : JSON.stringify(value))));
  const models = Object.entries(summary.models).map(([model, n]) => el("tr", {}, el("th", { scope: "row" }, model), el("td", {}, plural(n, "job"))));
  fill($("settings"),
    el("h3", {}, "As the last run was set"),
    rows.length ? el("table", {}, el("tbody", {}, rows)) : el("p", {}, "The run was made by a version that did not write its settings down."),
    el("p", {}),
    el("h3", {}, "Models"),
    el("table", {}, el("tbody", {}, models)),
    el("p", {}, `Made by batchgen ${run.batchgen}. The full record is state.db and outputs/metadata.jsonl.`));
}
