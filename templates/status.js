"use strict";
// The page can be read without this script. With it, the page shows what has changed every five seconds. What has not changed
// stays as it is, so that a reader keeps the place, the focus and the selection.
const stale = document.getElementById("stale");
const pause = document.getElementById("pause");
let since = document.querySelector("main").dataset.now;
let isPaused = false;

function say(text) {
  if (stale.textContent !== text) stale.textContent = text;
  stale.hidden = text === "";
}

function change(old, next) {
  if (old.isEqualNode(next)) return;
  if (old.nodeName !== next.nodeName || old.childNodes.length !== next.childNodes.length) {
    old.replaceWith(next);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) old.data = next.data;
  for (const { name, value } of next.attributes ?? []) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of Array.from(old.attributes ?? [])) {
    // The reader opens and closes details.
    if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  const children = Array.from(next.childNodes);
  Array.from(old.childNodes).forEach((child, at) => change(child, children[at]));
}

function isSelecting() {
  const selection = getSelection();
  return !selection.isCollapsed && document.querySelector("main").contains(selection.anchorNode);
}

async function update() {
  if (document.hidden || isPaused) return;
  if (isSelecting()) {
    say("Not updated since " + since + ", because text is selected.");
    return;
  }
  try {
    const response = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(4000) });
    if (!response.ok) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (isPaused || isSelecting()) return;
    const open = Array.from(document.querySelectorAll("details[open]"), (details) => details.id);
    const main = page.querySelector("main");
    since = main.dataset.now;
    change(document.querySelector("main"), main);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (document.title !== page.title) document.title = page.title;
    say("");
  } catch {
    say("Not updated since " + since + ": Scopegate does not answer.");
  }
}

pause.hidden = false;
pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.textContent = isPaused ? "Continue updates" : "Pause updates";
  say(isPaused ? "Paused: this is the state of " + since + "." : "");
  update();
});
setInterval(update, 5000);
document.addEventListener("visibilitychange", update);
