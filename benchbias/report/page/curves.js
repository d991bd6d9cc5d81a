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
    const state = { metric: head.rankBy, task: tasks[0], scale: null, labels: "" };
    let drawn = null;

    const change = (key) => (value) => {
      state[key] = value;
      drawn.redraw(content());
    };
    root.append(el("div", { class: "controls" },
      choice({ label: "Metric", value: state.metric, options: head.metrics.map((one) => ({ value: one, text: metric(one) })), onchange: change("metric") }),
      tasks.length > 1 && choice({ label: "Task", value: state.task, options: tasks, onchange: change("task") }),
      choice({ label: "Labels used", value: "", options: [{ value: "", text: "any" }, "none", "validation", "training"], onchange: change("labels") }),
      choice({ label: "Steps of the axis", value: "", options: [{ value: "", text: "fit to the data" }, { value: "even", text: "equal steps of sparsity" }, { value: "log", text: "equal factors of density" }], onchange: change("scale") })));
    drawn = tools.chart(root, (size) => content().draw(size), content());

    function rowsOf(task) {
      return board.rows.filter((row) => row.task === task);
    }

    /** What the chart shows now: its drawing, title, description and table. */
    function content() {
      const percent = unitOf(state.metric) === "%";
      const factor = percent ? 100 : 1;
      const all = rowsOf(state.task).filter((row) => row.metrics[state.metric]);
      const ceiling = all.find((row) => row.label === head.ceiling || row.method === head.ceiling);
      const shown = all.filter((row) => row !== ceiling && (!state.labels || row.labels === state.labels));
      const points = shown.map((row) => pointOf(row, factor)).sort((a, b) => a.density > b.density ? -1 : 1);
      const series = [...new Set(points.map((point) => point.series))].sort();
      const curves = series.filter((one) => points.filter((point) => point.series === one).length > 1);
      const style = new Map(series.map((one, at) => [one, { colour: tools.colour(at), symbol: tools.symbol(at) }]));
      const twin = twinOf(points, all, curves, factor);
      const lines = [
        ceiling && { y: factor * ceiling.metrics[state.metric].mean, text: `ceiling: ${tools.inside(ceiling.words, 40)}`, dash: "2 3", kind: "Dotted line", row: ceiling },
        twin && { y: factor * twin.metrics[state.metric].mean, text: `dense control: ${tools.inside(twin.words, 40)}`, dash: "7 4", kind: "Dashed line", row: twin },
      ].filter(Boolean);
      return {
        draw: (size) => drawing(size, { points, series, curves, style, lines, percent, factor }),
        title: `${metric(state.metric)} over sparsity`,
        description: [
          `${points.length} rows${state.task ? ` of ${tools.inside(state.task)}` : ""}, ${seedsOf(points)} seeds each.`,
          curves.length ? "A curve joins the rows of one method; bands and bars are 95 % intervals." : "Bars are 95 % intervals.",
          ...lines.map((line) => `${line.kind}: ${line.text}.`),
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

    function pointOf(row, factor) {
      const found = row.metrics[state.metric];
      return {
        row, words: row.words, series: row.series, sparsity: 100 * row.sparsity, density: Math.max(100 * (1 - row.sparsity), 0.01),
        mean: factor * found.mean, low: found.low === null ? null : factor * found.low, high: found.high === null ? null : factor * found.high,
        marked: row.marks.length > 0, ranked: row.ranked,
      };
    }

    function seedsOf(points) {
      const counts = points.map((point) => point.row.seeds.length);
      const [few, many] = [Math.min(...counts), Math.max(...counts)];
      return few === many ? String(few) : `${few} to ${many}`;
    }

    /** The control that most pruned rows are held against, where it is dense. */
    function twinOf(points, all, curves) {
      const votes = new Map();
      for (const { row } of points) if (row.control && row.sparsity > 0.01) votes.set(row.control, (votes.get(row.control) || 0) + 1);
      const order = [...votes.keys()].sort((a, b) => votes.get(b) - votes.get(a));
      return order.map((label) => all.find((row) => row.label === label)).find((row) => row && row.sparsity < 0.01);
    }

    function drawing({ width, narrow }, { points, series, curves, style, lines, percent }) {
      const log = state.scale ? state.scale === "log" : points.some((point) => point.sparsity > 92);
      const x = log ? (point) => point.density : (point) => point.sparsity;
      const ticks = log ? [100, 50, 20, 10, 5, 2, 1, 0.5, 0.1].filter((one) => one >= 0.9 * Math.min(...points.map((point) => point.density))) : undefined;
      const [least, most] = d3.extent(points, x);
      const middle = log ? Math.sqrt(least * most) : least + 0.35 * (most - least);
      const single = points.filter((point) => !curves.includes(point.series));
      const joined = points.filter((point) => curves.includes(point.series));
      const colours = { domain: series, range: series.map((one) => style.get(one).colour) };
      const ends = curves.map((one) => points.filter((point) => point.series === one)).map((of) => of[of.length - 1]);
      const legend = series.map((one) => ({ text: one, colour: style.get(one).colour, symbol: style.get(one).symbol,
        hollow: !points.find((point) => point.series === one).ranked }));
      return {
        below: narrow ? tools.key(legend) : null,
        height: narrow ? 360 : 460, marginRight: narrow ? 20 : 170, marginBottom: 46, marginLeft: 48, marginTop: 26,
        x: log
          ? { type: "log", reverse: true, ticks, tickFormat: (density) => String(Number((100 - density).toPrecision(4))), label: "sparsity, % (equal factors of density)", labelAnchor: "center", labelArrow: "none", grid: true }
          : { label: "sparsity, %", labelAnchor: "center", labelArrow: "none", grid: true, nice: true },
        y: { label: `${metric(state.metric)}${percent ? ", %" : ""}`, labelArrow: "none", grid: true, nice: true },
        color: colours,
        marks: [
          Plot.areaY(joined.filter((point) => point.low !== null), { x, y1: "low", y2: "high", z: "series", fill: "series", fillOpacity: 0.16 }),
          Plot.ruleX(points.filter((point) => point.low !== null), { x, y1: "low", y2: "high", stroke: "series", strokeOpacity: 0.75 }),
          ...lines.map((line) => Plot.ruleY([line], { y: "y", stroke: "currentColor", strokeDasharray: line.dash, strokeWidth: 1.4 })),
          Plot.line(joined, { x, y: "mean", z: "series", stroke: "series", strokeWidth: 2 }),
          ...series.map((one) => Plot.dot(points.filter((point) => point.series === one), {
            x, y: "mean", symbol: style.get(one).symbol, r: 4.2, stroke: style.get(one).colour, strokeWidth: 1.6,
            fill: (point) => (point.ranked ? style.get(one).colour : "var(--page)") })),
          tools.stars(points.filter((point) => point.marked), { x, y: "mean" }),
          tools.namesBeside([...lines, ...(narrow ? [] : [...ends, ...single])], {
            x: (point) => (point.series ? x(point) : middle), y: (point) => (point.series ? point.mean : point.y),
            fill: (point) => (point.series ? style.get(point.series).colour : "currentColor"),
            text: (point) => (point.series ? tools.middle(curves.includes(point.series) ? point.series : point.words, 28) : point.text) }),
          Plot.tip(points, Plot.pointer({ x, y: "mean", title: (point) => `${tools.short(point.words, 60)}\n${tools.interval(point.row.metrics[state.metric], { unit: unitOf(state.metric), seeds: true })}${point.row.marks.length ? `\n${point.row.marks.join("\n")}` : ""}` })),
        ],
      };
    }
  },
});
