// The table of all rows: sorted, filtered, and each row opened to its groups, seeds, settings and command.
"use strict";

{
const SOURCES = {
  "default": "the defaults, chosen by nobody", "iid-val": "a search on validation data drawn as training is",
  "paper": "the paper or its code", "val-groups": "a search with the group labels of the validation split",
};

/** A ratio of costs: 1.7×. */
function times(value) {
  return value === null || value === undefined ? "–" : `${value < 0.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0)}×`;
}

/** A value of a setting as text. */
function told(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The meaning of a mark. */
function explain(mark) {
  if (/collapsed$/.test(mark)) return ". These models fail where the shortcut alone would do: the row stands last and is not ranked.";
  if (mark === "at the floor") return ". One constant answer or the shortcut alone reaches nearly as much: comparisons say little of the method.";
  if (mark === "at the ceiling") return ". It is as good as training on unbiased data: nothing is left to gain.";
  if (/^fits/.test(mark)) return ". So much of the training examples against the shortcut was learnt: the row shows what it has not learnt.";
  if (/^least raised/.test(mark)) return ". The least of few counted examples is too low: this much was taken off, and the interval may miss.";
  if (/not reproducible$/.test(mark)) return ". They came out otherwise when they were computed again.";
  return "";
}

benchbias.section({
  id: "table",
  title: "All rows",
  draw(data, root, tools) {
    const { el, name, choice, field, metric, interval, number, unitOf } = tools;
    const { head, board } = data;
    const state = { metric: head.rankBy, task: "", labels: "", method: "", sparsity: "", verdict: "", text: "", sort: null, down: false };
    const opened = new Set();

    const distinct = (key) => [...new Set(board.rows.map((row) => row[key]))].sort();
    const control = (row) => board.rows.find((one) => one.task === row.task && one.label === row.control);

    const crowded = head.tasks.length > 1;
    const room = { method: 28, control: 22, marks: 19, task: 20 }; // characters that columns show; `fit` takes some away

    const any = (text) => ({ value: "", text });
    const SPARSITIES = [
      any("any"), { value: "dense", text: "dense: 0 %" }, { value: "low", text: "above 0, below 80 %" },
      { value: "middle", text: "80 % to below 95 %" }, { value: "high", text: "95 % and more" },
    ];
    const inSparsity = {
      "": () => true, dense: (s) => s <= 0, low: (s) => s > 0 && s < 0.795, middle: (s) => s >= 0.795 && s < 0.945, high: (s) => s >= 0.945,
    };

    const filter = (key) => (value) => {
      state[key] = value;
      fill();
    };
    root.append(el("div", { class: "controls" },
      head.metrics.length > 1 && choice({ label: "Metric", value: state.metric,
        options: head.metrics.map((one) => ({ value: one, text: metric(one) })),
        onchange: (value) => {
          state.metric = value;
          heads();
          fill();
        } }),
      crowded && choice({ label: "Task", options: [any("all"), ...head.tasks], onchange: filter("task") }),
      choice({ label: "Labels used", options: [any("any"), ...["none", "validation", "training"].filter((one) => distinct("labels").includes(one))], onchange: filter("labels") }),
      choice({ label: "Method", options: [any("all"), ...distinct("method")], onchange: filter("method") }),
      choice({ label: "Sparsity", options: SPARSITIES, onchange: filter("sparsity") }),
      choice({ label: "Verdict", options: [any("any"), "helps", "harms", "no difference", "undecided", ...(board.rows.some((one) => tools.judgement(one) === "not judged") ? ["not judged"] : []), { value: "none", text: "no control" }], onchange: filter("verdict") }),
      field({ label: "Text", oninput: filter("text") })));

    const all = [
      { key: "rank", title: "Rank", numeric: true, value: (row) => (row.rank ? row.rank[0] + row.rank[1] / 1000 : null), cell: rankCell },
      { key: "method", title: "Method", value: (row) => row.words.toLowerCase(), cell: null },
      crowded && { key: "task", title: "Task", value: (row) => row.task, cell: (row) => tools.brief(row.task, room.task) },
      { key: "metric", title: null, numeric: true, value: (row) => row.metrics[state.metric] && row.metrics[state.metric].mean,
        cell: (row) => interval(row.metrics[state.metric], { unit: unitOf(state.metric), brief: true }) },
      { key: "gap", title: "Gap to control, points", numeric: true, value: (row) => row.gap && row.gap.mean, cell: gapCell },
      { key: "control", title: "Control", value: (row) => (row.control ? (control(row) || { words: row.control }).words.toLowerCase() : null),
        cell: (row) => (row.control ? tools.brief((control(row) || { words: row.control }).words, room.control) : "–") },
      { key: "verdict", title: "Verdict", value: tools.judgement, cell: (row) => (tools.judgement(row) ? tools.verdictMark(tools.judgement(row)) : "–") },
      distinct("labels").length > 1 && { key: "labels", title: "Labels", value: (row) => row.labels, cell: (row) => row.labels },
      { key: "sparsity", title: "Sparsity, %", numeric: true, value: (row) => row.sparsity, cell: (row) => number(row.sparsity) },
      { key: "cost", title: "Training cost", numeric: true, value: (row) => row.costs.relative, cell: (row) => times(row.costs.relative) },
      { key: "seeds", title: "n", numeric: true, value: (row) => row.seeds.length, cell: (row) => row.seeds.length },
      { key: "marks", title: "Marks", value: (row) => row.marks[0] || null, cell: (row) => (row.marks.length ? tools.brief(row.marks.join("; "), room.marks) : "–") },
    ].filter(Boolean);
    const phone = matchMedia("(max-width: 600px)");
    let columns = visible();

    const row = el("tr");
    const body = el("tbody");
    const back = el("button", { type: "button", hidden: true, onclick: unsort }, "Order of the board");
    const status = el("p", { role: "status", class: "quiet" });
    const whole = el("table", { class: "board" },
      el("caption", { class: "hidden" }, "All rows of the suite. Press the button of a method to open its row."),
      el("thead", {}, row), body);
    root.append(status, back, tools.box("The table of all rows", whole), notes());
    phone.addEventListener("change", () => root.isConnected && reorder());
    heads();
    fill();
    fit();

    /** Show fewer letters of long names until all columns are in sight; on a phone the table scrolls instead. */
    function fit() {
      const sight = whole.parentElement;
      for (let tries = 0; tries < 9 && sight.clientWidth > 900 && whole.scrollWidth > sight.clientWidth; tries += 1) {
        room.method = Math.max(14, room.method - 2);
        room.control = Math.max(9, room.control - 2);
        room.marks = Math.max(9, room.marks - 2);
        room.task = Math.max(9, room.task - 2);
        fill();
      }
    }

    /** In the board's order its headings say the task, so that no column need say it. On a phone the verdict stands in sight. */
    function visible() {
      const shown = all.filter((column) => column.key !== "task" || state.sort);
      if (!phone.matches) return shown;
      const first = ["method", "verdict"];
      return [...first.map((key) => shown.find((column) => column.key === key)), ...shown.filter((column) => !first.includes(column.key))];
    }

    function heads() {
      row.replaceChildren(...columns.map((column) => el("th", {
        scope: "col", class: [column.numeric && "numeric", column.key === "method" && "method"].filter(Boolean).join(" ") || null,
        "aria-sort": state.sort === column.key ? (state.down ? "descending" : "ascending") : "none",
      }, el("button", { type: "button", class: "sort", "data-column": column.key, onclick: () => sortBy(column.key) },
        column.title || `${tools.capital(metric(state.metric))}${unitOf(state.metric) ? ", %" : ""}`,
        el("span", { class: "arrow", "aria-hidden": "true" }, state.sort === column.key ? (state.down ? " ▼" : " ▲") : "")))));
    }

    function sortBy(key) {
      const numbers = columns.find((column) => column.key === key).numeric && key !== "rank";
      if (state.sort === key) state.down = !state.down;
      else Object.assign(state, { sort: key, down: numbers });
      reorder();
      row.querySelector(`[data-column="${key}"]`).focus();
    }

    function unsort() {
      Object.assign(state, { sort: null, down: false });
      reorder();
      row.querySelector("button").focus();
    }

    function reorder() {
      columns = visible();
      back.hidden = !state.sort;
      heads();
      fill();
      fit();
    }

    function matches(one) {
      const text = state.text.trim().toLowerCase();
      return (!state.task || one.task === state.task) && (!state.labels || one.labels === state.labels)
        && (!state.method || one.method === state.method) && inSparsity[state.sparsity](one.sparsity)
        && (!state.verdict || (tools.judgement(one) || "none") === state.verdict)
        && (!text || [one.words, one.label, one.task, one.control || "", one.settingsFrom, ...one.marks].some((part) => part.toLowerCase().includes(text)));
    }

    function sorted(rows) {
      const column = columns.find((one) => one.key === state.sort);
      if (!column) return rows;
      const sign = state.down ? -1 : 1;
      return rows.map((one, at) => [column.value(one), at, one]).sort(([a, i], [b, j]) => {
        if (a === null || a === undefined || b === null || b === undefined) return (a === null || a === undefined) - (b === null || b === undefined) || i - j;
        return (a < b ? -sign : a > b ? sign : 0) || i - j;
      }).map(([, , one]) => one);
    }

    function fill() {
      const found = board.rows.filter(matches);
      const shown = sorted(found);
      status.textContent = `${found.length} of ${board.rows.length} rows.`;
      body.replaceChildren();
      let last = null;
      for (const one of shown) {
        const part = one.ranked ? `Labels used: ${one.labels}` : "Controls and ceilings, not ranked";
        const head = head_(one, part);
        if (!state.sort && head !== last) body.append(el("tr", { class: "part" }, el("th", { scope: "colgroup", colspan: columns.length }, el("span", {}, ...head_parts(one, part)))));
        last = head;
        body.append(...lineOf(one));
      }
      if (!found.length) body.append(el("tr", {}, el("td", { colspan: columns.length }, "No row fits the filters.")));
    }

    function head_(one, part) {
      return JSON.stringify([crowded ? one.task : "", part]);
    }

    function head_parts(one, part) {
      return crowded ? [name(one.task), ": ", part] : [part];
    }

    function lineOf(one) {
      const detail = el("tr", { class: "detail", id: `${one.id}-detail`, hidden: !opened.has(one.id) });
      const button = el("button", { type: "button", class: "open", "aria-expanded": String(opened.has(one.id)), "aria-controls": detail.id, onclick: turn },
      el("span", { class: "arrow", "aria-hidden": "true" }, "▸"), tools.brief(one.words, room.method));
      const line = el("tr", { class: one.ranked ? "row" : "row unranked" }, columns.map((column) => (column.key === "method"
        ? el("th", { scope: "row", class: "method" }, button)
        : el("td", { class: column.numeric ? "numeric" : null }, column.cell(one)))));
      if (opened.has(one.id)) detail.append(detailOf(one));

      function turn() {
        const open = !opened.delete(one.id);
        if (open) opened.add(one.id);
        button.setAttribute("aria-expanded", String(open));
        detail.hidden = !open;
        if (open && !detail.childNodes.length) detail.append(detailOf(one));
      }
      return [line, detail];
    }

    function rankCell(one) {
      if (one.collapsed) return el("span", { title: one.marks[0] }, "collapsed");
      if (!one.rank) return "–";
      return one.rank[0] === one.rank[1] ? String(one.rank[0]) : `${one.rank[0]} to ${one.rank[1]}`;
    }

    function gapCell(one) {
      return one.gap ? interval(one.gap, { sign: true, brief: true }) : "–";
    }

    /** An opened row: what its marks mean, every metric by seed, groups, cost, settings, and the command. */
    function detailOf(one) {
      return el("td", { colspan: columns.length }, el("div", { class: "inner" },
        el("h3", {}, name(one.words), el("span", { class: "quiet" }, " on "), name(one.task)),
        el("p", {}, `Group labels used: ${one.labelsUsed}. Settings from: `, name(SOURCES[one.settingsFrom] || one.settingsFrom), ". ",
          one.control ? ["Control: ", name((control(one) || { words: one.control }).words), ". "] : "It has no control here. ",
          tools.judgement(one) ? ["Verdict: ", tools.verdictMark(tools.judgement(one)), ". "] : null,
          one.ranked ? null : "It is not ranked."),
        one.marks.length || one.controlMarks.length ? el("ul", {},
          one.marks.map((mark) => el("li", {}, name(mark), explain(mark))),
          one.controlMarks.map((mark) => el("li", {}, "Its control: ", name(mark), explain(mark)))) : null,
        metricsTable(one), groupsTable(one), costTable(one),
        el("h4", {}, "Settings"),
        Object.keys(one.settings).length ? el("p", {}, Object.entries(one.settings).map(([key, value], at) => [at ? ", " : "", name(`${key} = ${told(value)}`)])) : el("p", {}, "The defaults of the method."),
        el("h4", {}, "Make it again"),
        one.command === null ? null : el("pre", { tabindex: "0" }, el("code", {}, name(one.command))),
        el("p", { class: "quiet" }, one.command === null ? "No command is given here: a name or a value of it has characters that a page does not show."
          : one.reproduces === true ? "This version plans exactly these trials by this command."
          : one.reproduces === false ? "These trials were made with other settings or another version: the command runs today's."
            : "The suite is not in the tables that this report was made with: the command needs them.")));
    }

    /** Every metric by seed. Seeds stand as counted, the mean without the bias of a least: where these differ, both stand. */
    function metricsTable(one) {
      const keys = Object.keys(one.metrics).sort((a, b) => head.metrics.indexOf(a) - head.metrics.indexOf(b));
      const counted = Object.fromEntries(keys.map((key) => [key, asCounted(one, key)]));
      const told = (key, value) => number(value, { unit: unitOf(key) });
      const differs = keys.some((key) => one.metrics[key] && counted[key] !== null && told(key, counted[key]) !== told(key, one.metrics[key].mean));
      return [ofRow(one, tools.table(["metric", { title: "mean (95 % interval)", numeric: true }, differs && { title: "mean as counted", numeric: true },
        ...one.seeds.map((seed) => ({ title: `seed ${seed}`, numeric: true }))].filter(Boolean),
      keys.map((key) => [`${metric(key)}${unitOf(key) ? ", %" : ""}`, interval(one.metrics[key], { unit: unitOf(key) }),
        ...(differs ? [told(key, counted[key])] : []), ...one.perSeed[key].map((value) => told(key, value))]),
      { caption: `Metrics, n = ${one.seeds.length} ${one.seeds.length === 1 ? "seed" : "seeds"}` })),
      differs && el("p", { class: "quiet" }, "Seeds stand as counted. The mean with the interval has the bias of a least of few examples taken off.")];
    }

    function asCounted(one, key) {
      const values = one.perSeed[key];
      if (key === head.rankBy && one.asCounted !== null) return one.asCounted;
      return values.length && values.every((value) => value !== null) ? d3.mean(values) : null;
    }

    /** A table of an opened row as a region that has the row's name too: no two regions are to have one name. */
    function ofRow(one, box) {
      box.setAttribute("aria-label", tools.short(`${box.getAttribute("aria-label")}: ${one.words}, ${one.task}`, 400));
      return box;
    }

    function groupsTable(one) {
      if (!one.groups.length) return null;
      return ofRow(one, tools.table(["group", { title: "accuracy, % (95 % interval)", numeric: true }, "kind", { title: "test images", numeric: true }, { title: "training images", numeric: true }],
        one.groups.map((group) => [name(group.name), interval(group.accuracy),
          group.aligned === null ? "–" : group.aligned ? "aligned with the shortcut" : "against the shortcut",
          group.test.length > 1 ? `${group.test[0]} to ${group.test[group.test.length - 1]}` : group.test[0], group.train === null ? "–" : group.train]),
        { caption: `Groups, n = ${one.seeds.length} ${one.seeds.length === 1 ? "seed" : "seeds"}` }));
    }

    function costTable(one) {
      const { costs } = one;
      const rows = [
        ["parameters", tools.scaled(costs.parameters)],
        ["multiplications and additions of one image, dense", tools.scaled(costs.flops)],
        ["the same with non-zero weights alone", tools.scaled(costs.sparseFlops)],
        ["training FLOPs", costs.trainingFlops === null ? "not known" : `${tools.scaled(costs.trainingFlops)}${costs.relative === null ? "" : `, ${times(costs.relative)} those of ${tools.short(head.reference || "the reference")}`}`],
        costs.nonzeroBytes !== null && ["bytes of non-zero parameters, 4 each", tools.scaled(costs.nonzeroBytes)],
        costs.seconds && ["seconds of a trial (mean over seeds, 95 % interval)", interval(costs.seconds, { unit: "" })],
        costs.peakBytes && ["peak memory of a trial, bytes", interval(costs.peakBytes, { unit: "" })],
      ].filter(Boolean);
      return ofRow(one, tools.table(["cost", { title: "value", numeric: true }], rows, { caption: "Cost" }));
    }

    function notes() {
      return tools.folded("What the columns mean", el("ul", {},
        el("li", {}, "Rank: from and to. Rows of the same labels are compared in pairs, adjusted for all comparisons (Holm)."),
        el("li", {}, `Metric and gap: mean over seeds with the 95 % interval. The gap is of ${metric(head.rankBy)}, paired by seed.`),
        el("li", {}, "Verdict: helps or harms where the gap differs from zero at 5 %, adjusted for all gaps of the task (Holm). ",
          `No difference where it is within ${Number((100 * board.margin).toFixed(2))} points with the same certainty. Else undecided. Below three seeds nothing is judged.`),
        el("li", {}, "Labels: whose group labels a method, its settings or its choice of epoch had."),
        el("li", {}, "Sparsity: zeros over all weights of convolutions and linear layers."),
        el("li", {}, `Training cost: training FLOPs over those of ${tools.short(head.reference || "the reference method")}.`),
        el("li", {}, "Marks: what a row cannot show. Open a row to read what its marks mean."),
        el("li", {}, "n: the number of seeds. †: an interval of the test examples alone, for these networks, below three seeds.")));
    }

  },
});
}
