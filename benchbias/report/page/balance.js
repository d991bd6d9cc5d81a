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
    const UNTOLD = (level) => `it is undefined, or the controls' own balances do not differ from none at ${level}`;
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
      if (!one.lines.some((line) => line.alpha && line.compression > 0)) {
        without(one);
        return;
      }
      const rows = rowsOf(one.lines);
      const known = one.lines.filter((line) => line.alpha && line.compression > 0);
      const bounds = (line) => (line.low !== null && line.high !== null ? [line.low, line.high]
        : [line.alpha.low ?? line.alpha.mean, line.alpha.high ?? line.alpha.mean]);
      const level = levelOf(one);
      const domain = reach(known.map((line) => [line.alpha.mean, ...bounds(line)]));
      const [low, high] = domain;
      const inside = (value) => Math.max(low, Math.min(high, value));
      const cut = known.flatMap((line) => {
        const [least, most] = bounds(line);
        return [...(least < low ? [{ line, at: low, turn: 180 }] : []), ...(most > high ? [{ line, at: high, turn: 0 }] : [])];
      });
      const uniform = known.filter((line) => line.uniform);
      const beyond = (line) => line.uniform.mean < low || line.uniform.mean > high;
      chart(root, ({ narrow }) => known.length && {
        below: narrow ? tools.key([...rows].map(([row, at]) => ({ text: row, colour: colour(at), symbol: symbol(at),
          hollow: one.lines.find((line) => line.row === row).again }))) : null,
        height: 320, marginLeft: 50, marginBottom: 42,
        marginRight: narrow ? 20 : 190,
        x: { type: "log", label: "compression (weights before over weights after)", tickFormat: "~s",
          ticks: narrow ? 4 : 8, inset: 14 },
        y: { label: "alpha", grid: true, domain, inset: 10 },
        marks: [
          Plot.ruleY([1], { stroke: "var(--quiet)", strokeDasharray: "4 3" }),
          Plot.ruleX(known, { x: "compression", y1: (line) => inside(bounds(line)[0]), y2: (line) => inside(bounds(line)[1]),
            stroke: (line) => colour(rows.get(line.row)), strokeWidth: 1.5 }),
          Plot.dot(known, { x: "compression", y: (line) => line.alpha.mean, r: 5,
            symbol: (line) => symbol(rows.get(line.row)), stroke: (line) => colour(rows.get(line.row)), strokeWidth: 1.6,
            fill: (line) => (line.again ? "var(--page)" : colour(rows.get(line.row))),
            title: (line) => `${line.row}: ${interval(line.alpha, { unit: "" })}` }),
          Plot.dot(cut, { x: (end) => end.line.compression, y: "at", symbol: "triangle", rotate: "turn", r: 4,
            fill: (end) => colour(rows.get(end.line.row)) }),
          Plot.dot(uniform.filter((line) => !beyond(line)), { x: "compression", y: (line) => line.uniform.mean, r: 3,
            symbol: "times", stroke: "var(--ink)" }),
          Plot.dot(uniform.filter(beyond), { x: "compression", y: (line) => inside(line.uniform.mean), r: 4, symbol: "triangle",
            rotate: (line) => (line.uniform.mean < low ? 180 : 0), stroke: "var(--ink)", strokeWidth: 1.5,
            title: (line) => `${line.row}: alpha if uniform ${interval(line.uniform, { unit: "" })}` }),
          narrow ? null : tools.namesBeside(known, { x: "compression", y: (line) => line.alpha.mean,
            text: (line) => short(line.row, 26), fill: (line) => colour(rows.get(line.row)) }),
        ],
      }, {
        title: "Alpha over compression",
        description: `Rules are ${level} bounds. The dashed line is alpha = 1. Hollow: a control beside itself with another seed. `
          + "A small cross: alpha if every class had lost alike."
          + (cut.length || uniform.some(beyond) ? " A triangle at the edge: what lies beyond it, a filled one of bounds, an open one of a cross." : "")
          + (one.lines.some((line) => !line.alpha) ? ` ${one.lines.filter((line) => !line.alpha).length} of ${one.lines.length} rows have no alpha: ${UNTOLD(level)}.` : ""),
        table: { columns: columns(one), rows: cells(one) },
      });
    }

    function levelOf(one) {
      return one.level ? `${Number((100 * one.level).toPrecision(3))} %` : "95 %";
    }

    /** Where the axis of alpha ends: bounds and crosses far from all alphas are cut, else nobody could read these. */
    function reach(all) {
      const means = [1, ...all.map(([mean]) => mean)];
      const room = Math.max(d3.max(means) - d3.min(means), d3.median(all, ([, low, high]) => high - low), 0.1);
      return [Math.max(d3.min(means) - room, Math.min(...means, ...all.flat())), Math.min(d3.max(means) + room, Math.max(...means, ...all.flat()))];
    }

    /** Tables without a single alpha that could be drawn: a sentence why, and the data. */
    function without(one) {
      const reliable = d3.extent(one.lines.map((line) => line.reliability).filter((value) => value !== null && value !== undefined));
      const shown = [...new Set(reliable.filter((value) => value !== undefined).map((value) => value.toFixed(2)))].join(" to ");
      root.append(
        el("p", {}, one.lines.some((line) => line.alpha) ? "No row with an alpha has a compression, so nothing is drawn."
          : `No row has an alpha: ${UNTOLD(levelOf(one))}. A slope over them would mean nothing.`,
        shown && !one.lines.some((line) => line.alpha) ? ` Their reliability is ${shown}: how well the balances on half of the test images predict those on the other half, at best 1.` : ""),
        tools.folded("The data of these rows", tools.table(columns(one), cells(one), { caption: `Alpha by row: ${one.analysis}`, hideCaption: true })));
    }

    function columns(one) {
      return ["row", "control", { title: "compression", numeric: true }, { title: "alpha", numeric: true },
        { title: `${levelOf(one)} bounds`, numeric: true }, "mark", { title: "alpha if uniform", numeric: true },
        { title: "reliability", numeric: true }, { title: "models", numeric: true }];
    }

    function cells(one) {
      const number = (value, say) => (value === null || value === undefined ? "–" : say(value));
      return one.lines.map((line) => [name(line.row), name(line.control), number(line.compression, scaled),
        interval(line.alpha, { unit: "", seeds: true }), line.low === null ? "–" : `${scaled(line.low)} to ${scaled(line.high)}`,
        line.mark || "–", interval(line.uniform, { unit: "" }), number(line.reliability, scaled), number(line.models, String)]);
    }

    /** The most pruned row, if possible one that has not collapsed; never a control, which nothing was pruned from. */
    function pruned(one, rows) {
      const known = (row) => one.lines.some((line) => line.row === row && line.before !== null && line.after !== null);
      const found = rows.map((row) => ({ row, ...data.board.rows.find((other) => other.task === one.task && other.label === row) }));
      const place = ({ row, sparsity, collapsed }) => 4 * known(row) + 2 * (sparsity > 0 && !collapsed) + (sparsity || 0);
      return d3.greatest(found, place).row;
    }

    function balances(one) {
      heading(one);
      const rows = [...new Set(one.lines.map((line) => line.row))];
      const state = { row: pruned(one, rows) };
      const here = () => one.lines.filter((line) => line.row === state.row);
      const known = () => here().filter((line) => line.before !== null && line.after !== null);
      const told = el("p");
      root.append(el("div", { class: "controls" }, choice({
        label: "Row", options: rows, value: state.row,
        onchange: (value) => {
          state.row = value;
          update();
        },
      })), told);
      const drawn = chart(root, ({ width, narrow }) => known().length && picture(width, narrow, extent(known())), words());
      update();

      function update() {
        told.textContent = known().length ? "" : `No ${one.part} of this row has a balance both before and after.`;
        told.hidden = known().length > 0;
        drawn.redraw(words());
      }

      /** Both axes end where the shown row's balances do. */
      function extent(lines) {
        const [least, most] = d3.extent(lines.flatMap((line) => [line.before, line.after]));
        return least < most ? [least, most] : [least - 0.01, most + 0.01];
      }

      function picture(width, narrow, domain) {
        return {
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
        };
      }

      function words() {
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
