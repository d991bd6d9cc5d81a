// The overview: what was found in sentences, the gaps to controls, and the ranks.
"use strict";

{
const { tools } = benchbias;
const ROOMY = 900; // pixels of a chart from which on numbers stand beside its points
const PAPER = 680; // pixels that charts are drawn for on paper

tools.VERDICTS["not judged"] = { words: "not judged", symbol: "diamond", rotate: 0, colour: "var(--open)", sign: "◇", hollow: true };

/** What is said of a row's gap to its control: below three seeds nothing; null where there is no gap. */
tools.judgement = (row) => row.verdict || (row.gap ? "not judged" : null);

benchbias.section({
  id: "overview",
  title: "Overview",
  draw(data, root) {
    const { el, choice, metric, judgement } = tools;
    const { head, board } = data;
    sentences();

    const content = el("div");
    const charts = [];
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `12px ${getComputedStyle(root).fontFamily}`;
    addEventListener("beforeprint", () => redrawn(`${PAPER}px`));
    addEventListener("afterprint", () => redrawn(""));
    const task = head.tasks.length > 1 && choice({
      label: "Task", options: head.tasks, value: head.tasks[0], onchange: (chosen) => show(chosen),
    });
    if (task) root.append(el("div", { class: "controls" }, task));
    root.append(content);
    show(head.tasks[0]);

    function show(chosen) {
      content.replaceChildren();
      charts.length = 0;
      for (const one of data.sentences[chosen] || []) content.append(el("p", { class: "finding" }, one));
      const rows = board.rows.filter((row) => row.task === chosen);
      forest(rows, content);
      ranks(rows, content);
    }

    /** Paper is narrower than a screen: what is drawn for a screen would be too small to read on it. */
    function redrawn(width) {
      for (const { figure, redraw } of root.isConnected ? charts : []) {
        figure.style.width = width;
        redraw();
      }
    }

    /** Gaps to controls with intervals: one line a row, by the labels that rows used. */
    function forest(rows, place) {
      const shown = rows.filter((row) => row.gap);
      if (!shown.length) return;
      const label = metric(head.rankBy);
      const { margin } = board;
      place.append(el("h3", {}, "Every row against its control"));
      const count = (one) => shown.filter((row) => judgement(row) === one).length;
      const unjudged = count("not judged");
      const counts = `Of ${shown.length} gaps, ${count("helps")} help, ${count("harms")} harm, `
        + `${count("no difference")} show no difference${unjudged ? "," : " and"} ${count("undecided")} are undecided${unjudged ? ` and ${unjudged} are not judged` : ""}.`;
      const better = head.lowerIsBetter ? "left" : "right";
      place.append(legend(unjudged));
      charts.push(tools.chart(place, ({ width, narrow }) => {
        const { ys, lines, left } = layout(shown, width);
        const numbers = width >= ROOMY;
        const right = numbers ? 350 : 14;
        const marks = shown.map((row) => ({ ...row, y: row.id, mean: 100 * row.gap.mean,
          low: row.gap.low === null ? null : 100 * row.gap.low, high: row.gap.high === null ? null : 100 * row.gap.high }));
        return {
          height: 70 + 20 * ys.length, marginLeft: left, marginRight: right, marginTop: 14, marginBottom: 42,
          x: { label: narrow ? "gap to control, points" : `gap to control in ${label}, points`, labelAnchor: "center",
            labelArrow: "none", grid: true, nice: true, ticks: ticksOn(width - left - right, 60) },
          y: { type: "band", domain: ys, axis: null },
          marks: [
            Plot.rectX([[-100 * margin, 100 * margin]], { x1: "0", x2: "1", fill: "currentColor", fillOpacity: 0.07 }),
            Plot.ruleX([0], { stroke: "currentColor", strokeWidth: 1.2 }),
            ...names(lines, left),
            Plot.ruleY(marks.filter((row) => row.low !== null),
              { y: "y", x1: "low", x2: "high", stroke: (row) => tools.verdict(judgement(row)).colour, strokeWidth: 2 }),
            ...points(marks, { x: "mean", y: "y", title: (row) => `${tools.short(row.words, 400)}: ${told(row)}` }),
            !numbers ? null : Plot.text(marks, { y: "y", frameAnchor: "right", textAnchor: "start", dx: 8, fill: "currentColor",
              text: (row) => tools.short(told(row), 54), title: told }),
          ],
        };
      }, {
        title: `Gap to the control in ${label}, with 95 % intervals`,
        description: `${counts} Better is to the ${better}. Grey band: within ${number(100 * margin)} points of `
          + "the control. Verdicts are adjusted for all gaps of the task (Holm); the intervals are of one row each."
          + `${unjudged ? " Below three seeds nothing is judged." : ""}`,
        table: {
          columns: ["row", "control", { title: "gap, points", numeric: true }, { title: "seeds", numeric: true }, "verdict", "labels", "marks"],
          rows: shown.map((row) => [tools.name(row.words), tools.name(controlWords(row, board)),
            tools.interval(row.gap, { sign: true }), row.gap.n, tools.verdictMark(judgement(row)), row.labels,
            tools.name([...row.marks, ...row.controlMarks.map((one) => `control: ${one}`)].join("; ") || "–")]),
        },
      }));
    }

    /** From which to which rank each row may stand, within its own labels. */
    function ranks(rows, place) {
      const shown = rows.filter((row) => row.ranked);
      const known = shown.filter((row) => row.rank);
      if (!known.length) return;
      place.append(el("h3", {}, "Ranks"));
      charts.push(tools.chart(place, ({ width }) => {
        const { ys, lines, left } = layout(shown, width);
        const right = width >= ROOMY ? 120 : 14;
        const last = Math.max(...known.map((row) => row.rank[1]));
        return {
          height: 70 + 20 * ys.length, marginLeft: left, marginRight: right, marginTop: 14, marginBottom: 42,
          x: { label: "rank (1 is best)", labelAnchor: "center", labelArrow: "none", domain: [0.5, last + 0.5],
            ticks: d3.range(1, last + 1, Math.ceil(last / ticksOn(width - left - right, 25, last))), tickFormat: "d", grid: true },
          y: { type: "band", domain: ys, axis: null },
          marks: [
            ...names(lines, left),
            Plot.ruleY(known, { y: "id", x1: (row) => row.rank[0], x2: (row) => row.rank[1], stroke: "var(--c0)", strokeWidth: 5, strokeLinecap: "round" }),
            Plot.dot(known, { y: "id", x: (row) => row.rank[0], fill: "var(--c0)", r: 4 }),
            Plot.text(shown.filter((row) => !row.rank), { y: "id", frameAnchor: "left", textAnchor: "start", dx: 4,
              fill: "var(--quiet)", text: (row) => (row.collapsed ? tools.short(row.marks[0], 40) : "not ranked") }),
          ],
        };
      }, {
        title: "Rank intervals, within the same group labels",
        description: "A bar goes from the best to the worst rank that paired tests leave open (Holm). "
          + "Two rows whose bars overlap may not differ.",
        table: {
          columns: ["row", "labels", { title: "from rank", numeric: true }, { title: "to rank", numeric: true }, { title: `${metric(head.rankBy)}, %`, numeric: true }, { title: "seeds", numeric: true }, "marks"],
          rows: shown.map((row) => [tools.name(row.words), row.labels, row.rank ? row.rank[0] : "–", row.rank ? row.rank[1] : "–",
            tools.interval(row.metrics[head.rankBy], { unit: tools.unitOf(head.rankBy) }), row.seeds.length, tools.name(row.marks.join("; ") || "–")]),
        },
      }));
    }

    /** How many ticks there is room for on so many pixels. */
    function ticksOn(pixels, each, most = 10) {
      return Math.max(2, Math.min(most, Math.floor(pixels / each)));
    }

    function told(row) {
      return `${tools.interval(row.gap, { sign: true })}${remark(row)}`;
    }

    function number(value) {
      return Number(value.toFixed(2)).toString();
    }

    function remark(row) {
      const first = row.marks[0] || (row.controlMarks[0] && `control: ${row.controlMarks[0]}`);
      return first ? ` · ${first}` : "";
    }

    function controlWords(row) {
      const found = board.rows.find((one) => one.task === row.task && one.label === row.control);
      return found ? found.words : row.control || "–";
    }

    function sentences() {
      const seeds = head.seeds.length;
      const failed = head.trials - head.scored;
      root.append(el("p", { class: "quiet" }, "Suite ", tools.name(head.suite), ", version ", tools.name(head.version),
        `: ${head.scored} scored ${head.scored === 1 ? "trial" : "trials"} of ${board.rows.length} ${board.rows.length === 1 ? "row" : "rows"}, ${seeds} ${seeds === 1 ? "seed" : "seeds"}.`
        + `${failed ? ` ${failed} ${failed === 1 ? "trial has" : "trials have"} no score.` : ""}`));
      if (head.limit !== null) {
        root.append(el("p", {}, el("strong", {}, "Limited run: "), `at most ${head.limit} images a split. Nothing here is comparable or ranked.`));
      }
      if (failed) {
        root.append(tools.folded(`Trials without a score (${failed})`, tools.table(
          ["row", "task", { title: "seed", numeric: true }, "status", "stage", "reason"],
          head.failed.map((one) => [tools.name(one.words), tools.name(one.task), one.seed, one.status, tools.name(one.stage), tools.name(one.reason)]),
          { caption: "Trials without a score", hideCaption: true })));
      }
    }

    /** The lines of a chart: rows in their order, with a line for each kind of labels above its rows. */
    function layout(shown, width) {
      const lines = [];
      let last = null;
      for (const row of shown) {
        const part = row.ranked ? `labels used: ${row.labels}` : "controls and ceilings, not ranked";
        if (part !== last) lines.push({ y: `head ${part}`, text: part, head: true });
        last = part;
        lines.push({ y: row.id, text: fitted(row.words, Math.min(0.42 * width, 300) - 16), whole: tools.short(row.words, 400), head: false });
      }
      const longest = Math.max(...lines.filter((line) => !line.head).map((line) => pen.measureText(line.text).width));
      return { lines, ys: lines.map((line) => line.y), left: Math.ceil(longest) + 16 };
    }

    /** A name with as many letters as so many pixels hold: both of its ends stay. */
    function fitted(text, pixels) {
      let letters = Math.min(Array.from(text).length, 80);
      while (letters > 4 && pen.measureText(tools.middle(text, letters)).width > pixels) letters -= 1;
      return tools.middle(text, letters);
    }

    function names(lines, left) {
      return [
        Plot.text(lines.filter((line) => !line.head), { y: "y", text: "text", title: "whole", frameAnchor: "left", textAnchor: "end", dx: -8, fill: "currentColor" }),
        Plot.text(lines.filter((line) => line.head), { y: "y", text: "text", frameAnchor: "left", textAnchor: "start", dx: 4 - left, fontWeight: 600, fill: "currentColor", stroke: "var(--page)", strokeWidth: 3 }),
      ];
    }

    function points(rows, channels) {
      return Object.entries(tools.VERDICTS).map(([key, one]) => Plot.dot(
        rows.filter((row) => (judgement(row) || "none") === key),
        { ...channels, symbol: one.symbol, rotate: one.rotate, r: 5, stroke: one.colour, strokeWidth: 1.8, fill: one.hollow ? "var(--page)" : one.colour }));
    }

    function legend(unjudged) {
      return el("p", { class: "quiet" }, "Signs: ", ["helps", "harms", "no difference", "undecided", ...(unjudged ? ["not judged"] : [])]
        .map((one, at) => [at ? " · " : "", tools.verdictMark(one)]), ".");
    }
  },
});
}
