/** The elements of the game in the plane: buttons, settings, pictures and charts. */
import { labelled, make, styles } from "./elements.js";
import { COLOURS, legendGradient } from "./plane-draw.js";
import { POINTS } from "./plane-game.js";
import { LOSSES } from "./plane-losses.js";

export const SPEEDS = {
  "2 updates of G a second": 2,
  "10 updates of G a second": 10,
  "as fast as it can": 1000,
};
export const UPDATES_OF_D = [1, 2, 5, 10, 20]; // for one of G

/** Fill the element of the widget, and return what is changed later, by name. */
export async function build(element) {
  const parts = { root: make("div", { class: "plane" }) };
  parts.hint = make("p", { class: "plane-hint" });
  parts.status = make("p", { class: "plane-unseen", role: "status" });
  parts.numbers = make("p", { class: "plane-numbers" });
  parts.root.append(
    make("div", { class: "plane-try" }, make("strong", {}, "Try this: "), parts.hint),
    settings(parts),
    buttons(parts),
    pictures(parts),
    parts.numbers,
    charts(parts),
    parts.status,
  );
  await Promise.all([styles(), ownStyles()]);
  element.replaceChildren(parts.root);
  return parts;
}

/** Load the style sheet of this widget. */
function ownStyles() {
  const { href } = new URL("./plane.css", import.meta.url);
  return new Promise((done) => {
    document.head.append(make("link", { rel: "stylesheet", href, load: done, error: done }));
  });
}

function choice(options) {
  return make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
}

function settings(parts) {
  const names = (table) => Object.entries(table).map(([key, { name }]) => [key, name]);
  parts.loss = choice(names(LOSSES));
  parts.points = choice(names(POINTS));
  parts.perG = choice(UPDATES_OF_D.map((count) => [count, String(count)]));
  parts.speed = choice(Object.entries(SPEEDS).map(([text, value]) => [value, text]));
  parts.seed = make("input", { type: "number", min: 0, max: 9999, step: 1, value: 1 });
  const first = make("div", { class: "gan-row" });
  first.append(labelled("Loss", parts.loss), labelled("Real points", parts.points));
  const more = make("div", { class: "gan-row" });
  more.append(labelled("Updates of D for one of G", parts.perG));
  more.append(labelled("Speed", parts.speed), labelled("Seed", parts.seed));
  const summary = make("summary", {}, "Speed, seed, and updates of D");
  const folded = make("details", {}, summary, more);
  return make("div", { role: "group", "aria-label": "Settings of the game" }, first, folded);
}

function buttons(parts) {
  const texts = {
    stepD: "Step D",
    stepD10: "Step D × 10",
    stepD200: "Step D × 200",
    stepG: "Step G",
    run: "Run",
    reset: "Reset",
    erase: "Remove my points",
  };
  const all = make("div", { class: "gan-buttons", role: "group", "aria-label": "Play" });
  for (const [name, text] of Object.entries(texts)) {
    parts[name] = make("button", { type: "button" }, text);
    all.append(parts[name]);
  }
  parts.run.classList.add("plane-run");
  return all;
}

function pictures(parts) {
  parts.learned = make("canvas", { class: "plane-square", role: "img" });
  parts.best = make("canvas", { class: "plane-square", role: "img" });
  parts.learnedTitle = make("figcaption", {}, "D as trained");
  const bestTitle = make("figcaption", {}, "D*, the best D");
  parts.bestFigure = make("figure", {}, bestTitle, parts.best);
  return make(
    "div",
    { class: "plane-pictures" },
    make("figure", {}, parts.learnedTitle, parts.learned),
    parts.bestFigure,
    legend(parts),
  );
}

function dot(colour, text) {
  const style = `background: ${colour}`;
  const mark = make("span", { class: "plane-dot", style, "aria-hidden": "true" });
  return make("span", { class: "plane-key" }, mark, text);
}

function legend(parts) {
  parts.low = make("span", {}, "0 (fake)");
  parts.middle = make("span", {}, "½");
  parts.high = make("span", {}, "1 (real)");
  parts.line = make("span", { class: "plane-key" });
  const bar = make("span", { class: "plane-bar", style: `background: ${legendGradient()}` });
  const ends = make("span", { class: "plane-ends" }, parts.low, parts.middle, parts.high);
  return make(
    "div",
    { class: "plane-legend" },
    dot(COLOURS.real, "real points"),
    dot(COLOURS.fake, "fakes"),
    make("span", { class: "plane-key" }, make("b", {}, "→ "), "pull on a fake (long ones are cut)"),
    parts.line,
    make("span", { class: "plane-scale" }, "D’s answer", bar, ends),
  );
}

function line(colour, text, dashed = false) {
  const look = dashed ? "dashed" : "solid";
  const style = `border-top: 2px ${look} var(${colour})`;
  return make("span", { class: "plane-key" }, make("span", { class: "plane-stroke", style }), text);
}

function charts(parts) {
  const chart = (name, ...keys) => {
    parts[name] = make("canvas", { class: "plane-chart", role: "img" });
    parts[`${name}Figure`] = make("figure", {}, make("figcaption", {}, ...keys), parts[name]);
    return parts[`${name}Figure`];
  };
  parts.bestKey = line("--plane-text", "of the best D", true);
  const ofD = line("--plane-d", "loss of D");
  const losses = chart("losses", ofD, line("--plane-g", "loss of G"), parts.bestKey);
  const ofReal = line("--plane-d", "mean D(x)");
  const answers = chart("answers", ofReal, line("--plane-g", "mean D(G(z))"));
  const found = line("--plane-d", "% of modes found");
  const modes = chart("modes", found, line("--plane-g", "% of good points"));
  const all = make("div", { class: "plane-charts" }, losses, answers, modes);
  const text = "The curves go over the updates of D and of G, counted together.";
  return make("div", {}, all, make("p", { class: "plane-below" }, text));
}
