// Finds the widgets of a page and starts each when it is scrolled near. Until then nothing is
// loaded, and the saved picture in its element is seen.

const NEAR = "400px"; // from the edge of the window

/**
 * Start a widget: import its module and let it fill the element.
 *
 * Where this fails, the saved picture stays, and a sentence below it says why.
 *
 * @param {HTMLElement} element - `<div class="gan-widget" data-widget="NAME">`.
 */
export async function start(element) {
  const name = element.dataset.widget;
  const saved = [...element.childNodes];
  element.setAttribute("aria-busy", "true");
  try {
    const module = await import(`./${name}.js`);
    await module.mount(element);
    element.dataset.state = "started";
  } catch (error) {
    element.replaceChildren(...saved, sentence(error));
    element.dataset.state = "failed";
    console.warn(`The widget ${name} did not start.`, error);
  } finally {
    element.removeAttribute("aria-busy");
  }
}

/** Return a paragraph that says why a widget did not start. */
function sentence(error) {
  const paragraph = document.createElement("p");
  paragraph.setAttribute("role", "alert");
  paragraph.textContent =
    `This part of the page did not start, so you see a saved picture. (${error.message})`;
  return paragraph;
}

/**
 * Stay at the place that the address names, such as #widget-digit: what starts above it and
 * pictures that come late move it. This ends as soon as the reader does something.
 */
function stay() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!place) return;
  const moved = new ResizeObserver(() => place.scrollIntoView({ behavior: "instant" }));
  moved.observe(document.body);
  const end = () => moved.disconnect();
  const acts = ["wheel", "touchstart", "pointerdown", "keydown", "hashchange"];
  for (const act of acts) addEventListener(act, end, { once: true, passive: true });
}

const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watcher.unobserve(entry.target);
      start(entry.target);
    }
  },
  { rootMargin: NEAR },
);

for (const element of document.querySelectorAll(".gan-widget[data-widget]")) {
  watcher.observe(element);
}
stay();
addEventListener("hashchange", stay);
