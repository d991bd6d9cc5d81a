// Heat maps: pruned layers by amount, and probes of neurons and layers by group.
"use strict";

benchbias.section({
  id: "heat",
  title: "Layers and neurons",
  draw(data, root, tools) {
    const { el, name, short, number, scaled, interval, choice, chart, metric, unitOf } = tools;
    const { heat } = data;
    if (!heat) return;
    if (heat.sweeps.length) sweeps(heat.sweeps);
    const changing = (one) => Number(one.numbers.some((column) => column.name === "difference"));
    if (heat.probes.length) probes([...heat.probes].sort((one, two) => changing(two) - changing(one)));

    /** A colour of a signed value between -1 and 1: blue is higher, red is lower; and the ink that is read on it. */
    function shade(share) {
      const fill = d3.interpolateRdBu(0.5 + 0.42 * Math.max(-1, Math.min(1, share)));
      return { fill, ink: d3.lab(fill).l < 62 ? "#ffffff" : "#1b1f26" };
    }

    /** What a pattern of layers means: `*` is every layer, `!head` all but that one; others stand as they are. */
    function layersOf(pattern, noun = " layers") {
      if (pattern === "*") return `all${noun}`;
      const parts = pattern.split("+");
      if (!parts.every((part) => /^![^!*?[]+$/.test(part))) return pattern;
      return `all${noun} but ${parts.map((part) => part.slice(1)).join(" and ")}`;
    }

    /**
     * The options of a heat map; cells: {x, y, value, text, words}. The scale is symmetric about zero; least: where it
     * ends at least. saying: what a line is called.
     */
    function map(cells, { width, narrow, x, y, across, down, left, least, saying = (text) => text }) {
      const largest = Math.max(...cells.map((cell) => Math.abs(cell.value)), least);
      const made = cells.map((cell) => ({ ...cell, ...shade(cell.value / largest) }));
      const room = (width - left) / x.length;
      const longest = Math.max(...x.map((text) => Array.from(String(text)).length));
      const wrapped = longest * 7 > room && room >= 90;
      const turned = longest * 7 > room && !wrapped;
      const below = turned ? 44 + Math.ceil(5.2 * Math.min(36, longest)) : wrapped ? 80 : 50;
      return {
        height: 22 + below + Math.max(28, narrow ? 28 : 30) * y.length,
        marginLeft: left, marginBottom: below, marginTop: 22, marginRight: 8,
        x: { domain: x, label: across, padding: 0.03, tickRotate: turned ? -50 : 0, tickFormat: (text) => short(text, turned ? 36 : 60), tickSize: 0 },
        y: { domain: y, label: down, padding: 0.06, tickFormat: (text) => short(saying(text), Math.floor((left - 28) / 6.8)), tickSize: 0 },
        marks: [
          wrapped ? Plot.axisX({ lineWidth: room / 13, tickFormat: (text) => short(text, 60), tickSize: 0, label: across }) : null,
          Plot.cell(made, { x: "x", y: "y", fill: "fill", inset: 0.5, title: "words" }),
          Plot.text(made, { x: "x", y: "y", text: "text", fill: "ink", fontSize: narrow ? 10 : 12 }),
        ],
      };
    }

    function sweeps(all) {
      root.append(el("h3", {}, "Pruned layers"));
      const metrics = data.head.metrics;
      const state = { sweep: 0, metric: metrics[0] };
      const AMOUNTS = { removed: "weights removed", sparsity: "sparsity of the pruned layers", density: "density of the pruned layers" };
      root.append(el("div", { class: "controls" },
        choice({ label: "Method", value: 0,
          options: all.map((one, at) => ({ value: at, text: data.head.tasks.length > 1 ? `${one.method} (${one.task})` : one.method })),
          onchange: (value) => {
            state.sweep = Number(value);
            drawn.redraw(told());
          } }),
        choice({ label: "Metric", value: state.metric,
          options: metrics.map((one) => ({ value: one, text: metric(one) })),
          onchange: (value) => {
            state.metric = value;
            drawn.redraw(told());
          } })));
      const unit = () => (unitOf(state.metric) === "%" ? "points" : "");
      const known = () => all[state.sweep].cells.map((cell) => ({ ...cell, change: cell.changes[state.metric] })).filter((cell) => cell.change);
      const drawn = chart(root, ({ width, narrow }) => known().length && map(known().map((cell) => ({
        x: cell.amount, y: cell.layers, value: cell.change.mean,
        text: number(cell.change.mean, { unit: unit(), sign: true, digits: narrow ? 0 : 1 }),
        words: `${layersOf(cell.layers)}, ${cell.amount}: ${interval(cell.change, { unit: unit(), sign: true, seeds: true })}`,
      })), { width, narrow, x: all[state.sweep].amounts, y: all[state.sweep].layers, across: AMOUNTS[all[state.sweep].amount], down: "pruned layers", left: narrow ? 118 : 165, least: unit() ? 0.1 : 1e-9,
        saying: (pattern) => layersOf(pattern, narrow ? "" : " layers") }), told());

      function told() {
        const one = all[state.sweep];
        return {
          title: `Change of ${metric(state.metric)}: ${short(one.method, 60)}`,
          description: `In ${unit() || "its unit"} from ${short(one.control, 60)}, from which nothing was pruned; means over seeds, paired. Blue: higher. Red: lower. `
            + "The colours end at the largest change, or at 10 points. These changes are not adjusted for their number: the table has their intervals.",
          table: {
            columns: ["pruned layers", { title: AMOUNTS[one.amount], numeric: true }, { title: `change, ${unit()}`, numeric: true }],
            rows: known().map((cell) => [name(layersOf(cell.layers)), scaled(cell.amount), interval(cell.change, { unit: unit(), sign: true, seeds: true })]),
          },
        };
      }
    }

    function probes(all) {
      root.append(el("h3", {}, "Probes of neurons and layers"), el("p", {}, "A probe measures a finished model, group by group; most of them change some neurons or a layer for that. Nothing of it reaches training or a score."));
      const state = { probe: all[0].probe };
      const rowOf = (one) => `${data.head.tasks.length > 1 ? `${one.task}: ` : ""}${one.row}`;
      const here = () => all.filter((one) => one.probe === state.probe);
      const box = el("div", { class: "controls" });
      root.append(box);
      const downOf = (cell) => cell.down.join(", ");
      const unit = () => (column().kind === "fraction" ? "%" : "");
      const known = () => state.one.cells.map((cell) => ({ ...cell, value: cell.values[state.number] })).filter((cell) => cell.value);
      state.one = here()[0];
      state.number = first(state.one);
      const drawn = chart(root, ({ width, narrow }) => draw(width, narrow), told());
      fill();

      function first(one) {
        const varies = (column) => new Set(one.cells.map((cell) => cell.values[column.name]).filter((value) => value).map((value) => value.mean)).size > 1;
        return (one.numbers.find((column) => column.name === "difference") || one.numbers.find(varies) || one.numbers[0]).name;
      }

      function fill() {
        box.replaceChildren(
          choice({ label: "Probe", value: state.probe, options: [...new Set(all.map((one) => one.probe))], onchange: (value) => {
            state.probe = value;
            const kept = here().find((one) => rowOf(one) === rowOf(state.one));
            state.one = kept || here()[0];
            state.number = first(state.one);
            fill();
            drawn.redraw(told());
          } }),
          choice({ label: "Row", value: all.indexOf(state.one), options: here().map((one) => ({ value: all.indexOf(one), text: rowOf(one) })), onchange: (value) => {
            state.one = all[Number(value)];
            if (!state.one.numbers.some((column) => column.name === state.number)) state.number = first(state.one);
            fill();
            drawn.redraw(told());
          } }),
          choice({ label: "Number", value: state.number, options: state.one.numbers.map((column) => ({ value: column.name, text: column.unit ? `${column.name}, ${column.unit}` : column.name })), onchange: (value) => {
            state.number = value;
            drawn.redraw(told());
          } }));
      }

      function column() {
        return state.one.numbers.find((one) => one.name === state.number);
      }

      function draw(width, narrow) {
        const cells = known();
        if (!cells.length) return null;
        return map(cells.map((cell) => ({
          x: cell.across, y: downOf(cell), value: cell.value.mean,
          text: unit() ? number(cell.value.mean) : cell.value.mean.toFixed(Math.abs(cell.value.mean) >= 10 || narrow ? 0 : 1).replace(/^-(?=0(\.0*)?$)/, "").replace("-", "−"),
          words: `${downOf(cell)}, ${cell.across}: ${interval(cell.value, { unit: unit(), seeds: true })}`,
        })), { width, narrow, x: [...new Set(cells.map((cell) => cell.across))], y: [...new Set(cells.map(downOf))],
          across: state.one.across, down: state.one.down.join(", "), left: narrow ? 136 : 270, least: column().unit === "points" ? 10 : 1e-9 });
      }

      function told() {
        const { one } = state;
        const always = Object.entries(one.always).map(([key, value]) => `${key} ${value}`).join(", ");
        return {
          title: `${short(one.probe, 40)}, ${state.number}: ${short(one.row, 60)}`,
          description: `${one.caption} Means over ${one.seeds} seeds${always ? `; always: ${always}` : ""}. `
            + (["change", "difference"].includes(state.number) ? "Blue: higher. Red: lower. " : "The deeper the blue, the larger. ")
            + "Intervals are over seeds alone and not adjusted for their number: the table has them.",
          table: {
            columns: [...one.down, one.across, ...one.numbers.map((column) => ({ title: column.unit ? `${column.name}, ${column.unit}` : column.name, numeric: true }))],
            rows: one.cells.map((cell) => [...cell.down.map((text) => name(text)), name(cell.across),
              ...one.numbers.map((column) => interval(cell.values[column.name], { unit: column.kind === "fraction" ? "%" : "", seeds: true }))]),
          },
        };
      }
    }
  },
});
