// Who is hit: the accuracy of every group before and after, of a row beside its control or any other row.
"use strict";

benchbias.section({
  id: "who",
  title: "Who is hit",
  draw(data, root, tools) {
    const { el, name, short, number, interval, choice, chart, table } = tools;
    const MOST = 20;
    const WORDS = { higher: "▲ higher", lower: "▼ lower", undecided: "○ undecided", none: "–" };
    const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
    const find = (task, label, settings) => data.board.rows.findIndex((row) =>
      row.task === task && row.label === label && same(row.settings, settings));
    const pairs = (data.groups || []).map((pair) => ({
      ...pair,
      after: find(pair.task, pair.row, pair.settings),
      before: find(pair.task, pair.control, pair.controlSettings),
    })).filter((pair) => pair.after >= 0 && pair.before >= 0);
    if (!pairs.length) return;

    const tasks = [...new Set(pairs.map((pair) => pair.task))];
    const state = { task: tasks[0], after: null, before: "own", groups: "changed" };
    const controls = el("div", { class: "controls" });
    const told = el("p");
    root.append(
      el("p", {}, "Each group has two bars. The open bar is the row on the right of “against”, before; the filled bar is the chosen row, after. "
        + "Lines are 95 % intervals over seeds and test examples. The number in brackets counts the group's training examples."),
      controls, told);
    fill();
    const drawn = chart(root, draw, { title: "", description: "", table: null });
    update();

    function pair() {
      return pairs.find((one) => one.task === state.task && one.after === Number(state.after));
    }

    /** The choices of a task; those of another task are made anew. */
    function fill() {
      const here = pairs.filter((one) => one.task === state.task);
      const whole = here.filter((one) => !data.board.rows[one.after].collapsed);
      const most = (whole.length ? whole : here).reduce((best, one) => (sparsity(one) > sparsity(best) ? one : best));
      state.after = String(most.after);
      state.before = "own";
      controls.replaceChildren(
        ...(tasks.length > 1 ? [choice({ label: "Task", options: tasks, value: state.task, onchange: (value) => {
          state.task = value;
          fill();
          update();
        } })] : []),
        choice({
          label: "Row", value: state.after,
          options: here.map((one) => ({ value: one.after, text: data.board.rows[one.after].words })),
          onchange: (value) => {
            state.after = value;
            update();
          },
        }),
        choice({
          label: "Against", value: "own",
          options: [{ value: "own", text: "its control" }, ...data.board.rows
            .map((row, at) => ({ value: at, text: row.words, task: row.task }))
            .filter((option) => option.task === state.task)],
          onchange: (value) => {
            state.before = value;
            update();
          },
        }),
        ...(here.some((one) => one.changes.length > MOST) ? [choice({
          label: "Groups", value: state.groups,
          options: [{ value: "changed", text: `the ${MOST} that change most` }, { value: "all", text: "all" }],
          onchange: (value) => {
            state.groups = value;
            update();
          },
        })] : []));
    }

    function sparsity(one) {
      return data.board.rows[one.after].sparsity || 0;
    }

    /** The bars: of each group the accuracy before and after, the change and its verdict where they were compared. */
    function bars() {
      const own = pair();
      const at = state.before === "own" ? own.before : Number(state.before);
      const [after, before] = [data.board.rows[own.after], data.board.rows[at]];
      const compared = at === own.before;
      const found = after.groups.map((group, place) => {
        const other = before.groups.find((one) => one.name === group.name);
        const [one, two] = [other ? other.accuracy : null, group.accuracy];
        return {
          ...group, place, before: one, after: two,
          gap: compared ? own.changes[place] : null,
          verdict: compared ? own.verdicts[place] : "none",
          size: one && two ? two.mean - one.mean : null,
        };
      });
      const sorted = [...found].sort((one, two) => (one.size ?? 9) - (two.size ?? 9));
      const many = found.length > MOST && state.groups === "changed";
      const largest = [...found].sort((one, two) => Math.abs(two.size ?? -1) - Math.abs(one.size ?? -1));
      const kept = new Set(many ? largest.slice(0, MOST) : found);
      return { after, before, compared, all: sorted, shown: sorted.filter((bar) => kept.has(bar)) };
    }

    function range(counts) {
      return !counts || !counts.length ? "–" : counts.length > 1 ? `${Math.min(...counts)}–${Math.max(...counts)}` : String(counts[0]);
    }

    function update() {
      const found = bars();
      const lower = found.all.filter((bar) => bar.verdict === "lower");
      const higher = found.all.filter((bar) => bar.verdict === "higher");
      told.replaceChildren(name(found.after.words), " against ", name(found.before.words), ". ",
        found.compared
          ? `Of ${found.all.length} groups, ${lower.length} are lower and ${higher.length} higher; the others are undecided. `
            + "Changes are paired by seed and test example, and verdicts are adjusted for the groups of this pair (Holm, 5 %)."
          : "This is not its control, so nothing is said about differences here: compare intervals with care.");
      if ([found.after, found.before].some((row) => row.seeds.length < 3)) {
        told.append(" With fewer than three seeds the lines are of the test examples alone, for these networks.");
      }
      const marks = [["after", found.after], ["before", found.before]].filter(([, row]) => row.marks.length);
      for (const [when, row] of marks) told.append(` Marks of the row ${when}: ${row.marks.join(", ")}.`);
      drawn.redraw({
        title: `Accuracy by group: ${short(found.after.words, 60)} against ${short(found.before.words, 60)}`,
        description: description(found),
        table: {
          columns: ["group", "kind", { title: "training", numeric: true }, { title: "test", numeric: true },
            { title: "before, %", numeric: true }, { title: "after, %", numeric: true },
            { title: "change, points", numeric: true }, "verdict"],
          rows: found.all.map((bar) => [name(bar.name), bar.aligned ? "aligned" : "conflicting",
            bar.train === null || bar.train === undefined ? "–" : String(bar.train), range(bar.test),
            interval(bar.before, { seeds: true }), interval(bar.after, { seeds: true }),
            interval(bar.gap, { unit: "points", sign: true, seeds: true }), WORDS[bar.verdict]]),
        },
      });
    }

    function description(found) {
      const known = found.all.filter((bar) => bar.size !== null);
      const part = found.shown.length < found.all.length ? `The ${found.shown.length} of ${found.all.length} groups that change most, the largest loss first. ` : "The largest loss first. ";
      if (!known.length) return part;
      const [worst, best] = [known[0], known[known.length - 1]];
      return `${part}From ${number(worst.size, { unit: "points", sign: true })} points in ${short(worst.name, 40)} `
        + `to ${number(best.size, { unit: "points", sign: true })} in ${short(best.name, 40)}.`;
    }

    function draw({ narrow }) {
      const { shown } = bars();
      const label = (bar) => `${short(bar.name, narrow ? 13 : 25)}${bar.train === null || bar.train === undefined ? "" : ` (${bar.train})`}`
        + (narrow && ["lower", "higher"].includes(bar.verdict) ? ` ${WORDS[bar.verdict].slice(0, 1)}` : "");
      const labels = new Map(shown.map((bar) => [bar.place, label(bar)]));
      const sides = shown.flatMap((bar) => [["before", bar.before], ["after", bar.after]]
        .filter(([, value]) => value).map(([when, value]) => ({ ...value, when, group: bar.place })));
      const after = (one) => one.when === "after";
      return {
        height: 60 + 30 * shown.length,
        marginLeft: narrow ? 150 : 210, marginRight: narrow ? 14 : 90, marginTop: 34,
        x: { domain: [0, 100], percent: true, grid: true, label: "accuracy, %", axis: "top" },
        y: { domain: ["before", "after"], axis: null, padding: 0.1 },
        fy: { domain: shown.map((bar) => bar.place), label: null, tickFormat: (place) => labels.get(place), padding: 0.16 },
        marks: [
          Plot.barX(sides, { x: "mean", y: "when", fy: "group", fill: (one) => (after(one) ? "var(--c0)" : "none"),
            stroke: (one) => (after(one) ? "var(--c0)" : "var(--quiet)"), strokeWidth: 1.2,
            title: (one) => `${one.when}: ${interval(one, { seeds: true })} %` }),
          Plot.ruleY(sides.filter((one) => one.low !== null), { x1: "low", x2: "high", y: "when", fy: "group", stroke: "var(--ink)", strokeWidth: 1.5 }),
          Plot.ruleX([0]),
          ...(narrow ? [] : [Plot.text(shown.filter((bar) => bar.verdict !== "none"), { frameAnchor: "right", dx: 82, textAnchor: "end",
            fy: "place", y: () => "after", text: (bar) => WORDS[bar.verdict], fill: (bar) => (bar.verdict === "lower" ? "var(--harms)" : bar.verdict === "higher" ? "var(--helps)" : "var(--quiet)") })]),
        ],
      };
    }
  },
});
