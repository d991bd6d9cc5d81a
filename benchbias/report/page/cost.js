// Trade-offs: one metric against another, and a metric against what a row costs, with the front of the means.
"use strict";

benchbias.section({
  id: "cost",
  title: "Trade-offs and cost",
  draw(data, root, tools) {
    const { el, choice, metric, unitOf } = tools;
    const { head, board } = data;

    const COSTS = [
      { key: "trainingFlops", text: "training FLOPs", units: [[1, ""]] },
      { key: "seconds", text: "training time", units: [[1, "seconds"], [3600, "hours"]] },
      { key: "sparseFlops", text: "FLOPs of one image, non-zero weights", units: [[1, ""]] },
      { key: "nonzeroBytes", text: "size of non-zero parameters", units: [[2 ** 10, "KiB"], [2 ** 20, "MiB"], [2 ** 30, "GiB"]] },
      { key: "peakBytes", text: "peak memory of a trial", units: [[2 ** 10, "KiB"], [2 ** 20, "MiB"], [2 ** 30, "GiB"]] },
    ].map(inUnit).filter(Boolean);

    /** A cost in the largest of its units that some row has at least two of; null where no row has that cost. */
    function inUnit({ key, text, units }) {
      const found = board.rows.map((row) => row.costs[key]).map((one) => (one && typeof one === "object" ? one.mean : one)).filter((one) => one > 0);
      if (!found.length) return null;
      const [size, unit] = units.findLast(([one]) => d3.max(found) >= 2 * one) || units[0];
      const share = (value) => (value === null || value === undefined ? value : value / size);
      const of = ({ costs: { [key]: one } }) => (one && typeof one === "object" ? { ...one, mean: share(one.mean), low: share(one.low), high: share(one.high) } : one && share(one));
      return { key, text: unit ? `${text}, ${unit}` : text, all: of, of: (row) => (of(row) && typeof of(row) === "object" ? of(row).mean : of(row)) };
    }

    if (head.metrics.length > 1) against();
    if (COSTS.length) costs();

    function controls(state, more, change) {
      return el("div", { class: "controls" }, more,
        head.tasks.length > 1 && choice({ label: "Task", value: state.task, options: head.tasks, onchange: change("task") }),
        choice({ label: "Labels used", value: "", options: [{ value: "", text: "any" }, "none", "validation", "training"], onchange: change("labels") }));
    }

    function metrics(label, value, onchange) {
      return choice({ label, value, options: head.metrics.map((one) => ({ value: one, text: metric(one) })), onchange });
    }

    /** Accuracy against the metric that ranks. */
    function against() {
      const other = head.metrics.includes("accuracy") && head.rankBy !== "accuracy" ? "accuracy" : head.metrics.find((one) => one !== head.rankBy);
      const state = { x: other, y: head.rankBy, task: head.tasks[0], labels: "" };
      let drawn = null;
      const change = (key) => (value) => {
        state[key] = value;
        drawn.redraw(content());
      };
      root.append(el("h3", {}, "One metric against another"),
        controls(state, [metrics("Across", state.x, change("x")), metrics("Up", state.y, change("y"))], change));
      drawn = tools.chart(root, (size) => content().draw(size), content());

      function content() {
        const found = rowsOf(state).filter((row) => row.metrics[state.x] && row.metrics[state.y]);
        const factor = (key) => (unitOf(key) === "%" ? 100 : 1);
        const points = found.map((row) => ({
          row, x: factor(state.x) * row.metrics[state.x].mean, y: factor(state.y) * row.metrics[state.y].mean,
          ...bounds(row.metrics[state.x], factor(state.x), "x"), ...bounds(row.metrics[state.y], factor(state.y), "y"),
        }));
        const front = frontOf(points, [state.x, state.y], (point) => -sign(state.x) * point.x, (point) => sign(state.y) * point.y);
        const axis = (key) => `${metric(key)}${unitOf(key) ? ", %" : ""}`;
        return content_(points, front, { x: axis(state.x), y: axis(state.y), log: false, aimless: aimless([state.x, state.y]), title: `${metric(state.y)} against ${metric(state.x)}`,
          cells: (row) => [tools.interval(row.metrics[state.x], { unit: unitOf(state.x) }), tools.interval(row.metrics[state.y], { unit: unitOf(state.y) })] });
      }
    }

    /** The metric that ranks against what a row costs. */
    function costs() {
      const state = { cost: COSTS[0].key, y: head.rankBy, task: head.tasks[0], labels: "" };
      let drawn = null;
      const change = (key) => (value) => {
        state[key] = value;
        drawn.redraw(content());
      };
      root.append(el("h3", {}, "A metric against its cost"),
        controls(state, [choice({ label: "Cost", value: state.cost, options: COSTS.map((one) => ({ value: one.key, text: one.text })), onchange: change("cost") }),
          metrics("Metric", state.y, change("y"))], change));
      drawn = tools.chart(root, (size) => content().draw(size), content());
      root.append(el("p", { class: "quiet" }, "Time for one image is not measured: zeros in a dense tensor save no time. ",
        "Training time and memory are those of whole trials on the machines of the records. They vary from run to run. ",
        "A parameter counts 4 bytes."));

      function content() {
        const cost = COSTS.find((one) => one.key === state.cost);
        const factor = unitOf(state.y) === "%" ? 100 : 1;
        const points = rowsOf(state).filter((row) => row.metrics[state.y] && cost.of(row) > 0)
          .map((row) => ({ row, x: cost.of(row), y: factor * row.metrics[state.y].mean, ...bounds(row.metrics[state.y], factor, "y"), ...spread(cost.all(row)) }));
        const front = frontOf(points, [state.y], (point) => point.x, (point) => sign(state.y) * point.y);
        return content_(points, front, { x: cost.text, y: `${metric(state.y)}${unitOf(state.y) ? ", %" : ""}`, log: true, aimless: aimless([state.y]), title: `${metric(state.y)} against ${cost.text}`,
          cells: (row) => [told(cost.all(row)), tools.interval(row.metrics[state.y], { unit: unitOf(state.y) })] });
      }

      function spread(found) {
        return found && typeof found === "object" ? bounds(found, 1, "x") : {};
      }

      function told(found) {
        return found && typeof found === "object" ? tools.interval(found, { unit: "" }) : tools.scaled(found);
      }
    }

    function rowsOf(state) {
      return board.rows.filter((row) => row.task === state.task && (!state.labels || row.labels === state.labels));
    }

    /** 1 where more of a metric is better, -1 where less is, 0 where that is not known. */
    function sign(key) {
      return head.directions[key] || 0;
    }

    /** The metrics of which it is not known whether more or less is better. */
    function aimless(keys) {
      return [...new Set(keys)].filter((key) => !sign(key)).map((key) => tools.inside(metric(key)));
    }

    function bounds(found, factor, axis) {
      if (found.low === null || found.low === undefined) return {};
      return { [`${axis}1`]: factor * found.low, [`${axis}2`]: factor * found.high };
    }

    /** Rows that no ranked row beats in both: less cost and more gain. None where a metric has no better side. */
    function frontOf(points, keys, cost, gain) {
      return aimless(keys).length ? [] : tools.front(points.filter((point) => point.row.ranked && !point.row.collapsed), cost, gain);
    }

    function content_(points, front, { x, y, log, aimless: without, title, cells }) {
      const best = new Set(front.map((point) => point.row.id));
      const kinds = ["none", "validation", "training"];
      const domain = [0.85 * d3.min(points, (point) => (point.x1 > 0 ? point.x1 : point.x)), 1.18 * d3.max(points, (point) => point.x2 || point.x)];
      const axis = (narrow) => {
        const ticks = tools.ticksOf(domain, narrow ? 4 : 8);
        const texts = tools.tickTexts(ticks);
        return tools.factorsAxis(ticks, (tick) => texts.get(tick), x);
      };
      const order = [...front, ...points.filter((point) => !best.has(point.row.id))];
      return {
        draw: ({ width, narrow }) => (points.length ? {
          height: narrow ? 360 : 440, marginRight: narrow ? 20 : 130, marginBottom: 46, marginLeft: 48, marginTop: 26,
          x: log ? { type: "log", domain } : { label: x, labelAnchor: "center", labelArrow: "none", grid: true, nice: true, ticks: narrow ? 4 : 8 },
          y: { label: y, labelArrow: "none", grid: true, nice: true },
          marks: [
            log ? axis(narrow) : null,
            Plot.ruleY(points.filter((point) => point.x1 > 0 || (!log && point.x1 !== undefined)), { y: "y", x1: "x1", x2: "x2", stroke: (point) => colourOf(point), strokeOpacity: 0.35 }),
            Plot.ruleX(points.filter((point) => point.y1 !== undefined), { x: "x", y1: "y1", y2: "y2", stroke: (point) => colourOf(point), strokeOpacity: 0.35 }),
            Plot.line(front, { x: "x", y: "y", curve: "step-after", stroke: "currentColor", strokeDasharray: "5 4", strokeOpacity: 0.7 }),
            ...kinds.map((kind, at) => Plot.dot(points.filter((point) => point.row.labels === kind), { x: "x", y: "y", symbol: tools.symbol(at), r: 5,
              stroke: colourOf, strokeWidth: 1.6, fill: (point) => (point.row.ranked ? colourOf(point) : "var(--page)") })),
            tools.stars(points.filter((point) => point.row.marks.length), { x: "x", y: "y" }),
            tools.namesBeside(narrow ? front : order, { others: narrow ? order.slice(front.length) : [], x: "x", y: "y", dy: () => -8, farthest: 14,
              text: (point) => tools.middle(point.row.words, narrow ? 17 : 28), above: (point) => (point.row.marks.length ? 15 : 7),
              weight: (point) => (best.has(point.row.id) ? 700 : 400), quiet: (point) => !best.has(point.row.id) }),
            Plot.tip(points, Plot.pointer({ x: "x", y: "y", title: (point) => [tools.short(point.row.words, 60), ...cells(point.row), `n = ${point.row.seeds.length}`, ...point.row.marks].join("\n") })),
          ],
        } : null),
        title,
        description: `${points.length} rows. Shape and colour are the labels used: circle none, square validation, triangle training; `
          + `hollow: not ranked. ${frontTold(without)} A star marks rows with marks.`,
        table: {
          columns: ["row", { title: x, numeric: true }, { title: y, numeric: true }, { title: "seeds", numeric: true }, ...(without.length ? [] : ["on the Pareto front"]), "labels", "marks"],
          rows: points.map((point) => [tools.name(point.row.words), ...cells(point.row), point.row.seeds.length, ...(without.length ? [] : [best.has(point.row.id) ? "yes" : "no"]),
            point.row.labels, tools.name(point.row.marks.join("; ") || "–")]),
        },
      };
    }

    /** The sentences on the front, or on why there is none. */
    function frontTold(without) {
      if (without.length) return `No Pareto front is drawn: more of ${without.join(" and of ")} is not always better, nor is less.`;
      return "The dashed line is the Pareto front of the ranked rows, by their means: no other one beats them in both. "
        + "Intervals may overlap: the line is no test.";
    }

    function colourOf(point) {
      return tools.colour(["none", "validation", "training"].indexOf(point.row.labels));
    }
  },
});
