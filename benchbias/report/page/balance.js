// Recall balance: alpha over compression, and every class before and after.
"use strict";

benchbias.section({
  id: "balance",
  title: "Recall balance",
  draw(data, root, tools) {
    const { el, name, short, scaled, interval, choice, chart, colour, symbol } = tools;
    const { balance } = data;
    if (!balance) return;
    root.append(el("p", {}, "A class is balanced where its recall is the accuracy of the whole. "
      + "Alpha above 1: the gaps between classes grew with compression. Alpha below 1: they shrank."));
    for (const one of balance.alphas) alphas(one);
    for (const one of balance.balances) balances(one);

    function rowsOf(lines) {
      const names = [...new Set(lines.map((line) => line.row))];
      return new Map(names.map((row, at) => [row, at]));
    }

    function heading(one) {
      root.append(el("h3", {}, name(one.task), ": ", name(one.analysis)),
        el("p", { class: "quiet" }, `${one.caption} Of ${one.trials} trials.`,
          one.conflict && " Not reproducible: computed again, it came out otherwise."));
    }

    function alphas(one) {
      heading(one);
      const rows = rowsOf(one.lines);
      const known = one.lines.filter((line) => line.alpha && line.compression > 0);
      const bounds = (line) => (line.low !== null && line.high !== null ? [line.low, line.high]
        : [line.alpha.low ?? line.alpha.mean, line.alpha.high ?? line.alpha.mean]);
      const level = one.level ? `${Number((100 * one.level).toPrecision(3))} %` : "95 %";
      chart(root, ({ narrow }) => known.length && {
        below: narrow ? tools.key([...rows].map(([row, at]) => ({ text: row, colour: colour(at), symbol: symbol(at),
          hollow: one.lines.find((line) => line.row === row).again }))) : null,
        height: 320, marginLeft: 50, marginBottom: 42,
        marginRight: narrow ? 20 : 190,
        x: { type: "log", label: "compression (weights before over weights after)", tickFormat: "~s",
          ticks: narrow ? 4 : 8, inset: 14 },
        y: { label: "alpha", grid: true, nice: true },
        marks: [
          Plot.ruleY([1], { stroke: "var(--quiet)", strokeDasharray: "4 3" }),
          Plot.ruleX(known, { x: "compression", y1: (line) => bounds(line)[0], y2: (line) => bounds(line)[1],
            stroke: (line) => colour(rows.get(line.row)), strokeWidth: 1.5 }),
          Plot.dot(known, { x: "compression", y: (line) => line.alpha.mean, r: 5,
            symbol: (line) => symbol(rows.get(line.row)), stroke: (line) => colour(rows.get(line.row)), strokeWidth: 1.6,
            fill: (line) => (line.again ? "var(--page)" : colour(rows.get(line.row))),
            title: (line) => `${line.row}: ${interval(line.alpha, { unit: "" })}` }),
          Plot.dot(known.filter((line) => line.uniform), { x: "compression", y: (line) => line.uniform.mean, r: 3,
            symbol: "times", stroke: "var(--ink)" }),
          narrow ? null : tools.namesBeside(known, { x: "compression", y: (line) => line.alpha.mean,
            text: (line) => short(line.row, 26), fill: (line) => colour(rows.get(line.row)) }),
        ],
      }, {
        title: "Alpha over compression",
        description: `Rules are ${level} bounds. The dashed line is alpha = 1. Hollow: a control beside itself with another seed. `
          + "A small cross: alpha if every class had lost alike.",
        table: {
          columns: ["row", "control", { title: "compression", numeric: true }, { title: "alpha", numeric: true },
            { title: `${level} bounds`, numeric: true }, "mark", { title: "alpha if uniform", numeric: true },
            { title: "models", numeric: true }],
          rows: one.lines.map((line) => [name(line.row), name(line.control),
            line.compression === null ? "–" : scaled(line.compression), interval(line.alpha, { unit: "", seeds: true }),
            line.low === null ? "–" : `${scaled(line.low)} to ${scaled(line.high)}`, line.mark || "–",
            interval(line.uniform, { unit: "" }), line.models === undefined || line.models === null ? "–" : String(line.models)]),
        },
      });
    }

    function balances(one) {
      heading(one);
      const rows = [...new Set(one.lines.map((line) => line.row))];
      const spread = (row) => d3.deviation(one.lines.filter((line) => line.row === row), (line) => line.after) ?? 0;
      const state = { row: d3.greatest(rows, spread) };
      const here = () => one.lines.filter((line) => line.row === state.row);
      const known = () => here().filter((line) => line.before !== null && line.after !== null);
      const all = one.lines.flatMap((line) => [line.before, line.after]).filter((value) => value !== null);
      const domain = [Math.min(...all), Math.max(...all)];
      root.append(el("div", { class: "controls" }, choice({
        label: "Row", options: rows, value: state.row,
        onchange: (value) => {
          state.row = value;
          drawn.redraw(told());
        },
      })));
      const drawn = chart(root, ({ width, narrow }) => known().length && {
        width: Math.min(width, 620), height: narrow ? 320 : 440, marginLeft: 56, marginBottom: 42, marginTop: 26,
        x: { domain, nice: true, inset: 10, label: "balance before, (R − A) / A", grid: true },
        y: { domain, nice: true, inset: 10, label: "balance after", grid: true },
        marks: [
          Plot.line([[domain[0], domain[0]], [domain[1], domain[1]]], { stroke: "var(--quiet)", strokeDasharray: "4 3" }),
          Plot.ruleX([0], { stroke: "var(--line)" }), Plot.ruleY([0], { stroke: "var(--line)" }),
          Plot.dot(known(), { x: "before", y: "after", r: 4, stroke: "var(--c0)", fill: "var(--c0)", fillOpacity: 0.5,
            title: (line) => `${one.part} ${line.part}: ${scaled(line.before)} to ${scaled(line.after)}` }),
          Plot.text(known().length > 30 ? [] : known(), { x: "before", y: "after", text: (line) => short(line.part, 12), dx: 7, textAnchor: "start",
            fill: "var(--ink)", stroke: "var(--page)", strokeWidth: 3 }),
        ],
      }, told());

      function told() {
        const lines = here();
        return {
          title: `Balance of every ${one.part}, before and after: ${short(state.row, 60)}`,
          description: `Each point is one ${one.part}, beside its control ${short(lines[0].control, 60)}. On the dashed line nothing changed. `
            + "Points farther from zero after than before lost or gained more than the others.",
          table: {
            columns: [one.part, { title: "before", numeric: true }, { title: "after", numeric: true }, { title: "models", numeric: true }],
            rows: lines.map((line) => [name(line.part), line.before === null ? "–" : scaled(line.before),
              line.after === null ? "–" : scaled(line.after), String(line.models ?? "–")]),
          },
        };
      }
    }
  },
});
