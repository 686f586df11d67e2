"use strict";
const stale = document.getElementById("stale");
let since = document.querySelector("main").dataset.now;
async function update() {
  if (document.hidden) return;
  try {
    const response = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(4000) });
    if (!response.ok) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const main = page.querySelector("main");
    const open = new Set(Array.from(document.querySelectorAll("details[open]"), (details) => details.id));
    for (const details of main.querySelectorAll("details")) details.open = open.has(details.id);
    document.querySelector("main").replaceWith(main);
    document.title = page.title;
    since = main.dataset.now;
    stale.hidden = true;
  } catch {
    stale.textContent = "Not updated since " + since + ": Scopegate does not answer.";
    stale.hidden = false;
  }
}
setInterval(update, 5000);
document.addEventListener("visibilitychange", update);
