// What a person would find hard to read or use on the page that is shown: one line each. Runs inside the page.
() => {
  const LEAST = 4.5, LEAST_LARGE = 3; // WCAG 2.2, 1.4.3
  const [WIDE, WIDE_BOLD] = [24, 18.66]; // px, from which text is large
  const faults = [];

  // Any colour that CSS can name, as red, green, blue (0 to 255) and alpha (0 to 1): a canvas knows them all.
  const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = brush.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  // What the browser paints under everything, in the scheme of the page.
  const bottom = (() => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = "Canvas";
    const colour = rgba(getComputedStyle(probe).color);
    probe.remove();
    return colour;
  })();
  const over = ([red, green, blue, alpha], under) =>
    [...[red, green, blue].map((part, i) => part * alpha + under[i] * (1 - alpha)), 1];
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (one, other) => {
    const [dark, bright] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };

  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), bottom);
  };
  const opacity = (element) => {
    let all = 1;
    for (let at = element; at; at = at.parentElement) all *= getComputedStyle(at).opacity;
    return all;
  };
  const told = (element) => {
    const text = (element.textContent || element.placeholder || element.value || "").trim().replace(/\s+/g, " ").slice(0, 40);
    const kind = element.getAttribute("class");
    return `<${element.localName}${kind ? ` class="${kind}"` : ""}> "${text}"`;
  };
  const shown = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return width > 1 && height > 1 && element.checkVisibility({ visibilityProperty: true }) && !element.closest(":disabled, [aria-disabled=true]");
  };
  const judge = (element, style, colour) => {
    const size = parseFloat(style.fontSize);
    const large = size >= WIDE || (size >= WIDE_BOLD && style.fontWeight >= 700);
    const ground = behind(element);
    const [red, green, blue, alpha] = rgba(colour);
    const found = ratio(over([red, green, blue, alpha * opacity(element)], ground), ground);
    if (found < (large ? LEAST_LARGE : LEAST)) faults.push(`contrast ${found.toFixed(2)}: ${told(element)}`);
  };

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(element) || !shown(element)) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    judge(element, style, element.closest("svg") ? style.fill : style.color);
  }
  for (const element of document.querySelectorAll("input:not([type=hidden], [type=checkbox], [type=radio]), textarea, select")) {
    if (!shown(element)) continue;
    judge(element, getComputedStyle(element), getComputedStyle(element).color);
    if (element.placeholder) judge(element, getComputedStyle(element), getComputedStyle(element, "::placeholder").color);
  }

  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    const widest = [...document.body.querySelectorAll("*")].reduce((a, b) => (a.getBoundingClientRect().right >= b.getBoundingClientRect().right ? a : b));
    faults.push(`the page is ${scrollWidth} wide and ${clientWidth} are shown: ${told(widest)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) faults.push(`two elements are #${id}`);
  if (!document.documentElement.lang) faults.push("the page names no language");
  if (!document.title.trim()) faults.push("the page has no title");
  if (document.querySelectorAll("main").length !== 1) faults.push("the page has no main part, or several");
  return faults;
}
