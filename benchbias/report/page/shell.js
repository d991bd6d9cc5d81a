// The page's frame: the document, the sections that register, and the tools that these draw with.
"use strict";

const benchbias = (() => {
  const sections = [];
  const redraws = new Set();
  const SVG = "http://www.w3.org/2000/svg";
  let current = 0;
  let whole;

  /** Register a section. draw(data, root, tools) fills root; a section that leaves it empty is not shown. */
  function section({ id, title, draw }) {
    sections.push({ id, title, draw });
  }

  // ---- elements: text is only ever text ----

  /** An element: on... attributes are listeners, null and false ones are left out, children are nodes or text. */
  function el(tag, attributes = {}, ...children) {
    const node = ["svg", "path"].includes(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) {
        if (typeof value !== "function") throw new TypeError(`${name} must be a function`);
        node.addEventListener(name.slice(2), value);
      } else if (name === "href" || name === "src") node.setAttribute(name, safeAddress(value));
      else if (["innerHTML", "outerHTML", "srcdoc"].includes(name)) throw new TypeError(`${name} is never set`);
      else if (["value", "checked", "selected", "open", "hidden", "disabled"].includes(name)) node[name] = value;
      else node.setAttribute(name, value === true ? "" : harmless(value));
    }
    add(node, children);
    return node;
  }

  /** A text without the signs that turn the direction of what follows, and without control characters but breaks. */
  function harmless(text) {
    return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/g, " ");
  }

  function add(node, children) {
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : document.createTextNode(harmless(child)));
    }
  }

  /** An address that runs nothing and loads nothing: a place on this page, a web page to open, an embedded PNG. */
  function safeAddress(text) {
    return /^(#|https?:\/\/|data:image\/png;base64,)/i.test(String(text)) ? String(text) : "#";
  }

  /** A name that others chose: kept apart, so that its direction of writing does not reach its surroundings. */
  function name(text, attributes = {}) {
    return el("bdi", { class: "name", ...attributes }, short(text, 400));
  }

  /** A text of at most n characters for places that have no more room; control characters become blanks. */
  function short(text, n = 40) {
    const plain = Array.from(String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " "));
    return plain.length <= n ? plain.join("") : `${plain.slice(0, n - 1).join("")}…`;
  }

  /** A text of at most n characters that keeps both of its ends: rows of one method differ in their last words. */
  function middle(text, n = 40) {
    const plain = Array.from(short(text, 1e6));
    if (plain.length <= n) return plain.join("");
    const end = Math.ceil((n - 1) / 2);
    return `${plain.slice(0, n - 1 - end).join("").trimEnd()}…${plain.slice(-end).join("").trimStart()}`;
  }

  /** A name of at most n characters; who points at it, or listens, gets the whole. */
  function brief(text, n) {
    const shown = middle(text, n);
    if (shown === short(text, 400)) return name(text);
    return el("span", { title: short(text, 400) }, el("span", { class: "hidden" }, name(text)), el("bdi", { "aria-hidden": "true" }, shown));
  }

  /** A name inside of a sentence, kept apart as `name` does: between two signs that no reader sees. */
  function inside(text, n = 60) {
    return `\u2068${short(text, n)}\u2069`;
  }

  // ---- numbers ----

  /** Decimals as the board prints them: a half goes to the even digit, and a rounded zero has no sign. */
  function fixed(value, digits) {
    const half = digits === 1 && Math.abs((value * 4) % 4) === 1; // .25 is the one tie that toFixed takes upwards
    return (half ? value - Math.sign(value) * 0.01 : value).toFixed(digits).replace(/^-(?=0(\.0*)?$)/, "").replace("-", "−");
  }

  /** A number in text: unit "%" and "points" are of fractions; others have their own prefix (k, M, G). */
  function number(value, { unit = "%", digits = 1, sign = false } = {}) {
    if (value === null || value === undefined) return "–";
    const shown = unit === "%" || unit === "points" ? fixed(100 * value, digits) : scaled(value);
    return sign && value > 0 && !/^0(\.0*)?$/.test(shown) ? `+${shown}` : shown;
  }

  function scaled(value, digits = 3) {
    const sizes = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
    const found = sizes.find(([size]) => Math.abs(value) >= size);
    const text = found ? `${Number((value / found[0]).toPrecision(digits))} ${found[1]}` : String(Number(value.toPrecision(digits)));
    return text.replace(/^-/, "−");
  }

  /** An estimate in text: `81.2 (79.9 to 82.4)`; with seeds: `, n = 5`. brief: † for examples only. */
  function interval(estimate, { unit = "%", digits = 1, sign = false, seeds = false, brief: few = false } = {}) {
    if (!estimate) return "–";
    const options = { unit, digits, sign };
    const bounds = estimate.low === null || estimate.low === undefined ? ""
      : ` (${number(estimate.low, options)} to ${number(estimate.high, options)}${estimate.examplesOnly && !few ? "; examples only" : ""})${estimate.examplesOnly && few ? "†" : ""}`;
    return `${number(estimate.mean, options)}${bounds}${seeds ? `, n = ${estimate.n}` : ""}`;
  }

  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const metric = (key) => String(key).replaceAll("_", " ");

  /** The unit of a metric: accuracies are shares. */
  const unitOf = (key) => (/accuracy|recall|share/.test(key) ? "%" : "");

  const VERDICTS = {
    "helps": { words: "helps", symbol: "triangle", rotate: 0, colour: "var(--helps)", sign: "▲" },
    "harms": { words: "harms", symbol: "triangle", rotate: 180, colour: "var(--harms)", sign: "▼" },
    "no difference": { words: "no difference", symbol: "square", rotate: 0, colour: "var(--same)", sign: "■" },
    "undecided": { words: "undecided", symbol: "circle", rotate: 0, colour: "var(--open)", sign: "○", hollow: true },
    "none": { words: "no control", symbol: "times", rotate: 0, colour: "var(--open)", sign: "–", hollow: true },
  };
  const verdict = (found) => VERDICTS[found] || VERDICTS.none;

  /** The verdict in words, with the sign that charts use. */
  function verdictMark(found) {
    const one = verdict(found);
    return el("span", { class: `verdict ${one.words.replace(" ", "-")}` },
      el("span", { "aria-hidden": "true" }, one.sign), " ", one.words);
  }

  // ---- controls ----

  let numbered = 0;
  const newId = (stem) => `${stem}-${++numbered}`;

  /** A labelled choice; options: texts, or {value, text}. */
  function choice({ label, options, value, onchange }) {
    const id = newId("choice");
    const made = options.map((option) => (typeof option === "object" ? option : { value: option, text: option }));
    const select = el("select", { id, onchange: () => onchange(select.value) },
      made.map((option) => el("option", { value: String(option.value) }, short(option.text, 80))));
    if (value !== undefined && value !== null) select.value = String(value);
    return el("span", { class: "field" }, el("label", { for: id }, label), select);
  }

  /** A labelled field of text. */
  function field({ label, value = "", oninput }) {
    const id = newId("field");
    const input = el("input", { id, type: "search", autocomplete: "off", value, oninput: () => oninput(input.value) });
    return el("span", { class: "field" }, el("label", { for: id }, label), input);
  }

  /** A plain table in a box that scrolls; columns: titles or {title, numeric}; cells: text or nodes. */
  function table(columns, rows, { caption = "", hideCaption = false, rowHeads = true } = {}) {
    const heads = columns.map((column) => (typeof column === "object" ? column : { title: column }));
    const cell = (value, at) => el(at === 0 && rowHeads ? "th" : "td",
      { scope: at === 0 && rowHeads ? "row" : null, class: heads[at] && heads[at].numeric ? "numeric" : null }, value);
    return box(caption || "Table", el("table", { class: "plain" },
      caption && el("caption", { class: hideCaption ? "hidden" : null }, caption),
      el("thead", {}, el("tr", {}, heads.map((head) =>
        el("th", { scope: "col", class: head.numeric ? "numeric" : null }, head.title)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell))))));
  }

  /** A box that scrolls sideways by itself, so that the page does not; reached by the keyboard. */
  function box(label, ...children) {
    return el("div", { class: "box", role: "region", "aria-label": label, tabindex: "0" }, children);
  }

  /** A part that is folded until it is asked for. */
  function folded(summary, ...children) {
    return el("details", {}, el("summary", {}, summary), children);
  }

  // ---- charts ----

  /** Whether the page is dark now. */
  function dark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  /**
   * A chart by Observable Plot. draw({width, dark, narrow}) gives Plot's options, or null where there is nothing;
   * it is called again when the width or the theme changes. table: {columns, rows}, the chart's data, folded beside it.
   * `below` among the options is a node
   * that stands under the drawing. Returns {figure, redraw(changes)}: changes may replace draw, title, description and table.
   */
  function chart(root, draw, { title, description, table: data }) {
    const state = { draw, title, description, table: data };
    const place = el("div", { class: "plot" });
    const caption = el("figcaption");
    const below = el("div", { class: "data" });
    const figure = el("figure", { class: "chart" }, caption, place, below);
    let last = null;

    function paint() {
      const width = Math.floor(place.clientWidth);
      if (!width) return;
      last = `${width} ${dark()}`;
      const options = state.draw({ width, dark: dark(), narrow: width < 560 });
      figure.hidden = !options;
      if (!options) return;
      const { below: _, ...given } = options;
      const made = Plot.plot({ width, style: { overflow: "visible", fontSize: "12px", color: "inherit" }, ...given });
      const image = made.tagName.toLowerCase() === "svg" ? made : made.querySelector(":scope > svg") || made;
      image.querySelectorAll("[aria-label]").forEach((one) => one.removeAttribute("aria-label"));
      for (const one of image.querySelectorAll("text, tspan, title")) {
        if (!one.childElementCount) one.textContent = harmless(one.textContent);
      }
      image.setAttribute("role", "img");
      image.setAttribute("aria-label", harmless( `${state.title}. ${state.description}`));
      place.replaceChildren(made, ...(options.below ? [options.below] : []));
    }

    function retell() {
      add((caption.replaceChildren(), caption),
        [el("strong", {}, capital(state.title)), state.description && el("span", {}, state.description)]);
      below.replaceChildren();
      if (state.table) {
        const { columns, rows } = state.table;
        add(below, [folded("The data of this chart",
          table(columns, rows, { caption: state.title, hideCaption: true }))]);
      }
    }

    function redraw(changes = {}) {
      Object.assign(state, changes);
      retell();
      paint();
    }

    root.append(figure);
    redraw();
    new ResizeObserver(() => {
      if (`${Math.floor(place.clientWidth)} ${dark()}` !== last) paint();
    }).observe(place);
    redraws.add(paint);
    return { figure, redraw };
  }

  /** Colours by number, as CSS variables: they follow the theme by themselves, on paper too. */
  const colour = (number) => `var(--c${number % 10})`;
  const SYMBOLS = ["circle", "square", "triangle", "diamond", "cross", "star", "wye"];
  const symbol = (number) => SYMBOLS[number % SYMBOLS.length];

  /**
   * A mark of Plot: names beside points, moved so that none covers another one, a point, or the edge of the chart.
   * channels: x, y, dy, text, weight, quiet. The first points get the first places; farthest: pixels that a name may move,
   * else it is left out. others: points without a name. above: pixels over a point that its marks take; null: no point.
   */
  function namesBeside(points, { x, y, text, weight = () => 400, quiet = () => false, dy = () => 0, farthest = 40, others = [], above = () => 7 }) {
    const all = [...points, ...others];
    const named = new Set(points);
    const options = { farthest, rises: all.map(dy), weights: all.map(weight), above: all.map(above) };
    return Plot.text(all, {
      x, y, text: (point) => (named.has(point) ? text(point) : null), textAnchor: "start", dx: 9,
      fill: (point) => (quiet(point) ? "var(--quiet)" : "currentColor"), stroke: "var(--page)", strokeWidth: 5,
      render: (...given) => apart(options, ...given),
    });
  }

  function apart({ farthest, rises, weights, above }, index, scales, values, dimensions, context, next) {
    const node = next(index, scales, values, dimensions, context);
    const taken = Array.from(above, (up, at) => up !== null && Number.isFinite(values.x[at] + values.y[at])
      && { left: values.x[at] - 7, right: values.x[at] + 7, top: values.y[at] - up, bottom: values.y[at] + 7 }).filter(Boolean);
    const edge = { left: dimensions.marginLeft, right: dimensions.width - 2, top: 2, bottom: dimensions.height - dimensions.marginBottom };
    const free = (box) => box.left >= edge.left && box.right <= edge.right && box.top >= edge.top && box.bottom <= edge.bottom
      && !taken.some((other) => other.left < box.right && box.left < other.right && other.top < box.bottom && box.top < other.bottom);
    [...node.querySelectorAll("text")].forEach((one, at) => {
      const [start, level] = [values.x[index[at]] + 9, values.y[index[at]] + rises[index[at]]];
      const width = widthOf(one.textContent, weights[index[at]]);
      const places = d3.range(0, farthest + 1, 2).flatMap((shift) => [start, start - 18 - width, start - 9 - width / 2]
        .flatMap((left) => [[left, level + shift], [left, level - shift]]));
      const boxes = places.map(([left, middle]) => ({ left, right: left + width, top: middle - 6.5, bottom: middle + 6.5 }));
      const found = boxes.find(free);
      if (!found) {
        one.remove();
        return;
      }
      taken.push(found);
      one.setAttribute("font-weight", weights[index[at]]);
      one.setAttribute("transform", `translate(${found.left - start},${found.top + 6.5 - values.y[index[at]]}) ${one.getAttribute("transform") || ""}`.trim());
    });
    return node;
  }

  /** The width of a text of charts, in pixels. */
  function widthOf(text, weight = 400) {
    widthOf.canvas ||= document.createElement("canvas").getContext("2d");
    widthOf.canvas.font = `${weight} 12px ${getComputedStyle(document.body).fontFamily}`;
    return widthOf.canvas.measureText(text).width + 1;
  }

  /** Ticks of an axis by equal factors: the numbers to show, at most about `most`; even steps below one decade. */
  function ticksOf([low, high], most) {
    if (high < 10 * low) return d3.range(most, 3 * most).map((number) => d3.ticks(low, high, number)).find((ticks) => ticks.length > 2) || [];
    const decades = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
    const of = (factors, step = 1) => decades.filter((_, at) => at % step === 0)
      .flatMap((decade) => factors.map((factor) => Number(`${factor}e${decade}`))).filter((one) => one >= low && one <= high);
    const choices = [of([1, 2, 5]), of([1, 3]), ...d3.range(1, decades.length + 1).map((step) => of([1], step))];
    return choices.find((ticks) => ticks.length <= most) || [];
  }

  /** Marks of Plot: a horizontal axis of equal factors with these ticks, each with its text, and lines at them. */
  function factorsAxis(ticks, text, label) {
    return [Plot.gridX(ticks), Plot.axisX(ticks, { text, label, labelAnchor: "center", labelArrow: "none" })];
  }

  /** Ticks as texts: with as many digits as differ. */
  function tickTexts(ticks) {
    const texts = (digits) => ticks.map((tick) => scaled(tick, digits));
    const digits = d3.range(3, 15).find((one) => new Set(texts(one)).size === ticks.length);
    return new Map(ticks.map((tick) => [tick, scaled(tick, digits || 15)]));
  }

  /** A mark of Plot: a star above points that have marks. */
  function stars(points, { x, y }) {
    return Plot.text(points, { x, y, text: () => "*", dy: -6, fontSize: 17, fontWeight: 700, fill: "currentColor", stroke: "var(--page)", strokeWidth: 2 });
  }

  /** Points that no other one beats: none has at most their cost and at least their gain, and differs in one. */
  function front(points, cost, gain) {
    const order = [...points].sort((a, b) => cost(a) - cost(b) || gain(b) - gain(a));
    const found = [];
    for (const point of order) {
      const last = found[found.length - 1];
      if (!last || gain(point) > gain(last) || (gain(point) === gain(last) && cost(point) === cost(last))) found.push(point);
    }
    return found;
  }

  /** A list of what signs mean: entries of {text, colour, symbol, hollow}. */
  function key(entries) {
    return el("ul", { class: "key" }, entries.map((one) => el("li", {}, sign(one), " ", name(short(one.text, 60)))));
  }

  function sign({ colour: tint, symbol: shape, hollow }) {
    const kind = d3[`symbol${shape[0].toUpperCase()}${shape.slice(1)}`];
    return el("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" },
      el("path", { d: d3.symbol(kind, 60)(), fill: hollow ? "none" : tint, stroke: tint, "stroke-width": 1.5 }));
  }

  const tools = {
    el, name, short, middle, brief, inside, number, interval, scaled, metric, unitOf, verdict, verdictMark, VERDICTS, choice, field, table,
    box, folded, chart, dark, colour, symbol, namesBeside, ticksOf, tickTexts, factorsAxis, stars, key, capital, front, newId,
    get document() { return whole; },
  };

  // ---- the page ----

  function themeButton() {
    const button = el("button", { type: "button", class: "theme", onclick: turn });
    function tell() {
      button.textContent = dark() ? "Light theme" : "Dark theme";
    }
    function turn() {
      document.documentElement.dataset.theme = dark() ? "light" : "dark";
      keep(document.documentElement.dataset.theme);
      tell();
      redraws.forEach((paint) => paint());
    }
    const kept = keep();
    if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      tell();
      redraws.forEach((paint) => paint());
    });
    tell();
    return button;
  }

  /** Read or write the theme that was chosen; a browser may keep nothing of a file. */
  function keep(theme) {
    try {
      if (theme) localStorage.setItem("benchbias-theme", theme);
      return localStorage.getItem("benchbias-theme");
    } catch {
      return null;
    }
  }

  function draw(main, links) {
    const data = whole.suites[current];
    redraws.clear();
    main.replaceChildren();
    links.replaceChildren();
    document.getElementById("suite-title").replaceChildren(name(data.head.title));
    for (const { id, title, draw: fill } of sections) {
      const heading = el("h2", { id: `${id}-title`, tabindex: "-1" }, title);
      const root = el("div", { class: "content" });
      const part = el("section", { id, "aria-labelledby": `${id}-title` }, heading, root);
      main.append(part);
      try {
        fill(data, root, tools);
      } catch (error) {
        console.error(error);
        root.append(el("p", {}, "A fault of the report: this section could not be drawn. The others are whole."));
      }
      if (root.childNodes.length) links.append(el("li", {}, el("a", { href: `#${id}` }, title)));
      else part.remove();
    }
  }

  function start() {
    whole = JSON.parse(document.getElementById("document").textContent);
    const main = el("main", { id: "main" });
    const links = el("ul");
    const several = whole.suites.length > 1 && choice({
      label: "Suite",
      options: whole.suites.map((one, at) => ({ value: at, text: one.head.suite })),
      value: 0,
      onchange: (value) => {
        current = Number(value);
        draw(main, links);
      },
    });
    document.body.append(
      el("a", { class: "skip", href: "#main" }, "To the content"),
      el("header", {},
        el("div", { class: "bar" },
          el("p", { class: "brand" }, "benchbias report"), several || null, themeButton()),
        el("h1", { id: "suite-title" }),
        el("nav", { "aria-label": "Sections" }, links)),
      main,
      el("footer", {}, el("p", {}, `Made by benchbias ${whole.version} from records alone.`)));
    draw(main, links);
  }

  document.addEventListener("DOMContentLoaded", start);
  return { section, tools };
})();
