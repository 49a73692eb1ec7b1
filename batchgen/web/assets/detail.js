// One job at full size, with everything that is known of it.

const detail = $("detail");
let opened = null;

function openDetail(id) {
  const tile = tiles.get(id);
  if (!tile) return;
  choice.open = id;
  writeAddress();
  drawDetail(tile);
  if (!detail.open) { detail.showModal(); $("later").focus(); }
}

/** Draw the open job again if it changed meanwhile. */
function refreshDetail() {
  if (!detail.open) return;
  const tile = tiles.get(choice.open);
  if (tile && tile !== opened) drawDetail(tile);
  else drawPosition();
}

function drawDetail(tile) {
  const sameFile = opened && opened.id === tile.id && JSON.stringify(opened.file) === JSON.stringify(tile.file) && opened.job.state === tile.job.state;
  if (!opened || opened.id !== tile.id) { detail.scrollTop = 0; $("panel").scrollTop = 0; }
  opened = tile;
  const { job } = tile;
  $("detail-id").textContent = job.id;
  fill($("detail-state"), dot(STATES[job.state].look), STATES[job.state].word, tile.of > 1 ? ` · output ${tile.index + 1} of ${tile.of}` : "");
  if (!sameFile) fill($("stage"), stageOf(tile));
  fill($("facts"), factsOf(tile));
  drawPosition();
}

function drawPosition() {
  const position = shown.findIndex((tile) => tile.id === choice.open);
  $("position").textContent = position < 0 ? "not among the shown" : `${count(position + 1)} of ${count(shown.length)}`;
  $("earlier").disabled = position <= 0;
  $("later").disabled = position < 0 || position >= shown.length - 1;
}

/** Where the whole file is: beside the page, inside it, or nowhere. */
function originalOf(file) {
  if (run.live || run.links) return `${run.links}${pathOf(file.name)}`;
  const embedded = file.o === undefined ? null : $(`original-${file.o}`);
  return embedded ? `data:${file.type || "application/octet-stream"};base64,${JSON.parse(embedded.textContent)}` : "";
}

function stageOf(tile) {
  const { job, file } = tile;
  if (!file) {
    const told = isProblem(job.state) ? job.reason : { pending: "It waits to be submitted." }[groupOf(job.state).name];
    return message(STATES[job.state].word, told || "Its files come here as soon as they are whole.");
  }
  if (file.text) return el("pre", { tabIndex: 0, "aria-label": "The text" }, file.text);
  const original = originalOf(file);
  const [kind, preview] = mediaOf(file);
  if (["thumbnail", "picture", "drawing"].includes(preview)) return original ? pictureOf(tile, original) : smallOf(tile, "The report holds thumbnails only.");
  if (!original) return message(extensionOf(file.name), "The file is not in this page.");
  if (preview === "film") return el("video", { src: original, controls: true, preload: "metadata", "aria-label": job.id });
  if (preview === "sound") return el("audio", { src: original, controls: true, preload: "metadata", "aria-label": job.id });
  return message(extensionOf(file.name), `${kind}, ${bytes(file.size || 0)}. No browser shows it; open it from the outputs.`);
}

function pictureOf(tile, original) {
  const picture = el("img", { alt: promptOf(tile.job).slice(0, 200) || tile.job.id, src: original, decoding: "async" });
  if (tile.file.w && tile.file.h) { picture.width = tile.file.w; picture.height = tile.file.h; picture.style.width = "auto"; picture.style.height = "auto"; }
  picture.addEventListener("error", () => {
    if (opened && opened.id === tile.id) fill($("stage"), smallOf(tile, "The file itself cannot be read from here; this is its thumbnail."));
  });
  return picture;
}

function smallOf(tile, said) {
  const address = thumbnailOf(tile.file);
  if (!address) return message(extensionOf(tile.file.name), said);
  return el("figure", {}, el("img", { class: "small", alt: promptOf(tile.job).slice(0, 200) || tile.job.id, src: address }), el("figcaption", {}, said));
}

const message = (head, said) => el("p", { class: "message" }, el("b", {}, head), said);

function factsOf(tile) {
  const { job, file } = tile;
  const parts = [];
  if (promptOf(job)) parts.push(el("h3", {}, "Prompt"), el("p", { class: "prompt", dir: "auto" }, promptOf(job)));
  if (job.reason) parts.push(el("h3", {}, "Reason"), el("p", { class: "reason", dir: "auto" }, job.reason));
  const request = [
    ["Model", job.model],
    ["Seed", job.seed],
    ["Cost", job.cost !== undefined ? usd(job.cost) : job.price !== undefined ? `${usd(job.price)} expected` : null],
    ["Submitted", job.sent_at ? day(job.sent_at) : null],
    [job.state === "done" ? "Here since" : "Last change", job.changed_at ? day(job.changed_at) : null],
    ["Took", job.total_s ? lasting(job.total_s) : null],
    ["Queue", job.queue_s ? lasting(job.queue_s) : null],
    ["Inference", job.inference_s ? lasting(job.inference_s) : null],
    ["Attempts", job.attempts], ["Polls", job.polls],
    ["request_id", job.request_id ? el("span", { class: "mono" }, job.request_id) : null],
  ];
  parts.push(el("h3", {}, "Request"), pairs(request));
  const others = Object.entries(job.params || {}).filter(([name]) => name !== job.by);
  if (others.length) parts.push(el("h3", {}, "Parameters"), pairs(others.map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value, null, 1)])));
  if (file) parts.push(el("h3", {}, "File"), pairs(fileFacts(file)));
  return parts;
}

function fileFacts(file) {
  const original = run.embedded ? "" : originalOf(file);
  return [
    ["Name", original ? el("a", { href: original, target: "_blank", rel: "noopener" }, file.name) : file.name],
    ["Size", [file.w && file.h ? `${file.w} × ${file.h}` : "", file.size ? bytes(file.size) : ""].filter(Boolean).join(", ") || null],
    ["Type", file.type],
    ["SHA-256", file.sha256 ? el("span", { class: "mono" }, file.sha256) : null],
  ];
}

function pairs(rows) {
  const told = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "pairs" }, told.flatMap(([name, value]) => [el("dt", {}, name), el("dd", { dir: "auto" }, value instanceof Node ? value : String(value))]));
}

function step(by) {
  const position = shown.findIndex((tile) => tile.id === choice.open);
  const next = position < 0 ? 0 : position + by;
  if (next >= 0 && next < shown.length && next !== position) openDetail(shown[next].id);
}

$("earlier").addEventListener("click", () => step(-1));
$("later").addEventListener("click", () => step(1));
$("close").addEventListener("click", () => detail.close());
detail.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("video, audio")) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) { event.preventDefault(); step(by); }
});
detail.addEventListener("close", () => {
  const position = shown.findIndex((tile) => tile.id === choice.open);
  choice.open = "";
  opened = null;
  fill($("stage"));
  writeAddress();
  if (position >= 0 && !$("panel-pictures").hidden) goTo(position);
});
