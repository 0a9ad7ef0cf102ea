/**
 * The HTML of the page at /, before page.ts fills it in, and the page's icon. Links are relative, so that the page may
 * lie behind a proxy, in a folder.
 */
import { version } from "../../base/version.js";
import { LINK_EFFECTS, SHOWN_CLASSES } from "../../telemetry/figures.js";

/** Draws a short line like the one in a chart. */
function swatch(colour: string): string {
  return `<svg class="swatch ${colour}" viewBox="0 0 20 4" width="20" height="4" aria-hidden="true"><path d="M0 2h20" `
    + `stroke="currentColor" stroke-width="3"/></svg>`;
}

function tile(id: string, name: string, line: string): string {
  return `<div><dt>${name}${line}</dt><dd class="rate"><span id="${id}-rate">–</span> a second</dd><dd><span `
    + `id="${id}">–</span> in all</dd></div>`;
}

function chart(id: string, title: string): string {
  return `<figure id="${id}-chart">
<figcaption>${title} a second</figcaption>
<div class="plot" role="img"
aria-label="Chart of ${title.toLowerCase()} a second, of up to five minutes. The text below it has the peak."></div>
<p class="reading">–</p>
</figure>`;
}

/**
 * Makes a section with a table. `names`: the columns that are text. A section that is `hidden` is shown when there is
 * something to show. The caller closes the section.
 */
function table(
  id: string, title: string, note: string, names: readonly number[], headings: readonly string[], hidden = false,
): string {
  const head = headings.map(
    (heading, i) => `<th scope="col"${names.includes(i) ? ` class="name"` : ""}>${heading}</th>`,
  ).join("");
  return `<section${hidden ? ` id="${id}-part" hidden` : ""}>
<h2 id="${id}-title">${title}</h2>
<p id="${id}-note">${note}</p>
<div class="scroll" role="region" aria-labelledby="${id}-title" tabindex="0"><table
aria-labelledby="${id}-title" aria-describedby="${id}-note">
<thead><tr>${head}</tr></thead>
<tbody id="${id}"></tbody>
</table></div>`;
}

/** Makes a heading of a label's value. */
function titled(effect: string): string {
  return effect[0].toUpperCase() + effect.slice(1).replace("_", " ");
}

export const PAGE = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pongd</title>
<link rel="icon" href="web/page/icon.svg">
<link rel="stylesheet" href="web/page/style.css">
<script src="web/page/uplot.js" defer></script>
<script type="module" src="web/page/page.js"></script>
</head>
<body>
<header>
<h1>pongd <span id="version">${version}</span></h1>
<p id="host"></p>
<p id="state" role="status">Connecting…</p>
<p id="uptime"></p>
<button id="pause" type="button" aria-pressed="false">Pause</button>
<nav aria-label="pongd"><a href="metrics">Metrics</a> <a href="-/healthy">Healthy</a> <a href="-/ready">Ready</a></nav>
</header>
<main>
<noscript><p>Without JavaScript there are no figures here;
<a href="metrics">/metrics</a> has them all, and more.</p></noscript>
<div id="figures">
<p id="hint" hidden>Nothing has been answered yet. From the host that pongd runs on, try:
<code>ping <span id="example"></span></code></p>
<section>
<h2 id="traffic-title">Traffic</h2>
<dl class="tiles">
${tile("received", "Received", "")}
${tile("replied", "Replies", swatch("replies"))}
${tile("dropped", "Drops", swatch("drops"))}
</dl>
<div class="charts">
${chart("replies", "Replies")}
${chart("drops", "Drops")}
</div>
</section>
<section id="tcp" hidden>
<h2>TCP</h2>
<dl class="tiles">
<div><dt>Connections</dt><dd class="rate"><span id="connections">–</span></dd><dd>open now</dd></div>
${tile("accepted", "Accepted", "")}
${tile("opened", "Opened from here", "")}
${tile("segments", "Segments received", "")}
${tile("retransmitted", "Segments sent again", "")}
${tile("bytesIn", "Bytes received", "")}
${tile("bytesOut", "Bytes sent", "")}
</dl>
</section>
<section id="udp" hidden>
<h2>UDP services</h2>
<dl class="tiles">
${tile("udp-taken", "Datagrams taken", "")}
${tile("udp-answered", "Datagrams sent", "")}
${tile("udp-dropped", "Datagrams dropped", "")}
${tile("udp-unsent", "Datagrams not sent", "")}
</dl>
<p>Dropped are those for which a handler had no room, and those that might have begun a loop.</p>
<p id="turnaround-part" hidden>STAMP’s replies leave <span id="turnaround">–</span> after their requests have been read,
on average.</p>
</section>
${table(
  "sessions", "Sessions", "Of stateful STAMP reflectors and of IRTT, in all queues. Packets are refused that find no "
  + "room for another session.", [0], ["Protocol", "Open", "At most", "Refused", "A second"], true,
)}
</section>
${table(
  "services", "Services", "Those that took most connections or datagrams come first. Rates are a second’s; responses "
  + "are those of HTTP, by status.", [0, 1], [
    "Service", "Protocol", "Open", "Taken", "A second", ...SHOWN_CLASSES.map((digit) => `${digit}xx`), "Errors",
  ], true,
)}
<p id="more-services" hidden><span id="other-services"></span> more are counted at <a href="metrics">/metrics</a>.</p>
</section>
${table(
  "threads", "Service threads", "How late their event loops are: a handler that computes for long holds up all others "
  + "of its thread.", [0], ["Thread", "Late", "Restarts"], true,
)}
</section>
<div class="columns">
${table(
  "reasons", "Drops by reason", "Packets that came to pongd and got no reply.", [0], ["Reason", "Packets", "A second"],
)}
<p id="no-reasons" hidden>None so far.</p>
</section>
${table("prefixes", "Prefixes", "Those that answered most come first.", [0], ["Prefix", "Replies", "A second"])}
<p id="more" hidden><span id="others"></span> more are counted at <a href="metrics">/metrics</a>.</p>
</section>
</div>
${table(
  "links", "Links", "What is done to packets on their way to a prefix (in) and back (out): packets a second. Those "
  + "that did most come first.", [0, 1], ["Prefix", "Way", ...LINK_EFFECTS.map(titled)], true,
)}
<p id="more-links" hidden><span id="other-links"></span> more are counted at <a href="metrics">/metrics</a>.</p>
</section>
<section>
<h2>Device</h2>
<p>Overruns are packets that came while the device’s own queue was full.
The kernel dropped them, and pongd never saw them: they are in no other figure here.</p>
<div class="columns">
<dl class="tiles">
<div><dt>Link</dt><dd class="rate"><span id="link">–</span></dd><dd id="device">–</dd></div>
${tile("overrun", "Overruns", swatch("overruns"))}
</dl>
${chart("overruns", "Overruns")}
</div>
</section>
${table("queues", "Queues", "A thread each; the kernel keeps a flow on one queue.", [0, 1, 2], [
  "Queue", "Engine", "I/O", "Received", "Replies", "Drops", "Restarts",
])}
</section>
</div>
</main>
</body>
</html>
`;

export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" `
  + `fill="#0072b2"/>`
  + `<g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"><circle cx="9.5" cy="16" r="2" `
  + `fill="#fff"/><path d="M15.5 10.5a8 8 0 0 1 0 11M20.5 6.5a14 14 0 0 1 0 19"/></g></svg>\n`;
