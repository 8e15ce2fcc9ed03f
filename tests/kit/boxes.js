// The boxes of the texts of a page: which are cut off, and which lie on one another.
// A text is cut where it leaves its picture, a box that hides what is outside, or the window. A box that scrolls may
// hold more than it shows, as may one that shows some lines and has the whole text as its title. The boxes of letters
// have room above and below, which may touch.
() => {
  const SLACK = 1.5;
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const corners = (box, matrix) => [[box.x, box.y], [box.x + box.width, box.y], [box.x + box.width, box.y + box.height],
    [box.x, box.y + box.height]].map(([x, y]) => matrix ? [matrix.a * x + matrix.c * y + matrix.e,
      matrix.b * x + matrix.d * y + matrix.f] : [x, y]);
  const within = (box) => ({ x: box.x + 1, y: box.y + .24 * box.height, width: Math.max(0, box.width - 2),
    height: .52 * box.height });
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || element.closest("script, style, svg, .skip") || !shown(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects())
      if (box.width > 1)
        texts.push({ text: node.data.trim(), element, outer: corners(box), inner: corners(within(box)) });
  }
  for (const element of document.querySelectorAll("svg text")) {
    if (!element.textContent.trim() || !shown(element) || element.closest(".skip")) continue;
    const box = element.getBBox(), matrix = element.getScreenCTM();
    if (getComputedStyle(element).stroke !== "none") continue;  // the halo behind a text
    texts.push({ text: element.textContent.trim(), element, outer: corners(box, matrix),
      inner: corners(within(box), matrix) });
  }
  const sides = (points) => [Math.min(...points.map(([x]) => x)), Math.min(...points.map(([, y]) => y)),
    Math.max(...points.map(([x]) => x)), Math.max(...points.map(([, y]) => y))];
  const where = (element) => {
    const place = element.closest("figure, table, section, header, nav, footer");
    return place ? place.id || place.tagName.toLowerCase() : "page";
  };
  const cut = new Set();
  for (const each of texts) {
    const { text, element, outer, inner } = each;
    const [left, , right] = sides(outer), [, top, , bottom] = sides(inner);
    let scrolls = false;
    for (let box = element; box && box !== document.body; box = box.parentElement) {
      const { overflowX } = getComputedStyle(box);
      if (overflowX === "visible" || (box instanceof SVGElement && !(box instanceof SVGSVGElement))) continue;
      const edge = box.getBoundingClientRect();
      if (overflowX === "auto" || overflowX === "scroll") {
        scrolls = true;
        each.hidden = right < edge.left || left > edge.right || bottom < edge.top || top > edge.bottom;
        break;
      }
      if (box.title && getComputedStyle(box).webkitLineClamp !== "none") {  // shortened on purpose, and told in full
        each.hidden = top > edge.bottom || bottom < edge.top;
        break;
      }
      const beyond = Math.max(edge.left - left, right - edge.right, edge.top - top, bottom - edge.bottom);
      if (beyond > SLACK) cut.add(`${where(element)}: ${text} (${beyond.toFixed(1)} px)`);
    }
    if (!scrolls && (left < -SLACK || right > document.documentElement.clientWidth + SLACK))
      cut.add(`${where(element)}: ${text}`);
  }
  const apart = (one, other) => [one, other].some((points) => points.some(([x, y], at) => {
    const [u, v] = points[(at + 1) % 4], normal = [v - y, x - u];
    const along = (all) => all.map(([a, b]) => a * normal[0] + b * normal[1]);
    return Math.max(...along(one)) <= Math.min(...along(other)) || Math.max(...along(other)) <= Math.min(...along(one));
  }));
  const overlaps = new Set();
  const ordered = texts.filter(({ hidden }) => !hidden).map((each) => ({ ...each, sides: sides(each.inner) }));
  ordered.sort((a, b) => a.sides[1] - b.sides[1]);
  ordered.forEach((one, at) => {
    for (let next = at + 1; next < ordered.length && ordered[next].sides[1] < one.sides[3]; next++) {
      const other = ordered[next];
      if (one.element === other.element || one.sides[0] >= other.sides[2] || other.sides[0] >= one.sides[2]) continue;
      if (!apart(one.inner, other.inner)) overlaps.add(`${where(one.element)}: ${one.text} / ${other.text}`);
    }
  });
  const sideways = [...document.querySelectorAll(".scroll")].filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => (box.querySelector("table") || box.parentElement).id);
  return { cut: [...cut], overlaps: [...overlaps], sideways, texts: texts.length };
}
