// What a page does by itself: counts down, and says when something is over. Everything else is plain HTML and htmx.

const SOON = 5 * 60;
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** The time left in its two largest units, as the server writes it. */
export function left(seconds) {
  if (seconds <= 0) return "over";
  let rest = Math.floor(seconds);
  const parts = UNITS.map(([size, unit]) => { const n = Math.floor(rest / size); rest -= n * size; return [n, unit]; });
  const first = parts.findIndex(([n]) => n > 0);
  return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

function tick() {
  let over = false;
  for (const shown of document.querySelectorAll("time[data-left]")) {
    const seconds = (Date.parse(shown.dateTime) - Date.now()) / 1000;
    const text = left(seconds);
    if (shown.textContent !== text) shown.textContent = text;
    shown.toggleAttribute("data-soon", seconds < SOON);
    if (seconds <= 0) { shown.removeAttribute("data-left"); over = true; }
  }
  if (over) {
    document.getElementById("said").textContent = "Access has ended.";
    document.body.dispatchEvent(new CustomEvent("lapse:over"));
  }
}

tick();
setInterval(tick, 1000);

// What a server refuses is shown where the answer would have been.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400) { event.detail.shouldSwap = true; event.detail.isError = false; }
});

// One key decides on the case that has the focus: a for yes, d for no. Where somebody types, keys are text.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  const chosen = event.target.closest("[data-case]")?.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (chosen) { event.preventDefault(); chosen.click(); }
});
