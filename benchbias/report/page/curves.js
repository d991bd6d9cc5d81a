// Curves: every metric over sparsity, with the dense control and the ceiling, and methods that prune nothing.
"use strict";

benchbias.section({
  id: "curves",
  title: "Curves over sparsity",
  draw(data, root, tools) {
    const { el, choice, metric, unitOf } = tools;
    const { head, board } = data;
    const tasks = head.tasks.filter((task) => new Set(rowsOf(task).map((row) => row.sparsity)).size > 1);
    if (!tasks.length) return;
    const MANY = 12; // curves that one chart can hold
    const state = { metric: head.rankBy, task: tasks[0], scale: null, labels: "", across: "layers", method: firstMethod(tasks[0]) };
    let drawn = null;

    const change = (key) => (value) => {
      state[key] = value;
      drawn.redraw(content());
    };
    const methods = el("span", { class: "choices" });
    offerMethods();
    root.append(el("div", { class: "controls" },
      choice({ label: "Metric", value: state.metric, options: head.metrics.map((one) => ({ value: one, text: metric(one) })), onchange: change("metric") }),
      tasks.length > 1 && choice({ label: "Task", value: state.task, options: tasks, onchange: changeTask }),
      methods,
      choice({ label: "Labels used", value: "", options: [{ value: "", text: "any" }, "none", "validation", "training"], onchange: change("labels") }),
      board.rows.some(isOfLayers) && choice({ label: "Sparsity", value: "layers", options: [{ value: "layers", text: "of the pruned layers" }, { value: "", text: "of the network" }], onchange: change("across") }),
      choice({ label: "Steps of the axis", value: "", options: [{ value: "", text: "fit to the data" }, { value: "even", text: "equal steps of sparsity" }, { value: "log", text: "equal factors of density" }], onchange: change("scale") })));
    drawn = tools.chart(root, (size) => content().draw(size), content());

    function changeTask(task) {
      Object.assign(state, { task, method: firstMethod(task) });
      offerMethods();
      drawn.redraw(content());
    }

    /** The methods with a curve, in the order of the board, and all rows together. */
    function offerMethods() {
      const names = [...new Set(curvesOf(rowsOf(state.task)).map((row) => row.method))];
      const options = [{ value: "", text: "all" }, ...names.map((one, at) => ({ value: at + 1, text: one }))];
      methods.replaceChildren(...(names.length > 1 ? [choice({ label: "Method", value: 1 + names.indexOf(state.method) || "", options,
        onchange: (value) => change("method")(value ? names[Number(value) - 1] : null) })] : []));
    }

    /** The method whose curves are shown first; null: all rows, where one chart can hold them. */
    function firstMethod(task) {
      const found = curvesOf(rowsOf(task));
      return found.length > MANY ? found[0].method : null;
    }

    /** The first row of every series that has several rows. */
    function curvesOf(rows) {
      const counts = d3.rollup(rows, (of) => of, (row) => row.series);
      return [...counts.values()].filter((of) => of.length > 1).map((of) => of[0]);
    }

    /** Whether named layers alone were pruned, to a sparsity of their own. */
    function isOfLayers(row) {
      return "layers" in row.swept && typeof row.swept.sparsity === "number" && row.swept.sparsity >= 0 && row.swept.sparsity <= 1;
    }

    function rowsOf(task) {
      return board.rows.filter((row) => row.task === task);
    }

    /** What the chart shows now: its drawing, title, description and table. */
    function content() {
      const percent = unitOf(state.metric) === "%";
      const factor = percent ? 100 : 1;
      const all = rowsOf(state.task).filter((row) => row.metrics[state.metric]);
      const ceiling = all.find((row) => row.label === head.ceiling || row.method === head.ceiling);
      const shown = all.filter((row) => row !== ceiling && (!state.labels || row.labels === state.labels) && (state.method === null || row.method === state.method));
      const ofLayers = state.across === "layers" && shown.some(isOfLayers) && shown.every((row) => isOfLayers(row) || row.sparsity === 0);
      const points = shown.map((row) => pointOf(row, factor, ofLayers)).sort((a, b) => a.density > b.density ? -1 : 1);
      const series = [...new Set(points.map((point) => point.series))].sort();
      const curves = series.filter((one) => points.filter((point) => point.series === one).length > 1);
      const style = new Map(series.map((one, at) => [one, { colour: tools.colour(at), symbol: tools.symbol(at) }]));
      const lines = [
        ceiling && { y: factor * ceiling.metrics[state.metric].mean, text: `ceiling: ${tools.inside(ceiling.words, 40)}`, dash: "2 3", row: ceiling },
        ...twinsOf(points, all).map((twin) => ({ y: factor * twin.metrics[state.metric].mean, text: `dense control: ${tools.inside(twin.words, 40)}`, dash: "7 4", row: twin })),
      ].filter(Boolean);
      const dense = lines.filter((line) => line.row !== ceiling);
      return {
        draw: (size) => drawing(size, { points, series, curves, style, lines, percent, ofLayers }),
        title: `${metric(state.metric)} over sparsity`,
        description: [
          `${points.length} ${points.length === 1 ? "row" : "rows"}${state.method === null ? "" : ` of ${tools.inside(state.method)}`}${state.task ? ` on ${tools.inside(state.task)}` : ""}, ${seedsOf(points)} seeds each.`,
          curves.length ? "A curve joins rows that differ in sparsity alone; bands and bars are 95 % intervals." : "Bars are 95 % intervals.",
          ...lines.filter((line) => line.row === ceiling).map((line) => `Dotted line: ${line.text}.`),
          dense.length > 1 ? `Dashed lines: dense controls: ${dense.map((line) => tools.inside(line.row.words, 40)).join("; ")}.` : dense.map((line) => `Dashed line: ${line.text}.`).join(""),
          points.some((point) => "layers" in point.row.swept) && !ofLayers ? "Sparsity is that of the whole network: one layer is a share of it." : "",
          points.some((point) => point.marked) ? "A star marks rows with marks, as the table says." : "",
        ].filter(Boolean).join(" "),
        table: {
          columns: ["row", { title: "sparsity, %", numeric: true }, { title: `${metric(state.metric)}${percent ? ", %" : ""}`, numeric: true }, { title: "seeds", numeric: true }, "labels", "marks"],
          rows: [...lines.map((line) => line.row), ...points.filter((point) => !lines.some((line) => line.row === point.row)).map((point) => point.row)].map((row) => [
            tools.name(row.words), tools.number(row.sparsity), tools.interval(row.metrics[state.metric], { unit: unitOf(state.metric) }),
            row.seeds.length, row.labels, tools.name(row.marks.join("; ") || "–")]),
        },
      };
    }

    function pointOf(row, factor, ofLayers) {
      const found = row.metrics[state.metric];
      const sparsity = ofLayers && isOfLayers(row) ? row.swept.sparsity : row.sparsity;
      return {
        row, words: row.words, series: row.series, sparsity: 100 * sparsity, density: Math.max(100 * (1 - sparsity), 0.01),
        mean: factor * found.mean, low: found.low === null ? null : factor * found.low, high: found.high === null ? null : factor * found.high,
        marked: row.marks.length > 0, ranked: row.ranked,
      };
    }

    function seedsOf(points) {
      const counts = points.map((point) => point.row.seeds.length);
      const [few, many] = [Math.min(...counts), Math.max(...counts)];
      return few === many ? String(few) : `${few} to ${many}`;
    }

    /** The dense rows that pruned ones are held against, that of most rows first. */
    function twinsOf(points, all) {
      const votes = d3.rollup(points.filter(({ row }) => row.control && row.sparsity > 0.01), (of) => of.length, ({ row }) => row.control);
      const order = [...votes.keys()].sort((a, b) => votes.get(b) - votes.get(a));
      return order.map((label) => all.find((row) => row.label === label)).filter((row) => row && row.sparsity < 0.01);
    }

    /** The name of a point or of its curve; where all points are of one method, what differs among them. */
    function nameOf(text, method) {
      const rest = text.startsWith(`${method}, `) ? text.slice(method.length + 2) : text;
      return state.method === null ? text : rest;
    }

    function drawing({ width, narrow }, { points, series, curves, style, lines, percent, ofLayers }) {
      const log = state.scale ? state.scale === "log" : points.some((point) => point.sparsity > 92 && point.sparsity < 99.99);
      const x = log ? (point) => point.density : (point) => point.sparsity;
      const ticks = log ? (narrow ? [100, 50, 10, 1, 0.1] : [100, 50, 20, 10, 5, 2, 1, 0.5, 0.1]).filter((one) => one >= 0.9 * Math.min(...points.map((point) => point.density))) : undefined;
      const label = ofLayers ? "sparsity of the pruned layers, %" : "sparsity, %";
      const [least, most] = d3.extent(points, x);
      const middle = log ? Math.sqrt(least * most) : least + 0.35 * (most - least);
      const single = points.filter((point) => !curves.includes(point.series));
      const joined = points.filter((point) => curves.includes(point.series));
      const colours = { domain: series, range: series.map((one) => style.get(one).colour) };
      const ends = curves.map((one) => points.filter((point) => point.series === one)).map((of) => of[of.length - 1]);
      const legend = series.map((one) => ({ text: nameOf(one, state.method), colour: style.get(one).colour, symbol: style.get(one).symbol,
        hollow: !points.find((point) => point.series === one).ranked }));
      return {
        below: narrow || state.method !== null ? tools.key(legend) : null,
        height: narrow ? 360 : 460, marginRight: narrow ? 20 : 170, marginBottom: 46, marginLeft: 48, marginTop: 26,
        x: log
          ? { type: "log", reverse: true }
          : { label, labelAnchor: "center", labelArrow: "none", grid: true, nice: true },
        y: { label: `${metric(state.metric)}${percent ? ", %" : ""}`, labelArrow: "none", grid: true, nice: true },
        color: colours,
        marks: [
          log ? tools.factorsAxis(ticks, (density) => String(Number((100 - density).toPrecision(4))), `${label} (equal factors of density)`) : null,
          Plot.areaY(joined.filter((point) => point.low !== null), { x, y1: "low", y2: "high", z: "series", fill: "series", fillOpacity: 0.16 }),
          Plot.ruleX(points.filter((point) => point.low !== null), { x, y1: "low", y2: "high", stroke: "series", strokeOpacity: 0.75 }),
          ...lines.map((line) => Plot.ruleY([line], { y: "y", stroke: "currentColor", strokeDasharray: line.dash, strokeWidth: 1.4 })),
          Plot.line(joined, { x, y: "mean", z: "series", stroke: "series", strokeWidth: 2 }),
          ...series.map((one) => Plot.dot(points.filter((point) => point.series === one), {
            x, y: "mean", symbol: style.get(one).symbol, r: 4.2, stroke: style.get(one).colour, strokeWidth: 1.6,
            fill: (point) => (point.ranked ? style.get(one).colour : "var(--page)") })),
          tools.stars(points.filter((point) => point.marked), { x, y: "mean" }),
          tools.namesBeside([...lines, ...(narrow ? [] : [...ends, ...single])], {
            others: points.filter((point) => narrow || !(ends.includes(point) || single.includes(point))), farthest: 24,
            x: (point) => (point.series ? x(point) : middle), y: (point) => (point.series ? point.mean : point.y),
            dy: (point) => (point.series ? 0 : -9),
            above: (point) => (point.series ? (point.marked ? 15 : 7) : null),
            text: (point) => tools.middle(point.series ? nameOf(curves.includes(point.series) ? point.series : point.words, state.method) : point.text, narrow ? 30 : 28) }),
          Plot.tip(points, Plot.pointer({ x, y: "mean", title: (point) => `${tools.short(point.words, 60)}\n${tools.interval(point.row.metrics[state.metric], { unit: unitOf(state.metric), seeds: true })}${point.row.marks.length ? `\n${point.row.marks.join("\n")}` : ""}` })),
        ],
      };
    }
  },
});
