"use strict";
// The page works without this script. It adds a filter, buttons that copy links, and uploads where the page offers them.
// Names are only ever set as text: the page's policy forbids everything that reads markup.
const byId = (id) => document.getElementById(id);
const said = byId("said");

function make(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function button(text, action) {
  const made = make("button", { type: "button", textContent: text });
  made.addEventListener("click", action);
  return made;
}

// Filter: every word that is typed must be in the name.
const filter = byId("filter");
const folded = (text) => text.normalize("NFKC").toLowerCase();

function applyFilter() {
  const words = folded(filter.value).split(/\s+/).filter(Boolean);
  const rows = byId("list").querySelectorAll("tr.d, tr.f");
  let shown = 0;
  for (const row of rows) {
    const name = folded(row.querySelector("bdi").textContent);
    row.hidden = !words.every((word) => name.includes(word));
    if (!row.hidden) shown += 1;
  }
  byId("matches").textContent = words.length ? `${shown} of ${rows.length}` : "";
}

// Links: browsers offer the clipboard to scripts only over TLS and on this machine. Elsewhere the older command mostly works.
async function copy(link) {
  const url = new URL(link.href);
  const text = url.origin + url.pathname;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = make("input", { value: text, readOnly: true, ariaLabel: "Link" });
    said.replaceChildren(field);
    field.select();
    if (!document.execCommand("copy")) return;
  }
  said.textContent = "Link copied.";
  setTimeout(() => said.replaceChildren(), 3000);
}

function addButtons() {
  const list = byId("list");
  list.querySelector("thead tr")?.append(make("th", { className: "c" }, make("span", { textContent: "Link" })));
  for (const row of list.querySelectorAll("tbody tr")) {
    const cell = row.appendChild(make("td", { className: "c" }));
    const link = row.querySelector("a");
    if (!link || row.className === "u") continue;
    const made = button("", () => copy(link));
    made.title = "Copy link";
    made.ariaLabel = `Copy link to ${link.textContent}`;
    cell.append(made);
  }
}

function decorate() {
  addButtons();
  filter.hidden = !byId("list").querySelector("tr.d, tr.f");
  applyFilter();
}

// Uploads.
const atOnce = 2;
const most = 1000;
const waiting = [];
let running = 0;
let isListOld = false;

function show(task, state, text, actions) {
  task.row.className = state;
  task.text.textContent = text;
  task.actions.replaceChildren(...actions.map(([name, action]) => button(name, action)));
}

function add(file, path) {
  if (waiting.length >= most) {
    said.textContent = `Up to ${most} files can wait. Use an S3 client for more.`;
    return;
  }
  const task = { file, path, replaces: false, request: null };
  task.bar = make("progress", { max: 1, value: 0, ariaLabel: `Upload of ${path}` });
  task.text = make("span", { className: "state" });
  task.actions = make("span", { className: "actions" });
  task.row = make("li", {}, make("bdi", { textContent: path }), task.bar, task.text, task.actions);
  byId("files").append(task.row);
  enqueue(task);
}

function enqueue(task) {
  task.bar.value = 0;
  waiting.push(task);
  show(task, "waiting", "waiting", [["Cancel", () => {
    waiting.splice(waiting.indexOf(task), 1);
    stop(task, "cancelled");
    next();
  }]]);
  next();
}

function stop(task, why) {
  show(task, "stopped", why, [["Retry", () => enqueue(task)], ["Dismiss", () => task.row.remove()]]);
}

function next() {
  while (running < atOnce && waiting.length) start(waiting.shift());
  if (!running && isListOld) refresh();
}

function start(task) {
  const request = new XMLHttpRequest();
  try {
    const name = task.path.split("/").map(encodeURIComponent).join("/");
    request.open("PUT", location.origin + location.pathname + name);
  } catch {
    return stop(task, "the name is not valid Unicode");
  }
  running += 1;
  request.setRequestHeader("Accept", "application/json");
  // The store refuses to replace an object by accident, even one that this page does not show yet.
  if (!task.replaces) request.setRequestHeader("If-None-Match", "*");
  request.upload.onprogress = ({ loaded, total }) => {
    if (!total) return;
    task.bar.value = loaded / total;
    task.text.textContent = loaded < total ? `${Math.floor(100 * loaded / total)} %` : "being stored";
  };
  request.onload = () => finish(task, request);
  request.onerror = () => stop(task, "the connection failed");
  request.onabort = () => stop(task, "cancelled");
  request.onloadend = () => {
    running -= 1;
    next();
  };
  show(task, "running", "0 %", [["Cancel", () => request.abort()]]);
  request.send(task.file);
}

function finish(task, request) {
  if (request.status >= 200 && request.status < 300) {
    isListOld = true;
    task.bar.value = 1;
    show(task, "done", "uploaded", [["Dismiss", () => task.row.remove()]]);
  } else if (request.status === 412 && !task.replaces) {
    show(task, "stopped", "exists already", [
      ["Replace", () => enqueue(Object.assign(task, { replaces: true }))],
      ["Keep", () => task.row.remove()],
    ]);
  } else {
    stop(task, `${request.status}: ${reason(request)}`);
  }
}

function reason(request) {
  try {
    return JSON.parse(request.responseText).message;
  } catch {
    return request.statusText || "refused";
  }
}

function refresh() {
  isListOld = false;
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.setRequestHeader("Accept", "text/html");
  request.onload = () => {
    const list = request.status === 200 && request.response?.getElementById("list");
    if (!list) return;
    byId("list").replaceWith(document.adoptNode(list));
    decorate();
  };
  request.send();
}

// Files and folders that are dropped. A folder is read until all of it is known.
const asked = (ask) => new Promise(ask);

async function addEntry(entry, folder) {
  if (entry.isFile) {
    add(await asked((found, failed) => entry.file(found, failed)), folder + entry.name);
    return;
  }
  const reader = entry.createReader();
  let some;
  do {
    some = await asked((found, failed) => reader.readEntries(found, failed));
    for (const below of some) await addEntry(below, `${folder}${entry.name}/`);
  } while (some.length);
}

async function drop(data) {
  const entries = Array.from(data.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = entries.length ? [] : Array.from(data.files);
  for (const file of files) add(file, file.name);
  try {
    for (const entry of entries) await addEntry(entry, "");
  } catch (error) {
    said.textContent = `Not everything could be read: ${error.message}`;
  }
}

function offerUploads(pick) {
  pick.addEventListener("change", () => {
    for (const file of pick.files) add(file, file.name);
    pick.value = "";
  });
  const isOver = (on) => document.body.classList.toggle("over", on);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    isOver(true);
  });
  document.addEventListener("dragleave", (event) => isOver(event.relatedTarget !== null));
  document.addEventListener("drop", (event) => {
    isOver(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    drop(event.dataTransfer);
  });
  window.addEventListener("beforeunload", (event) => {
    if (running || waiting.length) event.preventDefault();
  });
}

byId("tools").hidden = false;
filter.addEventListener("input", applyFilter);
if (byId("pick")) offerUploads(byId("pick"));
decorate();
