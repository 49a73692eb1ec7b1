// The contact sheet: thousands of tiles, of which only those in sight exist.

const sheet = $("sheet");
const nodes = new Map();
const thumbnailBlocks = new Map();
const layout = { columns: 1, width: 0, height: 0, gap: 12, face: 0 };
let current = "";
let scheduled = false;
const OVERSCAN_PX = 700;

/** The address of a tile's thumbnail; empty where there is none (yet). */
function thumbnailOf(file) {
  if (!file) return "";
  if (run.live) return mediaOf(file)[1] === "thumbnail" ? `thumbnails/${pathOf(file.name)}?${(file.sha256 || "").slice(0, 12)}` : "";
  if (file.t === undefined) return "";
  const number = Math.floor(file.t / run.per_block);
  if (!thumbnailBlocks.has(number)) {
    const read = block(`thumbnails-${number}`);
    if (!read) return "";
    thumbnailBlocks.set(number, read);
  }
  const data = thumbnailBlocks.get(number)[file.t % run.per_block];
  return data ? `data:image/webp;base64,${data}` : "";
}

/** What a page calls a file, and how it shows it: a row of MEDIA, which stands before all scripts. */
const mediaOf = (file) => MEDIA[file.type] || ["File", "none"];
const pathOf = (name) => name.split("/").map(encodeURIComponent).join("/");
const extensionOf = (name) => (name.includes(".") ? name.slice(name.lastIndexOf(".") + 1) : "").toUpperCase();

function labelOf(tile) {
  const part = tile.of > 1 ? `, ${tile.index + 1} of ${tile.of}` : "";
  return `${tile.job.id}${part}, ${STATES[tile.job.state].word}`;
}

/** What a tile shows: a picture, words, or what kind of file it is. */
function faceOf(tile) {
  const { job, file } = tile;
  if (!file) {
    const busy = isBusy(job.state) ? " busy" : "";
    const told = isProblem(job.state) ? job.reason : promptOf(job);
    return el("span", { class: `face${busy}` }, el("span", { class: "words" }, el("b", {}, dot(STATES[job.state].look), STATES[job.state].word), told || ""));
  }
  const address = thumbnailOf(file);
  if (address) {
    const picture = el("img", { alt: "", decoding: "async", draggable: false, src: address });
    const face = el("span", { class: "face" }, picture);
    picture.addEventListener("error", () => face.replaceChildren(kindOf(file)));
    return face;
  }
  if (file.text) return el("span", { class: "face" }, el("span", { class: "words text" }, file.text.slice(0, 400)));
  return el("span", { class: "face" }, kindOf(file));
}

function kindOf(file) {
  const [kind] = mediaOf(file);
  return el("span", { class: "kind" }, extensionOf(file.name) || kind, el("small", {}, `${kind}, ${bytes(file.size || 0)}`));
}

function nodeOf(tile) {
  const several = tile.of > 1 ? ` · ${tile.index + 1}/${tile.of}` : "";
  const button = el("button", { type: "button", class: "tile", "aria-label": labelOf(tile), title: promptOf(tile.job).slice(0, 300) || false, tabIndex: -1 },
    faceOf(tile),
    el("span", { class: "name" }, tile.job.id + several),
    el("span", { class: "under" }, tile.job.model));
  button.addEventListener("click", () => openDetail(tile.id));
  button.addEventListener("focus", () => { setCurrent(tile.id); });
  const item = el("li", {}, button);
  item.tile = tile;
  return item;
}

function setCurrent(id) {
  const before = nodes.get(current);
  if (before) before.firstChild.tabIndex = -1;
  current = id;
  const after = nodes.get(current);
  if (after) after.firstChild.tabIndex = 0;
}

function measure() {
  const width = sheet.clientWidth;
  if (!width) return false;
  const narrow = width < 620;
  layout.gap = narrow ? 10 : 16;
  const least = narrow ? 104 : 168;
  layout.columns = Math.max(2, Math.floor((width + layout.gap) / (least + layout.gap)));
  layout.width = (width - layout.gap * (layout.columns - 1)) / layout.columns;
  layout.face = layout.width;
  layout.height = layout.face + 40;
  return true;
}

const rowHeight = () => layout.height + layout.gap;

/** Show the tiles in sight. `anew`: tiles were chosen or laid out anew; `fresh`: these arrived. */
function drawSheet({ anew = false, fresh = null } = {}) {
  if ($("panel-pictures").hidden || !measure()) return;
  const rows = Math.ceil(shown.length / layout.columns);
  sheet.style.height = `${Math.max(0, rows * rowHeight() - layout.gap)}px`;
  const top = sheet.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor((-top - OVERSCAN_PX) / rowHeight())) * layout.columns;
  const last = Math.min(shown.length, Math.ceil((innerHeight - top + OVERSCAN_PX) / rowHeight()) * layout.columns);
  const wanted = new Map();
  for (let n = first; n < last; n += 1) wanted.set(shown[n].id, n);
  keepFocused(wanted);
  for (const [id, node] of nodes) {
    const position = wanted.get(id);
    if (position === undefined) { node.remove(); nodes.delete(id); }
    else if (node.tile !== shown[position]) replaceNode(id, shown[position]);
  }
  let added = null;
  for (const [id, position] of wanted) {
    let node = nodes.get(id);
    if (!node) {
      node = nodeOf(shown[position]);
      if (fresh && fresh.has(id)) node.firstChild.classList.add("new");
      nodes.set(id, node);
      (added ||= document.createDocumentFragment()).append(node);
    }
    place(node, position);
  }
  if (added) sheet.append(added);
  if (!nodes.has(current) && shown.length) setCurrent(shown[Math.min(first, shown.length - 1)].id);
  else if (nodes.has(current)) nodes.get(current).firstChild.tabIndex = 0;
  if (anew) orderNodes(wanted);
}

/** The tile with the focus stays, wherever it is: else the keyboard would lose its place. */
function keepFocused(wanted) {
  const holder = document.activeElement && document.activeElement.closest ? document.activeElement.closest("#sheet li") : null;
  if (!holder || wanted.has(holder.tile.id)) return;
  const position = shown.findIndex((tile) => tile.id === holder.tile.id);
  if (position >= 0) wanted.set(holder.tile.id, position);
}

function replaceNode(id, tile) {
  const before = nodes.get(id);
  const node = nodeOf(tile);
  const focused = before.contains(document.activeElement);
  if (before.tile.job.state !== "done" && tile.job.state === "done") node.firstChild.classList.add("new");
  before.replaceWith(node);
  nodes.set(id, node);
  if (focused) node.firstChild.focus({ preventScroll: true });
}

function place(node, position) {
  const x = (position % layout.columns) * (layout.width + layout.gap);
  const y = Math.floor(position / layout.columns) * rowHeight();
  node.style.width = `${layout.width}px`;
  node.style.height = `${layout.height}px`;
  node.style.transform = `translate(${x}px, ${y}px)`;
  node.setAttribute("aria-posinset", position + 1);
  node.setAttribute("aria-setsize", shown.length);
}

/** The order in which a screen reader meets them. */
function orderNodes(wanted) {
  const order = [...wanted].sort((a, b) => a[1] - b[1]).map(([id]) => nodes.get(id));
  let at = sheet.firstChild;
  for (const node of order) {
    if (node === at) at = at.nextSibling;
    else if (!node.contains(document.activeElement)) sheet.insertBefore(node, at);
  }
}

function drawSoon() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; drawSheet(); });
}

/** Bring a tile into sight, and the focus to it. */
function goTo(position, { focus = true } = {}) {
  const y = Math.floor(position / layout.columns) * rowHeight();
  const top = sheet.getBoundingClientRect().top + y;
  const bar = $("panel-pictures").querySelector(".filters").getBoundingClientRect().height + 8;
  if (top < bar) scrollBy(0, top - bar);
  else if (top + layout.height > innerHeight) scrollBy(0, top + layout.height - innerHeight + 12);
  setCurrent(shown[position].id);
  drawSheet();
  if (focus) nodes.get(current).firstChild.focus({ preventScroll: true });
}

/** The tile at the upper edge, and how far from it: to find the place again after a change. */
function anchor() {
  const top = sheet.getBoundingClientRect().top;
  if (top >= 0 || !shown.length) return null;
  const position = Math.min(shown.length - 1, Math.floor(-top / rowHeight()) * layout.columns);
  return { id: shown[position].id, off: top + Math.floor(position / layout.columns) * rowHeight() };
}

function returnTo(place) {
  const position = place ? shown.findIndex((tile) => tile.id === place.id) : -1;
  if (position < 0) return;
  const off = sheet.getBoundingClientRect().top + Math.floor(position / layout.columns) * rowHeight();
  if (Math.abs(off - place.off) > 1) scrollBy(0, off - place.off);
}

sheet.addEventListener("keydown", (event) => {
  const position = shown.findIndex((tile) => tile.id === current);
  if (position < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const page = Math.max(1, Math.floor(innerHeight / rowHeight()) - 1) * layout.columns;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: layout.columns, ArrowUp: -layout.columns, PageDown: page, PageUp: -page, Home: -shown.length, End: shown.length };
  if (!(event.key in steps)) return;
  event.preventDefault();
  goTo(Math.min(shown.length - 1, Math.max(0, position + steps[event.key])));
});
addEventListener("scroll", drawSoon, { passive: true });
addEventListener("resize", drawSoon);
