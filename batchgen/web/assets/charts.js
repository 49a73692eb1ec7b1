// Four charts by uPlot, each with a sentence that says what it shows and a table of its figures.

const plots = new Map();
let charts = run.charts;
const INKS = {
  light: ["#0b5f5b", "#b3541e", "#5b4aa8", "#8a6d00", "#a3326e", "#3a6ea5"],
  dark: ["#74c9c1", "#f0a36b", "#b3a6f2", "#d9bf57", "#eb92bd", "#8fbdf0"],
};

const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark";
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const inks = () => INKS[isDark() ? "dark" : "light"];
const short = (n) => (n >= 10000 ? `${Math.round(n / 1000)}k` : String(Number(n.toPrecision(6))));
const moments = () => Array.from({ length: charts.time.count }, (_, n) => charts.time.start_at + n * charts.time.step_s);
/** The edges of all steps: a stepped line needs the end of its last step as well. */
const edges = () => [...moments(), charts.time.start_at + charts.time.count * charts.time.step_s];
const ended = (values) => [...values, values.at(-1)];
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** What each chart is made of: its figures anew at every drawing. */
const CHARTS = [
  {
    name: "throughput", head: "Throughput",
    ready: () => charts.time && sum(charts.done) + sum(charts.not_done) > 0,
    told() {
      const rates = charts.done.map(perMinute);
      return `${plural(sum(charts.done), "job")} done; at best ${short(Math.max(...rates))} a minute, over ${lasting(charts.time.step_s)}.`;
    },
    series: () => [
      { label: "done a minute", stroke: colour("done"), fill: `${colour("done")}26`, value: rate },
      ...(sum(charts.not_done) ? [{ label: "without files", stroke: colour("failed"), fill: `${colour("failed")}26`, value: rate }] : []),
    ],
    data: () => [edges(), ended(charts.done.map(perMinute)), ...(sum(charts.not_done) ? [ended(charts.not_done.map(perMinute))] : [])],
    time: true, stepped: true, y: short,
    table: () => ({ head: ["From", "Done", "Without files"], rows: moments().map((at, n) => [day(at), charts.done[n], charts.not_done[n]]) }),
  },
  {
    name: "spend", head: "Spend",
    ready: () => charts.time && charts.spent.at(-1) > 0,
    told() {
      const cap = summary.cap_usd;
      return `${usd(charts.spent.at(-1))} spent${cap === null ? "; no cap was set" : `, ${Math.round((charts.spent.at(-1) / cap) * 100)} % of the cap of ${usd(cap)}`}.`;
    },
    series: () => [
      { label: "spent", stroke: colour("accent"), fill: `${colour("accent")}1f`, value: money },
      ...(summary.cap_usd === null ? [] : [{ label: "cap", stroke: colour("failed"), dash: [6, 5], value: money }]),
    ],
    data: () => [edges(), ended(charts.spent), ...(summary.cap_usd === null ? [] : [edges().map(() => summary.cap_usd)])],
    time: true, stepped: true, y: (n) => `$${short(n)}`,
    table: () => ({ head: ["Until", "Spent"], rows: moments().map((at, n) => [day(at + charts.time.step_s), usd(charts.spent[n])]) }),
  },
  {
    name: "latency", head: "Latency by model",
    ready: () => charts.latency.models.length > 0,
    told() {
      const [most] = charts.latency.models;
      return charts.latency.models.length === 1
        ? `Half of the requests took ${lasting(most.median_s)} or less, nine of ten ${lasting(most.p90_s)}.`
        : `${plural(charts.latency.models.length, "model")}; half of the requests to ${most.model} took ${lasting(most.median_s)} or less, nine of ten ${lasting(most.p90_s)}.`;
    },
    series: () => binned().map(({ model }, n) => ({ label: model, stroke: inks()[n], fill: `${inks()[n]}20`, value: (_, v) => (v === null || v === undefined ? "–" : `${short(v)} %`) })),
    data() {
      const models = binned();
      const length = Math.max(...models.map(({ bins }) => bins.length)) + 1;
      const seconds = Array.from({ length }, (_, n) => n * charts.latency.step_s);
      return [seconds, ...models.map(({ bins, count: of }) => seconds.map((_, n) => Number((((bins[n] || 0) / of) * 100).toFixed(2))))];
    },
    stepped: true, x: (n) => `${short(n)} s`, y: (n) => `${short(n)} %`, unit: "share of the model's requests",
    table: () => ({ head: ["Model", "Requests", "10 %", "Median", "90 %", "Longest"], rows: charts.latency.models.map((m) => [m.model, count(m.count), lasting(m.p10_s), lasting(m.median_s), lasting(m.p90_s), lasting(m.most_s)]) }),
  },
  {
    name: "polls", head: "Polls a job",
    ready: () => charts.polls.jobs > 0,
    told: () => `${short(charts.polls.mean)} polls a job on average, over ${plural(charts.polls.jobs, "job")}.`,
    series: () => [{ label: "jobs", stroke: colour("running"), fill: `${colour("running")}66`, value: (_, v) => (v === null ? "–" : count(v)) }],
    data: () => [charts.polls.counts.map((_, n) => n), charts.polls.counts],
    bars: true, x: (n) => (Number.isInteger(n) ? String(n) : ""), y: short,
    table: () => ({ head: ["Polls", "Jobs"], rows: charts.polls.counts.map((n, polls) => [polls, count(n)]) }),
  },
];

const perMinute = (n) => Number(((n * 60) / charts.time.step_s).toFixed(2));
const rate = (_, v) => (v === null || v === undefined ? "–" : short(v));
const money = (_, v) => (v === null || v === undefined ? "–" : usd(v));
const binned = () => charts.latency.models.filter(({ bins }) => bins.length);

function optionsOf(chart, width) {
  const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const paths = chart.bars ? uPlot.paths.bars({ size: [0.7, 64] }) : chart.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined;
  return {
    width, height: 240, padding: [12, 24, 0, 0],
    scales: { x: { time: Boolean(chart.time), ...(chart.bars ? { range: (_, from, to) => [from - 0.6, to + 0.6] } : {}) }, y: { range: (_, from, to) => [0, to > 0 ? to * 1.08 : 1] } },
    axes: [
      { ...axis, size: 34, grid: { show: false }, ...(chart.x ? { values: (_, ticks) => ticks.map(chart.x) } : { values: (_, ticks, axis, space, increment) => ticks.map((at) => (increment >= 86400 ? dateForm : increment >= 60 ? minuteForm : clockForm).format(new Date(at * 1000))) }), space: 70 },
      { ...axis, size: 58, values: (_, ticks) => ticks.map(chart.y) },
    ],
    series: [{ label: chart.time ? "from" : chart.bars ? "polls" : "from", value: (_, v) => (v === null || v === undefined ? "–" : chart.time ? clock(v) : chart.x(v)) }, ...chart.series().map((one) => ({ width: 1.5, points: { show: false }, paths, ...one }))],
    cursor: { drag: { x: true, y: false }, points: { size: 6 } },
    legend: { live: true },
  };
}

/** Draw the charts, where they are to be seen. `anew`: also what could stay, for other colours. */
function drawCharts({ anew = false } = {}) {
  if ($("panel-charts").hidden) return;
  if (!$("charts").firstChild) fill($("charts"), CHARTS.map(frameOf));
  for (const chart of CHARTS) drawChart(chart, anew);
}

function frameOf(chart) {
  const table = el("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": `${chart.head}: figures` });
  const details = el("details", { ontoggle: () => { if (details.open) fill(table, tableOf(chart)); } }, el("summary", {}, "Figures as a table"), table);
  return el("section", { class: "chart", id: `chart-${chart.name}` }, el("h3", {}, chart.head), el("p", { class: "told" }), el("div", { class: "plot", role: "img" }), details);
}

function drawChart(chart, anew) {
  const frame = $(`chart-${chart.name}`);
  const holder = frame.querySelector(".plot");
  const ready = chart.ready();
  const told = ready ? chart.told() : "Nothing to show yet.";
  frame.querySelector(".told").textContent = told;
  holder.setAttribute("aria-label", `${chart.head}. ${told}`);
  frame.querySelector("details").hidden = !ready;
  if (!ready) return;
  const table = frame.querySelector("details[open] .scroll");
  if (table) fill(table, tableOf(chart));
  const known = plots.get(chart.name);
  const data = chart.data();
  if (known && !anew && known.series.length === data.length) { known.setData(data); return; }
  if (known) known.destroy();
  plots.set(chart.name, new uPlot(optionsOf(chart, holder.clientWidth), data, holder));
}

function tableOf(chart) {
  const { head, rows } = chart.table();
  return el("table", {}, el("thead", {}, el("tr", {}, head.map((word) => el("th", { scope: "col" }, word)))),
    el("tbody", {}, rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, String(first)), rest.map((cell) => el("td", {}, String(cell)))))));
}

addEventListener("resize", () => {
  for (const [name, plot] of plots) {
    const holder = $(`chart-${name}`).querySelector(".plot");
    if (holder.clientWidth) plot.setSize({ width: holder.clientWidth, height: 240 });
  }
});
