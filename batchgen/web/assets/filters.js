// All jobs as tiles, which of them are shown, and in which order. What is chosen stands in the
// address, so that it survives a reload and can be passed on.

const run = block("run");
const jobs = new Map();
let tiles = new Map();
let shown = [];
const choice = { view: "pictures", q: "", model: "", state: "", why: "", order: run.live ? "newest" : "listed", open: "" };
const usual = { ...choice };

const ORDERS = {
  listed: { word: "Manifest order", by: (a, b) => a.job.key - b.job.key || a.index - b.index },
  newest: { word: "Newest first", by: (a, b) => newness(b) - newness(a) || a.job.key - b.job.key || a.index - b.index },
  slowest: { word: "Slowest first", by: (a, b) => (b.job.total_s || 0) - (a.job.total_s || 0) || a.job.key - b.job.key },
  dearest: { word: "Dearest first", by: (a, b) => (b.job.cost || 0) - (a.job.cost || 0) || a.job.key - b.job.key },
};
const newness = (tile) => (groupOf(tile.job.state).name === "pending" || tile.job.state === "held" ? -1 : tile.job.changed_at || 0);

/** The tiles of a job: one for each of its files, or one that tells where it stands. */
function tilesOf(job) {
  const files = job.files && job.files.length ? job.files : [null];
  return files.map((file, n) => ({ id: `${job.key}.${file ? file.i : 0}`, job, file, index: n, of: files.length }));
}

/** Pending jobs of a model that takes none are on hold: the summary says which models these are. */
function hold(job) {
  if (job.state !== "pending" && job.state !== "held") return;
  const held = summary.held.find((one) => one.model === job.model);
  const reason = held ? `${held.reason}; ${held.remedy}` : undefined;
  if ((job.state === "held") === Boolean(held) && (!held || job.reason === reason)) return;
  Object.assign(job, held ? { state: "held", reason, why: held.reason } : { state: "pending", reason, why: undefined });
  for (const tile of tilesOf(job)) tiles.set(tile.id, tile);
}

/** Take in jobs, new ones and ones that changed; the ids of their tiles. */
function takeIn(rows) {
  const touched = new Set();
  for (const job of rows) {
    const before = jobs.get(job.key);
    if (before) for (const tile of tilesOf(before)) tiles.delete(tile.id);
    jobs.set(job.key, job);
    for (const tile of tilesOf(job)) { tiles.set(tile.id, tile); touched.add(tile.id); }
    hold(job);
  }
  return touched;
}

const promptOf = (job) => (job.by && job.params ? String(job.params[job.by]) : "");

function wordsOf(tile) {
  if (tile.words === undefined) {
    const { job, file } = tile;
    tile.words = [job.id, promptOf(job), file ? file.name : "", job.request_id || "", job.reason || "", file && file.text ? file.text : ""].join("\n").toLowerCase();
  }
  return tile.words;
}

/** Choose the tiles anew. */
function sift() {
  const wanted = choice.q.toLowerCase().split(/\s+/).filter(Boolean);
  shown = [];
  for (const tile of tiles.values()) {
    const { job } = tile;
    if (choice.model && job.model !== choice.model) continue;
    if (choice.state && groupOf(job.state).name !== choice.state) continue;
    if (choice.why && job.why !== choice.why) continue;
    if (wanted.length && !wanted.every((word) => wordsOf(tile).includes(word))) continue;
    shown.push(tile);
  }
  shown.sort(ORDERS[choice.order].by);
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(choice)) choice[name] = given.get(name) ?? usual[name];
  if (!ORDERS[choice.order]) choice.order = usual.order;
  if (!$(`panel-${choice.view}`)) choice.view = usual.view;
}

function writeAddress() {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(choice)) if (value !== usual[name]) given.set(name, value);
  const text = given.toString();
  // A file's address may be refused; the page works all the same.
  try { history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search); } catch { location.hash = text; }
}
